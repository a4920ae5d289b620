/*
 * not_modified.c - conditional requests (RFC 9110, 13).
 *
 * Works on responses that allow it (r->conditional: files; an upstream answers conditions itself).  A
 * precondition that fails gives 412, a validator that still holds 304.
 */
#include "core/base/clock.h"
#include "http/req/req.h"

/* Without W/: both sides may be weak where only the content's equality is asked. */
static struct weir_str
strong_part(struct weir_str tag)
{
	return str_begins(tag, STR("W/")) ? str_from(tag, 2) : tag;
}

static bool
is_weak(struct weir_str tag)
{
	return str_begins(tag, STR("W/"));
}

/* Is the response's tag on a list of tags, or the list "*"? */
static bool
tag_matches(const struct weir_req *r, struct weir_str list, bool weakly)
{
	struct weir_str	tag = fields_value(&r->rsp.fields, H_ETAG), item;

	if (str_eq(list, STR("*")))
		return true;
	if (tag.n == 0 || (!weakly && is_weak(tag)))
		return false;
	while (str_next_item(&list, &item)) {
		if (weakly ? str_eq(strong_part(item), strong_part(tag)) : str_eq(item, tag))
			return true;
	}
	return false;
}

/* When the response was changed last; -1: nobody knows. */
static int64_t
last_modified(const struct weir_req *r)
{
	const struct weir_field	*f = fields_known(&r->rsp.fields, H_LAST_MODIFIED);

	return f != NULL ? http_date_read(f->value) : -1;
}

static bool
unmodified_since(const struct weir_req *r, struct weir_str date)
{
	int64_t	changed = last_modified(r), since = http_date_read(date);

	/* 13.1.4: what is no date is ignored. */
	return since < 0 || (changed >= 0 && changed <= since);
}

static bool
modified_since(const struct weir_req *r, struct weir_str date)
{
	int	how = REQ_CORE(r)->if_modified_since;
	int64_t	changed = last_modified(r), since = http_date_read(date);

	if (how == 0 || changed < 0 || since < 0)
		return true;
	return how == 1 ? changed != since : changed > since;
}

static void
make_304(struct weir_req *r)
{
	r->rsp.status = 304;
	r->rsp.length = -1;
	if (r->body != NULL)
		src_stop(r->body);
	r->body = NULL;
	r->content_type = STR_NONE;
	r->allow_ranges = false;
	fields_remove_known(&r->rsp.fields, H_CONTENT_ENCODING);
	fields_remove_known(&r->rsp.fields, H_CONTENT_TYPE);
}

/* 13.2.2: the order in which they are asked; a date counts only where there is no list of tags. */
static enum weir_next
on_response(struct weir_sess *s)
{
	struct weir_req			*r = req_of(s);
	const struct weir_fields	*q = &r->msg->fields;
	const struct weir_field		*match = fields_known(q, H_IF_MATCH);
	const struct weir_field		*unmodified = fields_known(q, H_IF_UNMODIFIED_SINCE);
	const struct weir_field		*none = fields_known(q, H_IF_NONE_MATCH);
	const struct weir_field		*modified = fields_known(q, H_IF_MODIFIED_SINCE);

	if (!r->conditional || r->rsp.status != 200)
		return WEIR_NEXT;
	if (match != NULL ? !tag_matches(r, match->value, false)
	    : unmodified != NULL && !unmodified_since(r, unmodified->value)) {
		r->conditional = false;
		return req_error(r, 412);
	}
	if (none != NULL ? tag_matches(r, none->value, true)
	    : modified != NULL && !modified_since(r, modified->value))
		make_304(r);
	return WEIR_NEXT;
}

static unsigned index_;

static const struct weir_hook hooks[] = { { ON_RESPONSE, on_response, NULL }, { 0 } };

const struct weir_module not_modified_module = {
	.name = "not_modified", .index = &index_, .hooks = hooks,
	.doc = "Answers 304 and 412 to If-Modified-Since, If-Unmodified-Since, If-Match and "
	"If-None-Match.",
};
