/*
 * log.c - the access logs of http and stream: what only their sessions know; the rest is core/sess/alog.h.
 */
#include "config.h"
#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/sess/alog.h"
#include "http/req/files.h"
#include "http/req/vars.h"

extern const struct weir_module log_module;

struct log_conf {
	struct weir_alogs	 logs;
	struct weir_alog_cache	*cache;
	struct weir_alog_all	*all, *stream_all;
};

static unsigned module_index;

/* ---- what is written without being made first ---- */

static char *
put_status(struct weir_sess *s, char *to)
{
	req_put_status(to, req_of(s));
	return to + REQ_STATUS_LEN;
}

static char *
put_bytes_sent(struct weir_sess *s, char *to)
{
	return num_put(to, req_sent(req_of(s)));
}

static char *
put_body_bytes_sent(struct weir_sess *s, char *to)
{
	return num_put(to, req_body_sent(req_of(s)));
}

static char *
put_request_length(struct weir_sess *s, char *to)
{
	return num_put(to, req_length(req_of(s)));
}

static char *
put_request_time(struct weir_sess *s, char *to)
{
	return put_seconds(to, weir_now_ms - s->began_ms);
}

static const struct weir_format_direct direct[] = {
	{ "status", REQ_STATUS_LEN, put_status },
	{ "body_bytes_sent", NUM_MAX, put_body_bytes_sent },
	{ "bytes_sent", NUM_MAX, put_bytes_sent },
	{ "request_length", NUM_MAX, put_request_length },
	{ "request_time", NUM_MAX + 4, put_request_time },
	{ NULL, 0, NULL }
};

/* ---- files with variables in their names ---- */

static void
makes_in(struct weir_conf *cf, struct weir_str folder)
{
	cycle_needs_dir(cf, folder, true);
}

static struct weir_str
wants(struct weir_sess *s)
{
	return req_root(req_of(s));
}

static int
open_log(struct weir_sess *s, struct weir_str path)
{
	return req_open_log(req_of(s), path);
}

static int
is_folder(struct weir_sess *s, struct weir_str path)
{
	struct stat st;

	if (req_stat(req_of(s), path, &st) != WEIR_OK)
		return WEIR_FAIL;
	errno = ENOTDIR;
	return S_ISDIR(st.st_mode) ? WEIR_OK : WEIR_FAIL;
}

/* What disable_symlinks allows in one place it may forbid in another. */
static bool
may_share(struct weir_sess *s)
{
	return REQ_CORE(req_of(s))->symlinks == SYMLINKS_ALL;
}

static const struct weir_alog_kind kind = {
	.direct = direct,
	.combined = "$remote_addr - $remote_user [$time_local] \"$request\" $status "
	    "$body_bytes_sent \"$http_referer\" \"$http_user_agent\"",
	.json = "{\"time\":\"$time_iso8601\",\"request_id\":\"$request_id\",\"remote_addr\":\"$remote_addr\","
	    "\"remote_user\":\"$remote_user\",\"method\":\"$request_method\",\"scheme\":\"$scheme\",\"host\":\"$host\","
	    "\"uri\":\"$request_uri\",\"protocol\":\"$server_protocol\",\"status\":$status,"
	    "\"request_length\":$request_length,\"bytes_sent\":$bytes_sent,\"body_bytes_sent\":$body_bytes_sent,"
	    "\"request_time\":$request_time,\"referer\":\"$http_referer\",\"user_agent\":\"$http_user_agent\","
	    "\"ssl_protocol\":\"$ssl_protocol\",\"ssl_cipher\":\"$ssl_cipher\",\"ssl_curve\":\"$ssl_curve\","
	    "\"upstream_addr\":\"$upstream_addr\",\"upstream_status\":\"$upstream_status\","
	    "\"upstream_response_time\":\"$upstream_response_time\"}",
	.makes_in = makes_in,
	.wants = wants,
	.open = open_log,
	.is_folder = is_folder,
	.may_share = may_share,
};

/* ---- connections of stream ---- */

static struct weir_str
wants_nothing(struct weir_sess *s)
{
	(void)s;
	return STR_NONE;
}

static int
open_any(struct weir_sess *s, struct weir_str path)
{
	(void)s;
	return log_open(path.p);
}

static int
is_any_folder(struct weir_sess *s, struct weir_str path)
{
	struct stat st;

	(void)s;
	if (stat(path.p, &st) != 0)
		return WEIR_FAIL;
	errno = ENOTDIR;
	return S_ISDIR(st.st_mode) ? WEIR_OK : WEIR_FAIL;
}

static bool
may_always_share(struct weir_sess *s)
{
	(void)s;
	return true;
}

static const struct weir_alog_kind stream_kind = {
	.json = "{\"time\":\"$time_iso8601\",\"remote_addr\":\"$remote_addr\",\"remote_port\":\"$remote_port\","
	    "\"server_addr\":\"$server_addr\",\"server_port\":\"$server_port\",\"protocol\":\"$protocol\","
	    "\"status\":$status,\"close_reason\":\"$close_reason\",\"bytes_received\":$bytes_received,"
	    "\"bytes_sent\":$bytes_sent,\"session_time\":$session_time,\"ssl_protocol\":\"$ssl_protocol\","
	    "\"ssl_cipher\":\"$ssl_cipher\",\"upstream_addr\":\"$upstream_addr\","
	    "\"upstream_connect_time\":\"$upstream_connect_time\"}",
	.makes_in = makes_in,
	.wants = wants_nothing,
	.open = open_any,
	.is_folder = is_any_folder,
	.may_share = may_always_share,
};

