/*
 * edit.c - what a response's head loses when its body is changed.
 */
#include "http/req/edit.h"

void
req_length_unknown(struct weir_req *r)
{
	r->rsp.length = -1;
	r->allow_ranges = false;
	fields_remove_known(&r->rsp.fields, H_ACCEPT_RANGES);
}

void
req_etag_weaken(struct weir_req *r)
{
	struct weir_field	*f = fields_known(&r->rsp.fields, H_ETAG);

	if (f == NULL || str_begins(f->value, STR("W/")))
		return;
	if (f->value.n < 2 || f->value.p[0] != '"') {
		fields_remove_known(&r->rsp.fields, H_ETAG);
		return;
	}
	f->value = pool_printf(r->s.pool, "W/%.*s", STR_ARG(f->value));
}

bool
req_has_content(const struct weir_req *r)
{
	if (r->rsp.status == 204 || r->rsp.status == 304 || r->rsp.length == 0)
		return false;
	return r->body != NULL || r->msg->method_id == M_HEAD;
}

int
media_types_set(struct weir_conf *cf, struct weir_node *node, struct weir_media_types *to)
{
	unsigned	w, i;

	if (to->n == 0)
		*POOL_PUSH(cf->pool, to) = STR("text/html");
	for (w = 1; w < node->n; w++) {
		if (str_eq(node->w[w].s, STR("*"))) {
			to->any = true;
			continue;
		}
		for (i = 0; i < to->n && !str_ieq(to->v[i], node->w[w].s); i++)
			;
		if (i < to->n)
			conf_warn(cf, node, w, "duplicate MIME type \"%.*s\"",
			    STR_ARG(node->w[w].s));
		else
			*POOL_PUSH(cf->pool, to) = node->w[w].s;
	}
	return WEIR_OK;
}

bool
media_types_has(const struct weir_media_types *l, const struct weir_req *r)
{
	ssize_t		end = str_chr(r->content_type, ';');
	struct weir_str	type = end < 0 ? r->content_type : str_of(r->content_type.p, (size_t)end);
	unsigned	i;

	type = str_trim(type);
	if (type.n == 0)
		return false;
	if (l->any)
		return true;
	if (l->n == 0)
		return str_ieq(type, STR("text/html"));
	for (i = 0; i < l->n; i++)
		if (str_ieq(type, l->v[i]))
			return true;
	return false;
}
