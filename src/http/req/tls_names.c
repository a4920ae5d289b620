/*
 * tls_names.c - names of certificates that have variables.
 *
 * In a handshake there is no request yet.  Variables are asked of one that is empty but for its connection
 * and its server.
 */
#include "core/tls/server_conf.h"
#include "http/req/core.h"
#include "http/req/req.h"
#include "http/req/steps.h"

struct names {
	struct weir_expr certificate[TLS_PAIRS_MAX], key[TLS_PAIRS_MAX];
	unsigned	 n;
	const char	*prefix;
};

static bool
name_of(struct weir_req *r, const struct weir_expr *e, const char *prefix, const char **to)
{
	struct weir_str s = expr_eval(&r->s, e);

	*to = tls_file_name(r->s.pool, prefix, s);
	if (*to == NULL)
		log_errorx(&r->s.log, "the name of a certificate would be \"%.*s\"", STR_ARG(s));
	return *to != NULL;
}

static bool
eval(struct weir_conn *c, void *owner, void *arg, struct weir_pool *pool, struct weir_tls_names *to)
{
	const struct names *names = arg;
	struct weir_xchg *x = POOL_NEW(pool, weir_xchg);
	struct weir_req *r;
	bool ok = true;

	x->magic = WEIR_XCHG_MAGIC;
	x->version = 0x101;
	x->conn = c;
	x->pool = pool;
	r = req_make(x);
	req_count--;		/* nobody waits for it */
	r->server = owner;
	r->s.conf = r->server->conf;
	for (to->n = 0; ok && to->n < names->n; to->n++)
		ok = name_of(r, &names->certificate[to->n], names->prefix, &to->certificate[to->n]) &&
		    name_of(r, &names->key[to->n], names->prefix, &to->key[to->n]);
	sess_release(&r->s);
	return ok;
}

int
tls_names_conf(struct weir_conf *cf, struct weir_http_server *server)
{
	struct weir_tls_dynamic *d = tls_dynamic_of(server->scope);
	struct names *names;

	if (d == NULL || d->eval != NULL)
		return WEIR_OK;
	names = POOL_NEW(cf->pool, names);
	names->prefix = cf->conf_prefix;
	for (; names->n < d->certificates.n; names->n++) {
		const struct weir_tls_word *c = &d->certificates.v[names->n], *k = &d->keys.v[names->n];

		if (expr_compile(cf, c->node, c->w, c->s, &names->certificate[names->n]) != WEIR_OK ||
		    expr_compile(cf, k->node, k->w, k->s, &names->key[names->n]) != WEIR_OK)
			return WEIR_FAIL;
	}
	d->eval = eval;
	d->arg = names;
	return WEIR_OK;
}
