/*
 * fingerprint.c - JA3 and JA4.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/base/num.h"
#include "core/tls/fingerprint.h"

enum { EXT_SERVER_NAME = 0x0000, EXT_ALPN = 0x0010, COUNT_MOST = 99, PART = 12, SUM_MAX = 32, HEAD = 10 };

/* Numbers in the order of the client, without GREASE. */
struct numbers {
	uint16_t	*v;
	unsigned	 n;
};

struct weir_fp {
	unsigned	 refs;
	size_t		 size;
	uint16_t	 legacy, version;	/* of JA3, of JA4 */
	char		 over, alpn[2];
	bool		 has_name;
	bool		 has_ja3, has_ja4;
	char		 ja3[JA3_MAX], ja4[JA4_MAX];
	struct numbers	 ciphers, extensions, groups, signatures, formats;
	uint16_t	 room[];
};

/* ---- from a hello ---- */

/* The numbers of a list, to *at, which moves on. */
static struct numbers
keep(uint16_t **at, struct weir_str list)
{
	struct numbers to = { .v = *at };
	uint16_t v;

	while (hello_next(&list, &v))
		if (!hello_is_grease(v))
			to.v[to.n++] = v;
	*at += to.n;
	return to;
}

static struct numbers
keep_types(uint16_t **at, struct weir_str list)
{
	struct numbers to = { .v = *at };
	struct weir_str body;
	uint16_t v;

	while (hello_next_extension(&list, &v, &body))
		if (!hello_is_grease(v))
			to.v[to.n++] = v;
	*at += to.n;
	return to;
}

static struct numbers
keep_bytes(uint16_t **at, struct weir_str list)
{
	struct numbers to = { .v = *at, .n = (unsigned)list.n };

	for (size_t i = 0; i < list.n; i++)
		to.v[i] = (unsigned char)list.p[i];
	*at += to.n;
	return to;
}

static uint16_t
best_version(const struct weir_hello *h)
{
	struct weir_str rest = h->versions;
	uint16_t v, best = 0;

	while (hello_next(&rest, &v))
		if (v > best && !hello_is_grease(v))
			best = v;
	return h->versions.n != 0 ? best : h->legacy;
}

static bool
is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* First and last letter of the first protocol; when one of them is none, first and last digit of all in hex. */
static void
put_alpn(char to[2], struct weir_str list)
{
	static const char hex[] = "0123456789abcdef";
	struct weir_str s;
	unsigned char first, last;
	bool text;

	to[0] = to[1] = '0';
	if (!hello_next_alpn(&list, &s))
		return;
	first = (unsigned char)s.p[0];
	last = (unsigned char)s.p[s.n - 1];
	text = is_alnum(first) && is_alnum(last);
	to[0] = text ? (char)first : hex[first >> 4];
	to[1] = text ? (char)last : hex[last & 15];
}

/* So many extensions there are. */
static size_t
types_in(struct weir_str list)
{
	struct weir_str body;
	uint16_t v;
	size_t n = 0;

	while (hello_next_extension(&list, &v, &body))
		n++;
	return n;
}

struct weir_fp *
fp_new(const struct weir_hello *h, enum weir_fp_over over)
{
	size_t n = h->ciphers.n / 2 + types_in(h->extensions) + h->groups.n / 2 + h->signatures.n / 2 + h->formats.n;
	size_t size = sizeof(struct weir_fp) + n * sizeof(uint16_t);
	struct weir_fp *fp = slab_sized_take(size);
	uint16_t *at = fp->room;

	fp->refs = 1;
	fp->size = size;
	fp->over = (char)over;
	fp->legacy = h->legacy;
	fp->version = best_version(h);
	fp->has_name = h->has_name;
	put_alpn(fp->alpn, h->alpn);
	fp->ciphers = keep(&at, h->ciphers);
	fp->extensions = keep_types(&at, h->extensions);
	fp->groups = keep(&at, h->groups);
	fp->signatures = keep(&at, h->signatures);
	fp->formats = keep_bytes(&at, h->formats);
	return fp;
}

