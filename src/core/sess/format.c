/*
 * format.c - log formats: compiled to pieces, each a text, a value or something written directly.
 *
 * Nearly all bytes that are logged need no escape, so values are searched eight bytes at a time for
 * one that does, and copied up to there.
 */
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/num.h"
#include "core/sess/expr.h"
#include "core/sess/format.h"

static const char mark[] = "...";

enum { MARK_LEN = sizeof(mark) - 1 };

struct piece {
	struct weir_str	 text;		/* when put is NULL and value is not set */
	bool		 value;
	int32_t		 var;		/* as in weir_expr_part */
	char		*(*put)(struct weir_sess *, char *);
};

struct weir_format {
	enum weir_format_escape escape;
	const struct weir_format_direct *direct;
	struct {
		struct piece	*v;
		unsigned	 n, room;
	}			 pieces;
	unsigned		 n_values;
	size_t			 fixed;		/* the most that is not values */
};

/* The longest text of one byte in each way of escaping. */
static const size_t widest[] = {
	[FORMAT_DEFAULT] = 4, [FORMAT_JSON] = 6, [FORMAT_NONE] = 4,
};

/*
 * What every session has.
 */

static char *
put_str(char *to, struct weir_str s)
{
	return (char *)memcpy(to, s.p, s.n) + s.n;
}

static char *
put_time_local(struct weir_sess *s, char *to)
{
	(void)s;
	return put_str(to, clock_log_time());
}

static char *
put_time_iso8601(struct weir_sess *s, char *to)
{
	(void)s;
	return put_str(to, clock_iso8601());
}

static char *
put_msec(struct weir_sess *s, char *to)
{
	(void)s;
	return put_seconds(to, weir_wall_ms);
}

static char *
put_connection(struct weir_sess *s, char *to)
{
	return num_put(to, s->conn->id);
}

/* The path of a unix peer is the peer's choice and would want escaping. */
static char *
put_remote_addr(struct weir_sess *s, char *to)
{
	if (s->peer->sa.sa_family == AF_UNIX)
		return put_str(to, STR("unix:"));
	return to + addr_put_ip(to, s->peer);
}

static const struct weir_format_direct ours[] = {
	{ "remote_addr", ADDR_TEXT_MAX, put_remote_addr },
	{ "time_local", 40, put_time_local },
	{ "time_iso8601", 40, put_time_iso8601 },
	{ "msec", NUM_MAX + 4, put_msec },
	{ "connection", NUM_MAX, put_connection },
	{ NULL, 0, NULL }
};

/*
 * Compiling.
 */

struct weir_format *
format_new(struct weir_conf *cf, enum weir_format_escape escape,
    const struct weir_format_direct *direct)
{
	struct weir_format *f = POOL_NEW(cf->pool, weir_format);

	f->escape = escape;
	f->direct = direct;
	return f;
}

static const struct weir_format_direct *
direct_of(const struct weir_format_direct *d, int32_t var)
{
	for (; d != NULL && d->name != NULL; d++)
		if (vars_use(vars_now, str_c(d->name)) == (unsigned)var)
			return d;
	return NULL;
}

static void
add_piece(struct weir_conf *cf, struct weir_format *f, const struct weir_expr_part *part)
{
	struct piece			*p = POOL_PUSH(cf->pool, &f->pieces);
	const struct weir_format_direct	*d = NULL;

	p->text = part->text;
	p->var = part->var;
	if (part->var >= 0 && (d = direct_of(ours, part->var)) == NULL)
		d = direct_of(f->direct, part->var);
	if (d != NULL) {
		p->put = d->put;
		f->fixed += d->max;
	} else if (part->var == -1) {
		f->fixed += part->text.n;
	} else {
		p->value = true;
		f->n_values++;
		f->fixed += MARK_LEN;
	}
}

int
format_add(struct weir_conf *cf, struct weir_format *f, const struct weir_node *node, unsigned w,
    struct weir_str text)
{
	struct weir_expr	e;
	struct weir_expr_part	whole = { text, -1 };
	unsigned		i;

	if (expr_compile(cf, node, w, text, &e) != WEIR_OK)
		return WEIR_FAIL;
	if (expr_is_const(&e))
		add_piece(cf, f, &whole);
	for (i = 0; i < e.n; i++)
		add_piece(cf, f, &e.parts[i]);
	return WEIR_OK;
}

/*
 * Escaping.
 */

#define ALL(byte)	(0x0101010101010101u * (byte))
#define HAS_ZERO(x)	(((x) - ALL(1)) & ~(x) & ALL(0x80))

