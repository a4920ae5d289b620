/*
 * vars.c - $upstream_* and the other variables of a proxied request.
 *
 * With several attempts the values are joined as nginx does: "a, b" for peers that were tried one
 * after the other.
 */
#include "core/base/num.h"
#include "http/up/up.h"

static struct weir_req *
request(struct weir_sess *s)
{
	return req_of(s);
}

typedef char *(*put_fn)(char *, const struct weir_up_attempt *);

/* Each attempt's value by `put`, which needs at most `each` bytes. */
static int
join(struct weir_sess *s, struct weir_str *to, put_fn put, size_t each)
{
	struct weir_up *u = request(s)->up;
	char *begin, *p;

	if (u == NULL || u->attempts.n == 0)
		return WEIR_FAIL;
	for (unsigned i = 0; i < u->attempts.n; i++)
		each = WEIR_MAX(each, u->attempts.v[i].addr.n);
	begin = p = pool_bytes(s->pool, u->attempts.n * (each + 2));
	for (unsigned i = 0; i < u->attempts.n; i++) {
		if (i != 0) {
			*p++ = ',';
			*p++ = ' ';
		}
		p = put(p, &u->attempts.v[i]);
	}
	*to = str_of(begin, (size_t)(p - begin));
	return WEIR_OK;
}

static char *
put_secs(char *p, uint64_t ms)
{
	if (ms == UINT64_MAX) {
		*p++ = '-';
		return p;
	}
	p = num_put(p, ms / 1000);
	*p++ = '.';
	*p++ = (char)('0' + ms / 100 % 10);
	*p++ = (char)('0' + ms / 10 % 10);
	*p++ = (char)('0' + ms % 10);
	return p;
}

static char *
put_addr(char *p, const struct weir_up_attempt *a)
{
	return (char *)mempcpy(p, a->addr.p, a->addr.n);
}

static char *
put_status(char *p, const struct weir_up_attempt *a)
{
	if (a->status != 0)
		return num_put(p, (uint64_t)a->status);
	*p++ = '-';
	return p;
}

static char *
put_queue(char *p, const struct weir_up_attempt *a)
{
	return put_secs(p, a->queue_ms);
}

static char *
put_connect(char *p, const struct weir_up_attempt *a)
{
	return put_secs(p, a->connect_ms);
}

static char *
put_header(char *p, const struct weir_up_attempt *a)
{
	return put_secs(p, a->header_ms);
}

static char *
put_response(char *p, const struct weir_up_attempt *a)
{
	return put_secs(p, a->response_ms);
}

static char *
put_length(char *p, const struct weir_up_attempt *a)
{
	return num_put(p, a->length);
}

static char *
put_received(char *p, const struct weir_up_attempt *a)
{
	return num_put(p, a->received);
}

static char *
put_sent(char *p, const struct weir_up_attempt *a)
{
	return num_put(p, a->sent);
}

/* What an attempt's entry is made with. */
static const struct weir_attempt_var { put_fn put; } v_addr = { put_addr }, v_status = { put_status },
	v_queue = { put_queue }, v_connect = { put_connect }, v_header = { put_header }, v_response = { put_response },
	v_length = { put_length }, v_received = { put_received }, v_sent = { put_sent };

static int
get_joined(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_attempt_var *v = data;

	return join(s, to, v->put, NUM_MAX + 4);
}

static bool
same_name(struct weir_str field, struct weir_str var)
{
	if (field.n != var.n)
		return false;
	for (size_t i = 0; i < var.n; i++) {
		unsigned char c = ascii_lower((unsigned char)field.p[i]);

		if ((c == '-' ? '_' : c) != ascii_lower((unsigned char)var.p[i]))
			return false;
	}
	return true;
}

static int
from_fields(struct weir_sess *s, const struct weir_fields *fs, struct weir_str name, struct weir_str *to)
{
	struct weir_field *first = NULL;

	for (unsigned i = 0; i < fs->n && first == NULL; i++)
		if (same_name(fs->v[i].name, name))
			first = &fs->v[i];
	if (first == NULL)
		return WEIR_FAIL;
	*to = fields_join(fs, s->pool, first->name, ", ");
	return WEIR_OK;
}

static int
get_http(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_up *u = request(s)->up;

	if (u == NULL || u->rsp == NULL)
		return WEIR_FAIL;
	return from_fields(s, &u->rsp->fields, *(const struct weir_str *)data, to);
}

static int
get_trailer(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_up *u = request(s)->up;

	if (u == NULL || u->rsp == NULL)
		return WEIR_FAIL;
	return from_fields(s, &u->rsp->trailers, *(const struct weir_str *)data, to);
}

