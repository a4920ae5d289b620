/*
 * api.c - upstream groups are looked at and changed by HTTP, with nginx Plus's paths, members and errors.
 *
 *	/N/http/upstreams/NAME/servers/ID	N: a version of the interface, 1 to 9; all are the same here
 *	/N/stream/upstreams/NAME/servers/ID
 *
 * What is changed, and what that means, is core/peer/change.h's.
 *
 * Whoever may write is said by allow, deny and auth_basic.  That is not enough against a page which makes the browser of
 * somebody who may write send requests: so those are refused when a browser says that they come from another site, or
 * from this one by a name that is not its own (DNS rebinding), and bodies must be called JSON, which no form can.
 */
#include "core/base/num.h"
#include "core/peer/change_json.h"
#include "core/peer/save.h"
#include "http/req/basic.h"
#include "http/req/req.h"
#include "http/req/vars.h"

enum { BODY_MAX = 65536, VERSION_FIRST = 1, VERSION_LAST = 9 };

struct api_conf { bool here, write; };

struct state {			/* of a request that has a body */
	bool	 read;
	int	 status;
};

/* What a path names. */
enum place { AT_ROOT, AT_VERSION, AT_KIND, AT_GROUPS, AT_GROUP, AT_SERVERS, AT_SERVER };

struct call {
	struct weir_req *r;
	struct weir_pool *pool;
	enum place	 at;
	bool		 stream;
	struct weir_group *group;
	uint32_t	 id;
};

static unsigned index_;
extern const struct weir_module api_module;

/* ---- answers ---- */

static enum weir_next
answer(struct call *c, int status, const struct weir_text *t)
{
	return req_respond_text(c->r, status, STR("application/json"), text_str(t));
}

static enum weir_next
fail(struct call *c, int status, const char *code, struct weir_str why)
{
	struct weir_text t = { .pool = c->pool };

	text_putf(&t, "{\"error\":{\"status\":%d,\"text\":%.*s,\"code\":\"%s\"},\"request_id\":%.*s}\n", status,
	    STR_ARG(text_quoted(c->pool, why)), code, STR_ARG(text_quoted(c->pool, req_id(c->r))));
	return answer(c, status, &t);
}

static const struct { int status; const char *code; } errors[SERVERS_ERRORS] = {
	[SERVERS_STATIC] = { 400, "UpstreamStatic" },
	[SERVERS_BUSY] = { 503, "UpstreamBusy" },
	[SERVERS_FULL] = { 400, "UpstreamOutOfMemory" },
	[SERVERS_UNKNOWN] = { 404, "UpstreamServerNotFound" },
	[SERVERS_FIXED] = { 400, "UpstreamServerImmutable" },
	[SERVERS_ADDRESS] = { 400, "UpstreamBadAddress" },
	[SERVERS_PORT] = { 400, "UpstreamBadAddress" },
	[SERVERS_NAME] = { 400, "UpstreamBadAddress" },
	[SERVERS_ROUTE] = { 400, "UpstreamBadRoute" },
	[SERVERS_BACKUP] = { 400, "UpstreamNoBackup" },
	[SERVERS_WEIGHT] = { 400, "UpstreamBadWeight" },
	[SERVERS_WEIGHTS] = { 400, "UpstreamBadWeight" },
	[SERVERS_CONNS] = { 400, "UpstreamBadMaxConns" },
	[SERVERS_FAILS] = { 400, "UpstreamBadMaxFails" },
	[SERVERS_WARM] = { 400, "UpstreamBadSlowStart" },
};

static enum weir_next
fail_as(struct call *c, enum server_error e)
{
	if (e == SERVERS_BUSY)
		req_add(c->r, "Retry-After", STR("1"));
	return fail(c, errors[e].status, errors[e].code, str_c(servers_error(e)));
}

/* ---- paths ---- */

/* The next part of a path; false at its end.  Slashes at both ends do not matter. */
static bool
next_part(struct weir_str *rest, struct weir_str *part)
{
	ssize_t slash;

	while (rest->n > 0 && rest->p[0] == '/')
		*rest = str_from(*rest, 1);
	slash = str_chr(*rest, '/');
	*part = slash >= 0 ? str_of(rest->p, (size_t)slash) : *rest;
	*rest = str_from(*rest, part->n);
	return part->n != 0;
}

