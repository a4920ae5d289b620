/* unit: src/core/conf/types.c */
/* unit: objs/modules.c */
#include "unit.h"

#include "core/conf/types.c"

#include "conf_test.h"

/* One directive at the top of a file; the text says how it is refused, NULL: it is not. */
static void
check(const char *text, const char *mistake)
{
	struct run *r = run_text(text);

	if (mistake == NULL && r->rc != WEIR_OK)
		fail_msg("%s\n%s", text, r->said);
	if (mistake != NULL && r->rc == WEIR_OK)
		fail_msg("accepted: %s", text);
	if (mistake != NULL && strstr(r->said, mistake) == NULL)
		fail_msg("\"%s\" is not in:\n%s", mistake, r->said);
	run_free(r);
}

static void
test_flag(void **state)
{
	(void)state;
	check("flag On;", NULL);
	check("flag 1;", "t.conf:1:6: flag: invalid value \"1\", it must be \"on\" or \"off\"");
	check("flag '';", "invalid value \"\"");
}

static void
test_int(void **state)
{
	(void)state;
	check("number 0;", NULL);
	check("number 2147483647;", NULL);
	check("number 2147483648;", "value must be between 0 and 2147483647");
	check("number 9223372036854775808;", "invalid number \"9223372036854775808\"");
	check("number 99999999999999999999999;", "invalid number");
	check("number -1;", "value must be between 0 and 2147483647");
	check("number 1k;", "invalid number \"1k\"");
	check("number ' 1';", "invalid number");
	check("number '';", "invalid number");
	check("number +1;", "invalid number");
	check("number auto;", "invalid number");
	check("small -20;", NULL);
	check("small -21;", "value must be between -20 and 20");
	check("small 21;", "value must be between -20 and 20");
	check("small AUTO;", NULL);
}

static void
test_size(void **state)
{
	(void)state;
	check("size 2147483648;", NULL);
	check("size 8589934591g;", NULL);
	check("size 9223372036854775808;", "invalid size");
	check("size 8589934592g;", "invalid size \"8589934592g\"");
	check("size -1;", "invalid size \"-1\"");
	check("size 1e9g;", "invalid size \"1e9g\"");
	check("size '10 m';", "invalid size \"10 m\"");
	check("size 10 m;", "invalid number of arguments");
	check("size m;", "invalid size");
	check("size 10kb;", "invalid size");
	check("limit 1023;", "value must be between 1024 and 1048576");
	check("limit 2m;", "value must be between 1024 and 1048576");
	check("limit 1m;", NULL);
}

static void
test_time(void **state)
{
	(void)state;
	check("time 2147483647;", NULL);
	check("time 2147483648;", "invalid time");
	check("time 9223372036854775808;", "invalid time");
	check("time -1;", "invalid time \"-1\"");
	check("time '1h 30m';", NULL);
	check("time 1h30;", NULL);
	check("time 30m1h;", "invalid time");
	check("time 1x;", "invalid time");
	check("time ' 1';", "invalid time");
}

static void
test_choices(void **state)
{
	(void)state;
	check("mode CAREFUL;", NULL);
	check("mode carefull;", "t.conf:1:6: mode: invalid value \"carefull\", did you mean \"careful\"?");
	check("mode x;", "invalid value \"x\", it must be one of \"slow\", \"quick\", \"careful\"");
	check("bits error timeuot;", "t.conf:1:12: bits: invalid value \"timeuot\", did you mean "
	    "\"timeout\"?");
	check("bits error error;", NULL);
}

static void
test_duplicate_bit(void **state)
{
	struct run *r = run_text("bits error off error;");

	(void)state;
	assert_int_equal(r->cf.warnings, 1);
	assert_non_null(strstr(r->said, "[warn] t.conf:1:16: bits: duplicate value \"error\""));
	run_free(r);
}

static void
test_path(void **state)
{
	struct run	*r = run_text("");
	struct weir_str	 s;

	(void)state;
	assert_string_equal(conf_path(&r->cf, STR("a/b"), false).p, "/prefix/a/b");
	assert_string_equal(conf_path(&r->cf, STR("a/b"), true).p, "/nowhere/a/b");
	s = conf_path(&r->cf, str_of("/abcd", 4), true);
	assert_string_equal(s.p, "/abc");
	assert_int_equal(s.n, 4);
	run_free(r);
	check("path '';", "the path is empty");
}

static void
test_u64(void **state)
{
	struct run		*r = run_text("number 1;");
	const struct weir_node	*n = r->cf.root->child;
	int			 saved, fd = hear_begin(&saved), low, high, none, word;
	uint64_t		 v = 77;

	(void)state;
	assert_int_equal(conf_u64(&r->cf, n, 1, STR("5"), 1, 5, &v), WEIR_OK);
	assert_int_equal(v, 5);
	low = conf_u64(&r->cf, n, 1, STR("0"), 1, 5, &v);
	high = conf_u64(&r->cf, n, 1, STR("6"), 1, 5, &v);
	none = conf_u64(&r->cf, n, 1, STR("0"), 1, 0, &v);
	word = conf_u64(&r->cf, n, 1, STR("x"), 1, 0, &v);
	hear_end(r, fd, saved);
	assert_int_equal(low, WEIR_FAIL);
	assert_int_equal(high, WEIR_FAIL);
	assert_int_equal(none, WEIR_FAIL);
	assert_int_equal(word, WEIR_FAIL);
	assert_int_equal(v, 5);
	assert_non_null(strstr(r->said, "value must be equal to or greater than 1"));
	run_free(r);
}

static void
test_params(void **state)
{
	static const char *const known[] = { "zone", "burst", "nodelay", NULL };
	struct run		*r = run_text("if zone=a zone zonex=1 burst= bursd=3 q=1 zone nodelay=1;");
	const struct weir_node	*n = r->cf.root->child;
	struct weir_str		 v = STR_NONE;
	int			 saved, fd;

	(void)state;
	assert_true(conf_param(n, 1, "zone", &v));
	assert_str(v, "a");
	assert_false(conf_param(n, 2, "zone", &v));
	assert_false(conf_param(n, 3, "zone", &v));
	assert_true(conf_param(n, 4, "burst", &v));
	assert_str(v, "");
	assert_false(conf_param(n, 99, "zone", &v));
	run_free(r);

	r = run_text("if zone=a bursd=3 q=1 nodelay=1;");
	n = r->cf.root->child;
	fd = hear_begin(&saved);
	(void)conf_bad_param(&r->cf, n, 2, known);
	(void)conf_bad_param(&r->cf, n, 3, known);
	(void)conf_bad_param(&r->cf, n, 4, known);
	hear_end(r, fd, saved);
	assert_non_null(strstr(r->said, "t.conf:1:11: if: invalid parameter \"bursd=3\", did you mean "
	    "\"burst\"?\n"));
	assert_non_null(strstr(r->said, "invalid parameter \"q=1\"\n"));
	assert_non_null(strstr(r->said, "invalid parameter \"nodelay=1\"\n"));
	run_free(r);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flag),
		cmocka_unit_test(test_int),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_duplicate_bit),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_params),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
