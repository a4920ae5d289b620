/*
 * alog_path.c - files of access logs whose names have variables, and open_log_file_cache.
 *
 * Peers have a say in such a name, so it may only lead downwards from the folder that the
 * configuration fixes: no "..", no NUL, bounded.  A worker opens these files by itself, in that folder
 * only.  Without a cache each record opens and closes its file.
 */
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/sess/alog_parts.h"

#define NAME_MAX_BYTES	(PATH_MAX - 1)
#define BUCKETS_MAX	4096
#define CACHE_MOST	100000
#define TELL_EVERY_MS	60000

struct alog_path {
	const struct weir_alog_kind *kind;
	struct weir_expr	 name;
	size_t			 fixed;		/* the first bytes of any name: the folder, with its slash */
	struct weir_log_file	 account;	/* counts what is lost; nothing else of it is used */
};

struct entry {
	struct weir_list	 by_use;
	struct weir_list	 in_bucket;
	uint64_t		 hash, used_ms, looked_ms;
	struct weir_str		 path;		/* with NUL behind it, in the same block */
	uint64_t		 uses;
	int			 fd;		/* -1: not open */
	bool			 torn;
};

struct weir_alog_cache {
	uint64_t		 max, min_uses, inactive_ms, valid_ms;
	unsigned		 n, n_buckets;
	struct weir_list	*buckets;	/* NULL: not used in this process yet */
	struct weir_list	 by_use;	/* the latest first */
	struct weir_timer	 timer;
	struct weir_log_keeper	 keeper;
};

/* ---- the cache ---- */

static void
entry_close(struct entry *e)
{
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
	e->torn = false;
}

static void
entry_free(struct weir_alog_cache *c, struct entry *e)
{
	entry_close(e);
	list_remove(&e->by_use);
	list_remove(&e->in_bucket);
	mem_free(e);
	c->n--;
}

static void
free_all(struct weir_alog_cache *c)
{
	while (!list_empty(&c->by_use))
		entry_free(c, list_first(&c->by_use, struct entry, by_use));
	timer_off(&c->timer);
}

/* USR1: a name may mean another file from now on. */
static void
on_reopen(struct weir_log_keeper *k)
{
	free_all(WEIR_OF(k, struct weir_alog_cache, keeper));
}

static void
on_timer(struct weir_timer *t)
{
	struct weir_alog_cache	*c = WEIR_OF(t, struct weir_alog_cache, timer);
	struct entry		*e;

	while (!list_empty(&c->by_use)) {
		e = list_last(&c->by_use, struct entry, by_use);
		if (weir_now_ms - e->used_ms < c->inactive_ms) {
			timer_set(t, e->used_ms + c->inactive_ms - weir_now_ms);
			return;
		}
		entry_free(c, e);
	}
}

static void
on_free(void *arg)
{
	struct weir_alog_cache *c = arg;

	if (c->buckets == NULL)
		return;
	free_all(c);
	log_unkeep(&c->keeper);
	mem_free(c->buckets);
}

static void
make(struct weir_alog_cache *c)
{
	unsigned i;

	for (c->n_buckets = 16; c->n_buckets < c->max && c->n_buckets < BUCKETS_MAX; )
		c->n_buckets *= 2;
	c->buckets = mem_alloc(c->n_buckets * sizeof(*c->buckets));
	for (i = 0; i < c->n_buckets; i++)
		list_init(&c->buckets[i]);
	list_init(&c->by_use);
	timer_init(&c->timer, on_timer);
	c->keeper.reopen = on_reopen;
	log_keep(&c->keeper);
}

static struct entry *
find(struct weir_alog_cache *c, struct weir_str path, uint64_t hash)
{
	struct weir_list *at, *bucket = &c->buckets[hash & (c->n_buckets - 1)];

	list_each(at, bucket) {
		struct entry *e = WEIR_OF(at, struct entry, in_bucket);

		if (e->hash == hash && str_eq(e->path, path))
			return e;
	}
	return NULL;
}

