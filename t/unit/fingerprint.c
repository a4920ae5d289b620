/* unit: src/core/tls/fingerprint.c */
#include "hello.h"

#include "core/tls/fingerprint.c"

static struct out message;
static struct weir_pool *pool;

static struct weir_fp *
fp_of(const struct say *s, enum weir_fp_over over)
{
	static struct weir_hello h;
	const char *why;

	say_hello(&message, s);
	why = hello_parse(message.b, message.n, &h);
	if (why != NULL)
		fail_msg("%s", why);
	return fp_new(&h, over);
}

static int
begin(void **state)
{
	(void)state;
	pool = pool_new(0);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* ---- JA4: what the specification and the captures beside it say ---- */

#define REST		.groups = "001d", .formats = "0", .shares = "001d"
#define CHROME_C	"1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
#define CHROME_S	"0403,0804,0401,0503,0805,0501,0806,0601"
#define FIREFOX_C	"1301,1303,1302,c02b,c02f,cca9,cca8,c02c,c030,c00a,c009,c013,c014,009c,009d,002f,0035"
#define FIREFOX_S	"0403,0503,0603,0804,0805,0806,0401,0501,0601,0203,0201"

static const struct {
	struct say	 say;
	const char	*ja4, *ja4_r, *ja4_o, *ja4_ro;
} vectors[] = {
	{ { .ciphers = "0a0a," CHROME_C, .signatures = "fafa," CHROME_S, .name = "example.org", .alpn = "h2 http/1.1",
	    .versions = "baba,0304,0303", REST,
	    .extensions = "1a1a,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015,2a2a" },
	  "t13d1516h2_8daaf6152771_e5627efa2ab1",
	  "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_0005,000a,000b,000d,0012,0015,"
	  "0017,001b,0023,002b,002d,0033,4469,ff01_" CHROME_S,
	  "t13d1516h2_acb858a92679_18f69afefd3d",
	  "t13d1516h2_" CHROME_C "_001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015_" CHROME_S },
	{ { .ciphers = CHROME_C, .signatures = CHROME_S, .name = "a", .alpn = "http/1.1", .versions = "0303,0304", REST,
	    .extensions = "000d,0033,0000,ff01,002b,0023,002d,0005,0012,000b,0017,4469,0010,001b,000a,0015" },
	  "t13d1516h1_8daaf6152771_e5627efa2ab1", NULL, "t13d1516h1_acb858a92679_5eba26eeae83",
	  "t13d1516h1_" CHROME_C "_000d,0033,0000,ff01,002b,0023,002d,0005,0012,000b,0017,4469,0010,001b,000a,0015_" CHROME_S },
	{ { .ciphers = FIREFOX_C, .signatures = FIREFOX_S, .name = "a", .alpn = "h2", .versions = "0304", REST,
	    .extensions = "0000,0017,ff01,000a,000b,0023,0010,0005,0022,0033,002b,000d,002d,001c,0015" },
	  "t13d1715h2_5b57614c22b0_3d5424432f57",
	  "t13d1715h2_002f,0035,009c,009d,1301,1302,1303,c009,c00a,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_0005,000a,000b,000d,"
	  "0015,0017,001c,0022,0023,002b,002d,0033,ff01_" FIREFOX_S,
	  "t13d1715h2_5b234860e130_014157ec0da2",
	  "t13d1715h2_" FIREFOX_C "_0000,0017,ff01,000a,000b,0023,0010,0005,0022,0033,002b,000d,002d,001c,0015_" FIREFOX_S },
	/* without signature algorithms */
	{ { .ciphers = CHROME_C, .versions = "0304", .signatures = "0a0a", REST,
	    .extensions = "001b,0033,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015" },
	  "t13i151400_8daaf6152771_6d807ffa2a79", NULL, NULL, NULL },
	/* nothing at all */
	{ { .version = 0x0301, .ciphers = "0a0a" }, "t10i000000_000000000000_000000000000", "t10i000000__",
	  "t10i000000_000000000000_000000000000", "t10i000000__" },
	{ { .version = 0x0300, .extensions = "0000,0010", .name = "a", .alpn = "h2" }, "ts3d0102h2_0f2cb44170f4_000000000000",
	  "ts3d0102h2_1301_", NULL, "ts3d0102h2_1301_0000,0010" },
};

static void
test_ja4(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(vectors); i++) {
		struct weir_fp *fp = fp_of(&vectors[i].say, FP_TLS);

		assert_str(fp_ja4(fp), vectors[i].ja4);
		assert_str(fp_ja4(fp), vectors[i].ja4);
		if (vectors[i].ja4_r != NULL)
			assert_str(fp_ja4_raw(fp, true, pool), vectors[i].ja4_r);
		if (vectors[i].ja4_o != NULL)
			assert_str(fp_ja4_o(fp, pool), vectors[i].ja4_o);
		if (vectors[i].ja4_ro != NULL)
			assert_str(fp_ja4_raw(fp, false, pool), vectors[i].ja4_ro);
		fp_unref(&fp);
		assert_null(fp);
	}
}

