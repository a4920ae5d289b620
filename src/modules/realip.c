/*
 * realip.c - who the client is when proxies stand between it and us.
 *
 * What a request says about its client counts as far as those whom set_real_ip_from names have
 * said it, and by default it names nobody.  A list, such as X-Forwarded-For, is read from its end, where the
 * nearest proxy has written: while the one who wrote is trusted, the address before is the next.
 * So real_ip_recursive finds the last address that is not trusted, which no client can choose.
 *
 * It is asked at the server's level before everything else, and, if nothing was found there, in the location
 * before limits and access.  The address that was found is s->peer; the connection keeps its own.
 */
#include "core/net/netset.h"
#include "core/net/proxy_protocol.h"
#include "http/req/req.h"

extern const struct weir_module realip_module;

enum source { FROM_FIELD, FROM_PROXY_PROTOCOL };

struct realip_conf {
	struct weir_netset	 from;		/* its ids mean nothing */
	enum source		 source;
	struct weir_str		 field;
	enum weir_known		 known;		/* of that name */
	bool			 recursive;
};

static unsigned module_index;

/* ---- requests ---- */

static bool
trusts(const struct realip_conf *c, const struct weir_addr *a)
{
	return netset_find(&c->from, a) != NETSET_NONE;
}

static bool
trusts_in(void *const *conf, const struct weir_addr *a)
{
	return trusts(conf[module_index], a);
}

static bool
divides(char c)
{
	return c == ' ' || c == ',' || c == '\t';
}

/* The last word of a list, which becomes shorter by it; false: there is none. */
static bool
take_last(struct weir_str *list, struct weir_str *word)
{
	size_t	begin;

	while (list->n > 0 && divides(list->p[list->n - 1]))
		list->n--;
	for (begin = list->n; begin > 0 && !divides(list->p[begin - 1]); begin--)
		;
	*word = str_from(*list, begin);
	list->n = begin;
	return word->n != 0;
}

/*
 * Follows a list while who wrote it is trusted; *found goes from the address that is known to the one before it.
 * False: no further, whatever stands in other fields.
 */
static bool
follow(const struct realip_conf *c, struct weir_str list, struct weir_addr *found)
{
	struct weir_addr	next;
	struct weir_str		word;

	while (take_last(&list, &word)) {
		if (!trusts(c, found) || addr_parse_ip_port(word, &next) != WEIR_OK)
			return false;
		*found = next;
		if (!c->recursive)
			return false;
	}
	return true;
}

/* Several fields of one name are one list (RFC 9110, 5.3). */
static void
follow_fields(const struct realip_conf *c, const struct weir_fields *fields, struct weir_addr *found)
{
	const struct weir_field	*f;
	unsigned		 i;

	for (i = fields->n; i-- > 0; ) {
		f = &fields->v[i];
		if (f->known != c->known ||
		    (f->known == H_UNKNOWN && !str_ieq(f->name, c->field)))
			continue;
		if (!follow(c, f->value, found))
			return;
	}
}

static enum weir_next
on_request(struct weir_sess *s)
{
	const struct realip_conf *c = SESS_CONF(s, module_index);
	const struct weir_addr	*peer = &s->conn->peer;
	struct weir_addr	 found;

	if (netset_is_empty(&c->from) || s->peer != peer || !trusts(c, peer))
		return WEIR_NEXT;
	found = *peer;
	if (c->source == FROM_FIELD)
		follow_fields(c, &req_of(s)->msg->fields, &found);
	else if (s->conn->proxied != NULL)
		found = s->conn->proxied->src;
	if (memcmp(&found, peer, sizeof(found)) != 0)
		s->peer = pool_dup(s->pool, &found, sizeof(found));
	return WEIR_NEXT;
}

/* There are no fields: it is the PROXY header that counts. */
static enum weir_next
on_stream(struct weir_sess *s)
{
	const struct realip_conf *c = SESS_CONF(s, module_index);

	if (s->conn->proxied != NULL && trusts(c, &s->conn->peer))
		s->peer = &s->conn->proxied->src;
	return WEIR_NEXT;
}

static bool
idle(const void *conf)
{
	return netset_is_empty(&((const struct realip_conf *)conf)->from);
}

static const struct weir_hook hooks[] = {
	{ ON_SERVER_REWRITE, on_request, idle }, { ON_PREACCESS, on_request, idle },
	{ ON_POST_ACCEPT, on_stream, idle }, { .fn = NULL }
};

static int
start(void)
{
	sess_trusts = trusts_in;
	return WEIR_OK;
}

/* ---- directives ---- */

