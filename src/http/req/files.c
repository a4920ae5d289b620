/*
 * files.c - root and alias: from a URI to the path of a file.
 */
#include "core/base/clock.h"
#include "core/io/file.h"
#include "http/req/core.h"
#include "http/req/files.h"

/* ---- configuration ---- */

/* A path; one that begins with a variable is made absolute when its value is known. */
static int
compile_path(struct weir_conf *cf, struct weir_node *node, struct weir_str text,
    struct weir_expr *to)
{
	static const char *const self[] = { "$document_root", "${document_root}",
	    "$realpath_root", "${realpath_root}" };
	unsigned	i;

	for (i = 0; i < WEIR_COUNT(self); i++)
		if (str_find(text, str_c(self[i])) >= 0)
			return conf_error(cf, node, 1, "the %s variable cannot be used in the "
			    "\"%.*s\" directive", self[i], STR_ARG(node->w[0].s));
	if (text.n == 0 || text.p[0] != '$')
		text = conf_path(cf, text, false);
	memset(to, 0, sizeof(*to));
	if (expr_compile(cf, node, 1, text, to) != WEIR_OK)
		return WEIR_FAIL;
	to->set = true;
	return WEIR_OK;
}

int
conf_root(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_http_conf	*c = conf;
	struct weir_str		 text = node->w[1].s;

	if (conf_set_here(scope, &http_module, "alias"))
		return conf_error(cf, node, 0, "\"root\" directive is duplicate, \"alias\" directive "
		    "was specified earlier");
	while (text.n > 1 && text.p[text.n - 1] == '/')
		text.n--;
	memset(&c->alias, 0, sizeof(c->alias));
	return compile_path(cf, node, text, &c->root);
}

/* "location /i { alias /data/; }": /i../x would be /data/../x. */
static void
warn_gap(struct weir_conf *cf, const struct weir_node *node, const struct weir_location *loc)
{
	struct weir_str	text = node->w[1].s;

	if (loc->regex == NULL && loc->kind != LOC_EXACT && !str_ends(loc->name, STR("/")) &&
	    str_ends(text, STR("/")))
		conf_warn(cf, node, 1, "location \"%.*s\" does not end with \"/\" as its alias does: "
		    "\"%.*s../\" would leave \"%.*s\", weir answers it with 404",
		    STR_ARG(loc->name), STR_ARG(loc->name), STR_ARG(text));
}

int
conf_alias(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_http_conf		*c = conf;
	const struct weir_location	*loc = scope_location(scope);

	if (loc->kind == LOC_NAMED)
		return conf_error(cf, node, 0, "the \"alias\" directive cannot be used inside the "
		    "named location");
	if (conf_set_here(scope, &http_module, "root"))
		return conf_error(cf, node, 0, "\"alias\" directive is duplicate, \"root\" directive "
		    "was specified earlier");
	warn_gap(cf, node, loc);
	c->alias_of = loc;
	return compile_path(cf, node, node->w[1].s, &c->alias);
}

/* ---- at work ---- */

/* The value followed by `rest`, absolute. */
static struct weir_str
join(struct weir_req *r, const struct weir_expr *e, struct weir_str rest)
{
	struct weir_str	dir = expr_eval(&r->s, e), prefix = STR("");
	size_t		n;
	char		*p;

	if (dir.n == 0 || dir.p[0] != '/')
		prefix = str_c(weir_cycle->prefix);
	n = prefix.n + dir.n + rest.n;
	p = pool_bytes(r->s.pool, n + 1);
	memcpy(p, prefix.p, prefix.n);
	if (dir.n != 0)
		memcpy(p + prefix.n, dir.p, dir.n);
	if (rest.n != 0)
		memcpy(p + prefix.n + dir.n, rest.p, rest.n);
	p[n] = '\0';
	return str_of(p, n);
}

