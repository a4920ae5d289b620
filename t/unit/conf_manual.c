/* unit: src/core/conf/manual.c */
/* unit: objs/modules.c */
#include "unit.h"

#include "core/conf/manual.c"

#include "conf_test.h"

static char *
printed(void (*print)(FILE *))
{
	char	*text = NULL;
	size_t	 n;
	FILE	*f = open_memstream(&text, &n);

	conf_modules_init();
	print(f);
	fclose(f);
	return text;
}

static void
assert_has(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("\"%s\" is not in:\n%s", what, text);
}

static void
test_manual(void **state)
{
	char *m = printed(conf_manual);

	(void)state;
	assert_has(m, ".Dt WEIR.CONF 5\n");
	assert_has(m, ".Ss Module alpha\nThe first module.\n.Bl -tag -width Ds\n");
	assert_has(m, ".It Ic flag\nSyntax:\n.Ic flag\n.Li \"on | off\"\n.br\nDefault:\n"
	    ".Li \"flag on;\"\n.br\nContext: main, http, server, location, if in location\n.Pp\n"
	    "A flag.\n");
	assert_has(m, ".Ic small\n.Li \"number | auto\"\n.br\nDefault: none\n.br\n"
	    "Bounds: -20 to 20\n.br\n");
	assert_has(m, "Bounds: 1024 to 1048576 bytes\n");
	assert_has(m, ".Li \"slow | quick | careful\"\n");
	assert_has(m, ".Li \"error | timeout | off ...\"\n");
	assert_has(m, ".Li \"str \\(dqa b\\(dq;\"\n");
	assert_has(m, ".Ic http\n.Li \"{ ... }\"\n");
	assert_has(m, "Blocks inside do not inherit it.\n");
	assert_has(m, ".Ss Module beta\n.Bl");
	assert_has(m, ".Li \"there off;\"\n");
	free(m);
}

static void
print_odd(FILE *f)
{
	put_sentences(f, "The first. The second, e.g. this one: \\d+.\n'quoted' \"at\" the start.\n"
	    ".5 is a number. Last.");
	put_text(f, STR(".say \"a\\b\"\nc"), true);
}

static void
test_escapes(void **state)
{
	char *m = printed(print_odd);

	(void)state;
	assert_string_equal(m, "The first.\nThe second, e.g.\nthis one: \\ed+.\n"
	    "\\&'quoted' \"at\" the start.\n\\&.5 is a number.\nLast.\n"
	    "\\&.say \\(dqa\\eb\\(dq c");
	free(m);
}

static void
test_directives(void **state)
{
	char *m = printed(conf_directives);

	(void)state;
	assert_has(m, "http alpha main\n");
	assert_has(m, "\nflag alpha main,http,server,location,if-in-location\n");
	assert_has(m, "\nserver beta upstream\n");
	free(m);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_directives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