struct weir_fp *
fp_ref(struct weir_fp *fp)
{
	fp->refs++;
	return fp;
}

void
fp_unref(struct weir_fp **fp)
{
	if (*fp != NULL && --(*fp)->refs == 0)
		slab_sized_give(*fp, (*fp)->size);
	*fp = NULL;
}

/* ---- text ---- */

/* Not more than this: of every number up to five digits and a separator, and what stands between lists. */
static size_t
text_max(const struct weir_fp *fp)
{
	return 6 * (1 + (size_t)fp->ciphers.n + fp->extensions.n + fp->groups.n + fp->signatures.n + fp->formats.n) +
	    HEAD + 8;
}

static char *
put_decimals(char *p, struct numbers list)
{
	*p++ = ',';
	for (unsigned i = 0; i < list.n; i++) {
		if (i != 0)
			*p++ = '-';
		p = num_put(p, list.v[i]);
	}
	return p;
}

static char *
put_ja3(const struct weir_fp *fp, char *p)
{
	p = num_put(p, fp->legacy);
	p = put_decimals(p, fp->ciphers);
	p = put_decimals(p, fp->extensions);
	p = put_decimals(p, fp->groups);
	return put_decimals(p, fp->formats);
}

static char *
put_hex4(char *p, unsigned v)
{
	static const char hex[] = "0123456789abcdef";

	for (int shift = 12; shift >= 0; shift -= 4)
		*p++ = hex[v >> shift & 15];
	return p;
}

static char *
put_hexes(char *p, const uint16_t *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (i != 0)
			*p++ = ',';
		p = put_hex4(p, v[i]);
	}
	return p;
}

static int
by_number(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

/* As numbers of four digits they have the same order as texts. */
static char *
put_sorted(char *p, struct numbers list, bool captured)
{
	uint16_t *v = mem_alloc((list.n + 1) * sizeof *v);
	unsigned n = 0;

	for (unsigned i = 0; i < list.n; i++)
		if (captured || (list.v[i] != EXT_SERVER_NAME && list.v[i] != EXT_ALPN))
			v[n++] = list.v[i];
	qsort(v, n, sizeof *v, by_number);
	p = put_hexes(p, v, n);
	mem_free(v);
	return p;
}

static char *
put_count(char *p, unsigned n)
{
	n = WEIR_MIN(n, (unsigned)COUNT_MOST);
	*p++ = (char)('0' + n / 10);
	*p++ = (char)('0' + n % 10);
	return p;
}

static const char *
version_of(unsigned v)
{
	static const struct { unsigned version; const char *text; } versions[] = {
		{ 0x0304, "13" }, { 0x0303, "12" }, { 0x0302, "11" }, { 0x0301, "10" }, { 0x0300, "s3" }, { 0x0002, "s2" },
		{ 0xfeff, "d1" }, { 0xfefd, "d2" }, { 0xfefc, "d3" },
	};

	for (unsigned i = 0; i < WEIR_COUNT(versions); i++)
		if (versions[i].version == v)
			return versions[i].text;
	return "00";
}

/* The three parts of JA4_r or JA4_ro, one behind the other without what stands between them. */
struct ja4 {
	char		*text;
	size_t		 n[3];
};

static void
make_ja4(const struct weir_fp *fp, bool sorted, struct ja4 *to)
{
	char *p = to->text, *b, *c;

	*p++ = fp->over;
	p = (char *)memcpy(p, version_of(fp->version), 2) + 2;
	*p++ = fp->has_name ? 'd' : 'i';
	p = put_count(p, fp->ciphers.n);
	p = put_count(p, fp->extensions.n);
	p = (char *)memcpy(p, fp->alpn, 2) + 2;
	b = p;
	p = sorted ? put_sorted(p, fp->ciphers, true) : put_hexes(p, fp->ciphers.v, fp->ciphers.n);
	c = p;
	p = sorted ? put_sorted(p, fp->extensions, false) : put_hexes(p, fp->extensions.v, fp->extensions.n);
	if (fp->signatures.n != 0) {
		*p++ = '_';
		p = put_hexes(p, fp->signatures.v, fp->signatures.n);
	}
	to->n[0] = (size_t)(b - to->text);
	to->n[1] = (size_t)(c - b);
	to->n[2] = (size_t)(p - c);
}

/* ---- hashes ---- */

static char *
put_sum(char *p, const unsigned char *sum, size_t n)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*p++ = hex[sum[i] >> 4];
		*p++ = hex[sum[i] & 15];
	}
	return p;
}

