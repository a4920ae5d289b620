/*
 * locations.c - longest prefix and regexes of one level.
 *
 * Prefixes and exact names lie in one compact radix tree: an edge carries the bytes
 * that its locations share, a node branches on one byte.  The way down depends on the path's
 * branches only, so ten thousand locations are found as fast as ten.
 *
 * What wins (nginx's rules):
 *	1. an exact location
 *	2. what is nested in the longest prefix, if an exact one or a regex matches there
 *	3. unless that prefix is ^~: the first regex that matches, and what is nested in it
 *	4. the longest prefix, at the deepest level
 */
#include <stdlib.h>

#include "http/req/locations.h"

struct node {
	struct weir_str	 text;		/* of the edge that leads here */
	struct weir_location *exact, *prefix;
	unsigned char	*first;		/* first bytes of kids, in their order */
	struct node	*kids;
	unsigned	 n;
};

struct weir_loc_index {
	struct weir_pool *pool;
	struct weir_hash names[2];	/* while it is filled: exact ones and prefixes */
	struct weir_location **v;	/* both of them */
	unsigned	 n, room;
	struct weir_loc_regexes {
		struct weir_location **v;
		unsigned n, room;
	} regexes;
	struct node	 root;
};

/* ---- building ---- */

struct weir_loc_index *
locations_new(struct weir_pool *pool)
{
	struct weir_loc_index	*t = POOL_NEW(pool, weir_loc_index);

	t->pool = pool;
	hash_init(&t->names[0], pool, false);
	hash_init(&t->names[1], pool, false);
	return t;
}

struct weir_location *
locations_add(struct weir_loc_index *t, struct weir_location *loc)
{
	struct weir_hash	*names = &t->names[loc->kind == LOC_EXACT];
	struct weir_location	*twin;

	if (loc->kind == LOC_REGEX) {
		*POOL_PUSH(t->pool, &t->regexes) = loc;
		return NULL;
	}
	assert(loc->kind == LOC_EXACT || loc->kind == LOC_PREFIX || loc->kind == LOC_PREFIX_FINAL);
	if ((twin = hash_get(names, loc->name)) != NULL)
		return twin;
	hash_put(names, loc->name, loc);
	*POOL_PUSH(t->pool, t) = loc;
	return NULL;
}

static int
by_name(const void *a, const void *b)
{
	return str_cmp((*(struct weir_location *const *)a)->name,
	    (*(struct weir_location *const *)b)->name);
}

static void
settle(struct node *node, struct weir_location *loc)
{
	if (loc->kind == LOC_EXACT)
		node->exact = loc;
	else
		node->prefix = loc;
}

static size_t
common(struct weir_str a, struct weir_str b, size_t from)
{
	size_t	most = WEIR_MIN(a.n, b.n);

	while (from < most && a.p[from] == b.p[from])
		from++;
	return from;
}

/* The end of those of v[0..n) that have v[0]'s byte at `depth`. */
static unsigned
same_byte(struct weir_location **v, unsigned n, size_t depth)
{
	unsigned	i = 1;

	while (i < n && v[i]->name.p[depth] == v[0]->name.p[depth])
		i++;
	return i;
}

/*
 * A node for the sorted v[0..n), n > 0, which agree in their first `depth` bytes.  Recursion ends
 * with the longest name, and a word of the configuration is bounded by the lexer; each
 * level of it branches, so its depth is the number of names at most.
 */
static void
build(struct weir_pool *pool, struct node *node, struct weir_location **v, unsigned n, size_t depth)
{
	size_t		end = common(v[0]->name, v[n - 1]->name, depth);
	unsigned	i, len;

	node->text = str_of(v[0]->name.p + depth, end - depth);
	for (; n > 0 && v[0]->name.n == end; v++, n--)
		settle(node, *v);
	for (i = 0; i < n; i += same_byte(v + i, n - i, end))
		node->n++;
	node->first = (unsigned char *)pool_bytes(pool, node->n);
	node->kids = pool_zalloc(pool, node->n * sizeof(*node->kids));
	for (i = 0; n > 0; i++, v += len, n -= len) {
		len = same_byte(v, n, end);
		node->first[i] = (unsigned char)v[0]->name.p[end];
		build(pool, &node->kids[i], v, len, end);
	}
}

