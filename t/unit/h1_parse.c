/* unit: src/http/h1/parse.c */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/h1/parse.c"

#define H	"Host: a\r\n"
#define GET	"GET / HTTP/1.1\r\n"
#define POST	"POST / HTTP/1.1\r\n" H
#define END	"\r\n"

/* A literal with its length, because some have NULs in them. */
#define T(text)	(text), sizeof(text) - 1

static const struct h1_limits usual = {
	.line = 8192, .total = 32768, .fields = 100, .ignore_invalid = true,
};
static const struct h1_limits as_they_are = {
	.line = 8192, .total = 32768, .fields = 100, .ignore_invalid = false,
};
static const struct h1_limits with_underscores = {
	.line = 8192, .total = 32768, .fields = 100, .ignore_invalid = true, .underscores = true,
};

static struct weir_pool	*pool;
static struct weir_msg	 msg;

static int
setup(void **state)
{
	(void)state;
	pool = pool_new(0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static char *
copy(const char *text, size_t n)
{
	return pool_dup(pool, text, n);
}

static int
request_with(const struct h1_limits *limits, const char *text, size_t n)
{
	struct h1_verdict v = h1_parse_request(pool, copy(text, n), n, limits, &msg);

	assert_int_equal(v.status != 0, v.why != NULL);
	assert_int_equal(msg.size, n);
	return v.status;
}

#define request(text)		request_with(&usual, T(text))

static int
response_with(bool head, const char *text, size_t n)
{
	struct h1_verdict v = h1_parse_response(pool, copy(text, n), n, &usual, head, &msg);

	assert_int_equal(v.status != 0, v.why != NULL);
	return v.status;
}

#define response(text)		response_with(false, T(text))

struct row {
	int		 status;
	const char	*text;
	size_t		 n;
};

static void
run_rows(const struct row *rows, size_t n, int (*parse)(const char *, size_t))
{
	size_t i;

	for (i = 0; i < n; i++) {
		int got = parse(rows[i].text, rows[i].n);

		if (got != rows[i].status)
			fail_msg("row %zu: %d instead of %d for\n%.*s", i, got, rows[i].status,
			    (int)rows[i].n, rows[i].text);
	}
}

static int
parse_request(const char *text, size_t n)
{
	return request_with(&usual, text, n);
}

static int
parse_response(const char *text, size_t n)
{
	return response_with(false, text, n);
}

/* ---- first lines ---- */

static const struct row request_lines[] = {
	{ 0, T("GET / HTTP/1.1\r\n" H END) },
	{ 0, T("GET / HTTP/1.0\r\n" END) },
	{ 0, T("\r\n\n\r\nGET / HTTP/1.1\r\n" H END) },
	/* P-9, S-16: any token is a method */
	{ 0, T("get / HTTP/1.1\r\n" H END) },
	{ 0, T("M-SEARCH / HTTP/1.1\r\n" H END) },
	{ 0, T("!#$%&'*+-.^_`|~09aZ / HTTP/1.1\r\n" H END) },
	{ 400, T(" GET / HTTP/1.1\r\n" H END) },
	{ 400, T("G(T / HTTP/1.1\r\n" H END) },
	{ 400, T("G\0T / HTTP/1.1\r\n" H END) },
	{ 400, T("G\x80T / HTTP/1.1\r\n" H END) },
	{ 400, T("GET\t/ HTTP/1.1\r\n" H END) },
	{ 400, T("GET\r\n" H END) },
	{ 400, T(": / HTTP/1.1\r\n" H END) },
	{ 400, T("\rGET / HTTP/1.1\r\n" H END) },
	{ 400, T("\x16\x03\x01\x02\x00\x01\n\n") },
	{ 400, T("\n\n") },
	{ 400, T("") },
	/* S-14 */
	{ 400, T("GET  / HTTP/1.1\r\n" H END) },
	{ 400, T("GET /  HTTP/1.1\r\n" H END) },
	{ 400, T("GET /a b HTTP/1.1\r\n" H END) },
	{ 400, T("GET /a#b HTTP/1.1\r\n" H END) },
	{ 400, T("GET /a\tb HTTP/1.1\r\n" H END) },
	{ 400, T("GET /a\0b HTTP/1.1\r\n" H END) },
	{ 400, T("GET /a\x7f HTTP/1.1\r\n" H END) },
	{ 400, T("GET /a\x01 HTTP/1.1\r\n" H END) },
	{ 400, T("GET /a\rb HTTP/1.1\r\n" H END) },
	{ 400, T("GET /0123456789abcdef# HTTP/1.1\r\n" H END) },
	{ 400, T("GET /0123456789abcdef0123456789\x1f HTTP/1.1\r\n" H END) },
	{ 0, T("GET /\xc3\xa4\xff?\\^`{|}<>\"[] HTTP/1.1\r\n" H END) },
	/* S-15 */
	{ 400, T("GET /\r\n" END) },
	{ 400, T("GET /\n\n") },
	{ 400, T("GET / \r\n" END) },
	{ 400, T("GET / HTTP/1.10\r\n" H END) },
	{ 400, T("GET / HTTP/11.1\r\n" H END) },
	{ 400, T("GET / HTTP/01.1\r\n" H END) },
	{ 400, T("GET / HTTP/1.01\r\n" H END) },
	{ 400, T("GET / http/1.1\r\n" H END) },
	{ 400, T("GET / Http/1.1\r\n" H END) },
	{ 400, T("GET / HTTP/1\r\n" H END) },
	{ 400, T("GET / HTTP/1.\r\n" H END) },
	{ 400, T("GET / HTTP/.1\r\n" H END) },
	{ 400, T("GET / HTTP/1.x\r\n" H END) },
	{ 400, T("GET / HTTP/x.1\r\n" H END) },
	{ 400, T("GET / HTTP 1.1\r\n" H END) },
	{ 400, T("GET / HTTP/1,1\r\n" H END) },
	{ 400, T("GET / ICY/1.1\r\n" H END) },
	{ 400, T("GET / HTTP/1.1 \r\n" H END) },
	{ 400, T("GET / HTTP/1.1\t\r\n" H END) },
	{ 400, T("GET / HTTP/1.1x\r\n" H END) },
	{ 400, T("GET / HTTP/0.9\r\n" H END) },
	{ 400, T("GET / HTTP/0.0\r\n" H END) },
	{ 400, T("GET / HTTP/4294967297.1\r\n" H END) },
	{ 400, T("GET / HTTP/1.4294967297\r\n" H END) },
	{ 505, T("GET / HTTP/2.0\r\n" H END) },
	{ 505, T("GET / HTTP/9.9\r\n" H END) },
	{ 505, T("PRI * HTTP/2.0\r\n" END) },
	{ 0, T("GET / HTTP/1.2\r\n" H END) },
	{ 0, T("GET / HTTP/1.9\r\n" H END) },
	{ 400, T("GET / HTTP/1.9\r\n" END) },
	/* forms of the target */
	{ 400, T("GET a HTTP/1.1\r\n" H END) },
	{ 400, T("GET ?a HTTP/1.1\r\n" H END) },
	{ 400, T("GET a:80 HTTP/1.1\r\n" H END) },
	{ 400, T("GET ftp://a/ HTTP/1.1\r\n" H END) },
	{ 400, T("GET http:/a/ HTTP/1.1\r\n" H END) },
	{ 400, T("GET http:// HTTP/1.1\r\n" H END) },
	{ 400, T("GET http:///a HTTP/1.1\r\n" H END) },
	{ 400, T("GET http://?a HTTP/1.1\r\n" H END) },
	{ 400, T("GET http://u@a/ HTTP/1.1\r\n" H END) },
	{ 400, T("GET http://u:p@a/ HTTP/1.1\r\n" H END) },
	{ 400, T("GET http://a:x/ HTTP/1.1\r\n" H END) },
	{ 400, T("GET http://a\\b/ HTTP/1.1\r\n" H END) },
	{ 0, T("GET http://a HTTP/1.1\r\n" H END) },
	{ 0, T("GET http://localhost:8080 HTTP/1.0\r\n" END) },
	{ 400, T("GET http://a/ HTTP/1.1\r\n" END) },
	{ 400, T("GET http://a/ HTTP/1.1\r\nHost: b/c\r\n" END) },
	{ 0, T("OPTIONS * HTTP/1.1\r\n" H END) },
	{ 400, T("GET * HTTP/1.1\r\n" H END) },		/* S-34 */
	{ 400, T("OPTIONS ** HTTP/1.1\r\n" H END) },
	{ 400, T("options * HTTP/1.1\r\n" H END) },
	{ 0, T("CONNECT a:443 HTTP/1.1\r\n" H END) },
	{ 0, T("CONNECT [::1]:443 HTTP/1.1\r\n" H END) },
	{ 400, T("CONNECT a HTTP/1.1\r\n" H END) },
	{ 400, T("CONNECT a: HTTP/1.1\r\n" H END) },
	{ 400, T("CONNECT / HTTP/1.1\r\n" H END) },
	{ 400, T("CONNECT http://a:80/ HTTP/1.1\r\n" H END) },
	{ 400, T("CONNECT u@a:443 HTTP/1.1\r\n" H END) },
	{ 400, T("CONNECT :443 HTTP/1.1\r\n" H END) },
	{ 400, T("CONNECT a:65536 HTTP/1.1\r\n" H END) },
	{ 400, T("CONNECT * HTTP/1.1\r\n" H END) },
};

static void
test_request_lines(void **state)
{
	(void)state;
	run_rows(request_lines, WEIR_COUNT(request_lines), parse_request);
}

static void
test_request_parts(void **state)
{
	(void)state;
	assert_int_equal(request("\r\nPUT /a?b HTTP/1.1\r\nHost: A.b:80\r\nX-Y:\t z \r\n" END), 0);
	assert_int_equal(msg.method_id, M_PUT);
	assert_str(msg.method, "PUT");
	assert_str(msg.target, "/a?b");
	assert_str(msg.line, "PUT /a?b HTTP/1.1");
	assert_str(msg.authority, "A.b:80");
	assert_int_equal(msg.scheme.n, 0);
	assert_int_equal(msg.version, 0x101);
	assert_int_equal(msg.flags, 0);
	assert_int_equal(msg.length, 0);
	assert_int_equal(msg.fields.n, 2);
	assert_str(msg.fields.v[0].name, "Host");
	assert_int_equal(msg.fields.v[0].known, H_HOST);
	assert_str(msg.fields.v[1].name, "X-Y");
	assert_str(msg.fields.v[1].value, "z");
	assert_int_equal(msg.fields.v[1].known, H_UNKNOWN);
	assert_int_equal(msg.fields.v[1].hop, 0);
	assert_int_equal(msg.trailers.n, 0);

	assert_int_equal(request("BREW / HTTP/1.7\r\n" H END), 0);
	assert_int_equal(msg.method_id, M_OTHER);
	assert_int_equal(msg.version, 0x101);
	assert_str(msg.line, "BREW / HTTP/1.7");

	/* What is refused can still be logged. */
	assert_int_equal(request("GET /a b HTTP/1.1\r\n" H END), 400);
	assert_str(msg.line, "GET /a b HTTP/1.1");
	assert_str(msg.method, "GET");
	assert_int_equal(request("G(T\n\n"), 400);
	assert_str(msg.line, "G(T");
	assert_int_equal(request_with(&usual, T("G(T")), 400);
	assert_str(msg.line, "G(T");
	assert_int_equal(request(GET "X\r\n" END), 400);
	assert_str(msg.line, "GET / HTTP/1.1");
	assert_str(msg.target, "/");
}

/* S-13 */
static void
test_absolute_form(void **state)
{
	(void)state;
	assert_int_equal(request("GET HTTP://B:80/x?y HTTP/1.1\r\n" H END), 0);
	assert_str(msg.scheme, "HTTP");
	assert_str(msg.authority, "B:80");
	assert_str(msg.target, "/x?y");
	assert_str(msg.line, "GET HTTP://B:80/x?y HTTP/1.1");
	assert_int_equal(msg.flags, MSG_ABSOLUTE);
	assert_str(fields_value(&msg.fields, H_HOST), "B:80");

	assert_int_equal(request("GET https://b?y HTTP/1.1\r\n" H END), 0);
	assert_str(msg.scheme, "https");
	assert_str(msg.authority, "b");
	assert_str(msg.target, "/?y");
	assert_str(msg.line, "GET https://b?y HTTP/1.1");
	assert_int_equal(request("GET http://b HTTP/1.1\r\n" H END), 0);
	assert_str(msg.target, "/");
	assert_int_equal(request("OPTIONS http://b HTTP/1.1\r\n" H END), 0);
	assert_str(msg.target, "*");
	assert_int_equal(request("OPTIONS http://b/ HTTP/1.1\r\n" H END), 0);
	assert_str(msg.target, "/");
	assert_int_equal(request("GET http://b/ HTTP/1.0\r\n" END), 0);
	assert_str(msg.authority, "b");
	assert_int_equal(msg.fields.n, 0);

	assert_int_equal(request("CONNECT b:443 HTTP/1.1\r\n" H END), 0);
	assert_str(msg.authority, "b:443");
	assert_str(msg.target, "b:443");
	assert_str(fields_value(&msg.fields, H_HOST), "b:443");
	assert_int_equal(msg.flags, 0);
}

/* ---- fields ---- */

static const struct row request_fields[] = {
	/* S-12 */
	{ 400, T(GET END) },
	{ 400, T(GET "Host: a\r\nHost: a\r\n" END) },
	{ 400, T(GET "Host: a\r\nhost: b\r\n" END) },
	{ 400, T("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n" END) },
	{ 400, T("GET / HTTP/1.0\r\nHost: a b\r\n" END) },
	{ 400, T(GET "Host:\r\n" END) },
	{ 400, T(GET "Host: a/b\r\n" END) },
	{ 400, T(GET "Host: u@a\r\n" END) },
	{ 400, T(GET "Host: a?b\r\n" END) },
	{ 400, T(GET "Host: a#b\r\n" END) },
	{ 400, T(GET "Host: a\\b\r\n" END) },
	{ 400, T(GET "Host: a, b\r\n" END) },
	{ 400, T(GET "Host: a\x01\r\n" END) },
	{ 400, T(GET "Host: a:1:2\r\n" END) },
	{ 400, T(GET "Host: a:x\r\n" END) },
	{ 400, T(GET "Host: http://a\r\n" END) },
	/* S-7, S-8 */
	{ 400, T(GET H "X : y\r\n" END) },
	{ 400, T(GET H "X\t: y\r\n" END) },
	{ 400, T(POST "Content-Length : 5\r\n" END) },
	{ 400, T(POST "Transfer-Encoding : chunked\r\n" END) },
	{ 400, T(POST "Transfer-Encoding\0: chunked\r\n" END) },
	{ 400, T(POST "Transfer-Encoding\x0b: chunked\r\n" END) },
	{ 400, T(POST "Transfer-Encoding\x85: chunked\r\n" END) },
	{ 400, T(POST "Transfer-Encoding\xa0: chunked\r\n" END) },
	{ 400, T(POST "Transfer-Encoding\r: chunked\r\n" END) },
	{ 400, T(POST "Transfer-Encoding\n: chunked\r\n" END) },
	{ 400, T(POST "Transfer-Encoding\r\n : chunked\r\n" END) },
	{ 400, T(POST "Transfer\r\n-Encoding: chunked\r\n" END) },
	{ 400, T(POST "X: y\rTransfer-Encoding: chunked\r\n" END) },
	{ 400, T(POST "X: y\nTransfer-Encoding: chunked\r\n" END) },
	/* S-9 */
	{ 400, T(GET H "X: y\r\n z\r\n" END) },
	{ 400, T(GET H "X: y\r\n\tz\r\n" END) },
	{ 400, T(GET " Host: a\r\n" END) },
	{ 400, T(GET H "X:\r\n y\r\n" END) },
	{ 400, T(GET H " \r\n" END) },
	/* S-10 */
	{ 400, T(GET H "X: a\0b\r\n" END) },
	{ 400, T(GET H "X: \0\r\n" END) },
	{ 400, T(GET H "X: a\rb\r\n" END) },
	{ 400, T(GET H "X: a\r\r\n" END) },
	{ 400, T(GET H "X\rY: a\r\n" END) },
	{ 400, T(GET H "\rX: a\r\n" END) },
	{ 400, T(GET H "X: 0123456789abcdefghi\0b\r\n" END) },
	{ 400, T(GET H "X: 0123456789abcdefghi\rb\r\n" END) },
	{ 0, T(GET H "X: a\tb\x01\x7f\x80\xff\r\n" END) },
	{ 0, T(GET H "X:\r\n" END) },
	{ 0, T(GET H "X: \t \r\n" END) },
	/* S-11 */
	{ 400, T(GET H ": x\r\n" END) },
	{ 400, T(GET H ":\r\n" END) },
	{ 400, T(GET H ":foo: x\r\n" END) },
	{ 400, T(GET H "X\r\n" END) },
	{ 400, T(GET H "X Y: z\r\n" END) },
	{ 400, T(GET H " foo: x\r\n" END) },
	{ 400, T(GET H "X(Y: z\r\n" END) },
	{ 400, T(GET H "</kie>: z\r\n" END) },
	{ 400, T(GET H "\"X\": z\r\n" END) },
	{ 400, T(GET H "X@: z\r\n" END) },
	{ 400, T(GET H "X\x80: z\r\n" END) },
	{ 400, T(GET H "foo\x02: z\r\n" END) },
	{ 400, T(GET H "X\x7f: z\r\n" END) },
	{ 400, T(GET H "abcdefghijklmnopqrstuvwxyz\x80: z\r\n" END) },
	{ 400, T(GET H "abcdefghijklmnopqrstuvwxyz@: z\r\n" END) },
	{ 400, T(GET H "X") },
	{ 400, T(GET H "X:") },
	{ 400, T(GET H "X: y") },
	{ 400, T(GET H "X: y\r") },
	{ 400, T(GET H) },
	{ 400, T(GET H "\r") },
	{ 400, T(GET H END "GET") },
	/* S-17 */
	{ 0, T("GET / HTTP/1.1\nHost: a\nX: y\n\n") },
	{ 0, T("GET / HTTP/1.1\nHost: a\r\nX: y\n\r\n") },
	{ 400, T("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n") },
	{ 400, T("GET / HTTP/1.1\r\nHost: a\r\n\n") },
	{ 400, T("GET / HTTP/1.1\nHost: a\n\r") },
	{ 400, T("GET / HTTP/1.1\nHost: a\rX: y\n\n") },
	/* single ones */
	{ 400, T(GET H "Expect: 100-continue\r\nExpect: 100-continue\r\n" END) },
	{ 400, T(GET H "If-Modified-Since: a\r\nIf-Modified-Since: b\r\n" END) },
	{ 400, T(GET H "If-Unmodified-Since: a\r\nIf-Unmodified-Since: b\r\n" END) },
	{ 400, T(GET H "If-Match: a\r\nIf-Match: b\r\n" END) },
	{ 400, T(GET H "If-None-Match: a\r\nIf-None-Match: b\r\n" END) },
	{ 400, T(GET H "If-Range: a\r\nIf-Range: b\r\n" END) },
	{ 400, T(GET H "Content-Range: a\r\nContent-Range: b\r\n" END) },
	{ 400, T(GET H "Authorization: a\r\nauthorization: a\r\n" END) },
	{ 0, T(GET H "User-Agent: a\r\nUser-Agent: b\r\nVia: c\r\nVia: d\r\n" END) },
	{ 0, T(GET H "Content-Type: a\r\nContent-Type: b\r\nReferer: c\r\nReferer: d\r\n" END) },
};

static void
test_request_fields(void **state)
{
	(void)state;
	run_rows(request_fields, WEIR_COUNT(request_fields), parse_request);
}

/* A name ends at every place of a sixteen byte block, a value too. */
static void
test_alignment(void **state)
{
	char	 text[400];
	unsigned i, k;
	int	 n;

	(void)state;
	for (i = 1; i < 40; i++)
		for (k = 0; k < 40; k++) {
			n = snprintf(text, sizeof(text), GET H "%.*s:%.*s\r\nY: z\r\n" END,
			    (int)i, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
			    (int)k, "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv");
			assert_int_equal(request_with(&usual, text, (size_t)n), 0);
			assert_int_equal(msg.fields.n, 3);
			assert_int_equal(msg.fields.v[1].name.n, i);
			assert_int_equal(msg.fields.v[1].value.n, k);
			n = snprintf(text, sizeof(text), "GET /%.*s HTTP/1.1\r\n" H END, (int)i,
			    "ttttttttttttttttttttttttttttttttttttttttt");
			assert_int_equal(request_with(&usual, text, (size_t)n), 0);
			assert_int_equal(msg.target.n, i + 1);
		}
}

static bool
passes(const struct h1_limits *limits, const char *name)
{
	char	text[200];
	int	n = snprintf(text, sizeof(text), GET H "%s: x-bar\r\nLast: 1\r\n" END, name);

	assert_int_equal(request_with(limits, text, (size_t)n), 0);
	assert_non_null(fields_find(&msg.fields, STR("Last"), NULL));	/* never lost: S-11 */
	return fields_find(&msg.fields, str_c(name), NULL) != NULL;
}

/* S-38, and nginx's three ways with odd names. */
static void
test_odd_names(void **state)
{
	(void)state;
	assert_true(passes(&usual, "X-Foo0"));
	assert_false(passes(&usual, "x_foo"));
	assert_false(passes(&usual, "_foo"));
	assert_false(passes(&usual, "Remote_User"));
	assert_false(passes(&usual, "x.foo"));
	assert_false(passes(&usual, "!#$%&'*+-.^`|~"));
	assert_false(passes(&usual, "Content_Length"));
	assert_true(passes(&as_they_are, "x_foo"));
	assert_true(passes(&as_they_are, "_foo"));
	assert_true(passes(&as_they_are, "x.foo"));
	assert_true(passes(&as_they_are, ".foo"));
	assert_true(passes(&with_underscores, "x_foo"));
	assert_true(passes(&with_underscores, "_foo"));
	assert_false(passes(&with_underscores, "x_f.oo"));
	assert_int_equal(request_with(&as_they_are, T(GET H "X(Y: 1\r\n" END)), 400);
	assert_int_equal(request_with(&with_underscores, T(GET H "X_\x80: 1\r\n" END)), 400);
}

/* S-22 */
static void
test_limits(void **state)
{
	const struct h1_limits tight = { .line = 40, .total = 130, .fields = 3 };

	(void)state;
	assert_int_equal(request_with(&tight, T("GET /0123456789012345678901234 HTTP/1.1\r\n" H
	    END)), 0);
	assert_int_equal(request_with(&tight, T("GET /01234567890123456789012345678 HTTP/1.1\r\n" H
	    END)), 414);
	assert_int_equal(request_with(&tight, T("GET /012345678901234567890123456789012345678901234 "
	    "HTTP/1.1\r\n" H END)), 414);
	assert_int_equal(request_with(&tight, T(GET H
	    "X: 012345678901234567890123456789012345\r\n" END)), 0);
	assert_int_equal(request_with(&tight, T(GET H
	    "X: 01234567890123456789012345678901234567\r\n" END)), 431);
	assert_int_equal(request_with(&tight, T(GET H "A: 1\r\nB: 2\r\n" END)), 0);
	assert_int_equal(request_with(&tight, T(GET H "A: 1\r\nB: 2\r\nC: 3\r\n" END)), 431);
	assert_int_equal(request_with(&tight, T(GET H
	    "A: 012345678901234567890123456789012345\r\nB: 012345678901234567890123456789012345\r\n"
	    "A: 012345678901234567890123456789012345\r\nB: 012345678901234567890123456789012345\r\n"
	    END)), 431);
	/* S-16: a method of 10 kB */
	{
		char *text = pool_bytes(pool, 11000);

		memset(text, 'A', 10000);
		memcpy(text + 10000, T(" / HTTP/1.1\r\n" H END));
		assert_int_equal(request_with(&usual, text, 10000 + sizeof(" / HTTP/1.1\r\n" H END) - 1),
		    501);
	}
}

/* More fields than there was room for at first. */
static void
test_many_fields(void **state)
{
	struct h1_limits many = usual;
	char		*text = pool_bytes(pool, 32000), *p = text;
	unsigned	 i;

	(void)state;
	many.fields = 1000;
	p += sprintf(p, GET H);
	for (i = 0; i < 900; i++)
		p += sprintf(p, "a%u:%u\r\n", i, i);
	p += sprintf(p, END);
	assert_int_equal(request_with(&many, text, (size_t)(p - text)), 0);
	assert_int_equal(msg.fields.n, 901);
	assert_str(msg.fields.v[900].name, "a899");
	assert_str(msg.fields.v[900].value, "899");
	assert_int_equal(request_with(&usual, text, (size_t)(p - text)), 431);
}

/* ---- framing ---- */

static const struct row request_framing[] = {
	/* S-1 */
	{ 400, T(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END) },
	{ 400, T(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END) },
	{ 400, T(POST "Transfer-Encoding: chunked\r\nContent-Length: x\r\n" END) },
	{ 400, T(POST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n" END) },
	/* S-2 */
	{ 400, T(POST "Content-Length: 5\r\nContent-Length: 6\r\n" END) },
	{ 400, T(POST "Content-Length: 5\r\nContent-Length: 5\r\n" END) },
	{ 400, T(POST "Content-Length: 5\r\ncontent-length: 5\r\n" END) },
	{ 400, T(POST "Content-Length: 5, 6\r\n" END) },
	{ 400, T(POST "Content-Length: 5, 5\r\n" END) },
	{ 400, T(POST "Content-Length: 5,5\r\n" END) },
	/* S-3 */
	{ 400, T(POST "Content-Length: +5\r\n" END) },
	{ 400, T(POST "Content-Length: -5\r\n" END) },
	{ 400, T(POST "Content-Length: 0x5\r\n" END) },
	{ 400, T(POST "Content-Length: 5a\r\n" END) },
	{ 400, T(POST "Content-Length:\r\n" END) },
	{ 400, T(POST "Content-Length: \t\r\n" END) },
	{ 400, T(POST "Content-Length: 5 5\r\n" END) },
	{ 400, T(POST "Content-Length: 5;\r\n" END) },
	{ 400, T(POST "Content-Length: \"5\"\r\n" END) },
	{ 400, T(POST "Content-Length: \x0b" "5\r\n" END) },
	{ 400, T(POST "Content-Length: 5\x0c\r\n" END) },
	{ 400, T(POST "Content-Length: \xa0" "5\r\n" END) },
	{ 400, T(POST "Content-Length: 5\0\r\n" END) },
	{ 400, T(POST "Content-Length: 5.0\r\n" END) },
	{ 400, T(POST "Content-Length: 5e1\r\n" END) },
	{ 0, T(POST "Content-Length:5 \t\r\n" END) },
	{ 0, T(POST "Content-Length: 05\r\n" END) },
	/* S-4 */
	{ 0, T(POST "Content-Length: 9223372036854775807\r\n" END) },
	{ 400, T(POST "Content-Length: 9223372036854775808\r\n" END) },
	{ 400, T(POST "Content-Length: 9999999999999999999\r\n" END) },
	{ 400, T(POST "Content-Length: 18446744073709551621\r\n" END) },
	{ 400, T(POST "Content-Length: 00000000000000000005\r\n" END) },
	{ 400, T(POST "Content-Length: 100000000000000000000000000000000000005\r\n" END) },
	/* S-5 */
	{ 0, T(POST "Transfer-Encoding: chunked\r\n" END) },
	{ 0, T(POST "Transfer-Encoding: CHUNKED\t\r\n" END) },
	{ 400, T(POST "Transfer-Encoding:\r\n" END) },
	{ 400, T(POST "Transfer-Encoding: ,\r\n" END) },
	{ 400, T(POST "Transfer-Encoding: chunked,\r\n" END) },
	{ 400, T(POST "Transfer-Encoding: chunked, chunked\r\n" END) },
	{ 400, T(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END) },
	{ 400, T(POST "Transfer-Encoding: foo\r\nTransfer-Encoding: bar\r\n" END) },
	{ 400, T(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n" END) },
	{ 501, T(POST "Transfer-Encoding: identity\r\n" END) },
	{ 501, T(POST "Transfer-Encoding: chunked, identity\r\n" END) },
	{ 501, T(POST "Transfer-Encoding: gzip, chunked\r\n" END) },
	{ 501, T(POST "Transfer-Encoding: xchunked\r\n" END) },
	{ 501, T(POST "Transfer-Encoding: chunked;q=1\r\n" END) },
	{ 501, T(POST "Transfer-Encoding: \"chunked\"\r\n" END) },
	{ 501, T(POST "Transfer-Encoding: \x0b" "chunked\r\n" END) },
	{ 501, T(POST "Transfer-Encoding: chunked\x80\r\n" END) },
	{ 501, T(POST "Transfer-Encoding: identity\r\nContent-Length: 5\r\n" END) },
	/* S-6 */
	{ 400, T("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END) },
	{ 400, T("POST / HTTP/1.0\r\nTransfer-Encoding: identity\r\n" END) },
	/* S-33 */
	{ 0, T(POST "Expect: 100-Continue\r\n" END) },
	{ 0, T("POST / HTTP/1.0\r\nExpect: 100-continue\r\n" END) },
	{ 417, T(POST "Expect: 100-continue, x\r\n" END) },
	{ 417, T(POST "Expect: y 100-continue\r\n" END) },
	{ 417, T(POST "Expect: unknown\r\n" END) },
	{ 417, T(POST "Expect: token=param\r\n" END) },
	{ 417, T(POST "Expect:\r\n" END) },
	{ 417, T("POST / HTTP/1.0\r\nExpect: x\r\n" END) },
};

static void
test_request_framing(void **state)
{
	(void)state;
	run_rows(request_framing, WEIR_COUNT(request_framing), parse_request);
}

static const struct {
	unsigned	 flags;
	int64_t		 length;
	const char	*text;
	size_t		 n;
} request_flags[] = {
	{ 0, 0, T(GET H END) },
	{ MSG_HAS_LENGTH, 5, T(POST "Content-Length: 5\r\n" END) },
	{ MSG_HAS_LENGTH, 0, T(POST "Content-Length: 0\r\n" END) },
	{ MSG_HAS_LENGTH, INT64_MAX, T(POST "Content-Length: 9223372036854775807\r\n" END) },
	{ MSG_CHUNKED, -1, T(POST "Transfer-Encoding: Chunked\r\n" END) },
	{ MSG_EXPECT, 0, T(POST "Expect: 100-CONTINUE\r\n" END) },
	{ MSG_CLOSE, 0, T("POST / HTTP/1.0\r\nExpect: 100-continue\r\n" END) },
	{ MSG_CLOSE, 0, T("GET / HTTP/1.0\r\n" END) },
	{ 0, 0, T("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n" END) },
	{ MSG_CLOSE, 0, T("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n" END) },
	{ MSG_CLOSE, 0, T(GET H "Connection: CLOSE\r\n" END) },
	{ MSG_CLOSE, 0, T(GET H "Connection: ,, x ,close,\r\n" END) },
	{ MSG_CLOSE, 0, T(GET H "Connection: x\r\nConnection: close\r\n" END) },
	{ 0, 0, T(GET H "Connection: closed, \"close\"\r\n" END) },
	{ 0, 0, T(GET H "Connection: keep-alive\r\n" END) },
	{ MSG_UPGRADE, 0, T(GET H "Connection: Upgrade\r\nUpgrade: websocket\r\n" END) },
	{ 0, 0, T(GET H "Connection: Upgrade\r\n" END) },
	{ 0, 0, T(GET H "Upgrade: websocket\r\n" END) },
	{ MSG_CLOSE, 0, T("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n" END) },
	/* S-30 */
	{ 0, 0, T(GET H "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" END) },
	{ 0, 0, T(GET H "Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n" END) },
	{ 0, 0, T(GET H "Connection: Upgrade\r\nUpgrade: x\r\nUpgrade: h2c\r\n" END) },
	{ MSG_TE_TRAILERS, 0, T(GET H "TE: trailers\r\n" END) },
	{ MSG_TE_TRAILERS, 0, T(GET H "TE: gzip;q=0.5\r\nTE: x, Trailers\r\n" END) },
	{ 0, 0, T(GET H "TE: gzip\r\n" END) },
};

static void
test_request_flags(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(request_flags); i++) {
		assert_int_equal(request_with(&usual, request_flags[i].text, request_flags[i].n), 0);
		if (msg.flags != request_flags[i].flags || msg.length != request_flags[i].length)
			fail_msg("row %zu: flags %#x length %lld for\n%s", i, msg.flags,
			    (long long)msg.length, request_flags[i].text);
	}
}

static bool
is_hop(const char *name)
{
	struct weir_field *f = fields_find(&msg.fields, str_c(name), NULL);

	assert_non_null(f);
	return f->hop;
}

/* S-27, S-28, S-29 */
static void
test_hop_by_hop(void **state)
{
	static const char *const fixed[] = {
		"Host", "Content-Length", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP",
		"Authorization", "Cookie", "Forwarded", "Via", "Expect",
	};
	size_t i;

	(void)state;
	assert_int_equal(request(GET H "Connection: ,X-Foo, ,\r\nx-foo: 1\r\nX-FOO: 2\r\nX-Bar: 3\r\n"
	    "connection: x-BAR, User-Agent\r\nX-Baz: 4\r\nUser-Agent: c\r\nKeep-Alive: 5\r\n"
	    "Proxy-Connection: x\r\nTE: x\r\nUpgrade: y\r\nHTTP2-Settings: z\r\n"
	    "Proxy-Authorization: q\r\nTrailer: w\r\n" END), 0);
	for (i = 0; i < msg.fields.n; i++)
		assert_int_equal(msg.fields.v[i].hop, !str_ieq(msg.fields.v[i].name, STR("Host")) &&
		    !str_ieq(msg.fields.v[i].name, STR("X-Baz")));

	assert_int_equal(request(POST "Connection: Host, Content-Length, X-Forwarded-For, X-Forwarded-Host\r\n"
	    "Connection: X-Real-IP, Authorization, Cookie, Forwarded, Via, Expect, Transfer-Encoding\r\n"
	    "Content-Length: 3\r\nX-Forwarded-For: a\r\nX-Forwarded-Host: b\r\nX-Real-IP: c\r\n"
	    "Authorization: d\r\nCookie: e\r\nForwarded: f\r\nVia: g\r\nExpect: 100-continue\r\n" END), 0);
	for (i = 0; i < WEIR_COUNT(fixed); i++)
		assert_false(is_hop(fixed[i]));
	assert_int_equal(msg.length, 3);

	assert_int_equal(request(POST "Connection: Transfer-Encoding, close\r\n"
	    "Transfer-Encoding: chunked\r\n" END), 0);
	assert_int_equal(msg.flags, MSG_CHUNKED | MSG_CLOSE);
	assert_true(is_hop("Transfer-Encoding"));
}

static void
test_many_options(void **state)
{
	char *text = pool_bytes(pool, 9000), *p = text;
	int   i;

	(void)state;
	p += sprintf(p, GET H "Connection: ");
	for (i = 0; i < 2000; i++)
		p += sprintf(p, i < 100 ? "a," : ", ");
	p += sprintf(p, "\r\n" END);
	assert_int_equal(request_with(&usual, text, (size_t)(p - text)), 0);
	p -= 4;
	p += sprintf(p, ",b\r\n" END);
	assert_int_equal(request_with(&usual, text, (size_t)(p - text)), 400);
}

/* ---- responses ---- */

#define OK	"HTTP/1.1 200 OK\r\n"

static const struct row responses[] = {
	{ 0, T(OK END) },
	{ 0, T("HTTP/1.0 200 OK\r\n" END) },
	{ 0, T("HTTP/1.1 200 \r\n" END) },
	{ 0, T("HTTP/1.1 200\r\n" END) },
	{ 0, T("HTTP/1.1 999 \xe4 b\tc\r\n" END) },
	{ 0, T("HTTP/1.1 100 Continue\r\n" END) },
	{ 0, T("HTTP/1.1 200 OK\nX: y\n\n") },
	{ 0, T("HTTP/1.1 200 OK\nX: y\r\n\r\n") },
	{ 0, T("HTTP/1.5 200 OK\r\n" END) },
	/* S-42 */
	{ 502, T("") },
	{ 502, T("\r\n" OK END) },
	{ 502, T("HTTP/1.1\r\n" END) },
	{ 502, T("HTTP/1.1 \r\n\r\n\r\n") },
	{ 502, T("HTTP/1.1  200 OK\r\n" END) },
	{ 502, T("HTTP/1.1\t200 OK\r\n" END) },
	{ 502, T("HTTP/1.1 20 OK\r\n" END) },
	{ 502, T("HTTP/1.1 2000 OK\r\n" END) },
	{ 502, T("HTTP/1.1 2x0 OK\r\n" END) },
	{ 502, T("HTTP/1.1 x00 OK\r\n" END) },
	{ 502, T("HTTP/1.1 20x OK\r\n" END) },
	{ 502, T("HTTP/1.1 099 OK\r\n" END) },
	{ 502, T("HTTP/1.1 +20 OK\r\n" END) },
	{ 502, T("HTTP/1.1 200OK\r\n" END) },
	{ 502, T("HTTP/1.1 200 O\0K\r\n" END) },
	{ 502, T("HTTP/1.1 200 O\rK\r\n" END) },
	{ 502, T("HTTP/1.1 200 O\x01K\r\n" END) },
	{ 502, T("HTTP/1.1 200 O\x7fK\r\n" END) },
	{ 502, T("HTTP/2.0 200 OK\r\n" END) },
	{ 502, T("HTTP/0.9 200 OK\r\n" END) },
	{ 502, T("HTTP/1.10 200 OK\r\n" END) },
	{ 502, T("http/1.1 200 OK\r\n" END) },
	{ 502, T("ICY 200 OK\r\n\r\n\r\n") },
	{ 502, T("<html>it works</html>\r\n\r\n") },
	{ 502, T("\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\n\n") },
	{ 502, T("HTTP/1.1 200 OK") },
	{ 502, T("HTTP/1.1 200") },
	{ 502, T("HTTP/1.1 200 OK\r") },
	/* S-43 */
	{ 502, T(OK "X: a\0b\r\n" END) },
	{ 502, T(OK "X: a\rb\r\n" END) },
	{ 502, T(OK ": b\r\n" END) },
	{ 502, T(OK " : b\r\n" END) },
	{ 502, T(OK "X Y: b\r\n" END) },
	{ 502, T(OK "X\r\n" END) },
	{ 502, T(OK "X \r\n" END) },
	{ 502, T(OK "X: y\r\n z\r\n" END) },
	{ 502, T(OK "X: y\r\n\tz: y\r\n" END) },
	{ 502, T(OK "X\x80: y\r\n" END) },
	{ 502, T(OK "X: y\nZ: y\r\n" END) },
	{ 502, T(OK "X ") },
	{ 502, T(OK " ") },
	{ 0, T(OK "X_Y.Z: y\r\n" END) },
	{ 0, T(OK "X : y\r\n" END) },
	{ 0, T(OK "X \t : y\r\n" END) },
	/* S-40 */
	{ 502, T(OK "Content-Length: 5\r\nContent-Length: 6\r\n" END) },
	{ 502, T(OK "Content-Length: 5\r\nContent-Length: 5\r\n" END) },
	{ 502, T(OK "Content-Length: 5, 5\r\n" END) },
	{ 502, T(OK "Content-Length: -1\r\n" END) },
	{ 502, T(OK "Content-Length: x\r\n" END) },
	{ 502, T(OK "Content-Length:\r\n" END) },
	{ 502, T(OK "Content-Length: 9223372036854775808\r\n" END) },
	{ 502, T(OK "Content-Length: x\r\nTransfer-Encoding: chunked\r\n" END) },
	{ 502, T("HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n" END) },
	{ 502, T("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" END) },
	{ 502, T(OK "Transfer-Encoding: gzip\r\n" END) },
	{ 502, T(OK "Transfer-Encoding: gzip, chunked\r\n" END) },
	{ 502, T(OK "Transfer-Encoding: identity\r\n" END) },
	{ 502, T(OK "Transfer-Encoding:\r\n" END) },
	{ 502, T(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END) },
};

static void
test_responses(void **state)
{
	(void)state;
	run_rows(responses, WEIR_COUNT(responses), parse_response);
}

static const struct {
	bool		 head;
	unsigned	 flags;
	int64_t		 length;
	const char	*text;
	size_t		 n;
} response_flags[] = {
	{ 0, MSG_UNTIL_CLOSE | MSG_CLOSE, -1, T(OK END) },
	{ 0, MSG_UNTIL_CLOSE | MSG_CLOSE, -1, T(OK "Connection: keep-alive\r\n" END) },
	{ 0, MSG_HAS_LENGTH, 5, T(OK "Content-Length: 5\r\n" END) },
	{ 0, MSG_HAS_LENGTH, 0, T(OK "Content-Length: 0\r\n" END) },
	{ 0, MSG_HAS_LENGTH | MSG_CLOSE, 5, T(OK "Connection: close\r\nContent-Length: 5\r\n" END) },
	{ 0, MSG_HAS_LENGTH | MSG_CLOSE, 5, T("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n" END) },
	{ 0, MSG_HAS_LENGTH, 5, T("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n" END) },
	{ 0, MSG_CHUNKED, -1, T(OK "Transfer-Encoding: chunked\r\n" END) },
	/* S-41 */
	{ 0, MSG_CHUNKED | MSG_CLOSE, -1, T(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END) },
	/* S-46, S-47 */
	{ 1, 0, 0, T(OK END) },
	{ 1, MSG_HAS_LENGTH, 0, T(OK "Content-Length: 5\r\n" END) },
	{ 1, 0, 0, T(OK "Transfer-Encoding: chunked\r\n" END) },
	{ 0, MSG_HAS_LENGTH, 0, T("HTTP/1.1 304 x\r\nContent-Length: 5\r\n" END) },
	{ 0, 0, 0, T("HTTP/1.1 304 x\r\n" END) },
	{ 0, 0, 0, T("HTTP/1.1 204 x\r\n" END) },
	{ 0, 0, 0, T("HTTP/1.1 204 x\r\nContent-Length: 0\r\n" END) },
	{ 0, MSG_CLOSE, 0, T("HTTP/1.1 204 x\r\nContent-Length: 5\r\n" END) },
	{ 0, MSG_CLOSE, 0, T("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n" END) },
	{ 0, 0, 0, T("HTTP/1.1 100 x\r\n" END) },
	{ 0, MSG_CLOSE, 0, T("HTTP/1.1 103 x\r\nContent-Length: 5\r\n" END) },
	{ 0, MSG_UPGRADE, 0, T("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: a\r\n" END) },
};

static void
test_response_flags(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(response_flags); i++) {
		assert_int_equal(response_with(response_flags[i].head, response_flags[i].text,
		    response_flags[i].n), 0);
		if (msg.flags != response_flags[i].flags || msg.length != response_flags[i].length)
			fail_msg("row %zu: flags %#x length %lld for\n%s", i, msg.flags,
			    (long long)msg.length, response_flags[i].text);
		/* One framing is handed on, and none where none may be. */
		if (msg.flags & MSG_CHUNKED || msg.status < 200 || msg.status == 204)
			assert_null(fields_known(&msg.fields, H_CONTENT_LENGTH));
		if (msg.status == 204)
			assert_null(fields_known(&msg.fields, H_TRANSFER_ENCODING));
	}
	assert_int_equal(response_with(true, T(OK "Content-Length: 5\r\n" END)), 0);
	assert_str(fields_value(&msg.fields, H_CONTENT_LENGTH), "5");
}

static void
test_response_parts(void **state)
{
	(void)state;
	assert_int_equal(response("HTTP/1.1 404 Not  Found \r\nSet-Cookie: a\r\nX-Y  :b\r\n"
	    "Connection: X-y, set-cookie\r\n" END), 0);
	assert_int_equal(msg.status, 404);
	assert_str(msg.reason, "Not  Found ");
	assert_str(msg.line, "HTTP/1.1 404 Not  Found ");
	assert_int_equal(msg.version, 0x101);
	assert_str(fields_find(&msg.fields, STR("X-Y"), NULL)->name, "X-Y");
	assert_str(fields_find(&msg.fields, STR("X-Y"), NULL)->value, "b");
	assert_true(is_hop("X-Y"));				/* S-53 */
	assert_false(is_hop("Set-Cookie"));
	assert_int_equal(response("HTTP/1.1 200\r\n" END), 0);
	assert_int_equal(msg.reason.n, 0);
	assert_int_equal(response("hello\r\nworld"), 502);
	assert_str(msg.line, "hello");
}

/* S-48 */
static void
test_response_limits(void **state)
{
	const struct h1_limits tight = { .line = 20, .total = 60, .fields = 2 };
	static const struct row rows[] = {
		{ 0, T(OK "A: 1\r\nB: 2\r\n" END) },
		{ 502, T(OK "A: 1\r\nB: 2\r\nC: 3\r\n" END) },
		{ 502, T("HTTP/1.1 200 it is fine\r\n" END) },
		{ 502, T(OK "A: 0123456789012345678\r\n" END) },
		{ 502, T(OK "A: 0123456789\r\nB: 0123456789\r\nC: 0123456789\r\n" END) },
	};
	size_t i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(rows); i++)
		assert_int_equal(h1_parse_response(pool, copy(rows[i].text, rows[i].n), rows[i].n,
		    &tight, false, &msg).status, rows[i].status);
	{
		char		*text = pool_bytes(pool, 9000), *p = text;
		int		 k;

		p += sprintf(p, OK "Connection: ");
		for (k = 0; k < 101; k++)
			p += sprintf(p, "a,");
		p += sprintf(p, "\r\n" END);
		assert_int_equal(response_with(false, text, (size_t)(p - text)), 502);
	}
}

/* ---- the end of a head, and heads that are not complete ---- */

static const struct {
	size_t		 end;		/* 0: not there */
	const char	*text;
} ends[] = {
	{ 0, "" }, { 0, "\r" }, { 0, "\r\n" }, { 0, "\n\n\n" }, { 0, "\r\n\r\n" },
	{ 0, "GET / HTTP/1.1" }, { 0, "GET / HTTP/1.1\r\n" }, { 0, "GET / HTTP/1.1\r\n\r" },
	{ 18, "GET / HTTP/1.1\r\n\r\n" }, { 18, "GET / HTTP/1.1\r\n\r\nGET" },
	{ 16, "GET / HTTP/1.1\n\n" }, { 17, "GET / HTTP/1.1\n\r\n" },
	{ 17, "GET / HTTP/1.1\r\n\n" },
	{ 21, "\n\r\nGET / HTTP/1.1\r\n\r\n" },
	{ 27, "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n" },
	{ 0, "GET / HTTP/1.1\r\nHost: a\r\rb\r\n\r" },
	{ 3, "a\n\n" }, { 0, "a\nb\rc\r\nd" },
	{ 57, "GET / HTTP/1.1\r\nX: 0123456789012345678901234567890123\r\n\r\n" },
};

static void
test_head_end(void **state)
{
	size_t i, n, k, scanned;

	(void)state;
	for (i = 0; i < WEIR_COUNT(ends); i++) {
		n = strlen(ends[i].text);
		scanned = 0;
		assert_int_equal(h1_head_end(ends[i].text, n, &scanned), ends[i].end);
		/* Byte by byte, in memory of just that size: the same, and not earlier. */
		scanned = 0;
		for (k = 0; k <= n; k++) {
			char	*part = malloc(k + 1);
			size_t	 got;

			memcpy(part, ends[i].text, k);
			part = realloc(part, k != 0 ? k : 1);
			got = h1_head_end(part, k, &scanned);
			free(part);
			assert_int_equal(got, ends[i].end != 0 && k >= ends[i].end ? ends[i].end : 0);
			assert_true(scanned <= k);
			if (got != 0)
				break;
		}
	}
}

static const struct h1_limits tight = { .line = 60, .total = 100, .fields = 10 };

/* All of these are beginnings; 0: there is hope. */
static const struct row starts[] = {
	{ 0, T("") },
	{ 0, T("\r") },
	{ 0, T("\r\n\r\n") },
	{ 0, T("\r\n\r\nG") },
	{ 0, T("G") },
	{ 0, T("GET") },
	{ 0, T("GET ") },
	{ 0, T("GET /") },
	{ 0, T("GET / ") },
	{ 0, T("GET / H") },
	{ 0, T("GET / HTTP/1.") },
	{ 0, T("GET / HTTP/1.1\r") },
	{ 0, T("GET / HTTP/1.1\r\n") },
	{ 0, T("GET / HTTP/1.1\r\nHost") },
	{ 0, T("GET / HTTP/1.1\nHost: a\n") },
	{ 400, T("\r\r") },
	{ 400, T("\x16\x03\x01") },
	{ 400, T("(") },
	{ 400, T(" ") },
	{ 400, T("GET\r") },
	{ 400, T("GET(") },
	{ 400, T("GET  ") },
	{ 400, T("GET /\x01") },
	{ 400, T("GET /#") },
	{ 400, T("GET /\r") },
	{ 400, T("GET /\r\n") },
	{ 400, T("GET / X") },
	{ 400, T("GET / http") },
	{ 400, T("GET / HTTP/1.1 xyz") },
	{ 400, T("GET / HTTP/1.1 \n") },
	{ 505, T("GET / HTTP/3.0\r\n") },
	{ 501, T("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") },
	{ 414, T("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") },
	{ 414, T("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n") },
	{ 431, T("GET / HTTP/1.1\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") },
	{ 431, T("GET / HTTP/1.1\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
	    "A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n") },
	{ 431, T("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
	    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
	    "\n\n\n\n\n\n\n\n\n\n") },
};

static int
parse_start(const char *text, size_t n)
{
	struct h1_verdict v = h1_check_request_start(copy(text, n), n, &tight);

	assert_int_equal(v.status != 0, v.why != NULL);
	return v.status;
}

static void
test_starts(void **state)
{
	(void)state;
	run_rows(starts, WEIR_COUNT(starts), parse_start);
}

/* What will be accepted has hope at every byte of its way. */
static void
test_no_early_refusal(void **state)
{
	static const struct row *const tables[] = { request_lines, request_fields, request_framing };
	static const size_t counts[] = { WEIR_COUNT(request_lines), WEIR_COUNT(request_fields),
	    WEIR_COUNT(request_framing) };
	size_t t, i, k;

	(void)state;
	for (t = 0; t < WEIR_COUNT(tables); t++)
		for (i = 0; i < counts[t]; i++) {
			const struct row *r = &tables[t][i];

			for (k = 0; r->status == 0 && k < r->n; k++)
				assert_int_equal(h1_check_request_start(r->text, k, &usual).status, 0);
		}
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_request_lines), TEST(test_request_parts), TEST(test_absolute_form),
		TEST(test_request_fields), TEST(test_alignment), TEST(test_odd_names),
		TEST(test_limits), TEST(test_many_fields), TEST(test_request_framing),
		TEST(test_request_flags), TEST(test_hop_by_hop), TEST(test_many_options),
		TEST(test_responses), TEST(test_response_flags), TEST(test_response_parts),
		TEST(test_response_limits), TEST(test_head_end), TEST(test_starts),
		TEST(test_no_early_refusal),
	};

	return RUN(tests);
}