/* What of the URI is put behind the alias.  0 or a status. */
static int
behind_alias(struct weir_req *r, const struct weir_location *of, struct weir_str uri,
    struct weir_str *rest)
{
	if (of->regex != NULL) {
		*rest = r->uri_to_alias ? uri : STR("");
		return 0;
	}
	if (!str_begins(uri, of->name)) {
		log_alertx(&r->s.log, "\"alias\" cannot be used in location \"%.*s\" where URI was "
		    "rewritten", STR_ARG(of->name));
		return 500;
	}
	*rest = str_from(uri, of->name.n);
	/* The URI has no "..", but what is left of "/i../x" begins with one. */
	if (str_eq(*rest, STR("..")) || str_begins(*rest, STR("../"))) {
		log_errorx(&r->s.log, "\"%.*s\" would leave the alias of location \"%.*s\"",
		    STR_ARG(uri), STR_ARG(of->name));
		return 404;
	}
	return 0;
}

int
req_path(struct weir_req *r, struct weir_str uri, struct weir_str *path)
{
	const struct weir_http_conf	*c = REQ_CORE(r);
	struct weir_str			 rest = uri;
	int				 status = 0;

	if (c->alias.set)
		status = behind_alias(r, c->alias_of, uri, &rest);
	if (status == 0)
		*path = join(r, c->alias.set ? &c->alias : &c->root, rest);
	return status;
}

struct weir_str
req_root(struct weir_req *r)
{
	const struct weir_http_conf	*c = REQ_CORE(r);

	return join(r, c->alias.set ? &c->alias : &c->root, STR(""));
}

static struct weir_str
extension(struct weir_str path)
{
	size_t	i;

	for (i = path.n; i > 0 && path.p[i - 1] != '/'; i--)
		if (path.p[i - 1] == '.')
			return str_from(path, i);
	return STR_NONE;
}

struct weir_str
req_type(struct weir_req *r)
{
	const struct weir_http_conf	*c = REQ_CORE(r);
	struct weir_str			 ext = extension(r->uri.path);
	const struct weir_str		*type = NULL;

	if (ext.n != 0 && c->types != NULL)
		type = hash_get(c->types, ext);
	return type != NULL ? *type : c->default_type;
}

int
req_file_error(struct weir_req *r, const char *what, struct weir_str path)
{
	int	err = errno;

	switch (err) {
	case ENOENT: case ENOTDIR: case ENAMETOOLONG:
		if (REQ_CORE(r)->log_not_found)
			log_error(&r->s.log, "%s \"%.*s\" failed", what, STR_ARG(path));
		return 404;
	case EACCES: case ELOOP: case EMLINK: case EPERM:
		log_error(&r->s.log, "%s \"%.*s\" failed", what, STR_ARG(path));
		return 403;
	default:
		log_crit(&r->s.log, "%s \"%.*s\" failed", what, STR_ARG(path));
		return 500;
	}
}

/* ---- sending ---- */

static void
end_src(void *src)
{
	file_src_end(src);
}

static void
add_validators(struct weir_req *r, const struct stat *st)
{
	char	*date = pool_bytes(r->s.pool, HTTP_DATE_LEN);

	http_date_put(date, WEIR_MAX(st->st_mtime, 0));
	req_add(r, "Last-Modified", str_of(date, HTTP_DATE_LEN));
	if (REQ_CORE(r)->etag)
		req_add(r, "ETag", pool_printf(r->s.pool, "\"%llx-%llx\"",
		    (unsigned long long)st->st_mtime, (unsigned long long)st->st_size));
}

enum weir_next
req_send_file(struct weir_req *r, const struct weir_found *f, bool ranges)
{
	struct weir_file_src	*src = POOL_NEW(r->s.pool, weir_file_src);

	file_src_init(src, f->file, 0, (uint64_t)f->st.st_size, !REQ_CORE(r)->sendfile);
	if (REQ_CORE(r)->aio_threads)
		file_src_warm(src);
	file_unref(f->file);
	pool_on_free(r->s.pool, end_src, src);
	add_validators(r, &f->st);
	r->rsp.status = 200;
	r->rsp.length = f->st.st_size;
	r->content_type = r->accel_type.n != 0 ? r->accel_type : req_type(r);
	r->body = &src->src;
	r->conditional = true;
	r->allow_ranges = ranges;
	return req_respond(r);
}
