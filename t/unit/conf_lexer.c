/* unit: src/core/conf/lexer.c */
/* unit: objs/modules.c */
#include "unit.h"

#include "core/conf/lexer.c"

#include <stdlib.h>
#include <sys/stat.h>

#include "conf_test.h"

/*
 * A text as nodes, written down: words in <>, blocks in {}, the others with ;.
 */
static void
write_nodes(const struct weir_node *n, char *to, size_t room)
{
	unsigned i;

	for (; n != NULL; n = n->next) {
		for (i = 0; i < n->n; i++) {
			size_t len = strlen(to);

			snprintf(to + len, room - len, "<%s>", n->w[i].s.p);
			assert_int_equal(n->w[i].s.n, strlen(n->w[i].s.p));
		}
		strcat(to, n->block ? "{" : ";");
		write_nodes(n->child, to, room);
		if (n->block)
			strcat(to, "}");
	}
}

static void
assert_nodes(const char *text, const char *want)
{
	struct run	*r = run_new();
	char		 got[4096] = "";
	int		 saved, fd = hear_begin(&saved), rc;

	rc = conf_read_text(&r->cf, "t.conf", str_c(text));
	hear_end(r, fd, saved);
	if (rc != WEIR_OK)
		fail_msg("%s", r->said);
	write_nodes(r->cf.root->child, got, sizeof(got));
	assert_string_equal(got, want);
	run_free(r);
}

static void
assert_refused_bytes(struct weir_str text, const char *what, bool broken)
{
	struct run	*r = run_new();
	int		 saved, fd = hear_begin(&saved), rc;

	rc = conf_read_text(&r->cf, "t.conf", text);
	hear_end(r, fd, saved);
	assert_int_equal(rc == WEIR_FAIL, broken);
	assert_int_not_equal(r->cf.errors, 0);
	if (strstr(r->said, what) == NULL)
		fail_msg("\"%s\" is not in:\n%s", what, r->said);
	assert_int_equal(r->cf.broken, broken);
	run_free(r);
}

static void
assert_refused(const char *text, const char *what)
{
	assert_refused_bytes(str_c(text), what, true);
}

static void
test_words(void **state)
{
	(void)state;
	assert_nodes("", "");
	assert_nodes(" \t\r\n", "");
	assert_nodes("a;", "<a>;");
	assert_nodes("a b  c ;", "<a><b><c>;");
	assert_nodes("a\r\n\tb\r\n;\r\n", "<a><b>;");
	assert_nodes("a b;c d;", "<a><b>;<c><d>;");
	assert_nodes("\xc3\xa4 \xff;", "<\xc3\xa4><\xff>;");
	assert_nodes("\xef\xbb\xbf" "a;", "<a>;");
}

static void
test_comments(void **state)
{
	(void)state;
	assert_nodes("# x; {\na; # }\n#", "<a>;");
	assert_nodes("a # b ' \" {\n c;", "<a><c>;");
	/* Only where a word could begin. */
	assert_nodes("a#b c#;", "<a#b><c#>;");
	assert_nodes("a '#';", "<a><#>;");
}

static void
test_quotes(void **state)
{
	(void)state;
	assert_nodes("a 'b c' \"d;{}#\";", "<a><b c><d;{}#>;");
	assert_nodes("a '' \"\";", "<a><><>;");
	assert_nodes("a 'b\nc';", "<a><b\nc>;");
	assert_nodes("a \"it's\" 'say \"x\"';", "<a><it's><say \"x\">;");
	assert_nodes("'a';", "<a>;");
	assert_nodes("a 'b'{}", "<a><b>{}");
	/* In the middle a quote is a letter. */
	assert_nodes("a b'c d\"e;", "<a><b'c><d\"e>;");
	/* A parenthesis behind a quote begins a word: `if ($a = "b")`. */
	assert_nodes("a (\"b\" \"c\");", "<a><(\"b\"><c><)>;");

	assert_refused("a 'b'c;", "t.conf:1:6: unexpected \"c\" after a quoted parameter");
	assert_refused("a \"b\"\"c\";", "t.conf:1:6: unexpected \"\"\"");
	assert_refused("a 'b'#\n;", "unexpected \"#\"");
}

