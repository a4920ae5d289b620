/*
 * geo.c - a variable that depends on an address: geo { }.
 *
 * What a block says, networks in networks or ranges over ranges, becomes a set of networks with ranks; at work
 * one binary search finds the value of an address.
 */
#include "core/net/netset.h"
#include "core/sess/expr.h"
#include "http/req/req.h"

extern const struct weir_module geo_module;

struct geo {
	struct weir_expr	 source;	/* not set: the client's address */
	struct weir_netset	 nets, proxies;	/* ids in nets: places in values */
	struct {
		struct weir_str	*v;
		unsigned	 n, room;
	}			 values;
	struct weir_str		 fallback;
	bool			 ranges, recursive, has_proxies, has_default;
};

static unsigned module_index;

/* ---- at work ---- */

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

static bool
is_proxy(const struct geo *g, const struct weir_addr *a)
{
	return netset_find(&g->proxies, a) != NETSET_NONE;
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

	if (!s->is_http || !g->has_proxies)
		return;
	list = fields_join(&req_of(s)->msg->fields, s->pool, STR("X-Forwarded-For"), ", ");
	while (is_proxy(g, a) && take_last(&list, &one) && addr_parse_ip_port(one, &next) == WEIR_OK) {
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
	uint32_t		 id;

	if (!g->source.set)
		forwarded(g, s, &a);
	else if (addr_parse_ip(expr_eval(s, &g->source), &a) != WEIR_OK)
		a.sa.sa_family = AF_UNSPEC;
	id = netset_find_bytes(&g->nets, ip_bytes(&a));
	*to = id < g->values.n ? g->values.v[id] : g->fallback;
	return WEIR_OK;
}

/* ---- configuration ---- */

static int
bad_network(struct weir_conf *cf, const struct weir_node *row, unsigned w)
{
	return conf_error(cf, row, w, "invalid network \"%.*s\"", STR_ARG(row->w[w].s));
}

/* 10.0.0.0-10.0.0.255 */
static int
read_range(struct weir_conf *cf, const struct weir_node *row, unsigned w, struct weir_netrange *to,
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
	to->from = net_bits(a_bytes);
	to->to = net_bits(addr_bytes(&b));
	*six = a_bytes.n == 16;
	if (to->from > to->to)
		return conf_error(cf, row, w, "the range \"%.*s\" ends before it begins", STR_ARG(s));
	return WEIR_OK;
}

static int
read_network(struct weir_conf *cf, const struct weir_node *row, unsigned w, struct weir_netrange *to,
    bool *six)
{
	struct weir_cidr c;
	bool		 low = false;

	if (cidr_parse(row->w[w].s, &c, &low) != WEIR_OK)
		return bad_network(cf, row, w);
	if (low)
		conf_warn(cf, row, w, "low address bits of %.*s are meaningless",
		    STR_ARG(row->w[w].s));
	*six = c.len == 16;
	net_extent(&c, to);
	to->rank = (uint64_t)c.bits << 32;	/* a network in a network counts more */
	return WEIR_OK;
}

/* Equal values get one id: then stretches side by side become one. */
static uint32_t
value_id(struct weir_conf *cf, struct geo *g, struct weir_str value)
{
	if (g->values.n == 0 || !str_eq(g->values.v[g->values.n - 1], value))
		*POOL_PUSH(cf->pool, &g->values) = value;
	return g->values.n - 1;
}

static int
add_range(struct weir_conf *cf, struct geo *g, const struct weir_node *row)
{
	bool			 del = str_eq(row->w[0].s, STR("delete")), six = false;
	struct weir_netrange	 r = { .id = NETSET_NONE };	/* as if nobody had it */

	if ((g->ranges ? read_range : read_network)(cf, row, del, &r, &six) != WEIR_OK)
		return WEIR_FAIL;
	if (del && !g->ranges) {	/* the network around it shows again */
		if (!netset_drop(&g->nets, six, &r))
			conf_warn(cf, row, 1, "no network \"%.*s\" to delete", STR_ARG(row->w[1].s));
		return WEIR_OK;
	}
	r.rank |= row->seq;		/* of two equal ones the later counts */
	if (!del)
		r.id = value_id(cf, g, row->w[1].s);
	netset_add_range(cf->pool, &g->nets, six, &r);
	return WEIR_OK;
}

static int
add_proxy(struct weir_conf *cf, struct geo *g, const struct weir_node *row)
{
	struct weir_cidr c;

	if (cidr_parse(row->w[1].s, &c, NULL) != WEIR_OK)
		return bad_network(cf, row, 1);
	netset_add(cf->pool, &g->proxies, &c, 0);
	g->has_proxies = true;
	return WEIR_OK;
}

static int
add_row(struct weir_conf *cf, struct geo *g, const struct weir_node *row)
{
	struct weir_str word = row->w[0].s;

	if (row->n == 1 && str_eq(word, STR("ranges"))) {
		if (g->values.n != 0 || g->has_default)
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
	if (g->has_default)
		conf_warn(cf, row, 0, "duplicate default, the later counts");
	g->fallback = row->w[1].s;
	g->has_default = true;
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
	if (w == 2 && (node->w[1].s.n < 2 || node->w[1].s.p[0] != '$'))
		return conf_error(cf, node, 1, "invalid variable name \"%.*s\"", STR_ARG(node->w[1].s));
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
	netset_freeze(cf->pool, &g->nets);
	netset_freeze(cf->pool, &g->proxies);
	return rc;
}

static const struct weir_cmd cmds[] = {
	{ "geo", IN_HTTP | IN_STREAM, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_geo,
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
