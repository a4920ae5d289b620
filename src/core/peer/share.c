/*
 * share.c - blocks in zones.
 *
 *	zone:	area (lock, slots) | chunk | chunk ... | end
 *	chunk:	size, used | block
 *
 * A block is used as long as some living process has it pinned: the master does so for each of its generations.
 * The newest of a group is the one without an heir.  Locks are taken in this order: the area's, a
 * block's, its heir's.
 */
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/os/random.h"
#include "core/peer/breaker.h"
#include "core/peer/share.h"
#include "core/shm/mutex.h"

#define LAYOUT		2
#define LOOK_MS		1000
#define FROZEN_MS	10000	/* no reload takes so long from reading to opening */
#define SPARE_PART	3	/* as many generations may have spare peers at a time */
#define SPARES_MAX	128

struct slot {
	pthread_mutex_t	 alive;		/* its process holds it */
	uint32_t	 used;
};

struct share_area {
	pthread_mutex_t	 lock;
	uint64_t	 serial;	/* tells one zone from the next at the same address */
	uint32_t	 n_slots;
	uint32_t	 first;		/* offset of the first chunk */
	uint64_t	 end;
	struct slot	 slots[];
};

struct chunk {
	uint64_t	 size;		/* with this head */
	uint64_t	 name;		/* a number for the group's name; 0: it is free */
} __attribute__((aligned(64)));

static unsigned epoch = 1;	/* of this process */
static pid_t	holder;		/* who has taken the slots that we know of */

/* ---- sizes ---- */

static unsigned
slots_wanted(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	/* workers of two generations, masters, and a few that just died */
	return (unsigned)WEIR_MIN(WEIR_MAX(cpus * 4, 16), 256);
}

static size_t
area_size(unsigned n_slots)
{
	return (sizeof(struct share_area) + n_slots * sizeof(struct slot) + 63) & ~(size_t)63;
}

/* ---- locks ---- */

/* Whoever died holding one had not done anything that the next could not make good; sums are made anew. */
static void
lock_block(struct weir_block *b)
{
	if (mutex_lock(&b->lock))
		return;
	b->stale |= STALE_COUNTS | STALE_RANKS | STALE_SUMS;
	b->version++;			/* somebody may have come or gone */
}

void
share_lock(struct weir_group *g)
{
	if (g->shared != NULL)
		lock_block(g->block);
}

void
share_unlock(struct weir_group *g)
{
	if (g->shared != NULL)
		pthread_mutex_unlock(&g->block->lock);
}

/* ---- chunks ---- */

static struct chunk *
chunk_at(struct share_area *a, uint64_t at)
{
	return at < a->end ? (struct chunk *)(void *)((char *)a + at) : NULL;
}

static struct chunk *
first_chunk(struct share_area *a)
{
	return chunk_at(a, a->first);
}

static struct chunk *
next_chunk(struct share_area *a, struct chunk *c)
{
	return chunk_at(a, (uint64_t)((char *)c - (char *)a) + c->size);
}

static struct weir_block *
block_of(struct chunk *c)
{
	return (struct weir_block *)(void *)(c + 1);
}

static uint64_t
offset_of(struct share_area *a, struct weir_block *b)
{
	return (uint64_t)((char *)b - (char *)a);
}

static struct weir_block *
heir_of(struct share_area *a, struct weir_block *b)
{
	return b->heir != 0 ? (struct weir_block *)(void *)((char *)a + b->heir) : NULL;
}

static void
join_free(struct share_area *a)
{
	for (struct chunk *c = first_chunk(a), *n; c != NULL; c = n) {
		while ((n = next_chunk(a, c)) != NULL && c->name == 0 && n->name == 0)
			c->size += n->size;
	}
}

static struct weir_block *
chunk_take(struct share_area *a, size_t size, uint64_t name)
{
	size += sizeof(struct chunk);
	join_free(a);
	for (struct chunk *c = first_chunk(a); c != NULL; c = next_chunk(a, c)) {
		if (c->name != 0 || c->size < size)
			continue;
		if (c->size - size > sizeof(struct chunk)) {
			struct chunk *rest = (struct chunk *)(void *)((char *)c + size);

			rest->size = c->size - size;
			rest->name = 0;
			c->size = size;
		}
		memset(c + 1, 0, c->size - sizeof *c);
		c->name = name;
		return block_of(c);
	}
	return NULL;
}

/* ---- slots ---- */

static void
tell_heirs(struct share_area *a, struct weir_block *b, unsigned i, int by, void (*told)(struct weir_block *, unsigned i, int by))
{
	struct weir_block *h = heir_of(a, b);
	uint32_t to = block_state(b, i)->heir;

	if (h == NULL || to == 0)
		return;
	lock_block(h);
	told(h, to - 1, by);
	tell_heirs(a, h, to - 1, by, told);
	pthread_mutex_unlock(&h->lock);
}

