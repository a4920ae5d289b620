/*
 * respond.c - the head goes out, the body is pumped, the request ends.
 */
#include "config.h"
#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/io/file.h"
#include "core/io/qsrc.h"
#include "core/proc/cycle.h"
#include "http/req/rate.h"
#include "http/req/steps.h"
#include "http/req/sub.h"

enum { PUMP_CAP = 65536 };

struct weir_field *
req_add(struct weir_req *r, const char *name, struct weir_str value)
{
	struct weir_str n = str_c(name);

	if (!is_field_value(value)) {
		log_errorx(&r->s.log, "response field \"%s\" would hold a line end or NUL: dropped", name);
		return NULL;
	}
	if (name_find(n) == H_LOCATION) {	/* one of an earlier attempt does not count */
		fields_remove_known(&r->rsp.fields, H_LOCATION);
		r->local_location = true;
	}
	return fields_add(&r->rsp.fields, r->s.pool, n, value);
}

/* ---- the head ---- */

static struct weir_str
server_token(struct weir_req *r, const struct weir_http_conf *c)
{
	if (c->server_tokens_expr.set)
		return expr_eval(&r->s, &c->server_tokens_expr);
	if (c->server_tokens == 0)
		return STR("weir");
	return STR("weir/" WEIR_VERSION);
}

static bool
is_default_port(const struct weir_req *r, unsigned port)
{
	return port == (conn_is_tls(r->s.conn) ? 443 : 80);
}

/* "/x" becomes scheme://host[:port]/x where absolute_redirect wants it. */
static void
absolute_location(struct weir_req *r, const struct weir_http_conf *c)
{
	struct weir_field *f = fields_known(&r->rsp.fields, H_LOCATION);
	struct weir_addr local;
	char addr[ADDR_TEXT_MAX];
	struct weir_str host = r->host;
	const char *scheme = conn_is_tls(r->s.conn) ? "https" : "http";
	unsigned port;
	bool v6;

	if (!c->absolute_redirect || !r->local_location || f == NULL || f->value.n == 0 ||
	    f->value.p[0] != '/')
		return;
	conn_local(r->s.conn, &local);
	port = addr_port(&local);
	if (c->server_name_in_redirect)
		host = r->server->site.name;
	if (host.n == 0)
		host = pool_str(r->s.pool, str_of(addr, addr_put_ip(addr, &local)));
	v6 = host.p[0] != '[' && str_chr(host, ':') >= 0;
	if (c->port_in_redirect && port != 0 && !is_default_port(r, port))
		f->value = pool_printf(r->s.pool, v6 ? "%s://[%.*s]:%u%.*s" : "%s://%.*s:%u%.*s", scheme,
		    STR_ARG(host), port, STR_ARG(f->value));
	else
		f->value = pool_printf(r->s.pool, v6 ? "%s://[%.*s]%.*s" : "%s://%.*s%.*s", scheme,
		    STR_ARG(host), STR_ARG(f->value));
}

static bool
is_old_msie(const struct weir_req *r)
{
	struct weir_str ua = fields_value(&r->msg->fields, H_USER_AGENT);

	return r->msg->method_id == M_POST && str_find(ua, STR("MSIE 6.")) >= 0 &&
	    str_find(ua, STR("Opera")) < 0;
}

static bool
is_safari(const struct weir_req *r)
{
	struct weir_str ua = fields_value(&r->msg->fields, H_USER_AGENT);

	return str_find(ua, STR("Mac OS X")) >= 0 && str_find(ua, STR("Safari/")) >= 0 &&
	    str_find(ua, STR("Chrome/")) < 0;
}

static uint32_t
short_ms(uint64_t ms)
{
	return (uint32_t)WEIR_MIN(ms, (uint64_t)UINT32_MAX);
}

static void
decide_keepalive(struct weir_req *r, const struct weir_http_conf *c)
{
	struct weir_after *a = &r->x->after;

	a->keepalive_ms = short_ms(c->keepalive_ms);
	a->keepalive_min_ms = short_ms(c->keepalive_min_ms);
	a->keepalive_header_ms = short_ms(c->keepalive_header_ms);
	/* while a handshake is not over the client has more to say: to close would lose the response */
	a->linger = r->s.early ? 2 : (uint8_t)c->lingering;
	a->linger_ms = short_ms(c->linger_ms);
	a->linger_each_ms = short_ms(c->linger_each_ms);
	a->last = r->x->number >= (unsigned)c->keepalive_requests ||
	    weir_now_ms - r->s.conn->began_ms > c->keepalive_time_ms;
	if (!r->keepalive)
		return;
	if (c->keepalive_ms == 0 || a->last)
		r->keepalive = false;
	else if (((c->keepalive_disable & 1) && is_old_msie(r)) ||
	    ((c->keepalive_disable & 2) && is_safari(r)))
		r->keepalive = false;
	/*
	 * An error that was sent before the body was read ends the connection: what is still to
	 * come must not be taken for a request (S-24).
	 */
	else if (!r->x->in_eof && r->rsp.status >= 400 && req_body_skip(r) != WEIR_OK)
		r->keepalive = false;
}

