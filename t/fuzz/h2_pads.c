/*
 * h2_pads.c - any bytes as a header block.
 *
 * What nghttp2 reads is left alone; what was mended has its octets less, and nothing to be mended in it.
 */
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "http/h2/pads.h"

enum { INPUT_MAX = 600 };	/* fewer strings than are looked at */

static void
check(bool what)
{
	if (!what)
		abort();
}

static bool
reads(const uint8_t *p, size_t n)
{
	nghttp2_hd_inflater *inflater;
	bool ok = true, emitted;

	if (nghttp2_hd_inflate_new(&inflater) != 0)
		return false;
	do {
		nghttp2_nv nv;
		int flags = 0;
		nghttp2_ssize used = nghttp2_hd_inflate_hd3(inflater, &nv, &flags, p, n, 1);

		ok = used >= 0;
		p += ok ? used : 0;
		n -= ok ? (size_t)used : 0;
		emitted = flags & NGHTTP2_HD_INFLATE_EMIT;
	} while (ok && (n != 0 || emitted));
	nghttp2_hd_inflate_del(inflater);
	return ok;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t to[INPUT_MAX];
	size_t less;

	if (n > sizeof to)
		return 0;
	less = h2_pads(p, n, NULL);
	check(less <= n && h2_pads(p, n, to) == less);
	if (less == 0)
		return 0;
	check(!reads(p, n));
	check(n < 100 ? h2_pads(to, n - less, NULL) == 0 : true);
	return 0;
}