static void
told_conns(struct weir_block *h, unsigned i, int by)
{
	struct weir_state *st = block_state(h, i);

	st->inherited += (uint32_t)by;
	st->conns += (uint32_t)by;
	h->stale |= STALE_RANKS;
}

void
share_tell_heirs(struct weir_group *g, unsigned i, int by)
{
	if (g->block->heir != 0)
		tell_heirs(g->shared->area, g->block, i, by, told_conns);
}

void
share_tell_trials(struct weir_group *g, unsigned i, int by)
{
	if (g->block->heir != 0)
		tell_heirs(g->shared->area, g->block, i, by, breaker_told);
}

static void
give_trials_back(struct share_area *a, struct weir_block *b, unsigned slot)
{
	uint32_t *held = breaker_held(b, slot);

	for (unsigned i = 0; i < b->n; i++) {
		if (held[i] != 0)
			tell_heirs(a, b, i, -(int)held[i], breaker_told);
		held[i] = 0;
	}
}

static void
give_back(struct share_area *a, struct weir_block *b, unsigned slot)
{
	uint32_t *held = block_held(b, slot);

	lock_block(b);
	for (unsigned i = 0; i < b->n; i++) {
		if (held[i] != 0)
			tell_heirs(a, b, i, -(int)held[i], told_conns);
		held[i] = 0;
	}
	if (b->at_circuits != 0)
		give_trials_back(a, b, slot);
	block_pins(b)[slot] = 0;
	if (b->leader == slot + 1)
		b->leader = 0;
	b->stale |= STALE_COUNTS | STALE_RANKS;
	pthread_mutex_unlock(&b->lock);
}

/* The slot's lock is ours. */
static void
give_all_back(struct share_area *a, unsigned slot)
{
	for (struct chunk *c = first_chunk(a); c != NULL; c = next_chunk(a, c))
		if (c->name != 0)
			give_back(a, block_of(c), slot);
	a->slots[slot].used = 0;
	pthread_mutex_unlock(&a->slots[slot].alive);
}

/* Of what has no block any more nobody is heir; what it was heir of goes to its own. */
static void
cut_out(struct share_area *a, struct weir_block *gone)
{
	for (struct chunk *c = first_chunk(a); c != NULL; c = next_chunk(a, c)) {
		struct weir_block *b = block_of(c);

		if (c->name == 0 || heir_of(a, b) != gone)
			continue;
		lock_block(b);
		for (unsigned i = 0; i < b->n; i++) {
			struct weir_state *st = block_state(b, i);

			st->heir = st->heir != 0 ? block_state(gone, st->heir - 1)->heir : 0;
		}
		b->heir = gone->heir;
		pthread_mutex_unlock(&b->lock);
	}
}

static bool
is_pinned(struct weir_block *b)
{
	for (unsigned s = 0; s < b->n_slots; s++)
		if (block_pins(b)[s] != 0)
			return true;
	return false;
}

/* Somebody uses a newer one. */
static bool
is_superseded(struct share_area *a, struct weir_block *b)
{
	for (b = heir_of(a, b); b != NULL; b = heir_of(a, b))
		if (is_pinned(b))
			return true;
	return false;
}

int
share_lock_current(struct weir_group *g)
{
	struct share_area *a;

	if (g->shared == NULL)
		return WEIR_FAIL;
	a = g->shared->area;
	mutex_lock(&a->lock);
	if (!is_superseded(a, g->block)) {
		share_lock(g);
		if (g->block->frozen_ms == 0 || weir_now_ms > g->block->frozen_ms + FROZEN_MS)
			return WEIR_OK;
		share_unlock(g);
	}
	pthread_mutex_unlock(&a->lock);
	return WEIR_FAIL;
}

void
share_unlock_current(struct weir_group *g)
{
	share_unlock(g);
	pthread_mutex_unlock(&g->shared->area->lock);
}

bool
share_is_current(struct weir_group *g)
{
	struct share_area *a = g->shared->area;
	bool is;

	mutex_lock(&a->lock);
	is = !is_superseded(a, g->block);
	pthread_mutex_unlock(&a->lock);
	return is;
}

void
share_begin_save(struct weir_group *g)
{
	mutex_lock(&g->block->saving);	/* whoever died with it leaves a file that nobody reads */
}

void
share_end_save(struct weir_group *g)
{
	pthread_mutex_unlock(&g->block->saving);
}

static void
drop_unused(struct share_area *a)
{
	for (struct chunk *c = first_chunk(a); c != NULL; c = next_chunk(a, c)) {
		if (c->name == 0 || is_pinned(block_of(c)))
			continue;
		cut_out(a, block_of(c));
		c->name = 0;
	}
}

