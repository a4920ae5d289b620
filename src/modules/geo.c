/*
 * geo.c - a variable that depends on an address: geo { }.
 *
 * What a block says, networks in networks or ranges over ranges, is cut into stretches that do not
 * overlap when it is read; at work one binary search finds the stretch of an address.
 */
#include <stdlib.h>

#include "core/net/cidr.h"
#include "core/sess/expr.h"
#include "http/req/req.h"

extern const struct weir_module geo_module;

#define BITS	unsigned __int128	/* an address; IPv4 in the lower 32 */

struct range {				/* as written */
	BITS			 from, to;	/* both of it */
	uint64_t		 rank;		/* of two that overlap, the higher counts */
	const struct weir_str	*value;		/* NULL: the default */
};

struct stretch {
	BITS			 from;		/* up to the next one */
	const struct weir_str	*value;
};

struct family {				/* IPv4 or IPv6 */
	struct {
		struct range	*v;
		unsigned	 n, room;
	}			 ranges;	/* while it is read */
	struct {
		struct stretch	*v;
		unsigned	 n, room;
	}			 stretches;
};

struct geo {
	struct weir_expr	 source;	/* not set: the client's address */
	struct family		 four, six;
	const struct weir_str	*fallback;
	struct {
		struct weir_cidr *v;
		unsigned	  n, room;
	}			 proxies;
	bool			 ranges, recursive;
};

static unsigned module_index;

/* ---- at work ---- */

static BITS
bits_of(struct weir_str bytes)
{
	BITS	 b = 0;
	size_t	 i;

	for (i = 0; i < bytes.n; i++)
		b = b << 8 | (uint8_t)bytes.p[i];
	return b;
}

/* The bytes of an IP address; of one that stands for IPv4, the last four. */
static struct weir_str
ip_bytes(const struct weir_addr *a)
{
	static const char	mapped[12] = "\0\0\0\0\0\0\0\0\0\0\xff\xff";
	struct weir_str		b;

	/* As nginx has it: what is no address is 255.255.255.255. */
	if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6)
		return STR("\xff\xff\xff\xff");
	b = addr_bytes(a);
	if (b.n == 16 && memcmp(b.p, mapped, sizeof(mapped)) == 0)
		return str_from(b, sizeof(mapped));
	return b;
}

static const struct weir_str *
look_up(const struct geo *g, const struct weir_addr *a)
{
	struct weir_str		 bytes = ip_bytes(a);
	const struct family	*f = bytes.n == 4 ? &g->four : &g->six;
	BITS			 b = bits_of(bytes);
	unsigned		 lo = 0, hi = f->stretches.n, mid;

	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if (f->stretches.v[mid].from <= b)
			lo = mid;
		else
			hi = mid;
	}
	return f->stretches.n != 0 && f->stretches.v[lo].from <= b ? f->stretches.v[lo].value : NULL;
}

static bool
is_proxy(const struct geo *g, const struct weir_addr *a)
{
	unsigned i;

	for (i = 0; i < g->proxies.n; i++)
		if (cidr_has(&g->proxies.v[i], a))
			return true;
	return false;
}

/* Takes the last element of a comma-separated list off. */
static bool
take_last(struct weir_str *list, struct weir_str *one)
{
	ssize_t comma;

	while (list->n != 0 && (list->p[list->n - 1] == ' ' || list->p[list->n - 1] == ',' ||
	    list->p[list->n - 1] == '\t'))
		list->n--;
	if (list->n == 0)
		return false;
	comma = str_rchr(*list, ',');
	*one = str_trim(str_from(*list, (size_t)(comma + 1)));
	list->n = comma < 0 ? 0 : (size_t)comma;
	return true;
}

/* X-Forwarded-For from right to left, as long as who says it is trusted. */
static void
forwarded(const struct geo *g, struct weir_sess *s, struct weir_addr *a)
{
	struct weir_str		list, one;
	struct weir_addr	next;

	if (!s->is_http || g->proxies.n == 0)
		return;
	list = fields_join(&req_of(s)->msg->fields, s->pool, STR("X-Forwarded-For"), ", ");
	while (is_proxy(g, a) && take_last(&list, &one) && addr_parse_ip(one, &next) == WEIR_OK) {
		*a = next;
		if (!g->recursive)
			return;
	}
}

static int
get_geo(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct geo	*g = data;
	struct weir_addr	 a = *s->peer;
	const struct weir_str	*value;

	if (!g->source.set)
		forwarded(g, s, &a);
	else if (addr_parse_ip(expr_eval(s, &g->source), &a) != WEIR_OK)
		a.sa.sa_family = AF_UNSPEC;
	if ((value = look_up(g, &a)) == NULL)
		value = g->fallback;
	*to = value != NULL ? *value : STR("");
	return WEIR_OK;
}

/* ---- from ranges to stretches ---- */

