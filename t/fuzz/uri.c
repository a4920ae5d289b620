/*
 * uri.c - any bytes as a target, as a host, and as text to escape.
 */
#include <stdlib.h>

#include "http/msg/msg.h"
#include "http/msg/uri.h"

static void
check(bool what)
{
	if (!what)
		abort();
}

/* A normal form has nothing left to be done to it. */
static void
check_path(struct weir_str p, bool merge)
{
	check(p.n > 0 && p.p[0] == '/');
	check(str_chr(p, '\0') < 0);
	check(!merge || str_find(p, STR("//")) < 0);
	check(str_find(p, STR("/./")) < 0 && str_find(p, STR("/../")) < 0);
	check(!str_ends(p, STR("/.")) && !str_ends(p, STR("/..")));
}

static void
try_target(struct weir_pool *pool, struct weir_str t, bool merge)
{
	struct weir_uri	 u, again;
	struct weir_str	 escaped;
	const char	*why = NULL;

	if (uri_parse(pool, t, merge, &u, &why) != WEIR_OK) {
		check(why != NULL);
		return;
	}
	check_path(u.path, merge);
	check(u.has_args == (str_chr(t, '?') >= 0));
	check(str_eq(u.args, u.has_args ? str_from(t, (size_t)str_chr(t, '?') + 1) : STR_NONE));
	check(!u.plain || u.path.p == t.p);
	check(str_find(t, STR("#")) < 0 && str_find(t, STR(" ")) < 0);

	/* What goes to an upstream reads as the same path there, and is no second line. */
	escaped = uri_escape(pool, u.path, ESCAPE_URI);
	check(str_chr(escaped, '\r') < 0 && str_chr(escaped, '\n') < 0 && str_chr(escaped, ' ') < 0);
	check(uri_parse(pool, escaped, merge, &again, &why) == WEIR_OK);
	check(str_eq(u.path, again.path) && !again.has_args);
}

static void
try_escapes(struct weir_pool *pool, struct weir_str s)
{
	struct weir_str	html = uri_escape(pool, s, ESCAPE_HTML), e;
	int		how;

	check(str_chr(html, '<') < 0 && str_chr(html, '>') < 0 && str_chr(html, '"') < 0);
	for (how = ESCAPE_URI; how <= ESCAPE_REDIRECT; how++) {
		if (how == ESCAPE_HTML)
			continue;
		e = uri_escape(pool, s, (enum weir_escape)how);
		check(str_chr(e, '\r') < 0 && str_chr(e, '\n') < 0 && str_chr(e, '\0') < 0);
		if (how != ESCAPE_REDIRECT)
			check(str_eq(uri_unescape(pool, e), s));
	}
	check(uri_unescape(pool, s).n <= s.n);
}

static void
try_host(struct weir_pool *pool, struct weir_str s)
{
	struct weir_str host, port, host2, port2;

	if (!host_parse(pool, s, &host, &port)) {
		check(!host_valid(s));
		return;
	}
	check(host_valid(s) && host.n > 0);
	check(port.n <= 5 && host.n + port.n <= s.n);
	check(host_parse(pool, host, &host2, &port2));
	check(str_eq(host, host2) && port2.n == 0);
	check(str_ibegins(s, host));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct weir_pool *pool = pool_new(0);
	struct weir_str	  s = str_of((const char *)data, n);

	try_target(pool, s, true);
	try_target(pool, s, false);
	try_escapes(pool, s);
	try_host(pool, s);
	pool_free(pool);
	return 0;
}