/* The area is locked. */
static void
bury(struct share_area *a)
{
	for (unsigned s = 0; s < a->n_slots; s++) {
		int rc = a->slots[s].used ? pthread_mutex_trylock(&a->slots[s].alive) : EBUSY;

		if (rc == EBUSY)
			continue;
		if (rc == EOWNERDEAD)
			pthread_mutex_consistent(&a->slots[s].alive);
		give_all_back(a, s);
	}
}

static int
take_slot(struct share_area *a)
{
	bury(a);
	for (unsigned s = 0; s < a->n_slots; s++) {
		if (a->slots[s].used || pthread_mutex_trylock(&a->slots[s].alive) != 0)
			continue;
		a->slots[s].used = 1;
		return (int)s;
	}
	return -1;
}

/*
 * Generations of one process share its slot.  They are few, and so are zones.
 */
struct mine {
	struct mine	*next;
	struct share_area *area;
	uint64_t	 serial;
	int		 slot;
	unsigned	 epoch, refs;	/* refs: generations */
};
static struct mine *mine;

static struct mine *
mine_of(struct share_area *a)
{
	struct mine *m;

	for (m = mine; m != NULL && (m->area != a || m->serial != a->serial); m = m->next)
		;
	if (m == NULL) {
		m = mem_zalloc(sizeof *m);
		*m = (struct mine){ .next = mine, .area = a, .serial = a->serial };
		mine = m;
	}
	if (m->epoch == epoch)
		return m;
	mutex_lock(&a->lock);
	m->slot = take_slot(a);
	pthread_mutex_unlock(&a->lock);
	holder = getpid();
	m->epoch = epoch;
	m->refs = 0;
	return m;
}

static void
forget(struct mine *m)
{
	struct mine **at = &mine;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	mem_free(m);
}

/*
 * A generation of this process ends.  After the last one the memory goes, so the lock in it must not
 * be held any more.
 */
static void
let_go(void *arg)
{
	struct share_area *a = arg;
	struct mine *m;

	for (m = mine; m != NULL && (m->area != a || m->serial != a->serial); m = m->next)
		;
	if (m == NULL || m->epoch != epoch || m->refs-- > 1)
		return;
	if (m->slot >= 0) {
		mutex_lock(&a->lock);
		give_all_back(a, (unsigned)m->slot);
		pthread_mutex_unlock(&a->lock);
	}
	forget(m);
}

void
share_forked(void)
{
	if (holder != getpid())		/* not without a master: there nobody forks */
		epoch++;
}

int
share_slot(struct weir_group *g)
{
	struct weir_shared *sh = g->shared;

	if (sh == NULL)
		return -1;
	if (unlikely(sh->epoch != epoch)) {
		sh->slot = mine_of(sh->area)->slot;
		sh->epoch = epoch;
	}
	return sh->slot;
}

void
share_look(struct weir_group *g)
{
	struct weir_shared *sh = g->shared;
	uint32_t deaths;

	if (sh == NULL)
		return;
	deaths = zone_deaths(sh->zone);
	if (likely(deaths == sh->deaths && weir_now_ms - sh->looked_ms < LOOK_MS))
		return;
	sh->deaths = deaths;
	sh->looked_ms = weir_now_ms;
	mutex_lock(&sh->area->lock);
	bury(sh->area);
	pthread_mutex_unlock(&sh->area->lock);
}

/* ---- generations ---- */

static uint64_t
name_of(const struct weir_group *g)
{
	static const uint64_t key[2] = { 0x67726f75, 0x70 };

	return siphash_with(key, g->name.p, g->name.n) | 1;
}

/* The block of that name that nobody is heir of. */
static struct weir_block *
newest(struct share_area *a, uint64_t name)
{
	for (struct chunk *c = first_chunk(a); c != NULL; c = next_chunk(a, c))
		if (c->name == name && block_of(c)->heir == 0)
			return block_of(c);
	return NULL;
}

static void
succeed(struct share_area *a, struct weir_group *g, struct weir_block *old)
{
	lock_block(old);
	if (old->stale & STALE_COUNTS)
		block_recount(old);
	old->heir = offset_of(a, g->block);
	health_pause(old);
	block_inherit(g, g->block, old);
	pthread_mutex_unlock(&old->lock);
}

/* The zone is full of what older generations still use: this one's group is not shared. */
static void
go_alone(struct weir_pool *pool, struct weir_group *g)
{
	log_warnx(weir_log, "zone \"%s\" has no room for another state of upstream %.*s beside those in use: "
	    "workers do not share it%s until the next reload", g->shared->zone->name, STR_ARG(g->name),
	    g->health != NULL ? ", and its servers are not checked," : "");
	g->health = NULL;
	g->block = pool_zalloc(pool, block_size(g, 0));
	g->shared = NULL;
	block_init(g->block, g, 0);
}

