/* unit: src/core/net/detect.c */
#include "unit.h"

#include "core/net/detect.c"

/* `needed`: so many bytes are enough, and one less is not; 0: the first that cannot be tells. */
static const struct {
	const char	*bytes;
	size_t		 n;
	enum weir_detected is;
	size_t		 needed;
} rows[] = {
#define ROW(text, what, needed)	{ (text), sizeof(text) - 1, (what), (needed) }
	ROW("GET / HTTP/1.1\r\n", DETECT_HTTP, 4),
	ROW("POST /x HTTP/1.0\r\n", DETECT_HTTP, 5),
	ROW("PUT /x", DETECT_HTTP, 4),
	ROW("PROPFIND /x", DETECT_HTTP, 9),
	ROW("PROPPATCH /x", DETECT_HTTP, 10),
	ROW("PATCH /x", DETECT_HTTP, 6),
	ROW("CONNECT a:1 HTTP/1.1", DETECT_HTTP, 8),
	ROW("COPY /a", DETECT_HTTP, 5),
	ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", DETECT_HTTP2, 24),
	ROW("PROXY TCP4 1.2.3.4", DETECT_PROXY, 11),
	ROW("PROXY TCP6 ::1", DETECT_PROXY, 11),
	ROW("PROXY UNKNOWN\r\n", DETECT_PROXY, 13),
	ROW("\r\n\r\n\0\r\nQUIT\n\x21\x11", DETECT_PROXY, 12),
	ROW("SSH-2.0-OpenSSH_9.2\r\n", DETECT_SSH, 4),
	ROW("\x13" "BitTorrent protocol\0\0\0\0", DETECT_BITTORRENT, 20),
	ROW("\x16\3\1\2\0\1\0\1\xfc\3\3", DETECT_TLS, 6),
	ROW("\x16\3\3\0\1\1", DETECT_TLS, 6),
	ROW("\x16\3\3\x40\0\1", DETECT_TLS, 6),
	ROW("\4\1\0\x50\1\2\3\4x\0", DETECT_SOCKS4, 8),
	ROW("\4\2\0\x50\1\2\3\4\0", DETECT_SOCKS4, 8),
	ROW("\5\1\0", DETECT_SOCKS5, 3),
	ROW("\5\3\0\1\2", DETECT_SOCKS5, 5),
	ROW("\5\1\0\xff", DETECT_SOCKS5, 3),
	ROW("get / HTTP/1.1", DETECT_UNKNOWN, 0),
	ROW("GETX /", DETECT_UNKNOWN, 0),
	ROW("PRI * HTTP/1.1", DETECT_UNKNOWN, 0),
	ROW("PROXY TCP5 ", DETECT_UNKNOWN, 0),
	ROW("SSH_2", DETECT_UNKNOWN, 0),
	ROW("\x13" "BitTorrent client", DETECT_UNKNOWN, 0),
	ROW("\x16\2\1\2\0\1", DETECT_UNKNOWN, 0),
	ROW("\x16\3\1\2\0\2", DETECT_UNKNOWN, 0),
	ROW("\x16\3\1\0\0\1", DETECT_UNKNOWN, 0),
	ROW("\x16\3\1\x50\0\1", DETECT_UNKNOWN, 0),
	ROW("\4\3\0\x50\1\2\3\4\0", DETECT_UNKNOWN, 0),
	ROW("\4\0\0\x50\1\2\3\4\0", DETECT_UNKNOWN, 0),
	ROW("\5\0", DETECT_UNKNOWN, 0),
	ROW("\5\2\0\xff", DETECT_UNKNOWN, 0),
	ROW("\6\1\0", DETECT_UNKNOWN, 0),
	ROW("EHLO x\r\n", DETECT_UNKNOWN, 0),
#undef ROW
};

/* Byte by byte it is unsure, and then it is sure for ever. */
static void
test_rows(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(rows); i++) {
		enum weir_detected before = DETECT_MORE;

		for (size_t n = 0; n <= rows[i].n; n++) {
			enum weir_detected now = detect(rows[i].bytes, n);

			assert_true(before == DETECT_MORE || now == before);
			if (rows[i].needed != 0)
				assert_true((now == DETECT_MORE) == (n < rows[i].needed));
			before = now;
		}
		assert_int_equal(before, rows[i].is);
	}
}

static void
test_most(void **state)
{
	char bytes[DETECT_MOST] = { 5, (char)255 };

	(void)state;
	assert_int_equal(detect(bytes, DETECT_MOST - 1), DETECT_MORE);
	assert_int_equal(detect(bytes, DETECT_MOST), DETECT_SOCKS5);
}

static void
test_names(void **state)
{
	(void)state;
	for (unsigned i = DETECT_TLS; i < N_DETECTED; i++)
		assert_int_equal(detect_by_name(str_c(detect_name((enum weir_detected)i))), i);
	assert_int_equal(detect_by_name(STR("smtp")), DETECT_UNKNOWN);
	assert_int_equal(detect_by_name(STR("")), DETECT_UNKNOWN);
	assert_string_equal(detect_name(DETECT_HTTP2), "http2");
	assert_string_equal(detect_name(DETECT_UNKNOWN), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_names),
	};

	return RUN(tests);
}
