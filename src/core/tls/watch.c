/*
 * watch.c - notices that certificates have changed.
 *
 *	quiet --the kernel tells, an interval has passed, or a pair is bad--> timer --> look --> quiet
 *
 * Whatever it was, all is looked at: where the names lead now, and which files are others than before.  The kernel
 * watches each folder in which a link of the way is, the file's own, and the file, which might be changed under
 * another name.
 */
#include <errno.h>
#include <limits.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/ev/loop.h"
#include "core/os/fd.h"
#include "core/tls/count.h"
#include "core/tls/paths.h"
#include "core/tls/watch_conf.h"

enum {
	SETTLE_MS = 500,	/* after the last notice */
	SETTLE_MAX_MS = 5000,	/* after the first */
	BLIND_MS = 60000,	/* where the kernel cannot tell */
	AGAIN_MS = 60000,	/* what is bad may become valid, or we have missed something */
	LINKS_MAX = 40
};

#define NOTICES	(IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)

/* A name in a folder that is watched, or the thing itself. */
struct spot {
	int		 wd;
	char		*name;		/* NULL: itself */
	struct weir_tls_pair *pair;
};

struct weir_tls_watch {
	struct weir_tls_pairs pairs;
	struct weir_fd	 kernel;
	struct weir_timer timer;
	uint64_t	 first_ms;	/* of the notices that were not looked after yet; 0: there are none */
	bool		 running, blind;
	struct spot	*spots;
	unsigned	 n_spots, room;
	void		(*changed)(void);
};

/* ---- where the kernel shall look ---- */

static void
forget_spots(struct weir_tls_watch *w)
{
	for (unsigned i = 0; i < w->n_spots; i++)
		mem_free(w->spots[i].name);
	w->n_spots = 0;
}

static void
blind(struct weir_tls_watch *w, const char *where)
{
	if (!w->blind)
		log_warn(weir_log, "the kernel cannot tell of changes of \"%s\": certificates are looked at each minute",
		    where);
	w->blind = true;
}

static void
add_spot(struct weir_tls_watch *w, struct weir_tls_pair *p, const char *where, const char *name, size_t n)
{
	int wd = inotify_add_watch(w->kernel.fd, where, NOTICES);
	struct spot *s;

	if (wd < 0 && errno != ENOENT && errno != ENOTDIR)	/* of which reading will tell */
		blind(w, where);
	if (wd < 0)
		return;
	if (w->n_spots == w->room) {
		w->spots = mem_realloc(w->spots, w->room * sizeof *w->spots, (w->room * 2 + 8) * sizeof *w->spots);
		w->room = w->room * 2 + 8;
	}
	s = &w->spots[w->n_spots++];
	*s = (struct spot){ .wd = wd, .pair = p };
	if (name == NULL)
		return;
	s->name = mem_alloc(n + 1);
	memcpy(s->name, name, n);
	s->name[n] = '\0';
}

/* "." and ".." of a folder without links; *at is its length in `dir`, which has room for more. */
static bool
is_dots(char *dir, size_t *at, const char *name, size_t n)
{
	if (n == 0 || (n == 1 && name[0] == '.'))
		return true;
	if (n != 2 || name[0] != '.' || name[1] != '.')
		return false;
	while (*at > 0 && dir[--*at] != '/')
		;
	dir[*at] = '\0';
	return true;
}

/* What a link says, before the rest of the way.  False: it is too long. */
static bool
follow(const char *link, char *rest)
{
	char to[PATH_MAX];
	ssize_t n = readlink(link, to, sizeof to);
	size_t m = strlen(rest);

	if (n <= 0 || (size_t)n + m + 2 > sizeof to)
		return false;
	to[n] = '/';
	memcpy(to + n + 1, rest, m + 1);
	memcpy(rest, to, (size_t)n + m + 2);
	return true;
}

/*
 * Along an absolute path, name by name: `dir` is where we are (empty: the root), without links; `rest` is still to go.
 */
