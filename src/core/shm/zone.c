/*
 * zone.c - named shared memory: declared, mapped, found again, counted.
 *
 * The memory of a zone begins with a head that says what it is, so a new binary, which gets
 * nothing but descriptors, compares that with what its configuration declares.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/num.h"
#include "core/base/text.h"
#include "core/os/shmap.h"
#include "core/shm/zone.h"

#define ZONE_MAGIC	0x656e6f7au
#define PAGE		4096

struct zone_head {
	uint32_t	 magic;
	_Atomic uint32_t deaths;
	uint64_t	 size, version;
	char		 name[ZONE_NAME_MAX + 1], kind[ZONE_KIND_MAX + 1];
	uint32_t	 tag_n;
	char		 tag[ZONE_TAG_MAX];
} __attribute__((aligned(64)));

/* A mapping of this process; several generations may use it. */
struct zone_map {
	struct weir_list all;
	int		 fd;		/* -1: there is none, or we are a child */
	unsigned	 refs;
	size_t		 size;
	struct zone_head *head;
};

struct weir_zones {
	struct weir_pool *pool;
	struct weir_zone *first, **tail;
};

static struct weir_list	maps = { &maps, &maps };
/* Of the binary before us, until the first zones_open(). */
static struct zone_map	**inherited;
static unsigned		 n_inherited;

/*
 * Mappings.
 */

static struct zone_map *
map_new(void *p, size_t size, int fd)
{
	struct zone_map *m = mem_zalloc(sizeof(*m));

	m->head = p;
	m->size = size;
	m->fd = fd;
	m->refs = 1;
	list_append(&maps, &m->all);
	return m;
}

static void
map_unref(struct zone_map *m)
{
	if (--m->refs > 0)
		return;
	list_remove(&m->all);
	if (m->fd >= 0)
		close(m->fd);
	shmap_free(m->head, m->size);
	mem_free(m);
}

void
zones_close_fds(void)
{
	struct weir_list *at;

	list_each(at, &maps) {
		struct zone_map *m = WEIR_OF(at, struct zone_map, all);

		if (m->fd >= 0)
			close(m->fd);
		m->fd = -1;
	}
}

/*
 * Declaring.
 */

static void
unmap_all(void *arg)
{
	struct weir_zones	*zs = arg;
	struct weir_zone	*z;

	for (z = zs->first; z != NULL; z = z->next)
		if (z->map != NULL)
			map_unref(z->map);
}

struct weir_zones *
zones_new(struct weir_pool *pool)
{
	struct weir_zones *zs = POOL_NEW(pool, weir_zones);

	zs->pool = pool;
	zs->tail = &zs->first;
	pool_on_free(pool, unmap_all, zs);
	return zs;
}

struct weir_pool *
zones_pool(const struct weir_zones *zs)
{
	return zs->pool;
}

struct weir_zone *
zone_find(const struct weir_zones *zs, struct weir_str name)
{
	struct weir_zone *z;

	for (z = zs->first; z != NULL; z = z->next)
		if (str_eq(str_c(z->name), name))
			return z;
	return NULL;
}

/* What is wrong with a want by itself, or NULL. */
static const char *
unfit(struct weir_zones *zs, const struct weir_zone_want *w)
{
	if (w->name.n == 0)
		return "the zone has no name";
	if (w->name.n > ZONE_NAME_MAX)
		return "the name of the zone is longer than 63 bytes";
	if (w->tag.n > ZONE_TAG_MAX)
		return "the key of the zone is longer than 255 bytes";
	if (w->size < ZONE_SIZE_MIN)
		return pool_cstr(zs->pool, pool_printf(zs->pool,
		    "zone \"%.*s\" is too small: it needs 32k at least", STR_ARG(w->name)));
	if (w->size > PTRDIFF_MAX - PAGE)
		return pool_cstr(zs->pool, pool_printf(zs->pool, "zone \"%.*s\" is too large",
		    STR_ARG(w->name)));
	return NULL;
}

