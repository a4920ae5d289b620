/*
 * scan.h - finding the byte that ends something, sixteen at a time.
 *
 * Each function looks from `p` on and returns where it stopped, or `end`.  None reads
 * at or behind `end`.
 */
#ifndef WEIR_HTTP_MSG_SCAN_H
#define WEIR_HTTP_MSG_SCAN_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "http/msg/chars.h"

#ifdef __SSE2__

static inline __m128i
scan_load(const char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline __m128i
scan_eq(__m128i x, char c)
{
	return _mm_cmpeq_epi8(x, _mm_set1_epi8(c));
}

/* Where x is at least `from` and below `from` + n; shifts the range to the lowest signed values. */
static inline __m128i
scan_range(__m128i x, int from, int n)
{
	return _mm_cmplt_epi8(_mm_add_epi8(x, _mm_set1_epi8((char)(-128 - from))),
	    _mm_set1_epi8((char)(-128 + n)));
}

static inline unsigned
scan_mask(__m128i x)
{
	return (unsigned)_mm_movemask_epi8(x);
}

/* What is not a letter, digit or '-'. */
static inline unsigned
scan_not_name(__m128i x)
{
	__m128i letter = scan_range(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 26);
	__m128i other = _mm_or_si128(scan_range(x, '0', 10), scan_eq(x, '-'));

	return scan_mask(_mm_or_si128(letter, other)) ^ 0xffff;
}

/* What ends a line or must not stand in it. */
static inline unsigned
scan_is_break(__m128i x)
{
	return scan_mask(_mm_or_si128(scan_eq(x, '\r'),
	    _mm_or_si128(scan_eq(x, '\n'), scan_eq(x, '\0'))));
}

static inline unsigned
scan_not_target(__m128i x)
{
	__m128i low = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x20)), x);

	return scan_mask(_mm_or_si128(low, _mm_or_si128(scan_eq(x, '#'), scan_eq(x, 0x7f))));
}

#define SCAN_WIDE(p, end, bits)						\
	for (; (end) - (p) >= 16; (p) += 16) {				\
		unsigned stop_ = bits(scan_load(p));			\
		if (stop_ != 0)						\
			return (p) + __builtin_ctz(stop_);		\
	}

#else
#define SCAN_WIDE(p, end, bits)
#endif

/* The end of a run of letters, digits and '-'. */
static inline const char *
scan_name(const char *p, const char *end)
{
	SCAN_WIDE(p, end, scan_not_name)
	while (p < end && (ch(*p) & CH_NAME))
		p++;
	return p;
}

/* CR, LF or NUL. */
static inline const char *
scan_break(const char *p, const char *end)
{
	SCAN_WIDE(p, end, scan_is_break)
	while (p < end && *p != '\r' && *p != '\n' && *p != '\0')
		p++;
	return p;
}

/* As scan_break(), of who does not ask where: the last sixteen may be looked at twice. */
static inline bool
scan_has_break(const char *p, size_t n)
{
	const char *end = p + n;

#ifdef __SSE2__
	if (n >= 16) {
		for (; end - p > 16; p += 16)
			if (scan_is_break(scan_load(p)) != 0)
				return true;
		return scan_is_break(scan_load(end - 16)) != 0;
	}
#endif
	return scan_break(p, end) != end;
}

/* The end of what can be in a target. */
static inline const char *
scan_target(const char *p, const char *end)
{
	SCAN_WIDE(p, end, scan_not_target)
	while (p < end && (ch(*p) & CH_TARGET))
		p++;
	return p;
}

#endif
