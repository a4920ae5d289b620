/*
 * dns_answer.c - any bytes as an answer of a name server.
 */
#include <stdlib.h>

#include "core/net/resolver_in.h"

static void
check(bool what)
{
	if (!what)
		abort();
}

static void
try_type(const ares_dns_record_t *rec, ares_dns_rec_type_t type, unsigned depth)
{
	struct resolver_found f;

	found_begin(&f);
	f.depth = depth;
	found_take(&f, type, rec, 0);
	found_take(&f, type, rec, 100);
	check(f.n <= (type == ARES_REC_TYPE_SRV ? (unsigned)RESOLVER_SRVS : RESOLVER_ADDRS));
	check(f.deepest >= depth && f.deepest <= RESOLVER_CNAMES + 1);
	check(f.n == 0 || (type == ARES_REC_TYPE_SRV ? f.srvs != NULL : f.addrs != NULL));
	check(f.n == 0 || f.ttl_ms != UINT64_MAX);
	for (unsigned i = 0; type != ARES_REC_TYPE_SRV && i < f.n; i++)
		check(f.addrs[i].sa.sa_family == (type == ARES_REC_TYPE_A ? AF_INET : AF_INET6));
	check(f.next == NULL || f.deepest > depth);
	found_end(&f);
}

int LLVMFuzzerTestOneInput(const unsigned char *, size_t);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
	ares_dns_record_t *rec = NULL;

	if (ares_dns_parse(data, n, 0, &rec) != ARES_SUCCESS)
		return 0;
	try_type(rec, ARES_REC_TYPE_A, 0);
	try_type(rec, ARES_REC_TYPE_AAAA, RESOLVER_CNAMES);
	try_type(rec, ARES_REC_TYPE_SRV, 1);
	ares_dns_record_destroy(rec);
	return 0;
}
