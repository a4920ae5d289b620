/*
 * users.c - files of users and their passwords' hashes, as htpasswd(1) makes them.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/list.h"
#include "core/sess/passwd.h"
#include "core/sess/users.h"

/* A change so soon after another may leave the file's times as they were. */
#define TICK_MS	100

struct identity {
	uint64_t	 dev, ino, size, mtime_s, mtime_ns, ctime_s, ctime_ns;
};

struct weir_users {
	struct weir_list	 used;		/* the latest first */
	struct weir_pool	*pool;
	const char		*path;
	struct identity		 id;
	bool			 fresh;		/* it was changed when it was read: that may not have been all */
	struct weir_str		 text;
	struct weir_hash	 by_name;	/* where in `text` the hash begins */
	struct weir_str		 costliest;
};

static struct weir_list	kept = { &kept, &kept };
static unsigned		n_kept;
static size_t		bytes_kept;

static struct identity
identity_of(const struct stat *st)
{
	struct identity id;

	memset(&id, 0, sizeof(id));
	id.dev = (uint64_t)st->st_dev;
	id.ino = (uint64_t)st->st_ino;
	id.size = (uint64_t)st->st_size;
	id.mtime_s = (uint64_t)st->st_mtim.tv_sec;
	id.mtime_ns = (uint64_t)st->st_mtim.tv_nsec;
	id.ctime_s = (uint64_t)st->st_ctim.tv_sec;
	id.ctime_ns = (uint64_t)st->st_ctim.tv_nsec;
	return id;
}

/* ---- the text ---- */

static struct weir_str
take_line(struct weir_str *rest)
{
	struct weir_str	line = *rest;
	ssize_t		end = str_chr(line, '\n');

	if (end >= 0)
		line.n = (size_t)end;
	*rest = str_from(*rest, line.n + 1);
	return line;
}

/* The hash ends where a comment begins, or the line. */
static struct weir_str
cut_hash(struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n && s.p[i] != ':' && s.p[i] != '\r' && s.p[i] != '\n'; i++)
		;
	return str_of(s.p, i);
}

bool
users_next(struct weir_str *rest, struct weir_str *name, struct weir_str *stored)
{
	struct weir_str	line;
	ssize_t		colon;

	while (rest->n != 0) {
		line = take_line(rest);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if ((colon = str_chr(line, ':')) <= 0)
			continue;
		*name = str_of(line.p, (size_t)colon);
		*stored = cut_hash(str_from(line, (size_t)colon + 1));
		return true;
	}
	return false;
}

static void
index_text(struct weir_users *u)
{
	struct weir_str	rest = u->text, name, stored;
	uint64_t	most = 0, cost;

	hash_init(&u->by_name, u->pool, false);
	while (users_next(&rest, &name, &stored)) {
		if (hash_get(&u->by_name, name) != NULL)
			continue;
		hash_put(&u->by_name, name, (char *)(uintptr_t)stored.p);
		if ((cost = passwd_cost(stored)) > most) {
			most = cost;
			u->costliest = stored;
		}
	}
}

/* ---- the file ---- */

static void
drop(struct weir_users *u)
{
	list_remove(&u->used);
	n_kept--;
	bytes_kept -= pool_size(u->pool);
	pool_free(u->pool);
}

void
users_forget(void)
{
	while (!list_empty(&kept))
		drop(list_first(&kept, struct weir_users, used));
}

static void
keep(struct weir_users *u)
{
	list_push(&kept, &u->used);
	n_kept++;
	bytes_kept += pool_size(u->pool);
	while (n_kept > 1 && (n_kept > USERS_FILES || bytes_kept > USERS_KEPT))
		drop(WEIR_OF(kept.prev, struct weir_users, used));
}

static struct weir_users *
find_kept(const char *path)
{
	struct weir_list *l;

	for (l = kept.next; l != &kept; l = l->next) {
		struct weir_users *u = WEIR_OF(l, struct weir_users, used);

		if (strcmp(u->path, path) == 0)
			return u;
	}
	return NULL;
}

