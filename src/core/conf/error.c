/*
 * error.c - what is said about mistakes.
 *
 * On stderr a mistake is its place and text, the line where it is and a caret
 * under the word:
 *
 *	weir: [emerg] weir.conf:4:9: sendfil: unknown directive "sendfil", did you mean "sendfile"?
 *	    4 |         sendfil on;
 *	      |         ^~~~~~~
 *
 * In the log it is one line.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/conf/parts.h"

#define TEXT_MAX	2048
#define SHOWN_MAX	100	/* bytes of a line; of a longer one the neighbourhood of the word */

/* What is printed: never more than its buffer, without control characters. */
struct out {
	size_t	 n;
	char	 p[TEXT_MAX * 4];
};

static void
put(struct out *o, char c)
{
	if (o->n < sizeof(o->p))
		o->p[o->n++] = c;
}

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* How many bytes make the character at `s`; 0: it is none that should reach a terminal. */
static size_t
shown_len(const char *s, size_t n)
{
	if ((unsigned char)*s >= 0x80)
		return utf8_len(s, n);
	return !is_control(*s);
}

/* Not the first byte of a UTF-8 sequence: it has no column of its own. */
static bool
is_continued(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static void
put_text(struct out *o, struct weir_str s)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t		  i, len;

	for (i = 0; i < s.n; i++) {
		if ((len = shown_len(s.p + i, s.n - i)) != 0) {
			for (; len > 1; len--)
				put(o, s.p[i++]);
			put(o, s.p[i]);
			continue;
		}
		put(o, '\\');
		put(o, 'x');
		put(o, hex[(unsigned char)s.p[i] >> 4]);
		put(o, hex[s.p[i] & 15]);
	}
}

