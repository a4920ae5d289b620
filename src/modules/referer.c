/*
 * referer.c - $invalid_referer: did the request come from a page that may link here?
 *
 * Who writes a client can send any Referer, so this keeps browsers from showing what belongs to another
 * site, and keeps nobody out.
 */
#include "core/base/hash.h"
#include "http/req/req.h"

#define HOST_MAX	256

extern const struct weir_module referer_module;

struct page {				/* where a link may stand */
	struct weir_str	path;		/* its begin; empty: anywhere */
};

struct regexes {
	struct weir_regex **v;
	unsigned	 n, room;
};

struct referers {
	bool		 none, blocked, server_names;
	const struct weir_node *node;	/* the first, for mistakes */
	/*
	 * -> struct page: "a.b" is that host, ".a.b" what ends so (*.a.b), "a.b." what begins so
	 * (a.b.*).
	 */
	struct weir_hash hosts;
	struct regexes	 names;		/* of server_name: of the host */
	struct regexes	 links;		/* of all behind the scheme */
};

struct referer_conf {
	struct referers	*valid;		/* NULL: any */
};

static unsigned index_;

/* ---- at work ---- */

/* Without http:// or https://; false: it has none, or nothing else. */
static bool
strip_scheme(struct weir_str *ref)
{
	if (ref->n < sizeof("http://i.ru") - 1)
		return false;
	if (str_ibegins(*ref, STR("http://")))
		*ref = str_from(*ref, 7);
	else if (str_ibegins(*ref, STR("https://")))
		*ref = str_from(*ref, 8);
	else
		return false;
	return true;
}

/* The exact host, then the longest end of it, then the longest begin. */
static const struct page *
find_host(const struct weir_hash *hosts, struct weir_str host)
{
	const struct page	*p;
	size_t			 i;

	if (host.n == 0 || host.p[0] == '.')
		return NULL;
	if (host.p[host.n - 1] != '.' && (p = hash_get(hosts, host)) != NULL)
		return p;
	for (i = 1; i < host.n; i++)
		if (host.p[i] == '.' && (p = hash_get(hosts, str_from(host, i))) != NULL)
			return p;
	for (i = host.n - 1; i > 1; i--)
		if (host.p[i - 1] == '.' && (p = hash_get(hosts, str_of(host.p, i))) != NULL)
			return p;
	return NULL;
}

/* A regex that gives up lets nobody in. */
static bool
fits_any(const struct regexes *r, struct weir_str subject)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (regex_test(r->v[i], subject) == WEIR_OK)
			return true;
	return false;
}

static bool
is_page(const struct page *p, struct weir_str ref, size_t host_n)
{
	ssize_t slash = str_chr(str_from(ref, host_n), '/');

	if (p->path.n == 0)
		return true;
	return slash >= 0 && str_begins(str_from(ref, host_n + (size_t)slash), p->path);
}

static bool
is_valid(const struct referers *v, struct weir_str ref)
{
	char			 lower[HOST_MAX];
	struct weir_str		 host;
	const struct page	*p;
	size_t			 n;

	if (!strip_scheme(&ref))
		return v->blocked;
	for (n = 0; n < ref.n && ref.p[n] != '/' && ref.p[n] != ':'; n++)
		;
	if (n > sizeof(lower))
		return false;
	str_lower(lower, ref.p, n);
	host = str_of(lower, n);
	if ((p = find_host(&v->hosts, host)) != NULL)
		return is_page(p, ref, n);
	return fits_any(&v->names, host) || fits_any(&v->links, ref);
}

static int
get_invalid_referer(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_req		*r = req_of(s);
	const struct referers	*v = REQ_CONF(r, referer_conf, referer_module)->valid;
	const struct weir_field	*f = fields_known(&r->msg->fields, H_REFERER);

	(void)data;
	if (v == NULL || (f == NULL ? v->none : is_valid(v, f->value)))
		*to = STR("");
	else
		*to = STR("1");
	return WEIR_OK;
}

/* ---- configuration ---- */

static int
put(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct referers *v, struct weir_str key,
    struct page *page)
{
	if (hash_get(&v->hosts, key) != NULL)
		return conf_error(cf, node, w, "conflicting parameter \"%.*s\"", STR_ARG(key));
	hash_put(&v->hosts, key, page);
	return WEIR_OK;
}

static bool
is_good_name(struct weir_str s)
{
	if (str_begins(s, STR("*.")))
		s = str_from(s, 2);
	else if (str_ends(s, STR(".*")))
		s.n -= 2;
	else if (s.n > 1 && s.p[0] == '.')
		s = str_from(s, 1);
	return s.n != 0 && str_chr(s, '*') < 0 && str_find(s, STR("..")) < 0 && s.p[0] != '.' &&
	    s.p[s.n - 1] != '.';
}

/* a.b, *.a.b, .a.b, a.b.* */
static int
add_name(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct referers *v,
    struct weir_str name, struct weir_str path)
{
	struct page	*page = POOL_NEW(cf->pool, page);
	char		*lower = pool_bytes(cf->pool, name.n);
	struct weir_str	 key;

