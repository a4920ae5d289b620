/*
 * table.c - rows by key in shared memory.
 *
 *	zone:	head | shard | shard ...
 *	shard:	lock and lists | buckets | cells
 *	cell:	links, expiry | row | key
 *
 * Everything points by number, 1 for the first cell of the shard and 0 for none, so zeroed
 * memory is an empty table and nobody writes to what is not used yet.
 *
 * Cells in use lie on one of three lists of their shard, latest use first:
 *
 *	FRESH	asked for once
 *	KNOWN	asked for again, or in penalty; at most 7/8 of the shard
 *	PINNED	never thrown away
 *
 * Room is made at the end of FRESH, which the newest keys fill, and of KNOWN only when there is
 * nothing else.
 */
#include <stdatomic.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/os/random.h"
#include "core/shm/mutex.h"
#include "core/shm/table.h"

#define LAYOUT		1	/* rises when what is below changes */
#define SHARDS_MAX	256
#define SHARD_ROWS	512	/* fewer are not worth a lock of their own */
#define CHAIN_MAX	256	/* longer ones do not come from hashing: the shard is damaged */
#define SPARE_TRIES	8	/* rows in penalty that are passed over */
#define TELL_MS		60000

enum list { FREE, FRESH, KNOWN, PINNED, N_LISTS };

struct cell {
	uint32_t	next;		/* in its bucket, or of the free ones */
	uint32_t	newer, older;
	uint32_t	bucket;
	uint64_t	until_ms;
	uint32_t	key_n;		/* of the whole key */
	uint8_t		list, held;
	uint8_t		unused[2];
	char		row[];
};

struct shard {
	pthread_mutex_t	lock;
	uint32_t	used;		/* cells that were ever used */
	uint32_t	free;
	struct {
		uint32_t newest, oldest, n;
	}		list[N_LISTS];
} __attribute__((aligned(64)));

struct head {
	uint64_t	 key[2][2];
	_Atomic uint64_t evicted, refused, emptied;
	_Atomic uint64_t told_ms;
} __attribute__((aligned(64)));

struct weir_table {
	struct weir_zone *zone;
	size_t		 row, key_max, cell;	/* bytes; `row` rounded up */
	uint32_t	 shards, rows;		/* rows of a shard; as many buckets */
	size_t		 shard;			/* bytes */
	/* From zones_open() on: */
	struct head	*head;
	char		*mem;			/* the first shard */
	/* This process has a row: */
	struct shard	*lent;
	uint64_t	 evicted, refused;	/* of this loan; counted and told without the lock */
};

/* A key as it is kept. */
struct id {
	const void	*p;
	size_t		 n;		/* bytes kept */
	uint32_t	 key_n;
	uint64_t	 hash;
	uint64_t	 digest[2];
};

/*
 * Where things are.
 */

static inline struct shard *
shard_at(const struct weir_table *t, uint32_t i)
{
	return (struct shard *)(void *)(t->mem + i * t->shard);
}

static inline uint32_t *
buckets(struct shard *s)
{
	return (uint32_t *)(void *)(s + 1);
}

static inline struct cell *
cell_at(const struct weir_table *t, struct shard *s, uint32_t number)
{
	return (struct cell *)(void *)((char *)(s + 1) +
	    (((size_t)t->rows * sizeof(uint32_t) + 7) & ~(size_t)7) + (number - 1) * t->cell);
}

static inline uint32_t
number_of(const struct weir_table *t, struct shard *s, const struct cell *c)
{
	return (uint32_t)((size_t)((const char *)c - (const char *)cell_at(t, s, 1)) / t->cell) + 1;
}

static inline char *
key_of(const struct weir_table *t, struct cell *c)
{
	return c->row + t->row;
}

/* Evenly 0 ... n - 1 from 32 bits of a hash. */
static inline uint32_t
share(uint32_t bits, uint32_t n)
{
	return (uint32_t)(((uint64_t)bits * n) >> 32);
}

/*
 * Declaring.
 */

/* How the memory is divided: as many rows as fit, in as many shards as are worth it. */
static void
lay_out(struct weir_table *t, size_t room)
{
	size_t	 each = t->cell + sizeof(uint32_t);
	uint64_t shards = (room - sizeof(struct head)) / (each * SHARD_ROWS);

	t->shards = (uint32_t)WEIR_MIN(WEIR_MAX(shards, 1), SHARDS_MAX);
	t->shard = (room - sizeof(struct head)) / t->shards / 64 * 64;
	t->rows = (uint32_t)WEIR_MIN((t->shard - sizeof(struct shard) - 8) / each, UINT32_MAX - 1);
}