static struct weir_str
below_location(const struct weir_req *r)
{
	if (r->loc != NULL && str_begins(r->uri.path, r->loc->name))
		return str_from(r->uri.path, r->loc->name.n);
	return r->uri.path;
}

static const char *
group_part(struct call *c, struct weir_str part, struct weir_str *why)
{
	c->group = (c->stream ? group_find_stream : group_find)(c->r->s.conf, part);
	c->at = AT_GROUP;
	if (c->group != NULL)
		return NULL;
	*why = STR("upstream not found");
	return "UpstreamNotFound";
}

static const char *
id_part(struct call *c, struct weir_str part, struct weir_str *why)
{
	uint64_t id;

	c->at = AT_SERVER;
	if (num_u64(part, &id) != WEIR_OK || id > UINT32_MAX) {
		*why = STR("invalid server ID");
		return "UpstreamBadServerId";
	}
	c->id = (uint32_t)id;
	return NULL;
}

static const char *
version_part(struct call *c, struct weir_str part, struct weir_str *why)
{
	uint64_t v;

	c->at = AT_VERSION;
	if (num_u64(part, &v) == WEIR_OK && v >= VERSION_FIRST && v <= VERSION_LAST)
		return NULL;
	*why = STR("unknown version");
	return "UnknownVersion";
}

static const char *
kind_part(struct call *c, struct weir_str part, struct weir_str *why)
{
	c->at = AT_KIND;
	c->stream = str_eq(part, STR("stream"));
	if (c->stream || str_eq(part, STR("http")))
		return NULL;
	*why = STR("path not found");
	return "PathNotFound";
}

/* A word that must stand there, or what is read by a function. */
static const struct {
	const char	*word;
	enum place	 at;
	const char	*(*read)(struct call *, struct weir_str, struct weir_str *why);
} parts[] = {
	{ NULL, AT_VERSION, version_part }, { NULL, AT_KIND, kind_part }, { "upstreams", AT_GROUPS, NULL },
	{ NULL, AT_GROUP, group_part }, { "servers", AT_SERVERS, NULL }, { NULL, AT_SERVER, id_part },
};

/* The code of what is wrong, or NULL. */
static const char *
find_place(struct call *c, struct weir_str *why)
{
	struct weir_str rest = below_location(c->r), part;
	const char *code = NULL;

	for (unsigned i = 0; code == NULL && next_part(&rest, &part); i++) {
		if (i < WEIR_COUNT(parts) && parts[i].read != NULL) {
			code = parts[i].read(c, part, why);
		} else if (i < WEIR_COUNT(parts) && str_eq(part, str_c(parts[i].word))) {
			c->at = parts[i].at;
		} else {
			*why = STR("path not found");
			code = "PathNotFound";
		}
	}
	return code;
}

/* ---- showing ---- */

static void
put_groups(struct call *c, struct weir_text *t)
{
	struct weir_group *g;
	const char *comma = "";

	text_put(t, STR("{"));
	for (unsigned i = 0; (g = group_next(c->r->s.conf, &i)) != NULL; ) {
		if (g->shared == NULL || g->in_stream != c->stream)
			continue;
		text_putf(t, "%s%.*s:", comma, STR_ARG(text_quoted(c->pool, g->name)));
		group_put_json(t, g);
		comma = ",";
	}
	text_put(t, STR("}"));
}

static const struct weir_server *
find_server(struct call *c)
{
	struct weir_servers all;

	servers_list(c->group, c->pool, &all);
	for (unsigned i = 0; i < all.n; i++)
		if (all.v[i].id == c->id)
			return &all.v[i];
	return NULL;
}

static enum weir_next
show_server(struct call *c, int status)
{
	const struct weir_server *s = find_server(c);
	struct weir_text t = { .pool = c->pool };

	if (s == NULL)
		return fail_as(c, SERVERS_UNKNOWN);
	server_put_json(&t, c->group, s);
	text_put(&t, STR("\n"));
	return answer(c, status, &t);
}

