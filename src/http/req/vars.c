/*
 * vars.c - the variables of a request: $uri, $args, $http_name...  Those of its response are vars_rsp.c's.
 *
 * What is a view of the request or cheap to make is volatile, so that it neither needs a place among
 * the kept values nor goes stale after a rewrite.  What must be made is made once.
 */
#include <netinet/tcp.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/os/random.h"
#include "http/req/basic.h"
#include "http/req/files.h"
#include "http/req/sub.h"
#include "http/req/vars.h"

extern const struct weir_module http_vars_module;

static unsigned module_index;

/* `data` of a variable that is a string of struct weir_req. */
#define AT(field)	((const void *)offsetof(struct weir_req, field))

/* ---- the URI and its arguments ---- */

static int
get_str(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_req *r = req_of(s);

	return give(to, *(struct weir_str *)(void *)((char *)r + (uintptr_t)data));
}

/* Of a sub-request it is the client's. */
static int
get_method(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return give(to, req_main(req_of(s))->method);
}

static int
get_args(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_req *r = req_of(s);

	(void)data;
	*to = r->uri.args;
	return r->uri.has_args ? WEIR_OK : WEIR_FAIL;
}

static bool
is_unclean(unsigned char c)
{
	return c <= ' ' || c == 0x7f;
}

struct weir_str
req_clean_args(struct weir_req *r, struct weir_str args)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t		  i, n = 0;
	char		 *p, *at;

	for (i = 0; i < args.n; i++)
		n += is_unclean((unsigned char)args.p[i]);
	if (n == 0)
		return args;
	p = at = pool_bytes(r->s.pool, args.n + 2 * n);
	for (i = 0; i < args.n; i++) {
		unsigned char c = (unsigned char)args.p[i];

		if (!is_unclean(c)) {
			*at++ = (char)c;
			continue;
		}
		*at++ = '%';
		*at++ = hex[c >> 4];
		*at++ = hex[c & 15];
	}
	return str_of(p, (size_t)(at - p));
}

static int
set_args(struct weir_sess *s, struct weir_str value, const void *data)
{
	struct weir_req *r = req_of(s);

	(void)data;
	r->uri.args = req_clean_args(r, value);
	r->uri.has_args = value.n != 0;
	r->uri.plain = false;
	r->uri_rewritten = true;
	return WEIR_OK;
}

static int
get_is_args(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_req *r = req_of(s);

	(void)data;
	return give(to, r->uri.args.n != 0 ? STR("?") : STR(""));
}

/* $arg_name: the first one, as it was sent.  Case does not matter, nor does nginx care. */
static int
get_arg(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_str	*name = data;
	struct weir_str		 rest = req_of(s)->uri.args, one;
	ssize_t			 amp;

	while (rest.n != 0) {
		amp = str_chr(rest, '&');
		one = amp < 0 ? rest : str_of(rest.p, (size_t)amp);
		rest = amp < 0 ? STR_NONE : str_from(rest, (size_t)amp + 1);
		if (one.n > name->n && one.p[name->n] == '=' && name->n != 0 &&
		    str_ieq(str_of(one.p, name->n), *name))
			return give(to, str_from(one, name->n + 1));
	}
	return WEIR_FAIL;
}

static int
get_filename(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_req *r = req_of(s);

	(void)data;
	return req_path(r, r->uri.path, to) == 0 ? WEIR_OK : WEIR_FAIL;
}

static int
get_document_root(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return give(to, req_root(req_of(s)));
}

static int
get_realpath_root(struct weir_sess *s, struct weir_str *to, const void *data)
{
	char *real = realpath(req_root(req_of(s)).p, NULL);

	(void)data;
	if (real == NULL) {
		log_crit(&s->log, "realpath() \"%s\" failed", req_root(req_of(s)).p);
		return WEIR_FAIL;
	}
	*to = pool_str(s->pool, str_c(real));
	free(real);
	return WEIR_OK;
}

/* ---- the request line and its fields ---- */

