/*
 * connect.c - a connection to the upstream: one that is kept or being made, or a new one, with TLS where it is wanted.
 *
 *	up_connect -> (a link that others made | wait for one | dial -> [TLS] -> a link of its own)
 *
 * It ends in up_use_link(), up_join_bare() or up_failed().
 */
#include "core/peer/tls_conf.h"
#include "http/h1/h1.h"
#include "http/h2/h2.h"
#include "http/up/up.h"

static void on_waited(struct weir_dials_wait *);	/* the cycle: connect_peer -> on_waited -> connect_peer */

/* Does the upstream see a certificate that was chosen for this request? */
static bool
shows(const struct weir_up *u)
{
	return u->secure && u->tls.shown != NULL;
}

/* May others use the connections of this request, and this request theirs? */
bool
up_shares(const struct weir_up *u)
{
	return u->dial_opts.bind == NULL && !shows(u);
}

const struct weir_codec *
up_codec(const struct weir_up_params *p)
{
	return p->http_version >= 0x200 ? &h2_client_codec : &h1_codec;
}

static void
make_link(struct weir_up *u, struct weir_conn *c, uint64_t kind)
{
	const struct weir_codec *codec = up_codec(u->p);
	struct weir_link *link = codec->link(c);

	if (link == NULL) {
		up_failed(u, UP_ERROR, "no memory for a connection to the upstream");
		return;
	}
	link->kind = kind;
	link->trusted = u->pick.group->keepalive_said;
	if (codec->many && up_shares(u))
		links_share(link, u->pick.group);
	if (u->joint != NULL)
		dials_end(&u->joint->making, DIALS_DONE, NULL);
	up_use_link(u, link);
}

/* What TLS with this peer is like.  False: it cannot be, and that was logged. */
static bool
secure_how(struct weir_up *u)
{
	u->tls = (struct weir_tls_connect){ .alpn = up_codec(u->p)->alpn, .log = &u->r->s.log,
	    .timeout_ms = u->p->connect_ms };
	if (!peer_tls(&u->r->s, u->p->tls, u->pick.peer, u->host, &u->tls))
		return false;
	if (u->pick.group->brief)
		u->tls.sessions = NULL;
	return true;
}

/* Our own certificate is not there: no other peer would be better off. */
static void
no_key(struct weir_up *u)
{
	up_let_go(u, WENT_NOWHERE);
	up_give_up(u, 500);
}

static void
on_secured(struct weir_conn *c, enum weir_tls_end how)
{
	struct weir_up *u = c->owner;

	u->securing = NULL;
	if (how != TLS_OK) {
		conn_abort(c);
		if (how == TLS_NO_KEY)
			no_key(u);
		else if (how == TLS_TIMEOUT)
			up_failed(u, UP_TIMEOUT, "upstream timed out (110: Connection timed out)");
		else
			up_failed(u, UP_ERROR, NULL);	/* why was said */
		return;
	}
	if (up_codec(u->p) == &h2_client_codec && !str_eq(tls_alpn(c), STR("h2"))) {
		conn_abort(c);
		up_failed(u, UP_ERROR, "upstream does not speak HTTP/2: it did not choose \"h2\" by ALPN");
		return;
	}
	make_link(u, c, peer_tls_kind(&u->tls));
}

static void
secure(struct weir_up *u, struct weir_conn *c)
{
	req_doing(u->r, "SSL handshaking to upstream");
	u->tls.done = on_secured;
	c->owner = u;
	u->securing = c;
	tls_connect(c, &u->tls);
}

void
up_dialled(struct weir_up *u, struct weir_conn *c, int err, bool other)
{
	if (c == NULL) {
		errno = err;
		if (err == ETIMEDOUT)
			up_failed(u, UP_TIMEOUT, "upstream timed out (110: Connection timed out)");
		else
			up_failed(u, UP_ERROR, pool_cstr(u->r->s.pool, pool_printf(u->r->s.pool,
			    "connect() failed (%d: %s)", err, strerror(err))));
		return;
	}
	if (u->secure && other && !secure_how(u)) {
		conn_close(c);
		no_key(u);
		return;
	}
	if (u->p->tunnel)
		up_join_bare(u, c);
	else if (u->secure)
		secure(u, c);
	else
		make_link(u, c, 0);
}

