/* unit: src/core/sess/passwd.c */
#include "unit.h"

#include "core/base/clock.h"
#include "core/ev/loop.h"
#include "core/sess/passwd.c"

static void
costs_more(const char *a, const char *b)
{
	if (passwd_cost(str_c(a)) <= passwd_cost(str_c(b)))
		fail_msg("%s does not cost more than %s", a, b);
}

static void
test_cost(void **state)
{
	(void)state;
	assert_int_equal(passwd_cost(STR("{PLAIN}x")), 0);
	assert_int_equal(passwd_cost(STR("{SHA}x")), 0);
	assert_int_equal(passwd_cost(STR("{SSHA}")), 0);
	assert_int_equal(passwd_cost(STR("{plain}x")), 1);
	assert_int_equal(passwd_cost(STR("")), 1);
	assert_int_equal(passwd_cost(STR("$2y$")), 1);
	assert_int_equal(passwd_cost(STR("$2y$xx$")), 1);
	assert_int_equal(passwd_cost(STR("$6$rounds=5000")), 1);
	assert_int_equal(passwd_cost(STR("$y$")), 1);
	assert_int_equal(passwd_cost(STR("$argon2id$v=19$m=65536,t=3,p=4$")), 1);
	costs_more("abNANd1rDfiNc", "{SHA}x");
	costs_more("$1$salt$", "abNANd1rDfiNc");
	costs_more("$6$salt$", "$1$salt$");
	costs_more("$6$rounds=100000$salt$", "$6$salt$");
	costs_more("$2y$10$", "$6$salt$");
	costs_more("$2b$12$", "$2y$11$");
	costs_more("$2b$99$", "$2b$12$");
	costs_more("$y$j9T$s$", "$6$salt$");
	costs_more("$y$jAT$s$", "$gy$j9T$s$");
	costs_more("$2b$12$", "$y$j9T$s$");
}

static void
test_same(void **state)
{
	(void)state;
	assert_true(same(STR(""), STR("")));
	assert_true(same(STR("abc"), STR("abc")));
	assert_false(same(STR("abc"), STR("abd")));
	assert_false(same(STR("abc"), STR("ab")));
	assert_false(same(STR("ab"), STR("abc")));
	assert_false(same(STR("abab"), STR("ab")));
	assert_false(same(STR(""), STR("a")));
	assert_false(same(STR("a"), STR("")));
	assert_false(same(STR("\0"), STR("")));
}

static void
test_apr1(void **state)
{
	static const char *const known[][2] = {	/* of openssl passwd -apr1 */
		{ "secret", "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/" },
		{ "secret", "$apr1$x$12YdXEY0/hH4rDNkmZupO0" },
		{ "password", "$apr1$salt$Xxd1irWT9ycqoYxGFn4cb." },
	};
	char	to[APR1_LEN];
	size_t	i, n;

	(void)state;
	for (i = 0; i < WEIR_COUNT(known); i++) {
		n = apr1(str_c(known[i][0]), str_c(known[i][1]), to);
		assert_str(str_of(to, n), known[i][1]);
	}
	/* A salt ends after eight bytes. */
	n = apr1(STR("secret"), STR("$apr1$abcdefghijk$"), to);
	assert_str(str_of(to, n), known[0][1]);
	assert_int_equal(check_apr1(STR("secret"), STR("$apr1$abcdefghijk$h9FWgUz3n9YxylKLlR5SQ/")),
	    PASSWD_UNFIT);
	assert_int_equal(check_apr1(STR("secret"), STR("$apr1$")), PASSWD_UNFIT);
}

static enum weir_passwd_answer	told;
static unsigned			n_told;

static void
on_done(void *arg, enum weir_passwd_answer answer)
{
	assert_ptr_equal(arg, &told);
	told = answer;
	n_told++;
}