static const struct { unsigned version; struct weir_str text; } versions[] = {
	{ 0x101, { "HTTP/1.1", 8 } }, { 0x100, { "HTTP/1.0", 8 } }, { 0x200, { "HTTP/2.0", 8 } },
	{ 0x300, { "HTTP/3.0", 8 } },
};

static struct weir_str
version_text(const struct weir_req *r)
{
	unsigned i;

	for (i = 0; i < WEIR_COUNT(versions); i++)
		if (versions[i].version == r->msg->version)
			return versions[i].text;
	return STR("");
}

static int
get_protocol(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return give(to, version_text(req_of(s)));
}

static int
get_http2(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	if (req_of(s)->msg->version != 0x200)
		return give(to, STR(""));
	return give(to, conn_is_tls(s->conn) ? STR("h2") : STR("h2c"));
}

static int
get_request(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_msg *m = req_of(s)->msg;

	(void)data;
	if (m->line.n == 0 && m->method.n != 0) {
		*to = pool_printf(s->pool, "%.*s %.*s %.*s", STR_ARG(m->method), STR_ARG(m->target),
		    STR_ARG(version_text(req_of(s))));
		return WEIR_OK;
	}
	return give_some(to, m->line);
}

static int
get_request_uri(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return give_some(to, req_of(s)->msg->target);
}

static int
get_host(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_req *r = req_of(s);

	(void)data;
	if (r->host.n != 0)
		return give(to, r->host);
	return give(to, r->server != NULL ? r->server->site.name : STR(""));
}

static int
get_is_request_port(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return give(to, req_of(s)->port.n != 0 ? STR(":") : STR(""));
}

static int
get_server_name(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_req *r = req_of(s);

	(void)data;
	return give(to, r->server != NULL ? r->server->site.name : STR(""));
}

static int
get_http(struct weir_sess *s, struct weir_str *to, const void *data)
{
	return vars_join_fields(s, &req_of(s)->msg->fields, *(const struct weir_str *)data, to);
}

static int
get_http_host(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_msg	*m = req_of(s)->msg;
	const struct weir_field	*f = fields_known(&m->fields, H_HOST);

	(void)data;
	if (f != NULL)
		return give(to, f->value);
	return give_some(to, m->authority);
}

/* `data`: the name of a variable of the same value. */
static int
get_field(struct weir_sess *s, struct weir_str *to, const void *data)
{
	return vars_join_fields(s, &req_of(s)->msg->fields, str_c(data), to);
}

/* The value of one cookie in one field. */
static bool
find_cookie(struct weir_str field, struct weir_str name, struct weir_str *value)
{
	ssize_t		semi;
	struct weir_str one, rest;

	for (; field.n != 0; field = semi < 0 ? STR_NONE : str_from(field, (size_t)semi + 1)) {
		semi = str_chr(field, ';');
		one = str_trim(semi < 0 ? field : str_of(field.p, (size_t)semi));
		if (one.n <= name.n || !str_ieq(str_of(one.p, name.n), name))
			continue;
		rest = str_trim(str_from(one, name.n));
		if (rest.n == 0 || rest.p[0] != '=')
			continue;
		*value = str_trim(str_from(rest, 1));
		return true;
	}
	return false;
}

int
req_cookie(const struct weir_req *r, struct weir_str name, struct weir_str *to)
{
	const struct weir_fields *fs = &r->msg->fields;
	unsigned		  i;

	for (i = 0; i < fs->n; i++)
		if (fs->v[i].known == H_COOKIE && find_cookie(fs->v[i].value, name, to))
			return WEIR_OK;
	return WEIR_FAIL;
}

static int
get_cookie(struct weir_sess *s, struct weir_str *to, const void *data)
{
	return req_cookie(req_of(s), *(const struct weir_str *)data, to);
}

static int
get_remote_user(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_str pass;

	(void)data;
	return req_basic(req_of(s), to, &pass);
}

static int
get_content_length(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_msg *m = req_of(s)->msg;
	const struct weir_field *f = fields_known(&m->fields, H_CONTENT_LENGTH);

	(void)data;
	if (f != NULL)
		return give(to, f->value);
	if (m->length <= 0)
		return WEIR_FAIL;
	return var_u64(s, to, (uint64_t)m->length);
}

