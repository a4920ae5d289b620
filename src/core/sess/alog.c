/*
 * alog.c - access_log: where a place logs to; records.
 */
#include "config.h"
#include "core/base/mem.h"
#include "core/base/num.h"
#include "core/net/syslog.h"
#include "core/sess/alog_parts.h"

#define BUFFER_DEFAULT	(64u << 10)
#define BUFFER_MAX	(64u << 20)
#define SCRATCH_KEPT	(64u << 10)	/* a larger record's memory is given back */

struct weir_alog {			/* one access_log */
	struct weir_alog	*next;
	const struct weir_format *format;
	struct weir_expr	 when;		/* if=, when set */
	/* One of these: */
	struct alog_buffer	*buffer;
	struct weir_syslog	*syslog;
	struct alog_path	*path;
};

/* ---- records ---- */

/* Room for one record, until the next one. */
static char *
scratch(size_t n)
{
	static char	*p;
	static size_t	 size;

	if (size >= n && (size <= SCRATCH_KEPT || n > SCRATCH_KEPT))
		return p;
	mem_free(p);
	size = WEIR_MAX(n, (size_t)4096);
	return p = mem_alloc(size);
}

static size_t
put_line(const struct weir_record *rec, char *to)
{
	char *end = format_put(rec, to);

	*end++ = '\n';
	return (size_t)(end - to);
}

static void
write_record(struct weir_sess *s, const struct weir_alog *t, struct weir_alog_cache *cache)
{
	struct alog_buffer	*b = t->buffer;
	struct weir_record	 rec;
	size_t			 most = format_begin(&rec, t->format, s) + 1, n;
	char			*p;

	if (b != NULL && b->size != 0 && b->p == NULL)
		alog_buffer_make(b);
	if (b != NULL && b->size - b->used >= most) {
		alog_buffer_added(b, put_line(&rec, b->p + b->used));
		return;
	}
	p = scratch(most);
	n = put_line(&rec, p);
	if (b != NULL)
		alog_buffer_put(b, p, n);
	else if (t->syslog != NULL)
		syslog_put(t->syslog, p, n - 1);
	else
		alog_path_put(s, t->path, cache, str_of(p, n));
}

void
alog_write(struct weir_sess *s, const struct weir_alogs *logs, struct weir_alog_cache *cache)
{
	const struct weir_alog *t;

	if (logs->off)
		return;
	for (t = logs->first; t != NULL; t = t->next)
		if (!t->when.set || expr_true(expr_eval(s, &t->when)))
			write_record(s, t, cache);
}

/* ---- configuration ---- */

struct weir_alog_all *
alog_new(struct weir_pool *pool, const struct weir_alog_kind *kind)
{
	struct weir_alog_all *all = POOL_NEW(pool, weir_alog_all);

	all->kind = kind;
	hash_init(&all->formats, pool, false);
	return all;
}

static int
read_buffer(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str value,
    struct alog_buffer *b)
{
	uint64_t size;

	if (conf_size(cf, node, w, value, &size) != WEIR_OK)
		return WEIR_FAIL;
	if (size == 0 || size > BUFFER_MAX)
		return conf_error(cf, node, w, "a buffer has from 1 byte to 64m");
	b->size = size;
	return WEIR_OK;
}

static int
read_flush(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str value,
    struct alog_buffer *b)
{
	if (conf_msec(cf, node, w, value, &b->flush_ms) != WEIR_OK)
		return WEIR_FAIL;
	return b->flush_ms != 0 ? WEIR_OK : conf_error(cf, node, w, "invalid flush time \"%.*s\"",
	    STR_ARG(value));
}

/* `value` empty: none was given. */
static int
read_gzip(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str value,
    struct alog_buffer *b)
{
#ifdef HAVE_ZLIB
	uint64_t level = ALOG_GZIP_LEVEL;

	if (!str_eq(node->w[w].s, STR("gzip")) &&
	    (num_u64(value, &level) != WEIR_OK || level < 1 || level > 9))
		return conf_error(cf, node, w, "invalid compression level \"%.*s\": it is from 1 to 9",
		    STR_ARG(value));
	if (b->size == 0)
		b->size = BUFFER_DEFAULT;
	b->gzip = (int)level;
	return WEIR_OK;
#else
	(void)value, (void)b;
	return conf_error(cf, node, w, "this weir was built without zlib and cannot compress logs");
#endif
}

static int
read_param(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_alog *t,
    struct alog_buffer *b)
{
	static const char *const known[] = { "buffer=", "flush=", "gzip", "gzip=", "if=", NULL };
	struct weir_str value = STR_NONE;

	if (conf_param(node, w, "buffer", &value))
		return read_buffer(cf, node, w, value, b);
	if (conf_param(node, w, "flush", &value))
		return read_flush(cf, node, w, value, b);
	if (str_eq(node->w[w].s, STR("gzip")) || conf_param(node, w, "gzip", &value))
		return read_gzip(cf, node, w, value, b);
	if (conf_param(node, w, "if", &value))
		return expr_compile(cf, node, w, value, &t->when);
	return conf_bad_param(cf, node, w, known);
}

static bool
has_variables(struct weir_str path)
{
	return str_chr(path, '$') >= 0;
}

/* Words from 3 on. */
static int
read_params(struct weir_conf *cf, const struct weir_node *node, struct weir_alog *t,
    struct alog_buffer *b)
{
	struct weir_str	path = node->w[1].s;
	unsigned	w;

	for (w = 3; w < node->n; w++)
		if (read_param(cf, node, w, t, b) != WEIR_OK)
			return WEIR_FAIL;
	if (b->flush_ms != 0 && b->size == 0)
		return conf_error(cf, node, 0, "no buffer is defined for access_log \"%.*s\"",
		    STR_ARG(path));
	if (b->size != 0 && is_syslog(path))
		return conf_error(cf, node, 1, "logs to syslog cannot be buffered");
	if (b->size != 0 && has_variables(path))
		return conf_error(cf, node, 1, "buffered logs cannot have variables in name");
	return WEIR_OK;
}

static int
find_place(struct weir_conf *cf, const struct weir_node *node, struct weir_alog_all *all,
    struct weir_alog *t, const struct alog_buffer *like)
{
	struct weir_str path = node->w[1].s;

	if (is_syslog(path))
		t->syslog = syslog_read(cf, node, 1);
	else if (has_variables(path))
		t->path = alog_path(cf, node, all->kind);
	else
		t->buffer = alog_buffer(cf, node, all, like);
	return t->syslog != NULL || t->path != NULL || t->buffer != NULL ? WEIR_OK : WEIR_FAIL;
}

int
alog_set(struct weir_conf *cf, struct weir_node *node, struct weir_alog_all *all,
    struct weir_alogs *to)
{
	struct alog_buffer	 like = { .next = NULL };
	struct weir_alog	*t = POOL_NEW(cf->pool, weir_alog), **at;

	if (str_eq(node->w[1].s, STR("off"))) {
		to->off = true;
		return node->n == 2 ? WEIR_OK :
		    conf_error(cf, node, 2, "access_log off has no parameters");
	}
	if (node->w[1].s.n == 0)
		return conf_error(cf, node, 1, "the file has no name");
	t->format = alog_format(cf, node, 2, all);
	if (t->format == NULL || read_params(cf, node, t, &like) != WEIR_OK ||
	    find_place(cf, node, all, t, &like) != WEIR_OK)
		return WEIR_FAIL;
	for (at = &to->first; *at != NULL; at = &(*at)->next)
		;
	*at = t;
	return WEIR_OK;
}
