/*
 * doh_conn.c - connections to servers of DNS over HTTPS.
 *
 * One at a time is made, to the address that worked last, or to the next when it does not any more.
 */
#include "core/base/clock.h"
#include "core/proc/cycle.h"
#include "http/h1/h1.h"
#include "http/h2/h2.h"
#include "http/up/doh.h"

static void dial(struct weir_doh *);	/* the cycle: dial -> lost -> dial */

/* ---- kept ---- */

static void
drop(struct weir_doh *d, struct weir_link *l)
{
	list_remove(&l->node);
	d->n_links--;
	l->on_state = NULL;
	l->keeper = NULL;
	l->codec->end(l);
}

/* An idle one said something, or the server has closed it. */
static void
on_state(struct weir_link *l)
{
	struct weir_doh *d = l->keeper;

	if (l->state == LINK_DEAD)
		drop(d, l);
}

static bool
is_idle(const struct weir_link *l)
{
	return l->state == LINK_IDLE && l->open == 0;
}

static void
on_idle(struct weir_timer *t)
{
	struct weir_doh *d = WEIR_OF(t, struct weir_doh, idle);
	struct weir_list *at, *next;
	bool any = false;

	list_each_safe(at, next, &d->links) {
		struct weir_link *l = WEIR_OF(at, struct weir_link, node);

		if (is_idle(l) && weir_now_ms - l->idle_since_ms >= DOH_IDLE_MS)
			drop(d, l);
		else
			any = true;
	}
	if (any)
		timer_set(&d->idle, DOH_IDLE_MS);
}

void
doh_link_return(struct weir_doh *d, struct weir_link *l)
{
	doh_go_on(d);
	if (l->open != 0)
		return;
	if (l->state != LINK_IDLE || weir_retiring) {
		drop(d, l);
		return;
	}
	l->on_state = on_state;
	l->idle_since_ms = weir_now_ms;
	if (d->idle.at == 0)
		timer_set(&d->idle, DOH_IDLE_MS);
}

void
doh_links_end(struct weir_doh *d)
{
	struct weir_list *at, *next;

	list_each_safe(at, next, &d->links) {
		struct weir_link *l = WEIR_OF(at, struct weir_link, node);

		if (is_idle(l))
			drop(d, l);
	}
	timer_off(&d->idle);
	tls_sessions_free(&d->sessions);
}

/* ---- made ---- */

static void
lost(struct weir_doh *d, const char *why)
{
	d->addr = (d->addr + 1) % d->n_addrs;
	if (++d->tried < d->n_addrs)
		dial(d);
	else
		doh_no_link(d, why);
}

static void
on_secured(struct weir_conn *c, enum weir_tls_end how)
{
	struct weir_doh *d = c->owner;
	const struct weir_codec *codec = str_eq(tls_alpn(c), STR("h2")) ? &h2_client_codec : &h1_codec;
	struct weir_link *l;

	d->securing = NULL;
	if (how != TLS_OK) {
		conn_abort(c);
		lost(d, how == TLS_TIMEOUT ? "the TLS handshake timed out" : "the TLS handshake failed");
		return;
	}
	l = codec->link(c);
	if (l == NULL) {
		doh_no_link(d, "no memory for a connection");
		return;
	}
	l->keeper = d;
	list_push(&d->links, &l->node);
	d->n_links++;
	doh_go_on(d);
}

static void
on_dialled(struct weir_dial *dial, struct weir_conn *c, int err)
{
	struct weir_doh *d = WEIR_OF(dial, struct weir_doh, dial);

	d->dialling = false;
	if (c == NULL) {
		lost(d, strerror(err));
		return;
	}
	c->owner = d;
	d->securing = c;
	tls_connect(c, &(struct weir_tls_connect){ .ctx = d->ctx, .name = d->name, .sni = true, .verify = d->verify,
	    .alpns = STR("\x02h2\x08http/1.1"), .sessions = &d->sessions, .log = weir_log, .timeout_ms = DOH_CONNECT_MS,
	    .done = on_secured });
}

static void
dial(struct weir_doh *d)
{
	struct weir_dial_opts how = { .timeout_ms = DOH_CONNECT_MS };

	d->dialling = true;
	d->dial.done = on_dialled;
	dial_start(&d->dial, &d->addrs[d->addr], &how);
}

/* Has the server said that it takes no more on this one?  Then nothing is lost with it. */
static bool
is_spent(const struct weir_link *l)
{
	return l->codec->many && l->open == 0 && l->room == 0;
}

static bool
has_room(const struct weir_link *l)
{
	return l->codec->many ? l->state != LINK_DEAD && l->room != 0 : l->state == LINK_IDLE;
}

struct weir_link *
doh_link(struct weir_doh *d)
{
	struct weir_list *at, *next;

	list_each_safe(at, next, &d->links) {
		struct weir_link *l = WEIR_OF(at, struct weir_link, node);

		if (has_room(l)) {
			l->on_state = NULL;
			return l;
		}
		if (is_spent(l))
			drop(d, l);
	}
	if (!d->dialling && d->securing == NULL && d->n_links < DOH_LINKS_MAX) {
		d->tried = 0;
		dial(d);
	}
	return NULL;
}

void
doh_conn_begin(struct weir_doh *d)
{
	list_init(&d->links);
	timer_init(&d->idle, on_idle);
}