static void
on_open(struct weir_zone *z)
{
	struct weir_table	*t = z->owner;
	uint32_t		 i;

	lay_out(t, z->room);
	t->head = z->mem;
	t->mem = (char *)z->mem + sizeof(struct head);
	if (!z->fresh)
		return;
	random_bytes(t->head->key, sizeof(t->head->key));
	for (i = 0; i < t->shards; i++)
		mutex_init(&shard_at(t, i)->lock);
}

struct weir_table *
table_declare(struct weir_zones *zs, const struct weir_table_want *w, const char **why)
{
	struct weir_zone_want	 zw = { .name = w->name, .size = w->size, .kind = w->kind,
		.tag = w->tag, .open = on_open };
	struct weir_table	*t;
	struct weir_zone	*z;

	assert(w->row > 0 && w->row <= TABLE_ROW_MAX && w->version <= 255);
	assert(w->key_max >= 16 && w->key_max <= TABLE_KEY_MAX);
	zw.version = (uint64_t)LAYOUT << 56 | (uint64_t)sizeof(struct shard) << 40 |
	    (uint64_t)w->row << 16 | (uint64_t)w->key_max << 8 | w->version;
	if ((z = zone_declare(zs, &zw, why)) == NULL)
		return NULL;
	if (z->owner != NULL)
		return z->owner;
	t = POOL_NEW(zones_pool(zs), weir_table);
	t->zone = z;
	t->row = (w->row + 7) & ~(size_t)7;
	t->key_max = w->key_max;
	t->cell = (sizeof(struct cell) + t->row + t->key_max + 7) & ~(size_t)7;
	z->owner = t;
	return t;
}

struct weir_zone *
table_zone(struct weir_table *t)
{
	return t->zone;
}

/*
 * Lists and buckets of a locked shard.
 */

static void
list_cut(const struct weir_table *t, struct shard *s, struct cell *c)
{
	uint32_t *newest = &s->list[c->list].newest, *oldest = &s->list[c->list].oldest;

	*(c->newer != 0 ? &cell_at(t, s, c->newer)->older : newest) = c->older;
	*(c->older != 0 ? &cell_at(t, s, c->older)->newer : oldest) = c->newer;
	s->list[c->list].n--;
}

/* As the latest. */
static void
list_put(const struct weir_table *t, struct shard *s, struct cell *c, enum list l)
{
	uint32_t number = number_of(t, s, c);

	c->list = (uint8_t)l;
	c->newer = 0;
	c->older = s->list[l].newest;
	*(c->older != 0 ? &cell_at(t, s, c->older)->newer : &s->list[l].oldest) = number;
	s->list[l].newest = number;
	s->list[l].n++;
}

static void
list_move(const struct weir_table *t, struct shard *s, struct cell *c, enum list l)
{
	list_cut(t, s, c);
	list_put(t, s, c, l);
}

static struct cell *
oldest(const struct weir_table *t, struct shard *s, enum list l)
{
	return s->list[l].oldest != 0 ? cell_at(t, s, s->list[l].oldest) : NULL;
}

/* Whether it was there: if not, the bucket is damaged. */
static bool
bucket_cut(const struct weir_table *t, struct shard *s, struct cell *c)
{
	uint32_t	*at = &buckets(s)[c->bucket], number = number_of(t, s, c);
	unsigned	 i;

	for (i = 0; *at != number; at = &cell_at(t, s, *at)->next)
		if (*at == 0 || ++i > CHAIN_MAX)
			return false;
	*at = c->next;
	return true;
}

/*
 * Locks.
 */

/*
 * Nothing in the shard can be trusted.  Rows that nobody can find are as good as gone, so
 * the cells need not be touched, save that whoever gets one clears it.
 */
static void
empty(struct weir_table *t, struct shard *s)
{
	memset((char *)s + sizeof(s->lock), 0, sizeof(*s) - sizeof(s->lock));
	memset(buckets(s), 0, t->rows * sizeof(uint32_t));
	atomic_fetch_add(&t->head->emptied, 1);
	zone_hurt(t->zone);
}

