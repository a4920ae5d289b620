/* unit: src/http/msg/msg.c */
#include "unit.h"

#include "http/msg/msg.c"

static struct weir_pool *pool;

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

static void
test_fields(void **state)
{
	struct weir_fields	 fs = { NULL, 0, 0 };
	struct weir_field	*f;
	int			 i;

	(void)state;
	assert_null(fields_known(&fs, H_HOST));
	assert_null(fields_find(&fs, STR("x"), NULL));
	fields_remove(&fs, STR("x"));

	f = fields_add(&fs, pool, STR("hOST"), STR("a"));
	assert_int_equal(f->known, H_HOST);
	assert_int_equal(f->hop, 0);
	f = fields_add(&fs, pool, STR("keep-alive"), STR("b"));
	assert_int_equal(f->hop, 1);
	for (i = 0; i < 10; i++) {
		fields_add(&fs, pool, STR("X-Foo"), STR("1"));
		fields_add(&fs, pool, STR("X-Bar"), STR("2"));
	}
	assert_int_equal(fs.n, 22);
	assert_str(fields_value(&fs, H_HOST), "a");
	assert_null(fields_value(&fs, H_COOKIE).p);

	for (i = 0, f = NULL; (f = fields_find(&fs, STR("x-foo"), f)) != NULL; i++)
		assert_str(f->value, "1");
	assert_int_equal(i, 10);
	fields_remove(&fs, STR("X-FOO"));
	assert_int_equal(fs.n, 12);
	assert_null(fields_find(&fs, STR("X-Foo"), NULL));
	fields_remove_known(&fs, H_HOST);
	assert_int_equal(fs.n, 11);
	assert_null(fields_known(&fs, H_HOST));
	assert_str(fs.v[0].name, "keep-alive");
	assert_str(fs.v[10].name, "X-Bar");
	/* By a name that has a number, too. */
	fields_remove(&fs, STR("KEEP-ALIVE"));
	assert_int_equal(fs.n, 10);
}

static void
test_join(void **state)
{
	struct weir_fields	fs = { NULL, 0, 0 };
	struct weir_str		one = STR("a=1");

	(void)state;
	assert_null(fields_join(&fs, pool, STR("Cookie"), "; ").p);
	fields_add(&fs, pool, STR("Cookie"), one);
	fields_add(&fs, pool, STR("Cookie2"), STR("z"));
	assert_ptr_equal(fields_join(&fs, pool, STR("cookie"), "; ").p, one.p);
	fields_add(&fs, pool, STR("COOKIE"), STR_NONE);
	fields_add(&fs, pool, STR("cookie"), STR("b=2"));
	assert_str(fields_join(&fs, pool, STR("Cookie"), "; "), "a=1; ; b=2");
	assert_str(fields_join(&fs, pool, STR("Cookie"), ""), "a=1b=2");
}

static void
test_methods(void **state)
{
	static const struct { const char *text; enum weir_method m; } rows[] = {
		{ "GET", M_GET }, { "HEAD", M_HEAD }, { "POST", M_POST }, { "PUT", M_PUT },
		{ "DELETE", M_DELETE }, { "OPTIONS", M_OPTIONS }, { "PATCH", M_PATCH },
		{ "CONNECT", M_CONNECT }, { "TRACE", M_TRACE }, { "MKCOL", M_MKCOL },
		{ "COPY", M_COPY }, { "MOVE", M_MOVE }, { "PROPFIND", M_PROPFIND },
		{ "PROPPATCH", M_PROPPATCH }, { "LOCK", M_LOCK }, { "UNLOCK", M_UNLOCK },
		{ "get", M_OTHER }, { "GETS", M_OTHER }, { "GE", M_OTHER }, { "", M_OTHER },
		{ "Put", M_OTHER }, { "BREW", M_OTHER },
	};
	size_t i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(rows); i++)
		assert_int_equal(method_of(str_c(rows[i].text)), rows[i].m);
}

