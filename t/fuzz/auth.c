/*
 * auth.c - any bytes as a file of users, and as credentials.
 */
#include <stdlib.h>

#include "core/base/base64.h"
#include "core/sess/passwd.h"
#include "core/sess/users.h"
#include "http/req/basic.h"

static void
check(bool what)
{
	if (!what)
		abort();
}

static bool
lies_in(struct weir_str part, struct weir_str whole)
{
	return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

static void
try_users(struct weir_str text)
{
	struct weir_str	rest = text, before = rest, name, stored;

	while (users_next(&rest, &name, &stored)) {
		check(rest.n < before.n);
		before = rest;
		check(lies_in(name, text) && lies_in(stored, text));
		check(name.n > 0 && name.p[0] != '#');
		check(str_chr(name, ':') < 0 && str_chr(name, '\n') < 0);
		check(stored.p == name.p + name.n + 1);
		check(str_chr(stored, ':') < 0 && str_chr(stored, '\n') < 0 && str_chr(stored, '\r') < 0);
		/* One that is compared at once says so by its first letter. */
		check((passwd_cost(stored) == 0) == (str_begins(stored, STR("{PLAIN}")) ||
		    str_begins(stored, STR("{SHA}")) || str_begins(stored, STR("{SSHA}"))));
	}
	check(rest.n == 0);
}

static void
try_basic(struct weir_str value)
{
	char		*room = malloc(BASE64_ROOM(value.n));
	struct weir_str	 user, pass, all = str_of(room, BASE64_ROOM(value.n));

	check(room != NULL);
	if (basic_read(value, room, &user, &pass) == WEIR_OK) {
		check(lies_in(user, all) && lies_in(pass, all));
		check(user.n > 0 && str_chr(user, ':') < 0);
		check(pass.p == user.p + user.n + 1);
		check(user.n + 1 + pass.n <= value.n / 4 * 3);
	}
	free(room);
}

/* Both alphabets, in place too. */
static void
try_base64(struct weir_str s)
{
	char	*to = malloc(BASE64_ROOM(s.n)), *same = malloc(BASE64_ROOM(s.n) + s.n);
	ssize_t	 n, m;
	int	 url;

	check(to != NULL && same != NULL);
	for (url = 0; url < 2; url++) {
		n = base64_read(to, s, url);
		check(n <= (ssize_t)(s.n - s.n / 4));
		if (s.n != 0)
			memcpy(same, s.p, s.n);
		m = base64_read(same, str_of(same, s.n), url);
		check(n == m && (n <= 0 || memcmp(to, same, (size_t)n) == 0));
	}
	free(to);
	free(same);
}

int LLVMFuzzerTestOneInput(const unsigned char *, size_t);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
	struct weir_str s = str_of((const char *)data, n);

	try_users(s);
	try_basic(s);
	try_base64(s);
	return 0;
}
