/*
 * addr.c - addresses to and from text and the kernel's form.
 */
#include <arpa/inet.h>
#include <netdb.h>

#include "core/base/num.h"
#include "core/net/addr.h"

socklen_t
addr_to_kernel(const struct weir_addr *a, union weir_sockaddr *to)
{
	size_t n;

	memset(to, 0, sizeof(*to));
	switch (a->sa.sa_family) {
	case AF_INET:
		to->in = a->in;
		return sizeof(to->in);
	case AF_INET6:
		to->in6 = a->in6;
		return sizeof(to->in6);
	case AF_UNIX:
		n = strlen(a->path);
		assert(n < sizeof(to->un.sun_path));
		to->un.sun_family = AF_UNIX;
		memcpy(to->un.sun_path, a->path, n + 1);
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	}
	return 0;
}

void
addr_from_kernel(struct weir_addr *a, const union weir_sockaddr *from, socklen_t n,
    struct weir_pool *pool)
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);

	memset(a, 0, sizeof(*a));
	if (n < sizeof(sa_family_t))
		return;
	switch (from->sa.sa_family) {
	case AF_INET:
		a->in = from->in;
		memset(a->in.sin_zero, 0, sizeof(a->in.sin_zero));
		break;
	case AF_INET6:
		a->in6 = from->in6;
		break;
	default:
		a->sa.sa_family = from->sa.sa_family;
		a->path = "";
		/* Bound to a file only when the first byte is not 0; the kernel may leave the last out. */
		if (pool != NULL && n > head && from->un.sun_path[0] != '\0')
			a->path = pool_cstr(pool, str_of(from->un.sun_path,
			    strnlen(from->un.sun_path, n - head)));
	}
}

int
addr_parse_ip(struct weir_str s, struct weir_addr *to)
{
	char		 text[INET6_ADDRSTRLEN];
	struct weir_addr a;

	memset(&a, 0, sizeof(a));
	if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
		s = str_of(s.p + 1, s.n - 2);
		if (str_chr(s, ':') < 0)
			return WEIR_FAIL;
	}
	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n) != NULL)
		return WEIR_FAIL;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1)
		a.sa.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) == 1)
		a.sa.sa_family = AF_INET6;
	else
		return WEIR_FAIL;
	*to = a;
	return WEIR_OK;
}

static int
parse_unix(struct weir_pool *pool, struct weir_str path, struct weir_addr *to)
{
	struct sockaddr_un un;

	if (path.n == 0 || path.n >= sizeof(un.sun_path) || memchr(path.p, '\0', path.n) != NULL)
		return WEIR_FAIL;
	memset(to, 0, sizeof(*to));
	to->sa.sa_family = AF_UNIX;
	to->path = pool_cstr(pool, path);
	return WEIR_OK;
}

static int
parse_port(struct weir_str s, unsigned *port)
{
	uint64_t n;

	if (num_u64(s, &n) != WEIR_OK || n == 0 || n > 65535)
		return WEIR_FAIL;
	*port = (unsigned)n;
	return WEIR_OK;
}

/* Cuts "host:port", "[v6]:port" and either half alone; a bare number is a port. */
static int
split(struct weir_str s, struct weir_str *host, unsigned *port)
{
	ssize_t at;

	if (s.n > 0 && s.p[0] == '[') {
		if ((at = str_chr(s, ']')) < 0)
			return WEIR_FAIL;
		*host = str_of(s.p, (size_t)at + 1);
		s = str_from(s, (size_t)at + 1);
		if (s.n == 0)
			return WEIR_OK;
		return s.p[0] == ':' ? parse_port(str_from(s, 1), port) : WEIR_FAIL;
	}
	if ((at = str_rchr(s, ':')) >= 0) {
		*host = str_of(s.p, (size_t)at);
		return parse_port(str_from(s, (size_t)at + 1), port);
	}
	*host = s;
	if (parse_port(s, port) == WEIR_OK)
		*host = STR_NONE;
	return WEIR_OK;
}

int
addr_parse_ip_port(struct weir_str s, struct weir_addr *to)
{
	struct weir_addr a;
	struct weir_str	 host;
	unsigned	 port = 0;

	if (addr_parse_ip(s, to) == WEIR_OK)
		return WEIR_OK;
	if (split(s, &host, &port) != WEIR_OK || addr_parse_ip(host, &a) != WEIR_OK)
		return WEIR_FAIL;
	if (a.sa.sa_family == AF_INET6 && host.p[0] != '[')
		return WEIR_FAIL;	/* where would its port begin? */
	addr_set_port(&a, port);
	*to = a;
	return WEIR_OK;
}

/* What may stand in a host name; the rest is told apart by the resolver. */
static bool
is_name(struct weir_str s)
{
	size_t i;

	if (s.n == 0 || s.n > 253)
		return false;
	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= 0x20 || c == 0x7f || strchr(":/[]*?#@\\\"'", c) != NULL)
			return false;
	}
	return true;
}

