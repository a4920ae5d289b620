/*
 * uri.c - the one normal form of a request's path, and escaping.
 *
 * Most paths are plain: a single look finds that out and no copy is made.
 * The others are written anew, segment by segment: each byte is decoded first,
 * so that an escaped slash or dot counts like any other (as nginx does it),
 * and a slash decides what becomes of the segment before it.
 */
#include "http/msg/chars.h"
#include "http/msg/uri.h"

static const char bad_char[] = "invalid character in the target";

/*
 * The length of the path if it can stay as it is.  -1: it has to be written
 * anew, or is malformed.
 */
static ssize_t
plain_length(struct weir_str t, bool merge)
{
	size_t i = 0;

	for (;;) {
		while (i < t.n && (ch(t.p[i]) & CH_PATH))
			i++;
		if (i == t.n || t.p[i] == '?')
			return (ssize_t)i;
		if (t.p[i] != '/')
			return -1;
		if (++i < t.n && (t.p[i] == '.' || (merge && t.p[i] == '/')))
			return -1;
	}
}

struct out {
	char	*begin, *seg, *at;	/* the segment begins behind the last slash */
	bool	 merge;
};

static bool
is_dots(const struct out *o, ptrdiff_t n)
{
	return o->at - o->seg == n && memcmp(o->seg, "..", (size_t)n) == 0;
}

/* A slash or the end of the path came: "." goes, ".." takes the segment before it along. */
static bool
end_segment(struct out *o, bool slash)
{
	if (is_dots(o, 1)) {
		o->at = o->seg;
		return true;
	}
	if (is_dots(o, 2)) {
		if (o->seg == o->begin + 1)
			return false;
		for (o->at = o->seg - 1; o->at[-1] != '/'; o->at--)
			;
		o->seg = o->at;
		return true;
	}
	if (!slash || (o->at == o->seg && o->merge))
		return true;
	*o->at++ = '/';
	o->seg = o->at;
	return true;
}

/* The byte at t[*i], decoded; -1 and *why when it cannot be.  *i moves on. */
static int
next_byte(struct weir_str t, size_t *i, const char **why)
{
	char c = t.p[(*i)++];
	unsigned v;

	if (!(ch(c) & CH_TARGET)) {
		*why = bad_char;
		return -1;
	}
	if (c != '%')
		return (unsigned char)c;
	if (t.n - *i < 2 || !(ch(t.p[*i]) & CH_HEX) || !(ch(t.p[*i + 1]) & CH_HEX)) {
		*why = "bad escape in the target";
		return -1;
	}
	v = hex_value(t.p[*i]) << 4 | hex_value(t.p[*i + 1]);
	*i += 2;
	if (v == 0)
		*why = "NUL in the target";
	return v != 0 ? (int)v : -1;
}

/* Returns the length of what was read, or WEIR_FAIL. */
static ssize_t
rewrite(struct weir_pool *pool, struct weir_str t, bool merge, struct weir_str *path,
    const char **why)
{
	struct out	 o = { .merge = merge };
	size_t		 i = 1;

	o.begin = pool_bytes(pool, t.n);
	o.begin[0] = '/';
	o.seg = o.at = o.begin + 1;
	for (;;) {
		bool	end = i == t.n || t.p[i] == '?';
		int	c = end ? '/' : next_byte(t, &i, why);

		if (c == -1)
			return WEIR_FAIL;
		if (c != '/') {
			*o.at++ = (char)c;
		} else if (!end_segment(&o, !end)) {
			*why = "target leaves the root";
			return WEIR_FAIL;
		}
		if (end)
			break;
	}
	*path = str_of(o.begin, (size_t)(o.at - o.begin));
	return (ssize_t)i;
}