static int
get_cookie(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_up *u = request(s)->up;
	const struct weir_str *name = data;

	if (u == NULL || u->rsp == NULL)
		return WEIR_FAIL;
	for (unsigned i = 0; i < u->rsp->fields.n; i++) {
		const struct weir_field *f = &u->rsp->fields.v[i];
		struct weir_str v = f->value;
		ssize_t end;

		/* The names of variables know no case. */
		if (f->known != H_SET_COOKIE || !str_ibegins(v, *name))
			continue;
		v = str_trim(str_from(v, name->n));
		if (v.n == 0 || v.p[0] != '=')
			continue;
		v = str_trim(str_from(v, 1));
		end = str_chr(v, ';');
		*to = end >= 0 ? str_of(v.p, (size_t)end) : v;
		return WEIR_OK;
	}
	return WEIR_FAIL;
}

static int
get_proxy_host(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	if (request(s)->proxy_host.n == 0)
		return WEIR_FAIL;
	*to = request(s)->proxy_host;
	return WEIR_OK;
}

static int
get_proxy_port(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_str host = request(s)->proxy_host;
	ssize_t colon = str_rchr(host, ':');
	ssize_t bracket = str_rchr(host, ']');

	(void)data;
	if (host.n == 0)
		return WEIR_FAIL;
	*to = colon > bracket && !str_begins(host, STR("unix:")) ? str_from(host, (size_t)colon + 1) : STR("80");
	return WEIR_OK;
}

static int
get_forwarded_for(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_req *r = request(s);
	struct weir_str had = fields_join(&r->msg->fields, s->pool, STR("X-Forwarded-For"), ", ");
	char addr[ADDR_TEXT_MAX];
	size_t n = addr_put_ip(addr, s->peer);

	(void)data;
	*to = had.n != 0 ? pool_printf(s->pool, "%.*s, %.*s", STR_ARG(had), (int)n, addr)
	    : pool_str(s->pool, str_of(addr, n));
	return WEIR_OK;
}

static const struct weir_var vars[] = {
	{ "upstream_addr", get_joined, .flags = VAR_VOLATILE, .data = &v_addr,
	  .doc = "The addresses that were asked, in order." },
	{ "upstream_status", get_joined, .flags = VAR_VOLATILE, .data = &v_status,
	  .doc = "The status that each of them gave." },
	{ "upstream_queue_time", get_joined, .flags = VAR_VOLATILE, .data = &v_queue,
	  .doc = "Seconds that the request waited for a server." },
	{ "upstream_connect_time", get_joined, .flags = VAR_VOLATILE, .data = &v_connect,
	  .doc = "Seconds until the connection stood." },
	{ "upstream_header_time", get_joined, .flags = VAR_VOLATILE, .data = &v_header,
	  .doc = "Seconds until the response's head had come." },
	{ "upstream_response_time", get_joined, .flags = VAR_VOLATILE, .data = &v_response,
	  .doc = "Seconds until the response had come." },
	{ "upstream_response_length", get_joined, .flags = VAR_VOLATILE, .data = &v_length,
	  .doc = "Bytes of the response's body." },
	{ "upstream_bytes_received", get_joined, .flags = VAR_VOLATILE, .data = &v_received,
	  .doc = "Bytes received from the upstream." },
	{ "upstream_bytes_sent", get_joined, .flags = VAR_VOLATILE, .data = &v_sent,
	  .doc = "Bytes sent to the upstream." },
	{ "upstream_http_", get_http, .flags = VAR_PREFIX | VAR_VOLATILE,
	  .doc = "A field of the upstream's response." },
	{ "upstream_trailer_", get_trailer, .flags = VAR_PREFIX | VAR_VOLATILE,
	  .doc = "A trailer field of the upstream's response." },
	{ "upstream_cookie_", get_cookie, .flags = VAR_PREFIX | VAR_VOLATILE,
	  .doc = "A cookie that the upstream's response sets." },
	{ "proxy_host", get_proxy_host, .flags = VAR_VOLATILE,
	  .doc = "Host and port of the upstream, as proxy_pass says it." },
	{ "proxy_port", get_proxy_port, .flags = VAR_VOLATILE,
	  .doc = "The port of the upstream, as proxy_pass says it." },
	{ "proxy_add_x_forwarded_for", get_forwarded_for, .flags = VAR_VOLATILE,
	  .doc = "X-Forwarded-For of the request with the client's address appended." },
	{ 0 }
};

static unsigned index_;

const struct weir_module upstream_vars_module = {
	.name = "upstream_vars", .index = &index_, .vars = vars,
	.doc = "Variables about upstreams.",
};
