/*
 * table.h - rows of a fixed size by key, in a zone: bounded, shared, quick.
 *
 *	struct weir_table *t = table_declare(cf->zones, &want, &why);	while binding
 *
 *	struct fails *f = table_get(t, key, true);	the shard is locked now
 *	if (f == NULL)
 *		...					full of pinned rows
 *	f->n++;
 *	table_put(t, f, weir_now_ms + 60000, ROW_PLAIN);	unlocked
 *
 * Between get and put nothing may wait, log, or ask for another row of any table: others spin
 * on that lock.  It takes far less than a microsecond.
 *
 * A key is any bytes.  Up to `key_max` they are kept; a longer key is kept as a keyed hash of
 * 128 bits.  The hash has a secret of the table, so nobody can choose keys that collide.
 *
 * What a full table throws away is decided per shard: first what has expired; then, of the rows that
 * were asked for once only, the oldest; then the oldest of the others.  Rows that were put as ROW_HELD
 * (their owner is in penalty) are spared as long as there are others nearby, and pinned rows always.  So
 * a flood of new keys throws out itself: who comes often, or has used up a limit, stays.  At most
 * once a minute the log says that rows had to go.
 *
 * A process that dies while it holds a lock leaves a shard in doubt: who locks it next empties that
 * shard, and calls zone_hurt().
 *
 * Times are weir_now_ms: monotonic, the same for all processes.  Those of two workers may differ
 * by a turn of the loop, so a row may have a time that lies ahead.
 */
#ifndef WEIR_SHM_TABLE_H
#define WEIR_SHM_TABLE_H

#include "core/shm/zone.h"

#define TABLE_KEY_MAX	64	/* of key_max */
#define TABLE_ROW_MAX	4096

struct weir_table;

struct weir_table_want {
	struct weir_str	 name;
	uint64_t	 size;
	const char	*kind;
	unsigned	 version;	/* of the row's layout, 0 ... 255 */
	struct weir_str	 tag;		/* see struct weir_zone_want */
	size_t		 row;		/* bytes of a row */
	size_t		 key_max;	/* bytes of a key that are kept as they are; at least 16 */
};

/*
 * A table in a zone of its own; the same table when it is declared twice in the same way.
 * NULL with *why.  It may be used from zones_open() on.
 */
struct weir_table *table_declare(struct weir_zones *, const struct weir_table_want *,
	    const char **why) WEIR_MUST_USE;
struct weir_zone *table_zone(struct weir_table *);

enum row_how {
	ROW_PLAIN,
	ROW_HELD,	/* in penalty until it expires: spare it */
	ROW_PINNED	/* never expires, is never thrown away: who pins must unpin */
};

/*
 * The row of a key, with its shard locked; aligned to 8.  With `make`, a key that is not there gets a zeroed row; NULL then
 * only when all rows are pinned.  The caller must put or drop it.
 */
void	*table_get(struct weir_table *, struct weir_str key, bool make) WEIR_MUST_USE;
/* Gives it back: it means nothing any more after `until_ms`. */
void	 table_put(struct weir_table *, void *row, uint64_t until_ms, enum row_how);
/* Of a row that is lent: until when it means something. */
uint64_t table_until(const struct weir_table *, void *row);
/* Gives it back, and forgets it. */
void	 table_drop(struct weir_table *, void *row);

/*
 * Calls fn for every row that has not expired, a shard at a time with its lock held, and drops those for
 * which it returns false.  fn may change the row, and must not use the table.  `key` is
 * a hash when `hashed`.
 */
struct table_row {
	struct weir_str	 key;
	bool		 hashed;
	enum row_how	 how;
	uint64_t	 until_ms;
	void		*row;
};
void	 table_each(struct weir_table *, bool (*fn)(const struct table_row *, void *arg), void *arg);

struct table_fill {
	uint64_t	 rows, capacity;
	uint64_t	 evicted;	/* thrown away before their time, in all */
	uint64_t	 refused;	/* no row was to be had */
	uint64_t	 emptied;	/* shards, after a death */
};
/* Without locks: figures for people. */
void	 table_fill(const struct weir_table *, struct table_fill *);

#endif
