/*
 * unit.h - what every unit test needs.
 *
 * A test names the object it replaces in a comment of its first line, includes that
 * file's text and so sees its statics; everything else is linked.
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/str.h"

#define RUN(tests)	cmocka_run_group_tests((tests), NULL, NULL)

#define assert_str(s, text) do {						\
	struct weir_str got_ = (s), want_ = str_c(text);			\
										\
	if (!str_eq(got_, want_))						\
		fail_msg("\"%.*s\" instead of \"%s\"", STR_ARG(got_), (text));	\
} while (0)

#endif
