/*
 * gzip.c - responses are compressed while they are sent.
 *
 * zlib's memory is taken when the first byte comes, so HEAD and empty responses cost nothing, and is
 * less for short ones.  When the source below has nothing more for now, what there is goes out in a
 * block of its own: a stream of events stays one.
 */
#include <zlib.h>

#include "core/base/mem.h"
#include "core/io/change.h"
#include "http/req/edit.h"
#include "http/req/gzip_ok.h"

enum { PIECE = 4096 };

struct gzip_conf {
	bool		 on;
	int64_t		 level, min_length;
	uint64_t	 buffers;	/* gzip_buffers: number times size */
	struct weir_media_types types;
};

struct gzip_run {
	struct weir_change change;
	z_stream	 z;
	int64_t		 length;	/* of what comes; -1: not known */
	int		 level;
	bool		 began;
	bool		 dirty;		/* something was put in since the last flush */
	uint64_t	 in, out;	/* bytes of the whole response, for $gzip_ratio */
};

static unsigned index_;
extern const struct weir_module gzip_module;

/* ---- zlib ---- */

static void *
z_take(void *opaque, unsigned n, unsigned size)
{
	(void)opaque;
	return mem_try((size_t)n * size);	/* more than the reserve can bear */
}

static void
z_give(void *opaque, void *p)
{
	(void)opaque;
	mem_free(p);
}

/* A window need not be larger than what is to be compressed (262: zlib's own look-ahead). */
static int
begin(struct gzip_run *g)
{
	int	bits = MAX_WBITS, mem = MAX_MEM_LEVEL - 1;

	for (; g->length > 0 && bits > 9 && g->length < (1 << (bits - 1)) - 262; bits--)
		mem = WEIR_MAX(mem - 1, 1);
	g->z.zalloc = z_take;
	g->z.zfree = z_give;
	if (deflateInit2(&g->z, g->level, Z_DEFLATED, bits + 16, mem, Z_DEFAULT_STRATEGY) != Z_OK) {
		g->change.src.err = "deflateInit2() failed";
		return WEIR_FAIL;
	}
	g->began = true;
	return WEIR_OK;
}

static void
on_end(struct weir_change *c)
{
	struct gzip_run	*g = WEIR_OF(c, struct gzip_run, change);

	if (!g->began)
		return;
	(void)deflateEnd(&g->z);
	mem_shed(1 << 18);
}

/* One call: *done tells that all is in, and out as far as `flush` asks for it. */
static int
deflate_some(struct gzip_run *g, int flush, bool *done)
{
	struct weir_bufq	*in = &g->change.in, *out = &g->change.out;
	struct weir_str		 part = bufq_first(in);
	size_t			 room;
	int			 rc;

	g->z.next_out = (Bytef *)bufq_room(out, PIECE, &room);
	g->z.avail_out = (unsigned)room;
	g->z.next_in = (Bytef *)(uintptr_t)part.p;
	g->z.avail_in = (unsigned)part.n;
	rc = deflate(&g->z, part.n == in->len ? flush : Z_NO_FLUSH);
	bufq_added(out, room - g->z.avail_out);
	bufq_drop(in, part.n - g->z.avail_in);
	g->in += part.n - g->z.avail_in;
	g->out += room - g->z.avail_out;
	*done = in->len == 0 && (flush == Z_FINISH ? rc == Z_STREAM_END : g->z.avail_out != 0);
	return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR ? WEIR_OK : WEIR_FAIL;
}

static int
on_run(struct weir_change *c, enum weir_change_how how)
{
	static const int	 flushes[] = { [CHANGE_MORE] = Z_NO_FLUSH, [CHANGE_FLUSH] = Z_SYNC_FLUSH,
				    [CHANGE_END] = Z_FINISH };
	struct gzip_run		*g = WEIR_OF(c, struct gzip_run, change);
	bool			 done = false;

	g->dirty |= c->in.len != 0;
	if (how != CHANGE_END && !g->dirty)
		return WEIR_OK;
	if (!g->began && begin(g) != WEIR_OK)
		return WEIR_FAIL;
	while (!done) {
		if (c->out.len >= c->enough)
			return WEIR_AGAIN;
		if (deflate_some(g, flushes[how], &done) != WEIR_OK) {
			c->src.err = "deflate() failed";
			return WEIR_FAIL;
		}
	}
	if (how == CHANGE_FLUSH)
		g->dirty = false;
	return WEIR_OK;
}

/* ---- the response ---- */

static void
on_free(void *arg)
{
	change_end(arg);
}

