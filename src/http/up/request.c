/*
 * request.c - the head that the upstream gets.
 *
 * First what proxy_set_header says (and what is always set), then the client's own fields, in
 * their order, without those that end at this hop and those that were set.
 */
#include "http/up/up.h"

static bool
is_set(const struct weir_up_params *p, unsigned known)
{
	return p->overridden[known / 64] >> (known % 64) & 1;
}

static bool
is_overridden(const struct weir_up_params *p, const struct weir_field *f)
{
	if (f->known != H_UNKNOWN)
		return is_set(p, f->known);
	if (!p->overrides_unknown)
		return false;
	for (unsigned i = 0; i < p->n_headers; i++)
		if (str_ieq(p->headers[i].name, f->name))
			return true;
	return false;
}

static void
put_set_headers(struct weir_up *u)
{
	const struct weir_up_params *p = u->p;
	struct weir_req *r = u->r;

	for (unsigned i = 0; i < p->n_headers; i++) {
		const struct weir_up_header *h = &p->headers[i];
		struct weir_str v = expr_eval(&r->s, &h->value);
		struct weir_field *f;

		/* HTTP/1.1 cannot do without (RFC 9112, 3.2); "" as such is somebody's wish */
		if (v.n == 0 && h->known == H_HOST && !expr_is_const(&h->value) && p->http_version > 0x100)
			v = str_begins(u->host, STR("unix:")) ? STR("localhost") : u->host;
		if (v.n == 0)
			continue;
		if (!expr_is_const(&h->value) && !fit_field_value(r->s.pool, &v)) {
			log_errorx(&r->s.log, "request field \"%.*s\" would hold a line end or NUL: dropped",
			    STR_ARG(h->name));
			continue;
		}
		if (h->known == H_CONNECTION) {
			if (str_ieq(v, STR("close")))
				u->head.flags |= MSG_CLOSE;
			continue;
		}
		f = &u->head.fields.v[u->head.fields.n++];
		*f = (struct weir_field){ .name = h->name, .value = v, .known = (uint16_t)h->known };
	}
}

static void
put_client_headers(struct weir_up *u)
{
	const struct weir_fields *from = &u->r->msg->fields;
	bool forwards = up_wants_forwarded(u->r);

	for (unsigned i = 0; i < from->n; i++) {
		const struct weir_field *f = &from->v[i];

		if (f->hop || f->known == H_HOST || f->known == H_EXPECT || f->known == H_CONTENT_LENGTH)
			continue;
		if (is_overridden(u->p, f) || (forwards && f->known == H_FORWARDED))
			continue;
		u->head.fields.v[u->head.fields.n++] = *f;
	}
}

static void
put_forwarded(struct weir_up *u)
{
	if (!up_wants_forwarded(u->r) || is_set(u->p, H_FORWARDED))
		return;
	u->head.fields.v[u->head.fields.n++] = (struct weir_field){ .name = STR("Forwarded"),
	    .value = up_forwarded(u->r, u->p), .known = H_FORWARDED };
}

/* RFC 8470, 5.1: whoever passes on what may be a copy must say so. */
static void
put_early(struct weir_up *u)
{
	if (u->r->s.early && fields_find(&u->head.fields, STR("Early-Data"), NULL) == NULL)
		u->head.fields.v[u->head.fields.n++] = (struct weir_field){ .name = STR("Early-Data"),
		    .value = STR("1") };
}

static void
put_body_length(struct weir_up *u)
{
	const struct weir_req *r = u->r;
	struct weir_msg *m = &u->head;

	if (u->p->body.set) {
		m->length = (int64_t)u->body.n;
		m->flags |= MSG_HAS_LENGTH;
	} else if (!u->p->pass_request_body) {
		m->length = 0;
	} else if (u->kept && up_request_trailers(u)) {
		m->length = -1;
	} else if (u->kept) {
		m->length = (int64_t)r->req_body->len;
		m->flags |= MSG_HAS_LENGTH;
	} else {
		m->length = r->msg->length;
		m->flags |= r->msg->flags & MSG_HAS_LENGTH;
		if (m->length < 0 && !(r->msg->flags & MSG_CHUNKED) && r->x->version < 0x200)
			m->length = 0;
	}
}

/* HTTP/1.0 has no upgrades, and HTTP/2 none any more (RFC 9113, 8.6). */
bool
up_upgrades(const struct weir_up *u)
{
	return u->p->websocket && (u->r->msg->flags & MSG_UPGRADE) && u->p->http_version == 0x101;
}

static void
put_method(struct weir_up *u)
{
	struct weir_str s;

	if (!u->p->method.set)
		return;
	s = expr_eval(&u->r->s, &u->p->method);
	if (!is_token(s)) {	/* a blank would make more of the request line than a method */
		log_errorx(&u->r->s.log, "\"%.*s\" is no method: proxy_method has no effect", STR_ARG(s));
		return;
	}
	u->head.method = s;
	u->head.method_id = method_of(s);
}

/* A gRPC server judges its client by this field, so it gets what the client has said (RFC 9110, 10.1.4). */
static bool
wants_trailers(const struct weir_up *u)
{
	struct weir_str te;

	if (!u->p->pass_trailers || u->p->http_version == 0x100)
		return false;
	te = fields_join(&u->r->msg->fields, u->r->s.pool, STR("TE"), ", ");
	return !u->p->te_of_client || str_ifind(te, STR("trailers")) >= 0;
}

void
up_make_head(struct weir_up *u)
{
	struct weir_req *r = u->r;
	struct weir_msg *m = &u->head;
	unsigned room = u->p->n_headers + r->msg->fields.n + 4;

	m->method = r->method;
	m->method_id = r->method_id;
	put_method(u);
	m->target = u->target;
	m->version = (uint16_t)u->p->http_version;
	m->fields.v = pool_alloc(r->s.pool, room * sizeof *m->fields.v);
	m->fields.room = room;
	m->fields.n = 0;
	put_set_headers(u);
	if (u->p->pass_request_headers)
		put_client_headers(u);
	put_forwarded(u);
	put_early(u);
	if (up_upgrades(u)) {
		struct weir_field *up = fields_known(&r->msg->fields, H_UPGRADE);

		if (up != NULL && fields_known(&m->fields, H_UPGRADE) == NULL)
			m->fields.v[m->fields.n++] = (struct weir_field){ .name = STR("Upgrade"),
			    .value = up->value, .known = H_UPGRADE };
	}
	if (wants_trailers(u) && fields_known(&m->fields, H_TE) == NULL)
		m->fields.v[m->fields.n++] = (struct weir_field){ .name = STR("TE"),
		    .value = STR("trailers"), .known = H_TE };
	put_body_length(u);
}
