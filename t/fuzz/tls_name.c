/* unit: src/core/tls/handshake.c */
/*
 * tls_name.c - any bytes as the extension that says which server is meant.
 *
 * A name is lower case, has no NUL, stands in the extension, and names the same when it is put into one again.
 */
#include <stdlib.h>

#include "core/tls/handshake.c"

static void
check(bool what)
{
	if (!what)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	unsigned char	again[NAME_MAX_ + 5];
	char		to[NAME_MAX_], second[NAME_MAX_];
	struct weir_str	s = name_of(p, n, to);

	if (s.n == 0)
		return 0;
	check(s.n <= NAME_MAX_ && s.n + 5 <= n && n <= s.n + 6);
	check(memchr(s.p, 0, s.n) == NULL && s.p[s.n - 1] != '\0');
	for (size_t i = 0; i < s.n; i++)
		check(s.p[i] < 'A' || s.p[i] > 'Z');
	again[0] = (unsigned char)((s.n + 3) >> 8);
	again[1] = (unsigned char)(s.n + 3);
	again[2] = 0;
	again[3] = (unsigned char)(s.n >> 8);
	again[4] = (unsigned char)s.n;
	memcpy(again + 5, s.p, s.n);
	s = name_of(again, s.n + 5, second);
	check(s.n != 0 ? memcmp(s.p, to, s.n) == 0 : to[0] == '.');
	return 0;
}
