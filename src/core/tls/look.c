/*
 * look.c - which name does the client of a new connection ask for?
 *
 * The reader of hellos gets each byte once.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/peek.h"
#include "core/tls/look.h"

struct look {
	struct weir_peek peek;
	void		(*done)(struct weir_conn *, struct weir_str, uint64_t);
	uint64_t	 until_ms;
	struct weir_hello_reader reader;
	struct weir_hello hello;
};

static struct weir_slab slab = WEIR_SLAB(look);
static char room[LOOK_MAX];

static struct weir_conn *
end(struct look *l)
{
	struct weir_conn *c = peek_end(&l->peek);

	hello_end(&l->reader);
	slab_give(&slab, l);
	return c;
}

static void
decide(struct look *l, bool known)
{
	void (*done)(struct weir_conn *, struct weir_str, uint64_t) = l->done;
	uint64_t left_ms = l->until_ms > weir_now_ms ? l->until_ms - weir_now_ms : 1;
	char name[HELLO_NAME_MAX];
	struct weir_str s = str_of(name, known ? hello_name(&l->hello).n : 0);

	memcpy(name, l->hello.name, s.n);
	done(end(l), s, left_ms);
}

static bool
see(struct weir_peek *p, size_t old, size_t all)
{
	struct look *l = WEIR_OF(p, struct look, peek);
	enum weir_hello_end how = hello_feed(&l->reader, room + old, all - old, &l->hello);

	if (how == HELLO_MORE)
		return false;
	decide(l, how == HELLO_DONE);
	return true;
}

static void
give_up(struct weir_peek *p)
{
	decide(WEIR_OF(p, struct look, peek), false);
}

/* In the middle of a hello there is nothing to lose but the time it took. */
static void
on_drain(struct weir_peek *p, enum weir_drain how)
{
	if (how == DRAIN_CUT)
		conn_close(end(WEIR_OF(p, struct look, peek)));
}

void
hello_look(struct weir_conn *c, uint64_t ms, void (*done)(struct weir_conn *, struct weir_str, uint64_t))
{
	static const struct weir_peek_ops ops = {
		.room = room, .max = sizeof room, .see = see, .over = give_up, .late = give_up, .drain = on_drain,
	};
	struct look *l = slab_take(&slab);

	l->done = done;
	l->until_ms = weir_now_ms + ms;
	l->hello.name_n = 0;
	hello_begin(&l->reader);
	peek_begin(&l->peek, c, &ops, ms);
}
