/*
 * framing.c - what the fields of a head say about its body and its connection.
 *
 *			request			response
 *	both lengths	refused			chunked; the connection ends
 *	coding		chunked, in 1.1		chunked, in 1.1
 *	length		once, digits		once, digits
 *	neither		no body			until the connection ends
 *
 * RFC 9112, 6.3, in its strictest reading.
 */
#include "http/h1/fields.h"
#include "http/msg/chars.h"

enum { LENGTH_DIGITS = 19, MAX_OPTIONS = 100 };

/* Fields of a request that must not come twice, as in nginx. */
#define SINGLE	(SEEN_HOST | SEEN_LENGTH | SEEN_CODING | SEEN_EXPECT | SEEN_IF_MODIFIED |	\
		 SEEN_IF_UNMODIFIED | SEEN_IF_MATCH | SEEN_IF_NONE_MATCH | SEEN_IF_RANGE |	\
		 SEEN_RANGE_OF | SEEN_AUTHORIZATION)

/*
 * End-to-end fields that say who somebody is, what he may do, or how the
 * content is to be read.  A peer who lists them in Connection wants them gone
 * where they would have been looked at.
 */
static const bool guarded[H_COUNT] = {
	[H_HOST] = true, [H_CONTENT_LENGTH] = true, [H_TRANSFER_ENCODING] = true,
	[H_AUTHORIZATION] = true, [H_COOKIE] = true, [H_SET_COOKIE] = true,
	[H_FORWARDED] = true, [H_X_FORWARDED_FOR] = true, [H_X_REAL_IP] = true,
	[H_VIA] = true, [H_MAX_FORWARDS] = true, [H_ORIGIN] = true, [H_REFERER] = true,
	[H_EARLY_DATA] = true, [H_EXPECT] = true, [H_DATE] = true,
	[H_CONTENT_TYPE] = true, [H_CONTENT_ENCODING] = true, [H_CONTENT_RANGE] = true,
	[H_CONTENT_DISPOSITION] = true, [H_CACHE_CONTROL] = true, [H_VARY] = true,
	[H_WWW_AUTHENTICATE] = true, [H_LOCATION] = true,
};

static bool
is_guarded(enum weir_known k, struct weir_str name)
{
	return guarded[k] || (k == H_UNKNOWN && str_ibegins(name, STR("x-forwarded-")));
}

static void
mark_hop(struct weir_fields *fs, struct weir_str name)
{
	enum weir_known		 k = name_find(name);
	struct weir_field	*f = NULL;

	if (is_guarded(k, name))
		return;
	while ((f = fields_find(fs, name, f)) != NULL)
		f->hop = 1;
}

enum { SAYS_CLOSE = 1, SAYS_KEEP = 2, SAYS_UPGRADE = 4, SAYS_TOO_MUCH = 8 };

static unsigned
option(struct weir_fields *fs, struct weir_str o)
{
	if (str_ieq(o, STR("close")))
		return SAYS_CLOSE;
	if (str_ieq(o, STR("keep-alive")))
		return SAYS_KEEP;
	if (str_ieq(o, STR("upgrade")))
		return SAYS_UPGRADE;
	mark_hop(fs, o);
	return 0;
}

/* What nearly every client sends, without a look at lists. */
static inline unsigned
usual_option(struct weir_str v)
{
	if (v.n == 10 && (memcmp(v.p, "keep-alive", 10) == 0 || memcmp(v.p, "Keep-Alive", 10) == 0))
		return SAYS_KEEP;
	return v.n == 5 && memcmp(v.p, "close", 5) == 0 ? SAYS_CLOSE : 0;
}

