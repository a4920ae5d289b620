/*
 * vars_rsp.c - the variables of a response: $status, $bytes_sent, $sent_http_name...
 */
#include "core/base/num.h"
#include "http/req/sub.h"
#include "http/req/vars.h"

extern const struct weir_module http_vars_rsp_module;

static unsigned module_index;

/* ---- fields by the names that variables have ---- */

/* Field names and those of variables: '-' is '_', case does not matter. */
static bool
names_field(struct weir_str var, struct weir_str field)
{
	size_t i;

	if (var.n != field.n)
		return false;
	for (i = 0; i < var.n; i++) {
		unsigned char c = ascii_lower((unsigned char)field.p[i]);

		if (c != (unsigned char)var.p[i] && !(c == '-' && var.p[i] == '_'))
			return false;
	}
	return true;
}

static char *
append(char *to, struct weir_str s)
{
	if (s.n != 0)
		memcpy(to, s.p, s.n);
	return to + s.n;
}

int
vars_join_fields(struct weir_sess *s, const struct weir_fields *fs, struct weir_str name,
    struct weir_str *to)
{
	struct weir_str	sep = str_eq(name, STR("cookie")) ? STR("; ") : STR(", ");
	unsigned	i, found = 0, last = 0;
	size_t		n = 0;
	char		*p;

	for (i = 0; i < fs->n; i++)
		if (names_field(name, fs->v[i].name)) {
			n += fs->v[i].value.n + (found++ != 0 ? sep.n : 0);
			last = i;
		}
	if (found == 0)
		return WEIR_FAIL;
	if (found == 1)
		return give(to, fs->v[last].value);
	*to = str_of(p = pool_bytes(s->pool, n), n);
	for (i = 0; i < fs->n; i++) {
		if (!names_field(name, fs->v[i].name))
			continue;
		p = append(p, fs->v[i].value);
		if (i != last)
			p = append(p, sep);
	}
	return WEIR_OK;
}

/* ---- the response ---- */

void
req_put_status(char to[REQ_STATUS_LEN], const struct weir_req *r)
{
	int status = r->rsp.status != 0 ? r->rsp.status : r->err_status;

	to[0] = (char)('0' + status / 100 % 10);
	to[1] = (char)('0' + status / 10 % 10);
	to[2] = (char)('0' + status % 10);
}

static int
get_status(struct weir_sess *s, struct weir_str *to, const void *data)
{
	char text[REQ_STATUS_LEN];

	(void)data;
	req_put_status(text, req_of(s));
	return var_copy(s, to, text, sizeof(text));
}

uint64_t
req_sent(const struct weir_req *r)
{
	if (r->sub != NULL && r->sub->instead != NULL)
		return r->sub->instead->sent;
	return r->x != NULL ? r->x->sent : r->body_sent;
}

uint64_t
req_body_sent(const struct weir_req *r)
{
	return r->sub != NULL && r->sub->instead != NULL ? r->sub->instead->body_sent : r->body_sent;
}

static int
get_bytes_sent(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return var_u64(s, to, req_sent(req_of(s)));
}

static int
get_body_bytes_sent(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return var_u64(s, to, req_body_sent(req_of(s)));
}

static int
get_sent(struct weir_sess *s, struct weir_str *to, const void *data)
{
	return vars_join_fields(s, &req_of(s)->rsp.fields, *(const struct weir_str *)data, to);
}

static int
get_sent_trailer(struct weir_sess *s, struct weir_str *to, const void *data)
{
	return vars_join_fields(s, &req_of(s)->trailers, *(const struct weir_str *)data, to);
}

/*
 * These become fields only when the head goes out, or the codec writes them.
 */

static int
get_sent_type(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_req *r = req_of(s);

	(void)data;
	if (vars_join_fields(s, &r->rsp.fields, STR("content_type"), to) == WEIR_OK)
		return WEIR_OK;
	return give_some(to, r->content_type);
}

