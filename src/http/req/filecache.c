/*
 * filecache.c - open_file_cache.
 *
 * A hash of chains over a list in order of use.  The buckets are made with the first entry, so
 * that the master and workers without such requests have none.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/ev/loop.h"
#include "core/io/file.h"
#include "http/req/filecache.h"

struct entry {
	struct entry	*next;			/* in the bucket */
	struct weir_link_node used;		/* in the cache's list, the latest first */
	uint64_t	 hash;
	uint64_t	 checked_ms, used_ms;
	uint64_t	 uses;
	struct weir_seg_file *file;		/* NULL: not open */
	struct stat	 st;
	int		 err;			/* 0: there is something */
	const char	*failed;
	enum weir_symlinks links;
	size_t		 trusted;
	size_t		 n;
	char		 path[];
};

struct weir_filecache {
	struct entry	**bucket;		/* NULL: never used */
	size_t		 mask;
	uint64_t	 n, max;
	uint64_t	 inactive_ms;
	struct weir_list used;
	struct weir_timer sweep;
};

enum {
	BUCKETS_MAX	= 1 << 16,
	SWEEP_AT_ONCE	= 256,		/* entries that one run of the timer removes */
	SWEEP_AGAIN_MS	= 10,
	ROOM_FOR_FILES	= 32		/* descriptors to give back when there are no more */
};

/* ---- entries ---- */

static uint64_t
hash_of(const struct weir_way *w)
{
	return siphash(w->path.p, w->path.n) + w->trusted * 8 + (uint64_t)w->links;
}

static struct entry *
find(const struct weir_filecache *c, const struct weir_way *w)
{
	uint64_t	 hash = hash_of(w);
	struct entry	*e;

	for (e = c->bucket[hash & c->mask]; e != NULL; e = e->next)
		if (e->hash == hash && e->links == w->links && e->trusted == w->trusted &&
		    str_eq(str_of(e->path, e->n), w->path))
			break;
	return e;
}

static void
close_file(struct entry *e)
{
	struct weir_seg_file	*f = e->file;

	e->file = NULL;
	if (f != NULL)
		file_unref(f);
}

static void
remove_entry(struct weir_filecache *c, struct entry *e)
{
	struct entry	**at = &c->bucket[e->hash & c->mask];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	list_remove(&e->used);
	close_file(e);
	mem_free(e);
	c->n--;
}

static struct entry *
oldest(const struct weir_filecache *c)
{
	return list_empty(&c->used) ? NULL : list_last(&c->used, struct entry, used);
}

/* Up to `most` entries that nobody used for too long. */
static unsigned
remove_unused(struct weir_filecache *c, unsigned most)
{
	struct entry	*e;
	unsigned	 n;

	for (n = 0; n < most && (e = oldest(c)) != NULL; n++) {
		if (weir_now_ms - e->used_ms <= c->inactive_ms)
			break;
		remove_entry(c, e);
	}
	return n;
}

/* Nobody may come by for a long time, and a file that was removed keeps its place on the disk. */
static void
on_sweep(struct weir_timer *t)
{
	struct weir_filecache	*c = WEIR_OF(t, struct weir_filecache, sweep);

	if (remove_unused(c, SWEEP_AT_ONCE) == SWEEP_AT_ONCE)
		timer_set(t, SWEEP_AGAIN_MS);
	else if (c->n != 0)
		timer_set(t, WEIR_MAX(c->inactive_ms, 1000u));
}

static struct entry *
add_entry(struct weir_filecache *c, const struct weir_way *w, uint64_t hash)
{
	struct entry	*e;

	if (c->n >= c->max)
		remove_entry(c, oldest(c));
	if (c->n == 0)
		timer_set(&c->sweep, WEIR_MAX(c->inactive_ms, 1000u));
	e = mem_zalloc(sizeof(*e) + w->path.n);
	e->hash = hash;
	e->links = w->links;
	e->trusted = w->trusted;
	e->n = w->path.n;
	memcpy(e->path, w->path.p, w->path.n);
	list_init(&e->used);
	e->next = c->bucket[hash & c->mask];
	c->bucket[hash & c->mask] = e;
	c->n++;
	return e;
}

/* ---- the cache ---- */

static void
empty(void *cache)
{
	struct weir_filecache	*c = cache;
	struct entry		*e;

	while ((e = oldest(c)) != NULL)
		remove_entry(c, e);
	timer_off(&c->sweep);
	mem_free(c->bucket);
	c->bucket = NULL;
}

struct weir_filecache *
filecache_new(struct weir_pool *pool, uint64_t max, uint64_t inactive_ms)
{
	struct weir_filecache	*c = POOL_NEW(pool, weir_filecache);

	c->max = max;
	c->inactive_ms = inactive_ms;
	list_init(&c->used);
	timer_init(&c->sweep, on_sweep);
	pool_on_free(pool, empty, c);
	return c;
}

static void
make_buckets(struct weir_filecache *c)
{
	size_t	n = 16;

	while (n < c->max && n < BUCKETS_MAX)
		n *= 2;
	c->bucket = mem_zalloc(n * sizeof(struct entry *));
	c->mask = n - 1;
}