static enum weir_next
show(struct call *c)
{
	struct weir_text t = { .pool = c->pool };

	switch (c->at) {
	case AT_ROOT:
		text_put(&t, STR("[1,2,3,4,5,6,7,8,9]"));
		break;
	case AT_VERSION:
		text_put(&t, STR("[\"http\",\"stream\"]"));
		break;
	case AT_KIND:
		text_put(&t, STR("[\"upstreams\"]"));
		break;
	case AT_GROUPS:
		put_groups(c, &t);
		break;
	case AT_GROUP:
		group_put_json(&t, c->group);
		break;
	case AT_SERVERS:
		servers_put_json(&t, c->group);
		break;
	case AT_SERVER:
		return show_server(c, 200);
	}
	text_put(&t, STR("\n"));
	return answer(c, 200, &t);
}

/* ---- changing ---- */

/* The object of the body into *s; the code of what is wrong. */
static const char *
read_server_body(struct call *c, struct weir_server *s, struct weir_str *why, int *status)
{
	size_t n = (size_t)c->r->req_body->len;
	char *text = pool_bytes(c->pool, n + 1);

	n = bufq_peek(&c->r->req_body->q, 0, text, n);
	return server_read_json(c->group, s, str_of(text, n), c->pool, why, status);
}

/* Who did it; the log line tells from where. */
static struct weir_str
user_of(struct call *c)
{
	struct weir_str user, pass;

	if (req_basic(c->r, &user, &pass) != WEIR_OK)
		return STR("somebody");
	return pool_printf(c->pool, "user \"%.*s\"", STR_ARG(user));
}

static const char *
kind(const struct call *c)
{
	return c->stream ? "stream " : "";
}

static enum weir_next
add(struct call *c)
{
	struct weir_server s;
	struct weir_str why;
	enum server_error e;
	const char *code;
	int status;

	servers_default(&s);
	s.id = UINT32_MAX;
	if ((code = read_server_body(c, &s, &why, &status)) != NULL)
		return fail(c, status, code, why);
	if (s.id != UINT32_MAX)
		return fail(c, 400, "UpstreamConfFormatError", STR("\"id\" cannot be chosen"));
	if (s.name.n == 0)
		return fail(c, 400, "UpstreamConfFormatError", STR("missing \"server\" argument"));
	if ((e = servers_add(c->group, &s)) != SERVERS_OK)
		return fail_as(c, e);
	c->id = s.id;
	log_notice(&c->r->s.log, "%.*s added server %u to %supstream %.*s: %.*s", STR_ARG(user_of(c)), s.id,
	    kind(c), STR_ARG(c->group->name), STR_ARG(server_line(c->pool, &s)));
	return show_server(c, 201);
}

/* What makes a server another one cannot be changed; to repeat it is no change. */
static bool
is_same(const struct weir_server *is, const struct weir_server *to)
{
	return to->id == is->id && str_eq(to->name, is->name) && str_eq(to->route, is->route) &&
	    to->backup == is->backup;
}

static enum weir_next
change(struct call *c)
{
	const struct weir_server *is = find_server(c);
	struct weir_server to;
	struct weir_str why;
	enum server_error e;
	const char *code;
	int status;

	if (is == NULL)
		return fail_as(c, SERVERS_UNKNOWN);
	to = *is;
	to.set = 0;
	if ((code = read_server_body(c, &to, &why, &status)) != NULL)
		return fail(c, status, code, why);
	if (!is_same(is, &to))
		return fail(c, 400, "UpstreamServerImmutable", STR("\"id\", \"server\", \"route\" and \"backup\" cannot be "
		    "changed: add another server and remove this one"));
	if ((e = servers_change(c->group, &to)) != SERVERS_OK)
		return fail_as(c, e);
	log_notice(&c->r->s.log, "%.*s changed server %u of %supstream %.*s: %.*s; it was: %.*s", STR_ARG(user_of(c)), to.id,
	    kind(c), STR_ARG(c->group->name), STR_ARG(server_line(c->pool, &to)), STR_ARG(server_line(c->pool, is)));
	return show_server(c, 200);
}

static enum weir_next
drop(struct call *c)
{
	const struct weir_server *is = find_server(c);
	struct weir_text t = { .pool = c->pool };
	enum server_error e;

	if (is == NULL)
		return fail_as(c, SERVERS_UNKNOWN);
	if ((e = servers_remove(c->group, c->id)) != SERVERS_OK)
		return fail_as(c, e);
	log_notice(&c->r->s.log, "%.*s removed server %u from %supstream %.*s: %.*s", STR_ARG(user_of(c)), c->id,
	    kind(c), STR_ARG(c->group->name), STR_ARG(server_line(c->pool, is)));
	servers_put_json(&t, c->group);
	text_put(&t, STR("\n"));
	return answer(c, 200, &t);
}

