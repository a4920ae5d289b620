/* unit: src/http/up/health_grpc.c */
/*
 * health_grpc.c - any bytes as the answer to a health check of gRPC.
 *
 * A status is a small number or none at all; what has another length than its prefix says has none; one more unknown
 * field behind it changes nothing.
 */
#include <stdlib.h>

#include "http/up/health_grpc.c"

enum { MOST = 4096 };

static void
check(bool what)
{
	if (!what)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char	again[MOST + 4];
	int	status = grpc_health_status(str_of((const char *)p, n));
	size_t	len;

	check(status >= -1 && status <= 1000);
	if (status < 0)
		return 0;
	check(n >= PREFIX && p[0] == 0);
	check(grpc_health_status(str_of((const char *)p, n - 1)) == -1);
	if (n > MOST)
		return 0;
	memcpy(again, p, n);
	memcpy(again + n, "\x12\x01x", 3);	/* field 2, a text */
	len = n + 3 - PREFIX;
	again[3] = (char)(len >> 8);
	again[4] = (char)len;
	check(grpc_health_status(str_of(again, n + 3)) == status);
	return 0;
}
