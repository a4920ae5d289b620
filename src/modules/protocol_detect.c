/*
 * protocol_detect.c - what is spoken on a connection of stream, told by its first bytes, so that one port serves several
 * protocols, or only some.
 *
 *	bytes that are sure            -> their protocol
 *	bytes that may become several  -> more of them, until protocol_detect_timeout: unknown
 *	no bytes until then            -> server_first: the client waits for a greeting (SMTP, MySQL, FTP...)
 *
 * Nothing is consumed, and nobody is kept waiting for longer than the timeout.
 */
#include "core/net/detect.h"
#include "stream/preread.h"

#define SERVER_FIRST	N_DETECTED

extern const struct weir_module protocol_detect_module;

struct detect_conf {
	bool		 on;
	uint64_t	 timeout_ms;
	unsigned	 allow, deny;		/* 1 << protocol; allow 0: all */
};

struct detecting {
	struct weir_sess *s;
	struct weir_timer timer;
	bool		 waiting, late;
	unsigned	 is;			/* DETECT_MORE: not known yet */
};

static unsigned index_;

/* ---- what it is ---- */

static const char *
name_of(unsigned is)
{
	return is == SERVER_FIRST ? "server_first" : detect_name((enum weir_detected)is);
}

static void
on_late(struct weir_timer *t)
{
	struct detecting *d = WEIR_OF(t, struct detecting, timer);

	d->late = true;
	weir_resume(d->s);
}

static void
detecting_end(void *arg)
{
	timer_off(&((struct detecting *)arg)->timer);
}

static struct detecting *
detecting_of(struct weir_sess *s)
{
	struct detecting *d = sess_ctx(s, index_);

	if (d != NULL)
		return d;
	d = sess_ctx_make(s, index_, sizeof *d);
	d->s = s;
	timer_init(&d->timer, on_late);
	pool_on_free(s->pool, detecting_end, d);
	return d;
}

static void
know(struct weir_stream *st, struct detecting *d, unsigned is)
{
	timer_off(&d->timer);
	d->is = is;
	st->silent = is == SERVER_FIRST;
	log_debug(&st->s.log, "detected protocol: %s", name_of(is));
}

/* No more come that could help, or none in time. */
static void
make_do(struct weir_stream *st, struct detecting *d)
{
	know(st, d, stream_preread(st).n != 0 || stream_is_udp(st) ? DETECT_UNKNOWN : SERVER_FIRST);
}

/* Until it is known: WEIR_NEXT. */
static enum weir_next
find_out(struct weir_stream *st, struct detecting *d)
{
	const struct detect_conf *c = SESS_CONF(&st->s, index_);

	while (d->is == DETECT_MORE) {
		struct weir_str here = stream_preread(st);
		enum weir_detected is = detect(here.p, here.n);
		ssize_t n;

		if (is != DETECT_MORE) {
			know(st, d, is);
			break;
		}
		n = stream_preread_try(st);
		if (n > 0)
			continue;
		if (n == WEIR_FAIL) {
			log_info(&st->s.log, "client broke the connection");
			return stream_finish(st, 200, "client_reset");
		}
		if (n != WEIR_AGAIN || d->late) {
			make_do(st, d);
			break;
		}
		if (!d->waiting)
			timer_set(&d->timer, c->timeout_ms);
		d->waiting = true;
		return stream_preread_wait(st);
	}
	return WEIR_NEXT;
}

static enum weir_next
on_preread(struct weir_sess *s)
{
	const struct detect_conf *c;
	struct weir_stream *st = stream_of(s);
	struct detecting *d = detecting_of(s);
	enum weir_next n = find_out(st, d);
	unsigned bit;

	if (n != WEIR_NEXT)
		return n;
	c = SESS_CONF(s, index_);
	bit = 1u << d->is;
	if ((c->deny & bit) == 0 && (c->allow == 0 || (c->allow & bit) != 0))
		return WEIR_NEXT;
	log_errorx(&s->log, "protocol %s is not allowed", name_of(d->is));
	return stream_finish(st, 403, "refused");
}

static bool
idle(const void *conf)
{
	return !((const struct detect_conf *)conf)->on;
}

static const struct weir_hook hooks[] = { { ON_PREREAD, on_preread, idle }, { .fn = NULL } };

/* ---- variables, directives ---- */

static int
get_detected(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct detecting *d = sess_ctx(s, index_);

	(void)data;
	if (d == NULL || d->is == DETECT_MORE)
		return WEIR_FAIL;
	*to = str_c(name_of(d->is));
	return WEIR_OK;
}

static const struct weir_var vars[] = {
	{ "detected_protocol", get_detected, NULL, VAR_STREAM | VAR_NOT_HTTP | VAR_KEEP, NULL,
	  "With protocol_detect: tls, http, http2, ssh, socks4, socks5, bittorrent or proxy; server_first when the client waits for "
	  "the server to begin; unknown." },
	{ .name = NULL }
};

static const struct weir_choice protocols[] = {
	{ "tls", 1 << DETECT_TLS }, { "http", 1 << DETECT_HTTP }, { "http2", 1 << DETECT_HTTP2 },
	{ "ssh", 1 << DETECT_SSH }, { "socks4", 1 << DETECT_SOCKS4 }, { "socks5", 1 << DETECT_SOCKS5 },
	{ "bittorrent", 1 << DETECT_BITTORRENT }, { "proxy", 1 << DETECT_PROXY },
	{ "server_first", 1 << SERVER_FIRST }, { "unknown", 1 << DETECT_UNKNOWN }, { NULL, 0 }
};

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	const struct detect_conf *c = conf;

	if (scope->in == IN_STREAM_SERVER && !c->on && (c->allow | c->deny) != 0)
		return conf_error(cf, scope->node, 0, "protocol_allow and protocol_deny need \"protocol_detect on\"");
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "protocol_detect", IN_STREAM_ANY, CONF_FLAG, CONF_AT(detect_conf, on), .def = "off",
	  .doc = "Tell by a client's first bytes what it speaks, in $detected_protocol, and leave them where they are.  With listen ... ssl it "
	  "is what is spoken inside." },
	{ "protocol_detect_timeout", IN_STREAM_ANY, CONF_MSEC, CONF_AT(detect_conf, timeout_ms), .def = "200ms", .min = 1,
	  .doc = "How long a client may take to show what it speaks.  Who has said nothing then is taken for one who waits for the server "
	  "to begin, and is passed on, also with ssl_preread; who has not said enough speaks something unknown." },
	{ "protocol_allow", IN_STREAM_ANY, CONF_BITS, CONF_AT(detect_conf, allow), .choices = protocols,
	  .doc = "Connections on which anything else is spoken are closed, with status 403.  Needs protocol_detect." },
	{ "protocol_deny", IN_STREAM_ANY, CONF_BITS, CONF_AT(detect_conf, deny), .choices = protocols,
	  .doc = "Connections on which one of these is spoken are closed, with status 403.  Needs protocol_detect." },
	{ 0 }
};

const struct weir_module protocol_detect_module = {
	.name = "protocol_detect", .index = &index_, .conf_size = sizeof(struct detect_conf),
	.cmds = cmds, .vars = vars, .hooks = hooks, .ready = ready,
	.doc = "What is spoken on a connection of stream.",
};
