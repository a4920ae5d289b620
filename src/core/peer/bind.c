/*
 * bind.c - the local address of connections to upstreams.
 */
#include <linux/capability.h>

#include "core/os/user.h"
#include "core/peer/bind.h"

/* An address that is not the machine's: workers do that long after they have given up being root. */
static int
need_transparent(struct weir_conf *cf, const struct weir_node *n)
{
	cf->keep_caps |= (uint64_t)1 << CAP_NET_RAW;
	if (user_may(CAP_NET_RAW))
		return WEIR_OK;
	return conf_warn(cf, n, 2, "needs the capability CAP_NET_RAW, which weir was started without: connecting from "
	    "addresses of others will fail");
}

int
bind_conf(struct weir_conf *cf, struct weir_node *n, struct weir_bind *to)
{
	struct weir_addr a;
	struct weir_str host;
	unsigned port;

	to->off = n->n == 2 && str_eq(n->w[1].s, STR("off"));
	if (to->off)
		return WEIR_OK;
	to->transparent = n->n == 3;
	if (n->n == 3 && !str_eq(n->w[2].s, STR("transparent")))
		return conf_error(cf, n, 2, "the only parameter is \"transparent\"");
	if (to->transparent && need_transparent(cf, n) != WEIR_OK)
		return WEIR_FAIL;
	if (str_chr(n->w[1].s, '$') < 0 && addr_parse_ip(n->w[1].s, &a) != WEIR_OK &&
	    addr_parse(cf->pool, n->w[1].s, 0, &a, &host, &port) != WEIR_OK)
		return conf_error(cf, n, 1, "invalid address \"%.*s\"", STR_ARG(n->w[1].s));
	return expr_field(cf, n, 1, &to->addr);
}

void
bind_choose(struct weir_sess *s, const struct weir_bind *b, struct weir_dial_opts *to)
{
	struct weir_str text, host;
	struct weir_addr *a;
	unsigned port = 0;

	if (!b->addr.set || b->off)
		return;
	text = expr_eval(s, &b->addr);
	if (text.n == 0)
		return;
	a = POOL_NEW(s->pool, weir_addr);
	if (addr_parse_ip(text, a) != WEIR_OK) {
		if (addr_parse(s->pool, text, 0, a, &host, &port) != WEIR_OK) {
			log_errorx(&s->log, "invalid local address \"%.*s\"", STR_ARG(text));
			return;
		}
		to->bind_port = addr_port(a) != 0;
	}
	to->bind = a;
	to->transparent = b->transparent;
}
