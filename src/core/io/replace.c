/*
 * replace.c - texts in a stream are replaced by others.
 *
 * The automaton of Aho and Corasick looks for all patterns at once, so the cost of a byte does not
 * depend on their number.
 *
 *	... given out | held: the begin of a match, maybe | not looked at ...
 *	              at                                  pos
 *
 * A match is certain when nothing that begins before it can match any more, nor anything that begins
 * with it and was written earlier.  Then the automaton begins anew behind it, so of what it has
 * looked at, at most one pattern's length is looked at again.
 */
#include "core/io/replace.h"

struct replace_node {			/* a beginning of patterns */
	uint32_t	 child, next;	/* the first that is one byte longer; its next of the same length */
	uint32_t	 fail;		/* the longest that this one ends with */
	uint32_t	 hit;		/* itself or the longest such that is a whole pattern; 0: none */
	uint32_t	 depth;		/* bytes */
	uint32_t	 pattern;	/* the first that ends here, 1 for the first written; 0: none */
	uint32_t	 least;		/* the first written of those that begin so */
	unsigned char	 c;		/* its last byte */
};

struct replace_machine {
	struct replace_node	*v;		/* v[0] is the root */
	unsigned	 n, room;
	uint32_t	 first[256];	/* the root's children */
	uint32_t	*same;		/* by pattern: the next with the same text; 0: none */
	unsigned	 patterns;	/* all of them, */
	unsigned	 real;		/* and those that are not empty */
};

/* ---- the automaton ---- */

static uint32_t
child_of(const struct replace_machine *m, uint32_t node, unsigned char c)
{
	uint32_t	i;

	if (node == 0)
		return m->first[c];
	for (i = m->v[node].child; i != 0 && m->v[i].c != c; i = m->v[i].next)
		;
	return i;
}

static uint32_t
add_child(struct replace_machine *m, struct weir_pool *pool, uint32_t node, unsigned char c,
    uint32_t number)
{
	struct replace_node	*to = POOL_PUSH(pool, m);
	uint32_t	 i = m->n - 1;

	memset(to, 0, sizeof(*to));
	to->c = c;
	to->least = number;
	to->depth = m->v[node].depth + 1;
	to->next = m->v[node].child;
	m->v[node].child = i;
	if (node == 0)
		m->first[c] = i;
	return i;
}

static void
add_pattern(struct replace_machine *m, struct weir_pool *pool, struct weir_str s, uint32_t number)
{
	uint32_t	node = 0, to, *last;
	unsigned char	c;
	size_t		i;

	for (i = 0; i < s.n; i++, node = to) {
		c = ascii_lower((unsigned char)s.p[i]);
		if ((to = child_of(m, node, c)) == 0)
			to = add_child(m, pool, node, c, number);
	}
	for (last = &m->v[node].pattern; *last != 0; last = &m->same[*last])
		;
	*last = number;
}

static uint32_t
step(const struct replace_machine *m, uint32_t node, unsigned char c)
{
	uint32_t	to;

	while ((to = child_of(m, node, c)) == 0 && node != 0)
		node = m->v[node].fail;
	return to;
}

/* Shorter ones first: what a node fails to is shorter than it. */
static void
link_all(struct replace_machine *m, struct weir_pool *pool)
{
	uint32_t	*queue = pool_alloc(pool, m->n * sizeof(*queue)), i, n = 0, k;
	struct replace_node	*node;

	queue[n++] = 0;
	for (i = 0; i < n; i++) {
		node = &m->v[queue[i]];
		node->hit = node->pattern != 0 ? queue[i] : m->v[node->fail].hit;
		for (k = node->child; k != 0; k = m->v[k].next) {
			m->v[k].fail = queue[i] == 0 ? 0 : step(m, node->fail, m->v[k].c);
			queue[n++] = k;
		}
	}
}

const struct replace_machine *
replace_machine(struct weir_pool *pool, const struct weir_str *texts, unsigned n)
{
	struct replace_machine	*m = POOL_NEW(pool, replace_machine);
	unsigned		 i;

	m->patterns = n;
	m->same = pool_zalloc(pool, (n + 1) * sizeof(*m->same));
	memset(POOL_PUSH(pool, m), 0, sizeof(*m->v));
	for (i = 0; i < n; i++)
		if (texts[i].n != 0) {
			add_pattern(m, pool, texts[i], i + 1);
			m->real++;
		}
	link_all(m, pool);
	return m;
}

