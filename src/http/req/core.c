/*
 * core.c - module http: the blocks http and server, and the directives of every place.
 *
 * The blocks of locations, the addresses and names of servers, error pages and types have
 * files of their own, *_conf.c.
 */
#include <unistd.h>

#include "core/base/num.h"
#include "core/tls/server_conf.h"
#include "http/req/core.h"
#include "http/req/filecache.h"
#include "http/req/locations.h"

void (*http_on_conn)(struct weir_conn *);

static unsigned index_;

/* ---- blocks ---- */

static void
on_conn(struct weir_conn *c)
{
	http_on_conn(c);
}

static const struct weir_site_kind kind = { .other = "a stream server", .port = 80, .on_conn = on_conn };

/* What clients can be sent to by https. */
static void
add_tls_names(struct weir_conf *cf, struct weir_http_main *h)
{
	names_init(&h->tls_names, cf->pool);
	for (unsigned i = 0; i < h->n; i++)
		for (const struct weir_site_listen *l = h->v[i]->site.listens; l != NULL; l = l->next) {
			if (!(l->protocols & LISTEN_SSL))
				continue;
			for (unsigned k = 0; k < h->v[i]->site.n_names; k++)
				if (h->v[i]->site.names[k].name.n != 0 && names_add(&h->tls_names, &h->v[i]->site.names[k], h->v[i]) != WEIR_OK)
					continue;	/* another server has it, too */
			break;
		}
}

static int
set_http(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_http_main	*h = POOL_NEW(cf->pool, weir_http_main);
	struct weir_http_conf	*top = conf;
	int			 rc;

	top->main = h;
	h->vars = vars_new(cf, false);
	vars_now = h->vars;
	h->scope = conf_block(cf, scope, node, IN_HTTP, h);
	rc = vars_check(h->vars, cf);
	vars_now = NULL;
	if (h->scope == NULL || rc != WEIR_OK || site_check(cf, &kind) != WEIR_OK)
		return WEIR_FAIL;
	if (h->want_tls_names)
		add_tls_names(cf, h);
	cycle_temp_dir(cf, ((struct weir_http_conf *)conf_of(h->scope, &http_module))->body_temp_path);
	return WEIR_OK;
}

/* nginx's choice for a server without listen: 8000 for those who may not have port 80. */
static int
serve_at(struct weir_conf *cf, struct weir_http_server *server)
{
	const struct weir_http_conf	*c = conf_of(server->scope, &http_module);
	int				 rc = tls_server_conf(cf, server->scope);

	if (rc == WEIR_OK)
		rc = tls_names_conf(cf, server);
	if (server->site.listens == NULL)
		site_listen_port(cf, &server->site, geteuid() == 0 ? 80 : 8000);
	if (site_done(cf, &server->site, &kind, (unsigned)(c->client_header_ms / 1000)) != WEIR_OK)
		rc = WEIR_FAIL;
	return rc;
}

static int
set_server(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_http_main	*h = scope->owner;
	struct weir_http_server	*server = POOL_NEW(cf->pool, weir_http_server);

	(void)conf;
	server->node = server->site.node = node;
	hash_init(&server->named, cf->pool, false);
	server->scope = conf_block(cf, scope, node, IN_SERVER, server);
	if (server->scope == NULL)
		return WEIR_FAIL;
	server->conf = server->scope->conf;
	if (server->locations != NULL)
		locations_done(server->locations);
	server->site.scope = server->scope;
	*POOL_PUSH(cf->pool, h) = server;
	return serve_at(cf, server);
}

/* ---- directives ---- */

static int
set_listen(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)conf;
	return site_listen(cf, scope, node, &kind, &((struct weir_http_server *)scope->owner)->site);
}

static int
set_server_name(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)conf;
	return site_server_name(cf, node, &((struct weir_http_server *)scope->owner)->site);
}