/* All of it, to `to`; a file that shrinks meanwhile is one that has changed.  -1 with errno. */
static ssize_t
read_all(int fd, char *to, size_t n)
{
	size_t	at = 0;
	ssize_t	got;

	while (at < n) {
		got = read(fd, to + at, n - at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		at += (size_t)got;
	}
	return (ssize_t)at;
}

/* 0, or the errno that says what it is instead. */
static int
unfit(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return EISDIR;
	return S_ISREG(st->st_mode) ? 0 : EINVAL;
}

static bool
changed_now(const struct stat *st)
{
	uint64_t ms = (uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000;

	return ms + TICK_MS > weir_wall_ms && ms < weir_wall_ms + TICK_MS;
}

static struct weir_users *
load(int fd, const struct stat *st, const char *path)
{
	struct weir_pool	*pool = pool_new(0);
	struct weir_users	*u = POOL_NEW(pool, weir_users);
	char			*text = pool_bytes(pool, (size_t)st->st_size + 1);
	ssize_t			 n = read_all(fd, text, (size_t)st->st_size);
	int			 saved = errno;

	if (n < 0) {
		pool_free(pool);
		errno = saved;
		return NULL;
	}
	u->pool = pool;
	u->path = pool_cstr(pool, str_c(path));
	u->id = identity_of(st);
	u->fresh = n != st->st_size || changed_now(st);
	text[n] = '\n';		/* a hash that is found by its begin has an end */
	u->text = str_of(text, (size_t)n + 1);
	index_text(u);
	return u;
}

static void
warn_of_mode(const struct stat *st, const char *path, struct weir_log *log)
{
	if (st->st_mode & S_IWOTH)
		log_warnx(log, "everybody may write to the user file \"%s\"", path);
	else if (st->st_mode & S_IROTH)
		log_warnx(log, "everybody on this machine may read the user file \"%s\"", path);
}

static struct weir_users *
load_path(const char *path, struct weir_log *log, const char **what)
{
	struct weir_users	*u = NULL;
	struct stat		 st;
	int			 fd, err;

	*what = "open()";
	/* A FIFO must not hold us up. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) < 0)
		return NULL;
	*what = "read()";
	err = fstat(fd, &st) == 0 ? unfit(&st) : errno;
	if (err == 0 && st.st_size > (off_t)USERS_FILE_MAX) {
		log_critx(log, "the user file \"%s\" has more than %u bytes", path, USERS_FILE_MAX);
		*what = NULL;
	} else if (err == 0 && (u = load(fd, &st, path)) == NULL) {
		err = errno;
	}
	close(fd);
	if (u != NULL)
		warn_of_mode(&st, path, log);
	errno = err;
	return u;
}

const struct weir_users *
users_open(const char *path, struct weir_log *log, const char **what)
{
	struct weir_users	*u = find_kept(path);
	struct identity		 id;
	struct stat		 st;

	if (u != NULL) {
		if (!u->fresh && stat(path, &st) == 0) {
			id = identity_of(&st);
			if (memcmp(&id, &u->id, sizeof(id)) == 0) {
				list_remove(&u->used);
				list_push(&kept, &u->used);
				return u;
			}
		}
		drop(u);
	}
	if ((u = load_path(path, log, what)) != NULL)
		keep(u);
	return u;
}

struct weir_str
users_find(const struct weir_users *u, struct weir_str name)
{
	const char *p = hash_get(&u->by_name, name);

	if (p == NULL)
		return STR_NONE;
	return cut_hash(str_of(p, (size_t)(u->text.p + u->text.n - p)));
}

struct weir_str
users_costliest(const struct weir_users *u)
{
	return u->costliest;
}

struct weir_str
users_identity(const struct weir_users *u)
{
	return str_of((const char *)&u->id, sizeof(u->id));
}
