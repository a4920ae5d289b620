/* unit: src/http/req/locations.c */
/*
 * Locations against a plain reading of the rules, with 1, 100, 101 and 10,000 of them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

#include "http/req/locations.c"

static const struct weir_var vars[] = { { .name = NULL } };
static unsigned number_of_module;
static const struct weir_module module = { .name = "m", .index = &number_of_module, .vars = vars };
const struct weir_module *const weir_modules[] = { &module, NULL };
const unsigned weir_n_modules = 1;
const struct weir_absent weir_absent[] = { { NULL, NULL, NULL } };

static struct weir_conf cf;
static struct weir_sess s;
static struct weir_loc_index *top;

static int
setup(void **state)
{
	(void)state;
	cf = (struct weir_conf){ .pool = pool_new(0), .quiet = true };
	vars_now = vars_http = vars_new(&cf, false);
	s = (struct weir_sess){ .magic = WEIR_SESS_MAGIC, .is_http = true, .pool = pool_new(0) };
	top = locations_new(cf.pool);
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

static struct weir_location *
new(enum weir_loc_kind kind, const char *name)
{
	struct weir_location	*loc = POOL_NEW(cf.pool, weir_location);
	struct weir_node	 node = { .n = 1 };
	struct weir_conf_word	 word = { str_c(name), 1, 1, false };

	loc->kind = kind;
	loc->name = pool_str(cf.pool, str_c(name));
	node.w = &word;
	if (kind == LOC_REGEX)
		assert_int_equal(regex_compile(&cf, &node, 0, loc->name, false, &loc->regex), WEIR_OK);
	return loc;
}

static struct weir_location *
add(struct weir_loc_index *t, enum weir_loc_kind kind, const char *name)
{
	struct weir_location	*loc = new(kind, name);

	assert_null(locations_add(t, loc));
	return loc;
}

static struct weir_loc_index *
inside(struct weir_location *loc)
{
	return loc->nested = locations_new(cf.pool);
}

/* The location's mark and name, "-" for none. */
static const char *
at(const char *path)
{
	static const char	*const marks[] = { "", "^~", "=", "~" };
	struct weir_location	*loc = NULL;
	int			 rc = locations_find(top, &s, str_c(path), &loc);

	assert_int_not_equal(rc, WEIR_FAIL);
	if (loc == NULL)
		return "-";
	return pool_cstr(s.pool, pool_printf(s.pool, "%s%s%.*s", rc == ROUTE_SLASH ? "301 " : "",
	    marks[loc->kind], STR_ARG(loc->name)));
}

static void
prefixes(void **state)
{
	(void)state;
	add(top, LOC_PREFIX, "/");
	add(top, LOC_PREFIX, "/images/");
	add(top, LOC_PREFIX, "/images/big");
	add(top, LOC_PREFIX, "/imag");
	add(top, LOC_EXACT, "/images/");
	add(top, LOC_EXACT, "/");
	locations_done(top);
	assert_string_equal(at("/"), "=/");
	assert_string_equal(at("/x"), "/");
	assert_string_equal(at("/ima"), "/");
	assert_string_equal(at("/imag"), "/imag");
	assert_string_equal(at("/images"), "/imag");
	assert_string_equal(at("/images/"), "=/images/");
	assert_string_equal(at("/images/x"), "/images/");
	assert_string_equal(at("/images/bi"), "/images/");
	assert_string_equal(at("/images/bigger"), "/images/big");
	assert_string_equal(at("/Images/"), "/");
}

static void
nothing(void **state)
{
	(void)state;
	locations_done(top);
	assert_string_equal(at("/"), "-");
	top = locations_new(cf.pool);
	add(top, LOC_PREFIX, "/a");
	locations_done(top);
	assert_string_equal(at("/"), "-");
	assert_string_equal(at("/b"), "-");
	assert_string_equal(at("/ab"), "/a");
}

static void
regexes(void **state)
{
	(void)state;
	add(top, LOC_PREFIX, "/");
	add(top, LOC_PREFIX_FINAL, "/static/");
	add(top, LOC_PREFIX, "/static/deep/");
	add(top, LOC_EXACT, "/x.php");
	add(top, LOC_REGEX, "\\.php$");
	add(top, LOC_REGEX, "\\.(php|gif)$");
	locations_done(top);
	assert_string_equal(at("/a.php"), "~\\.php$");
	assert_string_equal(at("/a.gif"), "~\\.(php|gif)$");
	assert_string_equal(at("/x.php"), "=/x.php");
	assert_string_equal(at("/static/a.php"), "^~/static/");
	assert_string_equal(at("/static/deep/a.php"), "~\\.php$");
	assert_string_equal(at("/a.txt"), "/");
}

