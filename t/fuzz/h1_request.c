/*
 * h1_request.c - any bytes as the head of a request.
 *
 * What is accepted is looked at closely: every part lies where it should and is
 * what its grammar says, and writing it down and reading it again gives the same.
 */
#include <stdlib.h>

#include "http/h1/parse.h"

static const struct h1_limits variants[] = {
	{ .line = 8192, .total = 32768, .fields = 100, .ignore_invalid = true },
	{ .line = 8192, .total = 32768, .fields = 1000 },
	{ .line = 100, .total = 400, .fields = 5, .ignore_invalid = true, .underscores = true },
};

static void
check(bool what)
{
	if (!what)
		abort();
}

static bool
inside(struct weir_str s, const char *p, size_t n)
{
	return s.n == 0 || (s.p >= p && s.p + s.n <= p + n);
}

static bool
trimmed(struct weir_str s)
{
	return s.n == 0 || str_eq(str_trim(s), s);
}

static void
check_field(const struct weir_field *f, const char *head, size_t n)
{
	check(inside(f->name, head, n) && inside(f->value, head, n));
	check(is_token(f->name) && is_field_value(f->value) && trimmed(f->value));
	check(f->known == name_find(f->name));
	check(!name_is_hop((enum weir_known)f->known) || f->hop);
}

static void
check_msg(const struct weir_msg *m, const char *head, size_t n)
{
	struct weir_str	host, port;
	unsigned	i, hosts = 0;

	check(m->size == n && (m->version == 0x100 || m->version == 0x101));
	check(is_token(m->method) && inside(m->method, head, n) && inside(m->line, head, n));
	check(m->target.n > 0);
	for (i = 0; i < m->fields.n; i++) {
		check_field(&m->fields.v[i], head, n);
		hosts += m->fields.v[i].known == H_HOST;
	}
	check(hosts == 1 || (hosts == 0 && m->version == 0x100));
	if (m->authority.p != NULL) {
		struct weir_pool *pool = pool_new(0);

		check(host_parse(pool, m->authority, &host, &port));
		pool_free(pool);
	}
	check(!(m->flags & MSG_CHUNKED) || (m->length == -1 && m->version == 0x101));
	check(!(m->flags & MSG_HAS_LENGTH) || m->length >= 0);
	check((m->flags & (MSG_CHUNKED | MSG_HAS_LENGTH)) != 0 || m->length == 0);
	check((m->flags & (MSG_CHUNKED | MSG_HAS_LENGTH)) != (MSG_CHUNKED | MSG_HAS_LENGTH));
	check(!(m->flags & (MSG_EXPECT | MSG_UPGRADE)) || m->version == 0x101);
	check(!(m->flags & MSG_UNTIL_CLOSE));
}

static struct weir_str
write_down(struct weir_pool *pool, const struct weir_msg *m)
{
	struct weir_str	s = pool_printf(pool, "%.*s %.*s HTTP/1.%d\r\n", STR_ARG(m->method),
	    STR_ARG(m->target), m->version & 1);
	size_t		n = s.n + 2;
	unsigned	i;
	char		*text, *p;

	for (i = 0; i < m->fields.n; i++)
		n += m->fields.v[i].name.n + m->fields.v[i].value.n + 4;
	p = text = pool_bytes(pool, n);
	memcpy(p, s.p, s.n);
	p += s.n;
	for (i = 0; i < m->fields.n; i++) {
		const struct weir_field *f = &m->fields.v[i];

		memcpy(p, f->name.p, f->name.n);
		p += f->name.n;
		*p++ = ':';
		*p++ = ' ';
		if (f->value.n != 0)
			memcpy(p, f->value.p, f->value.n);
		p += f->value.n;
		*p++ = '\r';
		*p++ = '\n';
	}
	*p++ = '\r';
	*p++ = '\n';
	return str_of(text, n);
}

static void
check_same(const struct weir_msg *a, const struct weir_msg *b)
{
	unsigned i;

	check(str_eq(a->method, b->method) && a->method_id == b->method_id);
	check(str_eq(a->target, b->target) && a->version == b->version);
	check(a->length == b->length);
	check((a->flags & ~MSG_ABSOLUTE) == b->flags);
	check(a->fields.n == b->fields.n);
	for (i = 0; i < a->fields.n; i++) {
		check(str_eq(a->fields.v[i].name, b->fields.v[i].name));
		check(str_eq(a->fields.v[i].value, b->fields.v[i].value));
		check(a->fields.v[i].hop == b->fields.v[i].hop);
	}
}

static void
try_head(const char *text, size_t n, const struct h1_limits *limits)
{
	struct weir_pool *pool = pool_new(0);
	struct h1_limits  again = *limits;
	char		 *head = pool_dup(pool, text, n);
	struct weir_msg	  m, m2;
	struct h1_verdict v = h1_parse_request(pool, head, n, limits, &m);

	check((v.status == 0) == (v.why == NULL));
	if (v.status == 0) {
		struct weir_str s;

		check_msg(&m, head, n);
		check(h1_check_request_start(text, n, limits).status == 0);
		s = write_down(pool, &m);
		again.line += 10;
		again.total = (uint32_t)s.n;
		v = h1_parse_request(pool, (char *)(uintptr_t)s.p, s.n, &again, &m2);
		check(v.status == 0);
		check_same(&m, &m2);
	}
	pool_free(pool);
}

/* However the head comes in, its end is found at the same place. */
static size_t
find_end(const char *p, size_t n)
{
	static const size_t steps[] = { 1, 7, 16, 33 };
	size_t scanned = 0, end = h1_head_end(p, n, &scanned), i, k, got;

	check(end <= n);
	for (i = 0; i < WEIR_COUNT(steps); i++) {
		scanned = 0;
		for (k = got = 0; k < n && got == 0; ) {
			k = WEIR_MIN(k + steps[i], n);
			got = h1_head_end(p, k, &scanned);
			check(got == 0 || got <= k);
		}
		check(got == end);
	}
	return end;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char	*p = (const char *)data;
	size_t		 i, end;

	if (n > 65536)
		return 0;
	end = find_end(p, n);
	for (i = 0; i < WEIR_COUNT(variants); i++) {
		struct h1_verdict v = h1_check_request_start(p, n, &variants[i]);

		check((v.status == 0) == (v.why == NULL));
		if (end != 0)
			try_head(p, end, &variants[i]);
		try_head(p, n, &variants[i]);
	}
	return 0;
}
