/*
 * head.c - the fields of a request to a message (RFC 9113, 8.1 to 8.3).
 *
 * What is malformed is refused here, once, as h1 refuses it, so that nobody above has to think of it again;
 * most of all what could become something else on its way to a server that speaks HTTP/1.
 *
 * Two kinds of failing: a head that is malformed is answered, usually with 400, and its stream is
 * reset; a head that is too large ends the connection.
 */
#include "core/base/base64.h"
#include "core/base/num.h"
#include "core/os/random.h"
#include "http/h2/field.h"
#include "http/h2/server.h"
#include "http/msg/chars.h"

enum { METHOD_MAX = 64, LENGTH_DIGITS = 19, ROOM = 16 };

/* Fields that must not come twice, as in h1, and what they are looked at for. */
enum {
	F_HOST = 1, F_LENGTH = 2, F_EXPECT = 4, F_COOKIE = 8, F_TE = 16,
	F_OTHER = 32		/* the first of those that only must be single */
};
#define F_SINGLE	(F_HOST | F_LENGTH | F_EXPECT | ~(F_OTHER - 1u))

static const uint32_t bits[H_COUNT] = {
	[H_HOST] = F_HOST, [H_CONTENT_LENGTH] = F_LENGTH, [H_EXPECT] = F_EXPECT, [H_COOKIE] = F_COOKIE,
	[H_TE] = F_TE, [H_AUTHORIZATION] = F_OTHER, [H_IF_MODIFIED_SINCE] = F_OTHER << 1,
	[H_IF_UNMODIFIED_SINCE] = F_OTHER << 2, [H_IF_MATCH] = F_OTHER << 3,
	[H_IF_NONE_MATCH] = F_OTHER << 4, [H_IF_RANGE] = F_OTHER << 5, [H_CONTENT_RANGE] = F_OTHER << 6,
};

static void
refuse(struct h2_stream *e, int status, const char *why)
{
	if (e->head.status != 0)
		return;
	e->head.status = status;
	e->head.why = why;
}

/* ---- pseudo fields ---- */

static bool
path_ok(struct weir_str p)
{
	for (size_t i = 0; i < p.n; i++)
		if (!(ch(p.p[i]) & CH_TARGET))
			return false;
	return p.n != 0;
}

/* RFC 3986, 3.1 */
static bool
scheme_ok(struct weir_str s)
{
	if (likely(str_eq(s, STR("https"))))
		return true;
	for (size_t i = 0; i < s.n; i++)
		if (!(ch(s.p[i]) & CH_NAME) && s.p[i] != '+' && s.p[i] != '.')
			return false;
	return s.n != 0 && !(ch(s.p[0]) & CH_DIGIT) && s.p[0] != '-' && s.p[0] != '+' && s.p[0] != '.';
}

static const struct pseudo {
	struct weir_str	 name;
	uint8_t		 bit;
	size_t		 at;		/* of struct weir_msg */
	bool		 (*ok)(struct weir_str);
	const char	*why;
} pseudos[] = {
	{ { ":method", 7 }, H2_METHOD, offsetof(struct weir_msg, method), is_token, "invalid :method" },
	{ { ":scheme", 7 }, H2_SCHEME, offsetof(struct weir_msg, scheme), scheme_ok, "invalid :scheme" },
	{ { ":path", 5 }, H2_PATH, offsetof(struct weir_msg, target), path_ok, "invalid :path" },
	{ { ":authority", 10 }, H2_AUTHORITY, offsetof(struct weir_msg, authority), host_valid,
	  "invalid :authority" },
	{ { ":protocol", 9 }, H2_PROTOCOL, offsetof(struct weir_msg, protocol), is_token, "invalid :protocol" },
};

/* Their lengths tell them apart, but for the first two. */
static const struct pseudo *
pseudo_find(struct weir_str name)
{
	static const uint8_t at[] = { [5] = 3, [7] = 1, [9] = 5, [10] = 4 };	/* from 1 on */
	unsigned i = name.n < WEIR_COUNT(at) ? at[name.n] : 0;

	i += i == 1 && name.p[1] == 's';
	return i != 0 && memcmp(pseudos[i - 1].name.p, name.p, name.n) == 0 ? &pseudos[i - 1] : NULL;
}

static void
pseudo_field(struct h2_stream *e, struct weir_str name, struct weir_str value)
{
	const struct pseudo *p = pseudo_find(name);

	if (p == NULL)
		refuse(e, 400, "unknown pseudo-header field");
	else if (e->head.seen & H2_REGULAR)
		refuse(e, 400, "pseudo-header field behind others");
	else if (e->head.seen & p->bit)
		refuse(e, 400, "repeated pseudo-header field");
	else if (!p->ok(value))
		refuse(e, 400, p->why);
	if (e->head.status == 0)
		*(struct weir_str *)(void *)((char *)&e->x.msg + p->at) = pool_str(e->x.pool, value);
	if (p != NULL)
		e->head.seen |= p->bit;
}

