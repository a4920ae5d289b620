/* unit: src/core/tls/ocsp_http.c */
#include "unit.h"

#include <stdlib.h>

#include "core/base/base64.h"
#include "core/tls/ocsp_http.c"

static void
test_url(void **state)
{
	static const struct { const char *text, *host, *path; unsigned port; int family; } good[] = {
		{ "http://ocsp.example.com", "ocsp.example.com", "/", 80, AF_UNSPEC },
		{ "HTTP://ocsp.example.com:8080/a/b?c", "ocsp.example.com", "/a/b?c", 8080, AF_UNSPEC },
		{ "http://127.0.0.1/", "127.0.0.1", "/", 80, AF_INET },
		{ "http://[::1]:81/x", "::1", "/x", 81, AF_INET6 },
	};
	static const char *const bad[] = {
		"", "http:", "http://", "https://h/", "ldap://h/", "http:///x", "http://:80/", "http://h:/", "http://h:0/",
		"http://h:65536/", "http://h:80x/", "http://u@h/", "http://h /", "http://[::1/", "http://[::1]x/", "http://::1/",
		"http://[h]/", "http://[127.0.0.1]:x/", "http://h/a b", "http://h/\r\nX:", "http://h/\x80", "http://h/#f", "http://h\r\n/",
	};
	struct weir_ocsp_url u;
	const char *why;
	char *text = malloc(OCSP_URL_MAX + 1);

	(void)state;
	for (size_t i = 0; i < WEIR_COUNT(good); i++) {
		assert_int_equal(ocsp_url_parse(str_c(good[i].text), &u, &why), WEIR_OK);
		assert_true(str_eq(u.host, str_c(good[i].host)));
		assert_true(str_eq(u.path, str_c(good[i].path)));
		assert_int_equal(u.port, good[i].port);
		assert_int_equal(u.addr.sa.sa_family, good[i].family);
		if (good[i].family != AF_UNSPEC)
			assert_int_equal(addr_port(&u.addr), good[i].port);
	}
	for (size_t i = 0; i < WEIR_COUNT(bad); i++) {
		why = NULL;
		assert_int_equal(ocsp_url_parse(str_c(bad[i]), &u, &why), WEIR_FAIL);
		assert_non_null(why);
	}
	memset(text, 'a', OCSP_URL_MAX + 1);
	memcpy(text, "http://h/", 9);
	assert_int_equal(ocsp_url_parse(str_of(text, OCSP_URL_MAX), &u, &why), WEIR_OK);
	assert_int_equal(ocsp_url_parse(str_of(text, OCSP_URL_MAX + 1), &u, &why), WEIR_FAIL);
	free(text);
}

/* What is in the path, unescaped, means the same bytes. */
static void
test_request(void **state)
{
	struct weir_pool *pool = pool_new(4096);
	struct weir_ocsp_url u;
	const char *why;

	(void)state;
	assert_int_equal(ocsp_url_parse(STR("http://h:81/p"), &u, &why), WEIR_OK);
	for (size_t n = 1; n < 200; n++) {
		char der[200], plain[400], back[400];
		struct weir_str q;
		size_t k = 0;

		for (size_t i = 0; i < n; i++)
			der[i] = (char)(251 * i + n);
		q = ocsp_request(pool, &u, str_of(der, n));
		assert_true(str_begins(q, STR("GET /p/")));
		assert_true(str_ends(q, STR(" HTTP/1.0\r\nHost: h:81\r\n\r\n")));
		for (const char *p = q.p + 7; *p != ' '; p++) {
			assert_true(*p != '+' && *p != '/' && *p != '=');
			if (*p == '%') {
				plain[k++] = !memcmp(p, "%2B", 3) ? '+' : !memcmp(p, "%2F", 3) ? '/' : '=';
				p += 2;
			} else {
				plain[k++] = *p;
			}
		}
		assert_int_equal(base64_read(back, str_of(plain, k), false), n);
		assert_memory_equal(back, der, n);
	}
	assert_int_equal(ocsp_url_parse(STR("http://h"), &u, &why), WEIR_OK);
	assert_true(str_eq(ocsp_request(pool, &u, STR("\1")), STR("GET /AQ%3D%3D HTTP/1.0\r\nHost: h\r\n\r\n")));
	pool_free(pool);
}

#define OCSP_TYPE "Content-Type: application/ocsp-response\r\n"

static void
test_reply(void **state)
{
	static const struct { const char *text; int open, closed; } all[] = {
		{ "", WEIR_AGAIN, WEIR_FAIL },
		{ "HTTP/1.1 200 OK\r\n" OCSP_TYPE, WEIR_AGAIN, WEIR_FAIL },
		{ "HTTP/1.1 200 OK\r\n" OCSP_TYPE "\r\n", WEIR_AGAIN, WEIR_FAIL },
		{ "HTTP/1.1 200 OK\r\n" OCSP_TYPE "\r\nbody", WEIR_AGAIN, WEIR_OK },
		{ "HTTP/1.0 200\n\nbody", WEIR_AGAIN, WEIR_OK },
		{ "HTTP/1.1 200 OK\r\n" OCSP_TYPE "Content-Length: 4\r\n\r\nbody", WEIR_OK, WEIR_OK },
		{ "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nContent-Length: 4\r\n\r\nbody and more", WEIR_OK, WEIR_OK },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody", WEIR_AGAIN, WEIR_FAIL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "HTTP/1.1 200 OK\r\nno colon\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "HTTP/1.1 404 No\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "HTTP/1.1 2000 OK\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "HTTP/2 200 OK\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "HTTP/1.x 200 OK\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
		{ "junk\r\n\r\nbody", WEIR_FAIL, WEIR_FAIL },
	};
	struct weir_str body;
	const char *why;

	(void)state;
	for (size_t i = 0; i < WEIR_COUNT(all); i++) {
		struct weir_str s = str_c(all[i].text);

		assert_int_equal(ocsp_reply_parse(s, false, &body, &why), all[i].open);
		if (all[i].open == WEIR_OK)
			assert_true(str_eq(body, STR("body")));
		assert_int_equal(ocsp_reply_parse(s, true, &body, &why), all[i].closed);
		if (all[i].closed == WEIR_OK)
			assert_true(str_eq(body, STR("body")));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_reply),
	};

	return RUN(tests);
}
