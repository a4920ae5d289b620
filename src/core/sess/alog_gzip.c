/*
 * alog_gzip.c - what a buffer of an access log is compressed by: zlib.
 *
 * Each buffer becomes one member of a gzip file (RFC 1952, 2.2), so whatever is in the
 * file can be read to its end at any time, and each worker writes whole members.
 */
#include "config.h"
#ifdef HAVE_ZLIB

#include <zlib.h>

#include "core/base/mem.h"
#include "core/sess/alog_parts.h"

#define KEPT		(256u << 10)	/* of memory for the result; more is given back */
#define GZIP_WRAP	16		/* deflateInit2(): a gzip header and trailer */

/* What is smaller needs a smaller window and so less memory (zlib.h, "Memory Footprint"). */
static void
fit(size_t n, int *window, int *memory)
{
	*window = MAX_WBITS;
	*memory = 8;
	while (*window > 9 && n < ((size_t)1 << (*window - 1))) {
		--*window;
		*memory = WEIR_MAX(*memory - 1, 1);
	}
}

static char *
room(size_t n)
{
	static char	*p;
	static size_t	 size;

	if (size >= n && (size <= KEPT || n > KEPT))
		return p;
	mem_free(p);
	size = n;
	return p = mem_alloc(size);
}

size_t
alog_gzip(int level, const char *p, size_t n, const char **to)
{
	z_stream	z = { .next_in = (void *)(uintptr_t)p, .avail_in = (uInt)n };
	int		window, memory, rc;
	char		*out;

	fit(n, &window, &memory);
	if (deflateInit2(&z, level, Z_DEFLATED, window + GZIP_WRAP, memory, Z_DEFAULT_STRATEGY) != Z_OK)
		return 0;
	z.avail_out = (uInt)deflateBound(&z, n);
	*to = out = room(z.avail_out);
	z.next_out = (Bytef *)out;
	rc = deflate(&z, Z_FINISH);
	deflateEnd(&z);
	return rc == Z_STREAM_END ? z.total_out : 0;
}

#endif