static void
add_way(struct weir_tls_watch *w, struct weir_tls_pair *p, const char *path)
{
	char dir[2 * PATH_MAX] = "", rest[PATH_MAX];
	unsigned links = 0;
	size_t at = 0;

	if (strlen(path) >= sizeof rest)
		return;
	strcpy(rest, path);
	while (rest[0] != '\0') {
		size_t n = strcspn(rest, "/"), skip = n + strspn(rest + n, "/");
		char name[PATH_MAX];
		struct stat st;
		int rc;

		memcpy(name, rest, n);
		memmove(rest, rest + skip, strlen(rest + skip) + 1);
		if (is_dots(dir, &at, name, n))
			continue;
		if (at + n + 2 > sizeof dir)
			return;
		dir[at] = '/';
		memcpy(dir + at + 1, name, n);
		dir[at + 1 + n] = '\0';
		rc = lstat(dir, &st);
		if (rc == 0 && S_ISDIR(st.st_mode)) {
			at += n + 1;
			continue;
		}
		rc = rc == 0 && S_ISLNK(st.st_mode) && links++ < LINKS_MAX && follow(dir, rest) ? 1 : 0;
		dir[at] = '\0';
		add_spot(w, p, at != 0 ? dir : "/", name, n);
		if (!rc)
			return;
		if (rest[0] == '/') {
			dir[at = 0] = '\0';
			memmove(rest, rest + 1, strlen(rest));
		}
	}
}

static void
on_kernel(struct weir_fd *, unsigned ev);

static void
ask_kernel(struct weir_tls_watch *w)
{
	fd_unwatch(&w->kernel);
	fd_close(&w->kernel.fd);
	forget_spots(w);
	w->kernel = (struct weir_fd){ .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .on = on_kernel };
	if (w->kernel.fd < 0 || fd_watch_level(&w->kernel) != WEIR_OK) {
		blind(w, "files");
		fd_close(&w->kernel.fd);
		return;
	}
	for (unsigned i = 0; i < w->pairs.all.n; i++) {
		struct weir_tls_pair *p = w->pairs.all.v[i];

		for (unsigned k = 0; k < PAIR_FILES && p->by_kernel; k++)
			if (p->path[k] != NULL) {
				add_way(w, p, p->path[k]);
				add_spot(w, p, p->path[k], NULL, 0);
			}
	}
}

/* ---- looking ---- */

static struct weir_tls_stamp
stamp_of(const char *path)
{
	struct weir_tls_stamp s;
	struct stat st;

	memset(&s, 0, sizeof s);
	if (path != NULL && stat(path, &st) == 0) {
		s.dev = st.st_dev;
		s.ino = st.st_ino;
		s.size = st.st_size;
		s.changed = st.st_ctim;
		s.written = st.st_mtim;
	}
	return s;
}

static bool
has_changed(struct weir_tls_pair *p)
{
	struct weir_tls_stamp now[PAIR_FILES];
	bool is;

	memset(now, 0, sizeof now);
	for (unsigned i = 0; i < PAIR_FILES; i++)
		now[i] = stamp_of(p->path[i]);
	is = p->dirty || p->bad || memcmp(now, p->seen, sizeof now) != 0;
	memcpy(p->seen, now, sizeof now);
	p->dirty = false;
	return is;
}

/* As pair_read(). */
static const char *
read_pair(struct weir_tls_pair *p, char *why, size_t room)
{
	if (p->key_mode != KEYS_STRICT || path_is_private(p->path[PAIR_KEY]))
		return pair_read(p, why, room);
	snprintf(why, room, "others than its owner can read the key \"%s\"", p->path[PAIR_KEY]);
	return why;
}

static void
look_at(struct weir_tls_pair *p)
{
	const char *cert = p->path[PAIR_CERT], *bad;
	char why[PATH_MAX + 512];

	bad = read_pair(p, why, sizeof why);
	p->bad = bad != NULL;
	if (bad != NULL && memcmp(p->told, p->seen, sizeof p->told) != 0) {
		memcpy(p->told, p->seen, sizeof p->told);
		log_errorx(weir_log, "certificate \"%s\" has changed, but the old one stays: %s", cert, bad);
		count_change(false);
	}
	if (!p->fresh)
		return;
	log_notice(weir_log, "certificate \"%s\" has changed, the new one is served", cert);
	count_change(true);
	if (p->key_mode == KEYS_WARN && path_is_open(p->path[PAIR_KEY]))
		log_warnx(weir_log, "everybody can read the key \"%s\": chmod o= it", p->path[PAIR_KEY]);
}

static uint64_t
next_look(const struct weir_tls_watch *w)
{
	uint64_t ms = w->blind ? BLIND_MS : UINT64_MAX;

	for (unsigned i = 0; i < w->pairs.all.n; i++) {
		const struct weir_tls_pair *p = w->pairs.all.v[i];

		ms = WEIR_MIN(ms, p->every_ms);
		if (p->bad)
			ms = WEIR_MIN(ms, (uint64_t)AGAIN_MS);
	}
	return ms;
}