/* `large_client_header_buffers 4 8k` */
static int
set_large(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_http_conf	*c = conf;
	uint64_t		 n;

	(void)scope;
	if (conf_u64(cf, node, 1, node->w[1].s, 1, 1024, &n) != WEIR_OK ||
	    conf_size(cf, node, 2, node->w[2].s, &c->large_size) != WEIR_OK)
		return WEIR_FAIL;
	if (c->large_size < 64 || c->large_size > 1024 * 1024)
		return conf_error(cf, node, 2, "a line of a head may have from 64 bytes to 1m");
	c->large_n = n;
	return WEIR_OK;
}

/* `keepalive_timeout 75s [60s]`: the second is what the client is told. */
static int
set_keepalive_timeout(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node,
    void *conf)
{
	struct weir_http_conf	*c = conf;

	(void)scope;
	c->keepalive_header_ms = 0;
	if (conf_msec(cf, node, 1, node->w[1].s, &c->keepalive_ms) != WEIR_OK)
		return WEIR_FAIL;
	if (node->n == 2)
		return WEIR_OK;
	return conf_msec(cf, node, 2, node->w[2].s, &c->keepalive_header_ms);
}

/* A number of bytes a second; what variables make of it is looked at with each request. */
static int
set_rate(struct weir_conf *cf, struct weir_node *node, struct weir_expr *e)
{
	uint64_t	n;

	memset(e, 0, sizeof(*e));
	if (expr_field(cf, node, 1, e) != WEIR_OK)
		return WEIR_FAIL;
	e->set = true;
	return expr_is_const(e) ? conf_size(cf, node, 1, e->source, &n) : WEIR_OK;
}

static int
set_limit_rate(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return set_rate(cf, node, &((struct weir_http_conf *)conf)->limit_rate);
}

static int
set_limit_rate_after(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node,
    void *conf)
{
	(void)scope;
	return set_rate(cf, node, &((struct weir_http_conf *)conf)->limit_rate_after);
}

static int
set_early_hints(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return expr_field(cf, node, 1, &((struct weir_http_conf *)conf)->early_hints);
}

/* on, off, build, or what the Server field shall say. */
static int
set_server_tokens(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node,
    void *conf)
{
	static const char *const words[] = { "off", "on", "build" };
	struct weir_http_conf	*c = conf;
	unsigned		 i;

	(void)scope;
	memset(&c->server_tokens_expr, 0, sizeof(c->server_tokens_expr));
	for (i = 0; i < WEIR_COUNT(words); i++)
		if (str_eq(node->w[1].s, str_c(words[i]))) {
			c->server_tokens = (int)i;
			return WEIR_OK;
		}
	if (expr_field(cf, node, 1, &c->server_tokens_expr) != WEIR_OK)
		return WEIR_FAIL;
	c->server_tokens_expr.set = true;
	return WEIR_OK;
}

static int
set_internal(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)cf, (void)scope, (void)node;
	((struct weir_http_conf *)conf)->internal = true;
	return WEIR_OK;
}

static int
set_error_log(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	return core_set_error_log(cf, scope, node, &((struct weir_http_conf *)conf)->error_log);
}

static int
set_body_temp(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_http_conf	*c = conf;
	uint64_t		 n;
	unsigned		 w;

	(void)scope;
	for (w = 2; w < node->n; w++)
		if (conf_u64(cf, node, w, node->w[w].s, 1, 3, &n) != WEIR_OK)
			return WEIR_FAIL;
	if (node->n > 2)
		conf_warn(cf, node, 2, "levels of folders have no effect: weir puts all files into "
		    "one, most of them without a name");
	c->body_temp_path = conf_path(cf, node->w[1].s, false);
	return conf_folder(cf, node, c->body_temp_path);
}

static int
check_nopush(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	if (!((struct weir_http_conf *)conf)->tcp_nopush)
		conf_warn(cf, node, 1, "has no effect: weir always sends a head together with what "
		    "follows it");
	return WEIR_OK;
}

