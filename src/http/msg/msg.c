/*
 * msg.c - the fields of a message, methods, and what a token is.
 */
#include "http/msg/chars.h"
#include "http/msg/msg.h"
#include "http/msg/scan.h"

struct weir_field *
fields_known(const struct weir_fields *fs, enum weir_known k)
{
	unsigned i;

	for (i = 0; i < fs->n; i++)
		if (fs->v[i].known == k)
			return &fs->v[i];
	return NULL;
}

/* Names that have a number are the same when their numbers are. */
static bool
named(const struct weir_field *f, enum weir_known k, struct weir_str name)
{
	return f->known == k && (k != H_UNKNOWN || str_ieq(f->name, name));
}

struct weir_field *
fields_find(const struct weir_fields *fs, struct weir_str name, const struct weir_field *from)
{
	enum weir_known	 k = name_find(name);
	size_t		 i = from != NULL ? (size_t)(from - fs->v) + 1 : 0;

	for (; i < fs->n; i++)
		if (named(&fs->v[i], k, name))
			return &fs->v[i];
	return NULL;
}

struct weir_field *
fields_add_as(struct weir_fields *fs, struct weir_pool *pool, enum weir_known k, struct weir_str name,
    struct weir_str value)
{
	struct weir_field *f;

	if (fs->n == fs->room)
		fs->v = pool_grow(pool, fs->v, fs->n, &fs->room, sizeof(*fs->v));
	f = &fs->v[fs->n++];
	f->name = name;
	f->value = value;
	f->known = (uint16_t)k;
	f->hop = name_is_hop(k);
	return f;
}

struct weir_field *
fields_add(struct weir_fields *fs, struct weir_pool *pool, struct weir_str name,
    struct weir_str value)
{
	return fields_add_as(fs, pool, name_find(name), name, value);
}

struct weir_field *
fields_add_known(struct weir_fields *fs, struct weir_pool *pool, enum weir_known k,
    struct weir_str value)
{
	return fields_add_as(fs, pool, k, name_text(k), value);
}

static void
remove_named(struct weir_fields *fs, enum weir_known k, struct weir_str name)
{
	unsigned i, kept = 0;

	for (i = 0; i < fs->n; i++) {
		if (named(&fs->v[i], k, name))
			continue;
		if (kept != i)
			fs->v[kept] = fs->v[i];
		kept++;
	}
	fs->n = kept;
}

void
fields_remove(struct weir_fields *fs, struct weir_str name)
{
	remove_named(fs, name_find(name), name);
}

void
fields_remove_known(struct weir_fields *fs, enum weir_known k)
{
	assert(k != H_UNKNOWN);
	remove_named(fs, k, STR_NONE);
}

struct weir_str
fields_value(const struct weir_fields *fs, enum weir_known k)
{
	struct weir_field *f = fields_known(fs, k);

	return f != NULL ? f->value : STR_NONE;
}

struct weir_str
fields_join(const struct weir_fields *fs, struct weir_pool *pool, struct weir_str name,
    const char *sep)
{
	struct weir_field	*first = fields_find(fs, name, NULL), *f;
	size_t			 n = 0, sep_n = strlen(sep);
	char			*text, *p;

	if (first == NULL)
		return STR_NONE;
	if (fields_find(fs, name, first) == NULL)
		return first->value;

	for (f = first; f != NULL; f = fields_find(fs, name, f))
		n += f->value.n + sep_n;
	p = text = pool_bytes(pool, n);
	for (f = first; f != NULL; f = fields_find(fs, name, f)) {
		if (f != first) {
			memcpy(p, sep, sep_n);
			p += sep_n;
		}
		if (f->value.n != 0)
			memcpy(p, f->value.p, f->value.n);
		p += f->value.n;
	}
	return str_of(text, (size_t)(p - text));
}

static const struct {
	struct weir_str	 text;
	enum weir_method id;
} methods[] = {
#define METHOD(name) { { #name, sizeof(#name) - 1 }, M_##name }
	METHOD(HEAD), METHOD(POST), METHOD(PUT), METHOD(DELETE), METHOD(OPTIONS), METHOD(PATCH),
	METHOD(CONNECT), METHOD(TRACE), METHOD(MKCOL), METHOD(COPY), METHOD(MOVE),
	METHOD(PROPFIND), METHOD(PROPPATCH), METHOD(LOCK), METHOD(UNLOCK),
#undef METHOD
};

enum weir_method
method_of(struct weir_str s)
{
	size_t i;

	if (likely(s.n == 3 && memcmp(s.p, "GET", 3) == 0))
		return M_GET;
	for (i = 0; i < WEIR_COUNT(methods); i++)
		if (methods[i].text.n == s.n && memcmp(methods[i].text.p, s.p, s.n) == 0)
			return methods[i].id;
	return M_OTHER;
}

bool
is_token(struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!(ch(s.p[i]) & CH_TOKEN))
			return false;
	return s.n > 0;
}

bool
is_field_value(struct weir_str s)
{
	return s.n == 0 || !scan_has_break(s.p, s.n);
}

/* How many bytes the end of a line and the blanks behind it are; 0: it is none, or the next line is another. */
static size_t
fold_at(struct weir_str s, size_t i)
{
	size_t at = i, blank;

	if (at < s.n && s.p[at] == '\r')
		at++;
	if (at >= s.n || s.p[at] != '\n')
		return 0;
	for (blank = ++at; at < s.n && (s.p[at] == ' ' || s.p[at] == '\t'); )
		at++;
	return at != blank ? at - i : 0;
}

bool
fit_field_value(struct weir_pool *pool, struct weir_str *v)
{
	char *p;
	size_t n = 0;

	if (likely(is_field_value(*v)))
		return true;
	p = pool_bytes(pool, v->n);
	for (size_t i = 0; i < v->n; ) {
		size_t fold = fold_at(*v, i);

		p[n++] = fold != 0 ? ' ' : v->p[i];
		i += fold != 0 ? fold : 1;
	}
	if (!is_field_value(str_of(p, n)))
		return false;
	*v = str_of(p, n);
	return true;
}
