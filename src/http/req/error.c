/*
 * error.c - answers that are not content: error_page and the built-in pages.
 */
#include "config.h"
#include "http/req/secure.h"
#include "http/req/steps.h"

static struct weir_error_page *
page_for(const struct weir_http_conf *c, int status)
{
	for (struct weir_error_page *p = c->error_pages; p != NULL; p = p->next)
		if (p->status == status)
			return p;
	return NULL;
}

static bool
is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Start the response over: what a content handler prepared does not count any more. */
static void
forget(struct weir_req *r)
{
	static const enum weir_known of_content[] = { H_ETAG, H_LAST_MODIFIED, H_CONTENT_ENCODING,
	    H_ACCEPT_RANGES };
	unsigned	i;

	for (i = 0; i < WEIR_COUNT(of_content); i++)
		fields_remove_known(&r->rsp.fields, of_content[i]);
	if (r->body != NULL) {
		src_stop(r->body);
		r->body = NULL;
	}
	r->rsp.length = -1;
	r->rsp.reason = STR_NONE;
	r->content_type = STR_NONE;
	r->trailers.n = 0;
	r->allow_ranges = false;
}

static enum weir_next
send_page(struct weir_req *r, struct weir_error_page *p, int status)
{
	struct weir_str to = expr_eval(&r->s, &p->to), args = STR_NONE;
	ssize_t q;

	/* As nginx has it, the place of the first error says whether a second one has a page, too. */
	r->in_error = REQ_CORE(r)->recursive_error_pages ? 1 : 2;
	r->rsp.status = p->new_status > 0 ? p->new_status : p->new_status == 0 ? 0 : status;
	if (to.n != 0 && to.p[0] == '@') {
		r->err_status = r->rsp.status;
		return req_redirect_named(r, to);
	}
	if (to.n != 0 && to.p[0] == '/') {
		if (r->method_id != M_HEAD) {
			r->method_id = M_GET;
			r->method = STR("GET");
		}
		r->err_status = r->rsp.status;
		q = str_chr(to, '?');
		if (q >= 0) {
			args = str_from(to, (size_t)q + 1);
			to.n = (size_t)q;
		}
		return req_redirect(r, to, args);
	}
	/* elsewhere: a redirect the client follows */
	fields_remove_known(&r->rsp.fields, H_LOCATION);
	req_add(r, "Location", to);
	r->local_location = false;
	if (!is_redirect(r->rsp.status))
		r->rsp.status = 302;
	return req_error_builtin(r, r->rsp.status);
}

/* After these the connection's state is in doubt (nginx closes after the same ones). */
static bool
ends_connection(int status)
{
	return status == 400 || status == 408 || status == 413 || status == 414 || status == 417 ||
	    status == 431 || status == 500 || status == 501 || status == 505;
}

enum weir_next
req_error_builtin(struct weir_req *r, int status)
{
	const struct weir_http_conf *c = REQ_CORE(r);
	const char *text = secure_text(status);
	int shown = text != NULL ? 400 : status;
	struct weir_str reason = status_reason(shown), page;

	r->err_status = 0;
	if (status < 300 || status == 304 || status == 444) {
		r->rsp.status = status;
		r->rsp.length = 0;
		return req_respond(r);
	}
	page = pool_printf(r->s.pool,
	    "<html>\r\n<head><title>%d %.*s</title></head>\r\n<body>\r\n"
	    "<center><h1>%d %.*s</h1></center>\r\n%s%s%s<hr><center>%s</center>\r\n</body>\r\n</html>\r\n",
	    shown, STR_ARG(text != NULL ? str_c(text) : reason), shown, STR_ARG(reason),
	    text != NULL ? "<center>" : "", text != NULL ? text : "", text != NULL ? "</center>\r\n" : "",
	    c->server_tokens != 0 && !c->server_tokens_expr.set ? "weir/" WEIR_VERSION : "weir");
	return req_respond_text(r, shown, STR("text/html"), page);
}

enum weir_next
req_error(struct weir_req *r, int status)
{
	const struct weir_http_conf *c = REQ_CORE(r);
	struct weir_error_page *page = NULL;

	if (r->finished)
		return WEIR_DONE;
	if (r->head_sent) {
		req_abort(r, "the response had begun");
		return WEIR_DONE;
	}
	log_debug(&r->s.log, "answering with status %d", status);
	if (status == 444 || r->x->gone > 1) {		/* close without a word */
		r->rsp.status = status;
		req_abort(r, NULL);
		return WEIR_DONE;
	}
	forget(r);
	if (!is_redirect(status))
		fields_remove_known(&r->rsp.fields, H_LOCATION);
	if (ends_connection(status))
		r->keepalive = false;
	r->rsp.status = status;
	if (r->in_error < 2)
		page = page_for(c, status);
	if (page != NULL)
		return send_page(r, page, status);
	/* an error within an error page shows the first error, as nginx does */
	return req_error_builtin(r, status);
}
