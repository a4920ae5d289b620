/* unit: src/core/sess/format.c */
#include "unit.h"

#include "core/base/mem.h"

#include "core/sess/format.c"

static struct weir_str given;		/* what $x says */
static bool	       is_given;

static int
get_x(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)s, (void)data;
	*to = given;
	return is_given ? WEIR_OK : WEIR_FAIL;
}

static const struct weir_var vars[] = {
	{ "x", get_x, NULL, VAR_VOLATILE, NULL, NULL },
	{ "number", get_x, NULL, VAR_VOLATILE, NULL, NULL },
	{ "remote_addr", get_x, NULL, VAR_VOLATILE, NULL, NULL },
	{ .name = NULL }
};
static unsigned number_of_module;
static const struct weir_module module = { .name = "m", .index = &number_of_module, .vars = vars };
const struct weir_module *const weir_modules[] = { &module, NULL };
const unsigned weir_n_modules = 1;
const struct weir_absent weir_absent[] = { { NULL, NULL, NULL } };

static char *
put_number(struct weir_sess *s, char *to)
{
	(void)s;
	return num_put(to, 42);
}

static const struct weir_format_direct direct[] = {
	{ "number", NUM_MAX, put_number },
	{ NULL, 0, NULL }
};

static struct weir_conf cf;
static struct weir_sess s;
static struct weir_conf_word word = { { "word", 4 }, 1, 1, false };
static struct weir_node node = { .w = &word, .n = 1 };

static int
setup(void **state)
{
	(void)state;
	cf = (struct weir_conf){ .pool = pool_new(0) };
	vars_now = vars_http = vars_new(&cf, false);
	s = (struct weir_sess){ .magic = WEIR_SESS_MAGIC, .is_http = true, .pool = pool_new(0) };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(s.pool);
	pool_free(cf.pool);
	return 0;
}

static struct weir_format *
compiled(enum weir_format_escape how, const char *text)
{
	struct weir_format *f = format_new(&cf, how, direct);

	assert_int_equal(format_add(&cf, f, &node, 0, str_c(text)), WEIR_OK);
	return f;
}

/* The record in room of exactly the size that was asked for, so that ASan sees a byte too many. */
static struct weir_str
record(const struct weir_format *f)
{
	struct weir_record rec;
	size_t		   most = format_begin(&rec, f, &s);
	char		  *p = mem_alloc(most + 1), *end = format_put(&rec, p);
	struct weir_str	   text;

	assert_true((size_t)(end - p) <= most);
	text = pool_str(s.pool, str_of(p, (size_t)(end - p)));
	mem_free(p);
	return text;
}

static void
logs(enum weir_format_escape how, struct weir_str value, const char *want)
{
	given = value;
	is_given = true;
	assert_str(record(compiled(how, "$x")), want);
}

static void
test_pieces(void **state)
{
	struct weir_format *f = compiled(FORMAT_DEFAULT, "<$x> $number");
	(void)state;

	given = STR("a\"b");
	is_given = true;
	assert_int_equal(format_add(&cf, f, &node, 0, STR("")), WEIR_OK);
	assert_int_equal(format_add(&cf, f, &node, 0, STR(" more ${x}$1")), WEIR_OK);
	assert_str(record(f), "<a\\x22b> 42 more a\\x22b");
	is_given = false;
	assert_str(record(f), "<-> 42 more -");
	assert_str(record(compiled(FORMAT_JSON, "<$x>")), "<>");
	assert_str(record(compiled(FORMAT_NONE, "<$x>")), "<>");
	assert_int_equal(format_add(&cf, f, &node, 0, STR("$")), WEIR_FAIL);
}

static void
test_escapes(void **state)
{
	(void)state;
	logs(FORMAT_DEFAULT, STR("plain text !#~"), "plain text !#~");
	logs(FORMAT_DEFAULT, STR(""), "");
	logs(FORMAT_DEFAULT, STR("\0\n\x1f\x7f\x80\xff\"\\"), "\\x00\\x0A\\x1F\\x7F\\x80\\xFF\\x22\\x5C");
	logs(FORMAT_JSON, STR("\0\n\"\\\xc3\xa4\xff"), "\\u0000\\n\\\"\\\\\xc3\xa4\\u00ff");
	logs(FORMAT_NONE, STR("\0\n\r\t\"\\\xff"), "\\x00\\x0A\\x0D\t\"\\\xff");
}

/* Each byte at each place of a word of eight, against the plain rule. */
static void
test_every_byte(void **state)
{
	char	 text[24], want[64], *p;
	unsigned c, at, i;
	(void)state;

	for (c = 0; c < 256; c++)
		for (at = 0; at < sizeof(text); at++) {
			memset(text, 'x', sizeof(text));
			text[at] = (char)c;
			for (i = 0, p = want; i < sizeof(text); i++)
				if (is_clean((unsigned char)text[i]))
					*p++ = text[i];
				else
					p = put_hex(p, (unsigned char)text[i]);
			*p = '\0';
			logs(FORMAT_DEFAULT, str_of(text, sizeof(text)), want);
		}
}

static void
test_long_values(void **state)
{
	static char	text[FORMAT_VALUE_MAX + 2];
	struct weir_str got;
	(void)state;

	memset(text, 'a', sizeof(text));
	given = str_of(text, FORMAT_VALUE_MAX);
	is_given = true;
	got = record(compiled(FORMAT_DEFAULT, "$x"));
	assert_int_equal(got.n, FORMAT_VALUE_MAX);
	given.n++;
	got = record(compiled(FORMAT_DEFAULT, "$x"));
	assert_int_equal(got.n, FORMAT_VALUE_MAX + 3);
	assert_true(str_ends(got, STR("a...")));
	memset(text, '\1', sizeof(text));
	assert_int_equal(record(compiled(FORMAT_JSON, "$x$x")).n, 2 * (6 * FORMAT_VALUE_MAX + 3));
	/* A cut within a character moves to its begin. */
	text[FORMAT_VALUE_MAX - 1] = '\xc3';
	text[FORMAT_VALUE_MAX] = '\xa4';
	got = record(compiled(FORMAT_NONE, "$x"));
	assert_int_equal(got.n, FORMAT_VALUE_MAX - 1 + 3);
}

static void
test_many_values(void **state)
{
	char		    text[FORMAT_FEW * 4 + 1], want[FORMAT_FEW * 4 + 1];
	struct weir_format *f;
	unsigned	    i;
	(void)state;

	for (i = 0; i < 2 * FORMAT_FEW; i++) {
		memcpy(text + 2 * i, "$x", 2);
		memcpy(want + 2 * i, "ab", 2);
	}
	text[4 * FORMAT_FEW] = want[4 * FORMAT_FEW] = '\0';
	given = STR("ab");
	is_given = true;
	f = compiled(FORMAT_DEFAULT, text);
	assert_str(record(f), want);
}

/* A unix peer's path is its own choice. */
static void
test_unix_peer(void **state)
{
	struct weir_addr a = { .path = "/tmp/\n\"" };
	(void)state;

	a.sa.sa_family = AF_UNIX;
	s.peer = &a;
	assert_str(record(compiled(FORMAT_DEFAULT, "$remote_addr")), "unix:");
	assert_int_equal(addr_parse_ip(STR("2001:db8::1"), &a), WEIR_OK);
	assert_str(record(compiled(FORMAT_DEFAULT, "$remote_addr")), "2001:db8::1");
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pieces),
		TEST(test_escapes),
		TEST(test_every_byte),
		TEST(test_long_values),
		TEST(test_many_values),
		TEST(test_unix_peer),
	};

	return RUN(tests);
}
