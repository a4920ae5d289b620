/*
 * keyed.c - zones that count by a key.
 */
#include "core/metric/metric.h"
#include "core/sess/keyed.h"

#define KEY_KEPT	16	/* longer keys are hashed */
#define PREFIX_DEFAULT	64

struct weir_keyed_set *
keyed_new(struct weir_conf *cf, const struct keyed_kind *kind)
{
	struct weir_keyed_set *set = POOL_NEW(cf->pool, weir_keyed_set);

	set->kind = kind;
	set->tail = &set->first;
	return set;
}

struct weir_keyed *
keyed_named(struct weir_conf *cf, struct weir_keyed_set *set, const struct weir_node *node, unsigned w,
    struct weir_str name)
{
	struct weir_keyed *k;

	for (k = set->first; k != NULL; k = k->next)
		if (str_eq(k->name, name))
			return k;
	k = pool_zalloc(cf->pool, set->kind->size);
	k->name = name;
	k->used = node;
	k->used_w = w;
	*set->tail = k;
	set->tail = &k->next;
	return k;
}

bool
keyed_param(const struct weir_node *node, unsigned w, struct keyed_params *p)
{
	struct weir_str value;

	if (conf_param(node, w, "zone", &p->zone)) {
		p->zone_w = w;
		return true;
	}
	if (!conf_param(node, w, "ipv6_prefix", &value))
		return false;
	p->prefix_w = w;
	return true;
}

static bool
is_address(struct weir_str key)
{
	return str_eq(key, STR("$binary_remote_addr")) || str_eq(key, STR("${binary_remote_addr}"));
}

static int
read_prefix(struct weir_conf *cf, struct weir_keyed *k, const struct weir_node *node,
    const struct keyed_params *p)
{
	uint64_t	n = PREFIX_DEFAULT;
	struct weir_str text;

	k->prefix = is_address(k->key.source) ? PREFIX_DEFAULT : 0;
	if (p->prefix_w == 0)
		return WEIR_OK;
	if (k->prefix == 0)
		return conf_error(cf, node, p->prefix_w,
		    "ipv6_prefix is for the key $binary_remote_addr alone");
	conf_param(node, p->prefix_w, "ipv6_prefix", &text);
	if (conf_u64(cf, node, p->prefix_w, text, 1, 128, &n) != WEIR_OK)
		return WEIR_FAIL;
	k->prefix = (unsigned)n;
	return WEIR_OK;
}

/* Zones whose keys are made otherwise do not continue each other. */
static struct weir_str
tag_of(struct weir_conf *cf, const struct weir_keyed *k)
{
	if (k->prefix == 0)
		return k->key.source;
	return pool_printf(cf->pool, "%.*s/%u", STR_ARG(k->key.source), k->prefix);
}

static int64_t
get_rows(const void *arg)
{
	struct table_fill fill;

	table_fill(((const struct weir_keyed *)arg)->table, &fill);
	return (int64_t)fill.rows;
}

static int64_t
get_capacity(const void *arg)
{
	struct table_fill fill;

	table_fill(((const struct weir_keyed *)arg)->table, &fill);
	return (int64_t)fill.capacity;
}

static int64_t
get_evicted(const void *arg)
{
	struct table_fill fill;

	table_fill(((const struct weir_keyed *)arg)->table, &fill);
	return (int64_t)(fill.evicted + fill.refused);
}

static void
count_zone(struct weir_conf *cf, const struct weir_keyed *k)
{
	static const struct weir_metric_row rows[] = {
		{ "limit_zone_keys", METRIC_GAUGE, "Keys that a zone of limit_req or its like knows.",
		  .labels = { { "zone", NULL } } },
		{ "limit_zone_capacity", METRIC_GAUGE, "How many keys there is room for.", .labels = { { "zone", NULL } } },
		{ "limit_zone_lost_total", METRIC_COUNTER, "Keys for which there was no room: forgotten early, or not taken.",
		  .labels = { { "zone", NULL } } },
	};

	metric_value(cf, &rows[0], &k->name, get_rows, k);
	metric_value(cf, &rows[1], &k->name, get_capacity, k);
	metric_value(cf, &rows[2], &k->name, get_evicted, k);
}

struct weir_keyed *
keyed_declare(struct weir_conf *cf, struct weir_keyed_set *set, const struct weir_node *node,
    const struct keyed_params *p)
{
	struct weir_table_want	 want = { .kind = set->kind->name, .version = set->kind->version,
		.row = set->kind->row, .key_max = KEY_KEPT };
	struct weir_keyed	*k;
	const char		*why;

	if (p->zone_w == 0) {
		conf_error(cf, node, 0, "it must have the parameter zone=name:size");
		return NULL;
	}
	if (zone_spec(p->zone, &want.name, &want.size, &why) != WEIR_OK) {
		conf_error(cf, node, p->zone_w, "%s", why);
		return NULL;
	}
	k = keyed_named(cf, set, node, p->zone_w, want.name);
	if (k->node != NULL) {
		conf_error(cf, node, p->zone_w, "zone \"%.*s\" is already bound to key \"%.*s\"",
		    STR_ARG(k->name), STR_ARG(k->key.source));
		return NULL;
	}
	k->node = node;
	if (expr_compile(cf, node, 1, node->w[1].s, &k->key) != WEIR_OK ||
	    read_prefix(cf, k, node, p) != WEIR_OK)
		return NULL;
	want.tag = tag_of(cf, k);
	if ((k->table = table_declare(cf->zones, &want, &why)) == NULL) {
		conf_error(cf, node, p->zone_w, "%s", why);
		return NULL;
	}
	count_zone(cf, k);
	return k;
}

int
keyed_check(struct weir_conf *cf, const struct weir_keyed_set *set)
{
	const struct weir_keyed	*k;
	int			 rc = WEIR_OK;

	for (k = set->first; k != NULL; k = k->next)
		if (k->node == NULL)
			rc = conf_error(cf, k->used, k->used_w,
			    "unknown zone \"%.*s\": no %s declares it", STR_ARG(k->name),
			    set->kind->directive);
	return rc;
}

/* The first `bits` of an address; the others become 0. */
static struct weir_str
cut(struct weir_str address, unsigned bits, char buf[KEYED_BUF])
{
	static const char	mapped[12] = "\0\0\0\0\0\0\0\0\0\0\xff\xff";
	unsigned		i;

	if (memcmp(address.p, mapped, sizeof(mapped)) == 0)
		return str_from(address, sizeof(mapped));
	for (i = 0; i < KEYED_BUF; i++, bits -= WEIR_MIN(bits, 8))
		buf[i] = (char)(address.p[i] & (bits >= 8 ? 0xff : 0xff00 >> bits));
	return str_of(buf, KEYED_BUF);
}

struct weir_str
keyed_key(struct weir_sess *s, const struct weir_keyed *k, char buf[KEYED_BUF])
{
	struct weir_str key = expr_eval(s, &k->key);

	if (k->prefix != 0 && key.n == KEYED_BUF && s->peer->sa.sa_family == AF_INET6)
		return cut(key, k->prefix, buf);
	return key;
}
