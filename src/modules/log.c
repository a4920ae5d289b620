/*
 * log.c - the access log: log_format and access_log.
 *
 * One record is one line.  Without a buffer a record is one write(2); with one, it is made at the
 * end of the buffer, which is written when it is full, when `flush` has passed, on USR1 and
 * at exit.  What cannot be written is dropped and counted by base/log.h.
 *
 * Buffers belong to a configuration's use of a file, so the process that parses a
 * new one never touches those of another; a worker makes them when first written to.
 */
#include "config.h"
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/base/num.h"
#include "core/sess/expr.h"
#include "core/sess/format.h"
#include "http/req/vars.h"

#define BUFFER_DEFAULT	(64u << 10)
#define SCRATCH_KEPT	(64u << 10)	/* a larger record's memory is given back */

extern const struct weir_module log_module;

struct buffer {				/* of one file in one configuration */
	struct buffer		*next;
	struct weir_log_file	*file;
	size_t			 size;		/* 0: records are written singly */
	uint64_t		 flush_ms;	/* 0: when it is full */
	char			*p;		/* NULL: not used yet */
	size_t			 used;
	struct weir_timer	 timer;
};

struct target {				/* one access_log */
	struct target		*next;
	struct buffer		*buffer;
	const struct weir_format *format;
	struct weir_expr	 when;		/* if=, when set */
};

struct shared {				/* of a configuration */
	struct weir_hash	 formats;
	struct buffer		*buffers;
};

struct log_conf {
	struct target		*targets;	/* NULL: off */
	struct shared		*shared;
};

static unsigned module_index;

/* ---- what is written without being made first ---- */

static char *
put_status(struct weir_sess *s, char *to)
{
	req_put_status(to, req_of(s));
	return to + REQ_STATUS_LEN;
}

static char *
put_bytes_sent(struct weir_sess *s, char *to)
{
	const struct weir_req *r = req_of(s);

	return num_put(to, r->x != NULL ? r->x->sent : r->body_sent);
}

static char *
put_body_bytes_sent(struct weir_sess *s, char *to)
{
	return num_put(to, req_of(s)->body_sent);
}

static char *
put_request_length(struct weir_sess *s, char *to)
{
	return num_put(to, req_length(req_of(s)));
}

static char *
put_request_time(struct weir_sess *s, char *to)
{
	return put_seconds(to, weir_now_ms - s->began_ms);
}

static const struct weir_format_direct direct[] = {
	{ "status", REQ_STATUS_LEN, put_status },
	{ "body_bytes_sent", NUM_MAX, put_body_bytes_sent },
	{ "bytes_sent", NUM_MAX, put_bytes_sent },
	{ "request_length", NUM_MAX, put_request_length },
	{ "request_time", NUM_MAX + 4, put_request_time },
	{ NULL, 0, NULL }
};

/* ---- buffers ---- */

static void
flush_buffer(struct weir_log_file *file, void *arg)
{
	struct buffer	*b = arg;
	size_t		 n = b->used;

	timer_off(&b->timer);
	b->used = 0;
	log_file_write(file, b->p, n);
}

static void
on_timer(struct weir_timer *t)
{
	struct buffer *b = WEIR_OF(t, struct buffer, timer);

	flush_buffer(b->file, b);
}

/* The configuration goes, with the buffer in it. */
static void
buffer_free(void *arg)
{
	struct buffer *b = arg;

	if (b->p == NULL)
		return;
	flush_buffer(b->file, b);
	if (b->file->flush_arg == b) {
		b->file->flush = NULL;
		b->file->flush_arg = NULL;
	}
	mem_free(b->p);
}

/* In this process, for the first time.  Another configuration's buffer makes way. */
static void
buffer_make(struct buffer *b)
{
	if (b->file->flush != NULL)
		b->file->flush(b->file, b->file->flush_arg);
	b->p = mem_alloc(b->size);
	timer_init(&b->timer, on_timer);
	b->file->flush = flush_buffer;
	b->file->flush_arg = b;
}

static void
buffer_added(struct buffer *b, size_t n)
{
	if (b->used == 0 && b->flush_ms != 0)
		timer_set(&b->timer, b->flush_ms);
	b->used += n;
}