void
locations_done(struct weir_loc_index *t)
{
	if (t->n == 0)
		return;
	qsort(t->v, t->n, sizeof(*t->v), by_name);
	build(t->pool, &t->root, t->v, t->n, 0);
}

/* ---- finding ---- */

static struct node *
kid_of(const struct node *node, unsigned char c)
{
	unsigned char	*at = node->n != 0 ? memchr(node->first, c, node->n) : NULL;

	return at != NULL ? &node->kids[at - node->first] : NULL;
}

static struct weir_location *
wants_slash(const struct node *node)
{
	if (node->exact != NULL && node->exact->auto_redirect)
		return node->exact;
	if (node->prefix != NULL && node->prefix->auto_redirect)
		return node->prefix;
	return NULL;
}

/* What the tree says: an exact location or the longest prefix or, for "/dir", a "/dir/". */
struct found {
	struct weir_location *exact, *prefix, *slash;
};

static void
search(const struct node *node, struct weir_str rest, struct found *f)
{
	bool	dir;

	while (node != NULL && str_begins(rest, node->text)) {
		rest = str_from(rest, node->text.n);
		if (node->prefix != NULL)
			f->prefix = node->prefix;
		if (rest.n == 0) {
			f->exact = node->exact;
			if (node->exact != NULL || node->prefix != NULL)
				return;
			node = kid_of(node, '/');
			break;
		}
		node = kid_of(node, (unsigned char)rest.p[0]);
	}
	if (node == NULL)
		return;
	dir = node->text.n == rest.n + 1 && node->text.p[rest.n] == '/' &&
	    memcmp(node->text.p, rest.p, rest.n) == 0;
	if (dir)
		f->slash = wants_slash(node);
}

/* Regexes in order.  WEIR_OK, WEIR_AGAIN, WEIR_FAIL */
static int
search_regexes(const struct weir_loc_index *t, struct weir_sess *s, struct weir_str path,
    struct weir_location **found)
{
	unsigned	i;
	int		rc;

	for (i = 0; i < t->regexes.n; i++) {
		rc = regex_match(s, t->regexes.v[i]->regex, path);
		if (rc == WEIR_AGAIN)
			continue;
		if (rc == WEIR_OK)
			*found = t->regexes.v[i];
		return rc;
	}
	return WEIR_AGAIN;
}

/*
 * WEIR_OK: an exact location or a regex, the search is over; WEIR_AGAIN: *found is the longest
 * prefix, or what it was; ROUTE_SLASH and WEIR_FAIL as promised.
 */
static int
find(const struct weir_loc_index *t, struct weir_sess *s, struct weir_str path,
    struct weir_location **found)
{
	struct found	f = { NULL, NULL, NULL };
	int		rc;

	if (t->n != 0)
		search(&t->root, path, &f);
	if (f.exact != NULL) {
		*found = f.exact;
		return WEIR_OK;
	}
	if (f.slash != NULL) {
		*found = f.slash;
		return ROUTE_SLASH;
	}
	if (f.prefix != NULL) {
		*found = f.prefix;
		if (f.prefix->nested != NULL &&
		    (rc = find(f.prefix->nested, s, path, found)) != WEIR_AGAIN)
			return rc;
		if (f.prefix->kind == LOC_PREFIX_FINAL)
			return WEIR_AGAIN;
	}
	if ((rc = search_regexes(t, s, path, found)) != WEIR_OK || (*found)->nested == NULL)
		return rc;
	rc = find((*found)->nested, s, path, found);
	return rc == WEIR_AGAIN ? WEIR_OK : rc;
}

int
locations_find(const struct weir_loc_index *t, struct weir_sess *s, struct weir_str path,
    struct weir_location **found)
{
	int	rc = find(t, s, path, found);

	return rc == WEIR_AGAIN ? WEIR_OK : rc;
}
