/*
 * str.c - comparing, searching and splitting views of bytes.
 */
#include "core/base/str.h"

static bool
same_nocase(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (ascii_lower((unsigned char)a[i]) != ascii_lower((unsigned char)b[i]))
			return false;
	return true;
}

bool
str_ieq(struct weir_str a, struct weir_str b)
{
	return a.n == b.n && same_nocase(a.p, b.p, a.n);
}

int
str_cmp(struct weir_str a, struct weir_str b)
{
	size_t	n = WEIR_MIN(a.n, b.n);
	int	c = n != 0 ? memcmp(a.p, b.p, n) : 0;

	return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

bool
str_begins(struct weir_str s, struct weir_str prefix)
{
	return s.n >= prefix.n && str_eq(str_of(s.p, prefix.n), prefix);
}

bool
str_ends(struct weir_str s, struct weir_str suffix)
{
	return s.n >= suffix.n && str_eq(str_from(s, s.n - suffix.n), suffix);
}

bool
str_ibegins(struct weir_str s, struct weir_str prefix)
{
	return s.n >= prefix.n && same_nocase(s.p, prefix.p, prefix.n);
}

ssize_t
str_chr(struct weir_str s, char c)
{
	const char *at = s.n != 0 ? memchr(s.p, c, s.n) : NULL;

	return at != NULL ? at - s.p : -1;
}

ssize_t
str_rchr(struct weir_str s, char c)
{
	size_t i;

	for (i = s.n; i > 0; i--)
		if (s.p[i - 1] == c)
			return (ssize_t)i - 1;
	return -1;
}

ssize_t
str_find(struct weir_str s, struct weir_str what)
{
	const char	*at;
	size_t		 from = 0;

	if (what.n == 0)
		return 0;
	while (from + what.n <= s.n) {
		at = memchr(s.p + from, what.p[0], s.n - what.n - from + 1);
		if (at == NULL)
			break;
		if (memcmp(at, what.p, what.n) == 0)
			return at - s.p;
		from = (size_t)(at - s.p) + 1;
	}
	return -1;
}

ssize_t
str_ifind(struct weir_str s, struct weir_str what)
{
	size_t i;

	for (i = 0; i + what.n <= s.n; i++)
		if (same_nocase(s.p + i, what.p, what.n))
			return (ssize_t)i;
	return -1;
}

static bool
blank(char c)
{
	return c == ' ' || c == '\t';
}

struct weir_str
str_trim(struct weir_str s)
{
	while (s.n > 0 && blank(s.p[0]))
		s = str_from(s, 1);
	while (s.n > 0 && blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/*
 * Where the first element of a list ends: at a comma that is not inside a
 * quoted string, or at the end of the text, also when a quote was left open.
 */
static size_t
item_end(struct weir_str s)
{
	bool	quoted = false;
	size_t	i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (quoted && s.p[i] == '\\')
			i++;
		else if (!quoted && s.p[i] == ',')
			return i;
	}
	return s.n;
}

bool
str_next_item(struct weir_str *rest, struct weir_str *item)
{
	while (rest->n > 0) {
		size_t end = item_end(*rest);

		*item = str_trim(str_of(rest->p, end));
		*rest = str_from(*rest, end + 1);
		if (item->n > 0)
			return true;
	}
	return false;
}

void
str_lower(char *to, const char *from, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		to[i] = (char)ascii_lower((unsigned char)from[i]);
}

#define FNV_BASIS	2166136261u
#define FNV_PRIME	16777619u

uint32_t
str_hash(struct weir_str s)
{
	uint32_t h = FNV_BASIS;
	size_t	 i;

	for (i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * FNV_PRIME;
	return h;
}

uint32_t
str_ihash(struct weir_str s)
{
	uint32_t h = FNV_BASIS;
	size_t	 i;

	for (i = 0; i < s.n; i++)
		h = (h ^ ascii_lower((unsigned char)s.p[i])) * FNV_PRIME;
	return h;
}

/*
 * The usual table of edits between the first i bytes of `a` and the first j
 * of `b`, of which only the cells near the diagonal can stay below the
 * limit: row[k] is the cell j = i + k - most.  Three rows are enough, the third
 * being for swaps.
 */
unsigned
str_distance(struct weir_str a, struct weir_str b, unsigned most)
{
	unsigned rows[3][2 * STR_DISTANCE_MAX + 3], *row = rows[0], *up = rows[1], *up2 = rows[2];
	unsigned width, far, k, d, *t;
	size_t	 i, j;

	if (most > STR_DISTANCE_MAX)
		most = STR_DISTANCE_MAX;
	width = 2 * most + 1;
	far = most + 1;
	if ((a.n > b.n ? a.n - b.n : b.n - a.n) > most)
		return far;

	/* One cell of margin on each side is always too far. */
	for (k = 0; k < width + 2; k++)
		rows[0][k] = rows[1][k] = rows[2][k] = far;
	for (i = 0; i <= a.n; i++) {
		for (k = 0; k < width; k++) {
			row[k + 1] = far;
			if (i + k < most || (j = i + k - most) > b.n)
				continue;
			if (i == 0 || j == 0) {
				d = (unsigned)(i + j);
			} else {
				d = up[k + 1] + (a.p[i - 1] != b.p[j - 1]);
				d = WEIR_MIN(d, up[k + 2] + 1);
				d = WEIR_MIN(d, row[k] + 1);
				if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
				    a.p[i - 2] == b.p[j - 1])
					d = WEIR_MIN(d, up2[k + 1] + 1);
			}
			row[k + 1] = WEIR_MIN(d, far);
		}
		t = up2;
		up2 = up;
		up = row;
		row = t;
	}
	return up[b.n + most - a.n + 1];
}
