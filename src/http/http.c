/*
 * http.c - the assembly: connections of http listeners are given to a codec.
 *
 * Upgrades come first: the PROXY header, then TLS, where that ends here.
 */
#include "core/base/mem.h"
#include "core/metric/metric.h"
#include "core/net/proxy_protocol.h"
#include "core/net/resolver.h"
#include "core/tls/look.h"
#include "http/h1/h1.h"
#include "http/h2/h2.h"
#include "http/req/req.h"
#include "http/up/links.h"
#include "stream/stream.h"

/* What a codec must know before a request tells its server: the words of the one that is meant so far. */
static const struct weir_serve *
serve_of(struct weir_http_server *server)
{
	struct weir_serve *s = server->serve;
	const struct weir_http_conf *c;

	if (s != NULL)
		return s;
	c = server->conf[*http_module.index];
	s = mem_zalloc(sizeof *s);
	s->conf = server->conf;
	s->log = http_log(c);
	s->header_ms = c->client_header_ms;
	s->keepalive_ms = (uint32_t)WEIR_MIN(c->keepalive_ms, (uint64_t)UINT32_MAX);
	s->line = (uint32_t)WEIR_MAX(c->header_buffer, c->large_size);
	s->total = (uint32_t)WEIR_MIN(c->header_buffer + c->large_n * c->large_size, 1u << 30);
	s->fields = (uint32_t)c->max_headers;
	s->large = (uint32_t)c->large_size;
	s->large_total = (uint32_t)WEIR_MIN(c->large_n * c->large_size, 1u << 30);
	s->ignore_invalid = c->ignore_invalid;
	s->underscores = c->underscores;
	s->on_xchg = req_begin;
	s->on_bad = req_begin_bad;
	server->serve = s;
	return s;
}

/* The server whose name was asked for in a handshake, or else the first one. */
static struct weir_http_server *
server_of(const struct weir_conn *c)
{
	struct weir_http_server *server = tls_owner(c);

	return server != NULL ? server : route_default(c->from);
}

static bool
speaks_h2(const struct weir_conn *c, const struct weir_http_server *server)
{
	return h2_is_on(server->conf) || route_http2(c->from);
}

static const struct weir_log *
log_of(const struct weir_conn *c)
{
	return http_log(route_default(c->from)->conf[*http_module.index]);
}

static const struct weir_tls_ctx *
find_tls(struct weir_conn *c, struct weir_str name, void **owner)
{
	struct weir_http_server *server = route_tls_name(c->from, name);
	const struct weir_tls_ctx *ctx = route_tls_of(c->from, server);

	*owner = server;
	return !tls_ctx_rejects(ctx) ? ctx : NULL;
}

static struct weir_str
spoken(struct weir_conn *c, void *owner)
{
	if (speaks_h2(c, owner))
		return STR("\x02h2" "\x08http/1.1" "\x08http/1.0");
	return STR("\x08http/1.1" "\x08http/1.0");
}

static struct weir_resolver *
resolver_for(struct weir_conn *c, void *owner, uint64_t *timeout_ms)
{
	const struct weir_http_server *server = owner;

	(void)c;
	return resolver_of(server->conf, timeout_ms);
}

static const char *const protos[] = { "http1", "http2", NULL };
static const char *const yes[] = { "no", "yes", NULL };
static struct weir_metric conns, through;

static const struct weir_metric_row rows[] = {
	{ "http_connections_total", METRIC_COUNTER, "Connections of clients on which HTTP was spoken.",
	  .labels = { { "proto", protos }, { "tls", yes } }, .at = &conns },
	{ "http_passthrough_connections_total", METRIC_COUNTER, "Connections of clients whose TLS was passed through.",
	  .at = &through },
	{ .name = NULL }
};

static void
begin(struct weir_conn *c, bool h2)
{
	metric_add(&conns, (h2 ? 2 : 0) + (c->layer != NULL), 1);
	(h2 ? &h2_codec : &h1_codec)->serve(c, serve_of(server_of(c)));
}

static void
on_tls(struct weir_conn *c, enum weir_tls_end how)
{
	if (how == TLS_FAIL || how == TLS_TIMEOUT) {
		conn_close(c);
		return;
	}
	if (how == TLS_PLAIN)
		c->flags |= CONN_NOT_TLS;
	begin(c, str_eq(tls_alpn(c), STR("h2")));
}

/* In the middle of a handshake there is nothing to lose but the time it took. */
static void
drain_handshake(struct weir_conn *c, enum weir_drain how)
{
	if (how == DRAIN_CUT)
		conn_close(c);
}

static void
secure(struct weir_conn *c, uint64_t ms)
{
	c->on_drain = drain_handshake;
	tls_accept(c, &(struct weir_tls_accept){ .ctx = site_tls(c->from), .find = find_tls, .alpn = spoken,
	    .resolver = resolver_for, .log = log_of(c), .timeout_ms = ms, .done = on_tls });
}

static void
on_look(struct weir_conn *c, struct weir_str name, uint64_t left_ms)
{
	struct weir_site *site = site_through(c->from, name);

	if (site == NULL) {
		secure(c, left_ms);
		return;
	}
	metric_add(&through, 0, 1);
	stream_take(c, stream_server(site));
}

static void
serve(struct weir_conn *c)
{
	const struct weir_tls_ctx *ctx = site_tls(c->from);
	struct weir_http_server *server = route_default(c->from);

	if (unlikely(c->layer != NULL)) {	/* stream has made the handshake, and passed the connection on */
		if (ctx == NULL)
			begin(c, str_eq(tls_alpn(c), STR("h2")));
		else
			conn_close(c);
		return;
	}
	if (ctx == NULL) {
		if (speaks_h2(c, server))
			h2_look(c, serve_of(server)->header_ms, begin);
		else
			begin(c, false);
		return;
	}
	if (unlikely(site_has_through(c->from)))
		hello_look(c, serve_of(server)->header_ms, on_look);
	else
		secure(c, serve_of(server)->header_ms);
}

/* Before it a proxy says who its client is. */
static void
on_proxied(struct weir_conn *c)
{
	void *const *conf = route_default(c->from)->conf;
	const struct weir_log *log = http_log(conf[*http_module.index]);

	if (c->from->proxied == PROXY_HEADER_TRUSTED &&
	    (sess_trusts == NULL || !sess_trusts(conf, &c->peer))) {
		proxy_complain(c, log, LOG_ERROR_, "client is not trusted to send a PROXY header");
		conn_close(c);
		return;
	}
	proxy_accept(c, serve_of(route_default(c->from))->header_ms, log, serve);
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
	group_start(weir_cycle->main->conf);
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
	.metrics = rows,
	.doc = "Connections are given to the codec of their protocol.",
};