/* Every option of every Connection field; the work is bounded. */
static unsigned
options(struct weir_fields *fs)
{
	unsigned	i, usual, said = 0, count = 0;
	struct weir_str	rest, o;

	for (i = 0; i < fs->n; i++) {
		if (fs->v[i].known != H_CONNECTION)
			continue;
		if ((usual = usual_option(fs->v[i].value)) != 0) {
			said |= usual;
			continue;
		}
		for (rest = fs->v[i].value; str_next_item(&rest, &o); ) {
			if (++count > MAX_OPTIONS)
				return SAYS_TOO_MUCH;
			said |= option(fs, o);
		}
	}
	return said;
}

/* h2c would take the connection out of our sight (S-30): nobody is told of it. */
static bool
names_h2c(const struct weir_fields *fs)
{
	unsigned	i;
	struct weir_str	rest, o;

	for (i = 0; i < fs->n; i++) {
		if (fs->v[i].known != H_UPGRADE)
			continue;
		for (rest = fs->v[i].value; str_next_item(&rest, &o); )
			if (str_ieq(o, STR("h2c")))
				return true;
	}
	return false;
}

static struct h1_verdict
connection(struct weir_msg *m, const struct h1_seen *seen)
{
	unsigned said = seen->once & SEEN_CONNECTION ? options(&m->fields) : 0;

	if (said & SAYS_TOO_MUCH)
		return h1_bad(400, "too many connection options");
	if (said & SAYS_CLOSE || (m->version < 0x101 && !(said & SAYS_KEEP)))
		m->flags |= MSG_CLOSE;
	if (said & SAYS_UPGRADE && seen->once & SEEN_UPGRADE && m->version >= 0x101 &&
	    !names_h2c(&m->fields))
		m->flags |= MSG_UPGRADE;
	return h1_fine;
}

