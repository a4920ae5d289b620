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

static bool
is_wanted(struct weir_conf *cf, struct weir_str name, enum weir_tls_pqc policy)
{
	return policy == PQC_PREFER || group_is_pq(pool_cstr(cf->pool, name)) == (policy == PQC_REQUIRE);
}

/* The list without the groups that the policy does not want, and without classes that are empty then. */
static const char *
filter(struct weir_conf *cf, const struct weir_tls_word *w, struct weir_str list, enum weir_tls_pqc policy)
{
	char *to = pool_bytes(cf->pool, list.n + 1);
	size_t n = 0;
	char before = 0;

	while (list.n != 0) {
		struct weir_str part = list, name;
		bool more;

		name = next_name(&list, &more);
		part.n = (size_t)(name.p + name.n - part.p);
		if (str_ieq(name, STR("DEFAULT"))) {
			(void)conf_error(cf, w->node, w->w, "write the names of the groups: pqc_policy cannot choose "
			    "among those of DEFAULT");
			return NULL;
		}
		if (is_wanted(cf, name, policy)) {
			if (n != 0)
				to[n++] = before;
			memcpy(to + n, part.p, part.n);
			n += part.n;
			before = ':';
		}
		if (more && part.p[part.n] == '/')
			before = '/';
	}
	to[n] = '\0';
	if (n != 0)
		return to;
	(void)conf_error(cf, w->node, w->w, "no group is left: pqc_policy wants %s",
	    policy == PQC_REQUIRE ? "those with ML-KEM only" : "those without ML-KEM only");
	return NULL;
}

const char *
groups_list(struct weir_conf *cf, const struct weir_tls_word *w, enum weir_tls_pqc policy)
{
	bool dflt = w->s.n == 0 || str_eq(w->s, STR("auto"));
	struct weir_str list = dflt ? STR(TLS_GROUPS_DEFAULT) : w->s, rest = list;
	SSL_CTX *probe;
	int rc = WEIR_OK;

	if (dflt && policy == PQC_REQUIRE)
		return TLS_GROUPS_PQ;
	probe = SSL_CTX_new(TLS_method());
	assert(probe != NULL);
	for (bool more = !dflt; more && rc == WEIR_OK; )
		rc = check(cf, w, probe, next_name(&rest, &more));
	SSL_CTX_free(probe);
	if (rc != WEIR_OK)
		return NULL;
	return policy == PQC_PREFER ? pool_cstr(cf->pool, list) : filter(cf, w, list, policy);
}

bool
group_is_pq(const char *name)
{
	return name != NULL && strcasestr(name, "MLKEM") != NULL;
}
