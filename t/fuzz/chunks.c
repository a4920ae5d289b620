/*
 * chunks.c - any bytes as a chunked body.
 *
 * The same comes out however the bytes come in and however they are asked for, and
 * nothing comes out that did not come in.
 */
#include <stdio.h>
#include <stdlib.h>

#include "http/h1/parse.h"

enum { MAX_TRAILER = 300 };

static const struct h1_limits limits = { .line = 100, .total = 1000, .fields = 10 };

static void
check(bool what)
{
	if (!what)
		abort();
}

struct result {
	ssize_t		 rc;
	size_t		 n, left, trailer_n;
	int		 trailer_rc;
	unsigned	 fields;
	char		*data;
};

static void
read_trailers(struct h1_chunks *c, struct result *r)
{
	struct weir_pool	*pool = pool_new(0);
	struct weir_fields	 fs;
	const char		*why = NULL;
	unsigned		 i;

	r->trailer_n = (size_t)c->trailer.len;
	check(r->trailer_n <= MAX_TRAILER);
	r->trailer_rc = h1_chunks_trailers(c, pool, &limits, &fs, &why);
	check((r->trailer_rc == WEIR_OK) == (why == NULL));
	if (r->trailer_rc == WEIR_OK) {
		r->fields = fs.n;
		for (i = 0; i < fs.n; i++) {
			check(is_token(fs.v[i].name) && is_field_value(fs.v[i].value));
			check(!fs.v[i].hop && fs.v[i].known != H_CONTENT_LENGTH &&
			    fs.v[i].known != H_HOST && fs.v[i].known != H_AUTHORIZATION);
		}
	}
	pool_free(pool);
}

static struct result
decode(const uint8_t *p, size_t n, size_t step, uint64_t max)
{
	struct weir_bufq	from = { NULL, NULL, 0 }, to = { NULL, NULL, 0 };
	struct result		r = { .rc = WEIR_AGAIN };
	struct h1_chunks	c;
	const char		*why = NULL;
	size_t			at = 0, k;

	h1_chunks_init(&c);
	for (;;) {
		r.rc = h1_chunks_read(&c, &from, &to, max, MAX_TRAILER, &why);
		if (r.rc > 0) {
			check((uint64_t)r.rc <= max);
			continue;
		}
		if (r.rc != WEIR_AGAIN || at == n)
			break;
		check(from.len == 0);
		k = WEIR_MIN(step, n - at);
		bufq_put(&from, p + at, k);
		at += k;
	}
	check((r.rc == WEIR_FAIL) == (why != NULL));
	r.left = (size_t)from.len + n - at;
	r.n = (size_t)to.len;
	r.data = malloc(r.n + 1);
	check(r.data != NULL && bufq_take(&to, r.data, r.n) == r.n);
	if (r.rc == WEIR_EOF)
		read_trailers(&c, &r);
	bufq_clear(&from);
	bufq_clear(&to);
	h1_chunks_clear(&c);
	check(bufq_outstanding() == 0);
	return r;
}

/* Write the data down again, in chunks of another size: it reads the same. */
static void
check_again(const struct result *r)
{
	struct weir_bufq	from = { NULL, NULL, 0 }, to = { NULL, NULL, 0 };
	struct h1_chunks	c;
	const char		*why;
	char			line[32];
	size_t			at = 0, k;
	ssize_t			rc;

	for (; at < r->n; at += k) {
		k = WEIR_MIN((size_t)17, r->n - at);
		bufq_put(&from, line, (size_t)snprintf(line, sizeof(line), "%zx\r\n", k));
		bufq_put(&from, r->data + at, k);
		bufq_put(&from, "\r\n", 2);
	}
	bufq_put(&from, "0\r\n\r\n", 5);
	h1_chunks_init(&c);
	while ((rc = h1_chunks_read(&c, &from, &to, 1000, 0, &why)) > 0)
		;
	check(rc == WEIR_EOF && from.len == 0 && to.len == r->n);
	for (at = 0; at < r->n; at += k) {
		char part[256];

		k = bufq_take(&to, part, sizeof(part));
		check(k > 0 && memcmp(part, r->data + at, k) == 0);
	}
	h1_chunks_clear(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct { size_t step; uint64_t max; } ways[] = {
		{ 1, 1 }, { 1, UINT64_MAX }, { 3, 2 }, { 16, 1000 }, { 100000, 5 },
	};
	struct result	first = decode(data, n, n + 1, UINT64_MAX);
	size_t		i;

	for (i = 0; i < WEIR_COUNT(ways); i++) {
		struct result r = decode(data, n, ways[i].step, ways[i].max);

		check(r.rc == first.rc && r.n == first.n && memcmp(r.data, first.data, r.n) == 0);
		check(r.rc == WEIR_FAIL || r.left == first.left);
		check(r.trailer_rc == first.trailer_rc && r.trailer_n == first.trailer_n &&
		    r.fields == first.fields);
		free(r.data);
	}
	if (first.rc == WEIR_EOF)
		check_again(&first);
	free(first.data);
	return 0;
}
