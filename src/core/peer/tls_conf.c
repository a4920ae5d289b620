/*
 * tls_conf.c - the directives proxy_ssl_*.
 *
 * A context is made where TLS is used, and shared by all places that say the same.
 */
#include <netinet/in.h>

#include "core/base/hash.h"
#include "core/peer/tls_conf.h"

struct proxy_ssl_conf {
	struct weir_tls_opts	 o;
	int			 protocols;
	int			 verify;		/* VERIFY_AUTO ... */
	bool			 sni, reuse, insecure;
	struct weir_expr	 name;
	struct weir_tls_ctx	*ctx;
};

enum { PEER_AUTO, PEER_ON, PEER_OFF };		/* verify */

static unsigned index_;

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

void
peer_tls(struct weir_sess *s, struct weir_peer *peer, struct weir_str host, struct weir_tls_connect *to)
{
	const struct proxy_ssl_conf *c = s->conf[index_];

	to->ctx = c->ctx;
	to->name = bare_host(c->name.set ? expr_eval(s, &c->name) : host);
	to->sni = c->sni;
	to->verify = c->verify == PEER_ON || (c->verify == PEER_AUTO && !is_local(&peer->addr));
	to->sessions = c->reuse ? &peer->tls : NULL;
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
	return set_word(cf, node, (path), &((struct proxy_ssl_conf *)conf)->o.name);	\
}

WORD_SETTER(passwords, true)
WORD_SETTER(trusted, true)
WORD_SETTER(crl, true)
WORD_SETTER(ciphers, false)
WORD_SETTER(curves, false)

/* One certificate: the last in a place counts, as there can be only one. */
static int
set_one(struct weir_conf *cf, struct weir_node *node, struct weir_tls_words *to)
{
	struct weir_tls_word w;

	if (node->w[1].s.n == 0) {		/* none, whatever the block around says */
		memset(to, 0, sizeof *to);
		return WEIR_OK;
	}
	if (set_word(cf, node, true, &w) != WEIR_OK)
		return WEIR_FAIL;
	memset(to, 0, sizeof *to);
	*POOL_PUSH(cf->pool, to) = w;
	return WEIR_OK;
}

static int
set_certificate(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return set_one(cf, node, &((struct proxy_ssl_conf *)conf)->o.certificates);
}

static int
set_key(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return set_one(cf, node, &((struct proxy_ssl_conf *)conf)->o.keys);
}

static int
set_name(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return expr_field(cf, node, 1, &((struct proxy_ssl_conf *)conf)->name);
}

static int
set_command(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_tls_words *to = &((struct proxy_ssl_conf *)conf)->o.commands;

	(void)scope;
	*POOL_PUSH(cf->pool, to) = word_at(cf, node, 1, false);
	*POOL_PUSH(cf->pool, to) = word_at(cf, node, 2, false);
	return WEIR_OK;
}

static int
set_protocols(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct proxy_ssl_conf *c = conf;
	unsigned bits;

	(void)scope;
	if (tls_protocols(cf, node, &bits) != WEIR_OK)
		return WEIR_FAIL;
	c->protocols = (int)bits;
	return WEIR_OK;
}

/* ---- contexts ---- */

int
peer_tls_need(struct weir_conf *cf, struct weir_scope *scope)
{
	struct proxy_ssl_conf *c = conf_of(scope, &proxy_ssl_module);

	if (c->ctx != NULL)
		return WEIR_OK;
	c->o.protocols = (unsigned)c->protocols;
	c->o.verify = c->verify == PEER_OFF ? VERIFY_OFF : VERIFY_ON;
	c->ctx = tls_client_ctx(cf, scope->node, &c->o);
	return c->ctx != NULL ? WEIR_OK : WEIR_FAIL;
}

/* A place with words of its own wants a context of its own; all of the block is known now. */
static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct proxy_ssl_conf *c = conf;
	bool needed = c->ctx != NULL;	/* by the place around, and so perhaps here */

	if (scope == cf->main) {
		c->protocols = TLS_V1_2 | TLS_V1_3;
		return WEIR_OK;
	}
	c->ctx = NULL;
	if (c->verify == PEER_OFF && !c->insecure)
		return conf_error(cf, conf_written(scope, &proxy_ssl_module, "proxy_ssl_verify") != NULL ?
		    conf_written(scope, &proxy_ssl_module, "proxy_ssl_verify") : scope->node, 0,
		    "without verification anybody can be the upstream: say \"proxy_ssl_trusted_certificate\" "
		    "and \"proxy_ssl_name\", or \"allow_insecure_upstream on\" when that is what you want");
	return needed ? peer_tls_need(cf, scope) : WEIR_OK;
}

