/* unit: src/core/net/proxy_protocol.c */
#include "unit.h"

#include "core/net/proxy_protocol.c"

static struct weir_pool *pool;

/* The header `p` of n bytes with more behind it: nothing behind it counts, and no part of it is enough. */
static ssize_t
parse(const char *p, size_t n, struct weir_proxied *to, const char **why)
{
	char	*all = test_malloc(n + 64);
	ssize_t	 whole, part;
	size_t	 i;

	memcpy(all, p, n);
	memset(all + n, 'G', 64);
	whole = proxy_parse(all, n, to, why);
	for (i = 0; i < n; i++) {
		part = proxy_parse(all, i, to, why);
		if (whole >= 0)
			assert_int_equal(part, i < (size_t)whole ? WEIR_AGAIN : whole);
		else
			assert_true(part == WEIR_AGAIN || part == WEIR_FAIL);
	}
	if (whole >= 0)
		assert_int_equal(proxy_parse(all, n + 64, to, why), whole);
	memcpy(all, p, n);
	test_free(all);
	return proxy_parse(p, n, to, why);
}

static ssize_t
line(const char *text, struct weir_proxied *to)
{
	const char	*why;

	return parse(text, strlen(text), to, &why);
}

static void
addr_is(const struct weir_addr *a, const char *text)
{
	char	got[ADDR_TEXT_MAX];

	assert_str(str_of(got, addr_put(got, a)), text);
}

static void
test_v1(void **state)
{
	struct weir_proxied p;
	(void)state;

	assert_int_equal(line("PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n", &p), 41);
	assert_true(p.known && p.version == 1);
	addr_is(&p.src, "192.0.2.1:40000");
	addr_is(&p.dst, "192.0.2.2:80");
	assert_str(p.src_text, "192.0.2.1");
	assert_int_equal(line("PROXY TCP6 2001:DB8::1 ::1 0 65535\r\n", &p), 36);
	assert_true(p.known);
	addr_is(&p.src, "[2001:db8::1]:0");
	addr_is(&p.dst, "[::1]:65535");
	assert_str(p.src_text, "2001:DB8::1");
	assert_int_equal(line("PROXY UNKNOWN\r\n", &p), 15);
	assert_false(p.known);
	assert_int_equal(line("PROXY UNKNOWN whatever it says: 1 2 3\r\n", &p), 39);
	assert_false(p.known);
}

static void
test_v1_bad(void **state)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\n", "PROXY\r\n", "PROXY \r\n", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
		"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r \n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
		"PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
		"PROXY TCP6 [::1] [::1] 1 2\r\n", "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 0x2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 000001 2\r\n",
		"PROXY UNKNOWNX\r\n", "PROXY UNKNOWN \1\r\n", "PROXY UNKNOWN \x80\r\n", "PROXY TCP4\r\n",
		"\r\nPROXY UNKNOWN\r\n", "PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n",
	};
	struct weir_proxied p;
	unsigned	 i;
	(void)state;

	for (i = 0; i < WEIR_COUNT(bad); i++)
		if (line(bad[i], &p) != WEIR_FAIL)
			fail_msg("taken: %s", bad[i]);
}

/* 107 bytes are the longest line that anybody needs (S-201). */
static void
test_v1_length(void **state)
{
	char		 text[120];
	const char	*why;
	struct weir_proxied p;
	(void)state;

	memset(text, 'x', sizeof(text));
	memcpy(text, "PROXY UNKNOWN ", 14);
	assert_int_equal(proxy_parse(text, 106, &p, &why), WEIR_AGAIN);
	assert_int_equal(proxy_parse(text, 107, &p, &why), WEIR_FAIL);
	assert_int_equal(proxy_parse(text, 108, &p, &why), WEIR_FAIL);
	memcpy(text + 105, "\r\n", 2);
	assert_int_equal(parse(text, 107, &p, &why), 107);
	text[105] = 'x';
	memcpy(text + 106, "\r\n", 2);
	assert_int_equal(proxy_parse(text, 108, &p, &why), WEIR_FAIL);
	assert_int_equal(proxy_parse("", 0, &p, &why), WEIR_AGAIN);
}

