/*
 * range.c - parts of a response (RFC 9110, 14).
 *
 * Works on responses whose source may be cut (r->allow_ranges).  One range cuts the source, several
 * make multipart/byteranges, of files only.  Ranges that together are longer than the whole, as an attacker
 * would ask for them, are answered with the whole.
 */
#include "core/base/clock.h"
#include "core/io/cut.h"
#include "core/io/file.h"
#include "http/req/req.h"

struct range {
	uint64_t	 begin, end;	/* the end is not in it */
};

struct ranges {
	struct range	*v;
	unsigned	 n, room;
	uint64_t	 sum;
};

/* ---- reading ---- */

static bool
read_number(struct weir_str *s, uint64_t *to)
{
	size_t	i;

	*to = 0;
	for (i = 0; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++)
		if (weir_mul(*to, 10u, to) || weir_add(*to, (uint64_t)(s->p[i] - '0'), to))
			return false;
	*s = str_from(*s, i);
	return i != 0;
}

/* "0-9", "9-", "-9".  False: malformed.  An empty range cannot be had. */
static bool
read_range(struct weir_str s, uint64_t size, struct range *to)
{
	struct weir_str	rest;
	bool		suffix = s.n != 0 && s.p[0] == '-';

	*to = (struct range){ 0, size };
	if (!suffix && !read_number(&s, &to->begin))
		return false;
	if (s.n == 0 || s.p[0] != '-')
		return false;
	rest = str_trim(str_from(s, 1));
	if (rest.n == 0 && !suffix)
		return true;
	if (!read_number(&rest, &to->end) || rest.n != 0)
		return false;
	if (suffix)
		*to = (struct range){ size - WEIR_MIN(to->end, size), size };
	else if (to->end < to->begin)
		return false;
	else
		to->end = to->end < size ? to->end + 1 : size;
	return true;
}

/* 200: give the whole; 206: *to has one range at least; 416 */
static int
read_ranges(struct weir_req *r, struct weir_str list, struct ranges *to)
{
	uint64_t	size = (uint64_t)r->rsp.length;
	uint64_t	left = file_src_of(r->body) == NULL ? 1 : (uint64_t)REQ_CORE(r)->max_ranges;
	struct weir_str	item;
	struct range	range;

	while (str_next_item(&list, &item)) {
		if (!read_range(item, size, &range))
			return 416;
		if (range.begin >= range.end)
			continue;
		if (left-- == 0)
			return 200;
		*POOL_PUSH(r->s.pool, to) = range;
		to->sum += range.end - range.begin;
		if (to->sum > size)
			return 200;
	}
	return to->n != 0 ? 206 : 416;
}

/* If-Range: is the client's copy the one that we have?  Only strongly (13.1.5). */
static bool
same_as_before(const struct weir_req *r, struct weir_str value)
{
	const struct weir_fields	*fs = &r->rsp.fields;
	const struct weir_field		*f;
	int64_t				 since;

	if (str_ends(value, STR("\"")))
		return value.n > 1 && !str_begins(value, STR("W/")) &&
		    str_eq(value, fields_value(fs, H_ETAG));
	f = fields_known(fs, H_LAST_MODIFIED);
	since = http_date_read(value);
	return f != NULL && since >= 0 && since == http_date_read(f->value);
}

/* ---- answering ---- */

static struct weir_str
content_range(struct weir_req *r, const struct range *range, uint64_t size)
{
	return pool_printf(r->s.pool, "bytes %llu-%llu/%llu", (unsigned long long)range->begin,
	    (unsigned long long)range->end - 1, (unsigned long long)size);
}

