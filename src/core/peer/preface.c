/*
 * preface.c - the PROXY header that an upstream gets: from what the configuration and the session say.
 */
#include "core/peer/preface.h"
#include "core/tls/tls.h"

enum {
	V1 = 1,
	V2 = 2,
	TLV_CRC32C	= 0x03,
	TLV_SSL		= 0x20,
	SSL_VERSION	= 0x21,
	SSL_CN		= 0x22,
	SSL_CIPHER	= 0x23,
	/* what the client did */
	CLIENT_SSL	= 1,
	CLIENT_CERT_CONN = 2,		/* its certificate came in this connection */
	CLIENT_CERT_SESS = 4,		/* or in an earlier one of the session */
	SSL_HEAD	= 5
};

const struct weir_choice preface_versions[] = {
	{ "off", 0 }, { "on", V1 }, { "v1", V1 }, { "v2", V2 }, { NULL, 0 }
};

/* ---- what is said ---- */

/* One that says nothing is left out; no room is seen by whoever puts the header together. */
static void
put_part(char *to, size_t *n, size_t room, unsigned type, struct weir_str value)
{
	const struct weir_proxy_tlv t = { type, value };

	if (value.n != 0 && proxy_put_tlv(to, n, room, &t) != WEIR_OK)
		*n = room;
}

/* Of a connection by TLS (proxy-protocol.txt, 2.2.6). */
static struct weir_str
ssl_value(struct weir_sess *s)
{
	struct weir_conn *c = s->conn;
	bool certified = tls_client_certified(c);
	char *to = pool_bytes(s->pool, PROXY_V2_MAX);
	size_t n = SSL_HEAD;

	to[0] = CLIENT_SSL | (certified ? CLIENT_CERT_SESS : 0) |
	    (certified && !tls_resumed(c) ? CLIENT_CERT_CONN : 0);
	memset(to + 1, 0, 4);
	to[4] = !certified || tls_client_fault(c) != NULL;	/* 0 means: it was shown, and is good */
	put_part(to, &n, PROXY_V2_MAX, SSL_VERSION, str_c(tls_protocol(c)));
	put_part(to, &n, PROXY_V2_MAX, SSL_CIPHER, str_c(tls_cipher(c)));
	put_part(to, &n, PROXY_V2_MAX, SSL_CN, tls_client_cn(c, s->pool));
	return str_of(to, n);
}

static void
collect(struct weir_sess *s, const struct weir_preface_conf *c, struct weir_proxy_say *say)
{
	struct weir_proxy_tlv *v = pool_alloc(s->pool, c->tlvs.n * sizeof *v);

	for (unsigned i = 0; i < c->tlvs.n; i++) {
		const struct weir_preface_tlv *t = &c->tlvs.v[i];
		struct weir_str value = STR("");

		if (t->type == TLV_CRC32C)
			say->crc32c = true;
		else if (t->type != TLV_SSL)
			value = expr_eval(s, &t->value);
		else if (conn_is_tls(s->conn))
			value = ssl_value(s);
		if (value.n != 0)
			v[say->n_tlvs++] = (struct weir_proxy_tlv){ t->type, value };
	}
	say->tlvs = v;
}

/* Where the client wanted to go: what the proxy before us says, if that is whom we believe about the client. */
static const struct weir_addr *
wanted(struct weir_sess *s, struct weir_addr *room)
{
	const struct weir_proxied *p = s->conn->proxied;

	if (p != NULL && s->peer != &s->conn->peer && addr_eq(s->peer, &p->src))
		return &p->dst;
	if (s->conn->from != NULL && s->conn->from->addr.sa.sa_family == AF_UNIX)
		return &s->conn->from->addr;	/* with its path */
	return conn_local(s->conn, room);
}

int
preface_make(struct weir_sess *s, const struct weir_preface_conf *c, bool datagram, struct weir_str *to)
{
	struct weir_addr local;
	struct weir_proxy_say say = { .version = datagram ? V2 : (unsigned)c->version, .datagram = datagram,
		.src = s->peer };
	char bytes[PROXY_V2_MAX];
	ssize_t n;

	*to = STR("");
	if (c->version == 0)
		return WEIR_OK;
	say.dst = wanted(s, &local);
	if (say.version == V2 && c->tlvs.n != 0)
		collect(s, c, &say);
	n = proxy_write(bytes, &say);
	if (n < 0) {
		log_errorx(&s->log, "the PROXY header would be longer than %u bytes", PROXY_V2_MAX);
		return WEIR_FAIL;
	}
	*to = pool_str(s->pool, str_of(bytes, (size_t)n));
	return WEIR_OK;
}

/* ---- directives ---- */

static int
own_type(struct weir_str name)
{
	return str_eq(name, STR("ssl")) ? TLV_SSL : str_eq(name, STR("crc32c")) ? TLV_CRC32C : WEIR_FAIL;
}

int
preface_conf_tlv(struct weir_conf *cf, struct weir_node *n, struct weir_preface_conf *c)
{
	struct weir_str name = n->w[1].s, value = n->w[2].s;
	int own = own_type(name), type = own >= 0 ? own : proxy_tlv_type(name);
	struct weir_preface_tlv *t;

	if (type < 0)
		return conf_error(cf, n, 1, "\"%.*s\" is no name of a TLV: alpn, authority, unique_id, netns, ssl, crc32c, "
		    "or a number, 0x01 ... 0xFF", STR_ARG(name));
	if (own < 0 && (type == TLV_SSL || type == TLV_CRC32C))
		return conf_error(cf, n, 1, "write \"%s on\"", type == TLV_SSL ? "ssl" : "crc32c");
	if (own >= 0 && !str_eq(value, STR("on")) && !str_eq(value, STR("off")))
		return conf_error(cf, n, 2, "it is \"on\" or \"off\"");
	for (unsigned i = 0; i < c->tlvs.n; i++)
		if (c->tlvs.v[i].type == (unsigned)type)
			return conf_error(cf, n, 1, "\"%.*s\" stands here twice", STR_ARG(name));
	if (own >= 0 && str_eq(value, STR("off")))
		return WEIR_OK;
	t = POOL_PUSH(cf->pool, &c->tlvs);
	t->type = (unsigned)type;
	return own >= 0 ? WEIR_OK : expr_field(cf, n, 2, &t->value);
}

int
preface_conf_ready(struct weir_conf *cf, const struct weir_node *n, const struct weir_preface_conf *c)
{
	if (c->version == V1 && c->tlvs.n != 0)
		return conf_error(cf, n, 0, "TLVs need version 2 of the PROXY protocol: \"v2\"");
	return WEIR_OK;
}
