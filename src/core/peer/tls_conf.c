/*
 * tls_conf.c - the directives proxy_ssl_* and grpc_ssl_*, whose rows are in tls_rows.h.
 *
 * A context is made where TLS is used, and shared by all places that say the same.
 */
#include <netinet/in.h>

#include "core/base/hash.h"
#include "core/peer/tls_conf.h"
#include "core/tls/server_conf.h"

struct ssl_conf {
	struct weir_tls_opts	 o;
	int			 protocols;
	int			 verify;		/* VERIFY_AUTO ... */
	bool			 sni, reuse, insecure;
	struct weir_expr	 name;
	struct weir_expr	 certificate, key;	/* when o.dynamic */
	const char		*prefix;		/* of their names */
	struct {
		struct weir_expr *v;
		unsigned	  n, room;
	}			 alpns;
	struct weir_tls_ctx	*ctx;
};

enum { PEER_AUTO, PEER_ON, PEER_OFF };		/* verify */

static unsigned proxy_index, grpc_index;

/* ---- connections ---- */

static bool
is_local(const struct weir_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	if (a->sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
	return a->sa.sa_family == AF_UNIX;
}

/* "host:port" or "[::1]:port" without the port and the brackets. */
static struct weir_str
bare_host(struct weir_str host)
{
	ssize_t at;

	if (host.n != 0 && host.p[0] == '[') {
		at = str_chr(host, ']');
		return at > 0 ? str_of(host.p + 1, (size_t)at - 1) : host;
	}
	at = str_chr(host, ':');
	return at >= 0 ? str_of(host.p, (size_t)at) : host;
}

/* What we show, when that depends on the session.  False: there is no such name, and that was logged. */
static bool
choose_shown(struct weir_sess *s, const struct ssl_conf *c, struct weir_tls_connect *to)
{
	struct weir_str certificate = expr_eval(s, &c->certificate), key;
	struct weir_tls_names *names;

	if (certificate.n == 0)
		return true;
	key = expr_eval(s, &c->key);
	names = POOL_NEW(s->pool, weir_tls_names);
	names->n = 1;
	names->certificate[0] = tls_file_name(s->pool, c->prefix, certificate);
	names->key[0] = tls_file_name(s->pool, c->prefix, key);
	to->shown = names;
	if (names->certificate[0] != NULL && names->key[0] != NULL)
		return true;
	log_errorx(&s->log, "the name of a certificate%s would be \"%.*s\"", names->certificate[0] == NULL ? "" : " key",
	    STR_ARG(names->certificate[0] == NULL ? certificate : key));
	return false;
}

/* What proxy_ssl_alpn says: words that come to nothing are left out. */
static struct weir_str
choose_alpns(struct weir_sess *s, const struct ssl_conf *c)
{
	char *to = pool_bytes(s->pool, c->alpns.n * 256), *at = to;

	for (unsigned i = 0; i < c->alpns.n; i++) {
		struct weir_str one = expr_eval(s, &c->alpns.v[i]);

		if (one.n == 0 || one.n > 255)
			continue;
		*at++ = (char)one.n;
		memcpy(at, one.p, one.n);
		at += one.n;
	}
	return str_of(to, (size_t)(at - to));
}

bool
peer_tls(struct weir_sess *s, const struct weir_module *m, struct weir_peer *peer, struct weir_str host,
    struct weir_tls_connect *to)
{
	const struct ssl_conf *c = s->conf[*m->index];

	to->ctx = c->ctx;
	to->name = bare_host(c->name.set ? expr_eval(s, &c->name) : host);
	to->sni = c->sni;
	to->verify = c->verify == PEER_ON || (c->verify == PEER_AUTO && !is_local(&peer->addr));
	to->sessions = c->reuse ? &peer->tls : NULL;
	to->shown = NULL;
	if (c->alpns.n != 0)
		to->alpns = choose_alpns(s, c);
	return !c->o.dynamic || choose_shown(s, c, to);
}

void
peer_tls_plain(void *const *conf, const struct weir_module *m, const struct weir_addr *a, struct weir_str host,
    struct weir_tls_connect *to)
{
	const struct ssl_conf *c = conf[*m->index];

	to->ctx = c->ctx;
	to->name = bare_host(c->name.set && expr_is_const(&c->name) ? c->name.source : host);
	to->sni = c->sni;
	to->verify = c->verify == PEER_ON || (c->verify == PEER_AUTO && !is_local(a));
	to->sessions = NULL;
	to->shown = NULL;
}

bool
peer_tls_varies(const struct weir_scope *s, const struct weir_module *m)
{
	const struct ssl_conf *c = conf_of(s, m);

	return (c->name.set && !expr_is_const(&c->name) && !str_eq(c->name.source, STR("$proxy_host"))) ||
	    tls_has_variables(&c->o.certificates) || tls_has_variables(&c->o.keys);
}

uint64_t
peer_tls_kind(const struct weir_tls_connect *a)
{
	char b[sizeof a->ctx + 2 + 256];
	size_t n = WEIR_MIN(a->name.n, (size_t)256);

	memcpy(b, &a->ctx, sizeof a->ctx);
	b[sizeof a->ctx] = a->sni;
	b[sizeof a->ctx + 1] = a->verify;
	memcpy(b + sizeof a->ctx + 2, a->name.p, n);
	return siphash(b, sizeof a->ctx + 2 + n) | 1;
}

/* ---- directives ---- */

static struct weir_tls_word
word_at(struct weir_conf *cf, const struct weir_node *node, unsigned w, bool path)
{
	return (struct weir_tls_word){ .node = node, .w = w,
	    .s = path ? conf_path(cf, node->w[w].s, true) : node->w[w].s };
}

static int
set_word(struct weir_conf *cf, struct weir_node *node, bool path, struct weir_tls_word *to)
{
	if (node->w[1].s.n == 0)
		return conf_error(cf, node, 1, "it is empty");
	if (path && str_chr(node->w[1].s, '$') >= 0)
		return conf_error(cf, node, 1, "the name of this file cannot have variables");
	*to = word_at(cf, node, 1, path);
	return WEIR_OK;
}

#define WORD_SETTER(name, path)								\
static int										\
set_##name(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)	\
{											\
	(void)scope;									\
	return set_word(cf, node, (path), &((struct ssl_conf *)conf)->o.name);	\
}

WORD_SETTER(passwords, true)
WORD_SETTER(trusted, true)
WORD_SETTER(crl, true)
WORD_SETTER(ciphers, false)
WORD_SETTER(curves, false)

/* One certificate: the last in a place counts, as there can be only one. */
static int
set_one(struct weir_conf *cf, struct weir_node *node, struct weir_tls_words *to, struct weir_expr *e)
{
	struct weir_str s = node->w[1].s;

	memset(to, 0, sizeof *to);
	if (s.n == 0)		/* none, whatever the block around says */
		return WEIR_OK;
	if (str_begins(s, STR("engine:")) || str_begins(s, STR("data:")) || str_begins(s, STR("store:")))
		return conf_error(cf, node, 1, "weir reads certificates and keys from files only");
	*POOL_PUSH(cf->pool, to) = word_at(cf, node, 1, str_chr(s, '$') < 0);
	return expr_field(cf, node, 1, e);
}

static int
set_certificate(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct ssl_conf *c = conf;

	(void)scope;
	return set_one(cf, node, &c->o.certificates, &c->certificate);
}

static int
set_key(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct ssl_conf *c = conf;

	(void)scope;
	return set_one(cf, node, &c->o.keys, &c->key);
}

static int
set_cache(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return tls_cache_conf(cf, node, &((struct ssl_conf *)conf)->o);
}

static int
set_name(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return expr_field(cf, node, 1, &((struct ssl_conf *)conf)->name);
}

static int
set_alpn(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct ssl_conf *c = conf;

	(void)scope;
	memset(&c->alpns, 0, sizeof c->alpns);
	for (unsigned w = 1; w < node->n; w++) {
		struct weir_expr *e = POOL_PUSH(cf->pool, &c->alpns);

		if (node->w[w].s.n == 0 || node->w[w].s.n > 255)
			return conf_error(cf, node, w, "the name of a protocol has from 1 to 255 bytes");
		if (expr_compile(cf, node, w, node->w[w].s, e) != WEIR_OK)
			return WEIR_FAIL;
	}
	return WEIR_OK;
}

static int
set_command(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_tls_words *to = &((struct ssl_conf *)conf)->o.commands;

	(void)scope;
	*POOL_PUSH(cf->pool, to) = word_at(cf, node, 1, false);
	*POOL_PUSH(cf->pool, to) = word_at(cf, node, 2, false);
	return WEIR_OK;
}

static int
set_protocols(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct ssl_conf *c = conf;
	unsigned bits;

	(void)scope;
	if (tls_protocols(cf, node, &bits) != WEIR_OK)
		return WEIR_FAIL;
	c->protocols = (int)bits;
	return WEIR_OK;
}

/* ---- contexts ---- */

int
peer_tls_need(struct weir_conf *cf, struct weir_scope *scope, const struct weir_module *m)
{
	struct ssl_conf *c = conf_of(scope, m);

	if (c->ctx != NULL)
		return WEIR_OK;
	c->o.protocols = (unsigned)c->protocols;
	c->o.key_mode = tls_key_mode_of(scope);
	c->o.verify = c->verify == PEER_OFF ? VERIFY_OFF : VERIFY_ON;
	c->o.dynamic = c->o.certificates.n != 0 &&
	    (tls_has_variables(&c->o.certificates) || tls_has_variables(&c->o.keys));
	c->prefix = cf->conf_prefix;
	c->ctx = tls_client_ctx(cf, scope->node, &c->o);
	return c->ctx != NULL ? WEIR_OK : WEIR_FAIL;
}

/* A place with words of its own wants a context of its own; all of the block is known now. */
static int
ready(struct weir_conf *cf, struct weir_scope *scope, const struct weir_module *m, const char *verify)
{
	struct ssl_conf *c = conf_of(scope, m);
	const struct ssl_conf *allowed = conf_of(scope, &proxy_ssl_module);	/* where allow_insecure_upstream is */
	const struct weir_node *written = conf_written(scope, m, verify);
	bool needed = c->ctx != NULL;	/* by the place around, and so perhaps here */

	if (scope == cf->main) {
		c->protocols = TLS_V1_2 | TLS_V1_3;
		return WEIR_OK;
	}
	c->ctx = NULL;
	if (c->verify == PEER_OFF && !allowed->insecure)
		return conf_error(cf, written != NULL ? written : scope->node, 0,
		    "without verification anybody can be the upstream: say \"%.*s_trusted_certificate\" "
		    "and \"%.*s_name\", or \"allow_insecure_upstream on\" when that is what you want",
		    (int)strlen(verify) - 7, verify, (int)strlen(verify) - 7, verify);
	return needed ? peer_tls_need(cf, scope, m) : WEIR_OK;
}

static int
proxy_ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	(void)conf;
	return ready(cf, scope, &proxy_ssl_module, "proxy_ssl_verify");
}

