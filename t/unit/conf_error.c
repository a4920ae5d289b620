/* unit: src/core/conf/error.c */
/* unit: objs/modules.c */
#include "unit.h"

#include "core/conf/error.c"

#include "conf_test.h"

/* Everything that is said about a text. */
static void
assert_all(const char *text, const char *want)
{
	struct run *r = run_text(text);

	assert_string_equal(r->said, want);
	run_free(r);
}

static void
test_caret(void **state)
{
	(void)state;
	assert_all("\n\tflag maybe;\n",
	    "weir: [emerg] t.conf:2:7: flag: invalid value \"maybe\", it must be \"on\" or \"off\"\n"
	    "    2 | \tflag maybe;\n"
	    "      | \t     ^~~~~\n");
	/* A quoted word is underlined with its quotes; \r is no part of the line. */
	assert_all("flag 'x';\r\n",
	    "weir: [emerg] t.conf:1:6: flag: invalid value \"x\", it must be \"on\" or \"off\"\n"
	    "    1 | flag 'x';\n"
	    "      |      ^~~\n");
	/* Columns count bytes, the caret stands under the character. */
	assert_all("allow \xc3\xa4\xc3\xb6; flag \xc3\xbc\xc3\xbc;",
	    "weir: [emerg] t.conf:1:18: flag: invalid value \"\xc3\xbc\xc3\xbc\", it must be \"on\" or "
	    "\"off\"\n"
	    "    1 | allow \xc3\xa4\xc3\xb6; flag \xc3\xbc\xc3\xbc;\n"
	    "      |                ^~\n");
	assert_all("\xef\xbb\xbf" "flag x;",
	    "weir: [emerg] t.conf:1:6: flag: invalid value \"x\", it must be \"on\" or \"off\"\n"
	    "    1 | flag x;\n"
	    "      |      ^\n");
	assert_all("flag",
	    "weir: [emerg] t.conf:1:1: unexpected end of parameter, expecting \";\" to end \"flag\"\n"
	    "    1 | flag\n"
	    "      | ^~~~\n");
}

static void
test_word_over_lines(void **state)
{
	(void)state;
	assert_all("flag 'a\nb';",
	    "weir: [emerg] t.conf:1:6: flag: invalid value \"a\\x0Ab\", it must be \"on\" or \"off\"\n"
	    "    1 | flag 'a\n"
	    "      |      ^~\n");
}

static void
test_control_characters(void **state)
{
	(void)state;
	assert_all("flag \x1b[31m;",
	    "weir: [emerg] t.conf:1:6: flag: invalid value \"\\x1B[31m\", it must be \"on\" or \"off\"\n"
	    "    1 | flag ?[31m;\n"
	    "      |      ^~~~~\n");
}

static void
test_long_line(void **state)
{
	struct weir_pool *p = pool_new(0);
	char		 *text = pool_zalloc(p, (10 << 20) + 32), *end = text;
	struct run	 *r;

	(void)state;
	memset(end, ' ', 5 << 20);
	end += 5 << 20;
	end = stpcpy(end, "flag x; ");
	memset(end, ' ', 5 << 20);
	r = run_text(text);
	assert_int_equal(r->cf.errors, 1);
	assert_true(strlen(r->said) < 500);
	assert_non_null(strstr(r->said, "t.conf:1:5242886: flag: invalid value"));
	assert_non_null(strstr(r->said, "flag x;"));
	run_free(r);
	pool_free(p);
}

static void
test_long_words(void **state)
{
	struct weir_pool *p = pool_new(0);
	char		 *word = pool_zalloc(p, 60001);
	struct run	 *r;

	(void)state;
	memset(word, 'w', 60000);
	r = run_text(pool_printf(p, "%s %s;", word, word).p);
	assert_int_equal(r->cf.errors, 1);
	assert_true(strlen(r->said) < 3000);
	assert_non_null(strstr(r->said, "unknown directive \"www"));
	assert_non_null(strstr(r->said, "...\n"));
	run_free(r);
	pool_free(p);
}

