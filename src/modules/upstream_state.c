/*
 * upstream_state.c - servers of a group that are kept in a file, through restarts: see core/peer/save.h.
 *
 * The keeper writes, because a disk may be slow: it looks twice a second for changes, which any worker may have made,
 * and once more when it ends.  A reload first sees to it that nothing is missing in the file that it is going to read.
 */
#include <sys/stat.h>

#include "core/peer/save.h"
#include "core/proc/cycle.h"
#include "core/proc/keeper.h"

enum { LOOK_MS = 500 };

struct file {
	struct file	*next;
	struct weir_group *group;
	const char	*path;
	struct weir_keeper_job job;
	bool		 told;		/* that it cannot be written */
};

struct upstream_state_conf { struct file *files; };	/* the top's knows all */

/* A reload that reads the file of a group that is at work. */
struct reload {
	struct weir_group *group;
	unsigned	 generation;	/* of that group */
};

static unsigned index_;
extern const struct weir_module upstream_state_module;

/* ---- writing ---- */

static void
save(struct weir_group *g, const char *path, bool *told)
{
	bool failed = servers_save(g, path) != WEIR_OK;

	if (failed && !*told)
		log_error(weir_log, "the servers of upstream %.*s cannot be written to \"%s\"", STR_ARG(g->name), path);
	*told = failed;
}

static void
on_look(struct weir_keeper_job *job)
{
	struct file *f = WEIR_OF(job, struct file, job);

	save(f->group, f->path, &f->told);
}

/* ---- reading ---- */

static void
on_end(void *arg)
{
	const struct reload *l = arg;

	/* the generation before is still the one at work: this one never was */
	if (weir_cycle != NULL && weir_cycle->generation == l->generation)
		servers_thaw(l->group);
}

/* What the running generation has not written yet goes into the file now, and nothing is changed until this one runs. */
static void
settle_running(struct weir_conf *cf, const struct weir_scope *s, struct weir_str name, const char *path)
{
	struct weir_group *(*in)(void *const *, struct weir_str) = s->in == IN_UPSTREAM ? group_find : group_find_stream;
	struct weir_group *g = weir_cycle != NULL ? in(weir_cycle->main->conf, name) : NULL;
	struct reload *l;
	bool told = false;

	if (g == NULL || g->shared == NULL)
		return;
	l = POOL_NEW(cf->pool, reload);
	*l = (struct reload){ g, weir_cycle->generation };
	servers_freeze(g);
	pool_on_free(cf->pool, on_end, l);
	save(g, path, &told);
}

static int
read_servers(struct weir_conf *cf, struct weir_scope *s, const struct weir_node *node, const char *path)
{
	struct weir_node *n, *next;
	int r = WEIR_OK;

	if (conf_read_lines(cf, node, path, &n) != WEIR_OK)
		return WEIR_FAIL;
	for (; n != NULL; n = next) {
		next = n->next;
		if (group_server(cf, s, n) != WEIR_OK)
			r = WEIR_FAIL;
	}
	return r;
}

/* ---- configuration ---- */

static int
allow_folder(struct weir_conf *cf, const struct weir_node *node, struct weir_str path)
{
	struct stat st;
	const char *dir;

	path.n = (size_t)WEIR_MAX(str_rchr(path, '/'), 1);
	dir = pool_cstr(cf->pool, path);
	/* what is made later stays forbidden for processes that have locked themselves in */
	if (stat(dir, &st) != 0)
		return conf_error(cf, node, 1, "there is no folder \"%s\" to write into", dir);
	cycle_needs_dir(cf, path, true);
	return WEIR_OK;
}

static int
set_state(struct weir_conf *cf, struct weir_scope *s, struct weir_node *node, void *conf)
{
	struct upstream_state_conf *all = cf->main->conf[index_];
	struct weir_group *g = s->owner;
	struct weir_str path = conf_path(cf, node->w[1].s, false);
	struct file *f = POOL_NEW(cf->pool, file);

	(void)conf;
	if (node->w[1].s.n == 0)
		return conf_error(cf, node, 1, "the file has no name");
	for (const struct file *o = all->files; o != NULL; o = o->next)
		if (strcmp(o->path, path.p) == 0)
			return conf_error(cf, node, 1, "this is the file of upstream \"%.*s\" already",
			    STR_ARG(o->group->name));
	f->next = all->files;
	all->files = f;
	f->group = g;
	f->path = path.p;
	f->job = (struct weir_keeper_job){ .name = "state of an upstream", .first_ms = LOOK_MS, .every_ms = LOOK_MS,
		.at_end = true, .fn = on_look };
	g->may_be_empty = true;
	group_allow_changes(cf);
	if (allow_folder(cf, node, path) != WEIR_OK)
		return WEIR_FAIL;
	keeper_add(cycle_of(cf), &f->job);
	settle_running(cf, s, g->name, path.p);
	return read_servers(cf, s, node, path.p);
}

static int
done(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	const struct weir_node *n;

	(void)conf;
	if (!(s->in & (IN_UPSTREAM | IN_STREAM_UPSTREAM)))
		return WEIR_OK;
	if ((n = conf_written(s, &upstream_module, "server")) != NULL)
		return conf_error(cf, n, 0, "servers stand in the file that \"state\" names, or in this block, not in both");
	if (conf_written(s, &upstream_module, "zone") == NULL)
		return conf_error(cf, conf_written(s, &upstream_state_module, "state"), 0, "servers that change at run time "
		    "must be in shared memory: give the upstream a zone");
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "state", IN_UPSTREAM | IN_STREAM_UPSTREAM, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_state, .args = "file",
	  .doc = "A file with the servers of the group, one server line for each, instead of such lines in this block.  It is "
	  "read at start and by reloads, and written, within a second, when api has changed something.  At first it "
	  "may be missing: then there are no servers.  Its folder must be writable for the user of the workers, and "
	  "be there at start.  Names in it become addresses when it is written.  Without it a reload restores what the configuration says." },
	{ 0 }
};

const struct weir_module upstream_state_module = {
	.name = "upstream_state", .index = &index_, .conf_size = sizeof(struct upstream_state_conf), .cmds = cmds,
	.done = done,
	.doc = "Servers that are changed while the server runs outlive restarts.",
};
