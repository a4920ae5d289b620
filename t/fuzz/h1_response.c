/*
 * h1_response.c - any bytes as the head of a response.
 */
#include <stdlib.h>

#include "http/h1/parse.h"

static const struct h1_limits limits = { .line = 8192, .total = 32768, .fields = 200 };

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

static void
check_framing(const struct weir_msg *m, bool head)
{
	unsigned framing = m->flags & (MSG_CHUNKED | MSG_UNTIL_CLOSE);
	bool	 none = head || m->status < 200 || m->status == 204 || m->status == 304;

	if (none)
		check(framing == 0 && m->length == 0);
	else if (m->flags & MSG_HAS_LENGTH)
		check(framing == 0 && m->length >= 0);
	else
		check((framing == MSG_CHUNKED || framing == MSG_UNTIL_CLOSE) && m->length == -1);
	check(!(m->flags & MSG_UNTIL_CLOSE) || m->flags & MSG_CLOSE);
	/* Never two lengths, and none where none may be. */
	if (m->flags & MSG_CHUNKED || m->status < 200 || m->status == 204)
		check(fields_known(&m->fields, H_CONTENT_LENGTH) == NULL);
	if (m->status < 200 || m->status == 204)
		check(fields_known(&m->fields, H_TRANSFER_ENCODING) == NULL);
}

static void
check_msg(const struct weir_msg *m, const char *text, size_t n, bool head)
{
	unsigned i;

	check(m->status >= 100 && m->status <= 999);
	check(m->version == 0x100 || m->version == 0x101);
	check(inside(m->line, text, n) && inside(m->reason, text, n) && is_field_value(m->reason));
	for (i = 0; i < m->fields.n; i++) {
		const struct weir_field *f = &m->fields.v[i];

		check(inside(f->name, text, n) && inside(f->value, text, n));
		check(is_token(f->name) && is_field_value(f->value));
		check(f->value.n == 0 || str_eq(str_trim(f->value), f->value));
		check(f->known == name_find(f->name));
	}
	check_framing(m, head);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t	scanned = 0, end;
	int	head;

	if (n > 65536)
		return 0;
	end = h1_head_end((const char *)data, n, &scanned);
	if (end == 0)
		end = n;
	for (head = 0; head < 2; head++) {
		struct weir_pool *pool = pool_new(0);
		char		 *text = pool_dup(pool, data, end);
		struct weir_msg	  m;
		struct h1_verdict v = h1_parse_response(pool, text, end, &limits, head, &m);

		check(v.status == 0 ? v.why == NULL : v.status == 502 && v.why != NULL);
		if (v.status == 0)
			check_msg(&m, text, end, head);
		pool_free(pool);
	}
	return 0;
}
