/*
 * probe.c - connections to servers that are asked how they are.
 */
#include "core/peer/block.h"
#include "core/peer/tls_conf.h"

/* A question is of no client: "UNKNOWN", and in version 2 the command LOCAL (proxy-protocol.txt, 2.1, 2.2). */
static const struct weir_str prefaces[] = {
	{ "", 0 }, { "PROXY UNKNOWN\r\n", 15 }, { "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16 }
};

struct weir_str
probe_preface(const struct weir_probe *p)
{
	return prefaces[p->h->preface != 0 && p->h->kind->dgrams ? 2 : p->h->preface];
}

static void
say_who(void *arg, struct weir_log_line *line)
{
	const struct weir_probe *p = arg;

	log_fact(line, "upstream", FACT_QUOTED, &p->h->group->name, 1);
	log_fact(line, "server", FACT_PLAIN, &p->peer->text, 1);
}

/* Of a server that is known to be unhealthy nobody wants to read at every turn what is wrong. */
static void
make_log(struct weir_probe *p)
{
	bool known = (block_state(p->h->group->block, p->peer->number)->health.failing >> p->h->number & 1) != 0;

	p->log = *weir_log;
	p->log.who = say_who;
	p->log.arg = p;
	p->log.doing = "checking the health of a server";
	if (known)
		p->log.level = WEIR_MIN(p->log.level, LOG_CRIT_);
}

static void
on_secured(struct weir_conn *c, enum weir_tls_end how)
{
	struct weir_probe *p = c->owner;

	p->securing = false;
	if (how == TLS_OK)
		p->connected(p);
	else if (how == TLS_TIMEOUT)
		probe_fail(p, "the TLS handshake timed out");
	else
		probe_fail(p, "the TLS handshake failed");
}

static void
secure(struct weir_probe *p)
{
	const struct weir_health *h = p->h;
	struct weir_tls_connect how = { .alpn = p->alpn, .log = &p->log, .timeout_ms = h->timeout_ms, .done = on_secured };

	peer_tls_plain(h->conf, h->tls, &p->addr, h->host, &how);
	p->doing = "shaking hands";
	make_log(p);
	p->securing = true;
	p->conn->owner = p;
	tls_connect(p->conn, &how);
}

static void
on_dialled(struct weir_dial *d, struct weir_conn *c, int err)
{
	struct weir_probe *p = WEIR_OF(d, struct weir_probe, dial);

	p->dialling = false;
	p->conn = c;
	if (c == NULL)
		probe_fail(p, "connect() failed (%d: %s)", err, strerror(err));
	else if (p->h->secure)
		secure(p);
	else
		p->connected(p);
}

void
probe_connect(struct weir_probe *p, const char *alpn, void (*connected)(struct weir_probe *))
{
	struct weir_dial_opts how = { .timeout_ms = p->h->timeout_ms + 1000,	/* ours comes first */
		.preface = probe_preface(p) };

	p->doing = "connecting";
	p->connected = connected;
	p->alpn = alpn;
	p->dialling = true;
	p->dial.done = on_dialled;
	dial_start(&p->dial, &p->addr, &how);
}

void
probe_disconnect(struct weir_probe *p)
{
	if (p->dialling)
		dial_cancel(&p->dial);
	if (p->conn != NULL && p->passed)	/* its server should not log a reset for each question */
		conn_close(p->conn);
	else if (p->conn != NULL)
		conn_abort(p->conn);
	p->dialling = p->securing = false;
	p->conn = NULL;
}