/* ---- version 2 ---- */

static char	buf[70000];

static size_t
v2(unsigned command, unsigned kind, const char *body, size_t n)
{
	memcpy(buf, signature, 12);
	buf[12] = (char)command;
	buf[13] = (char)kind;
	buf[14] = (char)(n >> 8);
	buf[15] = (char)n;
	memcpy(buf + 16, body, n);
	return 16 + n;
}

#define INET	"\xc0\x00\x02\x01" "\xc0\x00\x02\x02" "\x00\x7b" "\x16\x2e"
#define INET6	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2" "\x00\x7b" "\x16\x2e"
#define V2(cmd, kind, body)	v2(cmd, kind, body, sizeof(body) - 1)

static ssize_t
parse_buf(size_t n, struct weir_proxied *to)
{
	const char	*why;

	return parse(buf, n, to, &why);
}

static void
test_v2(void **state)
{
	struct weir_proxied p;
	(void)state;

	assert_int_equal(parse_buf(V2(0x21, 0x11, INET), &p), 28);
	assert_true(p.known && p.version == 2 && p.tlvs.n == 0 && p.src_text.n == 0);
	addr_is(&p.src, "192.0.2.1:123");
	addr_is(&p.dst, "192.0.2.2:5678");
	assert_int_equal(parse_buf(V2(0x21, 0x21, INET6), &p), 52);
	addr_is(&p.src, "[2001:db8::1]:123");
	addr_is(&p.dst, "[2001:db8::2]:5678");
}

/* What says nothing about a client: the connection stands all the same. */
static void
test_v2_silent(void **state)
{
	struct weir_proxied p;
	(void)state;

	assert_int_equal(parse_buf(V2(0x20, 0x00, ""), &p), 16);
	assert_false(p.known);
	assert_int_equal(parse_buf(V2(0x20, 0x11, INET), &p), 28);	/* LOCAL */
	assert_false(p.known);
	assert_int_equal(parse_buf(V2(0x21, 0x00, "whatever"), &p), 24);	/* UNSPEC */
	assert_false(p.known);
	assert_int_equal(parse_buf(V2(0x21, 0x13, INET), &p), 28);	/* a transport of the future */
	assert_false(p.known);
	memset(buf + 1000, 0, 216);
	assert_int_equal(parse_buf(v2(0x21, 0x31, buf + 1000, 216), &p), 232);	/* unix */
	assert_false(p.known);
	assert_int_equal(parse_buf(V2(0x21, 0x41, "abcd"), &p), 20);	/* not defined yet */
	assert_false(p.known);
}

static void
test_v2_datagram(void **state)
{
	struct weir_proxied p;
	(void)state;

	assert_int_equal(parse_buf(V2(0x21, 0x12, INET), &p), 28);
	assert_true(p.known && p.datagram);
	assert_int_equal(parse_buf(V2(0x21, 0x11, INET), &p), 28);
	assert_true(p.known && !p.datagram);
	assert_int_equal(parse_buf(V2(0x21, 0x12, "too short"), &p), WEIR_FAIL);
}

static void
test_v2_bad(void **state)
{
	struct weir_proxied p;
	const char	*why;
	(void)state;

	assert_int_equal(parse_buf(V2(0x11, 0x11, INET), &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x31, 0x11, INET), &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x22, 0x11, INET), &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x2f, 0x11, INET), &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x21, 0x11, "12345678901"), &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x21, 0x21, INET), &p), WEIR_FAIL);
	V2(0x21, 0x11, INET);
	buf[14] = buf[15] = '\xff';		/* S-201: 65535 */
	assert_int_equal(proxy_parse(buf, 16, &p, &why), WEIR_FAIL);
	assert_string_equal(why, "header is too large");
	V2(0x21, 0x11, INET);
	buf[3] = 'x';
	assert_int_equal(proxy_parse(buf, 4, &p, &why), WEIR_FAIL);
}