static void
wrap(struct weir_req *r, const struct gzip_conf *conf, int64_t length)
{
	struct gzip_run	**keep = sess_ctx_make(&r->s, index_, sizeof(*keep));
	struct gzip_run	*g = POOL_NEW(r->s.pool, gzip_run);

	*keep = g;
	g->length = length;
	g->level = (int)conf->level;
	g->change.run = on_run;
	g->change.end = on_end;
	g->change.enough = (size_t)conf->buffers;
	change_init(&g->change, r->body);
	pool_on_free(r->s.pool, on_free, &g->change);
	r->body = &g->change.src;
}

/* Is it worth it, whoever the client is? */
static bool
is_candidate(struct weir_req *r, const struct gzip_conf *conf)
{
	int	status = r->rsp.status;

	return conf->on && r->parent == NULL && (status == 200 || status == 403 || status == 404) &&
	    req_has_content(r) && (r->rsp.length < 0 || r->rsp.length >= conf->min_length) &&
	    fields_value(&r->rsp.fields, H_CONTENT_ENCODING).n == 0 &&
	    media_types_has(&conf->types, r);
}

static enum weir_next
on_response(struct weir_sess *s)
{
	struct weir_req		*r = req_of(s);
	const struct gzip_conf	*conf = REQ_CONF(r, gzip_conf, gzip_module);
	int64_t			 length = r->rsp.length;

	if (!is_candidate(r, conf))
		return WEIR_NEXT;
	coding_varies(r);
	if (coding_wanted(r, STR("gzip")) == 0 || !coding_allowed(r))
		return WEIR_NEXT;
	req_add(r, "Content-Encoding", STR("gzip"));
	req_length_unknown(r);
	req_etag_weaken(r);
	if (r->body != NULL)
		wrap(r, conf, length);
	return WEIR_NEXT;
}

/* ---- the module ---- */

/* 2.13: so many times shorter. */
static int
get_ratio(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct gzip_run	**keep = sess_ctx(s, index_);
	uint64_t	 hundredths;

	(void)data;
	if (keep == NULL || (*keep)->out == 0)
		return WEIR_FAIL;
	hundredths = ((*keep)->in * 1000 / (*keep)->out + 5) / 10;
	*to = pool_printf(s->pool, "%llu.%02u", (unsigned long long)(hundredths / 100),
	    (unsigned)(hundredths % 100));
	return WEIR_OK;
}

static int
set_types(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return media_types_set(cf, node, &((struct gzip_conf *)conf)->types);
}

static int
set_buffers(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	uint64_t	n, size;

	(void)scope;
	if (conf_u64(cf, node, 1, node->w[1].s, 1, 65536, &n) != WEIR_OK ||
	    conf_size(cf, node, 2, node->w[2].s, &size) != WEIR_OK)
		return WEIR_FAIL;
	if (size == 0 || size > INT32_MAX)
		return conf_error(cf, node, 2, "invalid size \"%.*s\"", STR_ARG(node->w[2].s));
	((struct gzip_conf *)conf)->buffers = n * size;
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "gzip", IN_HTTP_ANY | IN_IF, CONF_FLAG, CONF_AT(gzip_conf, on), .def = "off",
	  .doc = "Compresses responses for clients that say they take gzip.  Not those that are compressed already." },
	{ "gzip_types", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(gzip_conf, types), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_types, .flags = CONF_MULTI, .args = "mime-type ...",
	  .doc = "Media types of responses that are compressed, beside text/html; \"*\" stands for all." },
	{ "gzip_comp_level", IN_HTTP_ANY, CONF_INT, CONF_AT(gzip_conf, level), .def = "1", .min = 1,
	  .max = 9, .doc = "How much work is done for it: from 1, the least, to 9." },
	{ "gzip_min_length", IN_HTTP_ANY, CONF_INT, CONF_AT(gzip_conf, min_length), .def = "20",
	  .doc = "Responses whose Content-Length says less are not compressed." },
	{ "gzip_buffers", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(gzip_conf, buffers), .args_min = 2,
	  .args_max = 2, .set = set_buffers, .def = "32 4k", .args = "number size",
	  .doc = "How many compressed bytes are made before the client is given them: number times size." },
	{ 0 }
};

static const struct weir_var vars[] = {
	{ .name = "gzip_ratio", .get = get_ratio, .flags = VAR_VOLATILE,
	  .doc = "How many times shorter the response was made, by gzip." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return !((const struct gzip_conf *)conf)->on;
}

static const struct weir_hook hooks[] = { { ON_RESPONSE, on_response, idle }, { 0 } };

const struct weir_module gzip_module = {
	.name = "gzip", .index = &index_, .conf_size = sizeof(struct gzip_conf), .cmds = cmds,
	.vars = vars, .hooks = hooks,
	.doc = "Responses are compressed while they are sent.",
};