/* What is different in the zone of that name, or NULL. */
static const char *
differs(const struct weir_zone *z, const struct weir_zone_want *w)
{
	if (strcmp(z->kind, w->kind) != 0 || z->version != w->version)
		return "for a different use";
	if (z->size != w->size)
		return "with another size";
	if (!str_eq(z->tag, w->tag))
		return "with another key";
	return NULL;
}

struct weir_zone *
zone_declare(struct weir_zones *zs, const struct weir_zone_want *w, const char **why)
{
	struct weir_zone	*z;
	const char		*what;

	assert(strlen(w->kind) <= ZONE_KIND_MAX);
	if ((*why = unfit(zs, w)) != NULL)
		return NULL;
	if ((z = zone_find(zs, w->name)) != NULL) {
		if ((what = differs(z, w)) == NULL)
			return z;
		*why = pool_cstr(zs->pool, pool_printf(zs->pool,
		    "the shared memory zone \"%s\" is already declared %s", z->name, what));
		return NULL;
	}
	z = POOL_NEW(zs->pool, weir_zone);
	z->name = pool_cstr(zs->pool, w->name);
	z->kind = w->kind;
	z->size = w->size;
	z->version = w->version;
	z->tag = pool_str(zs->pool, w->tag);
	z->open = w->open;
	z->owner = w->owner;
	*zs->tail = z;
	zs->tail = &z->next;
	return z;
}

int
zone_spec(struct weir_str text, struct weir_str *name, uint64_t *size, const char **why)
{
	ssize_t colon = str_rchr(text, ':');

	if (colon <= 0) {
		*why = "a zone is written as name:size";
		return WEIR_FAIL;
	}
	if (num_size(str_from(text, (size_t)colon + 1), size) != WEIR_OK) {
		*why = "invalid zone size: it is a number, maybe with k, m or g behind it";
		return WEIR_FAIL;
	}
	*name = str_of(text.p, (size_t)colon);
	return WEIR_OK;
}

/*
 * Opening.
 */

static size_t
bytes_of(const struct weir_zone *z)
{
	return ((size_t)z->size + PAGE - 1) / PAGE * PAGE;
}

static bool
is_named(const struct zone_head *h, const char *name)
{
	return strncmp(h->name, name, sizeof(h->name)) == 0;
}

/* The head was written by a process that may have been broken since. */
static bool
fits(const struct zone_map *m, const struct weir_zone *z)
{
	const struct zone_head *h = m->head;

	return h->magic == ZONE_MAGIC && m->size == bytes_of(z) && h->size == z->size &&
	    h->version == z->version && is_named(h, z->name) &&
	    strncmp(h->kind, z->kind, sizeof(h->kind)) == 0 && h->tag_n == z->tag.n &&
	    (z->tag.n == 0 || memcmp(h->tag, z->tag.p, z->tag.n) == 0);
}

/* What was there under this name, fit or not. */
static struct zone_map *
earlier(const struct weir_zone *z, const struct weir_zones *old)
{
	struct weir_zone	*was;
	unsigned		 i;

	if (old != NULL)
		return (was = zone_find(old, str_c(z->name))) != NULL ? was->map : NULL;
	for (i = 0; i < n_inherited; i++)
		if (is_named(inherited[i]->head, z->name))
			return inherited[i];
	return NULL;
}

static int
map_fresh(struct weir_zone *z, struct weir_log *log)
{
	size_t			 size = bytes_of(z);
	int			 fd;
	struct zone_head	*h = shmap_new_fd(size, z->name, &fd);

	if (h == NULL) {
		log_at(log, LOG_EMERG_, errno, "mapping %zu bytes for zone \"%s\" failed", size,
		    z->name);
		return WEIR_FAIL;
	}
	h->magic = ZONE_MAGIC;
	h->size = z->size;
	h->version = z->version;
	memcpy(h->name, z->name, strlen(z->name));
	memcpy(h->kind, z->kind, strlen(z->kind));
	h->tag_n = (uint32_t)z->tag.n;
	if (z->tag.n > 0)
		memcpy(h->tag, z->tag.p, z->tag.n);
	z->map = map_new(h, size, fd);
	return WEIR_OK;
}

