/*
 * option.h - NAME=VALUE among the arguments of the programs that tests build.
 */
#ifndef WEIR_TEST_OPTION_H
#define WEIR_TEST_OPTION_H

#include <string.h>

/* The value of the first, or else `or`. */
static const char *
option(char **a, const char *name, const char *or)
{
	size_t n = strlen(name);

	for (; *a != NULL; a++)
		if (strncmp(*a, name, n) == 0 && (*a)[n] == '=')
			return *a + n + 1;
	return or;
}

#endif