static int
get_sent_length(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_req *r = req_of(s);

	(void)data;
	if (r->rsp.length < 0 || r->rsp.status == 204 || r->rsp.status == 304)
		return vars_join_fields(s, &r->rsp.fields, STR("content_length"), to);
	return var_u64(s, to, (uint64_t)r->rsp.length);
}

static bool
is_kept(const struct weir_req *r)
{
	return r->keepalive && !(r->msg->flags & MSG_CLOSE) && REQ_CORE(r)->keepalive_ms != 0;
}

static int
get_sent_connection(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_req *r = req_of(s);

	(void)data;
	if (r->rsp.status == 101)
		return give(to, STR("upgrade"));
	return give(to, is_kept(r) ? STR("keep-alive") : STR("close"));
}

static int
get_sent_keep_alive(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_req	*r = req_of(s);
	uint64_t		 ms = REQ_CORE(r)->keepalive_header_ms;

	(void)data;
	if (!is_kept(r) || ms == 0)
		return WEIR_FAIL;
	*to = pool_printf(s->pool, "timeout=%llu", (unsigned long long)(ms / 1000));
	return WEIR_OK;
}

static int
get_sent_transfer_encoding(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_req	*r = req_of(s);
	int			 status = r->rsp.status;

	(void)data;
	if (r->msg->version != 0x101 || r->rsp.length >= 0 || r->msg->method_id == M_HEAD ||
	    status < 200 || status == 204 || status == 304 ||
	    !REQ_CORE(r)->chunked_transfer_encoding)
		return WEIR_FAIL;
	return give(to, STR("chunked"));
}

static int
get_limit_rate(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_req	*r = req_of(s);
	uint64_t		 rate = 0;

	(void)data;
	if (r->rate_set)
		rate = r->limit_rate;
	else if (num_size(expr_eval(s, &REQ_CORE(r)->limit_rate), &rate) != WEIR_OK)
		rate = 0;
	return var_u64(s, to, rate);
}

static int
set_limit_rate(struct weir_sess *s, struct weir_str value, const void *data)
{
	struct weir_req *r = req_of(s);
	uint64_t	 rate;

	(void)data;
	if (num_size(value, &rate) != WEIR_OK) {
		log_errorx(&s->log, "invalid $limit_rate \"%.*s\"", STR_ARG(value));
		return WEIR_FAIL;
	}
	r->limit_rate = rate;
	r->rate_set = true;
	return WEIR_OK;
}

#define V	VAR_VOLATILE

static const struct weir_var vars[] = {
	{ "status", get_status, NULL, V, NULL, "The response's status." },
	{ "bytes_sent", get_bytes_sent, NULL, V, NULL, "Bytes sent, the head included." },
	{ "body_bytes_sent", get_body_bytes_sent, NULL, V, NULL, "Bytes sent of the body." },
	{ "limit_rate", get_limit_rate, set_limit_rate, V | VAR_CHANGEABLE, NULL,
	    "The limit of the response's rate; can be set." },
	{ "sent_http_", get_sent, NULL, V | VAR_PREFIX, NULL, "The response's field of that name." },
	{ "sent_http_content_type", get_sent_type, NULL, V, NULL, "The response's Content-Type." },
	{ "sent_http_content_length", get_sent_length, NULL, V, NULL,
	    "The response's Content-Length." },
	{ "sent_http_connection", get_sent_connection, NULL, V, NULL, "The response's Connection." },
	{ "sent_http_keep_alive", get_sent_keep_alive, NULL, V, NULL, "The response's Keep-Alive." },
	{ "sent_http_transfer_encoding", get_sent_transfer_encoding, NULL, V, NULL,
	    "The response's Transfer-Encoding." },
	{ "sent_trailer_", get_sent_trailer, NULL, V | VAR_PREFIX, NULL,
	    "The response's trailer of that name." },
	{ .name = NULL }
};

const struct weir_module http_vars_rsp_module = {
	.name = "http_vars_rsp",
	.index = &module_index,
	.vars = vars,
	.doc = "Variables of responses.",
};