static struct entry *
add(struct weir_alog_cache *c, struct weir_str path, uint64_t hash)
{
	struct entry *e;

	if (c->n >= c->max)
		entry_free(c, list_last(&c->by_use, struct entry, by_use));
	e = mem_alloc(sizeof(*e) + path.n + 1);
	*e = (struct entry){ .hash = hash, .fd = -1, .path = str_of((char *)(e + 1), path.n) };
	memcpy(e + 1, path.p, path.n + 1);
	list_init(&e->by_use);
	list_push(&c->buckets[hash & (c->n_buckets - 1)], &e->in_bucket);
	if (c->n++ == 0)
		timer_set(&c->timer, c->inactive_ms);
	return e;
}

/* The entry of a path, the last used one now. */
static struct entry *
use(struct weir_alog_cache *c, struct weir_str path)
{
	uint64_t	 hash = siphash(path.p, path.n);
	struct entry	*e;

	if (c->buckets == NULL)
		make(c);
	if ((e = find(c, path, hash)) == NULL)
		e = add(c, path, hash);
	e->uses++;
	e->used_ms = weir_now_ms;
	list_remove(&e->by_use);
	list_push(&c->by_use, &e->by_use);
	return e;
}

/* Is it still the file of that name? */
static bool
is_same(const struct entry *e)
{
	struct stat was, is;

	return fstat(e->fd, &was) == 0 && stat(e->path.p, &is) == 0 && was.st_dev == is.st_dev &&
	    was.st_ino == is.st_ino;
}

static int
entry_open(struct weir_sess *s, const struct alog_path *p, const struct weir_alog_cache *c,
    struct entry *e)
{
	if (e->fd >= 0 && weir_now_ms - e->looked_ms >= c->valid_ms) {
		e->looked_ms = weir_now_ms;
		if (!is_same(e))
			entry_close(e);
	}
	if (e->fd < 0) {
		e->fd = p->kind->open(s, e->path);
		e->looked_ms = weir_now_ms;
	}
	return e->fd >= 0 ? WEIR_OK : WEIR_FAIL;
}

/* ---- names ---- */

/* Is a part of the path ".."? */
static bool
leads_up(struct weir_str path)
{
	ssize_t slash;

	for (;;) {
		slash = str_chr(path, '/');
		if (str_eq(slash < 0 ? path : str_of(path.p, (size_t)slash), STR("..")))
			return true;
		if (slash < 0)
			return false;
		path = str_from(path, (size_t)slash + 1);
	}
}

/* The name for this session, with NUL behind it; NULL and why not. */
static const char *
name_of(struct weir_sess *s, const struct alog_path *p, struct weir_str *to)
{
	*to = expr_eval(s, &p->name);
	if (to->n > NAME_MAX_BYTES)
		return "is too long";
	if (to->n != 0 && memchr(to->p, '\0', to->n) != NULL)
		return "has a NUL";
	if (to->n <= p->fixed || leads_up(str_from(*to, p->fixed)))
		return "leads out of its folder";
	*to = str_of(pool_cstr(s->pool, *to), to->n);
	return NULL;
}

/* ---- writing ---- */

/* Counts a lost record; true when it is to be told why, once a minute for each access_log. */
static bool
lost(struct alog_path *p)
{
	p->account.dropped++;
	if (p->account.told_ms != 0 && weir_now_ms - p->account.told_ms < TELL_EVERY_MS)
		return false;
	p->account.told_ms = WEIR_MAX(weir_now_ms, 1);
	return true;
}

static int
write_to(int fd, bool *torn, struct weir_str rec, const char **failed)
{
	*failed = "write() to";
	return log_write_all(fd, torn, rec.p, rec.n);
}

