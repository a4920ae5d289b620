/* unit: src/core/tls/hello.c */
#include "hello.h"

#include "core/tls/hello.c"

static struct out message, bytes;
static struct weir_hello h;

static const struct say browser = {
	.ciphers = "2a2a,1301,1302,c02b", .extensions = "4a4a,0000,0017,000a,000b,0010,000d,0033,002b,fe0d,8a8a",
	.versions = "6a6a,0304,0303", .groups = "3a3a,11ec,001d", .formats = "0", .signatures = "0403,0804",
	.shares = "3a3a,11ec,001d", .name = "WWW.Example.", .alpn = "h2 http/1.1",
};

static void
list_is(struct weir_str list, const char *want)
{
	char got[256], *p = got;
	uint16_t v;

	while (hello_next(&list, &v))
		p += sprintf(p, "%s%04x", p == got ? "" : ",", v);
	assert_str(str_of(got, (size_t)(p - got)), want);
	assert_int_equal(list.n, 0);
}

static void
is_browser(void)
{
	struct weir_str rest = h.extensions, body;
	char text[HELLO_ALPN_TEXT_MAX], types[256], *p = types;
	uint16_t v;

	assert_int_equal(h.legacy, 0x0303);
	assert_str(hello_name(&h), "www.example");
	assert_true(h.has_name && h.ech && !h.old);
	assert_str(h.session, "^U");
	list_is(h.ciphers, "2a2a,1301,1302,c02b");
	list_is(h.versions, "6a6a,0304,0303");
	list_is(h.groups, "3a3a,11ec,001d");
	list_is(h.signatures, "0403,0804");
	assert_int_equal(h.formats.n, 1);
	assert_str(str_of(text, (size_t)(hello_put_alpn(text, &h) - text)), "h2,http/1.1");
	assert_string_equal(hello_protocol(&h), "TLSv1.3");
	while (hello_next_extension(&rest, &v, &body))
		p += sprintf(p, "%04x,", v);
	assert_string_equal(types, "4a4a,0000,0017,000a,000b,0010,000d,0033,002b,fe0d,8a8a,");
	rest = h.shares;
	for (p = types; hello_next_share(&rest, &v); )
		p += sprintf(p, "%04x,", v);
	assert_string_equal(types, "3a3a,11ec,001d,");
}

/* In segments of `size` bytes; `after` bytes of something else behind it. */
static enum weir_hello_end
feed(struct weir_hello_reader *r, size_t size)
{
	enum weir_hello_end end = HELLO_MORE;

	hello_begin(r);
	for (size_t at = 0; at < bytes.n; at += size) {
		assert_int_equal(end, HELLO_MORE);
		/* a copy, so that a byte too far shows */
		size_t n = WEIR_MIN(size, bytes.n - at);
		void *part = malloc(n);

		memcpy(part, bytes.b + at, n);
		end = hello_feed(r, part, n, &h);
		free(part);
	}
	return end;
}

static void
test_whole(void **state)
{
	(void)state;
	say_hello(&message, &browser);
	assert_null(hello_parse(message.b, message.n, &h));
	is_browser();
}

static void
test_records(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 7, 40, 100, 16384 };
	struct weir_hello_reader r;

	(void)state;
	say_hello(&message, &browser);
	for (unsigned i = 0; i < WEIR_COUNT(sizes); i++)
		for (unsigned k = 0; k < WEIR_COUNT(sizes); k++) {
			put_records(&bytes, &message, sizes[i]);
			assert_int_equal(feed(&r, sizes[k]), HELLO_DONE);
			is_browser();
			assert_int_equal(hello_feed(&r, "x", 1, &h), HELLO_DONE);
			hello_end(&r);
		}
	put_records(&bytes, &message, 100);
	put_bytes(&bytes, "\x17\3\3\377\377", 5);	/* early data behind it */
	assert_int_equal(feed(&r, bytes.n), HELLO_DONE);
	is_browser();
	hello_end(&r);
}

/* Every size up to the limit, and none above it. */
static void
test_large(void **state)
{
	struct say s = browser;
	struct weir_hello_reader r;
	size_t rest;

	(void)state;
	s.extensions = "0000,0015,002b";
	say_hello(&message, &s);
	rest = HELLO_MAX - message.n;
	for (s.padding = 1000; s.padding <= rest; s.padding += s.padding + 2000 > rest && s.padding < rest ? rest - s.padding : 2000) {
		say_hello(&message, &s);
		assert_null(hello_parse(message.b, message.n, &h));
		put_records(&bytes, &message, 5000);
		assert_int_equal(feed(&r, 1400), HELLO_DONE);
		assert_str(hello_name(&h), "www.example");
		hello_end(&r);
	}
	assert_int_equal(message.n, HELLO_MAX);
	s.padding = rest + 1;
	say_hello(&message, &s);
	assert_string_equal(hello_parse(message.b, message.n, &h), "it is too long");
	put_records(&bytes, &message, 16384);
	assert_int_equal(hello_feed((hello_begin(&r), &r), bytes.b, 9, &h), HELLO_BAD);
	assert_string_equal(hello_why(&r), "it is too long");
	hello_end(&r);
}

