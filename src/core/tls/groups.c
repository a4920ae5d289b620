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

unsigned
group_level(const char *name)
{
	static const struct { const char *part; unsigned level; } levels[] = {
		{ "MLKEM512", 1 }, { "MLKEM768", 3 }, { "MLKEM1024", 5 },
	};

	for (unsigned i = 0; name != NULL && i < WEIR_COUNT(levels); i++)
		if (strcasestr(name, levels[i].part) != NULL)
			return levels[i].level;
	return 0;
}

static bool
is_wanted(const struct weir_tls_opts *o, unsigned level)
{
	if (level == 0)
		return o->pqc != PQC_REQUIRE || o->pqc_status != 0;
	return o->pqc != PQC_OFF && level >= o->pqc_level;
}

static const char *
none_left(struct weir_conf *cf, const struct weir_tls_word *w, const struct weir_tls_opts *o)
{
	if (o->pqc == PQC_OFF)
		(void)conf_error(cf, w->node, w->w, "no group is left: pqc_policy wants those without ML-KEM only");
	else if (o->pqc_level > 1)
		(void)conf_error(cf, w->node, w->w, "no group with ML-KEM is left: pqc_min_level wants those of level %u "
		    "and above", o->pqc_level);
	else
		(void)conf_error(cf, w->node, w->w, "no group is left: pqc_policy wants those with ML-KEM only");
	return NULL;
}

/* The list without the groups that the policy does not want, and without classes that are empty then. */
static const char *
filter(struct weir_conf *cf, const struct weir_tls_word *w, struct weir_str list, const struct weir_tls_opts *o)
{
	char *to = pool_bytes(cf->pool, list.n + 1);
	size_t n = 0;
	bool strong = false;
	char before = 0;

	while (list.n != 0) {
		struct weir_str part = list, name;
		unsigned level;
		bool more;

		name = next_name(&list, &more);
		level = group_level(pool_cstr(cf->pool, name));
		part.n = (size_t)(name.p + name.n - part.p);
		if (str_ieq(name, STR("DEFAULT"))) {
			(void)conf_error(cf, w->node, w->w, "write the names of the groups: neither pqc_policy nor "
			    "pqc_min_level can choose among those of DEFAULT");
			return NULL;
		}
		if (is_wanted(o, level)) {
			strong |= level != 0;
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
	return n != 0 && (strong || o->pqc == PQC_OFF) ? to : none_left(cf, w, o);
}

const char *
groups_list(struct weir_conf *cf, const struct weir_tls_word *w, const struct weir_tls_opts *o)
{
	bool dflt = w->s.n == 0 || str_eq(w->s, STR("auto")), choose = o->pqc != PQC_PREFER || o->pqc_level != 0;
	bool all = o->pqc == PQC_REQUIRE || (choose && o->pqc != PQC_OFF);
	struct weir_str list = !dflt ? w->s : all ? STR(TLS_GROUPS_ALL) : STR(TLS_GROUPS_DEFAULT), rest = list;
	SSL_CTX *probe = SSL_CTX_new(TLS_method());
	int rc = WEIR_OK;

	assert(probe != NULL);
	for (bool more = !dflt; more && rc == WEIR_OK; )
		rc = check(cf, w, probe, next_name(&rest, &more));
	SSL_CTX_free(probe);
	if (rc != WEIR_OK)
		return NULL;
	return choose ? filter(cf, w, list, o) : pool_cstr(cf->pool, list);
}
