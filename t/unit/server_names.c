/* unit: src/core/site/names.c */
/*
 * Server names, with 1, 100, 101 and 10,000 of them: the result must not depend on how many there
 * are, nor on the case, a trailing dot or a port of the Host.
 */
#include <stdio.h>
#include <time.h>

#include "unit.h"

#include "core/site/names.c"
#include "core/site/site.h"
#include "http/msg/msg.h"

static const struct weir_var vars[] = { { .name = NULL } };
static unsigned number_of_module;
static const struct weir_module module = { .name = "m", .index = &number_of_module, .vars = vars };
const struct weir_module *const weir_modules[] = { &module, NULL };
const unsigned weir_n_modules = 1;
const struct weir_absent weir_absent[] = { { NULL, NULL, NULL } };

static struct weir_conf cf;
static struct weir_sess s;
static struct weir_names names;
static struct weir_conf_file file = { .path = "test" };

static int
setup(void **state)
{
	(void)state;
	cf = (struct weir_conf){ .pool = pool_new(0), .quiet = true };
	vars_now = vars_http = vars_new(&cf, false);
	s = (struct weir_sess){ .magic = WEIR_SESS_MAGIC, .is_http = true, .pool = pool_new(0) };
	names_init(&names, cf.pool);
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

static int
parse(const char *text, struct weir_server_name *to)
{
	struct weir_node	*node = POOL_NEW(cf.pool, weir_node);

	node->w = POOL_NEW(cf.pool, weir_conf_word);
	node->w->s = pool_str(cf.pool, str_c(text));
	node->n = 1;
	node->file = &file;
	return names_parse(&cf, node, 0, to);
}

/* A server that bears its first name. */
static int
add(const char *text)
{
	struct weir_site	*server = POOL_NEW(cf.pool, weir_site);
	struct weir_server_name	 name;

	assert_int_equal(parse(text, &name), WEIR_OK);
	server->name = pool_str(cf.pool, str_c(text));
	return names_add(&names, &name, server);
}

/* Whom a Host field means; "-" when nobody, "?" when it is no host. */
static const char *
find(const char *field)
{
	struct weir_site	*server;
	void			*found;
	struct weir_str		 host, port;

	if (!host_parse(s.pool, str_c(field), &host, &port))
		return "?";
	if (names_find(&names, &s, host, &found) != WEIR_OK)
		return "-";
	server = found;
	return pool_cstr(s.pool, server->name);
}

static void
any_number(void **state)
{
	static const unsigned	numbers[] = { 1, 100, 101, 10000 };
	static const char	*const hosts[] = {
		"the.example.com", "THE.Example.COM", "the.example.com.", "the.example.com:8080",
		"The.Example.com.:80",
	};
	char			 text[64];
	unsigned		 i, k, h;

	for (k = 0; k < WEIR_COUNT(numbers); k++) {
		names_init(&names, cf.pool);
		for (i = 1; i < numbers[k]; i++) {
			snprintf(text, sizeof(text), "%s%u.example.%s", i % 3 == 0 ? "*." : "n", i,
			    i % 7 == 0 ? "*" : "com");
			if (i % 21 == 0)
				snprintf(text, sizeof(text), ".n%u.example.org", i);
			assert_int_equal(add(text), WEIR_OK);
		}
		assert_int_equal(add("the.example.com"), WEIR_OK);
		for (h = 0; h < WEIR_COUNT(hosts); h++)
			assert_string_equal(find(hosts[h]), "the.example.com");
		assert_string_equal(find("he.example.com"), "-");
		assert_string_equal(find("the.example.co"), "-");
		if (numbers[k] > 1) {
			assert_string_equal(find("N1.example.com."), "n1.example.com");
			assert_string_equal(find("x.3.Example.com"), "*.3.example.com");
			assert_string_equal(find("n7.example.anything"), "n7.example.*");
			assert_string_equal(find("n21.example.org"), ".n21.example.org");
			assert_string_equal(find("a.b.n21.example.org"), ".n21.example.org");
			assert_string_equal(find("3.example.com"), "-");
		}
	}
	(void)state;
}

static void
order(void **state)
{
	(void)state;
	assert_int_equal(add("~^re"), WEIR_OK);
	assert_int_equal(add("www.*"), WEIR_OK);
	assert_int_equal(add("www.example.*"), WEIR_OK);
	assert_int_equal(add("*.example.com"), WEIR_OK);
	assert_int_equal(add("*.sub.example.com"), WEIR_OK);
	assert_int_equal(add("www.example.com"), WEIR_OK);
	assert_int_equal(add("~^RE[0-9]+\\.com$"), WEIR_OK);
	assert_string_equal(find("www.example.com"), "www.example.com");
	assert_string_equal(find("a.example.com"), "*.example.com");
	assert_string_equal(find("www.sub.example.com"), "*.sub.example.com");
	assert_string_equal(find("sub.example.com"), "*.example.com");
	assert_string_equal(find("www.example.net"), "www.example.*");
	assert_string_equal(find("www.example.co.uk"), "www.example.*");
	assert_string_equal(find("www.x"), "www.*");
	assert_string_equal(find("re1.com"), "~^re");
	assert_string_equal(find("example.com"), "-");
	assert_string_equal(find("www"), "-");
}

static void
dots(void **state)
{
	(void)state;
	assert_int_equal(add(".example.com"), WEIR_OK);
	assert_int_equal(add("*.example.org"), WEIR_OK);
	assert_string_equal(find("example.com"), ".example.com");
	assert_string_equal(find("a.b.example.com"), ".example.com");
	assert_string_equal(find("notexample.com"), "-");
	assert_string_equal(find("example.org"), "-");
	assert_string_equal(find("a.example.org"), "*.example.org");
}

static void
conflicts(void **state)
{
	(void)state;
	assert_int_equal(add("a"), WEIR_OK);
	assert_int_equal(add("A."), WEIR_AGAIN);
	assert_int_equal(add("*.a"), WEIR_OK);
	assert_int_equal(add("*.a"), WEIR_AGAIN);
	assert_int_equal(add(".a"), WEIR_AGAIN);
	assert_int_equal(add("a.*"), WEIR_OK);
	assert_int_equal(add("a.*"), WEIR_AGAIN);
	assert_int_equal(add(".b"), WEIR_OK);
	assert_int_equal(add("b"), WEIR_AGAIN);
	assert_int_equal(add(""), WEIR_OK);
	assert_int_equal(add(""), WEIR_AGAIN);
	assert_int_equal(add("~a"), WEIR_OK);
	assert_int_equal(add("~a"), WEIR_OK);
}

static void
no_host(void **state)
{
	struct weir_site	*server;
	void			*found;

	(void)state;
	assert_int_equal(add("~."), WEIR_OK);
	assert_int_equal(add("~^$"), WEIR_OK);
	assert_int_equal(names_find(&names, &s, STR(""), &found), WEIR_AGAIN);
	assert_int_equal(add(""), WEIR_OK);
	assert_int_equal(names_find(&names, &s, STR(""), &found), WEIR_OK);
	server = found;
	assert_str(server->name, "");
}

static void
captures(void **state)
{
	(void)state;
	assert_int_equal(add("~^(.+)\\.example\\.com$"), WEIR_OK);
	assert_string_equal(find("WWW.example.com"), "~^(.+)\\.example\\.com$");
	assert_int_equal(s.cap.n, 2);
	assert_str(str_of(s.cap.subject.p + s.cap.offs[2], s.cap.offs[3] - s.cap.offs[2]), "www");
}

static void
invalid(void **state)
{
	static const char *const wrong[] = {
		"*", "*.", ".*", ".", "*a.com", "a*.com", "a.*.com", "*.*", "*.a.*", "..a", "a..b", "*..a",
		"~",
	};
	struct weir_server_name	 name;
	unsigned		 i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(wrong); i++)
		if (parse(wrong[i], &name) != WEIR_FAIL)
			fail_msg("\"%s\" is taken for a name", wrong[i]);
	assert_int_equal(cf.errors, WEIR_COUNT(wrong));
	assert_int_equal(parse("a/b", &name), WEIR_OK);
	assert_int_equal(cf.warnings, 1);
}

/* A Host of thousands of labels must not cost thousands of long hashes. */
static void
many_dots(void **state)
{
	char		 host[8001];
	struct timespec	 a, b;
	unsigned	 i;
	void *found;

	(void)state;
	assert_int_equal(add("*.example.com"), WEIR_OK);
	assert_int_equal(add("www.example.*"), WEIR_OK);
	for (i = 0; i < 8000; i++)
		host[i] = i % 2 ? '.' : 'a';
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (i = 0; i < 100; i++)
		assert_int_equal(names_find(&names, &s, str_of(host, 7999), &found), WEIR_AGAIN);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	/* Hashing every tail of it would take a second and more. */
	assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(any_number), T(order), T(dots), T(conflicts), T(no_host), T(captures), T(invalid),
		T(many_dots),
	};

	return RUN(tests);
}