static void
test_same_mistake_once(void **state)
{
	struct run	*r = run_new();
	int		 saved, fd = hear_begin(&saved), i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(conf_error(&r->cf, NULL, 0, "no \"%s\" section", "events"), WEIR_FAIL);
	hear_end(r, fd, saved);
	assert_string_equal(r->said, "weir: [emerg] no \"events\" section\n");
	assert_int_equal(r->cf.errors, 3);
	run_free(r);
}

static void
test_warning(void **state)
{
	struct run	*r = run_new();
	int		 saved, fd = hear_begin(&saved), rc;

	(void)state;
	rc = conf_warn(&r->cf, NULL, 0, "careful");
	r->cf.quiet = true;
	(void)conf_warn(&r->cf, NULL, 0, "not heard");
	hear_end(r, fd, saved);
	assert_int_equal(rc, WEIR_OK);
	assert_string_equal(r->said, "weir: [warn] careful\n");
	assert_int_equal(r->cf.errors, 0);
	assert_int_equal(r->cf.warnings, 2);
	run_free(r);
}

/* The log gets each as one line; when it is stderr too, that is enough. */
static void
test_log(void **state)
{
	char			 path[] = "/tmp/weir-conf-XXXXXX", text[1024] = "";
	int			 fd = mkstemp(path), saved, heard;
	struct weir_log		 log = { 0 };
	struct run		*r = run_new();

	(void)state;
	log_add(r->cf.pool, &log, log_file(path), LOG_NOTICE_);
	r->cf.log = &log;
	heard = hear_begin(&saved);
	conf_modules_init();
	assert_int_equal(conf_read_text(&r->cf, "t.conf", STR("flag x;\nfalg on;")), WEIR_OK);
	assert_int_equal(conf_bind(&r->cf), WEIR_FAIL);
	hear_end(r, heard, saved);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "[emerg] "));
	assert_non_null(strstr(text, "t.conf:1:6: flag: invalid value \"x\", it must be \"on\" or \"off\"\n"));
	assert_non_null(strstr(text, "t.conf:2:1: falg: unknown directive \"falg\", did you mean "
	    "\"flag\"?\n"));
	assert_null(strchr(text, '^'));
	assert_non_null(strstr(r->said, "^~~~\n"));
	close(fd);
	unlink(path);
	run_free(r);
}

static void
test_stderr_once(void **state)
{
	struct weir_log	 log = { 0 };
	struct run	*r = run_new();
	int		 saved, fd;

	(void)state;
	log_add(r->cf.pool, &log, log_file(NULL), LOG_NOTICE_);
	r->cf.log = &log;
	fd = hear_begin(&saved);
	(void)conf_error(&r->cf, NULL, 0, "once");
	hear_end(r, fd, saved);
	assert_string_equal(r->said, "weir: [emerg] once\n");

	/* A reload does not print: then the log is where it is said. */
	r->cf.to_stderr = false;
	fd = hear_begin(&saved);
	(void)conf_error(&r->cf, NULL, 0, "twice");
	hear_end(r, fd, saved);
	assert_non_null(strstr(r->said, "#0: twice\n"));
	run_free(r);
}

static void
test_nearest(void **state)
{
	static const char *const words[] = { "root", "proxy_pass", "proxy_hide_header", "if" };

	(void)state;
	assert_string_equal(conf_nearest(STR("rot"), words, 4), "root");
	assert_string_equal(conf_nearest(STR("orot"), words, 4), "root");
	assert_string_equal(conf_nearest(STR("proxy_pas"), words, 4), "proxy_pass");
	assert_string_equal(conf_nearest(STR("proxy_pass"), words, 4), "proxy_pass");
	assert_string_equal(conf_nearest(STR("proxy_hid_haeder"), words, 4), "proxy_hide_header");
	assert_null(conf_nearest(STR("rt"), words, 4));
	assert_null(conf_nearest(STR("bread"), words, 4));
	assert_null(conf_nearest(STR(""), words, 4));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caret),
		cmocka_unit_test(test_word_over_lines),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_long_words),
		cmocka_unit_test(test_same_mistake_once),
		cmocka_unit_test(test_warning),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_stderr_once),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