static void
head_is(const struct say *s, enum weir_fp_over over, const char *want)
{
	struct weir_fp *fp = fp_of(s, over);

	assert_str(str_of(fp_ja4(fp).p, HEAD), want);
	fp_unref(&fp);
}

static void
test_over(void **state)
{
	struct say s = { .ciphers = "1301", .versions = "0304", .extensions = "002b" };

	(void)state;
	head_is(&s, FP_TLS, "t13i010100");
	head_is(&s, FP_QUIC, "q13i010100");
	s.versions = "fefc";
	head_is(&s, FP_DTLS, "dd3i010100");
	s.versions = "7f1c,0303,eaea";
	head_is(&s, FP_TLS, "t00i010100");
	s.versions = "0303,0304,0302";
	head_is(&s, FP_TLS, "t13i010100");
}

/* What is not a letter or a digit is written in hex. */
static void
test_alpn(void **state)
{
	static const struct { const char *alpn, *want; } rows[] = {
		{ "h2", "h2" }, { "http/1.1", "h1" }, { "h", "hh" }, { "\xab", "ab" }, { "\x7f", "7f" }, { "\xab\xcd", "ad" },
		{ "\x21" "a", "21" }, { "0\xab", "3b" }, { "a\x21", "61" }, { "01\xab\xcd", "3d" }, { "0\xab\xcd" "1", "01" },
		{ "Z9 h2", "Z9" }, { "\x0a\x0a h2", "0a" },
	};
	struct say s = { .ciphers = "1301", .extensions = "0010" };

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(rows); i++) {
		struct weir_fp *fp;

		s.alpn = rows[i].alpn;
		fp = fp_of(&s, FP_TLS);
		assert_str(str_of(fp_ja4(fp).p + 8, 2), rows[i].want);
		fp_unref(&fp);
	}
}

/* More than 99 are 99. */
static void
test_count(void **state)
{
	char ciphers[5 * 4000 + 1], *p = ciphers;
	struct say s = { .ciphers = ciphers, .extensions = ciphers };
	struct weir_fp *fp;
	struct weir_str raw;

	(void)state;
	for (unsigned i = 0; i < 98; i++)
		p += sprintf(p, "%04x,", 0x1001 + i);
	head_is(&s, FP_TLS, "t12i989800");
	p += sprintf(p, "%04x,", 0x2001);
	head_is(&s, FP_TLS, "t12i999900");
	for (unsigned i = 0; i < 2500; i++)
		p += sprintf(p, "%04x,", 0x3000 + i);
	fp = fp_of(&s, FP_TLS);
	assert_str(str_of(fp_ja4(fp).p, HEAD), "t12i999900");
	raw = fp_ja4_raw(fp, true, pool);
	assert_int_equal(raw.n, 10 + 2 + 2 * (5 * 2599 - 1));
	fp_unref(&fp);
}

/* ---- JA3 ---- */

static void
ja3_is(const struct say *s, const char *raw, const char *hash)
{
	struct weir_fp *fp = fp_of(s, FP_TLS);

	assert_str(fp_ja3_raw(fp, pool), raw);
	assert_str(fp_ja3(fp), hash);
	assert_str(fp_ja3(fp), hash);
	fp_unref(&fp);
}

static void
test_ja3(void **state)
{
	struct say s = { .version = 0x0301, .ciphers = "2f,35,5,a,c009,c00a,c013,c014,32,38,13,4", .extensions = "0,a,b",
		.name = "a", .groups = "17,18,19", .formats = "0" };

	(void)state;
	ja3_is(&s, "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0", "ada70206e40642a3e4461f35503241d5");
	s.ciphers = "8a8a,2f,35,5,a,c009,c00a,c013,c014,32,38,13,4,0a0a";
	s.extensions = "7a7a,0,a,b,aaaa";
	s.groups = "caca,17,18,19";
	ja3_is(&s, "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0", "ada70206e40642a3e4461f35503241d5");
	s = (struct say){ .version = 0x0301, .ciphers = "4,5,a,9,64,62,3,6,13,12,63" };
	ja3_is(&s, "769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6");
	/* of TLSv1.3 the version is that of the field, whatever the extension says */
	s = (struct say){ .ciphers = "1301", .extensions = "2b,b", .versions = "0304", .formats = "0,1,2" };
	ja3_is(&s, "771,4865,43-11,,0-1-2", "fd856d3212a8cdf667d7b46354c47f84");
}

static void
test_refs(void **state)
{
	struct say s = { .ciphers = "1301" };
	struct weir_fp *fp = fp_of(&s, FP_TLS), *other = fp_ref(fp);

	(void)state;
	fp_unref(&fp);
	assert_null(fp);
	assert_str(str_of(fp_ja4(other).p, HEAD), "t12i010000");
	fp_unref(&other);
	fp_unref(&other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ja4),
		cmocka_unit_test(test_over),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_ja3),
		cmocka_unit_test(test_refs),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