static void
test_v2_length(void **state)
{
	struct weir_proxied p;
	const char	*why;
	size_t		 n;
	(void)state;

	memset(buf + 5000, 0, 5000);
	memcpy(buf + 5000, INET "\x04", 13);	/* noop to the end */
	buf[5013] = (char)((4096 - 31) >> 8);
	buf[5014] = (char)(4096 - 31);
	n = v2(0x21, 0x11, buf + 5000, 4080);
	assert_int_equal(n, PROXY_V2_MAX);
	assert_int_equal(proxy_parse(buf, n, &p, &why), 4096);
	assert_int_equal(p.tlvs.n, 4096 - 28);
	assert_int_equal(proxy_parse(buf, n - 1, &p, &why), WEIR_AGAIN);
	(void)v2(0x21, 0x11, buf + 5000, 4081);
	assert_int_equal(proxy_parse(buf, 16, &p, &why), WEIR_FAIL);
}

/* ---- TLVs ---- */

static void
tlv_is(const struct weir_proxied *p, const char *name, const char *want)
{
	struct weir_str	got;

	assert_int_equal(proxied_tlv(p, pool, str_c(name), &got), WEIR_OK);
	assert_str(got, want);
}

static void
tlv_none(const struct weir_proxied *p, const char *name, int rc)
{
	struct weir_str	got;

	assert_int_equal(proxied_tlv(p, pool, str_c(name), &got), rc);
}

#define SSL_INSIDE "\x01\0\0\x01\x02" "\x21\0\x07TLSv1.3" "\x22\0\x02" "me" "\x23\0\x03" "AES" "\x24\0\x04" "S256" "\x25\0\x02" "EC"

static void
test_tlvs(void **state)
{
	struct weir_proxied p, *kept;
	(void)state;

	assert_int_equal(parse_buf(V2(0x21, 0x11, INET "\x01\0\2h2" "\x02\0\7a.local" "\x04\0\3xyz"
	    "\x05\0\2id" "\x20\0\x26" SSL_INSIDE "\x30\0\2ns" "\xea\0\4vpce" "\xeb\0\0" "\x01\0\1z"), &p),
	    28 + 5 + 10 + 6 + 5 + 41 + 5 + 7 + 3 + 4);
	kept = proxied_keep(&p);
	memset(buf, 'x', 200);
	tlv_is(kept, "alpn", "h2");	/* the first counts */
	tlv_is(kept, "authority", "a.local");
	tlv_is(kept, "unique_id", "id");
	tlv_is(kept, "netns", "ns");
	tlv_is(kept, "ssl_version", "TLSv1.3");
	tlv_is(kept, "ssl_cn", "me");
	tlv_is(kept, "ssl_cipher", "AES");
	tlv_is(kept, "ssl_sig_alg", "S256");
	tlv_is(kept, "ssl_key_alg", "EC");
	tlv_is(kept, "ssl_verify", "258");
	tlv_is(kept, "ssl_0x22", "me");
	tlv_is(kept, "0xea", "vpce");
	tlv_is(kept, "0x4", "xyz");
	tlv_is(kept, "0xeb", "");
	tlv_none(kept, "0x99", WEIR_AGAIN);
	tlv_none(kept, "0xfff", WEIR_FAIL);
	tlv_none(kept, "0x", WEIR_FAIL);
	tlv_none(kept, "ssl_0x99", WEIR_AGAIN);
	tlv_none(kept, "ssl_alpn", WEIR_FAIL);
	tlv_none(kept, "nothing", WEIR_FAIL);
	proxied_free(kept);
	assert_int_equal(parse_buf(V2(0x21, 0x11, INET), &p), 28);
	tlv_none(&p, "alpn", WEIR_AGAIN);
	tlv_none(&p, "ssl_cn", WEIR_AGAIN);
	tlv_none(&p, "ssl_verify", WEIR_AGAIN);
	proxied_free(NULL);
}