static void
test_reasons(void **state)
{
	(void)state;
	assert_str(status_reason(200), "OK");
	assert_str(status_reason(404), "Not Found");
	assert_str(status_reason(302), "Moved Temporarily");
	assert_str(status_reason(502), "Bad Gateway");
	assert_str(status_reason(511), "Network Authentication Required");
	assert_str(status_reason(100), "Continue");
	assert_str(status_reason(99), "");
	assert_str(status_reason(299), "");
	assert_str(status_reason(512), "");
	assert_str(status_reason(-1), "");
}

static void
test_token(void **state)
{
	static const char special[] = "!#$%&'*+-.^_`|~";
	unsigned c;

	(void)state;
	for (c = 0; c < 256; c++) {
		char one = (char)c;
		bool want = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || (c != 0 && strchr(special, (int)c) != NULL);

		assert_int_equal(is_token(str_of(&one, 1)), want);
		assert_int_equal(is_field_value(str_of(&one, 1)), c != 0 && c != '\r' && c != '\n');
	}
	assert_false(is_token(STR("")));
	assert_true(is_field_value(STR("")));
	assert_false(is_token(STR("a b")));
	assert_true(is_token(STR("a-b")));
	assert_false(is_field_value(STR("a\nb")));
	assert_true(is_field_value(STR("a\tb \x80")));
	for (size_t n = 1; n <= 50; n++) {	/* with every length what is bad is found wherever it stands */
		char *text = malloc(n);

		memset(text, 'x', n);
		assert_true(is_field_value(str_of(text, n)));
		for (size_t i = 0; i < n; i++) {
			text[i] = "\r\n"[i % 3];	/* or NUL */
			assert_false(is_field_value(str_of(text, n)));
			text[i] = 'x';
		}
		free(text);
	}
}

static void
test_fit(void **state)
{
	static const struct { const char *from, *to; } rows[] = {
		{ "", "" }, { "a b", "a b" }, { "a\n\tb", "a b" }, { "a\r\n \t b", "a b" }, { "a\n b\n\tc", "a b c" },
		{ "\n x", " x" }, { "x\n ", "x " }, { "a\nb", NULL }, { "a\n\n b", NULL }, { "a\r b", NULL },
		{ "a\n b\nc", NULL }, { "a\n", NULL }, { "\r", NULL },
	};

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(rows); i++) {
		struct weir_str v = str_c(rows[i].from);

		assert_int_equal(fit_field_value(pool, &v), rows[i].to != NULL);
		if (rows[i].to != NULL)
			assert_str(v, rows[i].to);
	}
	assert_false(fit_field_value(pool, &(struct weir_str){ "a\0\n b", 5 }));
}

/* The other classes of the table, against the grammars they stand for. */
static void
test_chars(void **state)
{
	unsigned c;

	(void)state;
	for (c = 0; c < 256; c++) {
		bool digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'Z';
		bool alpha = upper || (c >= 'a' && c <= 'z');
		bool target = c > ' ' && c != 0x7f && c != '#';

		assert_int_equal(!!(ch((char)c) & CH_DIGIT), digit);
		assert_int_equal(!!(ch((char)c) & CH_UPPER), upper);
		assert_int_equal(!!(ch((char)c) & CH_HEX),
		    digit || (alpha && (c | 0x20) <= 'f'));
		assert_int_equal(!!(ch((char)c) & CH_NAME), digit || alpha || c == '-');
		assert_int_equal(!!(ch((char)c) & CH_TARGET), target);
		assert_int_equal(!!(ch((char)c) & CH_PATH),
		    target && c != '/' && c != '%' && c != '?');
		assert_int_equal(!!(ch((char)c) & CH_HOST),
		    digit || alpha || (c != 0 && strchr("-_~!$&'()*+,;=", (int)c) != NULL));
	}
	assert_int_equal(hex_value('0'), 0);
	assert_int_equal(hex_value('9'), 9);
	assert_int_equal(hex_value('a'), 10);
	assert_int_equal(hex_value('F'), 15);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fields), TEST(test_join), TEST(test_methods), TEST(test_reasons),
		TEST(test_token), TEST(test_fit), TEST(test_chars),
	};

	return RUN(tests);
}
