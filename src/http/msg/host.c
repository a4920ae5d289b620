/*
 * host.c - the Host field and the authority of a target (RFC 3986, 3.2).
 *
 *	host = name | IPv4 | "[" IPv6 "]", then optionally ":" and a port
 *
 * A name is made of unreserved and sub-delims characters; no label but the
 * one behind a trailing dot may be empty.  Percent-encoding is refused:
 * nobody needs it in a name, and everybody decodes it differently.
 */
#include <arpa/inet.h>

#include "http/msg/chars.h"
#include "http/msg/msg.h"

enum { PORT_DIGITS = 5, IPV6_TEXT = 46 };

struct parts {
	size_t	 host;			/* length, without the trailing dot */
	size_t	 port;			/* where it begins, 0: there is none */
	bool	 upper;
};

/* ":", or ":" and a number from 1 to 65535; nothing at all. */
static bool
port_ok(struct weir_str s)
{
	unsigned v = 0;
	size_t	 i;

	if (s.n <= 1)
		return s.n == 0 || s.p[0] == ':';
	if (s.p[0] != ':' || s.n > 1 + PORT_DIGITS)
		return false;
	for (i = 1; i < s.n; i++) {
		if (!(ch(s.p[i]) & CH_DIGIT))
			return false;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	return v >= 1 && v <= UINT16_MAX;
}

/* The length of "[...]" with its brackets, 0 when it is no address. */
static size_t
ipv6(struct weir_str s, bool *upper)
{
	ssize_t		 end = str_chr(s, ']');
	char		 text[IPV6_TEXT];
	struct in6_addr	 a;
	size_t		 i, n;

	if (end < 0 || (size_t)end - 1 >= sizeof(text))
		return 0;
	n = (size_t)end - 1;
	for (i = 0; i < n; i++) {
		text[i] = s.p[i + 1];
		if (text[i] == '\0')
			return 0;
		*upper |= (ch(text[i]) & CH_UPPER) != 0;
	}
	text[n] = '\0';
	return inet_pton(AF_INET6, text, &a) == 1 ? n + 2 : 0;
}

/* The length of a name, 0 when it is none. */
static size_t
name(struct weir_str s, bool *upper)
{
	unsigned all = 0;
	bool	 label = false;
	size_t	 i;

	for (i = 0; i < s.n && s.p[i] != ':'; i++) {
		if (s.p[i] == '.') {
			if (!label)
				return 0;
			label = false;
			continue;
		}
		if (!(ch(s.p[i]) & CH_HOST))
			return 0;
		all |= ch(s.p[i]);
		label = true;
	}
	*upper = (all & CH_UPPER) != 0;
	return i;
}

/* Most requests name the host that the one before has named. */
static struct {
	char		 text[64];
	size_t		 n;
	struct parts	 parts;
} last;

static bool
split(struct weir_str s, struct parts *to)
{
	size_t n;

	if (s.n != 0 && s.n == last.n && memcmp(s.p, last.text, s.n) == 0) {
		*to = last.parts;
		return true;
	}
	to->upper = false;
	if (s.n == 0)
		return false;
	n = s.p[0] == '[' ? ipv6(s, &to->upper) : name(s, &to->upper);
	if (n == 0 || !port_ok(str_of(s.p + n, s.n - n)))
		return false;
	to->port = s.n - n > 1 ? n + 1 : 0;
	to->host = s.p[n - 1] == '.' ? n - 1 : n;
	if (s.n <= sizeof last.text) {
		memcpy(last.text, s.p, s.n);
		last.n = s.n;
		last.parts = *to;
	}
	return true;
}

bool
host_valid(struct weir_str s)
{
	struct parts parts;

	return split(s, &parts);
}

bool
host_parse(struct weir_pool *pool, struct weir_str s, struct weir_str *host, struct weir_str *port)
{
	struct parts parts;

	if (!split(s, &parts))
		return false;
	*host = str_of(s.p, parts.host);
	*port = parts.port != 0 ? str_of(s.p + parts.port, s.n - parts.port) : STR_NONE;
	if (parts.upper) {
		char *low = pool_bytes(pool, parts.host);

		str_lower(low, s.p, parts.host);
		host->p = low;
	}
	return true;
}
