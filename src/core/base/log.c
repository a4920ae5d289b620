/*
 * log.c - the error log: events become lines here, of text or of JSON.
 *
 * A line is made in a buffer on the stack, whatever goes wrong: no memory is
 * needed to say that there is none.  Each form is made once, and only when an output
 * wants it; both come from the same facts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/num.h"

#define VALUE_MAX	1024		/* bytes of a value in JSON, as it is written */
#define MESSAGE_MAX	3072		/* of the message */
#define MEMBER_LEAST	16		/* less is not worth a member */

static const char	 json_cut[] = ",\"cut\":true", json_end[] = "}\n";
static char		 pid_text[NUM_MAX];
static size_t		 pid_len;

static const char *const level_names[] = {
	[LOG_STDERR_] = "stderr", [LOG_EMERG_] = "emerg", [LOG_ALERT_] = "alert",
	[LOG_CRIT_] = "crit", [LOG_ERROR_] = "error", [LOG_WARN_] = "warn",
	[LOG_NOTICE_] = "notice", [LOG_INFO_] = "info", [LOG_DEBUG_] = "debug",
};

int
log_level(struct weir_str s, enum weir_level *to)
{
	unsigned i;

	for (i = LOG_EMERG_; i < WEIR_COUNT(level_names); i++)
		if (str_eq(s, str_c(level_names[i]))) {
			*to = i;
			return WEIR_OK;
		}
	return WEIR_FAIL;
}

const char *
log_level_name(enum weir_level lvl)
{
	return level_names[lvl];
}

void
log_pid_changed(void)
{
	pid_len = (size_t)(num_put(pid_text, (uint64_t)getpid()) - pid_text);
}

/*
 * A line of text.
 */

/* A line under construction; what no longer fits is forgotten, but noticed. */
struct weir_log_line {
	char	*at, *end;
	bool	 cut, json;
};

