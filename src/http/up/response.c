/*
 * response.c - the head that the client gets.
 */
#include "core/base/num.h"
#include "http/up/up.h"

static bool
listed(const struct weir_up_names *l, struct weir_str name)
{
	for (unsigned i = 0; i < l->n; i++)
		if (str_ieq(l->v[i], name))
			return true;
	return false;
}

/* What stays here unless proxy_pass_header lets it through. */
static bool
hidden_by_default(const struct weir_field *f)
{
	switch (f->known) {
	case H_DATE:
	case H_SERVER:
	case H_X_ACCEL_BUFFERING:
	case H_X_ACCEL_CHARSET:
	case H_X_ACCEL_EXPIRES:
	case H_X_ACCEL_LIMIT_RATE:
	case H_X_ACCEL_REDIRECT:
		return true;
	case H_UNKNOWN:
		return f->name.n == 5 && str_ieq(f->name, STR("X-Pad"));
	default:
		return false;
	}
}

static bool
is_hidden(const struct weir_up *u, const struct weir_field *f, int status)
{
	const struct weir_up_params *p = u->p;

	/* 101 is ours to give as well: both sides change the protocol.  426 has to say to what (RFC 9110, 15.5.22). */
	if (f->known == H_UPGRADE)
		return status != 101 && (status != 426 || u->r->msg->version >= 0x200);
	if (f->hop || f->known == H_CONTENT_LENGTH)
		return true;
	if (f->known == H_ACCEPT_RANGES && p->force_ranges)
		return true;		/* it is we who cut */
	if (hidden_by_default(f))
		return p->pass.n == 0 || !listed(&p->pass, f->name);
	return p->hide.n != 0 && listed(&p->hide, f->name);
}

/* proxy_redirect: the first rule whose text the value begins with, or whose regex matches. */
static struct weir_str
redirected(struct weir_up *u, struct weir_str value)
{
	struct weir_sess *s = &u->r->s;

	for (struct weir_up_redirect *d = u->p->redirects; d != NULL; d = d->next) {
		struct weir_str from, to;

		if (d->regex != NULL) {
			if (regex_match(s, d->regex, value) != WEIR_OK)
				continue;
			return expr_eval(s, &d->to);
		}
		from = expr_eval(s, &d->from);
		if (!str_begins(value, from))
			continue;
		to = expr_eval(s, &d->to);
		return pool_printf(s->pool, "%.*s%.*s", STR_ARG(to), STR_ARG(str_from(value, from.n)));
	}
	return value;
}

/* "0;url=http://..." */
static struct weir_str
refreshed(struct weir_up *u, struct weir_str value)
{
	ssize_t at = str_ifind(value, STR("url="));
	struct weir_str url, to;

	if (at < 0)
		return value;
	url = str_from(value, (size_t)at + 4);
	to = redirected(u, url);
	if (to.p == url.p)
		return value;
	return pool_printf(u->r->s.pool, "%.*s%.*s", (int)at + 4, value.p, STR_ARG(to));
}

static void
copy_fields(struct weir_up *u)
{
	struct weir_req *r = u->r;
	const struct weir_fields *from = &u->x->msg.fields;

	for (unsigned i = 0; i < from->n; i++) {
		const struct weir_field *f = &from->v[i];
		struct weir_str value = f->value;

		if (is_hidden(u, f, u->x->msg.status))
			continue;
		if (f->known == H_CONTENT_TYPE) {
			r->content_type = value;
			continue;
		}
		if (f->known == H_LOCATION && u->p->redirects != NULL)
			value = redirected(u, value);
		else if (f->known == H_REFRESH && u->p->redirects != NULL)
			value = refreshed(u, value);
		else if (f->known == H_SET_COOKIE)
			value = up_cookie(u, value);
		if (value.p != f->value.p && !is_field_value(value)) {
			log_errorx(&r->s.log, "a rewritten \"%.*s\" would hold a line end or NUL: dropped",
			    STR_ARG(f->name));
			continue;
		}
		fields_add(&r->rsp.fields, r->s.pool, f->name, value)->known = f->known;
	}
}

/* Does a path with its escapes undone have a ".." segment?  It may not leave what it names (S-57). */
static bool
climbs(struct weir_pool *pool, struct weir_str to)
{
	ssize_t q = str_chr(to, '?');
	struct weir_str p = uri_unescape(pool, q >= 0 ? str_of(to.p, (size_t)q) : to);

	for (size_t i = 0; i + 2 < p.n; i++)
		if (p.p[i] == '/' && p.p[i + 1] == '.' && p.p[i + 2] == '.' &&
		    (i + 3 == p.n || p.p[i + 3] == '/'))
			return true;
	return false;
}

static void
copy_kept(struct weir_up *u, const struct weir_field *f)
{
	struct weir_str value = f->known == H_SET_COOKIE ? up_cookie(u, f->value) : f->value;

	if (is_field_value(value))
		fields_add(&u->r->rsp.fields, u->r->s.pool, f->name, value);
}