/* ---- fields ---- */

static void
make_room(struct h2_stream *e)
{
	struct weir_fields *fs = &e->x.msg.fields;

	fs->room = ROOM;
	fs->v = pool_alloc(e->x.pool, ROOM * sizeof(*fs->v));
}

static void
regular_field(struct h2_stream *e, struct weir_str name, struct weir_str value)
{
	enum weir_known k;
	enum h2_name is = h2_name_judge(name, &k);
	uint32_t bit = bits[k];

	e->head.seen |= H2_REGULAR;
	if (is == NAME_BAD)
		refuse(e, 400, "invalid name of a field");
	else if (!h2_value_ok(value))
		refuse(e, 400, "invalid value of a field");
	else if (h2_is_connection_field(k))
		refuse(e, 400, "field about the connection");
	else if (k == H_TE && !str_ieq(value, STR("trailers")))
		refuse(e, 400, "TE with something else than trailers");
	if (e->head.status != 0)
		return;
	if (is != NAME_FINE && e->s->opts->ignore_invalid && (is == NAME_ODD || !e->s->opts->underscores))
		return;
	e->head.twice |= e->head.once & bit;
	e->head.once |= bit;
	if (e->x.msg.fields.room == 0)
		make_room(e);
	h2_field_keep(&e->x.msg.fields, e->x.pool, k, name, value);
}

int
h2_head_field(struct h2_stream *e, struct weir_str name, struct weir_str value)
{
	const struct weir_serve *o = e->s->opts;

	e->head.bytes += (uint32_t)WEIR_MIN(name.n + value.n, (size_t)1 << 24);
	if (name.n > o->large || value.n > o->large || e->head.bytes > o->large_total) {
		h2_calm(e->s, ABUSE_HEAD);
		return WEIR_FAIL;
	}
	if (name.n != 0 && name.p[0] == ':') {
		pseudo_field(e, name, value);
		return WEIR_OK;
	}
	if (++e->head.fields > o->fields)
		refuse(e, 431, "too many fields");
	else
		regular_field(e, name, value);
	return WEIR_OK;
}

/* ---- the whole ---- */

/* As a text: "GET /path HTTP/2.0". */
static void
make_line(struct h2_stream *e)
{
	struct weir_msg *m = &e->x.msg;
	size_t n = m->method.n + m->target.n + 10;
	char *p = pool_bytes(e->x.pool, n), *q = p;

	q = mempcpy(q, m->method.p, m->method.n);
	*q++ = ' ';
	if (m->target.n != 0)
		q = mempcpy(q, m->target.p, m->target.n);
	memcpy(q, " HTTP/2.0", 9);
	m->line = str_of(p, (size_t)(q - p) + 9);
}

/* What a client of HTTP/1 would have sent (RFC 8441, 5). */
static void
as_upgrade(struct h2_stream *e)
{
	struct weir_msg *m = &e->x.msg;
	struct weir_fields *fs = &m->fields;
	char raw[16], *key;

	m->method = STR("GET");
	m->method_id = M_GET;
	m->flags |= MSG_UPGRADE | MSG_EXTENDED;
	fields_add(fs, e->x.pool, STR("upgrade"), m->protocol)->hop = 1;
	if (!str_ieq(m->protocol, STR("websocket")))
		return;
	random_bytes(raw, sizeof raw);
	key = pool_bytes(e->x.pool, BASE64_PUT_ROOM(sizeof raw));
	base64_put(key, str_of(raw, sizeof raw));
	fields_remove(fs, STR("sec-websocket-key"));
	fields_add(fs, e->x.pool, STR("sec-websocket-key"), str_of(key, BASE64_PUT_ROOM(sizeof raw)));
}

static void
check_extended(struct h2_stream *e, unsigned seen)
{
	struct weir_msg *m = &e->x.msg;

	if (!e->s->conf->extended)
		refuse(e, 400, "extended CONNECT, which was not offered");
	else if (m->method_id != M_CONNECT)
		refuse(e, 400, ":protocol without CONNECT");
	else if (seen != (H2_METHOD | H2_SCHEME | H2_PATH) || !(e->head.seen & H2_AUTHORITY) ||
	    m->target.p[0] != '/' || e->head.once & F_LENGTH)
		refuse(e, 400, "malformed extended CONNECT");
}

static void
check_pseudos(struct h2_stream *e)
{
	struct weir_msg *m = &e->x.msg;
	unsigned seen = e->head.seen & (H2_METHOD | H2_SCHEME | H2_PATH);

	if (e->head.seen & H2_PROTOCOL) {
		check_extended(e, seen);
	} else if (m->method_id == M_CONNECT) {
		if (seen != H2_METHOD || !(e->head.seen & H2_AUTHORITY) || e->head.once & F_LENGTH)
			refuse(e, 400, "malformed CONNECT");
		m->target = m->authority;
	} else if (seen != (H2_METHOD | H2_SCHEME | H2_PATH)) {
		refuse(e, 400, "pseudo-header field missing");
	} else if (m->method.n > METHOD_MAX) {
		refuse(e, 501, "method too long");
	} else if (m->target.p[0] != '/' && !(m->method_id == M_OPTIONS && str_eq(m->target, STR("*")))) {
		refuse(e, 400, "invalid :path");
	}
}