/* The text of one byte: itself or \xHH.  Returns its length. */
static size_t
escaped(char out[4], unsigned char c, bool quotes)
{
	static const char hex[] = "0123456789ABCDEF";

	if (likely(c >= 0x20 && c < 0x7f && !(quotes && (c == '"' || c == '\\')))) {
		out[0] = (char)c;
		return 1;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

/* Never leaves half an escape at the end; returns how much of `s` was taken. */
static size_t
escape_some(char **at, const char *end, struct weir_str s, bool quotes)
{
	char	out[4];
	size_t	i, n;

	for (i = 0; i < s.n; i++) {
		n = escaped(out, (unsigned char)s.p[i], quotes);
		if ((size_t)(end - *at) < n)
			break;
		memcpy(*at, out, n);
		*at += n;
	}
	return i;
}

size_t
log_escape(char *to, size_t room, struct weir_str s)
{
	char *at = to;

	escape_some(&at, to + room, s, true);
	return (size_t)(at - to);
}

static void
line_add(struct weir_log_line *l, struct weir_str s)
{
	if (!l->cut && escape_some(&l->at, l->end, s, false) < s.n)
		l->cut = true;
}

/* A number that may be negative, as errno of a library's making. */
static struct weir_str
number(char to[NUM_MAX + 1], int n)
{
	to[0] = '-';
	if (n < 0)
		return str_of(to, (size_t)(num_put(to + 1, 0 - (uint64_t)n) - to));
	return str_of(to, (size_t)(num_put(to, (uint64_t)n) - to));
}

static void
line_error(struct weir_log_line *l, int err)
{
	char tmp[NUM_MAX + 1], text[128];

	line_add(l, STR(" ("));
	line_add(l, number(tmp, err));
	line_add(l, STR(": "));
	line_add(l, str_c(strerror_r(err, text, sizeof(text))));
	line_add(l, STR(")"));
}

static void
line_head(struct weir_log_line *l, enum weir_level lvl, uint64_t id)
{
	char tmp[NUM_MAX];

	if (unlikely(pid_len == 0))
		log_pid_changed();
	line_add(l, clock_err_time());
	line_add(l, STR(" ["));
	line_add(l, str_c(level_names[lvl]));
	line_add(l, STR("] "));
	line_add(l, str_of(pid_text, pid_len));
	line_add(l, STR("#0: "));
	if (id == 0)
		return;
	line_add(l, STR("*"));
	line_add(l, str_of(tmp, (size_t)(num_put(tmp, id) - tmp)));
	line_add(l, STR(" "));
}

/* Returns the length; there is room for the mark and the newline behind the end. */
static size_t
line_end(struct weir_log_line *l, char *start)
{
	if (l->cut) {
		memcpy(l->at, "...", 3);
		l->at += 3;
	}
	*l->at++ = '\n';
	return (size_t)(l->at - start);
}

static void
line_fact(struct weir_log_line *l, const char *key, int how, const struct weir_str *s, unsigned n)
{
	line_add(l, STR(", "));
	line_add(l, str_c(key));
	line_add(l, how == FACT_QUOTED ? STR(": \"") : STR(": "));
	for (; n > 0; n--)
		line_add(l, *s++);
	if (how == FACT_QUOTED)
		line_add(l, STR("\""));
}

/* What happened, before it is written down. */
struct event {
	struct weir_log	*log;
	enum weir_level	 level;
	int		 err;
	struct weir_str	 text;
	bool		 cut;		/* of the text there was more */
};

static size_t
make_text(const struct event *e, char buf[LOG_LINE_MAX])
{
	struct weir_log_line l = { buf, buf + LOG_LINE_MAX - 4, false, false };

	line_head(&l, e->level, e->log->id);
	line_add(&l, e->text);
	l.cut |= e->cut;
	if (e->err != 0)
		line_error(&l, e->err);
	if (e->log->doing != NULL) {
		line_add(&l, STR(" while "));
		line_add(&l, str_c(e->log->doing));
	}
	if (e->log->who != NULL)
		e->log->who(e->log->arg, &l);
	return line_end(&l, buf);
}

/*
 * The same as a JSON object.  What a value has no room for is marked in it with "...", a member
 * without room is left out, and "cut" says that there was something like that.
 */

static void
json_raw(struct weir_log_line *l, struct weir_str s)
{
	memcpy(l->at, s.p, s.n);
	l->at += s.n;
}

/* ,"key": when there is room for it and for `more` bytes. */
static bool
json_key(struct weir_log_line *l, const char *key, size_t more)
{
	struct weir_str k = str_c(key);

	if ((size_t)(l->end - l->at) < k.n + 4 + more) {
		l->cut = true;
		return false;
	}
	json_raw(l, STR(",\""));
	json_raw(l, k);
	json_raw(l, STR("\":"));
	return true;
}

static void
json_number(struct weir_log_line *l, const char *key, struct weir_str s)
{
	if (json_key(l, key, s.n))
		json_raw(l, s);
}

/* A member made of n texts, of `most` bytes. */
static void
json_texts(struct weir_log_line *l, const char *key, size_t most, const struct weir_str *s,
    unsigned n)
{
	char *end;

	if (!json_key(l, key, MEMBER_LEAST))
		return;
	*l->at++ = '"';
	end = l->at + WEIR_MIN(most, (size_t)(l->end - l->at - 4));
	while (n > 0 && json_escape_some(&l->at, end, *s) == s->n) {
		s++;
		n--;
	}
	if (n > 0) {
		json_raw(l, STR("..."));
		l->cut = true;
	}
	*l->at++ = '"';
}

static void
json_text(struct weir_log_line *l, const char *key, struct weir_str s)
{
	json_texts(l, key, VALUE_MAX, &s, 1);
}

/* ISO 8601 with milliseconds. */
static void
json_time(struct weir_log_line *l)
{
	struct weir_str	t = clock_iso8601();
	unsigned	ms = (unsigned)(weir_wall_ms % 1000);
	char		dot[4] = { '.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
	    (char)('0' + ms % 10) };

	json_raw(l, STR("{\"time\":\""));
	json_raw(l, str_of(t.p, CLOCK_ERR_LEN));
	json_raw(l, str_of(dot, sizeof(dot)));
	json_raw(l, str_from(t, CLOCK_ERR_LEN));
	json_raw(l, STR("\""));
}

static void
json_head(struct weir_log_line *l, const struct event *e)
{
	char tmp[NUM_MAX + 1];

	if (unlikely(pid_len == 0))
		log_pid_changed();
	json_time(l);
	json_text(l, "level", str_c(level_names[e->level]));
	json_number(l, "pid", str_of(pid_text, pid_len));
	if (e->log->id != 0)
		json_number(l, "connection", str_of(tmp, (size_t)(num_put(tmp, e->log->id) - tmp)));
}

static size_t
make_json(const struct event *e, char buf[LOG_JSON_MAX])
{
	struct weir_log_line	l = { buf, buf + LOG_JSON_MAX - sizeof(json_cut) - sizeof(json_end),
	    e->cut, true };
	struct weir_str		message[2] = { e->text, e->cut ? STR("...") : STR("") };
	char			tmp[NUM_MAX + 1], text[128];

	json_head(&l, e);
	json_texts(&l, "message", MESSAGE_MAX, message, 2);
	if (e->err != 0) {
		json_number(&l, "errno", number(tmp, e->err));
		json_text(&l, "error", str_c(strerror_r(e->err, text, sizeof(text))));
	}
	if (e->log->doing != NULL)
		json_text(&l, "doing", str_c(e->log->doing));
	if (e->log->who != NULL)
		e->log->who(e->log->arg, &l);
	if (l.cut)
		json_raw(&l, str_c(json_cut));
	json_raw(&l, str_c(json_end));
	return (size_t)(l.at - buf);
}

bool
log_is_json(const struct weir_log_line *l)
{
	return l->json;
}

void
log_fact(struct weir_log_line *l, const char *key, int how, const struct weir_str *s, unsigned n)
{
	if (l->json)
		json_texts(l, key, VALUE_MAX, s, n);
	else
		line_fact(l, key, how, s, n);
}

/*
 * Events.
 */

static void
put(const struct weir_log_out *o, enum weir_level lvl, struct weir_str line)
{
	char		head[LOG_HEAD_MAX];
	struct iovec	v[2];

	if (o->head == NULL) {
		log_file_write(o->file, line.p, line.n);
		return;
	}
	v[0] = (struct iovec){ head, o->head(o, lvl, head) };
	v[1] = (struct iovec){ (void *)(uintptr_t)line.p, line.n - 1 };
	log_file_send(o->file, v, 2);
}

static void
write_event(const struct event *e)
{
	char			 text[LOG_LINE_MAX], json[LOG_JSON_MAX];
	struct weir_str		 as_text = STR_NONE, as_json = STR_NONE;
	const struct weir_log_out *o;

	for (o = e->log->outs; o != NULL; o = o->next) {
		if (o->level < e->level)
			continue;
		if (o->json && as_json.n == 0)
			as_json = str_of(json, make_json(e, json));
		else if (!o->json && as_text.n == 0)
			as_text = str_of(text, make_text(e, text));
		put(o, e->level, o->json ? as_json : as_text);
	}
}

void
log_write(struct weir_log *log, enum weir_level lvl, int err, const char *fmt, ...)
{
	char		text[LOG_LINE_MAX];
	struct event	e = { .log = log, .level = lvl, .err = err };
	va_list		ap;
	int		saved = errno, n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	e.text = str_of(text, n < 0 ? 0 : WEIR_MIN((size_t)n, sizeof(text) - 1));
	e.cut = n >= (int)sizeof(text);
	write_event(&e);
	errno = saved;
}

struct weir_log_out *
log_add(struct weir_pool *p, struct weir_log *l, struct weir_log_file *f, enum weir_level lvl)
{
	struct weir_log_out *o = POOL_NEW(p, weir_log_out), **at;

	o->file = f;
	o->level = lvl;
	for (at = &l->outs; *at != NULL; at = &(*at)->next)
		;
	*at = o;
	if (l->level < lvl)
		l->level = lvl;
	return o;
}

void
log_add_like(struct weir_pool *p, struct weir_log *l, const struct weir_log_out *like,
    enum weir_level lvl)
{
	struct weir_log_out *o = log_add(p, l, like->file, lvl);

	o->json = like->json;
	o->head = like->head;
	o->arg = like->arg;
}

int
log_crash_fd(const struct weir_log *l)
{
	const struct weir_log_out *o;

	for (o = l->outs; o != NULL; o = o->next)
		if (o->file->send == NULL && o->file->fd >= 0)
			return o->file->fd;
	return STDERR_FILENO;
}