static void
test_escapes(void **state)
{
	(void)state;
	assert_nodes("a \\\"b \\'c d\\\\;", "<a><\"b><'c><d\\>;");
	assert_nodes("a x\\ty\\nz\\r;", "<a><x\ty\nz\r>;");
	assert_nodes("a \"\\\"\\t\" '\\'';", "<a><\"\t><'>;");
	/* The meaning goes, the backslash stays. */
	assert_nodes("a b\\ c \\d \\; \\{ \\# \\$;", "<a><b\\ c><\\d><\\;><\\{><\\#><\\$>;");
	assert_nodes("a \"b\\.c\\\n\";", "<a><b\\.c\\\n>;");
	assert_nodes("a \\\\n \\\\\\n;", "<a><\\n><\\\n>;");
}

static void
test_variables(void **state)
{
	(void)state;
	assert_nodes("a ${b}c $d{}", "<a><${b}c><$d>{}");
	assert_nodes("a $b{c;}", "<a><$b>{<c>;}");
	assert_nodes("a x${{y;", "<a><x${{y>;");
	assert_nodes("a $ {}", "<a><$>{}");
	assert_nodes("a $$;", "<a><$$>;");
}

static void
test_blocks(void **state)
{
	(void)state;
	assert_nodes("a{}", "<a>{}");
	assert_nodes("a b { c; d { e; } } f;", "<a><b>{<c>;<d>{<e>;}}<f>;");
	/* In the middle a closing brace is a letter. */
	assert_nodes("a b} c}{}", "<a><b}><c}>{}");
}

static void
test_braces(void **state)
{
	(void)state;
	assert_refused("a {\n b;\n", "t.conf:1:1: unexpected end of parameter, "
	    "expecting \"}\" to close this \"a\"");
	assert_refused("a {\n b {\n } ", "t.conf:1:1: ");
	assert_refused("a { b { c; }\n", "close this \"a\"");
	assert_refused("a; }", "t.conf:1:4: unexpected \"}\"");
	assert_refused("a { } }", "t.conf:1:7: unexpected \"}\"");
	assert_refused("{ }", "t.conf:1:1: unexpected \"{\"");
	assert_refused("a; { }", "t.conf:1:4: unexpected \"{\"");
}

static void
test_ends(void **state)
{
	(void)state;
	assert_refused("a;\n\n  b c", "t.conf:3:3: unexpected end of parameter, "
	    "expecting \";\" to end \"b\"");
	assert_refused("a \\", "expecting \";\" to end \"a\"");
	assert_refused("a;\nb 'c\nd;\n", "t.conf:2:3: unexpected end of file, expecting the closing ' "
	    "of this one");
	assert_refused("a \"", "t.conf:1:3: unexpected end of file, expecting the closing \" of");
	assert_refused("a 'b\\'", "closing '");
}

/* What does not lose the structure is told, and reading goes on. */
static void
test_goes_on(void **state)
{
	struct run	*r = run_new();
	char		 got[256] = "";
	int		 saved, fd = hear_begin(&saved);

	(void)state;
	assert_int_equal(conf_read_text(&r->cf, "t.conf", STR("a; ;\nb { c d }\ne;")), WEIR_OK);
	hear_end(r, fd, saved);
	assert_false(r->cf.broken);
	assert_int_equal(r->cf.errors, 2);
	write_nodes(r->cf.root->child, got, sizeof(got));
	assert_string_equal(got, "<a>;<b>{<c><d>;}<e>;");
	assert_non_null(strstr(r->said, "t.conf:1:4: unexpected \";\"\n"));
	assert_non_null(strstr(r->said,
	    "t.conf:2:7: directive \"c\" is not terminated by \";\" before \"}\"\n"));
	run_free(r);
}