	if (!is_good_name(name))
		return conf_error(cf, node, w, "invalid hostname or wildcard \"%.*s\"", STR_ARG(name));
	str_lower(lower, name.p, name.n);
	key = str_of(lower, name.n);
	page->path = path;
	if (str_begins(key, STR("*.")))
		key = str_from(key, 1);
	else if (str_ends(key, STR(".*")))
		key.n--;
	else if (key.p[0] == '.' && put(cf, node, w, v, str_from(key, 1), page) != WEIR_OK)
		return WEIR_FAIL;
	return put(cf, node, w, v, key, page);
}

static int
add_regex(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct referers *v)
{
	struct weir_str	   pattern = str_from(node->w[w].s, 1);
	struct weir_regex *re;

	if (pattern.n == 0)
		return conf_error(cf, node, w, "empty regex in \"~\"");
	if (regex_compile(cf, node, w, pattern, true, &re) != WEIR_OK)
		return WEIR_FAIL;
	*POOL_PUSH(cf->pool, &v->links) = re;
	return WEIR_OK;
}

static int
add_word(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct referers *v)
{
	struct weir_str	word = node->w[w].s, path = STR_NONE;
	ssize_t		slash = str_chr(word, '/');

	if (word.n == 0)
		return conf_error(cf, node, w, "invalid referer \"\"");
	if (str_eq(word, STR("none")))
		v->none = true;
	else if (str_eq(word, STR("blocked")))
		v->blocked = true;
	else if (str_eq(word, STR("server_names")))
		v->server_names = true;
	else if (word.p[0] == '~')
		return add_regex(cf, node, w, v);
	else {
		if (slash >= 0) {
			path = str_from(word, (size_t)slash);
			word.n = (size_t)slash;
		}
		return add_name(cf, node, w, v, word, path);
	}
	return WEIR_OK;
}

static int
set_valid(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct referer_conf	*c = conf;
	unsigned		 w;

	(void)scope;
	if (c->valid == NULL) {
		c->valid = POOL_NEW(cf->pool, referers);
		c->valid->node = node;
		hash_init(&c->valid->hosts, cf->pool, false);
	}
	for (w = 1; w < node->n; w++)
		if (add_word(cf, node, w, c->valid) != WEIR_OK)
			return WEIR_FAIL;
	return WEIR_OK;
}

static const struct weir_http_server *
server_of(const struct weir_scope *scope)
{
	while (scope->in != IN_SERVER)
		scope = scope->parent;
	return scope->owner;
}

static int
add_server_names(struct weir_conf *cf, struct referers *v, const struct weir_http_server *server)
{
	unsigned i;

	for (i = 0; i < server->site.n_names; i++) {
		const struct weir_server_name *n = &server->site.names[i];

		if (n->regex != NULL)
			*POOL_PUSH(cf->pool, &v->names) = n->regex;
		else if (n->name.n != 0 &&
		    add_name(cf, v->node, 0, v, n->name, STR_NONE) != WEIR_OK)
			return WEIR_FAIL;
	}
	return WEIR_OK;
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct referers *v = ((struct referer_conf *)conf)->valid;

	if (v == NULL || !conf_set_here(scope, &referer_module, "valid_referers"))
		return WEIR_OK;
	if (v->server_names && add_server_names(cf, v, server_of(scope)) != WEIR_OK)
		return WEIR_FAIL;
	if ((v->none || v->blocked) && v->hosts.n == 0 && v->links.n == 0 && v->names.n == 0)
		return conf_error(cf, v->node, 0, "the \"none\" or \"blocked\" referers are specified in the "
		    "\"valid_referers\" directive without any valid referer");
	return WEIR_OK;
}

static int
set_hash(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope, (void)conf;
	return conf_warn(cf, node, 0, "has no effect: weir's tables size themselves");
}

#define PLACES		(IN_SERVER | IN_LOCATION)
#define NO_EFFECT	CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_hash, .args = "number", \
			.doc = "Understood for nginx's sake, without effect; a warning says why."

static const struct weir_cmd cmds[] = {
	{ "valid_referers", PLACES, CONF_CUSTOM, CONF_AT(referer_conf, valid), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_valid, .flags = CONF_MULTI,
	  .args = "none | blocked | server_names | name[/path] | ~regex ...",
	  .doc = "For which values of Referer $invalid_referer is empty: no such field (none); one without "
	  "http:// or https://, as firewalls make them (blocked); the names of the server; a name, which may have a "
	  "star for its first or last part, and the begin of a path; and whatever a regular expression matches behind the "
	  "scheme, in any case.  The port does not matter." },
	{ "referer_hash_bucket_size", PLACES, NO_EFFECT },
	{ "referer_hash_max_size", PLACES, NO_EFFECT },
	{ 0 }
};

static const struct weir_var vars[] = {
	{ .name = "invalid_referer", .get = get_invalid_referer, .flags = VAR_CHANGEABLE,
	  .doc = "Empty if Referer is one of valid_referers, else \"1\"." },
	{ 0 }
};

const struct weir_module referer_module = {
	.name = "referer", .index = &index_, .conf_size = sizeof(struct referer_conf),
	.cmds = cmds, .vars = vars, .ready = ready,
	.doc = "Did the request come from a page that may link here?",
};
