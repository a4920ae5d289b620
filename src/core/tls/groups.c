/*
 * groups.c - the names of key exchange groups.
 */
#include <strings.h>

#include <openssl/err.h>

#include "core/tls/ctx_ssl.h"
#include "core/tls/groups.h"

/* Names that configurations have and TLS has not. */
static const struct { const char *name, *why; } hints[] = {
	{ "kyber768", "Kyber was a draft: the standard is MLKEM768" },
	{ "kyber512", "Kyber was a draft: the standard is MLKEM512" },
	{ "kyber1024", "Kyber was a draft: the standard is MLKEM1024" },
	{ "x25519_kyber768", "Kyber was a draft: the standard is X25519MLKEM768" },
	{ "x25519kyber768draft00", "Kyber was a draft: the standard is X25519MLKEM768" },
	{ "x25519mlkem1024", "TLS has no such group: SecP384r1MLKEM1024 is as strong" },
	{ "x448mlkem1024", "TLS has no such group: SecP384r1MLKEM1024 is as strong" },
};

static const char *
hint_for(struct weir_str name)
{
	for (unsigned i = 0; i < WEIR_COUNT(hints); i++)
		if (str_ieq(name, str_c(hints[i].name)))
			return hints[i].why;
	return NULL;
}

static bool
is_known(SSL_CTX *probe, const char *name)
{
	bool known = SSL_CTX_set1_groups_list(probe, name) == 1;

	ERR_clear_error();
	return known;
}

static int
check(struct weir_conf *cf, const struct weir_tls_word *w, SSL_CTX *probe, struct weir_str name)
{
	const char *hint = hint_for(name);

	if (hint != NULL)
		return conf_error(cf, w->node, w->w, "there is no group \"%.*s\": %s", STR_ARG(name), hint);
	if (name.n == 0 || !is_known(probe, pool_cstr(cf->pool, name)))
		return conf_error(cf, w->node, w->w, "OpenSSL does not know the group \"%.*s\"",
		    STR_ARG(name));
	return WEIR_OK;
}

/* Up to the next separator; takes it out of `rest`, and sets *more when there was one. */
static struct weir_str
next_name(struct weir_str *rest, bool *more)
{
	struct weir_str name = *rest;
	size_t n = 0;

	while (n < rest->n && rest->p[n] != ':' && rest->p[n] != '/')
		n++;
	*more = n < rest->n;
	*rest = str_from(*rest, n + *more);
	name.n = n;
	while (name.n != 0 && (*name.p == '*' || *name.p == '?' || *name.p == '-'))
		name = str_from(name, 1);
	return name;
}

const char *
groups_list(struct weir_conf *cf, const struct weir_tls_word *w)
{
	struct weir_str rest = w->s;
	SSL_CTX *probe;
	int rc = WEIR_OK;

	if (rest.n == 0 || str_eq(rest, STR("auto")))
		return TLS_GROUPS_DEFAULT;
	probe = SSL_CTX_new(TLS_method());
	assert(probe != NULL);
	for (bool more = true; more && rc == WEIR_OK; )
		rc = check(cf, w, probe, next_name(&rest, &more));
	SSL_CTX_free(probe);
	return rc == WEIR_OK ? pool_cstr(cf->pool, w->s) : NULL;
}

bool
group_is_pq(const char *name)
{
	return name != NULL && strcasestr(name, "MLKEM") != NULL;
}
