/*
 * random_index.c - any file of a folder stands for it.
 *
 * Each file that is met takes the place of the one before with the chance of one to their number, so
 * that nothing is kept and all have the same chance.  A large folder is read in several turns of
 * the loop.
 */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/os/random.h"
#include "http/req/files.h"

enum { ONE_TURN = 1024 };	/* entries */

struct random_conf {
	bool		 on;
};

struct search {
	struct weir_req	*r;
	DIR		*dir;		/* NULL: it was read to its end */
	struct weir_str	 path;
	struct weir_task more;
	uint32_t	 n;		/* files that were met */
	char		 name[NAME_MAX + 1];
	int		 status;	/* of an error; 0: none */
};

static unsigned index_;
extern const struct weir_module random_index_module;

static void
close_dir(struct search *f)
{
	if (f->dir != NULL)
		closedir(f->dir);
	f->dir = NULL;
}

static void
end_search(void *search)
{
	struct search	*f = search;

	close_dir(f);
	task_off(&f->more);
}

static bool
is_file(const struct search *f, const struct dirent *d)
{
	bool		follow = REQ_CORE(f->r)->symlinks == SYMLINKS_ALL;
	struct stat	st;

	if (d->d_type == DT_REG)
		return true;
	if (d->d_type != DT_UNKNOWN && (d->d_type != DT_LNK || !follow))
		return false;
	return fstatat(dirfd(f->dir), d->d_name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode);
}

static void
look_on(struct search *f)
{
	const struct dirent	*d;
	unsigned		 i;

	for (i = 0; i < ONE_TURN; i++) {
		errno = 0;
		if ((d = readdir(f->dir)) == NULL) {
			if (errno != 0) {
				log_crit(&f->r->s.log, "readdir() \"%.*s\" failed", STR_ARG(f->path));
				f->status = 500;
			}
			close_dir(f);
			return;
		}
		if (d->d_name[0] == '.' || strlen(d->d_name) > NAME_MAX || !is_file(f, d))
			continue;
		if (random_below(++f->n) == 0)
			strcpy(f->name, d->d_name);
	}
}

static void
on_more(struct weir_task *t)
{
	struct search	*f = WEIR_OF(t, struct search, more);

	if (f->r->finished)
		close_dir(f);
	else
		look_on(f);
	if (f->dir != NULL)
		task_post(t);
	else
		weir_resume(&f->r->s);
}

static enum weir_next
go(struct search *f)
{
	struct weir_req	*r = f->r;

	if (f->status != 0)
		return req_error(r, f->status);
	if (f->n == 0)
		return WEIR_NEXT;
	return req_redirect(r, pool_printf(r->s.pool, "%.*s%s", STR_ARG(r->uri.path), f->name),
	    r->uri.args);
}

static enum weir_next
begin(struct weir_req *r, struct search **keep)
{
	struct search	*f = POOL_NEW(r->s.pool, search);
	int		 fd, status = req_path(r, r->uri.path, &f->path);

	if (status != 0)
		return req_error(r, status);
	f->r = r;
	task_init(&f->more, on_more);
	pool_on_free(r->s.pool, end_search, f);
	if (f->path.n > 1)
		f->path = str_c(pool_cstr(r->s.pool, str_of(f->path.p, f->path.n - 1)));
	fd = req_open_folder(r, f->path);
	if (fd < 0 || (f->dir = fdopendir(fd)) == NULL) {
		status = req_file_error(r, "opendir()", f->path);
		if (fd >= 0)
			close(fd);
		return req_error(r, status);
	}
	look_on(f);
	if (f->dir == NULL)
		return go(f);
	*keep = f;
	task_post(&f->more);
	return WEIR_WAIT;
}

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req	 *r = req_of(s);
	struct search	**keep, *f;

	if (!REQ_CONF(r, random_conf, random_index_module)->on || !str_ends(r->uri.path, STR("/")) ||
	    (r->method_id != M_GET && r->method_id != M_HEAD && r->method_id != M_POST))
		return WEIR_NEXT;
	keep = sess_ctx_make(s, index_, sizeof(*keep));
	if ((f = *keep) == NULL)
		return begin(r, keep);
	if (f->dir != NULL)
		return WEIR_WAIT;
	*keep = NULL;
	return go(f);
}

static const struct weir_cmd cmds[] = {
	{ "random_index", IN_LOCATION, CONF_FLAG, CONF_AT(random_conf, on), .def = "off",
	  .doc = "Any file of the folder stands for it, another one each time, rather than an index "
	  "file.  Names that begin with a dot are left out." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return !((const struct random_conf *)conf)->on;
}

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, idle }, { 0 } };

const struct weir_module random_index_module = {
	.name = "random_index", .index = &index_, .conf_size = sizeof(struct random_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Any file of a folder.",
};