static void
test_tlvs_bad(void **state)
{
	struct weir_proxied p;
	(void)state;

	assert_int_equal(parse_buf(V2(0x21, 0x11, INET "\x01"), &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x21, 0x11, INET "\x01\0"), &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x21, 0x11, INET "\x01\0\1"), &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x21, 0x11, INET "\x01\xff\xffx"), &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x21, 0x11, INET "\x20\0\4\1\0\0\0"), &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x21, 0x11, INET "\x20\0\x08\1\0\0\0\0\x21\0\1"), &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x21, 0x11, INET "\x20\0\x08\1\0\0\0\0\x21\0\0"), &p), 39);
}

static void
test_sum(void **state)
{
	struct weir_proxied p;
	uint32_t	 sum;
	size_t		 n, at;
	(void)state;

	assert_int_equal(~proxy_crc32c(UINT32_MAX, "123456789", 9), 0xe3069283u);
	n = V2(0x21, 0x11, INET "\x01\0\2h2" "\x03\0\4\0\0\0\0" "\x05\0\1i");
	at = 28 + 5 + 3;
	sum = ~proxy_crc32c(UINT32_MAX, buf, n);
	for (int i = 0; i < 4; i++)
		buf[at + (size_t)i] = (char)(sum >> (24 - 8 * i));
	assert_int_equal(parse_buf(n, &p), n);
	tlv_is(&p, "alpn", "h2");
	buf[20] ^= 1;
	assert_int_equal(parse_buf(n, &p), WEIR_FAIL);
	buf[20] ^= 1;
	buf[at] ^= 1;
	assert_int_equal(parse_buf(n, &p), WEIR_FAIL);
	assert_int_equal(parse_buf(V2(0x21, 0x11, INET "\x03\0\3\0\0\0"), &p), WEIR_FAIL);
}

/* ---- writing ---- */

static struct weir_addr
addr(const char *text)
{
	struct weir_addr a;
	struct weir_str	 host;
	unsigned	 port;

	assert_int_equal(addr_parse(pool, str_c(text), 0, &a, &host, &port), WEIR_OK);
	return a;
}

static void
test_write(void **state)
{
	static const struct { const char *src, *dst, *v1, *again_src, *again_dst; } v[] = {
		{ "1.2.3.4:5", "6.7.8.9:10", "PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n", "1.2.3.4:5", "6.7.8.9:10" },
		{ "[::1]:5", "[2001:db8::2]:65535", "PROXY TCP6 ::1 2001:db8::2 5 65535\r\n", "[::1]:5",
		    "[2001:db8::2]:65535" },
		{ "1.2.3.4:5", "[::1]:10", "PROXY TCP6 ::ffff:1.2.3.4 ::1 5 10\r\n", "[::ffff:1.2.3.4]:5", "[::1]:10" },
		{ "[::1]:5", "1.2.3.4:10", "PROXY TCP6 ::1 ::ffff:1.2.3.4 5 10\r\n", "[::1]:5", "[::ffff:1.2.3.4]:10" },
		{ "1.2.3.4:5", "unix:/x", "PROXY TCP4 1.2.3.4 0.0.0.0 5 0\r\n", "1.2.3.4:5", "0.0.0.0:0" },
		{ "unix:/x", "[::1]:5", "PROXY TCP6 :: ::1 0 5\r\n", "[::]:0", "[::1]:5" },
		{ "unix:/x", "unix:/y", "PROXY UNKNOWN\r\n", NULL, NULL },
	};
	(void)state;

	for (unsigned i = 0; i < WEIR_COUNT(v); i++) {
		struct weir_addr src = addr(v[i].src), dst = addr(v[i].dst);
		struct weir_proxy_say say = { .version = 1, .src = &src, .dst = &dst };
		struct weir_proxied p;
		const char	*why;
		ssize_t		 n = proxy_write(buf, &say);

		assert_str(str_of(buf, (size_t)n), v[i].v1);
		say.version = 2;
		n = proxy_write(buf, &say);
		assert_int_equal(proxy_parse(buf, (size_t)n, &p, &why), n);
		assert_int_equal(p.known, v[i].again_src != NULL);
		if (p.known) {
			addr_is(&p.src, v[i].again_src);
			addr_is(&p.dst, v[i].again_dst);
		} else {
			assert_int_equal(n, 232);
			assert_int_equal((unsigned char)buf[13], 0x31);
			assert_string_equal(buf + 16, "/x");
			assert_string_equal(buf + 124, "/y");
		}
	}
}

