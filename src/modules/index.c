/*
 * index.c - which file stands for a folder.
 *
 * The first that exists is gone to by an internal redirect, so that its own location is found.
 */
#include "http/req/files.h"

struct index_names {
	struct weir_expr *v;
	unsigned	 n, room;
};

struct index_conf {
	struct index_names names;
};

static unsigned index_;

static int
set_index(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct index_conf	*c = conf;
	struct weir_expr	*e;
	unsigned		 w;

	(void)scope;
	for (w = 1; w < node->n; w++) {
		if (node->w[w].s.n == 0)
			return conf_error(cf, node, w, "index \"\" in \"index\" directive is invalid");
		if (node->w[w].s.p[0] == '/' && w + 1 < node->n)
			conf_warn(cf, node, w, "only the last index in \"index\" directive should be "
			    "absolute: what follows is never looked at");
		e = POOL_PUSH(cf->pool, &c->names);
		if (expr_field(cf, node, w, e) != WEIR_OK)
			return WEIR_FAIL;
	}
	return WEIR_OK;
}

extern const struct weir_module index_module;

/* No index is there: is the folder?  0: yes, or a status. */
static int
check_folder(struct weir_req *r, struct weir_str path)
{
	struct stat	st;

	if (req_stat(r, path, &st) == 0)
		return 0;
	if (errno != ENOENT)
		return req_file_error(r, "stat()", path);
	if (REQ_CORE(r)->log_not_found)
		log_error(&r->s.log, "\"%.*s\" is not found", STR_ARG(path));
	return 404;
}

/* Go to the index, if it exists.  WEIR_NEXT: it does not. */
static enum weir_next
try(struct weir_req *r, struct weir_str folder, struct weir_str name)
{
	struct weir_str	path = pool_printf(r->s.pool, "%.*s%.*s%c", STR_ARG(folder), STR_ARG(name), '\0');
	struct stat	st;

	if (name.n == 0)
		return WEIR_NEXT;
	path.n--;
	if (req_stat(r, path, &st) == 0)
		return req_redirect(r, pool_printf(r->s.pool, "%.*s%.*s", STR_ARG(r->uri.path),
		    STR_ARG(name)), r->uri.args);
	if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG)
		return WEIR_NEXT;
	return req_error(r, req_file_error(r, "stat()", path));
}

/* A variable may hold what a client sent. */
static bool
stays_below_root(struct weir_str uri)
{
	return str_find(uri, STR("/../")) < 0 && !str_ends(uri, STR("/.."));
}

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req		*r = req_of(s);
	const struct index_conf	*c = REQ_CONF(r, index_conf, index_module);
	struct weir_str		 folder, name;
	enum weir_next		 next;
	unsigned		 i;
	int			 status;

	if (!str_ends(r->uri.path, STR("/")) ||
	    (r->method_id != M_GET && r->method_id != M_HEAD && r->method_id != M_POST))
		return WEIR_NEXT;
	if ((status = req_path(r, r->uri.path, &folder)) != 0)
		return req_error(r, status);
	for (i = 0; i < c->names.n; i++) {
		name = expr_eval(s, &c->names.v[i]);
		if (name.n != 0 && name.p[0] == '/' && stays_below_root(name))
			return req_redirect(r, name, r->uri.args);
		if ((next = try(r, folder, name)) != WEIR_NEXT)
			return next;
	}
	status = c->names.n != 0 ? check_folder(r, folder) : 0;
	return status != 0 ? req_error(r, status) : WEIR_NEXT;
}

static const struct weir_cmd cmds[] = {
	{ "index", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(index_conf, names), .def = "index.html",
	  .args_min = 1, .args_max = CONF_ANY, .set = set_index, .flags = CONF_MULTI,
	  .args = "file ...", .doc = "What stands for a path that ends with a slash: the first of these "
	  "that exists.  The last may be a path of its own, which is taken in any case.  May contain "
	  "variables." },
	{ 0 }
};

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, NULL }, { 0 } };

const struct weir_module index_module = {
	.name = "index", .index = &index_, .conf_size = sizeof(struct index_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Index files of folders.",
};