static void
lock(struct weir_table *t, struct shard *s)
{
	assert(t->lent == NULL);
	if (!mutex_lock(&s->lock)) {
		empty(t, s);
		log_errorx(weir_log, "a process died while it used zone \"%s\": a part of it is empty now",
		    t->zone->name);
	}
	t->lent = s;
}

/* One line a minute, of all processes. */
static void
tell(struct weir_table *t)
{
	uint64_t told = atomic_load(&t->head->told_ms);

	atomic_fetch_add(&t->head->evicted, t->evicted);
	atomic_fetch_add(&t->head->refused, t->refused);
	if ((told == 0 || weir_now_ms > told + TELL_MS) &&
	    atomic_compare_exchange_strong(&t->head->told_ms, &told, weir_now_ms))
		log_warnx(weir_log, t->refused ? "zone \"%s\" is full of what is in use, and a larger one "
		    "would not refuse new keys" : "zone \"%s\" is full: the oldest keys are "
		    "forgotten before their time", t->zone->name);
	t->evicted = t->refused = 0;
}

static void
unlock(struct weir_table *t)
{
	struct shard *s = t->lent;

	t->lent = NULL;
	pthread_mutex_unlock(&s->lock);
	if (unlikely(t->evicted + t->refused > 0))
		tell(t);
}

/*
 * Cells.
 */

static void
cell_free(struct weir_table *t, struct shard *s, struct cell *c)
{
	if (unlikely(!bucket_cut(t, s, c))) {
		empty(t, s);
		return;
	}
	list_cut(t, s, c);
	c->list = FREE;
	c->next = s->free;
	s->free = number_of(t, s, c);
}

static bool
expired(const struct cell *c)
{
	return c->list != PINNED && c->until_ms < weir_now_ms;
}

/* The oldest of a list, passing over some that are in penalty. */
static struct cell *
victim(struct weir_table *t, struct shard *s, enum list l)
{
	struct cell	*c = oldest(t, s, l);
	unsigned	 i;

	for (i = 0; i < SPARE_TRIES && c != NULL && c->held && !expired(c); i++) {
		list_move(t, s, c, l);
		c = oldest(t, s, l);
	}
	return c;
}

static void
drop_expired(struct weir_table *t, struct shard *s, enum list l)
{
	struct cell *c = oldest(t, s, l);

	if (c != NULL && expired(c))
		cell_free(t, s, c);
}

static struct cell *
take_free(struct weir_table *t, struct shard *s)
{
	struct cell *c;

	if (s->free != 0) {
		c = cell_at(t, s, s->free);
		s->free = c->next;
		return c;
	}
	return s->used < t->rows ? cell_at(t, s, ++s->used) : NULL;
}

/* Room for a new key; NULL when everything is pinned. */
static struct cell *
take(struct weir_table *t, struct shard *s)
{
	struct cell *c;

	drop_expired(t, s, FRESH);
	drop_expired(t, s, KNOWN);
	if ((c = take_free(t, s)) != NULL)
		return c;
	if ((c = victim(t, s, FRESH)) == NULL && (c = victim(t, s, KNOWN)) == NULL) {
		t->refused++;
		return NULL;
	}
	t->evicted += !expired(c);
	cell_free(t, s, c);
	return take_free(t, s);
}

/* It was asked for again, or is in penalty. */
static void
promote(struct weir_table *t, struct shard *s, struct cell *c)
{
	struct cell *last;

	if (c->list != KNOWN && s->list[KNOWN].n >= t->rows - t->rows / 8 &&
	    (last = victim(t, s, KNOWN)) != NULL)
		list_move(t, s, last, FRESH);
	list_move(t, s, c, KNOWN);
}

static void
identify(const struct weir_table *t, struct weir_str key, struct id *id)
{
	id->hash = siphash_with(t->head->key[0], key.p, key.n);
	id->key_n = (uint32_t)WEIR_MIN(key.n, UINT32_MAX);
	id->p = key.p;
	id->n = key.n;
	if (key.n <= t->key_max)
		return;
	id->digest[0] = id->hash;
	id->digest[1] = siphash_with(t->head->key[1], key.p, key.n);
	id->p = id->digest;
	id->n = sizeof(id->digest);
}