/* For ourselves, with values and a sum, and as long as can be. */
static void
test_write_room(void **state)
{
	struct weir_proxy_tlv tlvs[] = { { 1, STR("h2") }, { 0xe0, { NULL, 0 } }, { 4, { buf + 10000, 0 } } };
	struct weir_proxy_say say = { .version = 1 };
	struct weir_proxied p;
	const char	*why;
	struct weir_addr a = addr("1.2.3.4:5");
	(void)state;

	assert_str(str_of(buf, (size_t)proxy_write(buf, &say)), "PROXY UNKNOWN\r\n");
	say.version = 2;
	assert_int_equal(proxy_write(buf, &say), 16);
	assert_int_equal((unsigned char)buf[12], 0x20);
	assert_int_equal(proxy_parse(buf, 16, &p, &why), 16);
	assert_false(p.known);

	say = (struct weir_proxy_say){ .version = 2, .src = &a, .dst = &a, .datagram = true, .crc32c = true,
		.tlvs = tlvs, .n_tlvs = 3 };
	tlvs[2].value.n = PROXY_V2_MAX - 28 - 5 - 3 - 3 - 7;
	assert_int_equal(proxy_write(buf, &say), PROXY_V2_MAX);
	assert_int_equal(proxy_parse(buf, PROXY_V2_MAX, &p, &why), PROXY_V2_MAX);
	assert_true(p.known && p.datagram);
	tlv_is(&p, "alpn", "h2");
	tlv_is(&p, "0xe0", "");
	buf[40] ^= 1;
	assert_int_equal(proxy_parse(buf, PROXY_V2_MAX, &p, &why), WEIR_FAIL);
	tlvs[2].value.n++;
	assert_int_equal(proxy_write(buf, &say), WEIR_FAIL);
	say.crc32c = false;
	assert_int_equal(proxy_write(buf, &say), PROXY_V2_MAX - 6);
	tlvs[2].value.n = UINT16_MAX + 1;
	assert_int_equal(proxy_write(buf, &say), WEIR_FAIL);
}

static void
test_names(void **state)
{
	(void)state;
	assert_int_equal(proxy_tlv_type(STR("alpn")), 1);
	assert_int_equal(proxy_tlv_type(STR("netns")), 0x30);
	assert_int_equal(proxy_tlv_type(STR("0xEA")), 0xea);
	assert_int_equal(proxy_tlv_type(STR("0x0")), WEIR_FAIL);
	assert_int_equal(proxy_tlv_type(STR("0x100")), WEIR_FAIL);
	assert_int_equal(proxy_tlv_type(STR("0x")), WEIR_FAIL);
	assert_int_equal(proxy_tlv_type(STR("ssl_cn")), WEIR_FAIL);
	assert_int_equal(proxy_tlv_type(STR("")), WEIR_FAIL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1), cmocka_unit_test(test_v1_bad),
		cmocka_unit_test(test_v1_length), cmocka_unit_test(test_v2),
		cmocka_unit_test(test_v2_silent), cmocka_unit_test(test_v2_bad),
		cmocka_unit_test(test_v2_datagram), cmocka_unit_test(test_write),
		cmocka_unit_test(test_write_room), cmocka_unit_test(test_names),
		cmocka_unit_test(test_v2_length), cmocka_unit_test(test_tlvs),
		cmocka_unit_test(test_tlvs_bad), cmocka_unit_test(test_sum),
	};
	int	rc;

	pool = pool_new(0);
	rc = RUN(tests);
	pool_free(pool);
	return rc;
}
