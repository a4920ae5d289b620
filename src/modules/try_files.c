/*
 * try_files.c - the first of some files that exists, else somewhere else.
 *
 * A hit changes the request's path only; what is then done with it is the next
 * content handler's matter.
 */
#include "core/base/num.h"
#include "http/req/files.h"

struct try_file {
	struct weir_expr name;
	bool		 dir;		/* it ended with a slash: a folder is wanted */
};

struct try_list {
	struct try_file	*v;		/* the last is where to go */
	unsigned	 n, room;
	int		 status;	/* of =code, else 0 */
};

struct try_conf {
	struct try_list	list;
};

static unsigned index_;
extern const struct weir_module try_files_module;

static int
set_try(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct try_list	*l = &((struct try_conf *)conf)->list;
	struct weir_str	 text = node->w[node->n - 1].s;
	struct try_file	*f;
	unsigned	 w;
	uint64_t	 n;

	(void)scope;
	memset(l, 0, sizeof(*l));
	for (w = 1; w < node->n; w++) {
		f = POOL_PUSH(cf->pool, l);
		text = node->w[w].s;
		if (w + 1 < node->n && text.n > 0 && text.p[text.n - 1] == '/') {
			f->dir = true;
			text.n--;
		}
		if (expr_compile(cf, node, w, text, &f->name) != WEIR_OK)
			return WEIR_FAIL;
	}
	if (text.n == 0 || text.p[0] != '=')
		return WEIR_OK;
	if (num_u64(str_from(text, 1), &n) != WEIR_OK || n > 999)
		return conf_error(cf, node, node->n - 1, "invalid code \"%.*s\"", STR_ARG(text));
	l->status = (int)n;
	return WEIR_OK;
}

/* Under an alias a name that repeats the location's is meant without it. */
static struct weir_str
below_alias(const struct weir_http_conf *c, struct weir_str name)
{
	if (c->alias.set && c->alias_of->regex == NULL && str_begins(name, c->alias_of->name))
		return str_from(name, c->alias_of->name.n);
	return name;
}

/* The URI under which the next handler finds the file. */
static void
found(struct weir_req *r, const struct try_file *f, struct weir_str name)
{
	const struct weir_http_conf	*c = REQ_CORE(r);

	if (c->alias.set && c->alias_of->regex != NULL) {
		if (f->dir)
			return;
		r->uri_to_alias = true;
	} else if (c->alias.set) {
		name = pool_printf(r->s.pool, "%.*s%.*s", STR_ARG(c->alias_of->name), STR_ARG(name));
	}
	r->uri.path = name;
	r->uri.plain = false;
}

static bool
exists(struct weir_req *r, const struct try_file *f)
{
	struct weir_str	name = below_alias(REQ_CORE(r), expr_eval(&r->s, &f->name));
	struct weir_str	root = req_root(r), path;
	struct stat	st;

	path = pool_printf(r->s.pool, "%.*s%.*s%c", STR_ARG(root), STR_ARG(name), '\0');
	path.n--;
	if (req_stat(r, path, &st) != 0) {
		if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG && errno != EACCES &&
		    errno != ELOOP)
			log_crit(&r->s.log, "stat() \"%.*s\" failed", STR_ARG(path));
		return false;
	}
	if (S_ISDIR(st.st_mode) != f->dir)
		return false;
	found(r, f, name);
	return true;
}

static enum weir_next
give_up(struct weir_req *r, const struct try_list *l)
{
	struct weir_str	to, args = STR_NONE;
	ssize_t		q;

	if (l->status != 0)
		return req_error(r, l->status);
	to = expr_eval(&r->s, &l->v[l->n - 1].name);
	if (to.n != 0 && to.p[0] == '@')
		return req_redirect_named(r, to);
	if ((q = str_chr(to, '?')) >= 0) {
		args = str_from(to, (size_t)q + 1);
		to.n = (size_t)q;
	}
	return req_redirect(r, to, args);
}

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req		*r = req_of(s);
	const struct try_list	*l = &REQ_CONF(r, try_conf, try_files_module)->list;
	unsigned		 i;

	if (l->n == 0)
		return WEIR_NEXT;
	for (i = 0; i + 1 < l->n; i++)
		if (exists(r, &l->v[i]))
			return WEIR_NEXT;
	return give_up(r, l);
}

static const struct weir_cmd cmds[] = {
	{ "try_files", IN_SERVER | IN_LOCATION, CONF_CUSTOM, CONF_AT(try_conf, list),
	  .args_min = 2, .args_max = CONF_ANY, .set = set_try, .flags = CONF_NOINHERIT,
	  .args = "file ... uri | @name | =code",
	  .doc = "The first of these files that exists below root or alias is what the request means; a "
	  "slash at the end asks for a folder.  If there is none, the request goes on to the last "
	  "argument.  May contain variables." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return ((const struct try_conf *)conf)->list.n == 0;
}

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, idle }, { 0 } };

const struct weir_module try_files_module = {
	.name = "try_files", .index = &index_, .conf_size = sizeof(struct try_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Tries files one after the other.",
};
