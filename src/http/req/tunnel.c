/*
 * tunnel.c - the client and another io are joined: WebSocket and every other Upgrade.
 */
#include "core/base/mem.h"
#include "core/io/relay.h"
#include "http/req/req.h"

enum { CAP = 65536 };

struct weir_tunnel {
	struct weir_relay relay;
	struct weir_req	*r;
	void		(*done)(struct weir_req *);
};

static void
end(struct weir_tunnel *t, bool whole)
{
	struct weir_req *r = t->r;

	r->body_sent = t->relay.ba.moved;
	r->body_whole = whole;
	r->joined = NULL;
	if (!whole)
		xchg_cancel(r->x, CANCEL_PEER);
	t->done(r);
	req_finish(r);
}

static void
on_end(struct weir_relay *relay, enum weir_relay_end how)
{
	struct weir_tunnel *t = relay->owner;

	if (how == RELAY_IDLE)
		log_info(&t->r->s.log, "nothing moved in the tunnel for %llu ms: closing",
		    (unsigned long long)relay->idle_ms);
	else if (how == RELAY_A_FAIL)
		log_info(&t->r->s.log, "client broke the tunnel");
	else if (how == RELAY_B_FAIL)
		log_info(&t->r->s.log, "upstream broke the tunnel");
	end(t, how == RELAY_EOF);
}

static void
on_client_gone(struct weir_req *r, const char *why, bool broken)
{
	if (!broken)
		return;		/* a half-close: the relay reads it in its turn */
	log_info(&r->s.log, "%s", why);
	relay_off(&r->joined->relay);
	end(r->joined, false);
}

enum weir_next
req_tunnel(struct weir_req *r, struct weir_io *other, uint64_t idle_ms,
    void (*done)(struct weir_req *))
{
	struct weir_tunnel *t = POOL_NEW(r->s.pool, weir_tunnel);

	req_head_ready(r);
	r->head_sent = r->tunnel = true;
	r->keepalive = false;
	t->r = r;
	t->done = done;
	t->relay.owner = t;
	t->relay.done = on_end;
	r->joined = t;
	r->on_client_gone = on_client_gone;
	if (xchg_head(r->x, &r->rsp, HEAD_TUNNEL) != WEIR_OK) {
		end(t, false);
		return WEIR_DONE;
	}
	relay_start(&t->relay, &r->x->io, other, CAP, idle_ms);
	return WEIR_DONE;
}