static int
grpc_ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	(void)conf;
	return ready(cf, scope, &grpc_ssl_module, "grpc_ssl_verify");
}

static const struct weir_choice verify_words[] = {
	{ "auto", PEER_AUTO }, { "on", PEER_ON }, { "off", PEER_OFF }, { NULL, 0 }
};

#define ONE(fn, word)	CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = (fn), .args = (word)

static const struct weir_cmd proxy_cmds[] = {
#define P "proxy_ssl_"
#define PLACES (IN_HTTP_ANY | IN_STREAM_ANY)
#include "core/peer/tls_rows.h"
#undef P
#undef PLACES
	{ "proxy_ssl_alpn", IN_STREAM_ANY, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_alpn,
	  .args = "protocol ...",
	  .doc = "The protocols above TLS that upstreams are offered (ALPN), the best first.  May contain variables; what is empty then is "
	  "left out." },
	{ "allow_insecure_upstream", IN_HTTP_ANY | IN_STREAM_ANY, CONF_FLAG, CONF_AT(ssl_conf, insecure), .def = "off",
	  .doc = "Lets proxy_ssl_verify be off." },
	{ 0 }
};

const struct weir_module proxy_ssl_module = {
	.name = "proxy_ssl", .index = &proxy_index, .conf_size = sizeof(struct ssl_conf),
	.cmds = proxy_cmds, .ready = proxy_ready,
	.doc = "TLS to upstreams.",
};

static const struct weir_cmd grpc_cmds[] = {
#define P "grpc_ssl_"
#define PLACES IN_HTTP_ANY
#include "core/peer/tls_rows.h"
#undef P
#undef PLACES
	{ 0 }
};

const struct weir_module grpc_ssl_module = {
	.name = "grpc_ssl", .index = &grpc_index, .conf_size = sizeof(struct ssl_conf),
	.cmds = grpc_cmds, .ready = grpc_ready,
	.doc = "TLS to gRPC servers.",
};