/* RFC 9110, 8.6: digits and nothing else. */
static bool
read_length(struct weir_str s, int64_t *to)
{
	uint64_t v = 0;
	size_t	 i;

	if (s.n == 0 || s.n > LENGTH_DIGITS)
		return false;
	for (i = 0; i < s.n; i++) {
		if (!(ch(s.p[i]) & CH_DIGIT))
			return false;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	*to = (int64_t)v;
	return v <= INT64_MAX;
}

/* A list that is not just "chunked": what is unknown is 501, what is wrong is 400. */
static struct h1_verdict
odd_coding(struct weir_str rest)
{
	unsigned	chunked = 0, other = 0;
	struct weir_str	coding;

	while (str_next_item(&rest, &coding)) {
		if (str_ieq(coding, STR("chunked")))
			chunked++;
		else
			other++;
	}
	if (other == 0)
		return h1_bad(400, chunked == 0 ? "empty Transfer-Encoding" :
		    "malformed Transfer-Encoding");
	return h1_bad(501, "unknown Transfer-Encoding");
}

static struct h1_verdict
check_coding(const struct weir_msg *m)
{
	struct weir_str value = fields_value(&m->fields, H_TRANSFER_ENCODING);

	if (m->version < 0x101)
		return h1_bad(400, "Transfer-Encoding in HTTP/1.0");
	return str_ieq(value, STR("chunked")) ? h1_fine : odd_coding(value);
}

static void
te(struct weir_msg *m)
{
	unsigned	i;
	struct weir_str	rest, o;

	for (i = 0; i < m->fields.n; i++) {
		if (m->fields.v[i].known != H_TE)
			continue;
		for (rest = m->fields.v[i].value; str_next_item(&rest, &o); )
			if (str_ieq(o, STR("trailers")))
				m->flags |= MSG_TE_TRAILERS;
	}
}

static struct h1_verdict
request_body(struct weir_msg *m, const struct h1_seen *seen)
{
	struct h1_verdict v;

	m->length = 0;
	if (seen->once & SEEN_CODING) {
		v = check_coding(m);
		if (v.status != 0)
			return v;
		if (seen->once & SEEN_LENGTH)
			return h1_bad(400, "both Content-Length and Transfer-Encoding");
		m->flags |= MSG_CHUNKED;
		m->length = -1;
	} else if (seen->once & SEEN_LENGTH) {
		if (!read_length(fields_value(&m->fields, H_CONTENT_LENGTH), &m->length))
			return h1_bad(400, "invalid Content-Length");
		m->flags |= MSG_HAS_LENGTH;
	}
	return h1_fine;
}

/* An expectation to HTTP/1.0 is ignored, one that we do not know is never (RFC 9110, 10.1.1). */
static struct h1_verdict
expect(struct weir_msg *m)
{
	if (!str_ieq(fields_value(&m->fields, H_EXPECT), STR("100-continue")))
		return h1_bad(417, "unknown expectation");
	if (m->version >= 0x101)
		m->flags |= MSG_EXPECT;
	return h1_fine;
}

struct h1_verdict
h1_frame_request(struct weir_msg *m, const struct h1_seen *seen)
{
	struct h1_verdict v;

	if (seen->twice & SINGLE)
		return h1_bad(400, seen->twice & SEEN_HOST ? "repeated Host" :
		    seen->twice & SEEN_LENGTH ? "repeated Content-Length" :
		    seen->twice & SEEN_CODING ? "repeated Transfer-Encoding" :
		    "repeated field that must be single");
	v = request_body(m, seen);
	if (v.status == 0)
		v = connection(m, seen);
	if (v.status == 0 && seen->once & SEEN_EXPECT)
		v = expect(m);
	if (seen->once & SEEN_TE)
		te(m);
	return v;
}

/*
 * Neither may be in such a response (RFC 9110, 8.6; RFC 9112, 6.1).  A server
 * that means it goes on with a body which nobody is going to read.
 */
static void
strip_lengths(struct weir_msg *m, const struct h1_seen *seen)
{
	if (!(seen->once & (SEEN_LENGTH | SEEN_CODING)))
		return;
	if (m->length != 0)
		m->flags |= MSG_CLOSE;
	fields_remove_known(&m->fields, H_CONTENT_LENGTH);
	fields_remove_known(&m->fields, H_TRANSFER_ENCODING);
	m->flags &= (uint16_t)~MSG_HAS_LENGTH;
}

static struct h1_verdict
response_length(struct weir_msg *m, const struct h1_seen *seen)
{
	struct h1_verdict v;

	m->length = -1;
	if (seen->twice & SEEN_LENGTH)
		return h1_bad(400, "repeated Content-Length");
	if (seen->twice & SEEN_CODING)
		return h1_bad(400, "repeated Transfer-Encoding");
	if (seen->once & SEEN_LENGTH) {
		if (!read_length(fields_value(&m->fields, H_CONTENT_LENGTH), &m->length))
			return h1_bad(400, "invalid Content-Length");
		m->flags |= MSG_HAS_LENGTH;
	}
	if (!(seen->once & SEEN_CODING))
		return h1_fine;
	v = check_coding(m);
	if (v.status != 0)
		return v;
	if (seen->once & SEEN_LENGTH) {
		fields_remove_known(&m->fields, H_CONTENT_LENGTH);
		m->flags &= (uint16_t)~MSG_HAS_LENGTH;
		m->flags |= MSG_CLOSE;
	}
	m->flags |= MSG_CHUNKED;
	m->length = -1;
	return h1_fine;
}

struct h1_verdict
h1_frame_response(struct weir_msg *m, const struct h1_seen *seen, bool head_request)
{
	struct h1_verdict v = response_length(m, seen);

	if (v.status == 0)
		v = connection(m, seen);
	if (v.status != 0)
		return v;
	if (m->status < 200 || m->status == 204)
		strip_lengths(m, seen);
	if (head_request || m->status < 200 || m->status == 204 || m->status == 304) {
		m->flags &= (uint16_t)~MSG_CHUNKED;
		m->length = 0;
	} else if (m->length < 0 && !(m->flags & MSG_CHUNKED)) {
		m->flags |= MSG_UNTIL_CLOSE | MSG_CLOSE;
	}
	return h1_fine;
}