static int
by_begin(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* A heap of those ranges that hold the place where we are, the highest rank on top. */
struct heap {
	const struct range	**v;
	unsigned		  n;
};

static void
heap_push(struct heap *h, const struct range *r)
{
	unsigned i;

	for (i = h->n++; i > 0 && h->v[(i - 1) / 2]->rank < r->rank; i = (i - 1) / 2)
		h->v[i] = h->v[(i - 1) / 2];
	h->v[i] = r;
}

static void
heap_pop(struct heap *h)
{
	const struct range	*last = h->v[--h->n];
	unsigned		 i = 0, child;

	while ((child = 2 * i + 1) < h->n) {
		if (child + 1 < h->n && h->v[child + 1]->rank > h->v[child]->rank)
			child++;
		if (h->v[child]->rank <= last->rank)
			break;
		h->v[i] = h->v[child];
		i = child;
	}
	h->v[i] = last;
}

static void
add_stretch(struct weir_pool *pool, struct family *f, BITS from, const struct weir_str *value)
{
	struct stretch *s;

	if (f->stretches.n != 0 && f->stretches.v[f->stretches.n - 1].value == value)
		return;
	s = POOL_PUSH(pool, &f->stretches);
	s->from = from;
	s->value = value;
}

static void
cut(struct weir_pool *pool, struct family *f)
{
	struct heap	 h = { .n = 0 };
	const struct range *r = f->ranges.v, *end = r + f->ranges.n;
	BITS		 at = 0;

	if (f->ranges.n == 0)
		return;
	qsort(f->ranges.v, f->ranges.n, sizeof(*f->ranges.v), by_begin);
	h.v = pool_alloc(pool, f->ranges.n * sizeof(struct range *));
	add_stretch(pool, f, 0, NULL);
	while (r < end || h.n != 0) {
		if (h.n == 0)
			at = r->from;
		for (; r < end && r->from == at; r++)
			heap_push(&h, r);
		while (h.n != 0 && h.v[0]->to < at)
			heap_pop(&h);
		add_stretch(pool, f, at, h.n != 0 ? h.v[0]->value : NULL);
		if (h.n == 0)
			continue;
		if (r < end && r->from <= h.v[0]->to)
			at = r->from;
		else if (h.v[0]->to == ~(BITS)0)
			return;		/* and behind the last address there is nothing */
		else
			at = h.v[0]->to + 1;
	}
}

/* ---- configuration ---- */

static const struct weir_str *
keep(struct weir_conf *cf, struct weir_str value)
{
	struct weir_str *s = pool_alloc(cf->pool, sizeof(*s));

	*s = value;
	return s;
}

static int
bad_network(struct weir_conf *cf, const struct weir_node *row, unsigned w)
{
	return conf_error(cf, row, w, "invalid network \"%.*s\"", STR_ARG(row->w[w].s));
}

/* 10.0.0.0-10.0.0.255 */
static int
read_range(struct weir_conf *cf, const struct weir_node *row, unsigned w, struct range *to,
    bool *six)
{
	struct weir_str	 s = row->w[w].s, a_bytes;
	ssize_t		 dash = str_chr(s, '-');
	struct weir_addr a, b;

	if (dash < 0 || addr_parse_ip(str_of(s.p, (size_t)dash), &a) != WEIR_OK ||
	    addr_parse_ip(str_from(s, (size_t)dash + 1), &b) != WEIR_OK ||
	    a.sa.sa_family != b.sa.sa_family)
		return conf_error(cf, row, w, "invalid range \"%.*s\"", STR_ARG(s));
	a_bytes = addr_bytes(&a);
	to->from = bits_of(a_bytes);
	to->to = bits_of(addr_bytes(&b));
	*six = a_bytes.n == 16;
	if (to->from > to->to)
		return conf_error(cf, row, w, "the range \"%.*s\" ends before it begins", STR_ARG(s));
	return WEIR_OK;
}

static int
read_network(struct weir_conf *cf, const struct weir_node *row, unsigned w, struct range *to,
    bool *six)
{
	struct weir_cidr c;
	bool		 low = false;
	unsigned	 host;

	if (cidr_parse(row->w[w].s, &c, &low) != WEIR_OK)
		return bad_network(cf, row, w);
	if (low)
		conf_warn(cf, row, w, "low address bits of %.*s are meaningless",
		    STR_ARG(row->w[w].s));
	*six = c.len == 16;
	host = 8u * c.len - c.bits;
	to->from = bits_of(str_of((const char *)c.bytes, c.len));
	to->to = to->from | (host == 128 ? ~(BITS)0 : ((BITS)1 << host) - 1);
	to->rank = (uint64_t)c.bits << 32;	/* a network in a network counts more */
	return WEIR_OK;
}

/* Forget the network; the one around it shows again. */
static int
delete_network(struct weir_conf *cf, const struct weir_node *row, struct family *f,
    const struct range *like)
{
	unsigned i, n = 0, before = f->ranges.n;

	for (i = 0; i < before; i++)
		if (f->ranges.v[i].from != like->from || f->ranges.v[i].to != like->to)
			f->ranges.v[n++] = f->ranges.v[i];
	f->ranges.n = n;
	if (n == before)
		conf_warn(cf, row, 1, "no network \"%.*s\" to delete", STR_ARG(row->w[1].s));
	return WEIR_OK;
}

static int
add_range(struct weir_conf *cf, struct geo *g, const struct weir_node *row)
{
	bool		 del = str_eq(row->w[0].s, STR("delete")), six = false;
	struct range	 r = { .rank = 0 };
	struct family	*f;

	if ((g->ranges ? read_range : read_network)(cf, row, del, &r, &six) != WEIR_OK)
		return WEIR_FAIL;
	f = six ? &g->six : &g->four;
	if (del && !g->ranges)
		return delete_network(cf, row, f, &r);
	r.rank |= row->seq;		/* of two equal ones the later counts */
	r.value = del ? NULL : keep(cf, row->w[1].s);
	*POOL_PUSH(cf->pool, &f->ranges) = r;
	return WEIR_OK;
}

static int
add_proxy(struct weir_conf *cf, struct geo *g, const struct weir_node *row)
{
	struct weir_cidr c;

	if (cidr_parse(row->w[1].s, &c, NULL) != WEIR_OK)
		return bad_network(cf, row, 1);
	*POOL_PUSH(cf->pool, &g->proxies) = c;
	return WEIR_OK;
}

static int
add_row(struct weir_conf *cf, struct geo *g, const struct weir_node *row)
{
	struct weir_str word = row->w[0].s;

	if (row->n == 1 && str_eq(word, STR("ranges"))) {
		if (g->four.ranges.n != 0 || g->six.ranges.n != 0)
			return conf_error(cf, row, 0, "the \"ranges\" directive must be the first "
			    "directive inside \"geo\" block");
		g->ranges = true;
		return WEIR_OK;
	}
	if (row->n == 1 && str_eq(word, STR("proxy_recursive"))) {
		g->recursive = true;
		return WEIR_OK;
	}
	if (row->n == 1 && str_eq(word, STR("volatile")))
		return WEIR_OK;		/* looked for before */
	if (row->n != 2)
		return conf_error(cf, row, 0, "invalid number of the geo parameters");
	if (str_eq(word, STR("proxy")))
		return add_proxy(cf, g, row);
	if (!str_eq(word, STR("default")))
		return add_range(cf, g, row);
	if (g->fallback != NULL)
		conf_warn(cf, row, 0, "duplicate default, the later counts");
	g->fallback = keep(cf, row->w[1].s);
	return WEIR_OK;
}

static bool
is_volatile(const struct weir_node *block)
{
	const struct weir_node *n;

	for (n = block->child; n != NULL; n = n->next)
		if (n->n == 1 && str_eq(n->w[0].s, STR("volatile")))
			return true;
	return false;
}

static int
set_geo(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct geo		*g = POOL_NEW(cf->pool, geo);
	struct weir_var		 def = { .get = get_geo, .flags = VAR_CHANGEABLE, .data = g };
	unsigned		 w = node->n - 1, number;
	struct weir_str		 name = str_from(node->w[w].s, 1);
	const struct weir_node	*n;
	int			 rc = WEIR_OK;

	(void)scope, (void)conf;
	if (name.n == 0 || node->w[w].s.p[0] != '$')
		return conf_error(cf, node, w, "invalid variable name \"%.*s\"",
		    STR_ARG(node->w[w].s));
	if (w == 2 && expr_compile(cf, node, 1, node->w[1].s, &g->source) != WEIR_OK)
		return WEIR_FAIL;
	if (is_volatile(node))
		def.flags |= VAR_VOLATILE;
	if (vars_define(vars_now, name, &def, &number) != WEIR_OK)
		return conf_error(cf, node, w, "the duplicate \"%.*s\" variable: it is built in",
		    STR_ARG(name));
	for (n = node->child; n != NULL; n = n->next)
		if (add_row(cf, g, n) != WEIR_OK)
			rc = WEIR_FAIL;
	cut(cf->pool, &g->four);
	cut(cf->pool, &g->six);
	return rc;
}

static const struct weir_cmd cmds[] = {
	{ "geo", IN_HTTP, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_geo,
	  .flags = CONF_RAW | CONF_MULTI, .args = "[$address] $variable { network value; ... }",
	  .doc = "Define a variable whose value depends on the client's address, or on that in another "
	  "variable.  The smallest network that holds it counts; with ranges as the first line, "
	  "from-to are written instead and later ones count.  default: for all others.  delete network: "
	  "forget it.  proxy network: from these clients the last address of X-Forwarded-For is taken, "
	  "with proxy_recursive the last that is no proxy.  volatile: find the value out anew each "
	  "time.  include file: more lines." },
	{ 0 }
};

const struct weir_module geo_module = {
	.name = "geo", .index = &module_index, .cmds = cmds,
	.doc = "Variables that depend on addresses.",
};