int
addr_parse(struct weir_pool *pool, struct weir_str s, unsigned port, struct weir_addr *to,
    struct weir_str *host_out, unsigned *port_out)
{
	struct weir_str host;

	if (str_begins(s, STR("unix:")))
		return parse_unix(pool, str_from(s, 5), to);
	if (s.n == 0 || split(s, &host, &port) != WEIR_OK || port == 0)
		return WEIR_FAIL;
	if (host.n == 0 || str_eq(host, STR("*"))) {
		memset(to, 0, sizeof(*to));
		to->in.sin_family = AF_INET;
	} else if (addr_parse_ip(host, to) != WEIR_OK) {
		if (!is_name(host))
			return WEIR_FAIL;
		if (host_out != NULL)
			*host_out = host;
		if (port_out != NULL)
			*port_out = port;
		return WEIR_AGAIN;
	} else if (to->sa.sa_family == AF_INET6 && host.p[0] != '[')
		return WEIR_FAIL;	/* where would its port begin? */
	addr_set_port(to, port);
	return WEIR_OK;
}

bool
addr_lacks_port(struct weir_pool *pool, struct weir_str s)
{
	struct weir_addr a;

	return addr_parse(pool, s, 0, &a, NULL, NULL) == WEIR_FAIL && addr_parse(pool, s, 1, &a, NULL, NULL) != WEIR_FAIL;
}

struct weir_addr *
addr_lookup(struct weir_pool *pool, struct weir_str host, unsigned port, unsigned *n,
    const char **err)
{
	struct addrinfo	 hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo	*found, *at;
	struct weir_addr *list;
	int		 rc;

	*n = 0;
	rc = getaddrinfo(pool_cstr(pool, host), NULL, &hints, &found);
	if (rc != 0) {
		*err = rc == EAI_NONAME ? "host not found" : gai_strerror(rc);
		return NULL;
	}
	for (at = found; at != NULL; at = at->ai_next)
		(*n)++;
	list = pool_zalloc(pool, *n * sizeof(*list));
	*n = 0;
	for (at = found; at != NULL; at = at->ai_next) {
		union weir_sockaddr sa;

		if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
			continue;
		memcpy(&sa, at->ai_addr, at->ai_addrlen);
		addr_from_kernel(&list[*n], &sa, at->ai_addrlen, NULL);
		addr_set_port(&list[(*n)++], port);
	}
	freeaddrinfo(found);
	if (*n == 0) {
		*err = "host not found";
		return NULL;
	}
	return list;
}

unsigned
addr_port(const struct weir_addr *a)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		return ntohs(a->in.sin_port);
	case AF_INET6:
		return ntohs(a->in6.sin6_port);
	}
	return 0;
}

void
addr_set_port(struct weir_addr *a, unsigned port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons((uint16_t)port);
	else if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons((uint16_t)port);
}

bool
addr_is_wild(const struct weir_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == htonl(INADDR_ANY);
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

bool
addr_eq(const struct weir_addr *a, const struct weir_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family || addr_port(a) != addr_port(b))
		return false;
	if (a->sa.sa_family == AF_INET6 && a->in6.sin6_scope_id != b->in6.sin6_scope_id)
		return false;
	return str_eq(addr_bytes(a), addr_bytes(b));
}

/* What inet_ntop(3) does with the help of printf; this is written with every log line. */
static size_t
put_ipv4(char *to, const struct in_addr *in)
{
	const unsigned char	*b = (const unsigned char *)in;
	char			*at = to;

	for (int i = 0; i < 4; i++) {
		if (i > 0)
			*at++ = '.';
		at = num_put(at, b[i]);
	}
	return (size_t)(at - to);
}

size_t
addr_put_ip(char *to, const struct weir_addr *a)
{
	size_t n;

	switch (a->sa.sa_family) {
	case AF_INET:
		return put_ipv4(to, &a->in.sin_addr);
	case AF_INET6:
		inet_ntop(AF_INET6, &a->in6.sin6_addr, to, INET6_ADDRSTRLEN);
		return strlen(to);
	}
	n = strlen(a->path != NULL ? a->path : "");
	memcpy(to, "unix:", 5);
	if (n > 0)
		memcpy(to + 5, a->path, n);
	return 5 + n;
}

size_t
addr_put(char *to, const struct weir_addr *a)
{
	char *at = to;

	if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6)
		return addr_put_ip(to, a);
	if (a->sa.sa_family == AF_INET6)
		*at++ = '[';
	at += addr_put_ip(at, a);
	if (a->sa.sa_family == AF_INET6)
		*at++ = ']';
	*at++ = ':';
	return (size_t)(num_put(at, addr_port(a)) - to);
}

struct weir_str
addr_bytes(const struct weir_addr *a)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		return str_of((const char *)&a->in.sin_addr, sizeof(a->in.sin_addr));
	case AF_INET6:
		return str_of((const char *)&a->in6.sin6_addr, sizeof(a->in6.sin6_addr));
	}
	return str_c(a->path);
}