unsigned
replace_machine_size(const struct replace_machine *m)
{
	return m->real;
}

/* ---- replacing ---- */

static struct weir_str
value_of(struct weir_replace *run, uint32_t pattern)
{
	unsigned	i = pattern - 1;

	if (!run->known[i]) {
		run->known[i] = true;
		run->left--;
		run->values[i] = run->value(run->arg, i);
	}
	return run->values[i];
}

/* Give out all before `to`. */
static void
give(struct weir_replace *run, uint64_t to)
{
	if (to > run->at)
		bufq_move(&run->change.out, &run->change.in, to - run->at);
	run->at = to;
}

static void
replace(struct weir_replace *run)
{
	give(run, run->from);
	bufq_put_str(&run->change.out, value_of(run, run->best));
	bufq_drop(&run->change.in, run->length);
	run->at = run->pos = run->from + run->length;
	run->best = 0;
	run->state = 0;
}

/* Of the patterns that end at pos: the leftmost that still counts, if it is better than what there is. */
static void
note_hit(struct weir_replace *run)
{
	const struct replace_machine	*m = run->m;
	uint32_t			 node, p;

	for (node = m->v[run->state].hit; node != 0; node = m->v[m->v[node].fail].hit) {
		uint64_t from = run->pos - m->v[node].depth;

		if (run->best != 0 && from > run->from)
			return;
		p = m->v[node].pattern;
		while (p != 0 && run->once && run->known[p - 1])
			p = m->same[p];
		if (p == 0)
			continue;
		if (run->best == 0 || from < run->from || p < run->best) {
			run->best = p;
			run->from = from;
			run->length = m->v[node].depth;
		}
		return;
	}
}

/* Can nothing that the automaton is in the middle of beat the best match any more? */
static bool
is_certain(const struct weir_replace *run)
{
	const struct replace_node	*node = &run->m->v[run->state];
	uint64_t		 from = run->pos - node->depth;

	return run->best != 0 &&
	    (from > run->from || (from == run->from && node->least >= run->best));
}

/* The next bytes to look at, as far as they are here. */
static bool
look(struct weir_replace *run)
{
	if (run->pos >= run->look_at && run->pos < run->look_at + run->look_n)
		return true;
	run->look_at = run->pos;
	run->look_n = bufq_peek(&run->change.in, (size_t)(run->pos - run->at), run->look, REPLACE_LOOK);
	return run->look_n != 0;
}

/* Up to the end of what is copied, or to a match that is certain. */
static void
scan(struct weir_replace *run)
{
	const unsigned char	*p = run->look + (run->pos - run->look_at);
	const unsigned char	*end = run->look + run->look_n;

	while (p < end && !is_certain(run)) {
		if (run->state == 0)
			while (p < end && run->m->first[ascii_lower(*p)] == 0)
				p++;
		run->pos = run->look_at + (uint64_t)(p - run->look);
		if (p == end)
			break;
		run->state = step(run->m, run->state, ascii_lower(*p++));
		run->pos++;
		if (run->m->v[run->state].hit != 0)
			note_hit(run);
	}
}

static int
on_run(struct weir_change *c, enum weir_change_how how)
{
	struct weir_replace	*run = WEIR_OF(c, struct weir_replace, change);

	for (;;) {
		if (run->once && run->left == 0) {
			bufq_move(&c->out, &c->in, c->in.len);
			return WEIR_OK;
		}
		if (c->out.len >= c->enough)
			return WEIR_AGAIN;
		if (look(run)) {
			scan(run);
			if (!is_certain(run)) {
				give(run, run->pos - run->m->v[run->state].depth);
				continue;
			}
		} else if (how != CHANGE_END || run->best == 0) {
			break;
		}
		replace(run);
	}
	if (how == CHANGE_END)
		bufq_move(&c->out, &c->in, c->in.len);
	else
		bufq_pack(&c->in);
	return WEIR_OK;
}

void
replace_init(struct weir_replace *run, struct weir_pool *pool, struct weir_src *below)
{
	run->values = pool_zalloc(pool, run->m->patterns * sizeof(*run->values));
	run->known = pool_zalloc(pool, run->m->patterns * sizeof(*run->known));
	run->left = run->m->real;
	run->change.run = on_run;
	change_init(&run->change, below);
}