/* What a header promises is not allocated. */
static void
test_memory(void **state)
{
	struct weir_hello_reader r;

	(void)state;
	hello_begin(&r);
	assert_int_equal(hello_feed(&r, "\x16\3\1\x40\0\1\0\x3f\xf0", 9, &h), HELLO_MORE);
	assert_true(r.room <= ROOM_MIN);
	hello_end(&r);
	assert_null(r.msg);
}

static void
test_not_tls(void **state)
{
	static const char *const others[] = { "GET / HTTP/1.1\r\n", "SSH-2.0-x", "\x16\2", "\x17\3\1", "\5\1\0", "\x80\x2e\2",
		"\x80\x2e\1\2" };
	struct weir_hello_reader r;

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(others); i++) {
		bytes.n = 0;
		put_bytes(&bytes, others[i], strlen(others[i]));
		hello_begin(&r);
		assert_int_equal(hello_feed(&r, bytes.b, bytes.n, &h), HELLO_NOT_TLS);
		hello_end(&r);
	}
	hello_begin(&r);
	assert_int_equal(hello_feed(&r, "", 0, &h), HELLO_MORE);
	assert_int_equal(hello_feed(&r, "\x16", 1, &h), HELLO_MORE);
	assert_int_equal(hello_feed(&r, "G", 1, &h), HELLO_NOT_TLS);
	assert_int_equal(hello_feed(&r, "\3", 1, &h), HELLO_NOT_TLS);
	hello_end(&r);
}

/* A hello of SSL 2.0 says which version it wants, and nothing else. */
static void
test_old(void **state)
{
	static const struct { const char *bytes, *protocol; } rows[] = {
		{ "\x80\x2e\1\0\2", "SSLv2" }, { "\x80\x2e\1\3\0", "SSLv3" }, { "\x80\x2e\1\3\1", "TLSv1" },
		{ "\x80\x2e\1\3\3", "TLSv1.2" }, { "\x80\x2e\1\3\x10", "" },
	};
	struct weir_hello_reader r;

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(rows); i++) {
		bytes.n = 0;
		put_bytes(&bytes, rows[i].bytes, 5);
		assert_int_equal(feed(&r, 1), HELLO_DONE);
		assert_true(h.old);
		assert_string_equal(hello_protocol(&h), rows[i].protocol);
		hello_end(&r);
	}
}

static void
test_bad_records(void **state)
{
	static const struct { const char *bytes; size_t n; const char *why; } rows[] = {
		{ "\x16\3\1\0\0", 5, "a record is empty" },
		{ "\x16\3\1\x40\1", 5, "a record is too long" },
		{ "\x16\3\1\0\4\2", 6, "it is no ClientHello" },
		{ "\x16\3\1\0\1\2", 6, "it is no ClientHello" },
		{ "\x16\3\1\0\2\1\0\x15", 8, "the record behind is no handshake" },
		{ "\x16\3\1\0\2\1\0\x16\2", 9, "the record behind is no handshake" },
		{ "\x16\3\1\0\2\1\0\x80", 8, "the record behind is no handshake" },
		{ "\x16\3\1\0\4\1\0\0\0", 9, "it is cut" },
		{ "\x16\3\1\0\4\1\xff\xff\xff", 9, "it is too long" },
	};
	struct weir_hello_reader r;

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(rows); i++) {
		bytes.n = 0;
		put_bytes(&bytes, rows[i].bytes, rows[i].n);
		assert_int_equal(feed(&r, 1), HELLO_BAD);
		assert_string_equal(hello_why(&r), rows[i].why);
		hello_end(&r);
	}
}

/* A message that ends or whose lengths lie anywhere: never read behind, never taken for a good one when cut. */
static void
test_lies(void **state)
{
	unsigned char *copy;

	(void)state;
	say_hello(&message, &browser);
	for (size_t n = 0; n < message.n; n++) {
		copy = malloc(n + 1);
		memcpy(copy, message.b, n);
		assert_non_null(hello_parse(copy, n, &h));
		if (n >= 4) {		/* and says that it is so long */
			copy[1] = 0, copy[2] = (unsigned char)((n - 4) >> 8), copy[3] = (unsigned char)(n - 4);
			/* without extensions it may end */
			if (n != 4 + 2 + 32 + 1 + 2 + 2 + 8 + 1 + 1)
				assert_non_null(hello_parse(copy, n, &h));
		}
		free(copy);
	}
	copy = malloc(message.n);
	for (size_t i = 0; i < message.n; i++)
		for (unsigned v = 0; v < 256; v += 5) {
			memcpy(copy, message.b, message.n);
			copy[i] = (unsigned char)v;
			if (hello_parse(copy, message.n, &h) == NULL)
				assert_true(hello_name(&h).n <= HELLO_NAME_MAX);
		}
	free(copy);
}