static void
test_nul(void **state)
{
	(void)state;
	assert_refused_bytes(STR("a;\nb\0c;"), "t.conf:2:2: a NUL byte", true);
	assert_refused_bytes(STR("\0"), "t.conf:1:1: a NUL byte", true);
	assert_refused_bytes(STR("a '\0';"), "t.conf:1:4: a NUL byte", true);
	assert_refused_bytes(STR("# \0\n"), "t.conf:1:3: a NUL byte", true);
}

static void
test_places(void **state)
{
	struct run		*r = run_new();
	const struct weir_node	*a, *b;

	(void)state;
	assert_int_equal(conf_read_text(&r->cf, "t.conf", STR("\xef\xbb\xbf" "a 'x\ny' z {\n\tb \\\n"
	    " c # d\n ; }\n")), WEIR_OK);
	a = r->cf.root->child;
	b = a->child;
	assert_int_equal(a->w[0].line, 1);
	assert_int_equal(a->w[0].col, 1);
	assert_int_equal(a->w[1].line, 1);
	assert_int_equal(a->w[1].col, 3);
	assert_true(a->w[1].quoted);
	assert_int_equal(a->w[2].line, 2);
	assert_int_equal(a->w[2].col, 4);
	assert_false(a->w[2].quoted);
	assert_int_equal(a->end_line, 5);
	assert_int_equal(b->w[0].line, 3);
	assert_int_equal(b->w[0].col, 2);
	/* Of a word that began with an escaped newline. */
	assert_int_equal(b->w[1].line, 3);
	assert_int_equal(b->end_line, 5);
	assert_int_equal(a->seq, 1);
	assert_int_equal(b->seq, 2);
	run_free(r);
}

static char *
repeat(struct weir_pool *p, const char *what, unsigned times, const char *after)
{
	size_t	 n = strlen(what), i;
	char	*text = pool_bytes(p, n * times + strlen(after) + 1);

	for (i = 0; i < times; i++)
		memcpy(text + i * n, what, n);
	strcpy(text + n * times, after);
	return text;
}

static void
test_bounds(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct run		*r;

	(void)state;
	assert_refused(repeat(p, "a { ", 101, ""), "blocks are nested more than 100 deep");
	r = run_new();
	assert_int_equal(conf_read_text(&r->cf, "t.conf",
	    str_c(pool_printf(p, "%s%s", repeat(p, "a{", 100, ""), repeat(p, "}", 100, "")).p)),
	    WEIR_OK);
	run_free(r);

	r = run_new();
	assert_int_equal(conf_read_text(&r->cf, "t.conf", str_c(repeat(p, "x", 65536, ";"))), WEIR_OK);
	assert_int_equal(r->cf.root->child->w[0].s.n, 65536);
	run_free(r);
	assert_refused(repeat(p, "x", 65537, ";"), "t.conf:1:1: too long parameter\n");
	assert_refused(pool_printf(p, "a '%s';", repeat(p, "x", 70000, "")).p,
	    "t.conf:1:3: too long parameter, probably the closing quote is missing\n");
	/* Many words are fine. */
	r = run_new();
	assert_int_equal(conf_read_text(&r->cf, "t.conf", str_c(repeat(p, "ab ", 3000000, ";"))),
	    WEIR_OK);
	assert_int_equal(r->cf.root->child->n, 3000000);
	run_free(r);
	pool_free(p);
}

/*
 * Files.
 */

static char dir[64];

static const char *
path_of(const char *name)
{
	static char path[8][256];
	static unsigned at;

	at = (at + 1) % 8;
	snprintf(path[at], sizeof(path[at]), "%s/%s", dir, name);
	return path[at];
}