/* ---- the request as a whole ---- */

/* Made when first asked for; the same in every log, also of sub-requests. */
struct weir_str
req_id(struct weir_req *r)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t		  raw[16];
	char		 *text;
	unsigned	  i;

	while (r->parent != NULL)
		r = r->parent;
	if (r->id.n != 0)
		return r->id;
	random_bytes(raw, sizeof(raw));
	text = pool_bytes(r->s.pool, 2 * sizeof(raw));
	for (i = 0; i < sizeof(raw); i++) {
		text[2 * i] = hex[raw[i] >> 4];
		text[2 * i + 1] = hex[raw[i] & 15];
	}
	return r->id = str_of(text, 2 * sizeof(raw));
}

static int
get_request_id(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return give(to, req_id(req_of(s)));
}

uint64_t
req_length(const struct weir_req *r)
{
	if (r->sub != NULL && r->sub->instead != NULL)
		return r->sub->instead->length;
	return r->msg->size + (r->x != NULL ? r->x->received : 0);
}

static int
get_request_length(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return var_u64(s, to, req_length(req_of(s)));
}

static int
get_request_time(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return var_seconds(s, to, weir_now_ms - s->began_ms);
}

static int
get_completion(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_req *r = req_of(s);

	(void)data;
	if (r->sub != NULL && r->sub->instead != NULL)
		return give(to, r->sub->instead->whole ? STR("OK") : STR(""));
	return give(to, r->body_whole ? STR("OK") : STR(""));
}

static int
get_pipe(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_req *r = req_of(s);

	(void)data;
	return give(to, r->x != NULL && r->x->piped ? STR("p") : STR("."));
}

static int
get_connection_requests(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_req *r = req_of(s);

	(void)data;
	if (r->x == NULL)
		return WEIR_FAIL;
	return var_u64(s, to, r->x->number);
}

static int
get_request_body(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_req_body *b = req_of(s)->req_body;
	char			   *p;

	(void)data;
	if (b == NULL || !b->complete || b->file != NULL || b->len == 0)
		return WEIR_FAIL;
	p = pool_bytes(s->pool, (size_t)b->len);
	return give(to, str_of(p, bufq_peek(&b->q, 0, p, (size_t)b->len)));
}

static int
get_request_body_file(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_req_body *b = req_of(s)->req_body;

	(void)data;
	return b != NULL && b->complete ? give_some(to, b->path) : WEIR_FAIL;
}

enum { TCP_RTT, TCP_RTTVAR, TCP_SND_CWND, TCP_RCV_SPACE };

