/* unit: src/http/h1/chunks.c */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/h1/chunks.c"

#define T(text)	(text), sizeof(text) - 1

enum { MAX_TRAILER = 200 };

static const struct h1_limits limits = { .line = 100, .total = 1000, .fields = 5 };

struct result {
	ssize_t		 rc;		/* AGAIN, EOF or FAIL */
	size_t		 n;		/* of data */
	char		 data[256];
	char		 trailer[256];
	size_t		 left;		/* bytes not eaten, when it ended well */
	const char	*why;
};

/* Decode text that comes `step` bytes at a time, `max` bytes of data at a time. */
static struct result
decode(const char *text, size_t n, size_t step, uint64_t max)
{
	struct weir_bufq	from = { NULL, NULL, 0 }, to = { NULL, NULL, 0 };
	struct result		r = { .rc = WEIR_AGAIN };
	struct h1_chunks	c;
	size_t			at = 0;

	h1_chunks_init(&c);
	for (;;) {
		r.rc = h1_chunks_read(&c, &from, &to, max, MAX_TRAILER, &r.why);
		if (r.rc > 0) {
			assert_true((uint64_t)r.rc <= max);
			continue;
		}
		if (r.rc != WEIR_AGAIN || at == n)
			break;
		assert_int_equal(from.len, 0);
		bufq_put(&from, text + at, WEIR_MIN(step, n - at));
		at += WEIR_MIN(step, n - at);
	}
	/* The answer stays the same. */
	assert_int_equal(h1_chunks_read(&c, &from, &to, max, MAX_TRAILER, &r.why), r.rc);
	r.left = (size_t)from.len + n - at;
	r.n = (size_t)to.len;
	bufq_take(&to, r.data, sizeof(r.data) - 1);
	bufq_peek(&c.trailer, 0, r.trailer, sizeof(r.trailer) - 1);
	bufq_clear(&from);
	bufq_clear(&to);
	h1_chunks_clear(&c);
	assert_int_equal(bufq_outstanding(), 0);
	return r;
}

