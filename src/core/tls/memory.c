/*
 * memory.c - where OpenSSL takes its memory.
 */
#include <openssl/crypto.h>

#include "core/base/small.h"
#include "core/tls/tls.h"

static void *
take(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return n != 0 ? small_try(n) : NULL;
}

static void *
retake(void *p, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	if (n != 0)
		return small_retry(p, n);
	small_free(p);
	return NULL;
}

static void
give(void *p, const char *file, int line)
{
	(void)file, (void)line;
	small_free(p);
}

void
tls_memory(void)
{
	small_begin();
	(void)CRYPTO_set_mem_functions(take, retake, give);
}