static void
write_file(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct run *
run_file(const char *name, const char *globals)
{
	static char	 prefix[128];
	struct run	*r = run_new();
	int		 saved, fd = hear_begin(&saved);

	snprintf(prefix, sizeof(prefix), "%s/", dir);
	r->cf.conf_prefix = prefix;
	r->rc = conf_read(&r->cf, path_of(name), globals);
	hear_end(r, fd, saved);
	return r;
}

static void
assert_file(const char *name, const char *globals, const char *want)
{
	struct run	*r = run_file(name, globals);
	char		 got[4096] = "";

	if (r->rc != WEIR_OK)
		fail_msg("%s", r->said);
	write_nodes(r->cf.root->child, got, sizeof(got));
	assert_string_equal(got, want);
	run_free(r);
}

/* The last argument is NULL. */
static void
assert_file_refused(const char *name, ...)
{
	struct run	*r = run_file(name, NULL);
	const char	*what;
	va_list		 ap;

	assert_int_equal(r->rc == WEIR_FAIL, r->cf.broken);
	assert_int_not_equal(r->cf.errors, 0);
	va_start(ap, name);
	while ((what = va_arg(ap, const char *)) != NULL)
		if (strstr(r->said, what) == NULL)
			fail_msg("\"%s\" is not in:\n%s", what, r->said);
	va_end(ap);
	run_free(r);
}

static void
test_include(void **state)
{
	char text[256];

	(void)state;
	write_file("main.conf", "a; include sub.inc; b { include sub.inc; } include 'sub.inc';");
	write_file("sub.inc", "x y;\n");
	assert_file("main.conf", NULL, "<a>;<x><y>;<b>{<x><y>;}<x><y>;");
	assert_file("main.conf", "g 1; h;", "<g><1>;<h>;<a>;<x><y>;<b>{<x><y>;}<x><y>;");

	mkdir(path_of("d"), 0700);
	write_file("d/2.part", "two;");
	write_file("d/1.part", "one;");
	write_file("d/3.other", "three;");
	write_file("glob.conf", "include d/*.part; include d/*.nothing; include no/such/*; z;");
	assert_file("glob.conf", NULL, "<one>;<two>;<z>;");
	write_file("glob.conf", "include d/[13].*;");
	assert_file("glob.conf", NULL, "<one>;<three>;");
	snprintf(text, sizeof(text), "include %s;", path_of("sub.inc"));
	write_file("abs.conf", text);
	assert_file("abs.conf", NULL, "<x><y>;");
}

static void
test_include_mistakes(void **state)
{
	(void)state;
	write_file("m.conf", "a;\n  include nope.inc;\nb { include nope.inc;");
	assert_file_refused("m.conf", "m.conf:2:11: include: open() \"", "/nope.inc\" failed (2: No "
	    "such file or directory)\n", "close this \"b\"", NULL);
	write_file("m.conf", "include;");
	assert_file_refused("m.conf", "invalid number of arguments in \"include\"", NULL);
	write_file("m.conf", "include a b;");
	assert_file_refused("m.conf", "invalid number of arguments in \"include\"", NULL);
	write_file("m.conf", "include sub.inc { }");
	assert_file_refused("m.conf", "directive \"include\" is not terminated by \";\"", NULL);
	write_file("m.conf", "include .;");
	assert_file_refused("m.conf", "is a directory", NULL);
	assert_file_refused("nope.conf", "weir: [emerg] open() \"", "(2: No such file", NULL);

	/* A block ends in the file in which it began. */
	write_file("m.conf", "a { include close.inc; b;");
	write_file("close.inc", "x; }");
	assert_file_refused("m.conf", "close.inc:1:4: unexpected \"}\"", NULL);
	write_file("m.conf", "include open.inc; }");
	write_file("open.inc", "x {");
	assert_file_refused("m.conf", "open.inc:1:1: unexpected end of file, expecting \"}\" to close "
	    "this \"x\"", NULL);
	write_file("m.conf", "include half.inc;\n;");
	write_file("half.inc", "x y");
	assert_file_refused("m.conf", "half.inc:1:1: unexpected end of file, expecting \";\" or \"{\" "
	    "to end \"x\"", NULL);
}

static void
test_include_loop(void **state)
{
	char	name[32], text[64];
	int	i;

	(void)state;
	write_file("self.conf", "include self.conf;");
	assert_file_refused("self.conf", "self.conf:1:9: include: include loop: ", NULL);
	write_file("a.conf", "include b.inc;");
	write_file("b.inc", "include c.inc;");
	write_file("c.inc", "\n include a.conf;");
	assert_file_refused("a.conf", "c.inc:2:10: include: include loop: ", "/a.conf > ", "/b.inc > ",
	    "/c.inc > ", NULL);
	/* By another name it is the same file. */
	assert_int_equal(symlink("self2.conf", path_of("link.inc")), 0);
	write_file("self2.conf", "include link.inc;");
	assert_file_refused("self2.conf", "include loop", NULL);

	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "deep%d.inc", i);
		snprintf(text, sizeof(text), "include deep%d.inc;", i + 1);
		write_file(name, text);
	}
	write_file("deep40.inc", "");
	assert_file_refused("deep0.inc", "more than 32 levels of include", "/deep0.inc > ", NULL);
	assert_file("deep9.inc", NULL, "");

	/* Sixteen to the power of levels. */
	for (i = 0; i < 20; i++) {
		char	many[16 * 32] = "";
		int	k;

		snprintf(name, sizeof(name), "bomb%d.inc", i);
		snprintf(text, sizeof(text), "include bomb%d.inc;", i + 1);
		for (k = 0; k < 16; k++)
			snprintf(many + strlen(many), sizeof(many) - strlen(many), "%s", text);
		write_file(name, many);
	}
	write_file("bomb20.inc", "");
	assert_file_refused("bomb0.inc", "too much is included", NULL);
}

