/*
 * drop.c - proxy_session_drop: sessions end when their server is not one any more.
 *
 * Each worker looks at its sessions that want so every LOOK_MS.  A server that was removed keeps its place until its
 * connections are over, so its state is still there.
 */
#include "core/base/mem.h"
#include "stream/up.h"

enum { LOOK_MS = 500 };

struct weir_stream_drop {
	struct weir_list node;
	struct weir_stream_up *u;
};

static struct weir_slab slab = WEIR_SLAB(weir_stream_drop);

/* Of this process. */
static struct weir_list watched = { &watched, &watched };
static struct weir_timer look;
static bool begun;

static void
on_look(struct weir_timer *t)
{
	struct weir_list *at, *next;

	list_each_safe(at, next, &watched) {	/* the end of a session is not that of others */
		struct weir_stream_up *u = WEIR_OF(at, struct weir_stream_drop, node)->u;

		if (!pick_is_gone(&u->pick))
			continue;
		log_info(&u->st->s.log, "the session is dropped: its server was removed, or is down or unhealthy");
		u->st->cut = true;
		(void)stream_finish(u->st, 502, "server_dropped");
	}
	if (!list_empty(&watched))
		timer_set(t, LOOK_MS);
}

void
stream_drop_watch(struct weir_stream_up *u)
{
	if (!begun)
		timer_init(&look, on_look);
	begun = true;
	if (list_empty(&watched))
		timer_set(&look, LOOK_MS);
	u->drop = slab_take(&slab);
	u->drop->u = u;
	list_append(&watched, &u->drop->node);
}

void
stream_drop_leave(struct weir_stream_up *u)
{
	if (u->drop == NULL)
		return;
	list_remove(&u->drop->node);
	slab_give(&slab, u->drop);
	u->drop = NULL;
	if (list_empty(&watched))
		timer_off(&look);
}