/* ---- the module ---- */

static enum weir_next
on_log(struct weir_sess *s)
{
	const struct log_conf *c = SESS_CONF(s, module_index);

	alog_write(s, &c->logs, c->cache);
	return WEIR_NEXT;
}

static struct weir_alog_all *
all_of(const struct weir_scope *scope, const struct log_conf *c)
{
	return scope->in & IN_STREAM_ANY ? c->stream_all : c->all;
}

static int
set_log_format(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	return alog_set_format(cf, node, all_of(scope, conf));
}

static int
set_access_log(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct log_conf *c = conf;

	return alog_set(cf, node, all_of(scope, c), &c->logs);
}

static int
set_cache(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return alog_set_cache(cf, node, &((struct log_conf *)conf)->cache);
}

/*
 * Where http{} says nothing, it is as if it had said so: then the default is read by the
 * same rules, and a mistake in it is shown with a place.
 */
static void
add_default(struct weir_conf *cf, struct weir_node *http)
{
	struct weir_node	**at, *n;
	static const char *const  words[] = { "access_log", WEIR_HTTP_LOG_PATH, "combined" };
	unsigned		  i;

	for (at = &http->child; *at != NULL; at = &(*at)->next)
		if (str_eq((*at)->w[0].s, STR("access_log")))
			return;
	n = pool_alloc(cf->pool, sizeof(*n));
	*n = *http;
	n->next = n->child = NULL;
	n->block = false;
	n->n = WEIR_COUNT(words);
	n->w = pool_alloc(cf->pool, sizeof(words) / sizeof(words[0]) * sizeof(*n->w));
	for (i = 0; i < n->n; i++) {
		n->w[i] = http->w[0];
		n->w[i].s = str_c(words[i]);
	}
	*at = n;
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct log_conf		*c = conf;
	struct weir_node	*n;

	if (scope->parent != NULL)
		return WEIR_OK;
	c->all = alog_new(cf->pool, &kind);
	c->stream_all = alog_new(cf->pool, &stream_kind);
	for (n = cf->root->child; n != NULL; n = n->next)
		if (str_eq(n->w[0].s, STR("http")) && n->block)
			add_default(cf, n);
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "log_format", IN_HTTP | IN_STREAM, CONF_CUSTOM, .args_min = 2, .args_max = CONF_ANY,
	  .set = set_log_format, .flags = CONF_MULTI, .args = ALOG_FORMAT_ARGS,
	  .doc = "Name a format for access_log: a text with variables; several strings are put "
	  "together.  escape=default writes control characters, bytes above 126, quotes and backslashes "
	  "as \\xHH and \"-\" where there is no value; json what a JSON string may hold, and nothing where "
	  "there is no value; none all but line ends as it is.  Two formats are there from the beginning: \"combined\", and "
	  "\"json\", an object with the request, what it cost, what TLS was agreed on and the upstream, which may be defined "
	  "anew before it is used; in stream there is \"json\" only, about the connection.  Of a value, the first 8192 bytes are "
	  "logged and \"...\" marks the cut." },
	{ "access_log", IN_HTTP_ANY | IN_IF | IN_LIMIT | IN_STREAM_ANY, CONF_CUSTOM, CONF_AT(log_conf, logs),
	  .args_min = 1, .args_max = CONF_ANY, .set = set_access_log, .flags = CONF_MULTI,
	  .args = ALOG_ARGS,
	  .doc = "Log each request, in stream each connection, into a file, in the format \"combined\" unless another is named, which in "
	  "stream one must be; in http logs/access.log unless said otherwise, in stream nowhere.  Several may stand in one block.  With a buffer "
	  "lines are written when it is full, when the flush time has passed, on USR1 and at exit.  With gzip "
	  "(level 1 to 9; 1) each buffer (64k) is written as a member of a gzip file.  "
	  "Nothing is logged when the condition is empty or \"0\".  off: none of them.  "
	  "The path may have variables: then workers open the file for each record (open_log_file_cache keeps it "
	  "open), in the folder before the first variable, in which their user must be able to make files; "
	  "names that lead out of it are refused, and the request's root must exist.  "
	  "syslog:server=address,facility=local7,severity=info,tag=nginx,nohostname sends each line to a syslog "
	  "server, by default at port 514; the address may be unix:/path." },
	{ "open_log_file_cache", IN_HTTP_ANY | IN_STREAM_ANY, CONF_CUSTOM, CONF_AT(log_conf, cache),
	  .args_min = 1, .args_max = 4, .set = set_cache, .args = ALOG_CACHE_ARGS,
	  .doc = "Keep up to max access logs whose names have variables open in each worker: those that were "
	  "used min_uses times (1), until they were not used for inactive (10s).  Every valid (60s) it is "
	  "looked whether the file is still there under its name.  USR1 closes all of them.  off: they are opened "
	  "for each record." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return ((const struct log_conf *)conf)->logs.off || ((const struct log_conf *)conf)->logs.first == NULL;
}

static const struct weir_hook hooks[] = { { ON_LOG, on_log, idle }, { .fn = NULL } };

const struct weir_module log_module = {
	.name = "log", .index = &module_index, .conf_size = sizeof(struct log_conf),
	.cmds = cmds, .ready = ready, .hooks = hooks, .stream_too = true, .stop = log_flush,
	.doc = "Access logs in any format.",
};