/* :authority counts, and becomes Host; both may come when they say the same (8.3.1). */
static void
check_host(struct h2_stream *e)
{
	struct weir_msg *m = &e->x.msg;
	struct weir_field *f = e->head.once & F_HOST ? fields_known(&m->fields, H_HOST) : NULL;

	if (f == NULL && !(e->head.seen & H2_AUTHORITY)) {
		refuse(e, 400, "neither :authority nor Host");
	} else if (f == NULL) {
		fields_add_as(&m->fields, e->x.pool, H_HOST, STR("host"), m->authority);
	} else if (!host_valid(f->value)) {
		refuse(e, 400, "invalid Host");
	} else if (!(e->head.seen & H2_AUTHORITY)) {
		m->authority = f->value;
	} else if (!str_ieq(f->value, m->authority)) {
		refuse(e, 400, ":authority and Host say different things");
	}
}

static void
check_length(struct h2_stream *e, bool end)
{
	struct weir_msg *m = &e->x.msg;
	struct weir_str s;
	uint64_t n;

	m->length = end || msg_connects(m) ? 0 : -1;
	if (!(e->head.once & F_LENGTH))
		return;
	s = fields_value(&m->fields, H_CONTENT_LENGTH);
	if (s.n > LENGTH_DIGITS || num_u64(s, &n) != WEIR_OK || n > INT64_MAX) {
		refuse(e, 400, "invalid Content-Length");
		return;
	}
	if (end && n != 0)
		refuse(e, 400, "Content-Length without a body");
	m->length = (int64_t)n;
	m->flags |= MSG_HAS_LENGTH;
}

static void
check_expect(struct h2_stream *e)
{
	if (!(e->head.once & F_EXPECT))
		return;
	if (!str_ieq(fields_value(&e->x.msg.fields, H_EXPECT), STR("100-continue")))
		refuse(e, 417, "unknown expectation");
	else
		e->x.msg.flags |= MSG_EXPECT;
}

/* Crumbs become one field (8.2.3). */
static void
join_cookies(struct h2_stream *e)
{
	struct weir_fields *fs = &e->x.msg.fields;
	struct weir_str all;
	struct weir_field *f;

	if (!(e->head.twice & F_COOKIE))
		return;
	all = fields_join(fs, e->x.pool, STR("cookie"), "; ");
	f = fields_known(fs, H_COOKIE);
	f->value = all;
	for (unsigned i = (unsigned)(f - fs->v) + 1, kept = i; ; i++) {
		if (i == fs->n) {
			fs->n = kept;
			return;
		}
		if (fs->v[i].known != H_COOKIE)
			fs->v[kept++] = fs->v[i];
	}
}

void
h2_head_end(struct h2_stream *e, bool end)
{
	struct weir_msg *m = &e->x.msg;

	m->version = 0x200;
	m->method_id = method_of(m->method);
	if (m->method.n != 0)
		make_line(e);
	if (e->head.status != 0)
		return;
	check_pseudos(e);
	if (e->head.twice & F_SINGLE)
		refuse(e, 400, "repeated field that must be single");
	check_host(e);
	check_length(e, end);
	check_expect(e);
	join_cookies(e);
	if (e->head.once & F_TE)
		m->flags |= MSG_TE_TRAILERS;
	if (e->head.status == 0 && e->head.seen & H2_PROTOCOL)
		as_upgrade(e);
}

/* ---- trailers ---- */

bool
h2_trailer_ok(struct weir_str name, struct weir_str value)
{
	enum weir_known k;

	return h2_name_judge(name, &k) != NAME_BAD && h2_value_ok(value) && !h2_is_connection_field(k);
}

int
h2_trailer(struct h2_stream *e, struct weir_str name, struct weir_str value)
{
	const struct weir_serve *o = e->s->opts;
	enum weir_known k;
	enum h2_name is = h2_name_judge(name, &k);

	e->head.bytes += (uint32_t)WEIR_MIN(name.n + value.n, (size_t)1 << 24);
	if (e->head.bytes > o->large_total || ++e->head.fields > o->fields)
		return WEIR_FAIL;
	if (!h2_trailer_ok(name, value))
		return WEIR_FAIL;
	if (!h2_may_be_behind(k) || (is != NAME_FINE && o->ignore_invalid && (is == NAME_ODD || !o->underscores)))
		return WEIR_OK;
	h2_field_keep(&e->x.msg.trailers, e->x.pool, k, name, value);
	return WEIR_OK;
}