/* The line, or nothing when the file has no such line. */
static struct weir_str
line_of(const struct place *at)
{
	struct weir_str	 s = at->file->text;
	uint32_t	 line;
	const char	*nl;

	for (line = 1; line < at->line; line++) {
		if (s.n == 0 || (nl = memchr(s.p, '\n', s.n)) == NULL)
			return STR_NONE;
		s = str_from(s, (size_t)(nl + 1 - s.p));
	}
	if (line == 1 && s.n >= 3 && memcmp(s.p, "\xef\xbb\xbf", 3) == 0)
		s = str_from(s, 3);
	if (s.n != 0 && (nl = memchr(s.p, '\n', s.n)) != NULL)
		s.n = (size_t)(nl - s.p);
	if (s.n != 0 && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

static void
put_gutter(struct out *o, uint32_t line)
{
	char text[32];
	int  n = snprintf(text, sizeof(text), "%5u | ", line);

	if (line == 0)
		n = snprintf(text, sizeof(text), "%5s | ", "");
	put_text(o, str_of(text, (size_t)n));
}

/* Cut the line to what is shown; `col` and `len` (from 0) follow. */
static struct weir_str
neighbourhood(struct weir_str line, size_t *col, size_t *len)
{
	size_t from = 0;

	if (*col > SHOWN_MAX * 3 / 4) {
		from = *col - SHOWN_MAX / 2;
		while (from < *col && is_continued(line.p[from]))
			from++;
	}
	line = str_from(line, from);
	*col -= from;
	if (line.n > SHOWN_MAX) {
		line.n = SHOWN_MAX;
		while (line.n > *col && is_continued(line.p[line.n]))
			line.n--;
	}
	*len = WEIR_MIN(*len, line.n - *col);
	return line;
}

/* A tab stays, what is no text becomes a question mark. */
static void
put_shown(struct out *o, struct weir_str line)
{
	size_t i, len;

	for (i = 0; i < line.n; i++) {
		len = shown_len(line.p + i, line.n - i);
		for (; len > 1; len--)
			put(o, line.p[i++]);
		put(o, len != 0 || line.p[i] == '\t' ? line.p[i] : '?');
	}
}

/* How many bytes have the column at `i`. */
static size_t
char_len(struct weir_str line, size_t i)
{
	return WEIR_MAX(shown_len(line.p + i, line.n - i), (size_t)1);
}

static void
put_line(struct out *o, const struct place *at)
{
	struct weir_str	 line = line_of(at);
	size_t		 col = at->col - 1, len = WEIR_MAX(at->len, (size_t)1), i;

	if (at->col == 0 || col > line.n)
		return;
	line = neighbourhood(line, &col, &len);
	put_gutter(o, at->line);
	put_shown(o, line);
	put(o, '\n');
	put_gutter(o, 0);
	for (i = 0; i < col; i += char_len(line, i))
		put(o, line.p[i] == '\t' ? '\t' : ' ');
	put(o, '^');
	for (i = col + (line.n > col ? char_len(line, col) : 1); i < col + len; i += char_len(line, i))
		put(o, '~');
	put(o, '\n');
}

static void
print(const char *level, const struct place *at, struct weir_str text)
{
	struct out o;

	o.n = 0;
	put_text(&o, STR("weir: ["));
	put_text(&o, str_c(level));
	put_text(&o, STR("] "));
	put_text(&o, text);
	put(&o, '\n');
	if (at->file != NULL)
		put_line(&o, at);
	fflush(stderr);
	fwrite(o.p, 1, o.n, stderr);
	fflush(stderr);
}

/* Has the log another place to write to than stderr, where it was printed already? */
static bool
has_file(const struct weir_log *log)
{
	const struct weir_log_out *o;

	for (o = log->outs; o != NULL; o = o->next)
		if (o->file->path != NULL)
			return true;
	return false;
}

/* Was it said before?  The text holds the place. */
static bool
is_repeated(struct weir_conf *cf, struct weir_str text)
{
	if (cf->said == NULL) {
		cf->said = pool_alloc(cf->pool, sizeof(*cf->said));
		hash_init(cf->said, cf->pool, false);
	}
	if (hash_get(cf->said, text) != NULL)
		return true;
	hash_put(cf->said, pool_str(cf->pool, text), cf);
	return false;
}

/* `FILE:LINE:COL: name: text`, cut when it is too long; returns its length. */
static WEIR_PRINTF(4, 0) size_t
compose(char *to, const struct place *at, struct weir_str name, const char *fmt, va_list ap)
{
	int n = 0, more;

	if (at->file != NULL)
		n = snprintf(to, TEXT_MAX, "%.1024s:%u:%u: %.*s%s", at->file->path, at->line,
		    at->col, (int)WEIR_MIN(name.n, (size_t)100), name.n != 0 ? name.p : "",
		    name.n != 0 ? ": " : "");
	if (n < 0)
		n = 0;
	more = vsnprintf(to + n, TEXT_MAX - (size_t)n, fmt, ap);
	if (more < 0)
		return (size_t)n;
	if (n + more < TEXT_MAX)
		return (size_t)(n + more);
	memcpy(to + TEXT_MAX - 4, "...", 4);
	return TEXT_MAX - 1;
}

static WEIR_PRINTF(5, 0) void
say(struct weir_conf *cf, enum weir_level lvl, const struct place *at, struct weir_str name,
    const char *fmt, va_list ap)
{
	char		text[TEXT_MAX];
	struct weir_str	s;
	bool		again;

	if (lvl == LOG_EMERG_ ? cf->errors++, cf->told >= CONF_ERRORS_MAX
	    : cf->warnings++ >= CONF_ERRORS_MAX) {
		cf->unsaid += lvl == LOG_EMERG_;
		return;
	}
	s = str_of(text, compose(text, at, name, fmt, ap));
	again = is_repeated(cf, s);
	if (again)
		return;
	cf->told += lvl == LOG_EMERG_;
	if (cf->to_stderr && !(cf->quiet && lvl > LOG_ERROR_))
		print(log_level_name(lvl), at, s);
	if (cf->log != NULL && (!cf->to_stderr || has_file(cf->log)))
		log_at(cf->log, lvl, 0, "%.*s", STR_ARG(s));
}

static struct place
place_of(const struct weir_node *n, unsigned w)
{
	const struct weir_conf_word *word;

	if (n == NULL || n->n == 0 || n->file == NULL)
		return (struct place){ .file = NULL };
	word = &n->w[WEIR_MIN(w, n->n - 1)];
	return (struct place){ n->file, word->line, word->col,
		word->s.n + (word->quoted ? 2 : 0) };
}

static struct weir_str
name_of(const struct weir_node *n)
{
	return n != NULL && n->n != 0 ? n->w[0].s : STR_NONE;
}

int
conf_error(struct weir_conf *cf, const struct weir_node *n, unsigned w, const char *fmt, ...)
{
	struct place	at = place_of(n, w);
	va_list		ap;

	va_start(ap, fmt);
	say(cf, LOG_EMERG_, &at, name_of(n), fmt, ap);
	va_end(ap);
	return WEIR_FAIL;
}

int
conf_warn(struct weir_conf *cf, const struct weir_node *n, unsigned w, const char *fmt, ...)
{
	struct place	at = place_of(n, w);
	va_list		ap;

	va_start(ap, fmt);
	say(cf, LOG_WARN_, &at, name_of(n), fmt, ap);
	va_end(ap);
	return WEIR_OK;
}

int
error_at(struct weir_conf *cf, const struct place *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(cf, LOG_EMERG_, at, STR_NONE, fmt, ap);
	va_end(ap);
	return WEIR_FAIL;
}

void
error_count(struct weir_conf *cf)
{
	static const struct place nowhere;
	char		text[64];
	int		n;

	if (cf->unsaid == 0)
		return;
	n = snprintf(text, sizeof(text), "%u more error%s", cf->unsaid, cf->unsaid == 1 ? "" : "s");
	cf->unsaid = 0;
	if (cf->to_stderr)
		print(log_level_name(LOG_EMERG_), &nowhere, str_of(text, (size_t)n));
	if (cf->log != NULL && (!cf->to_stderr || has_file(cf->log)))
		log_at(cf->log, LOG_EMERG_, 0, "%s", text);
}

/* One edit in a short word, two in one of six letters or more, three from twelve on. */
static unsigned
edits_allowed(size_t n)
{
	return n < 3 ? 0 : n < 6 ? 1 : n < 12 ? 2 : 3;
}

const char *
conf_nearest(struct weir_str word, const char *const *words, unsigned n)
{
	unsigned	 most = edits_allowed(word.n), i, d;
	const char	*best = NULL;

	/* No name is that long, and distances cost a product of lengths. */
	if (word.n > 64)
		return NULL;
	for (i = 0; i < n; i++) {
		d = str_distance(word, str_c(words[i]), most);
		if (d > most)
			continue;
		best = words[i];
		if (d == 0)
			break;
		most = d - 1;
	}
	return best;
}
