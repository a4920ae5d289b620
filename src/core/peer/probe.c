/*
 * probe.c - connections to servers that are asked how they are.
 */
#include "core/peer/health.h"
#include "core/peer/tls_conf.h"

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
	struct weir_tls_connect how = { .alpn = p->alpn, .log = weir_log, .timeout_ms = h->timeout_ms, .done = on_secured };

	peer_tls_plain(h->conf, h->tls, &p->addr, h->host, &how);
	p->doing = "shaking hands";
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
	struct weir_dial_opts how = { .timeout_ms = p->h->timeout_ms + 1000 };	/* ours comes first */

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
