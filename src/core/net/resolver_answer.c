/*
 * resolver_answer.c - what an answer says.
 *
 * Only records of the name that was asked for count, and of those that it is an alias of, step by step: whatever else
 * a server puts into an answer is about names that nobody asked it for.
 */
#include "core/base/mem.h"
#include "core/net/resolver_in.h"

enum {
	FEW = 4,			/* addresses of a name */
	TTL_MOST = 7 * 24 * 60 * 60	/* nobody knows what will be after a week (RFC 8767, 4) */
};

void
found_begin(struct resolver_found *f)
{
	memset(f, 0, sizeof *f);
	f->ttl_ms = f->none_ms = UINT64_MAX;
}

void
found_end(struct resolver_found *f)
{
	mem_free(f->addrs);
	mem_free(f->srvs);
	mem_free(f->next);
	memset(f, 0, sizeof *f);
}

/* A TTL with the highest bit set is none (RFC 2181, 8).  What the answer has spent in caches of HTTP is over. */
static uint64_t
ms_of(const struct resolver_found *f, unsigned ttl)
{
	return ttl > INT32_MAX || ttl <= f->age_s ? 0 : WEIR_MIN(ttl - f->age_s, (uint64_t)TTL_MOST) * 1000;
}

static void
take_ttl(struct resolver_found *f, const ares_dns_rr_t *rr)
{
	f->ttl_ms = WEIR_MIN(f->ttl_ms, ms_of(f, ares_dns_rr_get_ttl(rr)));
}

static void
add(struct resolver_found *f, const struct weir_addr *a)
{
	if (f->n >= RESOLVER_ADDRS) {
		f->full = true;
		return;
	}
	if (f->n == 0 || (f->n >= FEW && (f->n & (f->n - 1)) == 0))	/* doubles: most names have one or two */
		f->addrs = mem_realloc(f->addrs, f->n * sizeof *a, WEIR_MAX(2 * f->n, (unsigned)FEW) * sizeof *a);
	f->addrs[f->n++] = *a;
}

static void
add_srv(struct resolver_found *f, const ares_dns_rr_t *rr)
{
	const char *name = ares_dns_rr_get_str(rr, ARES_RR_SRV_TARGET);
	struct weir_srv *to;

	/* a single "." says that there is no such service */
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strlen(name) > RESOLVER_NAME_MAX)
		return;
	if (f->n >= RESOLVER_SRVS) {
		f->full = true;
		return;
	}
	if (f->srvs == NULL)
		f->srvs = mem_zalloc(RESOLVER_SRVS * sizeof *f->srvs);
	to = &f->srvs[f->n++];
	to->priority = ares_dns_rr_get_u16(rr, ARES_RR_SRV_PRIORITY);
	to->weight = ares_dns_rr_get_u16(rr, ARES_RR_SRV_WEIGHT);
	to->port = ares_dns_rr_get_u16(rr, ARES_RR_SRV_PORT);
	strcpy(to->name, name);
}

static void
take_record(struct resolver_found *f, const ares_dns_rr_t *rr)
{
	struct weir_addr a = { .in.sin_family = AF_INET };

	take_ttl(f, rr);
	switch (ares_dns_rr_get_type(rr)) {
	case ARES_REC_TYPE_SRV:
		add_srv(f, rr);
		return;
	case ARES_REC_TYPE_A:
		a.in.sin_addr = *ares_dns_rr_get_addr(rr, ARES_RR_A_ADDR);
		break;
	default:
		a.in6.sin6_family = AF_INET6;
		memcpy(&a.in6.sin6_addr, ares_dns_rr_get_addr6(rr, ARES_RR_AAAA_ADDR), 16);
		break;
	}
	add(f, &a);
}

/* The i-th record of the answer, when it is of that type and that name; else NULL. */
static const ares_dns_rr_t *
record(const ares_dns_record_t *rec, size_t i, ares_dns_rec_type_t type, const char *name)
{
	const ares_dns_rr_t *rr = ares_dns_record_rr_get_const(rec, ARES_SECTION_ANSWER, i);

	return rr != NULL && ares_dns_rr_get_type(rr) == type &&
	    strcasecmp(ares_dns_rr_get_name(rr), name) == 0 ? rr : NULL;
}

static const char *
alias_of(struct resolver_found *f, const ares_dns_record_t *rec, const char *name)
{
	for (size_t i = 0; i < ares_dns_record_rr_cnt(rec, ARES_SECTION_ANSWER); i++) {
		const ares_dns_rr_t *rr = record(rec, i, ARES_REC_TYPE_CNAME, name);

		if (rr == NULL)
			continue;
		take_ttl(f, rr);
		return ares_dns_rr_get_str(rr, ARES_RR_CNAME_CNAME);
	}
	return NULL;
}

/* How long the zone lets others believe that there is nothing (RFC 2308, 5).  False: it is not the zone that says so. */
static bool
take_soa(struct resolver_found *f, const ares_dns_record_t *rec)
{
	for (size_t i = 0; i < ares_dns_record_rr_cnt(rec, ARES_SECTION_AUTHORITY); i++) {
		const ares_dns_rr_t *rr = ares_dns_record_rr_get_const(rec, ARES_SECTION_AUTHORITY, i);
		unsigned ttl;

		if (rr == NULL || ares_dns_rr_get_type(rr) != ARES_REC_TYPE_SOA)
			continue;
		ttl = WEIR_MIN(ares_dns_rr_get_ttl(rr), ares_dns_rr_get_u32(rr, ARES_RR_SOA_MINIMUM));
		f->none_ms = WEIR_MIN(f->none_ms, ms_of(f, ttl));
		return true;
	}
	return false;
}

static void
take_records(struct resolver_found *f, ares_dns_rec_type_t type, const ares_dns_record_t *rec, const char *name)
{
	for (size_t i = 0; i < ares_dns_record_rr_cnt(rec, ARES_SECTION_ANSWER); i++) {
		const ares_dns_rr_t *rr = record(rec, i, type, name);

		if (rr != NULL)
			take_record(f, rr);
	}
}

void
found_take(struct resolver_found *f, ares_dns_rec_type_t type, const ares_dns_record_t *rec, uint64_t age_s)
{
	unsigned depth = f->depth, before = f->n;
	const char *name, *asked, *alias;

	if (ares_dns_record_query_get(rec, 0, &asked, NULL, NULL) != ARES_SUCCESS)
		return;
	f->age_s = age_s;
	for (name = asked; depth <= RESOLVER_CNAMES && (alias = alias_of(f, rec, name)) != NULL; name = alias)
		depth++;
	f->deepest = WEIR_MAX(f->deepest, depth);
	if (depth <= RESOLVER_CNAMES)
		take_records(f, type, rec, name);
	if (f->n != before || take_soa(f, rec) || ares_dns_record_get_rcode(rec) == ARES_RCODE_NXDOMAIN)
		return;
	if (name == asked)
		return;
	mem_free(f->next);
	f->next = mem_alloc(strlen(name) + 1);
	strcpy(f->next, name);
}