/* ---- other sites ---- */

static struct weir_str
field(const struct weir_req *r, const char *name)
{
	const struct weir_field *f = fields_find(&r->msg->fields, str_c(name), NULL);

	return f != NULL ? f->value : STR_NONE;
}

/* Nobody else can have that name: an address, localhost, or what a server_name says. */
static bool
is_own_host(const struct weir_req *r)
{
	struct weir_addr a;

	return addr_parse_ip(r->host, &a) == WEIR_OK || str_eq(r->host, STR("localhost")) ||
	    route_knows(r->s.conn->from, r->server, r->host);
}

/* The page that sent this is one of this very server.  Who sends no such fields is no browser. */
static bool
is_same_site(struct call *c)
{
	const struct weir_req *r = c->r;
	struct weir_str origin = fields_value(&r->msg->fields, H_ORIGIN), fetch = field(r, "Sec-Fetch-Site"), own;
	ssize_t colon;

	if (fetch.n != 0 && !str_eq(fetch, STR("same-origin")) && !str_eq(fetch, STR("none")))
		return false;
	if (origin.n == 0)
		return true;
	colon = str_find(origin, STR("://"));
	if (colon < 0 || !is_own_host(r))
		return false;
	own = r->port.n != 0 ? pool_printf(c->pool, "%.*s:%.*s", STR_ARG(r->host), STR_ARG(r->port)) : r->host;
	return str_ieq(str_from(origin, (size_t)colon + 3), own);
}

static bool
is_json(const struct weir_req *r)
{
	struct weir_str type = fields_value(&r->msg->fields, H_CONTENT_TYPE);
	ssize_t semicolon = str_chr(type, ';');

	if (semicolon >= 0)
		type.n = (size_t)semicolon;
	return str_ieq(str_trim(type), STR("application/json"));
}

/* ---- the request ---- */

static void
on_body(struct weir_req *r, int status)
{
	struct state *st = sess_ctx_make(&r->s, index_, sizeof *st);

	st->read = true;
	st->status = status;
	weir_resume(&r->s);
}

static enum weir_next
too_large(struct call *c)
{
	return fail(c, 413, "BodyTooLarge", STR("the body is longer than 64k"));
}

/* NEXT: it is here. */
static enum weir_next
read_body(struct call *c)
{
	struct weir_req *r = c->r;
	struct state *st = sess_ctx_make(&r->s, index_, sizeof *st);

	if (!is_json(r))
		return fail(c, 415, "ContentTypeError", STR("the Content-Type of a body is application/json"));
	if (r->msg->length > BODY_MAX)
		return too_large(c);
	if (!st->read) {
		if (r->x->ops->want_body != NULL && (r->msg->flags & MSG_EXPECT))
			r->x->ops->want_body(r->x);
		if (!req_body_keep(r, on_body))
			return WEIR_WAIT;
	}
	if (st->status != 0)
		return fail(c, st->status, "BodyReadError", STR("reading the body failed"));
	return r->req_body->len > BODY_MAX ? too_large(c) : WEIR_NEXT;
}

static const struct { enum weir_method method; enum place at; bool body; enum weir_next (*fn)(struct call *); } writes[] = {
	{ M_POST, AT_SERVERS, true, add },
	{ M_PATCH, AT_SERVER, true, change },
	{ M_DELETE, AT_SERVER, false, drop },
};

static enum weir_next
write_by(struct call *c, unsigned which)
{
	enum weir_next n;

	if (!is_same_site(c))
		return fail(c, 403, "CrossSite", STR("this comes from another site, or by a name that no server_name says"));
	if (writes[which].body && (n = read_body(c)) != WEIR_NEXT)
		return n;
	return writes[which].fn(c);
}