/* X-Accel-Redirect: what the application chose goes out in place of its answer. */
static bool
accel_redirect(struct weir_up *u)
{
	static const enum weir_known kept[] = { H_CONTENT_TYPE, H_SET_COOKIE, H_CONTENT_DISPOSITION,
		H_CACHE_CONTROL, H_EXPIRES, H_ACCEPT_RANGES };
	struct weir_req *r = u->r;
	const struct weir_fields *from = &u->x->msg.fields;
	struct weir_str to = fields_value(from, H_X_ACCEL_REDIRECT), args = STR_NONE;
	struct weir_uri uri;
	const char *why;

	if (to.n == 0 || (u->p->ignore & IGNORE_ACCEL_REDIRECT))
		return false;
	for (unsigned i = 0; i < from->n; i++)
		for (unsigned k = 0; k < WEIR_COUNT(kept); k++)
			if (from->v[i].known == kept[k] && kept[k] != H_CONTENT_TYPE)
				copy_kept(u, &from->v[i]);
	struct weir_str type = fields_value(from, H_CONTENT_TYPE);

	if (r->body_end != NULL) {
		void (*end)(struct weir_req *, bool) = r->body_end;

		r->body_end = NULL;
		end(r, false);
	}
	r->method_id = r->method_id == M_HEAD ? M_HEAD : M_GET;
	r->method = r->method_id == M_HEAD ? STR("HEAD") : STR("GET");
	if (to.p[0] == '@') {
		req_redirect_named(r, to);
	} else if (uri_parse(r->s.pool, to, true, &uri, &why) != WEIR_OK ||
	    climbs(r->s.pool, to)) {
		log_errorx(&r->s.log, "unsafe URI \"%.*s\" in X-Accel-Redirect", STR_ARG(to));
		req_error(r, 404);
	} else {
		args = uri.has_args ? uri.args : STR_NONE;
		r->accel_type = type;
		req_redirect(r, uri.path, args);
	}
	return true;
}

static void
accel_rate(struct weir_up *u)
{
	struct weir_str v = fields_value(&u->x->msg.fields, H_X_ACCEL_LIMIT_RATE);
	uint64_t n;

	if (v.n == 0 || (u->p->ignore & IGNORE_ACCEL_LIMIT_RATE) || num_u64(v, &n) != WEIR_OK)
		return;
	u->r->limit_rate = n;
	u->r->rate_set = true;
}

/* proxy_intercept_errors: error_page decides, the upstream's own page is dropped. */
static bool
intercepted(struct weir_up *u)
{
	struct weir_req *r = u->r;
	const struct weir_http_conf *core = REQ_CORE(r);
	int status = u->x->msg.status;
	void (*end)(struct weir_req *, bool) = r->body_end;
	struct weir_error_page *p = core->error_pages;

	if (!u->p->intercept_errors || status < 300)
		return false;
	while (p != NULL && p->status != status)
		p = p->next;
	if (p == NULL)
		return false;
	if (status == 401) {
		const struct weir_fields *from = &u->x->msg.fields;

		for (unsigned i = 0; i < from->n; i++)
			if (from->v[i].known == H_WWW_AUTHENTICATE)
				fields_add(&r->rsp.fields, r->s.pool, from->v[i].name, from->v[i].value);
	}
	r->body_end = NULL;
	if (end != NULL)
		end(r, false);
	req_error(r, status);
	return true;
}

bool
up_take_head(struct weir_up *u)
{
	struct weir_req *r = u->r;
	const struct weir_msg *m = &u->x->msg;

	accel_rate(u);
	if (!(u->p->ignore & IGNORE_ACCEL_CHARSET))
		r->accel_charset = fields_value(&m->fields, H_X_ACCEL_CHARSET);
	if (intercepted(u) || accel_redirect(u))
		return true;
	if (r->in_error && r->err_status != 0) {
		r->rsp.status = r->err_status;	/* error_page 404 /x: the page is proxied, the status stays */
	} else {
		r->rsp.status = m->status;
		r->rsp.reason = m->reason;
	}
	r->rsp.length = m->flags & MSG_CHUNKED ? -1 : m->flags & MSG_UNTIL_CLOSE ? -1 : m->length;
	if (r->msg->method_id == M_HEAD || m->status == 304) {
		/* what is announced is not here, but the client wants to know */
		uint64_t n;

		r->rsp.length = -1;
		if ((m->flags & MSG_HAS_LENGTH) &&
		    num_u64(fields_value(&m->fields, H_CONTENT_LENGTH), &n) == WEIR_OK)
			r->rsp.length = (int64_t)n;
	}
	copy_fields(u);
	up_sticky_head(u);
	r->allow_ranges = u->p->force_ranges;
	if (u->p->pass_trailers && ((m->flags & MSG_CHUNKED) || (m->version >= 0x200 && !u->x->in_eof)))
		r->late_trailers = true;
	return false;
}
