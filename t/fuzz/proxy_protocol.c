/*
 * proxy_protocol.c - any bytes as the begin of a connection.
 *
 * Bytes behind the header change nothing, no part of it is taken for all of it, and what was taken can be asked for
 * everything.
 */
#include <stdlib.h>

#include "core/net/proxy_protocol.h"

static void
check(bool what)
{
	if (!what)
		abort();
}

static void
ask(const struct weir_proxied *p, struct weir_pool *pool)
{
	static const char *const names[] = {
		"alpn", "authority", "unique_id", "ssl", "netns", "ssl_version", "ssl_cn", "ssl_cipher",
		"ssl_sig_alg", "ssl_key_alg", "ssl_verify", "0x04", "0xff", "ssl_0x21", "x", "ssl_", "0x",
	};
	struct weir_str	value;
	char		text[ADDR_TEXT_MAX];

	check(p->src.sa.sa_family == AF_INET || p->src.sa.sa_family == AF_INET6);
	check(p->src.sa.sa_family == p->dst.sa.sa_family);
	check(addr_put(text, &p->src) < sizeof(text) && addr_put(text, &p->dst) < sizeof(text));
	for (unsigned i = 0; i < WEIR_COUNT(names); i++)
		if (proxied_tlv(p, pool, str_c(names[i]), &value) == WEIR_OK)
			check(value.n <= WEIR_MAX(p->tlvs.n, 10u));
}

static void
check_parts(const char *p, size_t n, ssize_t whole)
{
	struct weir_proxied part;
	const char	*why;

	for (size_t i = 0; i < n && i < 300; i++) {
		ssize_t rc = proxy_parse(p, i, &part, &why);

		if (whole > 0)
			check(i < (size_t)whole ? rc == WEIR_AGAIN : rc == whole);
		else if (whole == WEIR_AGAIN)
			check(rc == WEIR_AGAIN);
	}
}

/* What was read can be written, and says the same. */
static void
write_again(const struct weir_proxied *p)
{
	struct weir_proxy_say say = { .datagram = p->datagram, .src = &p->src, .dst = &p->dst };
	struct weir_proxied again;
	char		to[PROXY_V2_MAX];
	const char	*why;

	for (say.version = p->datagram ? 2 : 1; say.version <= 2; say.version++) {
		ssize_t n = proxy_write(to, &say);

		check(n > 0 && proxy_parse(to, (size_t)n, &again, &why) == n);
		check(again.known && again.datagram == p->datagram);
		check(addr_eq(&again.src, &p->src) && addr_eq(&again.dst, &p->dst));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char	*p = (const char *)data, *why = NULL;
	struct weir_proxied to, *kept;
	struct weir_pool *pool;
	ssize_t		 rc = proxy_parse(p, n, &to, &why);

	check(rc > 0 || rc == WEIR_AGAIN || rc == WEIR_FAIL);
	check(rc != WEIR_FAIL || why != NULL);
	check(rc != WEIR_AGAIN || n < PROXY_V2_MAX);
	check(rc < 0 || ((size_t)rc <= n && (size_t)rc <= PROXY_V2_MAX));
	check_parts(p, n, rc);
	if (rc < 0 || !to.known)
		return 0;
	pool = pool_new(0);
	kept = proxied_keep(&to);
	ask(kept, pool);
	proxied_free(kept);
	write_again(&to);
	pool_free(pool);
	return 0;
}
