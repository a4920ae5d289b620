/*
 * recode.c - a source whose text changes from one character set to another.
 */
#include <stdio.h>

#include "core/io/recode.h"

enum {
	STEP = 1024,			/* bytes taken at a time: none becomes more than 4 */
	CUT = -1, WRONG = -2		/* of decode() */
};

/* ---- maps ---- */

struct weir_recode_map *
recode_map_new(struct weir_pool *pool, enum weir_recode_kind kind)
{
	struct weir_recode_map	*m = POOL_NEW(pool, weir_recode_map);
	unsigned		 i;

	m->kind = kind;
	for (i = 0; i < 256; i++) {
		uint8_t c = i < 128 ? (uint8_t)i : '?';

		if (kind == RECODE_BYTES) {
			m->byte[i] = c;
		} else if (kind == RECODE_TO_UTF8) {
			m->utf8[i].n = 1;
			m->utf8[i].s[0] = (char)c;
		}
	}
	return m;
}

static unsigned
encode(uint32_t code, char *to)
{
	if (code < 0x80) {
		to[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		to[0] = (char)(0xc0 | code >> 6);
		to[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	to[0] = (char)(0xe0 | code >> 12);
	to[1] = (char)(0x80 | (code >> 6 & 0x3f));
	to[2] = (char)(0x80 | (code & 0x3f));
	return 3;
}

void
recode_map_add(struct weir_recode_map *m, struct weir_pool *pool, uint8_t c, uint32_t code)
{
	assert(code <= 0xffff && m->kind != RECODE_BYTES);
	if (m->kind == RECODE_TO_UTF8) {
		m->utf8[c].n = (uint8_t)encode(code, m->utf8[c].s);
		return;
	}
	if (m->page[code >> 8] == NULL)
		m->page[code >> 8] = pool_zalloc(pool, 256);
	m->page[code >> 8][code & 0xff] = c;
}

/* ---- UTF-8 ---- */

/*
 * One character (RFC 3629): its bytes and *code; CUT: n bytes may be the begin of one; WRONG: the first
 * byte begins none.
 */
static int
decode(const uint8_t *p, size_t n, uint32_t *code)
{
	static const uint32_t	least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned		len, i;

	if (p[0] < 0x80) {
		*code = p[0];
		return 1;
	}
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return WRONG;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	*code = p[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if (i == n)
			return CUT;
		if ((p[i] & 0xc0) != 0x80)
			return WRONG;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	if (*code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
		return WRONG;
	return (int)len;
}

uint32_t
recode_utf8(struct weir_str s)
{
	uint32_t	code;

	if (s.n == 0 || decode((const uint8_t *)s.p, s.n, &code) != (int)s.n)
		return UINT32_MAX;
	return code;
}

/* ---- the source ---- */

static void
put_code(struct weir_recode *r, uint32_t code)
{
	const uint8_t	*page = code <= 0xffff ? r->map->page[code >> 8] : NULL;
	char		 text[16];

	if (code < 0x80) {
		text[0] = (char)code;
		bufq_put(&r->change.out, text, 1);
	} else if (page != NULL && page[code & 0xff] != 0) {
		bufq_put(&r->change.out, page + (code & 0xff), 1);
	} else {
		bufq_put(&r->change.out, text,
		    (size_t)snprintf(text, sizeof(text), "&#%u;", (unsigned)code));
	}
}

/* What was left of the last time stands before p. */
static void
from_utf8(struct weir_recode *r, const uint8_t *p, size_t n, bool last)
{
	uint32_t	code = 0;
	int		len;

	for (; n != 0; p += len, n -= (size_t)len) {
		len = decode(p, n, &code);
		if (len == CUT && !last) {
			memcpy(r->part, p, n);
			r->n_part = (unsigned)n;
			return;
		}
		if (len < 0) {
			len = 1;
			code = '?';
		}
		put_code(r, code);
	}
	r->n_part = 0;
}

static void
recode_some(struct weir_recode *r, uint8_t *p, size_t n)
{
	const struct weir_recode_map	*m = r->map;
	size_t				 i;

	if (m->kind == RECODE_BYTES) {
		for (i = 0; i < n; i++)
			p[i] = m->byte[p[i]];
		bufq_put(&r->change.out, p, n);
		return;
	}
	for (i = 0; i < n; i++)
		bufq_put(&r->change.out, m->utf8[p[i]].s, m->utf8[p[i]].n);
}

static int
on_run(struct weir_change *c, enum weir_change_how how)
{
	struct weir_recode	*r = WEIR_OF(c, struct weir_recode, change);
	bool			 utf8 = r->map->kind == RECODE_FROM_UTF8;
	uint8_t			 buf[sizeof(r->part) + STEP];
	size_t			 n;

	while (c->in.len != 0) {
		if (c->out.len >= c->enough)
			return WEIR_AGAIN;
		memcpy(buf, r->part, r->n_part);
		n = r->n_part + bufq_take(&c->in, buf + r->n_part, STEP);
		if (utf8)
			from_utf8(r, buf, n, false);
		else
			recode_some(r, buf, n);
	}
	if (how == CHANGE_END && r->n_part != 0) {
		memcpy(buf, r->part, r->n_part);
		from_utf8(r, buf, r->n_part, true);
	}
	return WEIR_OK;
}

void
recode_init(struct weir_recode *r, struct weir_src *below)
{
	r->change.run = on_run;
	change_init(&r->change, below);
}