/* off, on, threads, threads=pool */
static int
set_aio(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_http_conf	*c = conf;
	struct weir_str		 how = node->w[1].s, pool;

	(void)scope;
	c->aio_threads = false;
	if (str_eq(how, STR("off")))
		return WEIR_OK;
	if (str_eq(how, STR("on")))
		return conf_warn(cf, node, 1, "has no effect: Linux would read past its memory only; "
		    "\"aio threads\" keeps a slow disk from holding up others");
	if (conf_param(node, 1, "threads", &pool)) {
		if (pool.n == 0)
			return conf_error(cf, node, 1, "the pool has no name");
		conf_warn(cf, node, 1, "the name of a pool has no effect: a worker has one for all");
	} else if (!str_eq(how, STR("threads"))) {
		return conf_error(cf, node, 1, "invalid value \"%.*s\": off, on or threads is wanted",
		    STR_ARG(how));
	}
	c->aio_threads = true;
	cycle_needs_threads(cf);
	return WEIR_OK;
}

/* What nginx has and weir does without.  A directive is never silently without effect. */
static const struct no_effect {
	const char	*name, *why;
} no_effects[] = {
	{ "server_names_hash_bucket_size", "weir's tables size themselves" },
	{ "server_names_hash_max_size", "weir's tables size themselves" },
	{ "types_hash_bucket_size", "weir's tables size themselves" },
	{ "types_hash_max_size", "weir's tables size themselves" },
	{ "variables_hash_bucket_size", "weir's tables size themselves" },
	{ "variables_hash_max_size", "weir's tables size themselves" },
	{ "connection_pool_size", "weir's memory pools size themselves" },
	{ "request_pool_size", "weir's memory pools size themselves" },
	{ "output_buffers", "buffers come from a common store, as many as a client takes" },
	{ "postpone_output", "a response leaves when its maker has nothing more at hand" },
	{ "subrequest_output_buffer_size", "weir keeps no response of a subrequest in a buffer" },
	{ "msie_padding", "no living client needs it" },
	{ "msie_refresh", "no living client needs it" },
	{ "client_body_in_single_buffer", "who looks into a body that was kept sees all of it in any case" },
	{ "aio_write", "what is written to disk goes into the kernel's memory first" },
	{ "directio", "files are sent from the kernel's memory, without a copy" },
	{ "directio_alignment", "weir has no directio" },
	{ "read_ahead", "the kernel decides how far it reads ahead" },
	{ "send_lowat", "Linux has no such option for sending" },
};

static int
set_no_effect(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	unsigned	i;

	(void)scope, (void)conf;
	for (i = 0; i < WEIR_COUNT(no_effects); i++)
		if (str_eq(node->w[0].s, str_c(no_effects[i].name)))
			return conf_warn(cf, node, 0, "has no effect: %s", no_effects[i].why);
	assert(!"every directive without effect says why");
	return WEIR_OK;
}

/* ---- tables ---- */

#define NO_EFFECT(n)	CONF_CUSTOM, .args_min = 1, .args_max = (n), .set = set_no_effect, \
			.flags = CONF_MULTI, .args = "value ...", \
			.doc = "Understood for nginx's sake, without effect; a warning says why."

#define HTTP_SERVER	(IN_HTTP | IN_SERVER)

static const struct weir_choice off_on_clean[] = {
	{ "off", 0 }, { "on", 1 }, { "clean", 2 }, { NULL, 0 }
};
static const struct weir_choice off_on_always[] = {
	{ "off", 0 }, { "on", 1 }, { "always", 2 }, { NULL, 0 }
};
static const struct weir_choice since_choices[] = {
	{ "off", 0 }, { "exact", 1 }, { "before", 2 }, { NULL, 0 }
};
static const struct weir_choice satisfy_choices[] = {
	{ "all", 0 }, { "any", 1 }, { NULL, 0 }
};
static const struct weir_choice disable_choices[] = {
	{ "none", 0 }, { "msie6", 1 }, { "safari", 2 }, { NULL, 0 }
};