/* One extension with this content, and no other. */
static const char *
with(unsigned type, const char *p, size_t n)
{
	size_t at, all, ext;

	message.n = 0;
	put(&message, 1, 1);
	at = put_begin(&message, 3);
	put(&message, 0x0303, 2);
	put_bytes(&message, "0123456789abcdef0123456789ABCDEF", 32);
	say_hexes(&message, "0 0 2 13 1 1 0", 1);
	all = put_begin(&message, 2);
	put(&message, type, 2);
	ext = put_begin(&message, 2);
	put_bytes(&message, p, n);
	put_end(&message, ext, 2);
	put_end(&message, all, 2);
	put_end(&message, at, 3);
	return hello_parse(message.b, message.n, &h);
}

static void
test_names(void **state)
{
	static const struct { const char *bytes; size_t n; const char *name; bool ok; } rows[] = {
		{ "\0\4\0\0\1a", 6, "a", true },
		{ "\0\7\0\0\4A.b.", 9, "a.b", true },
		{ "\0\5\0\0\2a.", 7, "a", true },
		{ "\0\4\0\0\1.", 6, "", true },
		{ "\0\5\0\0\2..", 7, ".", true },
		{ "\0\3\0\0\0", 5, "", false },		/* no bytes of a name */
		{ "\0\5\0\0\1a", 6, "", false },	/* lists that say other lengths */
		{ "\0\4\0\0\2a", 6, "", false },
		{ "\0\4\0\0\0a", 6, "", false },
		{ "\0\4\1\0\1a", 6, "", false },	/* not a host */
		{ "\0\10\0\0\1a\0\0\1b", 10, "", false },	/* two */
		{ "\0\6\0\0\3a\0b", 8, "", false },	/* a NUL inside */
		{ "\0\5\0\0\2a\0", 7, "", false },	/* and at its end */
		{ "\0\4\0\0", 4, "", false },
		{ "", 0, "", false },
	};
	char	wide[400];

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(rows); i++) {
		const char *why = with(EXT_SERVER_NAME, rows[i].bytes, rows[i].n);

		assert_true((why == NULL) == rows[i].ok);
		assert_str(hello_name(&h), rows[i].name);
		assert_true(h.has_name);
	}
	memset(wide, 'x', sizeof wide);
	memcpy(wide, "\1\2\0\0\377", 5);
	assert_null(with(EXT_SERVER_NAME, wide, 260));
	assert_int_equal(hello_name(&h).n, 255);
	memcpy(wide, "\1\3\0\1\0", 5);
	assert_non_null(with(EXT_SERVER_NAME, wide, 261));
	memcpy(wide, "\1\57\0\1\54", 5);	/* 300 bytes */
	assert_non_null(with(EXT_SERVER_NAME, wide, 305));
	assert_int_equal(hello_name(&h).n, 0);
	assert_null(with(EXT_FORMATS, "\1\0", 2));
	assert_false(h.has_name);
	assert_int_equal(hello_name(&h).n, 0);
}

static void
test_lists(void **state)
{
	static const struct { unsigned type; const char *bytes; size_t n; bool ok; } rows[] = {
		{ EXT_GROUPS, "\0\2\0\x1d", 4, true }, { EXT_GROUPS, "\0\0", 2, false }, { EXT_GROUPS, "\0\1\0", 3, false },
		{ EXT_GROUPS, "\0\2\0\x1d\0", 5, false }, { EXT_GROUPS, "\0\4\0\x1d", 4, false }, { EXT_GROUPS, "", 0, false },
		{ EXT_FORMATS, "\1\0", 2, true }, { EXT_FORMATS, "\0", 1, false }, { EXT_FORMATS, "\2\0", 2, false },
		{ EXT_SIGNATURES, "\0\2\4\3", 4, true }, { EXT_SIGNATURES, "\0\3\4\3\4", 5, false },
		{ EXT_VERSIONS, "\2\3\4", 3, true }, { EXT_VERSIONS, "\3\3\4\3", 4, false }, { EXT_VERSIONS, "\0", 1, false },
		{ EXT_ALPN, "\0\3\2h2", 5, true }, { EXT_ALPN, "\0\1\0", 3, false }, { EXT_ALPN, "\0\0", 2, false },
		{ EXT_ALPN, "\0\3\3h2", 5, false }, { EXT_ALPN, "\0\4\2h2\0", 6, false }, { EXT_ALPN, "\0\5\2h2\2h", 7, false },
		{ EXT_SHARES, "\0\0", 2, true }, { EXT_SHARES, "\0\5\0\x1d\0\1x", 7, true }, { EXT_SHARES, "\0\4\0\x1d\0\0", 6, false },
		{ EXT_SHARES, "\0\5\0\x1d\0\2x", 7, false }, { EXT_SHARES, "\0\1\0", 3, false }, { EXT_SHARES, "\0", 1, false },
		{ 0x0a0a, "", 0, true }, { EXT_ECH, "", 0, true }, { 0xffff, "x", 1, true },
	};

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(rows); i++)
		assert_true((with(rows[i].type, rows[i].bytes, rows[i].n) == NULL) == rows[i].ok);
}

