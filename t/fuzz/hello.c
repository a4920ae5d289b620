/*
 * hello.c - any bytes as the begin of a TLS connection.
 *
 * However they are cut, the answer is the same, and the same is read; what was read stands in the message, and
 * fingerprints can be made of it.
 */
#include <stdlib.h>

#include "core/tls/fingerprint.h"

static void
check(bool what)
{
	if (!what)
		abort();
}

/* In segments of `size` bytes, each a block of its own. */
static enum weir_hello_end
feed(struct weir_hello_reader *r, const uint8_t *p, size_t n, size_t size, struct weir_hello *h)
{
	enum weir_hello_end end = HELLO_MORE;

	hello_begin(r);
	for (size_t at = 0; at < n && end == HELLO_MORE; at += size) {
		size_t some = WEIR_MIN(size, n - at);
		void *part = malloc(some);

		memcpy(part, p + at, some);
		end = hello_feed(r, part, some, h);
		free(part);
	}
	check((end == HELLO_BAD) == (hello_why(r) != NULL));
	return end;
}

static void
same(struct weir_str a, struct weir_str b)
{
	check(str_eq(a, b));
}

static void
compare(const struct weir_hello *a, const struct weir_hello *b)
{
	check(a->legacy == b->legacy && a->old == b->old && a->has_name == b->has_name && a->ech == b->ech);
	same(hello_name(a), hello_name(b));
	same(a->ciphers, b->ciphers);
	same(a->extensions, b->extensions);
	same(a->alpn, b->alpn);
	same(a->shares, b->shares);
}

static void
read_all(const struct weir_hello *h)
{
	static char text[HELLO_ALPN_TEXT_MAX];
	struct weir_pool *pool = pool_new(0);
	struct weir_fp *fp = fp_new(h, FP_TLS);
	struct weir_str rest = h->shares, body;
	size_t n = 0;
	uint16_t v;

	while (hello_next_share(&rest, &v))
		n++;
	check(rest.n == 0 && n * 5 <= h->shares.n);
	for (rest = h->extensions; hello_next_extension(&rest, &v, &body); )
		n++;
	check(rest.n == 0);
	check((size_t)(hello_put_alpn(text, h) - text) <= h->alpn.n);
	check(hello_protocol(h) != NULL && memchr(h->name, 0, h->name_n) == NULL);
	check(fp_ja4(fp).n == JA4_MAX && fp_ja4_o(fp, pool).n == JA4_MAX && fp_ja3(fp).n == JA3_MAX);
	check(fp_ja4_raw(fp, true, pool).n <= fp_ja4_raw(fp, false, pool).n);
	check(str_chr(fp_ja3_raw(fp, pool), ',') > 0);
	fp_unref(&fp);
	pool_free(pool);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const size_t sizes[] = { 1, 3, 1400 };
	struct weir_hello_reader r, other;
	struct weir_hello h, again;
	enum weir_hello_end end = feed(&r, p, n, WEIR_MAX(n, (size_t)1), &h);

	for (unsigned i = 0; i < WEIR_COUNT(sizes); i++) {
		check(feed(&other, p, n, sizes[i], &again) == end);
		if (end == HELLO_DONE)
			compare(&h, &again);
		hello_end(&other);
	}
	if (end == HELLO_DONE) {
		if (!h.old)
			check(r.n <= HELLO_MAX && hello_parse(r.msg, r.n, &again) == NULL);
		read_all(&h);
	}
	hello_end(&r);
	(void)!hello_parse(p, n, &again);
	return 0;
}