void
req_head_ready(struct weir_req *r)
{
	const struct weir_http_conf *c = REQ_CORE(r);
	struct weir_fields *fs = &r->rsp.fields;
	bool server = false, date = false, type = r->content_type.n == 0;

	for (unsigned i = 0; i < fs->n; i++) {
		server |= fs->v[i].known == H_SERVER;
		date |= fs->v[i].known == H_DATE;
		type |= fs->v[i].known == H_CONTENT_TYPE;
	}
	if (!server) {
		struct weir_str token = server_token(r, c);

		if (token.n != 0 && !c->server_tokens_expr.set)
			fields_add_known(fs, r->s.pool, H_SERVER, token);
		else if (token.n != 0)
			req_add(r, "Server", token);
	}
	if (!date)
		fields_add_known(fs, r->s.pool, H_DATE, clock_http_date());
	if (!type && likely(is_field_value(r->content_type)))
		fields_add_known(fs, r->s.pool, H_CONTENT_TYPE, r->content_type);
	else if (!type)
		req_add(r, "Content-Type", r->content_type);	/* says why it is dropped */
	absolute_location(r, c);
}

/* False: a hook has answered something else (412, 416) by itself. */
static bool
run_response_hooks(struct weir_req *r)
{
	for (weir_hook_list h = sess_hooks(&r->s, ON_RESPONSE); *h != NULL; h++)
		if ((*h)(&r->s) == WEIR_DONE)
			return false;
	return true;
}

/* ---- the body ---- */

/* Tell the maker, who may hold an upstream's connection; once. */
static void
body_end(struct weir_req *r, bool whole)
{
	void (*fn)(struct weir_req *, bool) = r->body_end;

	r->body_end = NULL;
	if (fn != NULL)
		fn(r, whole);
}

static void
on_pumped(struct weir_pump *p, enum weir_pump_end how)
{
	struct weir_req *r = p->owner;

	r->body_sent = p->moved;
	if (how == PUMP_EOF) {
		r->body_whole = true;
		body_end(r, true);
		req_finish(r);
		return;
	}
	if (how == PUMP_SRC_FAIL && p->src->err != NULL)
		log_errorx(&r->s.log, "%s while %s", p->src->err,
		    r->s.log.doing != NULL ? "sending the response" : "reading the response");
	else if (how == PUMP_SINK_FAIL)
		log_info(&r->s.log, "%s while sending to client",
		    p->sink->err != NULL ? p->sink->err : "connection lost");
	req_abort(r, NULL);
}

void
req_trailers(struct weir_req *r)
{
	if (r->trailers.n != 0 && r->x != NULL)
		xchg_trailers(r->x, &r->trailers);
}

/* How much is read ahead: of a file that the kernel sends it is no memory. */
static size_t
chunk_of(struct weir_req *r)
{
	const struct weir_http_conf *c = REQ_CORE(r);

	if (file_src_of(r->body) == NULL || !c->sendfile)
		return r->send_ahead != 0 ? r->send_ahead : PUMP_CAP;
	return c->sendfile_max_chunk != 0 ? (size_t)c->sendfile_max_chunk : INT32_MAX;
}

/* A short text that fits into the socket needs no pump.  False: it did not fit; the pump goes on. */
static bool
send_at_hand(struct weir_req *r, struct weir_sink *out)
{
	ssize_t n = sink_write(out, &r->at_hand->q);

	if (n > 0)
		r->pump.moved += (uint64_t)n;
	if (n < 0 || r->at_hand->q.len != 0 || sink_finish(out) != WEIR_OK)
		return false;
	r->body_sent = r->pump.moved;
	r->body_whole = true;
	body_end(r, true);
	req_finish(r);
	return true;
}

static void
pump_body(struct weir_req *r)
{
	if (!r->finished)
		pump_start(&r->pump, r->body, &r->x->io.out, chunk_of(r));
}

static void
send_body(struct weir_req *r)
{
	struct weir_sink *out = &r->x->io.out;

	req_trailers(r);
	r->pump.owner = r;
	r->pump.done = on_pumped;
	if (r->header_only || r->body == NULL) {
		static struct weir_qsrc nothing;

		if (sink_finish(out) == WEIR_OK) {
			r->body_whole = true;
			body_end(r, true);
			req_finish(r);
			return;
		}
		/* the head does not fit yet: let the pump wait with nothing to read */
		qsrc_init(&nothing);
		pump_start(&r->pump, &nothing.src, out, PUMP_CAP);
		return;
	}
	if (r->parent == NULL && !rate_limit(r, pump_body))
		return;
	if (r->at_hand != NULL && r->body == &r->at_hand->src && send_at_hand(r, out))
		return;
	pump_body(r);
}

