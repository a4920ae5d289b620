/*
 * sites.c - the servers of an address: which of them does a connection mean?
 */
#include "core/site/site.h"
#include "core/tls/server_conf.h"

const struct weir_site_addr *
site_addr_of(const struct weir_listen *l)
{
	const struct weir_site_addr	*a = l->owner;

	assert(a != NULL && a->listen == l);
	return a;
}

struct weir_site *
site_default(const struct weir_listen *l)
{
	return site_addr_of(l)->dflt;
}

struct weir_site *
site_named(const struct weir_listen *l, struct weir_sess *s, struct weir_str name)
{
	const struct weir_site_addr	*a = site_addr_of(l);
	void				*site;

	/* With one server every name means it; a regex is still asked for its captures. */
	if (a->n_sites == 1 && a->names.n == 0 && !a->through)
		return a->dflt;
	switch (names_find(&a->names, s, name, &site)) {
	case WEIR_OK:
		return site;
	case WEIR_AGAIN:
		return a->dflt;
	default:
		return NULL;
	}
}

const struct weir_tls_ctx *
site_tls(const struct weir_listen *l)
{
	const struct weir_site_addr	*a = site_addr_of(l);

	return a->ssl != NULL ? tls_ctx_of(a->dflt->scope) : NULL;
}

struct weir_site *
site_tls_name(const struct weir_listen *l, struct weir_str name)
{
	const struct weir_site_addr	*a = site_addr_of(l);
	void				*found;
	struct weir_site		*site;

	if (name.n == 0 || names_find(&a->names, NULL, name, &found) != WEIR_OK)
		return a->dflt;
	site = found;
	return !site->through ? site : a->dflt;	/* who asked for something else before */
}

struct weir_site *
site_through(const struct weir_listen *l, struct weir_str name)
{
	const struct weir_site_addr	*a = site_addr_of(l);
	void				*found;
	struct weir_site		*site;

	if (name.n == 0 || names_find(&a->names, NULL, name, &found) != WEIR_OK)
		return NULL;
	site = found;
	return site->through ? site : NULL;
}

const struct weir_tls_ctx *
site_tls_of(const struct weir_listen *l, const struct weir_site *site)
{
	const struct weir_tls_ctx	*ctx = tls_ctx_of(site->scope);

	return ctx != NULL ? ctx : tls_ctx_of(site_addr_of(l)->dflt->scope);
}
