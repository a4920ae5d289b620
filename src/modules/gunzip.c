/*
 * gunzip.c - what comes compressed is unpacked for clients that do not take gzip.
 *
 * Nothing but zlib's window (32 kB) and what is on its way is held, however much comes out.  All the same a
 * few bytes must not become gigabytes for whoever asks: there is a limit to the ratio.
 */
#include <zlib.h>

#include "core/base/mem.h"
#include "core/io/change.h"
#include "http/req/edit.h"
#include "http/req/gzip_ok.h"

enum {
	PIECE = 4096,
	RATIO_FREE = 1 << 20		/* so much may come out whatever the ratio */
};

struct gunzip_conf {
	bool		 on;
	uint64_t	 buffers;	/* gunzip_buffers: number times size */
	int64_t		 max_ratio;
	uint64_t	 max_size;
};

struct gunzip_run {
	struct weir_change change;
	const struct gunzip_conf *conf;
	z_stream	 z;
	bool		 began;
	bool		 ended;		/* of a member of the file; there may be others */
	bool		 full;		/* zlib filled all the room: there may be more */
	uint64_t	 in, out;
};

static unsigned index_;
extern const struct weir_module gunzip_module;

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

static int
begin(struct gunzip_run *g)
{
	int	rc;

	if (g->began) {
		rc = inflateReset(&g->z);
	} else {
		g->z.zalloc = z_take;
		g->z.zfree = z_give;
		rc = inflateInit2(&g->z, MAX_WBITS + 16);
	}
	g->began = true;
	g->ended = false;
	return rc == Z_OK ? WEIR_OK : WEIR_FAIL;
}

static void
on_end(struct weir_change *c)
{
	struct gunzip_run	*g = WEIR_OF(c, struct gunzip_run, change);

	if (!g->began)
		return;
	(void)inflateEnd(&g->z);
	mem_shed(1 << 15);
}

static int
inflate_some(struct gunzip_run *g)
{
	struct weir_bufq	*in = &g->change.in, *out = &g->change.out;
	struct weir_str		 part = bufq_first(in);
	size_t			 room;
	int			 rc;

	g->z.next_out = (Bytef *)bufq_room(out, PIECE, &room);
	g->z.avail_out = (unsigned)room;
	g->z.next_in = (Bytef *)(uintptr_t)part.p;
	g->z.avail_in = (unsigned)part.n;
	rc = inflate(&g->z, Z_NO_FLUSH);
	bufq_added(out, room - g->z.avail_out);
	bufq_drop(in, part.n - g->z.avail_in);
	g->in += part.n - g->z.avail_in;
	g->out += room - g->z.avail_out;
	g->ended = rc == Z_STREAM_END;
	g->full = g->z.avail_out == 0 && !g->ended;
	return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR ? WEIR_OK : WEIR_FAIL;
}

static const char *
beyond(const struct gunzip_run *g)
{
	const struct gunzip_conf	*conf = g->conf;

	if (conf->max_size != 0 && g->out > conf->max_size)
		return "a compressed response becomes larger than gunzip_max_size";
	if (conf->max_ratio != 0 && g->out > RATIO_FREE && g->out / (uint64_t)conf->max_ratio > g->in)
		return "a compressed response becomes larger than gunzip_max_ratio allows";
	return NULL;
}

static int
on_run(struct weir_change *c, enum weir_change_how how)
{
	struct gunzip_run	*g = WEIR_OF(c, struct gunzip_run, change);

	while (c->in.len != 0 || g->full) {
		if (c->out.len >= c->enough)
			return WEIR_AGAIN;
		if ((!g->began || g->ended) && begin(g) != WEIR_OK)
			c->src.err = "inflateInit2() failed";
		else if (inflate_some(g) != WEIR_OK)
			c->src.err = "a compressed response is malformed";
		else
			c->src.err = beyond(g);
		if (c->src.err != NULL)
			return WEIR_FAIL;
	}
	if (how == CHANGE_END && g->began && !g->ended) {
		c->src.err = "a compressed response ended too early";
		return WEIR_FAIL;
	}
	return WEIR_OK;
}

/* ---- the response ---- */

static void
on_free(void *arg)
{
	change_end(arg);
}

static void
wrap(struct weir_req *r, const struct gunzip_conf *conf)
{
	struct gunzip_run	*g = POOL_NEW(r->s.pool, gunzip_run);

	g->conf = conf;
	g->change.run = on_run;
	g->change.end = on_end;
	g->change.enough = (size_t)conf->buffers;
	change_init(&g->change, r->body);
	pool_on_free(r->s.pool, on_free, &g->change);
	r->body = &g->change.src;
}

static enum weir_next
on_response(struct weir_sess *s)
{
	struct weir_req			*r = req_of(s);
	const struct gunzip_conf	*conf = REQ_CONF(r, gunzip_conf, gunzip_module);

	if (!conf->on || !str_ieq(fields_value(&r->rsp.fields, H_CONTENT_ENCODING), STR("gzip")))
		return WEIR_NEXT;
	coding_varies(r);
	/* who includes a sub-request's response wants to read it */
	if (r->parent == NULL && coding_wanted(r, STR("gzip")) != 0 && coding_allowed(r))
		return WEIR_NEXT;
	fields_remove_known(&r->rsp.fields, H_CONTENT_ENCODING);
	if (r->rsp.length != 0)
		req_length_unknown(r);
	req_etag_weaken(r);
	if (r->body != NULL)
		wrap(r, conf);
	return WEIR_NEXT;
}

/* ---- the module ---- */

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
	((struct gunzip_conf *)conf)->buffers = n * size;
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "gunzip", IN_HTTP_ANY, CONF_FLAG, CONF_AT(gunzip_conf, on), .def = "off",
	  .doc = "Unpacks responses that come compressed with gzip, for clients that do not take them so." },
	{ "gunzip_buffers", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(gunzip_conf, buffers), .args_min = 2,
	  .args_max = 2, .set = set_buffers, .def = "32 4k", .args = "number size",
	  .doc = "How many bytes are unpacked before the client is given them: number times size." },
	{ "gunzip_max_ratio", IN_HTTP_ANY, CONF_INT, CONF_AT(gunzip_conf, max_ratio), .def = "500",
	  .doc = "Unpacking ends, and the response is cut, where it has become more than a megabyte and so many "
	  "times longer than what came; 0: no limit." },
	{ "gunzip_max_size", IN_HTTP_ANY, CONF_SIZE, CONF_AT(gunzip_conf, max_size), .def = "0",
	  .doc = "Unpacking ends, and the response is cut, after so many bytes; 0, the default: no limit." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return !((const struct gunzip_conf *)conf)->on;
}

static const struct weir_hook hooks[] = { { ON_RESPONSE, on_response, idle }, { 0 } };

const struct weir_module gunzip_module = {
	.name = "gunzip", .index = &index_, .conf_size = sizeof(struct gunzip_conf), .cmds = cmds,
	.hooks = hooks,
	.doc = "What comes compressed is unpacked for clients that do not take it so.",
};