/* A finished record. */
static void
buffer_put(struct buffer *b, const char *p, size_t n)
{
	if (b->size - b->used < n)
		flush_buffer(b->file, b);
	if (n > b->size) {
		log_file_write(b->file, p, n);
		return;
	}
	memcpy(b->p + b->used, p, n);
	buffer_added(b, n);
}

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
write_record(struct weir_sess *s, const struct target *t)
{
	struct buffer		*b = t->buffer;
	struct weir_record	 rec;
	size_t			 most = format_begin(&rec, t->format, s) + 1, n;
	char			*p;

	if (b->size != 0 && b->p == NULL)
		buffer_make(b);
	if (b->size - b->used >= most) {
		buffer_added(b, put_line(&rec, b->p + b->used));
		return;
	}
	p = scratch(most);
	n = put_line(&rec, p);
	if (b->size != 0)
		buffer_put(b, p, n);
	else
		log_file_write(b->file, p, n);
}

static enum weir_next
on_log(struct weir_sess *s)
{
	const struct log_conf	*c = SESS_CONF(s, module_index);
	const struct target	*t;

	for (t = c->targets; t != NULL; t = t->next)
		if (!t->when.set || expr_true(expr_eval(s, &t->when)))
			write_record(s, t);
	return WEIR_NEXT;
}

/* ---- log_format ---- */

static const struct { const char *word; enum weir_format_escape escape; } escape_words[] = {
	{ "default", FORMAT_DEFAULT }, { "json", FORMAT_JSON }, { "none", FORMAT_NONE },
};

static int
read_escape(struct weir_conf *cf, const struct weir_node *node, struct weir_str word,
    enum weir_format_escape *to)
{
	unsigned i;

	for (i = 0; i < WEIR_COUNT(escape_words); i++)
		if (str_eq(word, str_c(escape_words[i].word))) {
			*to = escape_words[i].escape;
			return WEIR_OK;
		}
	return conf_error(cf, node, 2, "unknown log format escaping \"%.*s\": it is one of default, "
	    "json and none", STR_ARG(word));
}

static int
set_log_format(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct log_conf		*c = conf;
	struct weir_str		 name = node->w[1].s, word;
	enum weir_format_escape	 escape = FORMAT_DEFAULT;
	struct weir_format	*f;
	unsigned		 w = 2;

	(void)scope;
	if (str_eq(name, STR("combined")) || hash_get(&c->shared->formats, name) != NULL)
		return conf_error(cf, node, 1, "duplicate \"log_format\" name \"%.*s\"",
		    STR_ARG(name));
	if (conf_param(node, 2, "escape", &word)) {
		if (read_escape(cf, node, word, &escape) != WEIR_OK)
			return WEIR_FAIL;
		if (++w == node->n)
			return conf_error(cf, node, 2, "the format \"%.*s\" is empty", STR_ARG(name));
	}
	f = format_new(cf, escape, direct);
	for (; w < node->n; w++)
		if (format_add(cf, f, node, w, node->w[w].s) != WEIR_OK)
			return WEIR_FAIL;
	hash_put(&c->shared->formats, name, f);
	return WEIR_OK;
}

