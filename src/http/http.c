/*
 * http.c - the assembly: connections of http listeners are given to a codec.
 *
 * With TLS the codec will be looked up by the ALPN name; a clear connection speaks HTTP/1.
 */
#include "core/base/mem.h"
#include "core/net/proxy_protocol.h"
#include "http/h1/h1.h"
#include "http/req/req.h"
#include "http/up/links.h"

/* What the codec must know before a request tells its server: the default server's words. */
static const struct weir_serve *
serve_of(struct weir_listen *l)
{
	struct weir_serve *s = l->serve;
	const struct weir_http_conf *c;

	if (s != NULL)
		return s;
	c = route_default(l)->conf[*http_module.index];
	s = mem_zalloc(sizeof *s);
	s->header_ms = c->client_header_ms;
	s->line = (uint32_t)WEIR_MAX(c->header_buffer, c->large_size);
	s->total = (uint32_t)WEIR_MIN(c->header_buffer + c->large_n * c->large_size, 1u << 30);
	s->fields = (uint32_t)c->max_headers;
	s->ignore_invalid = c->ignore_invalid;
	s->underscores = c->underscores;
	s->on_xchg = req_begin;
	s->on_bad = req_begin_bad;
	l->serve = s;
	return s;
}

static void
serve(struct weir_conn *c)
{
	h1_codec.serve(c, serve_of(c->from));
}

/* Before it a proxy says who its client is. */
static void
on_proxied(struct weir_conn *c)
{
	void *const *conf = route_default(c->from)->conf;
	const struct weir_log *log = http_log(conf[*http_module.index]);

	if (c->from->proxied == PROXY_HEADER_TRUSTED &&
	    (http_trusts == NULL || !http_trusts(conf, &c->peer))) {
		proxy_complain(c, log, LOG_ERROR_, "client is not trusted to send a PROXY header");
		conn_close(c);
		return;
	}
	proxy_accept(c, serve_of(c->from)->header_ms, log, serve);
}

static void
on_conn(struct weir_conn *c)
{
	if (unlikely(c->from->proxied != PROXY_HEADER_NO))
		on_proxied(c);
	else
		serve(c);
}

static int
start(void)
{
	http_on_conn = on_conn;
	return WEIR_OK;
}

static void
stop(void)
{
	links_end_all();
}

static unsigned index_;

const struct weir_module http_serve_module = {
	.name = "http_serve", .index = &index_, .start = start, .stop = stop,
	.doc = "Connections are given to the codec of their protocol.",
};