enum weir_next
req_respond(struct weir_req *r)
{
	const struct weir_http_conf *c = REQ_CORE(r);
	unsigned flags = 0;
	bool trailers;

	assert(!r->head_sent);
	if (r->x == NULL || r->finished)
		return WEIR_DONE;
	if (!r->x->in_eof && r->up == NULL && r->rsp.status < 400 && req_body_skip(r) == WEIR_FAIL) {
		/* answered without a look at the body, which turns out to be malformed */
		log_info(&r->s.log, "%s", r->x->io.in.err != NULL ? r->x->io.in.err : "bad request body");
		return req_error(r, 400);
	}
	if (r->accel_type.n != 0)
		r->content_type = r->accel_type;
	if (r->err_status != 0)
		r->rsp.status = r->err_status;	/* an error page keeps the error's status */
	if (r->parent != NULL)
		r->conditional = r->allow_ranges = false;
	if (!run_response_hooks(r))
		return WEIR_DONE;
	if (msg_connects(r->msg) && r->rsp.status / 100 == 2)
		r->rsp.status = 501;	/* 2xx would say that there is a tunnel (RFC 9110, 9.3.6; RFC 8441, 4) */
	req_head_ready(r);
	c = REQ_CORE(r);
	r->header_only = r->msg->method_id == M_HEAD || r->rsp.status == 204 || r->rsp.status == 304;
	if (r->rsp.length < 0 && r->body == NULL && !r->header_only)
		r->rsp.length = 0;
	trailers = (r->trailers.n != 0 || r->late_trailers) && !r->header_only;
	if (trailers && r->x->version == 0x101 && c->chunked_transfer_encoding)
		r->rsp.length = -1;	/* they need chunks */
	decide_keepalive(r, c);
	if (!r->keepalive)
		flags |= HEAD_CLOSE;
	if (c->chunked_transfer_encoding)
		flags |= HEAD_CHUNKED;
	if ((r->rsp.length == 0 && !trailers) || r->header_only)
		flags |= HEAD_END;
	r->head_sent = true;
	if (xchg_head(r->x, &r->rsp, flags) != WEIR_OK) {
		req_abort(r, NULL);
		return WEIR_DONE;
	}
	send_body(r);
	return WEIR_DONE;
}

enum weir_next
req_respond_text(struct weir_req *r, int status, struct weir_str type, struct weir_str text)
{
	struct weir_qsrc *s = POOL_NEW(r->s.pool, weir_qsrc);

	r->rsp.status = status;
	r->content_type = type;
	r->rsp.length = (int64_t)text.n;
	qsrc_init(s);
	if (text.n != 0)
		bufq_put_view(&s->q, text.p, text.n);
	r->at_hand = s;
	r->body = &s->src;
	return req_respond(r);
}

/* ---- the end ---- */

void
req_abort(struct weir_req *r, const char *why)
{
	if (r->finished)
		return;
	if (r->pump.src != NULL && !r->pump.over) {
		r->body_sent = r->pump.moved;
		pump_off(&r->pump);
	}
	(void)why;
	r->keepalive = false;
	if (r->x != NULL)
		xchg_cancel(r->x, CANCEL_INTERNAL);
	body_end(r, false);
	req_finish(r);
}

void
req_free(struct weir_task *t)
{
	struct weir_req *r = WEIR_OF(t, struct weir_req, end);

	pump_off(&r->pump);
	if (r->body != NULL)
		src_stop(r->body);
	req_count--;
	if (r->sub != NULL)
		sub_free(r->sub);
	else if (r->subs.next != NULL && !list_empty(&r->subs))
		r->unfreed = true;
	else
		pool_free(r->s.pool);
}

void
req_finish(struct weir_req *r)
{
	if (r->finished)
		return;
	r->finished = true;
	r->on_client_gone = NULL;
	body_end(r, r->body_whole);
	if (r->rsp.status == 0)
		r->rsp.status = 499;
	if (r->keepalive && !r->x->in_eof && req_body_skip(r) != WEIR_OK)
		r->keepalive = false;
	r->x->on_gone = NULL;
	if (r->timed_out)
		r->x->after.reset = REQ_CORE(r)->reset_timedout;
	if (r->parent == NULL || r->sub->instead != NULL || REQ_CORE(r)->log_subrequest)
		for (weir_hook_list h = sess_hooks(&r->s, ON_LOG); *h != NULL && (*h)(&r->s) != WEIR_DONE; h++)
			;
	sess_release(&r->s);
	sub_parent_ends(r);
	src_on_ready(&r->x->io.in, NULL, NULL);
	sink_on_ready(&r->x->io.out, NULL, NULL);
	task_init(&r->end, req_free);
	task_post(&r->end);
	r->x->end = &r->end;
	xchg_release(r->x);
}
