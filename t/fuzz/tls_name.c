/*
 * tls_name.c - any bytes as the extension that says which server is meant.
 *
 * A name is lower case, has no NUL, stands in the extension, and names the same when it is put into one again.
 */
#include <stdlib.h>

#include "core/tls/hello.h"

static void
check(bool what)
{
	if (!what)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char		again[HELLO_NAME_MAX + 5], to[HELLO_NAME_MAX], second[HELLO_NAME_MAX];
	uint8_t		len, more;

	if (hello_read_name(str_of((const char *)p, n), to, &len) != WEIR_OK) {
		check(len == 0);
		return 0;
	}
	check(len + 5u <= n && n <= len + 6u && memchr(to, 0, len) == NULL);
	for (size_t i = 0; i < len; i++)
		check(to[i] < 'A' || to[i] > 'Z');
	again[0] = (char)((len + 3) >> 8);
	again[1] = (char)(len + 3);
	again[2] = again[3] = 0;
	again[4] = (char)len;
	memcpy(again + 5, to, len);
	if (hello_read_name(str_of(again, len + 5u), second, &more) == WEIR_OK)
		check(memcmp(second, to, more) == 0 && (more == len || to[more] == '.'));
	else
		check(len == 0);
	return 0;
}