static int
get_tcpinfo(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct tcp_info	info;
	socklen_t	n = sizeof(info);
	uint32_t	v;

	if (s->conn->tcp.ev.fd < 0 ||
	    getsockopt(s->conn->tcp.ev.fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0)
		return WEIR_FAIL;
	switch ((uintptr_t)data) {
	case TCP_RTT:		v = info.tcpi_rtt; break;
	case TCP_RTTVAR:	v = info.tcpi_rttvar; break;
	case TCP_SND_CWND:	v = info.tcpi_snd_cwnd; break;
	default:		v = info.tcpi_rcv_space; break;
	}
	return var_u64(s, to, v);
}

static int
get_scheme(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return give(to, conn_is_tls(s->conn) ? STR("https") : STR("http"));
}

static int
get_https(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return give(to, conn_is_tls(s->conn) ? STR("on") : STR(""));
}

#define V	VAR_VOLATILE
#define TCP(n)	((const void *)(uintptr_t)(n))

static const struct weir_var vars[] = {
	{ "uri", get_str, NULL, V, AT(uri.path), "The path, decoded and normalised, as it is now." },
	{ "document_uri", get_str, NULL, V, AT(uri.path), "The same as $uri." },
	{ "args", get_args, set_args, V | VAR_CHANGEABLE, NULL, "The arguments, behind the \"?\"." },
	{ "query_string", get_args, NULL, V, NULL, "The same as $args." },
	{ "is_args", get_is_args, NULL, V, NULL, "\"?\" when there are arguments, else empty." },
	{ "arg_", get_arg, NULL, V | VAR_PREFIX, NULL, "The first argument of that name." },
	{ "request_filename", get_filename, NULL, V, NULL,
	    "The file that the URI means by root or alias." },
	{ "document_root", get_document_root, NULL, V, NULL, "The value of root or alias." },
	{ "realpath_root", get_realpath_root, NULL, V, NULL,
	    "The same with symbolic links followed." },

	{ "request", get_request, NULL, V, NULL, "The request line as received." },
	{ "request_method", get_method, NULL, V, NULL, "The method." },
	{ "request_uri", get_request_uri, NULL, V, NULL, "Path and arguments as received." },
	{ "http2", get_http2, NULL, V, NULL, "h2 for HTTP/2 over TLS, h2c for HTTP/2 without; else empty." },
	{ "server_protocol", get_protocol, NULL, V, NULL, "HTTP/1.0, HTTP/1.1, HTTP/2.0, HTTP/3.0." },
	{ "scheme", get_scheme, NULL, V, NULL, "http or https." },
	{ "https", get_https, NULL, V, NULL, "\"on\" over TLS, else empty." },
	{ "host", get_host, NULL, V, NULL,
	    "The host that was asked for, lower case, without port; else the server's name." },
	{ "request_port", get_str, NULL, V, AT(port), "The port in the request's host." },
	{ "is_request_port", get_is_request_port, NULL, V, NULL,
	    "\":\" when the request's host has a port, else empty." },
	{ "server_name", get_server_name, NULL, V, NULL, "The first name of the server." },
	{ "http_", get_http, NULL, V | VAR_PREFIX, NULL,
	    "The request's field of that name; several are joined by \", \", cookies by \"; \"." },
	{ "http_host", get_http_host, NULL, V, NULL, "The Host field as received." },
	{ "cookie_", get_cookie, NULL, V | VAR_PREFIX, NULL, "The cookie of that name." },
	{ "content_type", get_field, NULL, V, "content_type", "The request's Content-Type." },
	{ "content_length", get_content_length, NULL, V, NULL, "The request's Content-Length." },
	{ "remote_user", get_remote_user, NULL, V, NULL, "The name sent by Basic authentication." },

	{ "request_id", get_request_id, NULL, 0, NULL, "32 random hexadecimal digits." },
	{ "request_length", get_request_length, NULL, V, NULL,
	    "Bytes of the request: line, fields and body." },
	{ "request_time", get_request_time, NULL, V, NULL,
	    "Time since the request began, in seconds with milliseconds." },
	{ "request_completion", get_completion, NULL, V, NULL,
	    "\"OK\" when the response went out whole, else empty." },
	{ "request_body", get_request_body, NULL, V, NULL,
	    "The body, when it was kept in memory." },
	{ "request_body_file", get_request_body_file, NULL, V, NULL,
	    "The name of the file with the body." },
	{ "pipe", get_pipe, NULL, V, NULL, "\"p\" when the request was pipelined, else \".\"." },
	{ "connection_requests", get_connection_requests, NULL, V, NULL,
	    "How many requests the connection has made." },
	{ "tcpinfo_rtt", get_tcpinfo, NULL, V, TCP(TCP_RTT), "The connection's round trip, us." },
	{ "tcpinfo_rttvar", get_tcpinfo, NULL, V, TCP(TCP_RTTVAR), "How much it varies, us." },
	{ "tcpinfo_snd_cwnd", get_tcpinfo, NULL, V, TCP(TCP_SND_CWND), "Congestion window." },
	{ "tcpinfo_rcv_space", get_tcpinfo, NULL, V, TCP(TCP_RCV_SPACE), "Receive space." },
	{ .name = NULL }
};

const struct weir_module http_vars_module = {
	.name = "http_vars",
	.index = &module_index,
	.vars = vars,
	.doc = "Variables of requests.",
};