/* False: no memory, or no such hash; a complaint left behind would be taken for one about the handshake. */
static bool
hash(const char *text, size_t n, const EVP_MD *md, unsigned char *sum)
{
	if (EVP_Digest(text, n, sum, NULL, md, NULL) == 1)
		return true;
	ERR_clear_error();
	return false;
}

/* Of nothing it is nothing, and looks so.  NULL: it cannot be made. */
static char *
put_part(char *p, const char *text, size_t n)
{
	unsigned char sum[SUM_MAX] = { 0 };

	if (p == NULL || (n != 0 && !hash(text, n, EVP_sha256(), sum)))
		return NULL;
	return put_sum(p, sum, PART / 2);
}

/* JA4 or JA4_o, to JA4_MAX bytes. */
static bool
put_ja4(const struct weir_fp *fp, bool sorted, char *to)
{
	struct ja4 raw = { .text = mem_alloc(text_max(fp)) };
	char *p;

	make_ja4(fp, sorted, &raw);
	p = (char *)memcpy(to, raw.text, raw.n[0]) + raw.n[0];
	*p++ = '_';
	p = put_part(p, raw.text + raw.n[0], raw.n[1]);
	if (p != NULL)
		*p++ = '_';
	p = put_part(p, raw.text + raw.n[0] + raw.n[1], raw.n[2]);
	assert(p == NULL || p == to + JA4_MAX);
	mem_free(raw.text);
	return p != NULL;
}

struct weir_str
fp_ja4(struct weir_fp *fp)
{
	if (!fp->has_ja4)
		fp->has_ja4 = put_ja4(fp, true, fp->ja4);
	return fp->has_ja4 ? str_of(fp->ja4, JA4_MAX) : STR_NONE;
}

struct weir_str
fp_ja4_o(const struct weir_fp *fp, struct weir_pool *pool)
{
	char *p = pool_bytes(pool, JA4_MAX);

	return put_ja4(fp, false, p) ? str_of(p, JA4_MAX) : STR_NONE;
}

struct weir_str
fp_ja4_raw(const struct weir_fp *fp, bool sorted, struct weir_pool *pool)
{
	struct ja4 raw = { .text = mem_alloc(text_max(fp)) };
	struct weir_str s;

	make_ja4(fp, sorted, &raw);
	s = pool_printf(pool, "%.*s_%.*s_%.*s", (int)raw.n[0], raw.text, (int)raw.n[1], raw.text + raw.n[0],
	    (int)raw.n[2], raw.text + raw.n[0] + raw.n[1]);
	mem_free(raw.text);
	return s;
}

struct weir_str
fp_ja3_raw(const struct weir_fp *fp, struct weir_pool *pool)
{
	char *p = pool_bytes(pool, text_max(fp));

	return str_of(p, (size_t)(put_ja3(fp, p) - p));
}

struct weir_str
fp_ja3(struct weir_fp *fp)
{
	unsigned char sum[SUM_MAX];
	char *text;
	size_t n;

	if (fp->has_ja3)
		return str_of(fp->ja3, JA3_MAX);
	text = mem_alloc(text_max(fp));
	n = (size_t)(put_ja3(fp, text) - text);
	fp->has_ja3 = hash(text, n, EVP_md5(), sum);
	mem_free(text);
	if (!fp->has_ja3)
		return STR_NONE;
	put_sum(fp->ja3, sum, JA3_MAX / 2);
	return str_of(fp->ja3, JA3_MAX);
}
