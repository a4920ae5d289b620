/*
 * static.c - files.
 *
 * The last content handler: whoever has not answered until here wants a file.  It is
 * opened without blocking, so that a FIFO holds nobody up, and only a regular file is sent.
 */
#include "core/io/file.h"
#include "http/req/files.h"

static enum weir_next
forbidden_index(struct weir_req *r)
{
	struct weir_str	path;
	int		status = req_path(r, r->uri.path, &path);

	if (status != 0)
		return req_error(r, status);
	log_errorx(&r->s.log, "directory index of \"%.*s\" is forbidden", STR_ARG(path));
	return req_error(r, 403);
}

/* "/dir" is a folder: it is called "/dir/". */
static enum weir_next
add_slash(struct weir_req *r)
{
	struct weir_str	path = uri_escape(r->s.pool, r->uri.path, ESCAPE_URI);
	bool		args = r->uri.args.n != 0;

	req_add(r, "Location", pool_printf(r->s.pool, "%.*s/%s%.*s", STR_ARG(path),
	    args ? "?" : "", args ? (int)r->uri.args.n : 0, args ? r->uri.args.p : ""));
	return req_error(r, 301);
}

static enum weir_next
send_found(struct weir_req *r, const struct weir_found *found, struct weir_str path)
{
	if (S_ISDIR(found->st.st_mode))
		return add_slash(r);
	if (found->file == NULL) {
		log_critx(&r->s.log, "\"%.*s\" is not a regular file", STR_ARG(path));
		return req_error(r, 404);
	}
	if (r->method_id == M_POST) {
		file_unref(found->file);
		return req_error(r, 405);
	}
	return req_send_file(r, found, true);
}

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req	*r = req_of(s);
	struct weir_found found;
	struct weir_str	 path;
	int		 status;

	if (r->method_id != M_GET && r->method_id != M_HEAD && r->method_id != M_POST)
		return req_error(r, 405);
	if (str_ends(r->uri.path, STR("/")))
		return forbidden_index(r);
	if ((status = req_path(r, r->uri.path, &path)) != 0)
		return req_error(r, status);
	if (req_open(r, path, &found) != WEIR_OK)
		return req_error(r, req_file_error(r, found.failed, path));
	return send_found(r, &found, path);
}

static unsigned index_;

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, NULL }, { 0 } };

const struct weir_module static_module = {
	.name = "static", .index = &index_, .hooks = hooks,
	.doc = "Files below root or alias, for GET and HEAD.",
};