static struct cell *
find(struct weir_table *t, struct shard *s, const struct id *id)
{
	uint32_t	 at = buckets(s)[share((uint32_t)id->hash, t->rows)];
	unsigned	 i;
	struct cell	*c;

	for (i = 0; at != 0; at = c->next) {
		c = cell_at(t, s, at);
		if (c->key_n == id->key_n && (id->n == 0 || memcmp(key_of(t, c), id->p, id->n) == 0))
			return c;
		if (unlikely(++i > CHAIN_MAX)) {
			empty(t, s);
			return NULL;
		}
	}
	return NULL;
}

static struct cell *
add(struct weir_table *t, struct shard *s, const struct id *id)
{
	struct cell	*c = take(t, s);
	uint32_t	*bucket;

	if (c == NULL)
		return NULL;
	memset(c, 0, sizeof(*c) + t->row);
	c->bucket = share((uint32_t)id->hash, t->rows);
	c->key_n = id->key_n;
	if (id->n != 0)
		memcpy(key_of(t, c), id->p, id->n);
	bucket = &buckets(s)[c->bucket];
	c->next = *bucket;
	*bucket = number_of(t, s, c);
	list_put(t, s, c, FRESH);
	return c;
}

/*
 * What others call.
 */

void *
table_get(struct weir_table *t, struct weir_str key, bool make)
{
	struct id	 id;
	struct shard	*s;
	struct cell	*c;

	identify(t, key, &id);
	s = shard_at(t, share((uint32_t)(id.hash >> 32), t->shards));
	lock(t, s);
	c = find(t, s, &id);
	if (c != NULL && expired(c)) {
		cell_free(t, s, c);
		c = NULL;
	}
	if (c == NULL && make)
		c = add(t, s, &id);
	else if (c != NULL && c->list != PINNED)
		promote(t, s, c);
	if (c != NULL)
		return c->row;
	unlock(t);
	return NULL;
}

static struct cell *
lent_cell(const struct weir_table *t, void *row)
{
	assert(t->lent != NULL);
	return (struct cell *)(void *)((char *)row - offsetof(struct cell, row));
}

uint64_t
table_until(const struct weir_table *t, void *row)
{
	return lent_cell(t, row)->until_ms;
}

void
table_put(struct weir_table *t, void *row, uint64_t until_ms, enum row_how how)
{
	struct cell *c = lent_cell(t, row);

	c->until_ms = until_ms;
	c->held = how == ROW_HELD;
	if (how == ROW_PINNED && c->list != PINNED)
		list_move(t, t->lent, c, PINNED);
	else if (how != ROW_PINNED && (c->list == PINNED || (c->held && c->list == FRESH)))
		promote(t, t->lent, c);
	unlock(t);
}

void
table_drop(struct weir_table *t, void *row)
{
	cell_free(t, t->lent, lent_cell(t, row));
	unlock(t);
}

static bool
visit(struct weir_table *t, struct cell *c, bool (*fn)(const struct table_row *, void *), void *arg)
{
	bool		 hashed = c->key_n > t->key_max;
	struct table_row r = {
		.key = str_of(key_of(t, c), hashed ? sizeof(((struct id *)0)->digest) : c->key_n),
		.hashed = hashed, .row = c->row, .until_ms = c->until_ms,
		.how = c->list == PINNED ? ROW_PINNED : c->held ? ROW_HELD : ROW_PLAIN,
	};

	return fn(&r, arg);
}

void
table_each(struct weir_table *t, bool (*fn)(const struct table_row *, void *), void *arg)
{
	uint32_t	 i, n;
	struct shard	*s;
	struct cell	*c;

	for (i = 0; i < t->shards; i++) {
		s = shard_at(t, i);
		lock(t, s);
		for (n = 1; n <= s->used; n++) {
			c = cell_at(t, s, n);
			if (c->list != FREE && (expired(c) || !visit(t, c, fn, arg)))
				cell_free(t, s, c);
		}
		unlock(t);
	}
}

void
table_fill(const struct weir_table *t, struct table_fill *to)
{
	uint32_t	 i;
	struct shard	*s;

	*to = (struct table_fill){ .capacity = (uint64_t)t->shards * t->rows,
		.evicted = t->head->evicted, .refused = t->head->refused,
		.emptied = t->head->emptied };
	for (i = 0; i < t->shards; i++) {
		s = shard_at(t, i);
		to->rows += s->list[FRESH].n + s->list[KNOWN].n + s->list[PINNED].n;
	}
}
