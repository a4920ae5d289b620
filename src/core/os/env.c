/*
 * env.c - the environment that the process keeps.
 */
#include <stdlib.h>
#include <unistd.h>

#include "core/os/env.h"

static bool
dangerous(struct weir_str entry)
{
	static const char *const words[] = { "LD_", "GLIBC_TUNABLES", "MALLOC_" };
	size_t i;

	for (i = 0; i < WEIR_COUNT(words); i++)
		if (str_begins(entry, str_c(words[i])))
			return true;
	return false;
}

void
env_keep(struct weir_pool *p, const char *const *entries, size_t n)
{
	char		**env = pool_zalloc(p, (n + 1) * sizeof(*env));
	size_t		  i, k = 0;
	const char	 *value;

	for (i = 0; i < n; i++) {
		struct weir_str e = str_c(entries[i]);

		if (dangerous(e))
			continue;
		if (str_chr(e, '=') >= 0)
			env[k++] = pool_cstr(p, e);
		else if ((value = getenv(entries[i])) != NULL)
			env[k++] = pool_cstr(p, pool_printf(p, "%s=%s", entries[i], value));
	}
	environ = env;
}
