/*
 * race.c - a name with several addresses: whichever takes the connection first (RFC 8305).
 *
 * This is for groups that are one name: of a ..._pass that names it, or of variables.  In an upstream block each
 * address is a server of its own, and the balancer says who is asked.
 *
 * The race is one attempt.  Whoever failed in it becomes an attempt of its own in front, as if it had been tried by
 * itself; who was only slower has not been tried.
 */
#include "core/net/race.h"
#include "http/up/up.h"

struct weir_up_race {
	struct weir_race race;
	struct weir_up	*up;
	struct weir_peer *peers[RACE_MOST];	/* in the order of the race */
};

/* The server at hand, and those that could be tried after it. */
static unsigned
gather(const struct weir_up *u, struct weir_peer **to)
{
	const struct weir_group *g = u->pick.group;
	unsigned first = u->pick.peer->number, most = RACE_MOST, n = 1;

	if (u->p->next_tries != 0)
		most = (unsigned)WEIR_MIN(u->p->next_tries - WEIR_MIN(u->p->next_tries - 1, (uint64_t)u->tries - 1),
		    (uint64_t)most);
	to[0] = u->pick.peer;
	for (unsigned i = 1; i < g->n && n < most; i++) {
		unsigned at = (first + i) % g->n;

		if (!pick_cannot(&u->pick, at))
			to[n++] = &g->peers[at];
	}
	return n;
}

/* What happens is about this peer. */
static void
turn_to(struct weir_up *u, struct weir_peer *peer)
{
	bool first = u->pick.peer != NULL;

	if (u->pick.peer == peer)
		return;
	pick_swap(&u->pick, peer);
	if (first)
		up_attempt_at(u, peer);
	else
		up_attempt_begin(u, peer);
}

static void
has_failed(struct weir_up *u, struct weir_peer *peer, int err)
{
	turn_to(u, peer);
	log_errorx(&u->r->s.log, "connect() failed (%d: %s), another address is tried", err, strerror(err));
	count_failed(u->pick.group, err == ETIMEDOUT ? GROUP_TIMEOUT : GROUP_ERROR);
	up_attempt(u)->status = err == ETIMEDOUT ? 504 : 502;
	up_attempt_end(u);
	pick_done(&u->pick, WENT_BADLY);
}

static void
on_raced(struct weir_race *race, struct weir_conn *c, unsigned which)
{
	struct weir_up_race *ur = WEIR_OF(race, struct weir_up_race, race);
	struct weir_up *u = ur->up;
	struct weir_peer *had = u->pick.peer;

	u->racing = false;
	for (unsigned i = 0; i < race->begun; i++)
		if (race->racers[i].err != 0 && i != which)
			has_failed(u, ur->peers[i], race->racers[i].err);
	turn_to(u, ur->peers[which]);
	u->attempt_ms = race->began_ms;
	up_dialled(u, c, race->racers[which].err, u->pick.peer != had);
}

bool
up_race(struct weir_up *u)
{
	const struct weir_group *g = u->pick.group;
	struct weir_peer *peers[RACE_MOST];
	const struct weir_addr *addrs[RACE_MOST], *sorted[RACE_MOST];
	unsigned n, order[RACE_MOST];

	if (g->n < 2 || g->node != NULL || (u->p->next & NEXT_OFF) || !(u->p->next & NEXT_ERROR))
		return false;
	n = gather(u, peers);
	if (n < 2)
		return false;
	if (u->race == NULL)
		u->race = POOL_NEW(u->r->s.pool, weir_up_race);
	for (unsigned i = 0; i < n; i++)
		addrs[i] = &peers[i]->addr;
	race_order(addrs, n, order);
	for (unsigned i = 0; i < n; i++) {
		sorted[i] = addrs[order[i]];
		u->race->peers[i] = peers[order[i]];
	}
	u->race->up = u;
	u->race->race.done = on_raced;
	u->racing = true;
	race_start(&u->race->race, sorted, n, &u->dial_opts);
	return true;
}

void
up_race_off(struct weir_up *u)
{
	if (!u->racing)
		return;
	u->racing = false;
	race_cancel(&u->race->race);
}
