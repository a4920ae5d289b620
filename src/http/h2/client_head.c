/*
 * client_head.c - heads of requests as nghttp2 wants them, and heads of responses to messages (RFC 9113, 8.1 to 8.3).
 *
 * A response that is malformed is refused as a whole; what is said about it names the fault.
 */
#include "core/base/num.h"
#include "http/h2/client.h"
#include "http/h2/field.h"

enum { ON_STACK = 48, PSEUDOS = 4, LENGTH_DIGITS = 19, PER_FIELD = 4 };

/* ---- the request ---- */

/* What HTTP/2 has no place for, or says elsewhere. */
static bool
is_left_out(const struct weir_field *f)
{
	switch (f->known) {
	case H_CONTENT_LENGTH:
	case H_HOST:
		return true;
	case H_TE:
		return !str_ieq(f->value, STR("trailers"));
	default:
		return h2_is_connection_field(f->known);
	}
}

static size_t
put_fields(nghttp2_nv *to, const struct weir_fields *fs)
{
	size_t n = 0;

	for (unsigned i = 0; i < fs->n; i++)
		if (!is_left_out(&fs->v[i]))
			to[n++] = h2_pair(fs->v[i].name, fs->v[i].value);
	return n;
}

static nghttp2_nv *
room_for(struct h2_call *e, const struct weir_fields *fs, nghttp2_nv *stack)
{
	size_t n = fs->n + PSEUDOS + 1;

	return n <= ON_STACK ? stack : pool_alloc(e->x.pool, n * sizeof(*stack));
}

int
h2c_put_head(struct h2_call *e, const struct weir_msg *m)
{
	nghttp2_nv stack[ON_STACK], *v = room_for(e, &m->fields, stack);
	struct weir_str host = fields_value(&m->fields, H_HOST);
	char length[NUM_MAX];
	size_t n = 0;

	e->k->frames.head_most = WEIR_MAX(e->k->frames.head_most, (size_t)e->x.limits.total);
	v[n++] = h2_pair(STR(":method"), m->method);
	v[n++] = h2_pair(STR(":scheme"), e->k->secure ? STR("https") : STR("http"));
	v[n++] = h2_pair(STR(":path"), m->target.n != 0 ? m->target : STR("/"));
	if (host.n != 0)
		v[n++] = h2_pair(STR(":authority"), host);
	n += put_fields(v + n, &m->fields);
	if (m->length > 0 || (m->length == 0 && (m->flags & MSG_HAS_LENGTH)))
		v[n++] = h2_pair(STR("content-length"), str_of(length,
		    (size_t)(num_put(length, (uint64_t)m->length) - length)));
	e->id = nghttp2_submit_request2(e->k->ng, NULL, v, n, e->nothing ? NULL : &h2c_provider, e);
	if (e->id > 0)
		return WEIR_OK;
	e->id = 0;
	return WEIR_FAIL;
}

int
h2c_put_trailers(struct h2_call *e)
{
	nghttp2_nv stack[ON_STACK], *v = room_for(e, &e->trailers, stack);
	size_t n = put_fields(v, &e->trailers);

	return n != 0 && nghttp2_submit_trailer(e->k->ng, e->id, v, n) == 0 ? WEIR_OK : WEIR_FAIL;
}

/* ---- the response ---- */

static const char *
say(struct h2_call *e, const char *what, struct weir_str name)
{
	return pool_cstr(e->x.pool, pool_printf(e->x.pool, "upstream sent %s \"%.*s\"", what, STR_ARG(name)));
}

void
h2c_head_begin(struct h2_call *e)
{
	e->coming = POOL_NEW(e->x.pool, h2_reply);
	e->fields = e->bytes = 0;
}

static const char *
status_field(struct h2_call *e, struct weir_str v)
{
	struct h2_reply *c = e->coming;
	uint64_t n;

	if (c->status)
		return "upstream sent duplicate :status header";
	c->status = true;
	if (v.n != 3 || num_u64(v, &n) != WEIR_OK || n < 100 || n > 999)
		return say(e, "invalid :status", is_field_value(v) && v.n < 16 ? v : STR(""));
	if (n == 101)
		return "upstream sent unexpected :status \"101\"";
	c->msg.status = (int)n;
	return NULL;
}