/* The predefined format is made when it is used for the first time. */
static struct weir_format *
combined(struct weir_conf *cf, struct shared *all, const struct weir_node *node)
{
	struct weir_format *f = hash_get(&all->formats, STR("combined"));

	if (f != NULL)
		return f;
	f = format_new(cf, FORMAT_DEFAULT, direct);
	if (format_add(cf, f, node, 0, STR("$remote_addr - $remote_user [$time_local] \"$request\" "
	    "$status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"")) != WEIR_OK)
		return NULL;
	hash_put(&all->formats, STR("combined"), f);
	return f;
}

static int
unknown_format(struct weir_conf *cf, const struct weir_node *node, struct shared *all)
{
	const char			*names[64], *like;
	const struct weir_hash_slot	*slot;
	unsigned			 i, n = 0;

	names[n++] = "combined";
	for (i = 0; n < WEIR_COUNT(names) && (slot = hash_next(&all->formats, &i)) != NULL; )
		names[n++] = pool_cstr(cf->pool, slot->key);
	like = conf_nearest(node->w[2].s, names, n);
	return conf_error(cf, node, 2, "unknown log format \"%.*s\"%s%s%s", STR_ARG(node->w[2].s),
	    like != NULL ? ", did you mean \"" : "", like != NULL ? like : "",
	    like != NULL ? "\"?" : "");
}

static int
find_format(struct weir_conf *cf, const struct weir_node *node, struct shared *all,
    const struct weir_format **to)
{
	struct weir_str name = node->n > 2 ? node->w[2].s : STR("combined");

	*to = str_eq(name, STR("combined")) ? combined(cf, all, node)
	    : hash_get(&all->formats, name);
	return *to != NULL ? WEIR_OK : unknown_format(cf, node, all);
}

/* ---- access_log ---- */

/* Words from 3 on. */
static int
read_params(struct weir_conf *cf, const struct weir_node *node, struct target *t,
    struct buffer *b)
{
	static const char *const known[] = { "buffer=", "flush=", "if=", NULL };
	struct weir_str	value;
	uint64_t	size;
	unsigned	w;
	int		rc = WEIR_OK;

	for (w = 3; w < node->n && rc == WEIR_OK; w++) {
		if (conf_param(node, w, "buffer", &value)) {
			rc = conf_size(cf, node, w, value, &size);
			if (rc == WEIR_OK && (size == 0 || size > (64u << 20)))
				rc = conf_error(cf, node, w, "a buffer has from 1 byte to 64m");
			b->size = size;
		} else if (conf_param(node, w, "flush", &value)) {
			rc = conf_msec(cf, node, w, value, &b->flush_ms);
			if (rc == WEIR_OK && b->flush_ms == 0)
				rc = conf_error(cf, node, w, "invalid flush time \"%.*s\"",
				    STR_ARG(value));
		} else if (conf_param(node, w, "if", &value)) {
			rc = expr_compile(cf, node, w, value, &t->when);
		} else if (str_eq(node->w[w].s, STR("gzip")) || conf_param(node, w, "gzip", &value)) {
			rc = conf_error(cf, node, w, "weir does not compress its logs: leave that to "
			    "whoever rotates them");
		} else {
			rc = conf_bad_param(cf, node, w, known);
		}
	}
	if (rc == WEIR_OK && b->flush_ms != 0 && b->size == 0)
		return conf_error(cf, node, 0, "no buffer is defined for access_log \"%.*s\"",
		    STR_ARG(node->w[1].s));
	return rc;
}

/* The same file has the same buffer everywhere. */
static int
find_buffer(struct weir_conf *cf, const struct weir_node *node, struct shared *all,
    const struct buffer *like, struct buffer **to)
{
	struct weir_log_file	*file = log_file(conf_path(cf, node->w[1].s, false).p);
	struct buffer		*b;

	if (file == NULL)
		return conf_error(cf, node, 1, "cannot open \"%s\" (%d: %s)",
		    conf_path(cf, node->w[1].s, false).p, errno, strerror(errno));
	for (b = all->buffers; b != NULL && b->file != file; b = b->next)
		;
	*to = b;
	if (b != NULL && (b->size != like->size || b->flush_ms != like->flush_ms))
		return conf_error(cf, node, 1, "access_log \"%.*s\" already defined with conflicting "
		    "parameters", STR_ARG(node->w[1].s));
	if (b != NULL)
		return WEIR_OK;
	*to = b = pool_dup(cf->pool, like, sizeof(*like));
	b->file = file;
	b->next = all->buffers;
	all->buffers = b;
	pool_on_free(cf->pool, buffer_free, b);
	return WEIR_OK;
}

static int
check_path(struct weir_conf *cf, const struct weir_node *node)
{
	struct weir_str path = node->w[1].s;

	if (path.n == 0)
		return conf_error(cf, node, 1, "the file has no name");
	if (str_begins(path, STR("syslog:")))
		return conf_error(cf, node, 1, "access_log cannot write to syslog yet; name a file");
	if (str_chr(path, '$') >= 0)
		return conf_error(cf, node, 1, "the name of an access log cannot have variables yet");
	return WEIR_OK;
}

static int
set_access_log(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct log_conf	*c = conf;
	struct target	*t = POOL_NEW(cf->pool, target), **at;
	struct buffer	 b = { .next = NULL };

	(void)scope;
	if (str_eq(node->w[1].s, STR("off"))) {
		if (node->n > 2)
			return conf_error(cf, node, 2, "access_log off has no parameters");
		c->targets = NULL;
		return WEIR_OK;
	}
	if (check_path(cf, node) != WEIR_OK ||
	    find_format(cf, node, c->shared, &t->format) != WEIR_OK ||
	    read_params(cf, node, t, &b) != WEIR_OK ||
	    find_buffer(cf, node, c->shared, &b, &t->buffer) != WEIR_OK)
		return WEIR_FAIL;
	for (at = &c->targets; *at != NULL; at = &(*at)->next)
		;
	*at = t;
	return WEIR_OK;
}

/* ---- the module ---- */

/*
 * Where http{} says nothing, it is as if it had said so: then the default is read by the
 * same rules, and a mistake in it is shown with a place.
 */
static void
add_default(struct weir_conf *cf, struct weir_node *http)
{
	struct weir_node	**at, *n;
	static const char *const  words[] = { "access_log", WEIR_HTTP_LOG_PATH, "combined" };
	unsigned		  i;

	for (at = &http->child; *at != NULL; at = &(*at)->next)
		if (str_eq((*at)->w[0].s, STR("access_log")))
			return;
	n = pool_alloc(cf->pool, sizeof(*n));
	*n = *http;
	n->next = n->child = NULL;
	n->block = false;
	n->n = WEIR_COUNT(words);
	n->w = pool_alloc(cf->pool, sizeof(words) / sizeof(words[0]) * sizeof(*n->w));
	for (i = 0; i < n->n; i++) {
		n->w[i] = http->w[0];
		n->w[i].s = str_c(words[i]);
	}
	*at = n;
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct log_conf		*c = conf;
	struct weir_node	*n;

	if (scope->parent != NULL)
		return WEIR_OK;
	c->shared = POOL_NEW(cf->pool, shared);
	hash_init(&c->shared->formats, cf->pool, false);
	for (n = cf->root->child; n != NULL; n = n->next)
		if (str_eq(n->w[0].s, STR("http")) && n->block)
			add_default(cf, n);
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "log_format", IN_HTTP, CONF_CUSTOM, .args_min = 2, .args_max = CONF_ANY,
	  .set = set_log_format, .flags = CONF_MULTI,
	  .args = "name [escape=default|json|none] string ...",
	  .doc = "Name a format for access_log: a text with variables; several strings are put "
	  "together.  escape=default writes control characters, bytes above 126, quotes and backslashes "
	  "as \\xHH and \"-\" where there is no value; json what a JSON string may hold, and nothing where "
	  "there is no value; none all but line ends as it is.  Of a value, the first 8192 bytes are "
	  "logged and \"...\" marks the cut." },
	{ "access_log", IN_HTTP_ANY | IN_IF | IN_LIMIT, CONF_CUSTOM, CONF_AT(log_conf, targets),
	  .args_min = 1, .args_max = CONF_ANY, .set = set_access_log, .flags = CONF_MULTI,
	  .args = "path [format [buffer=size] [flush=time] [if=condition]] | off",
	  .doc = "Log each request into a file, in the format \"combined\" unless another is named; "
	  "logs/access.log unless said otherwise.  Several may stand in one block.  With a buffer "
	  "lines are written when it is full, when the flush time has passed, on USR1 and at exit.  "
	  "Nothing is logged when the condition is empty or \"0\".  off: none of them." },
	{ 0 }
};

static const struct weir_hook hooks[] = { { ON_LOG, on_log }, { .fn = NULL } };

const struct weir_module log_module = {
	.name = "log", .index = &module_index, .conf_size = sizeof(struct log_conf),
	.cmds = cmds, .ready = ready, .hooks = hooks, .stop = log_flush,
	.doc = "Access logs in any format.",
};
