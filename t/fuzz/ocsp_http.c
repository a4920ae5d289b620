/* unit: src/core/tls/ocsp_http.c */
/*
 * ocsp_http.c - any bytes as the answer of an OCSP responder, and as its address in a certificate.
 *
 * A body lies in the answer; it is the same however much has come behind it; what ends the answer later is no less bytes.  An
 * address leads to a request of one line and one field.
 */
#include <stdlib.h>

#include "core/tls/ocsp_http.c"

static void
check(bool what)
{
	if (!what)
		abort();
}

static void
reply(struct weir_str s)
{
	struct weir_str open = STR_NONE, closed = STR_NONE, part;
	const char	*why = NULL;
	int		 a = ocsp_reply_parse(s, false, &open, &why);
	int		 b = ocsp_reply_parse(s, true, &closed, &why);

	check(a == WEIR_OK || a == WEIR_AGAIN || (a == WEIR_FAIL && why != NULL));
	check(b == WEIR_OK || (b == WEIR_FAIL && why != NULL));
	check(s.n < OCSP_REPLY_MAX || a != WEIR_AGAIN);
	if (b == WEIR_OK)
		check(closed.n != 0 && closed.p > s.p && closed.p + closed.n <= s.p + s.n);
	if (a == WEIR_FAIL)
		check(b == WEIR_FAIL);
	if (a != WEIR_OK)
		return;
	check(b == WEIR_OK && open.p == closed.p && open.n == closed.n);
	/* without the last byte of the body it is not whole, and only so much is needed */
	part = str_of(s.p, (size_t)(open.p + open.n - s.p));
	check(ocsp_reply_parse(part, false, &closed, &why) == WEIR_OK && closed.n == open.n);
	part.n--;
	check(ocsp_reply_parse(part, false, &closed, &why) == WEIR_AGAIN);
	check(ocsp_reply_parse(part, true, &closed, &why) == WEIR_FAIL);
}

static void
url(struct weir_str s)
{
	struct weir_pool *pool;
	struct weir_ocsp_url u;
	struct weir_str	 q;
	const char	*why = NULL;
	unsigned	 lines = 0;

	if (ocsp_url_parse(s, &u, &why) != WEIR_OK) {
		check(why != NULL);
		return;
	}
	check(u.host.n != 0 && u.port != 0 && u.port <= 65535 && u.path.n != 0 && u.path.p[0] == '/');
	pool = pool_new(1024);
	q = ocsp_request(pool, &u, s);
	for (size_t i = 0; i < q.n; i++) {
		check(q.p[i] != '\0' && (unsigned char)q.p[i] < 0x7f);
		lines += q.p[i] == '\n';
	}
	check(lines == 3 && str_ends(q, STR("\r\n\r\n")) && str_begins(q, STR("GET /")));
	pool_free(pool);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct weir_str s = str_of((const char *)p, n);

	reply(s);
	url(s);
	return 0;
}