static enum weir_next
no_such_method(struct call *c, bool may_write)
{
	static const char *const allowed[][2] = {
		[AT_SERVERS] = { "GET, HEAD", "GET, HEAD, POST" }, [AT_SERVER] = { "GET, HEAD", "GET, HEAD, PATCH, DELETE" },
	};
	const char *allow = c->at >= AT_SERVERS ? allowed[c->at][may_write] : "GET, HEAD";

	req_add(c->r, "Allow", str_c(allow));
	return fail(c, 405, "MethodDisabled", STR("method disabled"));
}

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req *r = req_of(s);
	const struct api_conf *conf = REQ_CONF(r, api_conf, api_module);
	struct call c = { .r = r, .pool = s->pool, .at = AT_ROOT };
	struct weir_str why;
	const char *code = find_place(&c, &why);

	req_add(r, "Cache-Control", STR("no-store"));
	if (code != NULL)
		return fail(&c, strcmp(code, "UpstreamBadServerId") == 0 ? 400 : 404, code, why);
	if (c.group != NULL && c.group->shared == NULL)
		return fail_as(&c, SERVERS_STATIC);
	if (r->method_id == M_GET || r->method_id == M_HEAD)
		return show(&c);
	for (unsigned i = 0; i < WEIR_COUNT(writes) && conf->write; i++)
		if (writes[i].method == r->method_id && writes[i].at == c.at)
			return write_by(&c, i);
	return no_such_method(&c, conf->write);
}

static bool
idle(const void *conf)
{
	return !((const struct api_conf *)conf)->here;
}

/* ---- configuration ---- */

static bool
has_rules(const struct weir_node *n)
{
	static const char *const rules[] = { "allow", "deny", "auth_request", "internal" };

	for (; n != NULL; n = n->next) {
		for (unsigned i = 0; i < WEIR_COUNT(rules); i++)
			if (str_eq(n->w[0].s, str_c(rules[i])))
				return true;
		if (str_eq(n->w[0].s, STR("auth_basic")) && n->n > 1 && !str_eq(n->w[1].s, STR("off")))
			return true;
		if (str_eq(n->w[0].s, STR("limit_except")) && has_rules(n->child))
			return true;
	}
	return false;
}

/* Whoever comes may change where requests go: somebody should have thought of that. */
static void
warn_if_open(struct weir_conf *cf, const struct weir_scope *s, const struct weir_node *node)
{
	for (const struct weir_scope *at = s; at != NULL; at = at->parent)
		if (has_rules(at->node != NULL ? at->node->child : cf->root->child))
			return;
	conf_warn(cf, node, 0, "everybody who can reach this may change upstreams: write allow and deny, or auth_basic, "
	    "beside it");
}

static int
set_api(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	static const char *const known[] = { "write=", NULL };
	struct api_conf *c = conf;
	struct weir_str v;

	c->here = true;
	if (node->n == 1)
		return WEIR_OK;
	if (!conf_param(node, 1, "write", &v))
		return conf_bad_param(cf, node, 1, known);
	if (conf_flag(cf, node, 1, v, &c->write) != WEIR_OK)
		return WEIR_FAIL;
	if (!c->write)
		return WEIR_OK;
	group_allow_changes(cf);
	warn_if_open(cf, scope, node);
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "api", IN_LOCATION, CONF_CUSTOM, .at = 0, .size = sizeof(struct api_conf), .args_max = 1, .set = set_api,
	  .flags = CONF_NOINHERIT, .args = "[write=on | off]",
	  .doc = "Answer with the upstream groups that have a zone, as JSON, by the paths of nginx Plus: /1/http/upstreams/, "
	  "/1/http/upstreams/name, .../servers/ and .../servers/id below the location, and the same with stream in place of http. "
	  "With write=on servers are added by POST, "
	  "changed by PATCH and removed by DELETE: all workers follow at once, and what a removed server was doing is finished. "
	  "What goes on with a removed server of stream goes on. Only addresses can be added, no names. How many depends on the size of the zone. Changes last until the next reload, "
	  "or, with state, for good. Each is told in the error log, at notice. Requests of browsers must come from this very "
	  "server, by an address or a name that server_name says. Who may ask is said by allow, deny and auth_basic." },
	{ 0 }
};

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, idle }, { 0 } };

const struct weir_module api_module = {
	.name = "api", .index = &index_, .conf_size = sizeof(struct api_conf), .cmds = cmds, .hooks = hooks,
	.doc = "Upstream groups are looked at and changed while the server runs.",
};
