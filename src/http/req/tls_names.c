/*
 * tls_names.c - names of certificates that have variables: they are asked of a request that is empty but for its
 * connection and its server.
 */
#include "http/req/core.h"
#include "http/req/req.h"
#include "http/req/steps.h"

static struct weir_sess *
make(struct weir_conn *c, void *owner, struct weir_pool *pool)
{
	struct weir_xchg *x = POOL_NEW(pool, weir_xchg);
	struct weir_req *r;

	x->magic = WEIR_XCHG_MAGIC;
	x->version = 0x101;
	x->conn = c;
	x->pool = pool;
	r = req_make(x);
	req_count--;		/* nobody waits for it */
	r->server = owner;
	r->s.conf = r->server->conf;
	return &r->s;
}

int
tls_names_conf(struct weir_conf *cf, struct weir_http_server *server)
{
	return site_tls_names(cf, server->scope, make);
}