static enum weir_passwd_answer
answer(struct weir_str password, struct weir_str stored, struct weir_str dummy, bool *waited)
{
	struct weir_passwd_ask		 ask = { password, stored, dummy, on_done, &told };
	struct weir_passwd		*check;
	enum weir_passwd_answer		 a = passwd_check(&ask, &check);
	unsigned			 before = n_told;
	uint64_t			 end = weir_now_ms + 10000;

	*waited = a == PASSWD_LATER;
	if (!*waited)
		return a;
	while (n_told == before && weir_now_ms < end)
		loop_turn(100);
	assert_int_equal(n_told, before + 1);
	return told;
}

static void
test_check(void **state)
{
	const struct weir_str md5_hash = STR("$1$salt$ez2vlPGdaLYkJam5pWs/Y1"), none = STR_NONE;
	char	many[PASSWD_MAX + 2];
	bool	waited;

	(void)state;
	memset(many, 'x', sizeof(many));
	assert_int_equal(answer(STR("a"), STR("{PLAIN}a"), md5_hash, &waited), PASSWD_YES);
	assert_false(waited);
	assert_int_equal(answer(STR("b"), STR("{PLAIN}a"), none, &waited), PASSWD_NO);
	assert_false(waited);
	/* A no waits as long as others do. */
	assert_int_equal(answer(STR("b"), STR("{PLAIN}a"), md5_hash, &waited), PASSWD_NO);
	assert_true(waited);
	assert_int_equal(answer(STR("secret"), none, md5_hash, &waited), PASSWD_NO);
	assert_true(waited);
	assert_int_equal(answer(STR("secret"), none, none, &waited), PASSWD_NO);
	assert_false(waited);
	assert_int_equal(answer(STR("secret"), md5_hash, md5_hash, &waited), PASSWD_YES);
	assert_true(waited);
	assert_int_equal(answer(STR("secret\0"), md5_hash, md5_hash, &waited), PASSWD_NO);
	assert_int_equal(answer(STR(""), md5_hash, md5_hash, &waited), PASSWD_NO);
	assert_int_equal(answer(str_of(many, PASSWD_MAX + 1), md5_hash, none, &waited), PASSWD_NO);
	assert_int_equal(answer(STR("x"), str_of(many, PASSWD_HASH_MAX + 1), none, &waited), PASSWD_UNFIT);
	assert_int_equal(answer(STR("x"), STR(""), none, &waited), PASSWD_UNFIT);
	assert_int_equal(answer(STR("x"), STR("$1$"), md5_hash, &waited), PASSWD_UNFIT);
	assert_int_equal(answer(STR("x"), STR("{SHA}Zg=="), none, &waited), PASSWD_UNFIT);
}

/* Nothing is heard of what was cancelled, and a queue that is full says so. */
static void
test_many(void **state)
{
	struct weir_passwd_ask	ask = {
		.password = STR("x"), .stored = STR("$6$rounds=20000$salt$x"), .done = on_done, .arg = &told
	};
	struct weir_passwd     *check[OFFLOAD_QUEUE + OFFLOAD_THREADS];
	unsigned		n = 0, i, before = n_told;
	enum weir_passwd_answer	a = PASSWD_LATER;

	(void)state;
	while (n < WEIR_COUNT(check) && a == PASSWD_LATER)
		if ((a = passwd_check(&ask, &check[n])) == PASSWD_LATER)
			n++;
	while (a == PASSWD_LATER)	/* threads had taken some */
		a = passwd_check(&ask, &check[0]);
	assert_int_equal(a, PASSWD_BUSY);
	for (i = 1; i < n; i++)
		passwd_cancel(check[i]);
	for (i = 0; i < 100 && n_told == before; i++)
		loop_turn(100);
	assert_in_range(n_told, before + 1, before + OFFLOAD_THREADS + OFFLOAD_QUEUE);
}

static int
setup(void **state)
{
	(void)state;
	return loop_init() == WEIR_OK && passwd_start() == WEIR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	offload_end(5000);
	loop_done();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_apr1),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