static void
test_kinds_of_files(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_file_refused("fifo", "is not a regular file", NULL);
	assert_file_refused("d", "\" is a directory\n", NULL);
	assert_int_equal(symlink("/dev/null", path_of("null")), 0);
	assert_file("null", NULL, "");
	assert_int_equal(symlink("/dev/zero", path_of("zero")), 0);
	assert_file_refused("zero", "is larger than 64 megabytes", NULL);
	write_file("huge", "");
	assert_int_equal(truncate(path_of("huge"), (64 << 20) + 1), 0);
	assert_file_refused("huge", "is larger than 64 megabytes", NULL);
}

static void
test_globals(void **state)
{
	struct run *r;

	(void)state;
	write_file("ok.conf", "");
	r = run_file("ok.conf", "daemon off");
	assert_non_null(strstr(r->said, "weir: [emerg] command line:1:1: unexpected end of parameter, "
	    "expecting \";\" to end \"daemon\"\n"));
	run_free(r);
}

static void
test_dump(void **state)
{
	struct run	*r;
	char		*text = NULL;
	size_t		 n;
	FILE		*f = open_memstream(&text, &n);
	char		 want[1024];

	(void)state;
	write_file("top.conf", "include d/*.part;\ninclude d/1.part;\n# end");
	r = run_file("top.conf", "g;");
	conf_dump(&r->cf, f);
	fclose(f);
	snprintf(want, sizeof(want), "# configuration file %s/top.conf:\ninclude d/*.part;\n"
	    "include d/1.part;\n# end\n# configuration file %s/d/1.part:\none;\n"
	    "# configuration file %s/d/2.part:\ntwo;\n", dir, dir, dir);
	assert_string_equal(text, want);
	free(text);
	run_free(r);
}

static int
dir_make(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/weir-conf-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
dir_remove(void **state)
{
	char	command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r '%s'", dir);
	return system(command);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_braces),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_include),
		cmocka_unit_test(test_include_mistakes),
		cmocka_unit_test(test_include_loop),
		cmocka_unit_test(test_kinds_of_files),
		cmocka_unit_test(test_globals),
		cmocka_unit_test(test_dump),
	};

	return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
