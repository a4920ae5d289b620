/*
 * fields.c - the lines of a head (RFC 9112, 5).
 *
 * One pass: the end of the name and the end of the line are searched for
 * sixteen bytes at a time, names get their number, and the fields that matter
 * for framing leave a bit, so that nobody has to search for those that are not
 * there.
 */
#include "http/h1/fields.h"
#include "http/msg/scan.h"

enum { ROOM_MIN = 6, ROOM_MAX = 64, BYTES_PER_FIELD = 32 };

static const uint16_t seen_bit[H_COUNT] = {
	[H_HOST] = SEEN_HOST,
	[H_CONTENT_LENGTH] = SEEN_LENGTH,
	[H_TRANSFER_ENCODING] = SEEN_CODING,
	[H_CONNECTION] = SEEN_CONNECTION,
	[H_EXPECT] = SEEN_EXPECT,
	[H_UPGRADE] = SEEN_UPGRADE,
	[H_TE] = SEEN_TE,
	[H_IF_MODIFIED_SINCE] = SEEN_IF_MODIFIED,
	[H_IF_UNMODIFIED_SINCE] = SEEN_IF_UNMODIFIED,
	[H_IF_MATCH] = SEEN_IF_MATCH,
	[H_IF_NONE_MATCH] = SEEN_IF_NONE_MATCH,
	[H_IF_RANGE] = SEEN_IF_RANGE,
	[H_CONTENT_RANGE] = SEEN_RANGE_OF,
	[H_AUTHORIZATION] = SEEN_AUTHORIZATION,
};

static const uint8_t hop[H_COUNT] = {
#define X(number, name, is_hop) [number] = is_hop,
	WEIR_KNOWN_NAMES(X)
#undef X
};

static inline bool
blank(char c)
{
	return c == ' ' || c == '\t';
}

struct line {
	struct weir_str	 name;
	const char	*value;		/* behind the colon */
	bool		 odd, underscore;	/* characters the name has */
};

/* The name has more in it than letters, digits and '-'; `q` is at the first such byte. */
static struct h1_verdict __attribute__((noinline))
odd_name(const struct h1_reader *r, const char *q, struct line *l)
{
	for (; q < r->end && (ch(*q) & CH_TOKEN); q++) {
		if (*q == '_')
			l->underscore = true;
		else if (!(ch(*q) & CH_NAME))
			l->odd = true;
	}
	l->name = str_of(r->p, (size_t)(q - r->p));
	if (r->response)
		while (q < r->end && blank(*q))
			q++;
	if (l->name.n == 0 && q < r->end && *q != ':')
		return h1_bad(400, blank(*r->p) ? "folded field or blank before a name" :
		    "invalid character in a field name");
	if (l->name.n == 0)
		return h1_bad(400, "field without a name");
	if (q == r->end || *q != ':')
		return h1_bad(400, "invalid character in a field name");
	l->value = q + 1;
	return h1_fine;
}

static inline struct h1_verdict
read_name(const struct h1_reader *r, struct line *l)
{
	const char *q = scan_name(r->p, r->end);

	l->odd = l->underscore = false;
	if (unlikely(q == r->end || *q != ':' || q == r->p))
		return odd_name(r, q, l);
	l->name = str_of(r->p, (size_t)(q - r->p));
	l->value = q + 1;
	return h1_fine;
}

/* Behind the line end at `p`, or NULL when it is none. */
static inline const char *
line_end(const struct h1_reader *r, const char *p)
{
	if (likely(r->end - p >= 2 && p[0] == '\r' && p[1] == '\n'))
		return p + 2;
	if (r->lf && p < r->end && *p == '\n')
		return p + 1;
	return NULL;
}

static struct h1_verdict
bad_end(const struct h1_reader *r, const char *p)
{
	if (p < r->end && *p == '\0')
		return h1_bad(400, "NUL in the head");
	if (p < r->end && *p == '\n')
		return h1_bad(400, "bare LF in the head");
	return h1_bad(400, "bare CR in the head");
}

/* nginx's idea of a name that may be dropped; what is no token did not come this far. */
static inline bool
dropped(const struct h1_reader *r, const struct line *l)
{
	return !r->response && r->limits->ignore_invalid &&
	    (l->odd || (l->underscore && !r->limits->underscores));
}

static inline void
keep(struct h1_reader *r, struct weir_fields *to, struct h1_seen *seen, struct weir_str name,
    struct weir_str value)
{
	enum weir_known		 k = name_find(name);
	struct weir_field	*f;

	if (unlikely(to->n == to->room))
		to->v = pool_grow(r->pool, to->v, to->n, &to->room, sizeof(*to->v));
	f = &to->v[to->n++];
	f->name = name;
	f->value = value;
	f->known = (uint16_t)k;
	f->hop = hop[k];
	seen->twice |= seen->once & seen_bit[k];
	seen->once |= seen_bit[k];
}

static void
make_room(struct h1_reader *r, struct weir_fields *to)
{
	size_t n = (size_t)(r->end - r->p) / BYTES_PER_FIELD + ROOM_MIN;

	to->n = 0;
	to->room = (unsigned)WEIR_MIN(n, ROOM_MAX);
	to->v = pool_alloc(r->pool, to->room * sizeof(*to->v));
}

/* The line at r->p, which is not the empty one; r->p moves to the next. */
static inline struct h1_verdict
read_line(struct h1_reader *r, struct line *l, struct weir_str *value)
{
	const char		*begin, *stop, *next;
	struct h1_verdict	 v = read_name(r, l);

	if (unlikely(v.status != 0))
		return v;
	for (begin = l->value; begin < r->end && blank(*begin); begin++)
		;
	stop = scan_break(begin, r->end);
	if (unlikely((next = line_end(r, stop)) == NULL))
		return bad_end(r, stop);
	if (unlikely((size_t)(stop - r->p) > r->limits->line))
		return h1_bad(431, "field line too long");
	while (stop > begin && blank(stop[-1]))
		stop--;
	*value = str_of(begin, (size_t)(stop - begin));
	r->p = next;
	return h1_fine;
}

struct h1_verdict
h1_fields(struct h1_reader *r, struct weir_fields *to, struct h1_seen *seen)
{
	const char	*end;
	uint32_t	 count = 0;
	struct weir_str	 value;
	struct line	 l;

	*seen = (struct h1_seen){ 0, 0 };
	make_room(r, to);
	while ((end = line_end(r, r->p)) == NULL) {
		struct h1_verdict v = read_line(r, &l, &value);

		if (unlikely(v.status != 0))
			return v;
		if (unlikely(++count > r->limits->fields))
			return h1_bad(431, "too many fields");
		if (likely(!dropped(r, &l)))
			keep(r, to, seen, l.name, value);
	}
	return end == r->end ? h1_fine : h1_bad(400, "bytes behind the head");
}