static void
on_dialled(struct weir_dial *d, struct weir_conn *c, int err)
{
	struct weir_up *u = WEIR_OF(d, struct weir_up, dial);

	u->dialling = false;
	up_dialled(u, c, err, false);
}

/*
 * What cannot be repeated does not go by a link whose end has come already but is not known yet: the notice may
 * wait behind the request in the same turn.
 */
static struct weir_link *
take_link(struct weir_up *u, const struct weir_links_want *want)
{
	struct weir_link *link = links_take(u->pick.group, u->pick.peer, want);

	if (link == NULL || want->codec->many || up_can_replay(u))
		return link;
	while (link != NULL && !conn_quiet_now(link->conn)) {
		links_return(link, u->pick.group, u->pick.peer, false);
		link = links_take(u->pick.group, u->pick.peer, want);
	}
	return link;
}

/* A link that others made; or, of a codec with many, one that is being made, for which this waits then. */
static bool
finds_link(struct weir_up *u)
{
	struct weir_links_want want = { .codec = up_codec(u->p), .most = (unsigned)u->p->http2_streams,
		.kind = u->secure ? peer_tls_kind(&u->tls) : 0, .fresh_ms = u->fresh_ms,
		.preface = u->dial_opts.preface };
	struct weir_link *link = up_shares(u) && !u->own_link ? take_link(u, &want) : NULL;

	u->reused = link != NULL;
	if (link != NULL) {
		up_use_link(u, link);
		return true;
	}
	if (!want.codec->many || !up_shares(u) || u->own_link || u->pick.group->brief || u->pick.group->keepalive == 0)
		return false;
	if (u->joint == NULL)
		u->joint = POOL_NEW(u->r->s.pool, weir_up_joint);
	u->joint->up = u;
	u->joint->wait.done = on_waited;
	if (dials_wait(&u->joint->wait, u->pick.group, u->pick.peer, &want)) {
		timer_set(&u->timer, u->p->connect_ms);
		return true;
	}
	dials_begin(&u->joint->making, u->pick.group, u->pick.peer, &want);
	return false;
}

static void
connect_peer(struct weir_up *u)
{
	if (!u->p->tunnel && finds_link(u))
		return;
	if (up_race(u))
		return;
	u->dialling = true;
	u->dial.done = on_dialled;
	dial_start(&u->dial, &u->pick.peer->addr, &u->dial_opts);
}

/* The link that another request was making is there, or not. */
static void
on_waited(struct weir_dials_wait *w)
{
	struct weir_up *u = WEIR_OF(w, struct weir_up_joint, wait)->up;

	timer_off(&u->timer);
	switch (w->how) {
	case DIALS_TIMEOUT:
		up_failed(u, UP_TIMEOUT, w->why[0] != '\0' ? w->why : NULL);
		break;
	case DIALS_FAILED:
		up_failed(u, UP_ERROR, w->why[0] != '\0' ? w->why : NULL);
		break;
	default:
		connect_peer(u);
	}
}

void
up_connect(struct weir_up *u)
{
	if (u->secure && !secure_how(u))
		no_key(u);
	else
		connect_peer(u);
}

bool
up_connect_how(struct weir_up *u)
{
	u->dial_opts.timeout_ms = u->p->connect_ms;
	u->dial_opts.keepalive = u->p->socket_keepalive;
	u->dial_opts.rcvbuf = (int)u->p->rcvbuf;
	u->dial_opts.sndbuf = (int)u->p->sndbuf;
	bind_choose(&u->r->s, &u->p->bind, &u->dial_opts);
	if (u->p->preface.version == 0)
		return true;	/* it would ask the kernel where the client came to */
	return preface_make(&u->r->s, &u->p->preface, false, &u->dial_opts.preface) == WEIR_OK;
}