static void
nested(void **state)
{
	struct weir_location	*loc;
	struct weir_loc_index	*in, *re;

	(void)state;
	add(top, LOC_PREFIX, "/");
	loc = add(top, LOC_PREFIX, "/a/");
	in = inside(loc);
	add(in, LOC_PREFIX, "/a/b/");
	add(in, LOC_EXACT, "/a/exact");
	add(in, LOC_REGEX, "in$");
	loc = add(top, LOC_PREFIX_FINAL, "/f/");
	add(inside(loc), LOC_PREFIX, "/f/g");
	locations_done(loc->nested);
	loc = add(top, LOC_REGEX, "^/(a|r)/.*(in|out)$");
	re = inside(loc);
	add(re, LOC_REGEX, "both.*out$");
	locations_done(in);
	locations_done(re);
	locations_done(top);
	assert_string_equal(at("/a/x"), "/a/");
	assert_string_equal(at("/a/b/c"), "/a/b/");
	assert_string_equal(at("/a/exact"), "=/a/exact");
	/* A regex beside the prefix is asked after what is nested in it. */
	assert_string_equal(at("/a/in"), "~in$");
	assert_string_equal(at("/a/b/in"), "~in$");
	assert_string_equal(at("/a/out"), "~^/(a|r)/.*(in|out)$");
	assert_string_equal(at("/a/b/out"), "~^/(a|r)/.*(in|out)$");
	assert_string_equal(at("/r/both/out"), "~both.*out$");
	assert_string_equal(at("/f/gin"), "/f/g");
	assert_string_equal(at("/f/out"), "^~/f/");
}

static void
slashes(void **state)
{
	(void)state;
	add(top, LOC_PREFIX, "/");
	add(top, LOC_PREFIX, "/dir/")->auto_redirect = true;
	add(top, LOC_PREFIX, "/dir/sub/")->auto_redirect = true;
	add(top, LOC_PREFIX, "/plain/");
	add(top, LOC_EXACT, "/only/")->auto_redirect = true;
	add(top, LOC_PREFIX, "/both/")->auto_redirect = true;
	add(top, LOC_EXACT, "/both");
	add(top, LOC_PREFIX, "/dirt");
	add(top, LOC_REGEX, "dir");
	locations_done(top);
	assert_string_equal(at("/dir"), "301 /dir/");
	assert_string_equal(at("/dir/sub"), "301 /dir/sub/");
	assert_string_equal(at("/plain"), "/");
	assert_string_equal(at("/only"), "301 =/only/");
	assert_string_equal(at("/both"), "=/both");
	assert_string_equal(at("/di"), "/");
	assert_string_equal(at("/dir/"), "~dir");
}

static void
duplicates(void **state)
{
	struct weir_location	*first = add(top, LOC_PREFIX, "/a"), *exact;

	(void)state;
	assert_ptr_equal(locations_add(top, new(LOC_PREFIX_FINAL, "/a")), first);
	exact = add(top, LOC_EXACT, "/a");
	assert_ptr_equal(locations_add(top, new(LOC_EXACT, "/a")), exact);
	add(top, LOC_REGEX, "a");
	add(top, LOC_REGEX, "a");
}

/* ---- against a model: every prefix is compared ---- */

static struct weir_location *all[10000];
static unsigned n_all;

static const struct weir_location *
model(struct weir_str path)
{
	const struct weir_location	*best = NULL;
	unsigned			 i;

	for (i = 0; i < n_all; i++) {
		if (all[i]->kind == LOC_EXACT && str_eq(all[i]->name, path))
			return all[i];
		if (all[i]->kind != LOC_EXACT && str_begins(path, all[i]->name) &&
		    (best == NULL || all[i]->name.n > best->name.n))
			best = all[i];
	}
	return best;
}

/* Few letters, so that names share beginnings. */
static const char *
random_path(char *to)
{
	unsigned	i, n = 1 + (unsigned)rand() % 9;

	to[0] = '/';
	for (i = 1; i < n; i++)
		to[i] = "ab/\377"[rand() % 4];
	to[n] = '\0';
	return to;
}

static void
any_number(void **state)
{
	static const unsigned	numbers[] = { 1, 100, 101, 10000 };
	struct weir_location	*loc;
	char			 path[16];
	unsigned		 i, k;

	(void)state;
	srand(1);
	for (k = 0; k < WEIR_COUNT(numbers); k++) {
		top = locations_new(cf.pool);
		n_all = 0;
		for (i = 0; n_all < numbers[k] && i < 1000000; i++) {
			loc = new(rand() % 3 ? LOC_PREFIX : LOC_EXACT, random_path(path));
			if (locations_add(top, loc) == NULL)
				all[n_all++] = loc;
		}
		assert_int_equal(n_all, numbers[k]);
		locations_done(top);
		for (i = 0; i < 2000; i++) {
			random_path(path);
			loc = NULL;
			assert_int_equal(locations_find(top, &s, str_c(path), &loc), WEIR_OK);
			assert_ptr_equal(loc, model(str_c(path)));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(prefixes), T(nothing), T(regexes), T(nested), T(slashes), T(duplicates),
		T(any_number),
	};

	return RUN(tests);
}