/* ---- asking ---- */

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* Files that wait in the cache make way for one that is wanted now. */
static bool
make_room(struct weir_filecache *c)
{
	struct weir_list	*at, *before;
	unsigned		 n = 0;

	for (at = c->used.prev; at != &c->used && n < ROOM_FOR_FILES; at = before) {
		struct entry *e = WEIR_OF(at, struct entry, used);

		before = at->prev;
		n += e->file != NULL;
		close_file(e);
	}
	return n != 0;
}

static int
ask(struct weir_req *r, struct weir_filecache *c, const struct weir_way *w, bool open,
    struct weir_found *to)
{
	int	rc = open ? way_open(r, w, to) : way_stat(r, w, to);

	if (rc != WEIR_OK && (errno == EMFILE || errno == ENFILE) && make_room(c))
		rc = open ? way_open(r, w, to) : way_stat(r, w, to);
	return rc;
}

static int
give(const struct entry *e, bool open, struct weir_found *to)
{
	memset(to, 0, sizeof(*to));
	if (e->err != 0) {
		to->failed = e->failed;
		errno = e->err;
		return WEIR_FAIL;
	}
	to->st = e->st;
	if (open && e->file != NULL) {
		to->file = e->file;
		to->file->refs++;
	}
	return WEIR_OK;
}

/* What was just learned.  `e` is gone when that is not to be kept. */
static void
learn(struct weir_filecache *c, struct entry *e, const struct weir_http_conf *how, int rc,
    const struct weir_found *found)
{
	int	err = rc == WEIR_OK ? 0 : errno;

	if (err != 0 && !how->files_errors) {
		remove_entry(c, e);
		errno = err;
		return;
	}
	if (found->file != e->file && (found->file != NULL || err != 0 || !same_file(&found->st, &e->st)))
		close_file(e);
	e->checked_ms = weir_now_ms;
	e->err = err;
	e->failed = found->failed;
	e->st = found->st;
	if (found->file != NULL && e->file == NULL && e->uses >= (uint64_t)how->files_min_uses) {
		e->file = found->file;
		e->file->refs++;
	}
	errno = err;
}

/* Does the entry answer as it is? */
static bool
is_known(const struct entry *e, const struct weir_http_conf *how, bool open)
{
	if (weir_now_ms - e->checked_ms >= how->files_valid_ms)
		return false;
	if (e->err != 0)
		return how->files_errors;
	return !open || e->file != NULL || !S_ISREG(e->st.st_mode);
}

/* The time is over: is what is open still what the path leads to? */
static bool
still_there(struct weir_req *r, struct weir_filecache *c, struct entry *e, const struct weir_way *w)
{
	struct weir_found	found;

	if (ask(r, c, w, false, &found) != WEIR_OK || !same_file(&found.st, &e->st))
		return false;
	learn(c, e, REQ_CORE(r), WEIR_OK, &found);
	return e->file != NULL;
}

static int
get_new(struct weir_req *r, struct weir_filecache *c, const struct weir_way *w, bool open,
    struct weir_found *to)
{
	const struct weir_http_conf	*how = REQ_CORE(r);
	int				 rc = ask(r, c, w, open, to), err = errno;

	if (rc == WEIR_OK || how->files_errors) {
		struct entry *e = add_entry(c, w, hash_of(w));

		e->uses = 1;
		e->used_ms = weir_now_ms;
		list_push(&c->used, &e->used);
		errno = err;
		learn(c, e, how, rc, to);
	}
	errno = err;
	return rc;
}

int
filecache_get(struct weir_req *r, struct weir_filecache *c, const struct weir_way *w, bool open,
    struct weir_found *to)
{
	const struct weir_http_conf	*how = REQ_CORE(r);
	struct entry			*e;
	int				 rc;

	if (c->bucket == NULL)
		make_buckets(c);
	(void)remove_unused(c, 2);
	if ((e = find(c, w)) == NULL)
		return get_new(r, c, w, open, to);
	e->uses++;
	e->used_ms = weir_now_ms;
	list_remove(&e->used);
	list_push(&c->used, &e->used);
	if (is_known(e, how, open))
		return give(e, open, to);
	if (open && e->file != NULL && still_there(r, c, e, w))
		return give(e, true, to);
	rc = ask(r, c, w, open, to);
	learn(c, e, how, rc, to);
	return rc;
}

/* ---- configuration ---- */

int
conf_filecache(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_http_conf	*c = conf;
	struct weir_str		 value;
	uint64_t		 max = 0, inactive_ms = 60000;
	bool			 off = false;
	unsigned		 w;

	(void)scope;
	for (w = 1; w < node->n; w++) {
		if (conf_param(node, w, "max", &value)) {
			if (conf_u64(cf, node, w, value, 1, INT32_MAX, &max) != WEIR_OK)
				return WEIR_FAIL;
		} else if (conf_param(node, w, "inactive", &value)) {
			if (conf_msec(cf, node, w, value, &inactive_ms) != WEIR_OK)
				return WEIR_FAIL;
		} else if (str_eq(node->w[w].s, STR("off"))) {
			off = true;
		} else {
			return conf_error(cf, node, w, "invalid \"open_file_cache\" parameter \"%.*s\"",
			    STR_ARG(node->w[w].s));
		}
	}
	if (off && node->n != 2)
		return conf_error(cf, node, 1, "off stands alone");
	if (!off && max == 0)
		return conf_error(cf, node, 0, "\"open_file_cache\" must have the \"max\" parameter");
	c->files = off ? NULL : filecache_new(cf->pool, max, inactive_ms);
	return WEIR_OK;
}
