/*
 * ssl_preread.c - what a client of TLS says of itself, without an end of TLS here: the name that it asks for chooses the
 * server, or, by a variable, the upstream.
 */
#include "core/tls/fingerprint.h"
#include "stream/preread.h"

extern const struct weir_module ssl_preread_module;

struct preread_conf {
	bool	on;
};

struct preread {
	struct weir_hello_reader reader;
	struct weir_hello hello;
	struct weir_fp	*fp;
	size_t		 fed;
	bool		 known;		/* the hello was whole */
};

static unsigned index_;

static void
preread_end(void *arg)
{
	struct preread *p = arg;

	hello_end(&p->reader);
	fp_unref(&p->fp);
}

static struct preread *
preread_of(struct weir_sess *s)
{
	struct preread *p = sess_ctx(s, index_);

	if (p != NULL)
		return p;
	p = sess_ctx_make(s, index_, sizeof *p);
	hello_begin(&p->reader);
	pool_on_free(s->pool, preread_end, p);
	return p;
}

static enum weir_next
on_hello(struct weir_stream *st, struct preread *p)
{
	p->known = true;
	if (hello_name(&p->hello).n == 0 || stream_choose(st, hello_name(&p->hello)))
		return WEIR_NEXT;
	return stream_finish(st, 500, "error");
}

static enum weir_next
on_preread(struct weir_sess *s)
{
	struct weir_stream *st = stream_of(s);
	struct preread *p;

	if (st->silent)
		return WEIR_NEXT;
	p = preread_of(s);
	for (;;) {
		struct weir_str here = str_from(stream_preread(st), p->fed);
		enum weir_next n;

		p->fed += here.n;
		switch (hello_feed(&p->reader, here.p, here.n, &p->hello)) {
		case HELLO_DONE:
			return on_hello(st, p);
		case HELLO_BAD:
			log_info(&s->log, "ssl preread: %s", hello_why(&p->reader));
			return WEIR_NEXT;
		case HELLO_NOT_TLS:
			log_debug(&s->log, "ssl preread: the client speaks no TLS");
			return WEIR_NEXT;
		case HELLO_MORE:
			break;
		}
		n = stream_preread_more(st);
		if (n != WEIR_NEXT)
			return n;
	}
}

static bool
idle(const void *conf)
{
	return !((const struct preread_conf *)conf)->on;
}

static const struct weir_hook hooks[] = { { ON_PREREAD, on_preread, idle }, { .fn = NULL } };

/* ---- variables ---- */

static const struct preread *
known(struct weir_sess *s)
{
	const struct preread *p = sess_ctx(s, index_);

	return p != NULL && p->known ? p : NULL;
}

static int
get_protocol(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct preread *p = known(s);

	(void)data;
	if (p == NULL)
		return WEIR_FAIL;
	*to = str_c(hello_protocol(&p->hello));
	return WEIR_OK;
}

static int
get_name(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct preread *p = known(s);

	(void)data;
	if (p == NULL)
		return WEIR_FAIL;
	return var_copy(s, to, p->hello.name, p->hello.name_n);
}

static int
get_alpn(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct preread *p = known(s);
	char *text;

	(void)data;
	if (p == NULL)
		return WEIR_FAIL;
	text = pool_bytes(s->pool, HELLO_ALPN_TEXT_MAX);
	*to = str_of(text, (size_t)(hello_put_alpn(text, &p->hello) - text));
	return WEIR_OK;
}

static int
get_fingerprint(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct preread *p = sess_ctx(s, index_);
	struct weir_str text;

	if (p == NULL || !p->known)
		return WEIR_FAIL;
	if (p->fp == NULL)
		p->fp = fp_new(&p->hello, FP_TLS);
	text = (*(struct weir_str (*const *)(struct weir_fp *))data)(p->fp);
	return text.n != 0 ? var_copy(s, to, text.p, text.n) : WEIR_FAIL;
}

static struct weir_str (*const ja3)(struct weir_fp *) = fp_ja3;
static struct weir_str (*const ja4)(struct weir_fp *) = fp_ja4;

#define V	(VAR_STREAM | VAR_NOT_HTTP | VAR_KEEP)

static const struct weir_var vars[] = {
	{ "ssl_preread_protocol", get_protocol, NULL, V, NULL,
	  "With ssl_preread: the highest version of TLS that the client offers; empty when it speaks none." },
	{ "ssl_preread_server_name", get_name, NULL, V, NULL,
	  "With ssl_preread: the name that the client asks for, in lower case.  With encrypted hellos (ECH) it is the outer one." },
	{ "ssl_preread_alpn_protocols", get_alpn, NULL, V, NULL,
	  "With ssl_preread: the protocols that the client offers, with commas between them." },
	{ "ssl_preread_ja3", get_fingerprint, NULL, V, &ja3, "With ssl_preread: the client's fingerprint, JA3." },
	{ "ssl_preread_ja4", get_fingerprint, NULL, V, &ja4, "With ssl_preread: the client's fingerprint, JA4." },
	{ .name = NULL }
};

static const struct weir_cmd cmds[] = {
	{ "ssl_preread", IN_STREAM_ANY, CONF_FLAG, CONF_AT(preread_conf, on), .def = "off",
	  .doc = "Look at the first message of a client of TLS, in as many pieces as it comes, and leave it where it is.  Of servers with the same "
	  "address the name in it chooses one, like the name in a handshake.  Who speaks no TLS is served by the default server." },
	{ 0 }
};

const struct weir_module ssl_preread_module = {
	.name = "ssl_preread", .index = &index_, .conf_size = sizeof(struct preread_conf),
	.cmds = cmds, .vars = vars, .hooks = hooks,
	.doc = "Connections of TLS that pass through.",
};
