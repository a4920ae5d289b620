/*
 * open.c - opening files, as far as disable_symlinks lets.
 *
 * A path is walked one part after the other, each opened relative to the one before, so that
 * what was looked at is what is used.  With `on` no part may be a link; with if_not_owner a
 * link must belong to whom its target belongs.
 */
#include <fcntl.h>
#include <unistd.h>

#include "core/io/file.h"
#include "http/req/filecache.h"

#define READ_FLAGS	(O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
#define LOG_FLAGS	(O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
#define LOG_MODE	0644		/* of what is created: only logs are */
#define WALK_FLAGS	(O_PATH | O_DIRECTORY | O_CLOEXEC)

/* ---- configuration ---- */

int
conf_symlinks(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_http_conf	*c = conf;
	struct weir_str		 mode = STR_NONE, from;
	unsigned		 w;

	(void)scope;
	memset(&c->symlinks_from, 0, sizeof(c->symlinks_from));
	for (w = 1; w < node->n; w++) {
		if (conf_param(node, w, "from", &from)) {
			if (expr_compile(cf, node, w, from, &c->symlinks_from) != WEIR_OK)
				return WEIR_FAIL;
			c->symlinks_from.set = true;
		} else if (mode.n != 0) {
			return conf_error(cf, node, w, "invalid parameter \"%.*s\"",
			    STR_ARG(node->w[w].s));
		} else {
			mode = node->w[w].s;
		}
	}
	if (str_eq(mode, STR("off")))
		c->symlinks = SYMLINKS_ALL;
	else if (str_eq(mode, STR("on")))
		c->symlinks = SYMLINKS_NONE;
	else if (str_eq(mode, STR("if_not_owner")))
		c->symlinks = SYMLINKS_OWN;
	else
		return conf_error(cf, node, 1, "off, on or if_not_owner is wanted");
	if (c->symlinks == SYMLINKS_ALL && c->symlinks_from.set)
		return conf_error(cf, node, 1, "from= has no sense with off");
	return WEIR_OK;
}

/* ---- the walk ---- */

static bool
is_link(const struct stat *st)
{
	return S_ISLNK(st->st_mode);
}

/* A part of a path, where links are fine whose owner is their target's owner. */
static int
step_own(int at, const char *name, int flags)
{
	struct stat	link, target;
	int		fd = openat(at, name, flags, LOG_MODE);

	if (fd < 0)
		return -1;
	if (fstatat(at, name, &link, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &target) == 0 &&
	    (!is_link(&link) || link.st_uid == target.st_uid))
		return fd;
	close(fd);
	errno = ELOOP;
	return -1;
}

/* The same where no link is fine. */
static int
step_none(int at, const char *name, int flags)
{
	struct stat	st;
	int		fd = openat(at, name, flags | O_NOFOLLOW, LOG_MODE);

	/* O_PATH opens a link itself. */
	if (fd < 0 || !(flags & O_PATH) || (fstat(fd, &st) == 0 && !is_link(&st)))
		return fd;
	close(fd);
	errno = ELOOP;
	return -1;
}

/* Takes the folder `at` over; the last part of `rest` is opened with `flags`. */
static int
walk(int at, struct weir_str rest, int flags, enum weir_symlinks mode)
{
	char	name[256];
	ssize_t	slash;
	size_t	n;
	int	next, how;
	bool	last = false;

	while (at >= 0 && !last) {
		while (rest.n != 0 && rest.p[0] == '/')
			rest = str_from(rest, 1);
		slash = str_chr(rest, '/');
		n = slash >= 0 ? (size_t)slash : rest.n;
		if (n >= sizeof(name)) {
			close(at);
			errno = ENAMETOOLONG;
			return -1;
		}
		/* "a/b/": the last part is a folder by its name, "." */
		memcpy(name, n != 0 ? rest.p : ".", n != 0 ? n : 1);
		name[n != 0 ? n : 1] = '\0';
		last = slash < 0;
		how = last ? flags : WALK_FLAGS;
		next = mode == SYMLINKS_OWN ? step_own(at, name, how) : step_none(at, name, how);
		close(at);
		at = next;
		rest = str_from(rest, n);
	}
	return at;
}