static const struct weir_cmd cmds[] = {
	{ "http", IN_MAIN, CONF_CUSTOM, .set = set_http, .flags = CONF_BLOCK,
	  .doc = "Everything about HTTP." },
	{ "server", IN_HTTP, CONF_CUSTOM, .set = set_server, .flags = CONF_BLOCK | CONF_MULTI,
	  .doc = "A server: its addresses are said by listen, its names by server_name." },
	{ "location", IN_SERVER | IN_LOCATION, CONF_CUSTOM, .args_min = 1, .args_max = 2,
	  .set = conf_location, .flags = CONF_BLOCK | CONF_MULTI,
	  .args = "[= | ~ | ~* | ^~] path | @name",
	  .doc = "What holds for a part of the paths.  An exact location (=) wins; then the longest "
	  "prefix is found and, unless it is marked by ^~, the first regular expression (~, or ~* "
	  "without regard to case) that matches wins over it.  A named location is only reached "
	  "by internal redirects." },
	{ "limit_except", IN_LOCATION, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY,
	  .set = conf_limit_except, .flags = CONF_BLOCK, .args = "method ...",
	  .doc = "What holds for all other methods than these.  GET stands for HEAD, too." },
	{ "listen", IN_SERVER, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_listen,
	  .flags = CONF_MULTI, .args = "address[:port] | port | unix:path [default_server] "
	  "[backlog=number] [rcvbuf=size] [sndbuf=size] [fastopen=number] [ipv6only=on | off] "
	  "[so_keepalive=on | off | idle:interval:count] [deferred] [bind] [reuseport] [transparent] [ssl] "
	  "[http2] [proxy_protocol[=trusted]]",
	  .doc = "An address of the server.  Without any it listens on port 80, or 8000 when it "
	  "is not started by root.  Every address has a socket of its own for each worker, so "
	  "reuseport and bind say what is done anyway.  With ssl, in any server's listen of that address, "
	  "connections are encrypted: see ssl_certificate.  With proxy_protocol every connection begins with "
	  "a header of the PROXY protocol, version 1 or 2, within client_header_timeout, and is closed when it "
	  "does not; what the header says is in variables, and counts as the client's address by "
	  "real_ip_header and set_real_ip_from.  With proxy_protocol=trusted connections of all whom "
	  "set_real_ip_from of the default server does not name are closed.  With transparent the address may be one that is not this machine's, and connections to others that "
	  "the kernel routes here, by TPROXY or a local route, are taken too: $server_addr and $server_port are where they wanted to go.  It "
	  "needs root, or CAP_NET_RAW." },
	{ "server_name", IN_SERVER, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY,
	  .set = set_server_name, .flags = CONF_MULTI, .args = "name ...",
	  .doc = "The names of the server: whole ones, with a star for the first or the last part, "
	  ".example.com for *.example.com and example.com, and ~ with a regular expression.  The first "
	  "is the one that is used in redirects when server_name_in_redirect is on." },

	/* files */
	{ "root", IN_HTTP_ANY | IN_IF, CONF_CUSTOM, .def = "html", .args_min = 1, .args_max = 1,
	  .set = conf_root, .args = "path",
	  .doc = "The folder to which a path is added.  May contain variables." },
	{ "alias", IN_LOCATION, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = conf_alias,
	  .args = "path", .doc = "What stands instead of the location's name; in a location with a "
	  "regular expression, instead of the whole path.  May contain variables." },
	{ "disable_symlinks", IN_HTTP_ANY, CONF_CUSTOM, .def = "off", .args_min = 1, .args_max = 2,
	  .set = conf_symlinks, .args = "off | on | if_not_owner [from=part]",
	  .doc = "Refuse paths with symbolic links in them: all links, or those that belong to somebody "
	  "else than their targets.  The part of the path that from= names is not looked at." },
	{ "open_file_cache", IN_HTTP_ANY, CONF_CUSTOM, .def = "off", .args_min = 1, .args_max = 2,
	  .set = conf_filecache, .args = "off | max=number [inactive=time]",
	  .doc = "Remember so many files at most: their sizes and times, that they do not exist, and "
	  "the open files themselves.  What was not asked for during the time, 60 seconds unless said "
	  "otherwise, is forgotten.  Each worker has a cache of its own, for each such directive." },
	{ "open_file_cache_valid", IN_HTTP_ANY, CONF_MSEC, CONF_AT(weir_http_conf, files_valid_ms),
	  .def = "60s", .doc = "How long what open_file_cache remembers is believed.  A file that was "
	  "replaced is served in its old form until then." },
	{ "open_file_cache_min_uses", IN_HTTP_ANY, CONF_INT, CONF_AT(weir_http_conf, files_min_uses),
	  .def = "1", .doc = "A file that was asked for so often stays open." },
	{ "open_file_cache_errors", IN_HTTP_ANY, CONF_FLAG, CONF_AT(weir_http_conf, files_errors),
	  .def = "off", .doc = "Remember also files that could not be opened." },
	{ "types", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(weir_http_conf, types),
	  .def = "{ text/html html; image/gif gif; image/jpeg jpg; }", .set = conf_types,
	  .flags = CONF_RAW | CONF_MULTI, .args = "{ type extension ...; ... }",
	  .doc = "The media types of extensions, without regard to case." },
	{ "default_type", IN_HTTP_ANY, CONF_STR, CONF_AT(weir_http_conf, default_type),
	  .def = "text/plain", .doc = "The media type of what has no known extension." },
	{ "sendfile", IN_HTTP_ANY | IN_IF, CONF_FLAG, CONF_AT(weir_http_conf, sendfile),
	  .def = "on", .doc = "Let the kernel send files." },
	{ "sendfile_max_chunk", IN_HTTP_ANY, CONF_SIZE, CONF_AT(weir_http_conf, sendfile_max_chunk),
	  .def = "2m", .doc = "The most of a file that one connection sends before the others have "
	  "their turn." },
	{ "aio", IN_HTTP_ANY, CONF_CUSTOM, .def = "off", .args_min = 1, .args_max = 1, .set = set_aio,
	  .args = "off | threads[=pool]",
	  .doc = "Have files that are not in memory read by threads before they are sent, so that a slow disk "
	  "does not hold up other clients.  All that wants threads shares a few of each worker, so the name "
	  "of a pool has no effect; nor has on, since Linux reads asynchronously only past its "
	  "memory." },
	{ "etag", IN_HTTP_ANY, CONF_FLAG, CONF_AT(weir_http_conf, etag), .def = "on",
	  .doc = "Give files an ETag, made of time and size." },
	{ "if_modified_since", IN_HTTP_ANY, CONF_ENUM, CONF_AT(weir_http_conf, if_modified_since),
	  .def = "exact", .choices = since_choices,
	  .doc = "How If-Modified-Since is compared with a file's time: not at all, equal, or not "
	  "older." },
	{ "max_ranges", IN_HTTP_ANY, CONF_INT, CONF_AT(weir_http_conf, max_ranges),
	  .def = "2147483647", .doc = "How many ranges a request may ask for; 0 turns them off." },

	/* the client's side of a connection */
	{ "client_header_timeout", HTTP_SERVER, CONF_MSEC,
	  CONF_AT(weir_http_conf, client_header_ms), .def = "60s",
	  .doc = "How long the head of a request may take as a whole; then 408." },
	{ "client_header_buffer_size", HTTP_SERVER, CONF_SIZE,
	  CONF_AT(weir_http_conf, header_buffer), .def = "1k",
	  .doc = "Adds to what large_client_header_buffers allows a head as a whole." },
	{ "large_client_header_buffers", HTTP_SERVER, CONF_CUSTOM, .def = "4 8k", .args_min = 2,
	  .args_max = 2, .set = set_large, .args = "number size",
	  .doc = "The size is the longest line of a head: a longer first line is answered with 414, a "
	  "longer field with 431.  number times size is the most for all lines together.  "
	  "With a size of more than 8k, HTTP/2 clients may send all of it in one frame." },
	{ "max_headers", HTTP_SERVER, CONF_INT, CONF_AT(weir_http_conf, max_headers),
	  .def = "1000", .min = 1, .max = 100000, .doc = "The most fields of a head; then 431." },
	{ "ignore_invalid_headers", HTTP_SERVER, CONF_FLAG, CONF_AT(weir_http_conf, ignore_invalid),
	  .def = "on", .doc = "Drop fields whose names have other signs than letters, digits and hyphens.  A name "
	  "that HTTP does not allow is refused in any case." },
	{ "underscores_in_headers", HTTP_SERVER, CONF_FLAG, CONF_AT(weir_http_conf, underscores),
	  .def = "off", .doc = "Is an underscore usual in the name of a field?" },
	{ "merge_slashes", HTTP_SERVER, CONF_FLAG, CONF_AT(weir_http_conf, merge_slashes),
	  .def = "on", .doc = "Take several slashes in a path for one." },
	{ "client_body_timeout", IN_HTTP_ANY, CONF_MSEC, CONF_AT(weir_http_conf, client_body_ms),
	  .def = "60s", .doc = "The longest time between two reads of a body; then 408." },
	{ "client_max_body_size", IN_HTTP_ANY, CONF_SIZE, CONF_AT(weir_http_conf, max_body),
	  .def = "1m", .doc = "The largest body of a request, counted as it comes; 0: any.  A "
	  "larger one is answered with 413." },
	{ "client_body_buffer_size", IN_HTTP_ANY, CONF_SIZE, CONF_AT(weir_http_conf, body_buffer),
	  .def = "16k", .doc = "A body that is kept and larger goes into a file." },
	{ "client_body_in_file_only", IN_HTTP_ANY, CONF_ENUM,
	  CONF_AT(weir_http_conf, body_in_file_only), .def = "off", .choices = off_on_clean,
	  .doc = "Keep every body in a file with a name; on leaves the file there, clean removes it." },
	{ "client_body_temp_path", IN_HTTP_ANY, CONF_CUSTOM, .def = "client_body_temp",
	  .args_min = 1, .args_max = 4, .set = set_body_temp, .args = "path",
	  .doc = "The folder of bodies that are kept in files.  weir makes it." },
	{ "keepalive_timeout", IN_HTTP_ANY, CONF_CUSTOM, .def = "75s", .args_min = 1, .args_max = 2,
	  .set = set_keepalive_timeout, .args = "time [time]",
	  .doc = "How long an idle connection stays open; 0 closes it after each request.  The "
	  "second time is what a Keep-Alive field tells the client." },
	{ "keepalive_requests", IN_HTTP_ANY, CONF_INT, CONF_AT(weir_http_conf, keepalive_requests),
	  .def = "1000", .doc = "How many requests a connection may make." },
	{ "keepalive_time", IN_HTTP_ANY, CONF_MSEC, CONF_AT(weir_http_conf, keepalive_time_ms),
	  .def = "1h", .doc = "How old a connection may become." },
	{ "keepalive_min_timeout", IN_HTTP_ANY, CONF_MSEC,
	  CONF_AT(weir_http_conf, keepalive_min_ms), .def = "0",
	  .doc = "A worker that retires leaves an idle connection open for so long at least." },
	{ "keepalive_disable", IN_HTTP_ANY, CONF_BITS, CONF_AT(weir_http_conf, keepalive_disable),
	  .def = "msie6", .choices = disable_choices,
	  .doc = "Browsers with which connections are not kept open after POST (msie6) or at all "
	  "(safari)." },
	{ "lingering_close", IN_HTTP_ANY, CONF_ENUM, CONF_AT(weir_http_conf, lingering),
	  .def = "on", .choices = off_on_always,
	  .doc = "Read on for a while before a connection is closed, so that the client can read the "
	  "response: when the request has more to come, always, or never." },
	{ "lingering_time", IN_HTTP_ANY, CONF_MSEC, CONF_AT(weir_http_conf, linger_ms),
	  .def = "30s", .doc = "How long that may take." },
	{ "lingering_timeout", IN_HTTP_ANY, CONF_MSEC, CONF_AT(weir_http_conf, linger_each_ms),
	  .def = "5s", .doc = "How long to wait for more data then." },
	{ "send_timeout", IN_HTTP_ANY, CONF_MSEC, CONF_AT(weir_http_conf, send_ms), .def = "60s",
	  .doc = "How long a client may take nothing of a response." },
	{ "reset_timedout_connection", IN_HTTP_ANY, CONF_FLAG,
	  CONF_AT(weir_http_conf, reset_timedout), .def = "off",
	  .doc = "End a connection that timed out by a reset." },
	{ "tcp_nodelay", IN_HTTP_ANY, CONF_FLAG, CONF_AT(weir_http_conf, tcp_nodelay), .def = "on",
	  .doc = "Send small pieces at once." },
	{ "tcp_nopush", IN_HTTP_ANY, CONF_FLAG, CONF_AT(weir_http_conf, tcp_nopush), .def = "on",
	  .set = check_nopush, .doc = "A head and the begin of a file leave in the same packets.  weir "
	  "knows no other way, so off has no effect." },
	{ "limit_rate", IN_HTTP_ANY | IN_IF, CONF_CUSTOM, .args_min = 1, .args_max = 1,
	  .set = set_limit_rate, .args = "rate",
	  .doc = "The most bytes a second of one response, its head included; 0: any.  May contain variables." },
	{ "early_hints", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_early_hints,
	  .args = "condition", .doc = "Passes 103 responses of upstreams on to the client when the value is not empty and not 0." },
	{ "limit_rate_after", IN_HTTP_ANY | IN_IF, CONF_CUSTOM, .args_min = 1, .args_max = 1,
	  .set = set_limit_rate_after, .args = "size",
	  .doc = "How much of a response, its head included, is not limited.  May contain variables." },

	/* responses */
	{ "server_tokens", IN_HTTP_ANY, CONF_CUSTOM, .def = "on", .args_min = 1, .args_max = 1,
	  .set = set_server_tokens, .args = "on | off | build | string",
	  .doc = "What the Server field and built-in pages tell: name and version, the name only, or a "
	  "text of your own, which may contain variables; an empty one leaves the field out.  build is "
	  "the same as on, since builds of weir have no names." },
	{ "absolute_redirect", IN_HTTP_ANY, CONF_FLAG, CONF_AT(weir_http_conf, absolute_redirect),
	  .def = "on", .doc = "Are redirects absolute or relative?" },
	{ "server_name_in_redirect", IN_HTTP_ANY, CONF_FLAG,
	  CONF_AT(weir_http_conf, server_name_in_redirect), .def = "off",
	  .doc = "Redirect to the first server_name instead of the Host of the request." },
	{ "port_in_redirect", IN_HTTP_ANY, CONF_FLAG, CONF_AT(weir_http_conf, port_in_redirect),
	  .def = "on", .doc = "Name the port in redirects, unless it is the usual one." },
	{ "chunked_transfer_encoding", IN_HTTP_ANY, CONF_FLAG,
	  CONF_AT(weir_http_conf, chunked_transfer_encoding), .def = "on",
	  .doc = "Send bodies of unknown length in chunks; else the connection's end is theirs." },
	{ "error_page", IN_HTTP_ANY | IN_IF, CONF_CUSTOM, CONF_AT(weir_http_conf, error_pages),
	  .args_min = 2, .args_max = CONF_ANY, .set = conf_error_page, .flags = CONF_MULTI,
	  .args = "code ... [=[code]] uri",
	  .doc = "Where an error is sent on to, internally or, with a whole URL, by a redirect.  "
	  "=code changes the status, = leaves it to the page.  The uri may contain variables." },
	{ "recursive_error_pages", IN_HTTP_ANY, CONF_FLAG,
	  CONF_AT(weir_http_conf, recursive_error_pages), .def = "off",
	  .doc = "May an error within an error page have an error page?" },

	/* access and logs */
	{ "internal", IN_LOCATION, CONF_CUSTOM, .set = set_internal, .args = "",
	  .doc = "The location is for internal redirects; clients see 404." },
	{ "satisfy", IN_HTTP_ANY, CONF_ENUM, CONF_AT(weir_http_conf, satisfy), .def = "all",
	  .choices = satisfy_choices,
	  .doc = "Must all that control access agree, or is one enough?" },
	{ "auth_delay", IN_HTTP_ANY, CONF_MSEC, CONF_AT(weir_http_conf, auth_delay_ms), .def = "0s",
	  .doc = "Answer with 401 only after that time, so that guessing passwords is slow and how long the "
	  "check took cannot be measured." },
	{ "log_not_found", IN_HTTP_ANY, CONF_FLAG, CONF_AT(weir_http_conf, log_not_found),
	  .def = "on", .doc = "Write missing files into the error log." },
	{ "error_log", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 3,
	  .set = set_error_log, .flags = CONF_MULTI, .args = CORE_ERROR_LOG_ARGS,
	  .doc = "Where errors are logged and from which level on." },

	/* nginx's, without meaning here */
	{ "server_names_hash_bucket_size", IN_HTTP, NO_EFFECT(1) },
	{ "server_names_hash_max_size", IN_HTTP, NO_EFFECT(1) },
	{ "types_hash_bucket_size", IN_HTTP_ANY, NO_EFFECT(1) },
	{ "types_hash_max_size", IN_HTTP_ANY, NO_EFFECT(1) },
	{ "variables_hash_bucket_size", IN_HTTP, NO_EFFECT(1) },
	{ "variables_hash_max_size", IN_HTTP, NO_EFFECT(1) },
	{ "connection_pool_size", HTTP_SERVER, NO_EFFECT(1) },
	{ "request_pool_size", HTTP_SERVER, NO_EFFECT(1) },
	{ "output_buffers", IN_HTTP_ANY, NO_EFFECT(2) },
	{ "postpone_output", IN_HTTP_ANY, NO_EFFECT(1) },
	{ "subrequest_output_buffer_size", IN_HTTP_ANY, NO_EFFECT(1) },
	{ "msie_padding", IN_HTTP_ANY, NO_EFFECT(1) },
	{ "msie_refresh", IN_HTTP_ANY, NO_EFFECT(1) },
	{ "client_body_in_single_buffer", IN_HTTP_ANY, NO_EFFECT(1) },
	{ "log_subrequest", IN_HTTP_ANY, CONF_FLAG, CONF_AT(weir_http_conf, log_subrequest), .def = "off",
	  .doc = "Whether sub-requests (of auth_request, mirror, add_before_body) are logged as requests are." },
	{ "aio_write", IN_HTTP_ANY, NO_EFFECT(1) },
	{ "directio", IN_HTTP_ANY, NO_EFFECT(1) },
	{ "directio_alignment", IN_HTTP_ANY, NO_EFFECT(1) },
	{ "read_ahead", IN_HTTP_ANY, NO_EFFECT(1) },
	{ "send_lowat", IN_HTTP_ANY, NO_EFFECT(1) },
	{ 0 }
};

/* ---- the module ---- */

/* Places below http that keep bodies elsewhere. */
static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	if (scope->parent != NULL && conf_set_here(scope, &http_module, "client_body_temp_path"))
		cycle_temp_dir(cf, ((struct weir_http_conf *)conf)->body_temp_path);
	return WEIR_OK;
}

static int
start(void)
{
	const struct weir_http_conf	*top = conf_of(weir_cycle->main, &http_module);

	vars_http = top->main != NULL ? top->main->vars : NULL;
	return WEIR_OK;
}

const struct weir_module http_module = {
	.name = "http", .index = &index_, .conf_size = sizeof(struct weir_http_conf),
	.cmds = cmds, .ready = ready, .start = start,
	.doc = "HTTP: servers, locations, and what holds in them.",
};