static void
give_one(struct weir_req *r, const struct range *range, uint64_t size)
{
	struct weir_file_part	*part;
	struct weir_cut		*cut;
	uint64_t		 len = range->end - range->begin;

	if (file_src_of(r->body) != NULL) {
		part = POOL_NEW(r->s.pool, weir_file_part);
		part->off = range->begin;
		part->len = len;
		file_src_parts(file_src_of(r->body), part, 1);
	} else if (r->body != NULL) {
		cut = POOL_NEW(r->s.pool, weir_cut);
		cut_init(cut, r->body, range->begin, len);
		r->body = &cut->src;
	}
	r->rsp.length = (int64_t)len;
	req_add(r, "Content-Range", content_range(r, range, size));
}

/* A boundary that no file can know. */
static struct weir_str
boundary(struct weir_req *r)
{
	static uint64_t	count;
	uint64_t	key[3] = { weir_now_ms, (uint64_t)(uintptr_t)r, ++count };

	return pool_printf(r->s.pool, "%020llu", (unsigned long long)siphash(key, sizeof(key)));
}

static void
give_many(struct weir_req *r, const struct ranges *ranges, uint64_t size)
{
	struct weir_str		 mark = boundary(r), type = r->content_type, text;
	struct weir_file_part	*v = pool_zalloc(r->s.pool, (ranges->n + 1) * sizeof(*v));
	uint64_t		 length = ranges->sum;
	unsigned		 i;

	for (i = 0; i < ranges->n; i++) {
		text = content_range(r, &ranges->v[i], size);
		v[i].text = pool_printf(r->s.pool, "\r\n--%.*s\r\n%s%.*s%sContent-Range: %.*s\r\n\r\n",
		    STR_ARG(mark), type.n != 0 ? "Content-Type: " : "", STR_ARG(type),
		    type.n != 0 ? "\r\n" : "", STR_ARG(text));
		v[i].off = ranges->v[i].begin;
		v[i].len = ranges->v[i].end - ranges->v[i].begin;
		length += v[i].text.n;
	}
	v[i].text = pool_printf(r->s.pool, "\r\n--%.*s--\r\n", STR_ARG(mark));
	length += v[i].text.n;
	file_src_parts(file_src_of(r->body), v, ranges->n + 1);
	r->rsp.length = (int64_t)length;
	r->content_type = pool_printf(r->s.pool, "multipart/byteranges; boundary=%.*s", STR_ARG(mark));
	r->charset_done = true;
}

static enum weir_next
not_satisfiable(struct weir_req *r, uint64_t size)
{
	r->allow_ranges = false;
	req_add(r, "Content-Range", pool_printf(r->s.pool, "bytes */%llu", (unsigned long long)size));
	return req_error(r, 416);
}

static enum weir_next
on_response(struct weir_sess *s)
{
	struct weir_req	*r = req_of(s);
	struct weir_str	 range = fields_value(&r->msg->fields, H_RANGE);
	struct weir_str	 if_range = fields_value(&r->msg->fields, H_IF_RANGE);
	uint64_t	 size = (uint64_t)r->rsp.length;
	struct ranges	 ranges = { 0 };

	if (!r->allow_ranges || r->rsp.status != 200 || r->rsp.length < 0 ||
	    (r->body == NULL && r->msg->method_id != M_HEAD) || REQ_CORE(r)->max_ranges == 0)
		return WEIR_NEXT;
	if (str_ibegins(range, STR("bytes=")) &&
	    (if_range.n == 0 || same_as_before(r, if_range)))
		switch (read_ranges(r, str_from(range, 6), &ranges)) {
		case 206:
			r->rsp.status = 206;
			if (ranges.n == 1)
				give_one(r, &ranges.v[0], size);
			else
				give_many(r, &ranges, size);
			return WEIR_NEXT;
		case 416:
			return not_satisfiable(r, size);
		}
	req_add(r, "Accept-Ranges", STR("bytes"));
	return WEIR_NEXT;
}

static unsigned index_;

static const struct weir_hook hooks[] = { { ON_RESPONSE, on_response, NULL }, { 0 } };

const struct weir_module range_module = {
	.name = "range", .index = &index_, .hooks = hooks,
	.doc = "Answers Range with 206: one range, or several as multipart/byteranges.",
};