static const char *
pseudo_field(struct h2_call *e, struct weir_str name, struct weir_str value)
{
	if (e->final)
		return "upstream sent a pseudo-header field among the trailers";
	if (e->coming->regular)
		return "upstream sent a pseudo-header field behind others";
	if (!str_eq(name, STR(":status")))
		return "upstream sent an unknown pseudo-header field";
	return status_field(e, value);
}

const char *
h2c_field(struct h2_call *e, struct weir_str name, struct weir_str value)
{
	struct h2_reply *c = e->coming;
	enum weir_known known;

	e->bytes += (uint32_t)WEIR_MIN(name.n + value.n + PER_FIELD, (size_t)1 << 24);
	if (e->bytes > e->x.limits.total || ++e->fields > e->x.limits.fields)
		return e->final ? "upstream sent too big trailers" : "upstream sent too big header";
	if (name.n != 0 && name.p[0] == ':')
		return pseudo_field(e, name, value);
	c->regular = true;
	if (h2_name_judge(name, &known) == NAME_BAD)
		return "upstream sent invalid header: invalid name of a field";
	if (!h2_value_ok(value))
		return say(e, "invalid header: invalid value of", name);
	if (h2_is_connection_field(known))
		return say(e, "invalid header: a field about the connection,", name);
	if (e->final && !h2_may_be_behind(known))
		return NULL;
	h2_field_keep(e->final ? &e->behind : &c->msg.fields, e->x.pool, known, name, value);
	return NULL;
}

static const char *
check_length(struct h2_call *e, struct weir_msg *m)
{
	struct weir_field *f = fields_known(&m->fields, H_CONTENT_LENGTH), *g;
	uint64_t n;

	if (f == NULL)
		return NULL;
	for (g = f + 1; g < m->fields.v + m->fields.n; g++)
		if (g->known == H_CONTENT_LENGTH && !str_eq(f->value, g->value))
			return "upstream sent two different Content-Length header fields";
	if (f->value.n > LENGTH_DIGITS || num_u64(f->value, &n) != WEIR_OK || n > INT64_MAX)
		return "upstream sent invalid \"Content-Length\" header";
	m->length = (int64_t)n;
	m->flags |= MSG_HAS_LENGTH;
	if (!e->none)
		e->length = (int64_t)n;
	return NULL;
}

/* The head of the response itself, or one before it. */
static const char *
end_of_head(struct h2_call *e, struct h2_reply *c, bool end)
{
	struct weir_msg *m = &c->msg;
	const char *fault;

	m->version = 0x200;
	m->length = -1;
	m->size = (uint32_t)e->bytes;
	if (!c->status)
		return "upstream sent no :status header";
	if (m->status < 200) {
		if (end)
			return "upstream sent an interim response that ends the stream";
		return ++e->interims > H2C_INTERIM_MOST ? "upstream sent too many interim responses" : NULL;
	}
	e->none = e->head_only || m->status == 204 || m->status == 304;
	fault = check_length(e, m);
	if (fault != NULL)
		return fault;
	if (end && e->length > 0)
		return "upstream sent Content-Length without a body";
	if (e->none || end)
		m->length = 0;
	return NULL;
}

const char *
h2c_head_end(struct h2_call *e, bool end)
{
	struct h2_reply *c = e->coming;
	const char *fault;

	e->coming = NULL;
	if (e->final)
		return end ? NULL : "upstream sent trailers that are not the end";
	fault = end_of_head(e, c, end);
	if (fault != NULL || c->msg.status == 100)
		return fault;
	e->final = c->msg.status >= 200;
	*e->replies_end = c;
	e->replies_end = &c->next;
	h2c_note(e, CALL_HEAD);
	return NULL;
}
