/*
 * doh_conf.c - a server of DNS over HTTPS, as the directive says.
 */
#include "http/up/doh.h"

enum { HTTPS_PORT = 443, DEPTH = 5 };

#define SCHEME	"https://"
#define TEMPLATE "{?dns}"	/* for those who ask with GET (RFC 8484, 4.1); a POST leaves it out */

static bool
is_path(struct weir_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f || s.p[i] == '#')
			return false;
	return true;
}

/* "https://host:port/path" into its parts. */
static int
split(struct weir_conf *cf, const struct weir_doh_want *want, struct weir_doh *d)
{
	struct weir_str rest = str_from(d->url, strlen(SCHEME));
	ssize_t at = str_chr(rest, '/');

	d->authority = at < 0 ? rest : str_of(rest.p, (size_t)at);
	d->path = at < 0 ? STR("/dns-query") : str_from(rest, (size_t)at);
	if (str_ends(d->path, STR(TEMPLATE)))
		d->path.n -= strlen(TEMPLATE);
	if (d->authority.n == 0 || !host_valid(d->authority) || !is_path(d->path))
		return conf_error(cf, want->node, want->w, "invalid URL \"%.*s\"", STR_ARG(d->url));
	return WEIR_OK;
}

/* Where it is: as bootstrap= says, else as its host says. */
static int
locate(struct weir_conf *cf, const struct weir_doh_want *want, struct weir_doh *d)
{
	struct weir_addr *a = POOL_NEW(cf->pool, weir_addr);
	unsigned port = HTTPS_PORT;
	const char *err = NULL;
	char text[ADDR_TEXT_MAX];
	int rc = addr_parse(cf->pool, d->authority, HTTPS_PORT, a, &d->name, &port);

	if (rc == WEIR_OK && a->sa.sa_family != AF_UNIX && !addr_is_wild(a)) {
		d->name = pool_str(cf->pool, str_of(text, addr_put_ip(text, a)));
		port = addr_port(a);
		d->addrs = a;
		d->n_addrs = 1;
	} else if (rc != WEIR_AGAIN) {
		return conf_error(cf, want->node, want->w, "invalid URL \"%.*s\"", STR_ARG(d->url));
	}
	if (want->n_addrs != 0) {
		d->addrs = want->addrs;
		d->n_addrs = want->n_addrs;
	} else if (d->addrs == NULL) {
		d->addrs = addr_lookup(cf->pool, d->name, port, &d->n_addrs, &err);
	}
	if (d->addrs == NULL || d->n_addrs == 0)
		return conf_error(cf, want->node, want->w, "host not found in resolver \"%.*s\"%s%s: say its address with "
		    "\"bootstrap=\"", STR_ARG(d->url), err != NULL ? ": " : "", err != NULL ? err : "");
	for (unsigned i = 0; i < d->n_addrs; i++)
		addr_set_port(&d->addrs[i], port);
	return WEIR_OK;
}

struct weir_doh *
doh_make(struct weir_conf *cf, const struct weir_doh_want *want)
{
	struct weir_doh *d = POOL_NEW(cf->pool, weir_doh);
	struct weir_tls_opts o = { .protocols = TLS_V1_2 | TLS_V1_3, .depth = DEPTH,
		.verify = want->verify ? VERIFY_ON : VERIFY_OFF };

	d->url = want->node->w[want->w].s;
	d->verify = want->verify;
	if (split(cf, want, d) != WEIR_OK || locate(cf, want, d) != WEIR_OK)
		return NULL;
	if (want->trusted_w != 0)
		o.trusted = (struct weir_tls_word){ .node = want->node, .w = want->trusted_w,
		    .s = conf_path(cf, want->trusted, true) };
	d->ctx = tls_client_ctx(cf, want->node, &o);
	return d->ctx != NULL ? d : NULL;
}