int
uri_parse(struct weir_pool *pool, struct weir_str t, bool merge_slashes, struct weir_uri *to,
    const char **why)
{
	struct weir_str	path;
	ssize_t		n;
	size_t		i;

	if (t.n == 0 || t.p[0] != '/') {
		*why = "target does not begin with a slash";
		return WEIR_FAIL;
	}
	n = plain_length(t, merge_slashes);
	path = str_of(t.p, n >= 0 ? (size_t)n : 0);
	if (n < 0 && (n = rewrite(pool, t, merge_slashes, &path, why)) < 0)
		return WEIR_FAIL;

	for (i = (size_t)n; i < t.n; i++)
		if (unlikely(!(ch(t.p[i]) & CH_TARGET))) {
			*why = bad_char;
			return WEIR_FAIL;
		}
	to->plain = str_eq(path, str_of(t.p, (size_t)n));
	to->path = to->plain ? str_of(t.p, (size_t)n) : path;
	to->has_args = (size_t)n < t.n;
	to->args = to->has_args ? str_from(t, (size_t)n + 1) : STR_NONE;
	return WEIR_OK;
}

/*
 * Escaping.
 */

/* Bit 1 << enum weir_escape: to be written as %XX there. */
static uint8_t escaped[256];

__attribute__((constructor)) static void
escapes_init(void)
{
	unsigned c;

	for (c = 0; c < 256; c++) {
		bool odd = c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", (int)c) != NULL;
		bool free = (ch((char)c) & CH_NAME) || (c != 0 && strchr("._~", (int)c) != NULL);

		escaped[c] = (uint8_t)
		    ((odd || strchr("#%?", (int)c) != NULL) << ESCAPE_URI |
		     (odd || strchr("#%&+;?", (int)c) != NULL) << ESCAPE_ARGS |
		     !free << ESCAPE_COMPONENT | odd << ESCAPE_REDIRECT);
	}
}

static const struct {
	char		 c;
	struct weir_str	 text;
} entities[] = {
	{ '<', { "&lt;", 4 } }, { '>', { "&gt;", 4 } }, { '&', { "&amp;", 5 } },
	{ '"', { "&quot;", 6 } },
};

static struct weir_str
entity(const char *c)
{
	size_t i;

	for (i = 0; i < WEIR_COUNT(entities); i++)
		if (entities[i].c == *c)
			return entities[i].text;
	return str_of(c, 1);
}

static struct weir_str
escape_html(struct weir_pool *pool, struct weir_str s)
{
	size_t	 i, n = 0;
	char	*to, *p;

	for (i = 0; i < s.n; i++)
		n += entity(s.p + i).n;
	if (n == s.n)
		return s;
	p = to = pool_bytes(pool, n);
	for (i = 0; i < s.n; i++) {
		struct weir_str e = entity(s.p + i);

		memcpy(p, e.p, e.n);
		p += e.n;
	}
	return str_of(to, n);
}

struct weir_str
uri_escape(struct weir_pool *pool, struct weir_str s, enum weir_escape how)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t	 i, n = 0;
	char	*to, *p;

	if (how == ESCAPE_HTML)
		return escape_html(pool, s);
	for (i = 0; i < s.n; i++)
		n += escaped[(unsigned char)s.p[i]] >> how & 1;
	if (n == 0)
		return s;
	p = to = pool_bytes(pool, s.n + 2 * n);
	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (escaped[c] >> how & 1) {
			*p++ = '%';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		} else {
			*p++ = (char)c;
		}
	}
	return str_of(to, (size_t)(p - to));
}

struct weir_str
uri_unescape(struct weir_pool *pool, struct weir_str s)
{
	size_t	 i;
	char	*to, *p;

	if (str_chr(s, '%') < 0)
		return s;
	p = to = pool_bytes(pool, s.n);
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && s.n - i > 2 && (ch(s.p[i + 1]) & CH_HEX) &&
		    (ch(s.p[i + 2]) & CH_HEX)) {
			*p++ = (char)(hex_value(s.p[i + 1]) << 4 | hex_value(s.p[i + 2]));
			i += 2;
		} else {
			*p++ = s.p[i];
		}
	}
	return str_of(to, (size_t)(p - to));
}
