/*
 * redirect.c - a request goes back to be routed again, without the client knowing.
 */
#include "http/req/steps.h"

static bool
too_many(struct weir_req *r)
{
	if (++r->redirects <= REQ_MAX_REDIRECTS)
		return false;
	log_errorx(&r->s.log, "rewrite or internal redirection cycle while internally redirecting "
	    "to \"%.*s\"", STR_ARG(r->uri.path));
	return true;
}

/* What belonged to the old place does not follow; the variables are asked anew. */
static void
leave(struct weir_req *r)
{
	if (r->body != NULL) {
		src_stop(r->body);
		r->body = NULL;
	}
	if (r->s.ctx != NULL)
		memset(r->s.ctx, 0, weir_n_modules * sizeof *r->s.ctx);
	r->internal = true;
	r->uri_changed = false;
}

enum weir_next
req_redirect(struct weir_req *r, struct weir_str uri, struct weir_str args)
{
	if (too_many(r))
		return req_error(r, 500);
	leave(r);
	r->uri.path = uri;
	r->uri.args = args;
	r->uri.has_args = args.p != NULL;
	r->uri.plain = false;
	r->uri_rewritten = true;
	req_set_location(r, NULL);
	req_go(r, STEP_SERVER_REWRITE);
	return WEIR_DONE;
}

enum weir_next
req_redirect_named(struct weir_req *r, struct weir_str name)
{
	struct weir_location *loc = hash_get(&r->server->named, name);

	if (loc == NULL) {
		log_errorx(&r->s.log, "could not find named location \"%.*s\"", STR_ARG(name));
		return req_error_builtin(r, 500);
	}
	if (too_many(r))
		return req_error_builtin(r, 500);
	leave(r);
	req_set_location(r, loc);
	req_go(r, STEP_REWRITE);
	return WEIR_DONE;
}