/* May the eight bytes have one that needs an escape?  False positives cost time only. */
static inline bool
is_suspect(uint64_t x)
{
	uint64_t low = (x - ALL(0x20)) & ~x & ALL(0x80);

	return (low | (x & ALL(0x80)) | HAS_ZERO(x ^ ALL('"')) | HAS_ZERO(x ^ ALL('\\')) |
	    HAS_ZERO(x ^ ALL(0x7f))) != 0;
}

static inline bool
is_clean(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* How many bytes at the front need no escape. */
static size_t
clean(const char *p, size_t n)
{
	size_t	 i = 0;
	uint64_t x;

	for (; n - i >= sizeof(x); i += sizeof(x)) {
		memcpy(&x, p + i, sizeof(x));
		if (is_suspect(x))
			break;
	}
	while (i < n && is_clean((unsigned char)p[i]))
		i++;
	return i;
}

static char *
put_hex(char *to, unsigned char c)
{
	static const char hex[] = "0123456789ABCDEF";

	to[0] = '\\';
	to[1] = 'x';
	to[2] = hex[c >> 4];
	to[3] = hex[c & 15];
	return to + 4;
}

static char *
put_default(char *to, struct weir_str s)
{
	size_t n;

	for (;;) {
		n = clean(s.p, s.n);
		memcpy(to, s.p, n);
		to += n;
		if (n == s.n)
			return to;
		to = put_hex(to, (unsigned char)s.p[n]);
		s = str_of(s.p + n + 1, s.n - n - 1);
	}
}

static char *
put_json(char *to, struct weir_str s)
{
	size_t n = clean(s.p, s.n);

	memcpy(to, s.p, n);
	return json_escape(to + n, str_of(s.p + n, s.n - n));
}

static char *
put_none(char *to, struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\n' || c == '\r' || c == '\0')
			to = put_hex(to, (unsigned char)c);
		else
			*to++ = c;
	}
	return to;
}

static char *(*const escapes[])(char *, struct weir_str) = {
	[FORMAT_DEFAULT] = put_default, [FORMAT_JSON] = put_json, [FORMAT_NONE] = put_none,
};

/*
 * A record.
 */

static struct weir_value
value_of(struct weir_sess *s, int32_t var)
{
	struct weir_value v;
	bool		  missing = false;

	v.s = var >= 0 ? var_get(s, (unsigned)var, &missing)
	    : sess_capture(&s->cap, (unsigned)(-2 - var));
	v.state = missing ? VALUE_MISSING : VALUE_OK;
	return v;
}

size_t
format_begin(struct weir_record *rec, const struct weir_format *f, struct weir_sess *s)
{
	unsigned i, n = 0;
	size_t	 bytes = 0;

	rec->format = f;
	rec->s = s;
	rec->v = rec->few;
	if (f->n_values > FORMAT_FEW)
		rec->v = pool_alloc(s->pool, f->n_values * sizeof(*rec->v));
	for (i = 0; i < f->pieces.n; i++) {
		if (!f->pieces.v[i].value)
			continue;
		rec->v[n] = value_of(s, f->pieces.v[i].var);
		bytes += WEIR_MIN(rec->v[n].s.n, (size_t)FORMAT_VALUE_MAX);
		n++;
	}
	return f->fixed + bytes * widest[f->escape];
}

/* Up to the last whole character before `most`. */
static size_t
cut_at(struct weir_str s, size_t most)
{
	size_t n = most;

	while (n > most - 3 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static char *
put_value(const struct weir_format *f, char *to, const struct weir_value *v)
{
	struct weir_str s = v->s;

	if (v->state == VALUE_MISSING) {
		if (f->escape == FORMAT_DEFAULT)
			*to++ = '-';
		return to;
	}
	if (s.n == 0)
		return to;
	if (likely(s.n <= FORMAT_VALUE_MAX))
		return escapes[f->escape](to, s);
	s.n = cut_at(s, FORMAT_VALUE_MAX);
	to = escapes[f->escape](to, s);
	memcpy(to, mark, MARK_LEN);
	return to + MARK_LEN;
}

char *
format_put(const struct weir_record *rec, char *to)
{
	const struct weir_format *f = rec->format;
	const struct weir_value	 *v = rec->v;
	unsigned		  i;

	for (i = 0; i < f->pieces.n; i++) {
		const struct piece *p = &f->pieces.v[i];

		if (p->value)
			to = put_value(f, to, v++);
		else if (p->put != NULL)
			to = p->put(rec->s, to);
		else if (p->text.n != 0)
			to = put_str(to, p->text);
	}
	return to;
}