static void
test_twice(void **state)
{
	struct say s = { .extensions = "0017,0a0a,0017" };

	(void)state;
	say_hello(&message, &s);
	assert_string_equal(hello_parse(message.b, message.n, &h), "an extension is there twice");
	s.extensions = "0a0a,0017,1a1a";
	say_hello(&message, &s);
	assert_null(hello_parse(message.b, message.n, &h));
	s = (struct say){ .extensions = "0000,0000", .name = "a" };
	say_hello(&message, &s);
	assert_string_equal(hello_parse(message.b, message.n, &h), "an extension is there twice");
}

static void
test_versions(void **state)
{
	static const struct { unsigned legacy; const char *versions, *protocol; } rows[] = {
		{ 0x0300, NULL, "SSLv3" }, { 0x0301, NULL, "TLSv1" }, { 0x0302, NULL, "TLSv1.1" }, { 0x0303, NULL, "TLSv1.2" },
		{ 0x0304, NULL, "TLSv1.3" }, { 0x0305, NULL, "" }, { 0x0303, "0304", "TLSv1.3" }, { 0x0303, "0303,0304", "TLSv1.3" },
		{ 0x0303, "0302,0301", "TLSv1.1" }, { 0x0303, "0a0a,0303,7f1c", "TLSv1.3" }, { 0x0303, "0305,fefd,0303", "TLSv1.2" }, { 0x0303, "0a0a", "" },
	};

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(rows); i++) {
		struct say s = { .version = rows[i].legacy, .versions = rows[i].versions,
			.extensions = rows[i].versions != NULL ? "002b" : NULL };

		say_hello(&message, &s);
		assert_null(hello_parse(message.b, message.n, &h));
		assert_string_equal(hello_protocol(&h), rows[i].protocol);
	}
}

/* What a strict server refuses, and others pass on: nothing to offer, and a last extension that says it is longer. */
static void
test_lenient(void **state)
{
	static const char body[] = "\0\0\0\0\0\7\0\x2b\0\7\2\x7f\x1c";
	struct weir_str rest, one;
	uint16_t type;
	size_t at;

	(void)state;
	message.n = 0;
	put(&message, 1, 1);
	at = put_begin(&message, 3);
	put(&message, 0x0303, 2);
	put_bytes(&message, "0123456789abcdef0123456789ABCDEF", 32);
	put_bytes(&message, body, sizeof body - 1);
	put_end(&message, at, 3);
	assert_null(hello_parse(message.b, message.n, &h));
	assert_int_equal(h.ciphers.n, 0);
	list_is(h.versions, "7f1c");
	assert_string_equal(hello_protocol(&h), "TLSv1.3");
	rest = h.extensions;
	assert_false(hello_next_extension(&rest, &type, &one));
	message.b[message.n - 5] = 0xff;	/* a length of 65 kB */
	assert_null(hello_parse(message.b, message.n, &h));
	list_is(h.versions, "7f1c");
	message.b[message.n - 3] = 3;		/* but its own list is no longer than what is there */
	assert_string_equal(hello_parse(message.b, message.n, &h), "the versions are malformed");
}

static void
test_grease(void **state)
{
	unsigned n = 0;

	(void)state;
	for (unsigned v = 0; v < 65536; v++)
		n += hello_is_grease(v);
	assert_int_equal(n, 16);
	assert_true(hello_is_grease(0x0a0a) && hello_is_grease(0xfafa));
	assert_false(hello_is_grease(0x0a1a) || hello_is_grease(0x0b0b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_not_tls),
		cmocka_unit_test(test_old),
		cmocka_unit_test(test_bad_records),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_lenient),
		cmocka_unit_test(test_grease),
	};

	return RUN(tests);
}