static const struct {
	ssize_t		 rc;
	const char	*data;
	size_t		 left;
	const char	*text;
	size_t		 n;
} rows[] = {
	{ WEIR_EOF, "", 0, T("0\r\n\r\n") },
	{ WEIR_EOF, "", 0, T("0000000000000000\r\n\r\n") },
	{ WEIR_EOF, "hello", 0, T("5\r\nhello\r\n0\r\n\r\n") },
	{ WEIR_EOF, "hello world", 4, T("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET ") },
	{ WEIR_EOF, "0123456789abcdefghijklmnop", 0, T("1a\r\n0123456789abcdefghijklmnop\r\n0\r\n\r\n") },
	{ WEIR_EOF, "0123456789abcdefghijklmnop", 0, T("1A\r\n0123456789abcdefghijklmnop\r\n0\r\n\r\n") },
	{ WEIR_EOF, "x", 0, T("0000000000000001\r\nx\r\n0\r\n\r\n") },
	/* Data that looks like framing. */
	{ WEIR_EOF, "\r\n0\r\n\r\n", 0, T("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n") },
	{ WEIR_AGAIN, "", 0, T("") },
	{ WEIR_AGAIN, "", 0, T("5") },
	{ WEIR_AGAIN, "", 0, T("5\r") },
	{ WEIR_AGAIN, "", 0, T("5\r\n") },
	{ WEIR_AGAIN, "he", 0, T("5\r\nhe") },
	{ WEIR_AGAIN, "hello", 0, T("5\r\nhello") },
	{ WEIR_AGAIN, "hello", 0, T("5\r\nhello\r") },
	{ WEIR_AGAIN, "hello", 0, T("5\r\nhello\r\n") },
	{ WEIR_AGAIN, "", 0, T("0\r\n") },
	{ WEIR_AGAIN, "", 0, T("0\r\n\r") },
	{ WEIR_AGAIN, "", 0, T("0\r\nX: y\r\n") },
	/* S-18 */
	{ WEIR_FAIL, "", 0, T("+5\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("-5\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("0x5\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T(";a\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T(" 5\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("00000000000000005\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("10000000000000005\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("ffffffffffffffff\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("8000000000000000\r\nhello\r\n") },
	{ WEIR_AGAIN, "hello\r\n", 0, T("7fffffffffffffff\r\nhello\r\n") },
	{ WEIR_FAIL, "x", 0, T("1\r\nx\r\n7fffffffffffffff\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5x\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5g\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5,5\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5\rhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5\r\rhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5\nhello\n0\n\n") },
	{ WEIR_FAIL, "", 0, T("5\0\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("\0") },
	{ WEIR_FAIL, "", 0, T("5 \r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5\t\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5 x\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5\x0b\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("\xb5\r\nhello\r\n") },
	/* S-19 */
	{ WEIR_FAIL, "SEE-", 0, T("4\r\nSEE-THIS\r\n0\r\n\r\n") },
	{ WEIR_FAIL, "hello", 0, T("5\r\nhello0\r\n\r\n") },
	{ WEIR_FAIL, "hello", 0, T("5\r\nhello\n0\r\n\r\n") },
	{ WEIR_FAIL, "hello", 0, T("5\r\nhello\rx") },
	{ WEIR_FAIL, "hello\r", 0, T("6\r\nhello\r\n0\r\n\r\n") },
	/* S-20 */
	{ WEIR_EOF, "hello", 0, T("5;a=b;c=\"d e\";f\r\nhello\r\n0;x\r\n\r\n") },
	{ WEIR_EOF, "hello", 0, T("5 \t;a \t\x80\r\nhello\r\n0\r\n\r\n") },
	{ WEIR_FAIL, "", 0, T("5;a\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5;a\rb\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5;a\0b\r\nhello\r\n") },
	{ WEIR_FAIL, "", 0, T("5;a\x7f\r\nhello\r\n") },
	/* S-17, S-21 */
	{ WEIR_FAIL, "", 0, T("0\r\n\n") },
	{ WEIR_FAIL, "", 0, T("0\r\n\rx") },
	{ WEIR_FAIL, "", 0, T("0\r\nX: y\n\r\n") },
	{ WEIR_FAIL, "", 0, T("0\r\nX: y\r\r\n") },
	{ WEIR_FAIL, "", 0, T("0\r\nX: \0y\r\n\r\n") },
	{ WEIR_EOF, "", 1, T("0\r\nX: y\r\nZ: 1\r\n\r\nA") },
};

static void
test_rows(void **state)
{
	size_t i, step;

	(void)state;
	for (i = 0; i < WEIR_COUNT(rows); i++)
		for (step = 1; step < 40; step++) {
			struct result r = decode(rows[i].text, rows[i].n, step, 1 + step % 5);

			if (r.rc != rows[i].rc || r.n != strlen(rows[i].data) ||
			    memcmp(r.data, rows[i].data, r.n) != 0)
				fail_msg("row %zu, step %zu: %zd, \"%.*s\" for\n%s", i, step, r.rc,
				    (int)r.n, r.data, rows[i].text);
			if (r.rc == WEIR_EOF)
				assert_int_equal(r.left, rows[i].left);
			assert_int_equal(r.why != NULL, r.rc == WEIR_FAIL);
		}
}

/* References move, not bytes. */
static void
test_no_copy(void **state)
{
	struct weir_bufq	from = { NULL, NULL, 0 }, to = { NULL, NULL, 0 };
	struct h1_chunks	c;
	const char		*why, *p;
	size_t			n;

	(void)state;
	h1_chunks_init(&c);
	p = bufq_room(&from, 5000, &n);
	memset((char *)(uintptr_t)p, 'x', 4006 + 7);
	memcpy((char *)(uintptr_t)p, "fa0\r\n", 5);
	memcpy((char *)(uintptr_t)p + 4005, "\r\n0\r\n\r\n", 7);
	bufq_added(&from, 4012);
	assert_int_equal(h1_chunks_read(&c, &from, &to, UINT64_MAX, 0, &why), 4000);
	assert_ptr_equal(bufq_first(&to).p, p + 5);
	assert_int_equal(bufq_first(&to).n, 4000);
	assert_int_equal(h1_chunks_read(&c, &from, &to, UINT64_MAX, 0, &why), WEIR_EOF);
	bufq_clear(&to);
	h1_chunks_clear(&c);
}

/* S-20: framing is bounded, in a line and in sum. */
static ssize_t
flood(const char *chunk, unsigned times, const char **why)
{
	struct weir_bufq	from = { NULL, NULL, 0 }, to = { NULL, NULL, 0 };
	struct h1_chunks	c;
	ssize_t			rc = WEIR_AGAIN;

	h1_chunks_init(&c);
	while (times-- > 0 && rc != WEIR_FAIL) {
		bufq_put(&from, chunk, strlen(chunk));
		do
			rc = h1_chunks_read(&c, &from, &to, UINT64_MAX, MAX_TRAILER, why);
		while (rc > 0);
		bufq_clear(&to);
	}
	bufq_clear(&from);
	h1_chunks_clear(&c);
	return rc;
}

static void
test_overhead(void **state)
{
	char		 text[5000];
	const char	*why = NULL;
	int		 n;

	(void)state;
	/* Many small chunks are fine. */
	assert_int_equal(flood("1\r\nx\r\n", 100000, &why), WEIR_AGAIN);
	/* A long extension is, too, once. */
	memset(text, 'e', sizeof(text));
	memcpy(text, "5;", 2);
	strcpy(text + 4094, "\r\nhello\r\n");
	assert_int_equal(flood(text, 3, &why), WEIR_AGAIN);
	assert_int_equal(flood(text, 10, &why), WEIR_FAIL);
	assert_string_equal(why, "chunks have more framing than data");
	memset(text, 'e', sizeof(text));
	memcpy(text, "5;", 2);
	strcpy(text + 4095, "\r\nhello\r\n");
	assert_int_equal(flood(text, 1, &why), WEIR_FAIL);
	assert_string_equal(why, "chunk extension too long");
	/* Short extensions add up. */
	n = snprintf(text, sizeof(text), "1;%030d\r\nx\r\n", 0);
	assert_true(n > 30);
	assert_int_equal(flood(text, 400, &why), WEIR_AGAIN);
	assert_int_equal(flood(text, 4000, &why), WEIR_FAIL);
}

static int
trailers(const char *text, struct weir_pool *pool, struct weir_fields *to, const char **why)
{
	struct weir_bufq	from = { NULL, NULL, 0 }, data = { NULL, NULL, 0 };
	struct h1_chunks	c;
	int			rc;

	h1_chunks_init(&c);
	bufq_put(&from, text, strlen(text));
	assert_int_equal(h1_chunks_read(&c, &from, &data, UINT64_MAX, MAX_TRAILER, why), WEIR_EOF);
	rc = h1_chunks_trailers(&c, pool, &limits, to, why);
	bufq_clear(&from);
	h1_chunks_clear(&c);
	return rc;
}

/* S-21 */
static void
test_trailers(void **state)
{
	static const char *const dropped[] = {
		"Content-Length: 5", "Transfer-Encoding: chunked", "Host: a", "Authorization: x",
		"Set-Cookie: a", "Cookie: a", "Connection: close", "Trailer: x", "TE: x",
		"Content-Type: x", "Content-Encoding: x", "Content-Range: x", "Cache-Control: x",
		"Expect: x", "Range: x", "If-Match: x", "Location: x", "X-Forwarded-For: x",
		"x-forwarded-proto: x", "X-Accel-Redirect: x", "X-ACCEL-anything: x",
		"Proxy-Authorization: x", "proxy-x: y", "Upgrade: x", "Via: x", "Age: 1",
	};
	static const char *const malformed[] = {
		"X", ": y", "X : y", " X: y", "X\x80: y", "X(: y",
		"A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6",
		"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaa",
	};
	struct weir_pool	*pool = pool_new(0);
	struct weir_fields	 fs;
	const char		*why = NULL;
	char			 text[400];
	size_t			 i;

	(void)state;
	assert_int_equal(trailers("0\r\n\r\n", pool, &fs, &why), WEIR_OK);
	assert_int_equal(fs.n, 0);
	assert_int_equal(trailers("0\r\nX-A: 1\r\nETag: \"x\"\r\nx.y_z:  2 \r\n\r\n", pool, &fs, &why),
	    WEIR_OK);
	assert_int_equal(fs.n, 3);
	assert_str(fs.v[0].name, "X-A");
	assert_str(fs.v[2].value, "2");
	for (i = 0; i < WEIR_COUNT(dropped); i++) {
		snprintf(text, sizeof(text), "0\r\nA: 1\r\n%s\r\nB: 2\r\n\r\n", dropped[i]);
		assert_int_equal(trailers(text, pool, &fs, &why), WEIR_OK);
		assert_int_equal(fs.n, 2);
		assert_str(fs.v[1].name, "B");
	}
	for (i = 0; i < WEIR_COUNT(malformed); i++) {
		snprintf(text, sizeof(text), "0\r\nA: 1\r\n%s\r\n\r\n", malformed[i]);
		why = NULL;
		assert_int_equal(trailers(text, pool, &fs, &why), WEIR_FAIL);
		assert_non_null(why);
	}
	pool_free(pool);
}

static void
test_long_trailers(void **state)
{
	struct result	r;
	char		text[400];
	int		n;

	(void)state;
	n = snprintf(text, sizeof(text), "0\r\nX: %0*d\r\n\r\n", MAX_TRAILER - 5, 0);
	r = decode(text, (size_t)n, 7, 1);
	assert_int_equal(r.rc, WEIR_EOF);
	assert_int_equal(strlen(r.trailer), MAX_TRAILER);
	n = snprintf(text, sizeof(text), "0\r\nX: %0*d\r\n\r\n", MAX_TRAILER - 4, 0);
	r = decode(text, (size_t)n, 7, 1);
	assert_int_equal(r.rc, WEIR_FAIL);
	assert_string_equal(r.why, "trailers too long");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_no_copy),
		cmocka_unit_test(test_overhead), cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_long_trailers),
	};

	return RUN(tests);
}
