/*
 * tls_names.c - names of certificates that have variables.
 *
 * In a handshake there is no request, or none of stream's hooks has run yet.  So variables are asked of a session that
 * the room makes for it.
 */
#include "core/sess/expr.h"
#include "core/site/site.h"
#include "core/tls/server_conf.h"

struct names {
	struct weir_expr certificate[TLS_PAIRS_MAX], key[TLS_PAIRS_MAX];
	unsigned	 n;
	const char	*prefix;
	struct weir_sess *(*make)(struct weir_conn *, void *owner, struct weir_pool *);
};

static bool
name_of(struct weir_sess *s, const struct weir_expr *e, const char *prefix, const char **to)
{
	struct weir_str text = expr_eval(s, e);

	*to = tls_file_name(s->pool, prefix, text);
	if (*to == NULL)
		log_errorx(&s->log, "the name of a certificate would be \"%.*s\"", STR_ARG(text));
	return *to != NULL;
}

static bool
eval(struct weir_conn *c, void *owner, void *arg, struct weir_pool *pool, struct weir_tls_names *to)
{
	const struct names *names = arg;
	struct weir_sess *s = names->make(c, owner, pool);
	bool ok = true;

	for (to->n = 0; ok && to->n < names->n; to->n++)
		ok = name_of(s, &names->certificate[to->n], names->prefix, &to->certificate[to->n]) &&
		    name_of(s, &names->key[to->n], names->prefix, &to->key[to->n]);
	sess_release(s);
	return ok;
}

int
site_tls_names(struct weir_conf *cf, const struct weir_scope *scope,
    struct weir_sess *(*make)(struct weir_conn *, void *owner, struct weir_pool *))
{
	struct weir_tls_dynamic *d = tls_dynamic_of(scope);
	struct names *names;

	if (d == NULL || d->eval != NULL)
		return WEIR_OK;
	names = POOL_NEW(cf->pool, names);
	names->prefix = cf->conf_prefix;
	names->make = make;
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
