/*
 * pads.c - Huffman strings of a header block that are padded by an octet too many.
 *
 * A block is walked by the lengths of its representations (RFC 7541, 6).  Only strings that end in an octet
 * of ones may have one too many: whether they do is asked of nghttp2, with the octet and without it.
 */
#include <nghttp2/nghttp2.h>
#include <string.h>

#include "http/h2/pads.h"

enum {
	STRING_MOST	= 1 << 16,	/* nghttp2 takes no larger ones */
	ASKED_MOST	= 100,		/* strings of a block that nghttp2 is asked about: each costs an inflater */
	HUFFMAN		= 0x80
};

struct walk {
	const uint8_t	*p, *end;
	uint8_t		*to;		/* NULL: nobody wants it */
	unsigned	 asked;
	size_t		 dropped;
};

static void
copy(struct walk *w, const uint8_t *p, size_t n)
{
	if (w->to == NULL)
		return;
	memcpy(w->to, p, n);
	w->to += n;
}

/* RFC 7541, 5.1.  False: it goes on behind the end, or is larger than any string. */
static bool
get_number(struct walk *w, unsigned bits, size_t *n)
{
	size_t mask = (1u << bits) - 1;
	unsigned shift = 0;

	if (w->p == w->end)
		return false;
	*n = *w->p++ & mask;
	if (*n < mask)
		return true;
	do {
		if (w->p == w->end || shift > 14)
			return false;
		*n += (size_t)(*w->p & 0x7f) << shift;
		shift += 7;
	} while (*w->p++ & 0x80);
	return *n <= STRING_MOST;
}

static size_t
put_number(uint8_t *to, uint8_t first, unsigned bits, size_t n)
{
	size_t mask = (1u << bits) - 1, i = 0;

	if (n < mask) {
		to[0] = (uint8_t)(first | n);
		return 1;
	}
	to[i++] = (uint8_t)(first | mask);
	for (n -= mask; n >= 0x80; n >>= 7)
		to[i++] = (uint8_t)(n | 0x80);
	to[i++] = (uint8_t)n;
	return i;
}

/* As nghttp2 sees it: "x: string". */
static bool
decodes(const uint8_t *p, size_t n)
{
	nghttp2_hd_inflater *inflater;
	uint8_t head[3 + 4] = { 0, 1, 'x' };
	nghttp2_nv nv;
	int flags;
	bool ok;

	if (n == 0)
		return true;
	if (nghttp2_hd_inflate_new(&inflater) != 0)
		return false;
	ok = nghttp2_hd_inflate_hd3(inflater, &nv, &flags, head, 3 + put_number(head + 3, HUFFMAN, 7, n), 0) >= 0 &&
	    nghttp2_hd_inflate_hd3(inflater, &nv, &flags, p, n, 1) >= 0 && (flags & NGHTTP2_HD_INFLATE_EMIT);
	nghttp2_hd_inflate_del(inflater);
	return ok;
}

static bool
is_padded(struct walk *w, const uint8_t *p, size_t n)
{
	return n != 0 && p[n - 1] == 0xff && w->asked++ < ASKED_MOST && !decodes(p, n) && decodes(p, n - 1);
}

static bool
string(struct walk *w)
{
	const uint8_t *from = w->p, *p;
	size_t n;

	if (!get_number(w, 7, &n) || n > (size_t)(w->end - w->p))
		return false;
	p = w->p;
	w->p += n;
	if (!(*from & HUFFMAN) || !is_padded(w, p, n)) {
		copy(w, from, (size_t)(w->p - from));
		return true;
	}
	w->dropped++;
	if (w->to != NULL)
		w->to += put_number(w->to, HUFFMAN, 7, n - 1);
	copy(w, p, n - 1);
	return true;
}

/* One representation: RFC 7541, 6.1 to 6.3. */
static bool
field(struct walk *w)
{
	const uint8_t *from = w->p;
	bool indexed = *from & 0x80, size = (*from & 0xe0) == 0x20;
	unsigned bits = indexed ? 7 : *from & 0x40 ? 6 : size ? 5 : 4;
	size_t index;

	if (!get_number(w, bits, &index))
		return false;
	copy(w, from, (size_t)(w->p - from));
	if (indexed || size)
		return true;
	return (index != 0 || string(w)) && string(w);
}

size_t
h2_pads(const uint8_t *block, size_t n, uint8_t *to)
{
	struct walk w = { .p = block, .end = block + n, .to = to };

	while (w.p != w.end)
		if (!field(&w))
			return 0;
	return w.dropped;
}