static int
zone_open(struct weir_zone *z, const struct weir_zones *old, struct weir_log *log)
{
	struct zone_map *m = earlier(z, old);

	z->fresh = m == NULL || !fits(m, z);
	if (!z->fresh) {
		z->map = m;
		m->refs++;
	} else if (map_fresh(z, log) != WEIR_OK)
		return WEIR_FAIL;
	if (z->fresh && m != NULL)
		log_at(log, LOG_NOTICE_, 0, "zone \"%s\" is declared otherwise than before: it begins "
		    "empty", z->name);
	z->mem = (char *)z->map->head + sizeof(struct zone_head);
	z->room = z->map->size - sizeof(struct zone_head);
	if (z->open != NULL)
		z->open(z);
	return WEIR_OK;
}

int
zones_open(struct weir_zones *zs, const struct weir_zones *old, struct weir_log *log)
{
	struct weir_zone *z;

	for (z = zs->first; z != NULL; z = z->next)
		if (zone_open(z, old, log) != WEIR_OK)
			return WEIR_FAIL;
	while (n_inherited > 0)
		map_unref(inherited[--n_inherited]);
	mem_free(inherited);
	inherited = NULL;
	return WEIR_OK;
}

unsigned
zone_users(const struct weir_zone *z)
{
	return z->map != NULL ? z->map->refs : 0;
}

/*
 * Deaths.
 */

uint32_t
zone_deaths(const struct weir_zone *z)
{
	return atomic_load(&z->map->head->deaths);
}

void
zone_hurt(struct weir_zone *z)
{
	atomic_fetch_add(&z->map->head->deaths, 1);
}

void
zones_hurt(struct weir_zones *zs)
{
	struct weir_zone *z;

	for (z = zs->first; z != NULL; z = z->next)
		if (z->map != NULL)
			zone_hurt(z);
}

/*
 * Another binary.
 */

struct weir_str
zones_export(const struct weir_zones *zs, struct weir_pool *pool)
{
	const struct weir_zone	*z;
	struct weir_text	 all = { .pool = pool };

	for (z = zs->first; z != NULL; z = z->next)
		if (z->map != NULL && z->map->fd >= 0)
			text_putf(&all, "%d;", z->map->fd);
	return text_str(&all);
}

void
zones_keep_open(const struct weir_zones *zs)
{
	const struct weir_zone *z;

	for (z = zs->first; z != NULL; z = z->next)
		if (z->map != NULL && z->map->fd >= 0)
			(void)!fcntl(z->map->fd, F_SETFD, 0);
}

static void
inherit(int fd)
{
	size_t			 size = 0;
	struct zone_head	*h;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return;
	h = shmap_of_fd(fd, &size);
	if (h != NULL && size >= ZONE_SIZE_MIN && h->magic == ZONE_MAGIC) {
		inherited = mem_realloc(inherited, n_inherited * sizeof(*inherited),
		    (n_inherited + 1) * sizeof(*inherited));
		inherited[n_inherited++] = map_new(h, size, fd);
		return;
	}
	shmap_free(h, size);
	close(fd);
}

void
zones_inherit(const char *text)
{
	struct weir_str	rest = str_c(text);
	uint64_t	fd;
	ssize_t		end;

	while ((end = str_chr(rest, ';')) > 0) {
		if (num_u64(str_of(rest.p, (size_t)end), &fd) == WEIR_OK && fd > STDERR_FILENO &&
		    fd <= INT32_MAX)
			inherit((int)fd);
		rest = str_from(rest, (size_t)end + 1);
	}
}
