/* unit: src/core/conf/foreign.c */
#include "unit.h"

#include "core/conf/foreign.c"
#include "core/sess/var.h"

/* A row that names what weir has would be a lie; it is time to take the name out. */
static void
test_nothing_of_ours(void **state)
{
	const struct weir_cmd	*cmd;
	const struct weir_absent *a;
	const struct weir_var	*v;
	const struct foreign	*f;
	char			 name[128];
	unsigned		 i, found = 0;

	(void)state;
	for (i = 0; weir_modules[i] != NULL; i++) {
		for (cmd = weir_modules[i]->cmds; cmd != NULL && cmd->name != NULL; cmd++)
			for (int exactly = 0; exactly < 2; exactly++)
				if ((f = find(str_c(cmd->name), exactly)) != NULL) {
					print_error("weir has %s, take it out of foreign.c: %s\n", cmd->name,
					    f->names);
					found++;
				}
		for (v = weir_modules[i]->vars; v != NULL && v->name != NULL; v++) {
			snprintf(name, sizeof(name), "$%s", v->name);
			if ((f = find(str_c(name), true)) != NULL ||
			    (f = find(str_c(name), false)) != NULL) {
				print_error("weir has %s, take it out of foreign.c: %s\n", name, f->names);
				found++;
			}
		}
	}
	for (a = weir_absent; a->directive != NULL; a++)
		if (find(str_c(a->directive), true) != NULL) {
			print_error("%s has %s, take it out of foreign.c\n", a->module, a->directive);
			found++;
		}
	assert_int_equal(found, 0);
}

/* Every row can be reached, its text is one sentence, and no name stands twice. */
static void
test_rows(void **state)
{
	struct weir_str	 rest, one;
	ssize_t		 space;
	size_t		 len;
	unsigned	 i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(foreign); i++) {
		len = strlen(foreign[i].advice);
		assert_true(len > 10 && foreign[i].advice[len - 1] != '.');
		for (rest = str_c(foreign[i].names); rest.n != 0; ) {
			space = str_chr(rest, ' ');
			one = space < 0 ? rest : str_of(rest.p, (size_t)space);
			assert_true(one.n >= 3);
			if (one.p[one.n - 1] != '*' && one.p[0] != '*')
				assert_ptr_equal(find(one, true), &foreign[i]);
			else if (one.p[0] != '*')
				assert_ptr_equal(find(str_of(one.p, one.n - 1), false), &foreign[i]);
			rest = str_from(rest, one.n + (space >= 0));
		}
	}
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(find(STR("fastcgi_pass"), false)->module, "ngx_http_fastcgi_module");
	assert_null(find(STR("fastcgi_pass"), true));
	assert_string_equal(find(STR("content_by_lua_block"), false)->module,
	    "third-party module lua-nginx-module");
	assert_non_null(find(STR("mail"), true));
	assert_null(find(STR("mails"), false));
	assert_null(find(STR("a_directive_of_nobody"), false));
	assert_null(find(STR(""), false));
	assert_non_null(find(STR("listen/quic"), true));
	assert_non_null(find(STR("$uid_got"), false));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_of_ours),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