static const struct weir_choice verify_words[] = {
	{ "auto", PEER_AUTO }, { "on", PEER_ON }, { "off", PEER_OFF }, { NULL, 0 }
};

#define ONE(fn, word)	CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = (fn), .args = (word)

static const struct weir_cmd cmds[] = {
	{ "proxy_ssl_certificate", IN_HTTP_ANY, ONE(set_certificate, "file"),
	  .doc = "The certificate that upstreams are shown, in PEM, with its chain.  Empty: none." },
	{ "proxy_ssl_certificate_key", IN_HTTP_ANY, ONE(set_key, "file"),
	  .doc = "Its key." },
	{ "proxy_ssl_password_file", IN_HTTP_ANY, ONE(set_passwords, "file"),
	  .doc = "Passwords of the key, one on each line." },
	{ "proxy_ssl_ciphers", IN_HTTP_ANY, ONE(set_ciphers, "ciphers"),
	  .doc = "Ciphers that are offered for TLSv1.2." },
	{ "proxy_ssl_ecdh_curve", IN_HTTP_ANY, ONE(set_curves, "groups | auto"),
	  .doc = "Groups that are offered, as ssl_ecdh_curve has them." },
	{ "proxy_ssl_protocols", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(proxy_ssl_conf, protocols), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_protocols, .args = "[TLSv1.2] [TLSv1.3]",
	  .doc = "Which versions of TLS are offered; both unless said otherwise." },
	{ "proxy_ssl_conf_command", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(proxy_ssl_conf, o.commands), .args_min = 2,
	  .args_max = 2, .set = set_command, .flags = CONF_MULTI, .args = "name value",
	  .doc = "A command of OpenSSL's, see SSL_CONF_cmd(3)." },
	{ "proxy_ssl_verify", IN_HTTP_ANY, CONF_ENUM, CONF_AT(proxy_ssl_conf, verify), .def = "auto",
	  .choices = verify_words,
	  .doc = "Whether the upstream's certificate must be signed by whom we trust, and have its name.  auto, the "
	  "default: unless the connection stays on this machine (loopback, unix sockets).  off needs "
	  "allow_insecure_upstream." },
	{ "allow_insecure_upstream", IN_HTTP_ANY, CONF_FLAG, CONF_AT(proxy_ssl_conf, insecure), .def = "off",
	  .doc = "Lets proxy_ssl_verify be off." },
	{ "proxy_ssl_verify_depth", IN_HTTP_ANY, CONF_INT, CONF_AT(proxy_ssl_conf, o.depth), .def = "5", .max = 100,
	  .doc = "How many certificates may stand between the upstream's and a root." },
	{ "proxy_ssl_trusted_certificate", IN_HTTP_ANY, ONE(set_trusted, "file"),
	  .doc = "Authorities that are trusted, in PEM, instead of those that the system trusts." },
	{ "proxy_ssl_crl", IN_HTTP_ANY, ONE(set_crl, "file"),
	  .doc = "Revoked certificates, in PEM." },
	{ "proxy_ssl_name", IN_HTTP_ANY, ONE(set_name, "name"),
	  .doc = "The name that the certificate must have, and that is asked for; the host of proxy_pass unless "
	  "said otherwise.  May contain variables." },
	{ "proxy_ssl_server_name", IN_HTTP_ANY, CONF_FLAG, CONF_AT(proxy_ssl_conf, sni), .def = "off",
	  .doc = "Whether upstreams are told which name is meant (SNI)." },
	{ "proxy_ssl_session_reuse", IN_HTTP_ANY, CONF_FLAG, CONF_AT(proxy_ssl_conf, reuse), .def = "on",
	  .doc = "Whether sessions with upstreams are resumed." },
	{ 0 }
};

const struct weir_module proxy_ssl_module = {
	.name = "proxy_ssl", .index = &index_, .conf_size = sizeof(struct proxy_ssl_conf),
	.cmds = cmds, .ready = ready,
	.doc = "TLS to upstreams.",
};