static int
add_named(struct weir_conf *cf, struct weir_node *node, struct weir_netset *to)
{
	const char		*err = "host not found";
	struct weir_addr	*v;
	unsigned		 n, i;

	v = addr_lookup(cf->pool, node->w[1].s, 0, &n, &err);
	if (v == NULL)
		return conf_error(cf, node, 1, "%s in set_real_ip_from \"%.*s\"", err,
		    STR_ARG(node->w[1].s));
	for (i = 0; i < n; i++) {
		struct weir_str		bytes = addr_bytes(&v[i]);
		struct weir_cidr	net = { .len = (uint8_t)bytes.n, .bits = (uint8_t)(8 * bytes.n) };

		memcpy(net.bytes, bytes.p, bytes.n);
		netset_add(cf->pool, to, &net, 0);
	}
	return WEIR_OK;
}

static int
set_from(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_netset	*to = &((struct realip_conf *)conf)->from;
	struct weir_str		 word = node->w[1].s;
	struct weir_cidr	 net;
	bool			 low = false;

	(void)scope;
	if (str_eq(word, STR("unix:"))) {
		netset_add_unix(to, 0);
		return WEIR_OK;
	}
	if (cidr_parse(word, &net, &low) == WEIR_OK) {
		if (low)
			conf_warn(cf, node, 1, "low address bits of %.*s are meaningless",
			    STR_ARG(word));
		netset_add(cf->pool, to, &net, 0);
		return WEIR_OK;
	}
	if (word.n == 0 || str_chr(word, '/') >= 0 || str_chr(word, ':') >= 0)
		return conf_error(cf, node, 1, "invalid parameter \"%.*s\": it is an address, a range of "
		    "them, \"unix:\" or a host name", STR_ARG(word));
	return add_named(cf, node, to);
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	(void)scope;
	netset_freeze(cf->pool, &((struct realip_conf *)conf)->from);
	return WEIR_OK;
}

static int
set_header(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct realip_conf	*c = conf;
	struct weir_str		 word = node->w[1].s;

	(void)scope;
	if (!is_token(word))
		return conf_error(cf, node, 1, "\"%.*s\" is no field name", STR_ARG(word));
	c->source = str_eq(word, STR("proxy_protocol")) ? FROM_PROXY_PROTOCOL : FROM_FIELD;
	c->field = word;
	c->known = name_find(word);
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "set_real_ip_from", IN_HTTP_ANY | IN_STREAM_ANY, CONF_CUSTOM, CONF_AT(realip_conf, from), .args_min = 1,
	  .args_max = 1, .set = set_from, .flags = CONF_MULTI,
	  .args = "address | CIDR | unix: | name",
	  .doc = "Believe these peers what real_ip_header says about their clients.  A host name stands for "
	  "all its addresses at the time of starting.  In stream it is the PROXY header that is believed.  Nobody is believed by default.  A block with "
	  "networks of its own has none of the blocks around it." },
	{ "real_ip_header", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_header,
	  .def = "X-Real-IP", .args = "field | X-Real-IP | X-Forwarded-For | proxy_protocol",
	  .doc = "Where the client's address stands: in a field of the request, of which the last address "
	  "counts (with its port, if it has one), or in the PROXY header of the connection." },
	{ "real_ip_recursive", IN_HTTP_ANY, CONF_FLAG, CONF_AT(realip_conf, recursive), .def = "off",
	  .doc = "Go on in the field from address to address, from its end, until one is not named by "
	  "set_real_ip_from: that is the client." },
	{ 0 }
};

/* ---- variables: the connection's own ---- */

static int
get_addr(struct weir_sess *s, struct weir_str *to, const void *data)
{
	char	text[ADDR_TEXT_MAX];

	(void)data;
	return var_copy(s, to, text, addr_put_ip(text, &s->conn->peer));
}

static int
get_port(struct weir_sess *s, struct weir_str *to, const void *data)
{
	unsigned	port = addr_port(&s->conn->peer);

	(void)data;
	if (port != 0)
		return var_u64(s, to, port);
	*to = STR("");
	return WEIR_OK;
}

static const struct weir_var vars[] = {
	{ .name = "realip_remote_addr", .get = get_addr, .flags = VAR_STREAM,
	  .doc = "The address of the connection's other end, whatever realip has found." },
	{ .name = "realip_remote_port", .get = get_port, .flags = VAR_STREAM,
	  .doc = "The port of the connection's other end." },
	{ .name = NULL }
};

const struct weir_module realip_module = {
	.name = "realip", .index = &module_index, .conf_size = sizeof(struct realip_conf),
	.cmds = cmds, .vars = vars, .hooks = hooks, .ready = ready, .start = start,
	.doc = "The client's address, as trusted proxies tell it.",
};
