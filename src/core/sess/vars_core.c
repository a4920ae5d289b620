/*
 * vars_core.c - the variables that every session has: addresses, times, the process.
 */
#include <unistd.h>

#include "config.h"
#include "core/base/clock.h"
#include "core/net/proxy_protocol.h"
#include "core/sess/var.h"

extern const struct weir_module sess_module;

static unsigned module_index;

static int
put_ip(struct weir_sess *s, struct weir_str *to, const struct weir_addr *a)
{
	char buf[ADDR_TEXT_MAX];

	return var_copy(s, to, buf, addr_put_ip(buf, a));
}

/* Empty for a unix socket. */
static int
put_port(struct weir_sess *s, struct weir_str *to, const struct weir_addr *a)
{
	unsigned port = addr_port(a);

	if (port != 0)
		return var_u64(s, to, port);
	*to = STR("");
	return WEIR_OK;
}

static int
remote_addr(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return put_ip(s, to, s->peer);
}

static int
remote_port(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return put_port(s, to, s->peer);
}

static int
binary_remote_addr(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	*to = addr_bytes(s->peer);
	return WEIR_OK;
}

static int
server_addr(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_addr	 own;
	const struct weir_addr	*a = conn_local(s->conn, &own);

	(void)data;
	/* The path of a unix socket is the listener's. */
	if (a->sa.sa_family == AF_UNIX && s->conn->from != NULL)
		a = &s->conn->from->addr;
	return put_ip(s, to, a);
}

static int
server_port(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_addr a;

	(void)data;
	return put_port(s, to, conn_local(s->conn, &a));
}

static int
wanted_addr(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_addr a;

	(void)data;
	return conn_wanted(s->conn, &a) ? put_ip(s, to, &a) : WEIR_FAIL;
}

static int
wanted_port(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_addr a;

	(void)data;
	return conn_wanted(s->conn, &a) ? put_port(s, to, &a) : WEIR_FAIL;
}

/* What a PROXY header said; `data` tells the source from the destination. */

static const char is_src, is_dst;

static int
proxied_addr(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_proxied	*p = s->conn->proxied;
	struct weir_str			 text;

	if (p == NULL)
		return WEIR_FAIL;
	text = data == &is_src ? p->src_text : p->dst_text;
	if (text.n != 0)
		return var_copy(s, to, text.p, text.n);
	return put_ip(s, to, data == &is_src ? &p->src : &p->dst);
}

static int
proxied_port(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_proxied *p = s->conn->proxied;

	return p == NULL ? WEIR_FAIL : put_port(s, to, data == &is_src ? &p->src : &p->dst);
}

static int
proxied_value(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_str	*name = data;
	int			 rc;

	if (s->conn->proxied == NULL)
		return WEIR_FAIL;
	rc = proxied_tlv(s->conn->proxied, s->pool, *name, to);
	if (rc == WEIR_FAIL)
		log_errorx(&s->log, "unknown PROXY protocol TLV \"%.*s\"", STR_ARG(*name));
	return rc == WEIR_OK ? WEIR_OK : WEIR_FAIL;
}

static int
connection(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return var_u64(s, to, s->conn->id);
}

static int
connection_time(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return var_seconds(s, to, weir_now_ms - s->conn->began_ms);
}

static int
msec(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return var_seconds(s, to, weir_wall_ms);
}

static int
time_local(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	*to = pool_str(s->pool, clock_log_time());
	return WEIR_OK;
}

static int
time_iso8601(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	*to = pool_str(s->pool, clock_iso8601());
	return WEIR_OK;
}

static int
pid(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return var_u64(s, to, (uint64_t)getpid());
}

static int
hostname(struct weir_sess *s, struct weir_str *to, const void *data)
{
	static char	name[256];	/* asked once in the life of the process */
	(void)s, (void)data;

	if (name[0] == '\0' && gethostname(name, sizeof(name) - 1) != 0)
		return WEIR_FAIL;
	*to = str_c(name);
	return WEIR_OK;
}

static int
version(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)s, (void)data;
	*to = STR(WEIR_VERSION);
	return WEIR_OK;
}

static const struct weir_var vars[] = {
	{ "remote_addr", remote_addr, NULL, VAR_STREAM, NULL,
	    "The client's address, without port; \"unix:\" for a unix socket." },
	{ "remote_port", remote_port, NULL, VAR_STREAM, NULL, "The client's port." },
	{ "binary_remote_addr", binary_remote_addr, NULL, VAR_STREAM | VAR_VOLATILE, NULL,
	    "The client's address as 4 or 16 bytes: a short key for limits." },
	{ "server_addr", server_addr, NULL, VAR_STREAM, NULL,
	    "The address that the client connected to." },
	{ "server_port", server_port, NULL, VAR_STREAM, NULL,
	    "The port that the client connected to." },
	{ "redirected_addr", wanted_addr, NULL, VAR_STREAM, NULL,
	    "The address that the client wanted to connect to, when the kernel changed it (REDIRECT or DNAT); else empty." },
	{ "redirected_port", wanted_port, NULL, VAR_STREAM, NULL,
	    "The port of redirected_addr." },
	{ "proxy_protocol_addr", proxied_addr, NULL, VAR_STREAM, &is_src,
	    "The client's address as a PROXY header says it; empty without one." },
	{ "proxy_protocol_port", proxied_port, NULL, VAR_STREAM, &is_src,
	    "The client's port as a PROXY header says it." },
	{ "proxy_protocol_server_addr", proxied_addr, NULL, VAR_STREAM, &is_dst,
	    "The address that the client connected to, as a PROXY header says it." },
	{ "proxy_protocol_server_port", proxied_port, NULL, VAR_STREAM, &is_dst,
	    "The port that the client connected to, as a PROXY header says it." },
	{ "proxy_protocol_tlv_", proxied_value, NULL, VAR_STREAM | VAR_PREFIX, NULL,
	    "A value in a PROXY header of version 2: alpn, authority, unique_id, ssl, netns, "
	    "ssl_version, ssl_cn, ssl_cipher, ssl_sig_alg, ssl_key_alg, ssl_verify, or by number, "
	    "0xEA or ssl_0x21." },
	{ "connection", connection, NULL, VAR_STREAM, NULL, "The number of the connection." },
	{ "connection_time", connection_time, NULL, VAR_STREAM | VAR_VOLATILE, NULL,
	    "How old the connection is, in seconds with milliseconds." },
	{ "msec", msec, NULL, VAR_STREAM | VAR_VOLATILE, NULL,
	    "Seconds since 1970, with milliseconds." },
	{ "time_local", time_local, NULL, VAR_STREAM | VAR_VOLATILE, NULL,
	    "Local time as in the combined log format." },
	{ "time_iso8601", time_iso8601, NULL, VAR_STREAM | VAR_VOLATILE, NULL,
	    "Local time as ISO 8601 has it." },
	{ "pid", pid, NULL, VAR_STREAM, NULL, "The number of the worker process." },
	{ "hostname", hostname, NULL, VAR_STREAM | VAR_VOLATILE, NULL, "The name of the machine." },
	{ "weir_version", version, NULL, VAR_STREAM | VAR_VOLATILE, NULL, "The version of weir." },
	{ "nginx_version", version, NULL, VAR_STREAM | VAR_VOLATILE, NULL,
	    "The version of weir, for configurations that were written for nginx." },
	{ .name = NULL }
};

const struct weir_module sess_module = {
	.name = "sess",
	.index = &module_index,
	.vars = vars,
	.doc = "Variables that every session has.",
};