struct pin {
	struct share_area *area;
	struct weir_block *block;
	int		 slot;
	unsigned	 epoch;
};

static void
unpin(void *arg)
{
	struct pin *p = arg;

	if (p->epoch != epoch)		/* a child: it is its parent who has pinned it */
		return;
	mutex_lock(&p->area->lock);
	block_pins(p->block)[p->slot]--;
	pthread_mutex_unlock(&p->area->lock);
}

static void
pin(struct weir_pool *pool, struct weir_group *g, int slot)
{
	struct pin *p = POOL_NEW(pool, pin);

	*p = (struct pin){ g->shared->area, g->block, slot, epoch };
	block_pins(g->block)[slot]++;
	pool_on_free(pool, unpin, p);
}

static void
open_group(struct weir_pool *pool, struct weir_group *g, int slot)
{
	struct share_area *a = g->shared->area;
	struct weir_block *old = newest(a, name_of(g));

	if (slot < 0) {
		go_alone(pool, g);
		return;
	}
	if (old != NULL)
		old->frozen_ms = 0;
	/* what was changed at run time is as the configuration says again */
	if (old != NULL && old->id == block_id(g) && old->changes == 0) {
		g->block = old;
		health_reopen(g);
		pin(pool, g, slot);
		return;
	}
	g->block = chunk_take(a, block_size(g, a->n_slots), name_of(g));
	if (g->block == NULL) {
		go_alone(pool, g);
		return;
	}
	block_init(g->block, g, a->n_slots);
	if (old != NULL)
		succeed(a, g, old);
	pin(pool, g, slot);
}

static void
init_area(struct share_area *a, size_t room)
{
	struct chunk *c;

	a->n_slots = slots_wanted();
	a->first = (uint32_t)area_size(a->n_slots);
	a->end = room / 64 * 64;
	random_bytes(&a->serial, sizeof a->serial);
	mutex_init(&a->lock);
	for (unsigned s = 0; s < a->n_slots; s++)
		mutex_init(&a->slots[s].alive);
	c = first_chunk(a);
	c->size = a->end - a->first;
}

/* In the master: the memory is there. */
static void
on_open(struct weir_zone *z)
{
	struct weir_shared *sh = z->owner;
	struct weir_group *g, *next;
	struct mine *m;

	sh->area = z->mem;
	if (z->fresh)
		init_area(sh->area, z->room);
	m = mine_of(sh->area);
	m->refs++;
	pool_on_free(sh->pool, let_go, sh->area);
	mutex_lock(&sh->area->lock);
	bury(sh->area);
	drop_unused(sh->area);
	for (g = sh->groups; g != NULL; g = next) {
		next = g->next_shared;
		open_group(sh->pool, g, m->slot);
	}
	pthread_mutex_unlock(&sh->area->lock);
}

struct weir_shared *
share_declare(struct weir_zones *zs, struct weir_str name, uint64_t size, const char **why)
{
	struct weir_zone_want w = { .name = name, .size = size, .kind = "upstream",
		.version = (uint64_t)(LAYOUT + sizeof(struct weir_circuit)) << 32 | sizeof(struct weir_state) << 16 |
		    sizeof(struct weir_block),
		.open = on_open };
	struct weir_zone *z = zone_declare(zs, &w, why);
	struct weir_shared *sh;

	if (z == NULL)
		return NULL;
	if (z->owner == NULL) {
		z->owner = sh = POOL_NEW(zones_pool(zs), weir_shared);
		sh->zone = z;
		sh->pool = zones_pool(zs);
	}
	return z->owner;
}

void
share_join(struct weir_shared *sh, struct weir_group *g)
{
	g->shared = sh;
	g->next_shared = sh->groups;
	sh->groups = g;
}

unsigned
share_spares(const struct weir_shared *sh)
{
	unsigned n_slots = slots_wanted(), n = 0;
	size_t used = area_size(n_slots) + 2048;

	for (const struct weir_group *g = sh->groups; g != NULL; g = g->next_shared, n++)
		used += 2 * (sizeof(struct chunk) + block_size(g, n_slots));
	if (used >= sh->zone->size)
		return 0;
	return (unsigned)WEIR_MIN((sh->zone->size - used) / SPARE_PART / n / block_spare_size(n_slots), SPARES_MAX);
}

int
share_check(const struct weir_shared *sh, const struct weir_group **most)
{
	unsigned n_slots = slots_wanted();
	size_t all = area_size(n_slots) + 256;	/* what the zone keeps for itself and rounding */

	*most = sh->groups;
	for (const struct weir_group *g = sh->groups; g != NULL; g = g->next_shared) {
		all += sizeof(struct chunk) + block_size(g, n_slots);
		if (g->n > (*most)->n)
			*most = g;
	}
	return all + 1024 <= sh->zone->size ? WEIR_OK : WEIR_FAIL;
}
