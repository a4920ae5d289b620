/*
 * filter.c - what modules have in common that change the bodies of responses.
 */
#include "http/req/filter.h"

struct weir_str
filter_content_type(const struct weir_req *r)
{
	struct weir_str type = fields_value(&r->rsp.fields, H_CONTENT_TYPE);

	return type.n != 0 ? type : r->content_type;
}

bool
filter_fits(const struct weir_req *r, const struct weir_conf_list *types)
{
	struct weir_str type = filter_content_type(r);
	ssize_t end = str_chr(type, ';');

	if (end >= 0)
		type.n = (size_t)end;
	type = str_trim(type);
	if (str_ieq(type, STR("text/html")))
		return true;
	for (unsigned i = 0; i < types->n; i++)
		if (str_eq(types->v[i], STR("*")) || str_ieq(types->v[i], type))
			return true;
	return false;
}

void
filter_changes(struct weir_req *r, bool dated)
{
	struct weir_field *etag;

	r->rsp.length = -1;
	r->allow_ranges = false;
	fields_remove(&r->rsp.fields, STR("Accept-Ranges"));
	if (!dated)
		fields_remove_known(&r->rsp.fields, H_LAST_MODIFIED);
	etag = fields_known(&r->rsp.fields, H_ETAG);
	if (etag != NULL && !str_begins(etag->value, STR("W/")))
		etag->value = pool_printf(r->s.pool, "W/%.*s", STR_ARG(etag->value));
}
