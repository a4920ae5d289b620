/*
 * num.c - numbers, sizes and times from text and to text.
 */
#include "core/base/num.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits from the front of `s`; false when there is none or on overflow. */
static bool
digits(struct weir_str *s, uint64_t *to)
{
	uint64_t n = 0;
	size_t	 i;

	for (i = 0; i < s->n; i++) {
		if (!is_digit(s->p[i]))
			break;
		if (weir_mul(n, (uint64_t)10, &n) ||
		    weir_add(n, (uint64_t)(s->p[i] - '0'), &n))
			return false;
	}
	*s = str_from(*s, i);
	*to = n;
	return i != 0;
}

int
num_u64(struct weir_str s, uint64_t *to)
{
	uint64_t n;

	if (!digits(&s, &n) || s.n != 0)
		return WEIR_FAIL;
	*to = n;
	return WEIR_OK;
}

int
num_i64(struct weir_str s, int64_t *to)
{
	bool	 minus = s.n != 0 && s.p[0] == '-';
	uint64_t n;

	if (num_u64(minus ? str_from(s, 1) : s, &n) != WEIR_OK)
		return WEIR_FAIL;
	if (n > (uint64_t)INT64_MAX + minus)
		return WEIR_FAIL;
	*to = (int64_t)(minus ? 0 - n : n);
	return WEIR_OK;
}

static int
hex_digit(unsigned char c)
{
	unsigned d = (unsigned)c - '0', l = (unsigned)ascii_lower(c) - 'a';

	if (d <= 9)
		return (int)d;
	return l <= 5 ? (int)l + 10 : -1;
}

int
num_hex(struct weir_str s, uint64_t *to)
{
	uint64_t n = 0;
	size_t	 i;

	if (s.n == 0)
		return WEIR_FAIL;
	for (i = 0; i < s.n; i++) {
		int d = hex_digit((unsigned char)s.p[i]);

		if (d < 0 || n >> 60 != 0)
			return WEIR_FAIL;
		n = n << 4 | (uint64_t)d;
	}
	*to = n;
	return WEIR_OK;
}

int
num_size(struct weir_str s, uint64_t *to)
{
	uint64_t n, unit = 1;

	if (s.n != 0) {
		switch (ascii_lower((unsigned char)s.p[s.n - 1])) {
		case 'k':
			unit = (uint64_t)1 << 10;
			break;
		case 'm':
			unit = (uint64_t)1 << 20;
			break;
		case 'g':
			unit = (uint64_t)1 << 30;
			break;
		}
		if (unit != 1)
			s.n--;
	}
	if (num_u64(s, &n) != WEIR_OK || weir_mul(n, unit, &n))
		return WEIR_FAIL;
	*to = n;
	return WEIR_OK;
}

/* From long to short: parts of a time must come in this order, each at most once. */
static const struct unit {
	const char	*name;
	uint64_t	 ms;
} units[] = {
	{ "y", (uint64_t)365 * 86400 * 1000 }, { "M", (uint64_t)30 * 86400 * 1000 },
	{ "w", (uint64_t)7 * 86400 * 1000 }, { "d", (uint64_t)86400 * 1000 },
	{ "h", 3600 * 1000 }, { "m", 60 * 1000 }, { "s", 1000 }, { "ms", 1 },
};
#define UNIT_SEC 6

/* The unit that follows a number: letters up to a digit, a space or the end. */
static size_t
time_unit(struct weir_str *s)
{
	size_t i, n = 0;

	while (n < s->n && s->p[n] != ' ' && !is_digit(s->p[n]))
		n++;
	if (n == 0)
		return UNIT_SEC;
	for (i = 0; i < WEIR_COUNT(units); i++)
		if (str_eq(str_of(s->p, n), str_c(units[i].name)))
			break;
	*s = str_from(*s, n);
	return i;
}

int
num_msec(struct weir_str s, uint64_t *to)
{
	uint64_t total = 0, n;
	size_t	 unit, next = 0;

	do {
		if (!digits(&s, &n))
			return WEIR_FAIL;
		unit = time_unit(&s);
		if (unit < next || unit >= WEIR_COUNT(units))
			return WEIR_FAIL;
		if (weir_mul(n, units[unit].ms, &n) || weir_add(total, n, &total))
			return WEIR_FAIL;
		next = unit + 1;
		if (s.n == 0)
			break;
		while (s.n != 0 && s.p[0] == ' ')
			s = str_from(s, 1);
	} while (true);
	*to = total;
	return WEIR_OK;
}

static char *
put(char *to, uint64_t n, unsigned base)
{
	char	 tmp[NUM_MAX], *p = tmp + sizeof(tmp);
	size_t	 len;

	do {
		*--p = "0123456789abcdef"[n % base];
		n /= base;
	} while (n != 0);
	len = (size_t)(tmp + sizeof(tmp) - p);
	memcpy(to, p, len);
	return to + len;
}

char *
num_put(char *to, uint64_t n)
{
	return put(to, n, 10);		/* the divisor is a constant after inlining */
}

char *
num_put_hex(char *to, uint64_t n)
{
	return put(to, n, 16);
}