static void
close_quietly(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

static int
write_uncached(struct weir_sess *s, struct alog_path *p, struct weir_str path, struct weir_str rec,
    const char **failed)
{
	bool	torn = false;
	int	fd = p->kind->open(s, path), rc;

	if (fd < 0)
		return WEIR_FAIL;
	rc = write_to(fd, &torn, rec, failed);
	close_quietly(fd);
	return rc;
}

static int
write_cached(struct weir_sess *s, struct alog_path *p, struct weir_alog_cache *c,
    struct weir_str path, struct weir_str rec, const char **failed)
{
	struct entry	*e = use(c, path);
	int		 rc;

	if (entry_open(s, p, c, e) != WEIR_OK)
		return WEIR_FAIL;
	rc = write_to(e->fd, &e->torn, rec, failed);
	if (e->uses < c->min_uses) {
		close_quietly(e->fd);
		e->fd = -1;
	}
	return rc;
}

/* The same check as nginx's: who may not see the folder of a site does not write into its log. */
static bool
may_write(struct weir_sess *s, struct alog_path *p)
{
	struct weir_str folder = p->kind->wants(s);

	if (folder.n == 0 || p->kind->is_folder(s, folder) == WEIR_OK)
		return true;
	if (lost(p))
		log_error(&s->log, "testing \"%.*s\" existence failed", STR_ARG(folder));
	return false;
}

void
alog_path_put(struct weir_sess *s, struct alog_path *p, struct weir_alog_cache *c,
    struct weir_str rec)
{
	const char	*why, *failed = "open()";
	struct weir_str	 path;
	int		 rc;

	if (!may_write(s, p))
		return;
	if ((why = name_of(s, p, &path)) != NULL) {
		if (lost(p))
			log_errorx(&s->log, "the name of an access log %s: \"%.*s\"", why,
			    (int)WEIR_MIN(path.n, (size_t)NAME_MAX_BYTES), path.p);
		return;
	}
	rc = c != NULL && p->kind->may_share(s) ? write_cached(s, p, c, path, rec, &failed)
	    : write_uncached(s, p, path, rec, &failed);
	if (rc == WEIR_OK)
		log_file_works(&p->account);
	else if (lost(p))
		log_crit(&s->log, "%s \"%.*s\" failed", failed, STR_ARG(path));
}

/* ---- configuration ---- */

/* How many bytes at the front have no variable, and end with a slash. */
static size_t
fixed_part(struct weir_str name)
{
	return (size_t)str_rchr(str_of(name.p, (size_t)str_chr(name, '$')), '/') + 1;
}

struct alog_path *
alog_path(struct weir_conf *cf, const struct weir_node *node, const struct weir_alog_kind *kind)
{
	struct alog_path	*p = POOL_NEW(cf->pool, alog_path);
	struct weir_str		 name = conf_path(cf, node->w[1].s, false);

	if (expr_compile(cf, node, 1, name, &p->name) != WEIR_OK)
		return NULL;
	p->kind = kind;
	p->fixed = fixed_part(name);
	p->account.path = name.p;
	kind->makes_in(cf, str_of(name.p, p->fixed));
	return p;
}

static int
read_param(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_alog_cache *c,
    bool *off)
{
	static const char *const known[] = { "max=", "inactive=", "min_uses=", "valid=", "off", NULL };
	struct weir_str value;

	if (conf_param(node, w, "max", &value))
		return conf_u64(cf, node, w, value, 1, CACHE_MOST, &c->max);
	if (conf_param(node, w, "inactive", &value))
		return conf_msec(cf, node, w, value, &c->inactive_ms);
	if (conf_param(node, w, "min_uses", &value))
		return conf_u64(cf, node, w, value, 0, INT32_MAX, &c->min_uses);
	if (conf_param(node, w, "valid", &value))
		return conf_msec(cf, node, w, value, &c->valid_ms);
	if (str_eq(node->w[w].s, STR("off"))) {
		*off = true;
		return WEIR_OK;
	}
	return conf_bad_param(cf, node, w, known);
}

int
alog_set_cache(struct weir_conf *cf, struct weir_node *node, struct weir_alog_cache **to)
{
	struct weir_alog_cache	*c = POOL_NEW(cf->pool, weir_alog_cache);
	bool			 off = false;
	unsigned		 w;

	c->min_uses = 1;
	c->inactive_ms = 10000;
	c->valid_ms = 60000;
	for (w = 1; w < node->n; w++)
		if (read_param(cf, node, w, c, &off) != WEIR_OK)
			return WEIR_FAIL;
	*to = NULL;
	if (off)
		return WEIR_OK;
	if (c->max == 0)
		return conf_error(cf, node, 0, "\"open_log_file_cache\" must have \"max\" parameter");
	*to = c;
	pool_on_free(cf->pool, on_free, c);
	return WEIR_OK;
}
