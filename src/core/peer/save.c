/*
 * save.c - what was changed at run time, written down.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/peer/save.h"
#include "core/peer/share.h"

/* ---- lines ---- */

static struct weir_str
milliseconds(struct weir_pool *pool, uint64_t ms)
{
	unsigned long long v = ms;

	return v % 1000 == 0 ? pool_printf(pool, "%llus", v / 1000) : pool_printf(pool, "%llums", v);
}

struct weir_str
server_line(struct weir_pool *pool, const struct weir_server *s)
{
	struct weir_server none;
	struct weir_str t = s->name;

	servers_default(&none);
	if (s->weight != none.weight)
		t = pool_printf(pool, "%.*s weight=%u", STR_ARG(t), s->weight);
	if (s->max_conns != none.max_conns)
		t = pool_printf(pool, "%.*s max_conns=%u", STR_ARG(t), s->max_conns);
	if (s->max_fails != none.max_fails)
		t = pool_printf(pool, "%.*s max_fails=%u", STR_ARG(t), s->max_fails);
	if (s->fail_timeout_ms != none.fail_timeout_ms)
		t = pool_printf(pool, "%.*s fail_timeout=%.*s", STR_ARG(t),
		    STR_ARG(milliseconds(pool, s->fail_timeout_ms)));
	if (s->slow_start_ms != 0)
		t = pool_printf(pool, "%.*s slow_start=%.*s", STR_ARG(t), STR_ARG(milliseconds(pool, s->slow_start_ms)));
	if (s->slow_start_min != none.slow_start_min)
		t = pool_printf(pool, "%.*s slow_start_min=%u%%", STR_ARG(t), s->slow_start_min);
	if (s->priority > 1)
		t = pool_printf(pool, "%.*s priority=%u", STR_ARG(t), s->priority);
	if (s->route.n != 0)
		t = pool_printf(pool, "%.*s route=%.*s", STR_ARG(t), STR_ARG(s->route));
	return pool_printf(pool, "%.*s%s%s%s", STR_ARG(t), s->backup ? " backup" : "", s->down ? " down" : "",
	    s->drain ? " drain" : "");
}

/* ---- the file ---- */

static int
write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return WEIR_FAIL;
		p += done;
		n -= (size_t)done;
	}
	return WEIR_OK;
}

static int
put_lines(int fd, const struct weir_group *g, const struct weir_servers *all, struct weir_pool *pool)
{
	struct weir_str t = pool_printf(pool, "# Servers of upstream %.*s.  Written when they are changed at run time.\n",
	    STR_ARG(g->name));

	if (write_all(fd, t.p, t.n) != WEIR_OK)
		return WEIR_FAIL;
	for (unsigned i = 0; i < all->n; i++) {
		if (all->v[i].fixed)
			continue;
		t = pool_printf(pool, "server %.*s;\n", STR_ARG(server_line(pool, &all->v[i])));
		if (write_all(fd, t.p, t.n) != WEIR_OK)
			return WEIR_FAIL;
	}
	return fsync(fd) == 0 ? WEIR_OK : WEIR_FAIL;
}

/* The new name must be on the disk, too. */
static void
sync_folder(const char *path, struct weir_pool *pool)
{
	struct weir_str dir = str_c(path);
	int fd;

	dir.n = (size_t)WEIR_MAX(str_rchr(dir, '/'), 1);
	fd = open(pool_cstr(pool, dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!fsync(fd);
	close(fd);
}

static int
replace(const char *path, const struct weir_group *g, const struct weir_servers *all, struct weir_pool *pool)
{
	const char *temp = pool_cstr(pool, pool_printf(pool, "%s.new", path));
	int fd, rc, err;

	(void)unlink(temp);		/* of somebody who died */
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return WEIR_FAIL;
	rc = put_lines(fd, g, all, pool);
	err = errno;
	close(fd);
	if (rc == WEIR_OK && rename(temp, path) == 0) {
		sync_folder(path, pool);
		return WEIR_OK;
	}
	if (rc == WEIR_OK)
		err = errno;
	(void)unlink(temp);
	errno = err;
	return WEIR_FAIL;
}

/* ---- when ---- */

int
servers_save(struct weir_group *g, const char *path)
{
	struct weir_pool *pool;
	struct weir_servers all;
	int r = WEIR_OK, err;

	if (g->shared == NULL || !share_is_current(g))
		return WEIR_OK;
	share_begin_save(g);
	if (g->block->changes != g->block->saved) {
		pool = pool_new(0);
		servers_list(g, pool, &all);
		r = replace(path, g, &all, pool);
		err = errno;
		if (r == WEIR_OK)
			g->block->saved = all.changes;
		pool_free(pool);
		errno = err;
	}
	share_end_save(g);
	return r;
}

void
servers_freeze(struct weir_group *g)
{
	share_lock(g);
	g->block->frozen_ms = WEIR_MAX(weir_now_ms, 1);
	share_unlock(g);
}

void
servers_thaw(struct weir_group *g)
{
	share_lock(g);
	g->block->frozen_ms = 0;
	share_unlock(g);
}