/* How much of the path is trusted: what from= says, if the path begins with it. */
static size_t
trusted(struct weir_req *r, const struct weir_http_conf *c, struct weir_str path)
{
	struct weir_str	from;

	if (!c->symlinks_from.set)
		return 0;
	from = expr_eval(&r->s, &c->symlinks_from);
	if (from.n == 0 || !str_begins(path, from))
		return 0;
	if (path.n == from.n || path.p[from.n] == '/')
		return from.n;
	return path.p[from.n - 1] == '/' ? from.n - 1 : 0;
}

static int
open_at(struct weir_req *r, const struct weir_way *w, int flags)
{
	const char	*base;

	if (w->links == SYMLINKS_ALL || w->trusted == w->path.n)
		return open(w->path.p, flags, LOG_MODE);
	base = w->trusted == 0 ? "/" : pool_cstr(r->s.pool, str_of(w->path.p, w->trusted));
	return walk(open(base, WALK_FLAGS), str_from(w->path, w->trusted), flags, w->links);
}

int
way_stat(struct weir_req *r, const struct weir_way *w, struct weir_found *to)
{
	int	fd, rc;

	memset(to, 0, sizeof(*to));
	to->failed = "stat()";
	if (w->links == SYMLINKS_ALL)
		return stat(w->path.p, &to->st) == 0 ? WEIR_OK : WEIR_FAIL;
	if ((fd = open_at(r, w, O_PATH | O_CLOEXEC)) < 0)
		return WEIR_FAIL;
	rc = fstat(fd, &to->st);
	close(fd);
	return rc == 0 ? WEIR_OK : WEIR_FAIL;
}

int
way_open(struct weir_req *r, const struct weir_way *w, struct weir_found *to)
{
	int	fd, err;

	memset(to, 0, sizeof(*to));
	to->failed = "open()";
	if ((fd = open_at(r, w, READ_FLAGS)) < 0)
		return WEIR_FAIL;
	if (fstat(fd, &to->st) != 0) {
		err = errno;
		close(fd);
		to->failed = "fstat()";
		errno = err;
		return WEIR_FAIL;
	}
	if (S_ISREG(to->st.st_mode))
		to->file = file_new(fd);
	else
		close(fd);
	return WEIR_OK;
}

static int
look(struct weir_req *r, struct weir_str path, bool open, struct weir_found *to)
{
	const struct weir_http_conf	*c = REQ_CORE(r);
	struct weir_way			 w = { .path = path, .links = c->symlinks };

	if (c->symlinks != SYMLINKS_ALL)
		w.trusted = trusted(r, c, path);
	if (c->files != NULL)
		return filecache_get(r, c->files, &w, open, to);
	return open ? way_open(r, &w, to) : way_stat(r, &w, to);
}

int
req_open(struct weir_req *r, struct weir_str path, struct weir_found *to)
{
	return look(r, path, true, to);
}

int
req_stat(struct weir_req *r, struct weir_str path, struct stat *st)
{
	struct weir_found	found;
	int			rc = look(r, path, false, &found);

	*st = found.st;
	return rc;
}

/* Past open_file_cache. */
static int
open_now(struct weir_req *r, struct weir_str path, int flags)
{
	const struct weir_http_conf	*c = REQ_CORE(r);
	struct weir_way			 w = { .path = path, .links = c->symlinks };

	if (c->symlinks != SYMLINKS_ALL)
		w.trusted = trusted(r, c, path);
	return open_at(r, &w, flags);
}

int
req_open_folder(struct weir_req *r, struct weir_str path)
{
	return open_now(r, path, READ_FLAGS | O_DIRECTORY);
}

int
req_open_log(struct weir_req *r, struct weir_str path)
{
	return REQ_CORE(r)->symlinks == SYMLINKS_ALL ? log_open(path.p) : open_now(r, path, LOG_FLAGS);
}