static bool
any_by_kernel(const struct weir_tls_watch *w)
{
	for (unsigned i = 0; i < w->pairs.all.n; i++)
		if (w->pairs.all.v[i]->by_kernel)
			return true;
	return false;
}

static void
on_timer(struct weir_timer *t)
{
	struct weir_tls_watch *w = WEIR_OF(t, struct weir_tls_watch, timer);
	bool fresh = false;
	uint64_t ms;

	/* before reading: what changes while we read is told again */
	if (w->first_ms != 0 && any_by_kernel(w))
		ask_kernel(w);
	w->first_ms = 0;
	for (unsigned i = 0; i < w->pairs.all.n; i++) {
		struct weir_tls_pair *p = w->pairs.all.v[i];

		if (has_changed(p))
			look_at(p);
		fresh |= p->fresh;
	}
	if (fresh)
		pairs_apply(&w->pairs);
	ms = next_look(w);
	if (ms != UINT64_MAX)
		timer_set(t, ms);
	if (fresh && w->changed != NULL)
		w->changed();
}

/* ---- what the kernel tells ---- */

/* Does it concern us?  In the same folders there may be anything. */
static bool
concerns(struct weir_tls_watch *w, const struct inotify_event *e)
{
	bool is = e->mask & IN_Q_OVERFLOW;

	for (unsigned i = 0; i < w->n_spots; i++) {
		const struct spot *s = &w->spots[i];

		if (s->wd != e->wd || (e->len != 0 && (s->name == NULL || strcmp(s->name, e->name) != 0)))
			continue;
		s->pair->dirty = is = true;
	}
	return is;
}

static void
on_kernel(struct weir_fd *f, unsigned ev)
{
	struct weir_tls_watch *w = WEIR_OF(f, struct weir_tls_watch, kernel);
	char b[4096] __attribute__((aligned(8)));
	ssize_t n = read(f->fd, b, sizeof b);
	bool is = false;

	(void)ev;
	for (ssize_t at = 0; at < n; ) {
		const struct inotify_event *e = (const void *)(b + at);

		is |= concerns(w, e);
		at += (ssize_t)(sizeof *e + e->len);
	}
	if (!is)
		return;
	if (w->first_ms == 0)
		w->first_ms = weir_now_ms;
	if (weir_now_ms - w->first_ms < SETTLE_MAX_MS) {
		timer_off(&w->timer);		/* an interval may be longer */
		timer_set(&w->timer, SETTLE_MS);
	}
}

/* ---- for others ---- */

static void
clean_up(void *arg)
{
	struct weir_tls_watch *w = arg;

	watch_end(w);
	mem_free(w->spots);
}

struct weir_tls_pairs *
watch_pairs(struct weir_conf *cf)
{
	if (cf->watch == NULL) {
		cf->watch = POOL_NEW(cf->pool, weir_tls_watch);
		cf->watch->kernel.fd = -1;
		pool_on_free(cf->pool, clean_up, cf->watch);
	}
	return &cf->watch->pairs;
}

void
watch_begin(struct weir_tls_watch *w, void (*changed)(void))
{
	if (w == NULL)
		return;
	w->running = true;
	w->changed = changed;
	w->first_ms = weir_now_ms;
	for (unsigned i = 0; i < w->pairs.all.n; i++)
		w->pairs.all.v[i]->dirty = true;
	timer_init(&w->timer, on_timer);
	timer_set(&w->timer, 0);
}

void
watch_end(struct weir_tls_watch *w)
{
	if (w == NULL || !w->running)
		return;
	w->running = false;
	timer_off(&w->timer);
	/* a child of ours may still hold it for a moment, so closing alone does not end it */
	fd_unwatch(&w->kernel);
	fd_end(&w->kernel);
	forget_spots(w);
}

void
watch_forget(struct weir_tls_watch *w)
{
	if (w == NULL)
		return;
	w->running = false;
	fd_close(&w->kernel.fd);
}

int
watch_give(struct weir_tls_watch *w)
{
	return pairs_pack(&w->pairs);
}

int
watch_take(struct weir_tls_watch *w, int fd)
{
	if (w == NULL || pairs_unpack(&w->pairs, fd) != WEIR_OK) {
		log_alertx(weir_log, "cannot take over the certificates that have changed");
		return WEIR_FAIL;
	}
	log_debug(weir_log, "certificates that have changed are served");
	return WEIR_OK;
}
