/*
 * ocsp_ask.c - asking an OCSP responder.
 *
 *	resolve (unless it is an address) > dial, the next address when that fails > send > read until it is whole
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "core/base/mem.h"
#include "core/tls/count.h"
#include "core/tls/ocsp_ask.h"

enum { IN_FIRST = 4096 };

/* ---- the end ---- */

static void
let_go(struct weir_ocsp_ask *a)
{
	timer_off(&a->timer);
	if (a->resolving)
		lookup_cancel(&a->lookup);
	if (a->dialling)
		dial_cancel(&a->dial);
	if (a->conn != NULL)
		conn_close(a->conn);
	a->conn = NULL;
	bufq_clear(&a->out);
	pool_free(a->pool);
	a->pool = NULL;
}

void
ocsp_ask_cancel(struct weir_ocsp_ask *a)
{
	if (a->pool == NULL)
		return;
	let_go(a);
	mem_free(a->in);
	a->in = NULL;
}

static void
finish(struct weir_ocsp_ask *a, struct weir_str der)
{
	char *in = a->in;

	count_ocsp(der.n != 0);
	let_go(a);
	a->in = NULL;
	a->done(a, (const unsigned char *)der.p, der.n);
	mem_free(in);
}

static void fail(struct weir_ocsp_ask *, const char *, ...) WEIR_PRINTF(2, 3);

static void
fail(struct weir_ocsp_ask *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->why, sizeof a->why, fmt, ap);
	va_end(ap);
	finish(a, STR_NONE);
}

static void
on_timeout(struct weir_timer *t)
{
	fail(WEIR_OF(t, struct weir_ocsp_ask, timer), "OCSP responder timed out");
}

/* ---- the exchange ---- */

/* WEIR_OK: there may be more. */
static int
read_more(struct weir_ocsp_ask *a)
{
	ssize_t n;

	if (a->in_n == a->in_room) {
		size_t room = a->in_room != 0 ? a->in_room * 2 : IN_FIRST;

		a->in = mem_realloc(a->in, a->in_room, room);
		a->in_room = room;
	}
	n = fdio_recv(&a->conn->tcp, a->in + a->in_n, a->in_room - a->in_n);
	if (n > 0)
		a->in_n += (size_t)n;
	return n > 0 ? WEIR_OK : (int)n;
}

static void
on_readable(void *arg)
{
	struct weir_ocsp_ask *a = arg;
	const char *why;

	for (;;) {
		int rc = read_more(a), got;
		struct weir_str body;

		if (rc == WEIR_AGAIN) {
			src_want(&a->conn->io->in, true);
			return;
		}
		got = ocsp_reply_parse(str_of(a->in, a->in_n), rc == WEIR_EOF, &body, &why);
		if (got == WEIR_AGAIN && rc == WEIR_FAIL) {
			got = WEIR_FAIL;
			why = "the responder reset the connection";
		}
		if (got == WEIR_OK)
			finish(a, body);
		else if (got == WEIR_FAIL)
			fail(a, "%s", why);
		if (got != WEIR_AGAIN)
			return;
	}
}

static void
on_writable(void *arg)
{
	struct weir_ocsp_ask *a = arg;
	ssize_t n = sink_write(&a->conn->io->out, &a->out);

	if (n == WEIR_FAIL || n == WEIR_EOF) {
		fail(a, "the responder prematurely closed connection");
		return;
	}
	sink_want(&a->conn->io->out, a->out.len != 0);
}

static void dial_next(struct weir_ocsp_ask *);

static void
on_dialled(struct weir_dial *d, struct weir_conn *c, int err)
{
	struct weir_ocsp_ask *a = WEIR_OF(d, struct weir_ocsp_ask, dial);

	a->dialling = false;
	if (c == NULL && ++a->at < a->n) {
		dial_next(a);
		return;
	}
	if (c == NULL) {
		fail(a, "connect() failed (%d: %s)", err, strerror(err));
		return;
	}
	a->conn = c;
	bufq_put_view(&a->out, a->request.p, a->request.n);
	src_on_ready(&c->io->in, on_readable, a);
	sink_on_ready(&c->io->out, on_writable, a);
	src_want(&c->io->in, true);
	on_writable(a);
}

static void
dial_next(struct weir_ocsp_ask *a)
{
	a->dialling = true;
	a->dial.done = on_dialled;
	dial_start(&a->dial, &a->addrs[a->at], &(struct weir_dial_opts){ .timeout_ms = OCSP_ASK_MS / OCSP_TRIES });
}

static void
take_addrs(struct weir_ocsp_ask *a, const struct weir_addr *addrs, unsigned n)
{
	for (a->n = 0; a->n < n && a->n < OCSP_TRIES; a->n++) {
		a->addrs[a->n] = addrs[a->n];
		addr_set_port(&a->addrs[a->n], a->url.port);
	}
}

static void
on_resolved(struct weir_lookup *l)
{
	struct weir_ocsp_ask *a = WEIR_OF(l, struct weir_ocsp_ask, lookup);

	a->resolving = false;
	if (l->how != RESOLVED) {
		fail(a, "%.*s could not be resolved (%s)", STR_ARG(a->url.host), resolve_error(l->how));
		return;
	}
	take_addrs(a, l->addrs, l->n);
	dial_next(a);
}

/* ---- the beginning ---- */

/* What the certificate says (RFC 5280, 4.2.2.1), in the pool; empty: nothing. */
static struct weir_str
url_of(struct weir_pool *pool, X509 *cert)
{
	STACK_OF(OPENSSL_STRING) *all = X509_get1_ocsp(cert);
	struct weir_str url = sk_OPENSSL_STRING_num(all) > 0 ? pool_str(pool, str_c(sk_OPENSSL_STRING_value(all, 0))) :
	    STR_NONE;

	X509_email_free(all);
	return url;
}

/* The request as DER, in the pool; empty when OpenSSL has no memory. */
static struct weir_str
question(struct weir_pool *pool, X509 *cert, X509 *issuer)
{
	OCSP_REQUEST *q = OCSP_REQUEST_new();
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, cert, issuer);
	unsigned char *der = NULL;
	struct weir_str s = STR_NONE;
	int n;

	if (q != NULL && id != NULL && OCSP_request_add0_id(q, id) != NULL) {
		id = NULL;
		n = i2d_OCSP_REQUEST(q, &der);
		if (n > 0)
			s = pool_str(pool, str_of((const char *)der, (size_t)n));
	}
	OPENSSL_free(der);
	OCSP_CERTID_free(id);
	OCSP_REQUEST_free(q);
	ERR_clear_error();
	return s;
}

static int
prepare(struct weir_ocsp_ask *a, const struct weir_ocsp_whom *whom, X509 *cert, X509 *issuer)
{
	struct weir_str url = whom->url.n != 0 ? whom->url : url_of(a->pool, cert), der;
	const char *why;

	if (url.n == 0) {
		snprintf(a->why, sizeof a->why, "no OCSP responder URL in certificate");
		return WEIR_FAIL;
	}
	if (ocsp_url_parse(url, &a->url, &why) != WEIR_OK) {
		snprintf(a->why, sizeof a->why, "%s in OCSP responder \"%.100s\"", why, pool_cstr(a->pool, url));
		return WEIR_FAIL;
	}
	der = question(a->pool, cert, issuer);
	if (der.n == 0) {
		snprintf(a->why, sizeof a->why, "no request could be made");
		return WEIR_FAIL;
	}
	a->request = ocsp_request(a->pool, &a->url, der);
	if (a->url.addr.sa.sa_family != AF_UNSPEC)
		take_addrs(a, &a->url.addr, 1);
	else if (whom->resolver == NULL)
		take_addrs(a, whom->addrs, whom->n);
	if (a->n == 0 && whom->resolver == NULL) {
		snprintf(a->why, sizeof a->why, "no resolver defined to resolve %.*s", STR_ARG(a->url.host));
		return WEIR_FAIL;
	}
	return WEIR_OK;
}

int
ocsp_ask_start(struct weir_ocsp_ask *a, const struct weir_ocsp_whom *whom, X509 *cert, X509 *issuer,
    void (*done)(struct weir_ocsp_ask *, const unsigned char *, size_t))
{
	memset(a, 0, sizeof *a);
	a->pool = pool_new(2048);
	a->done = done;
	if (prepare(a, whom, cert, issuer) != WEIR_OK) {
		pool_free(a->pool);
		a->pool = NULL;
		return WEIR_FAIL;
	}
	timer_init(&a->timer, on_timeout);
	timer_set(&a->timer, OCSP_ASK_MS);
	a->resolving = a->n == 0;
	if (!a->resolving)
		dial_next(a);
	else
		lookup_start(&a->lookup, whom->resolver, a->url.host, whom->resolver_ms, on_resolved);
	return WEIR_OK;
}

/* ---- configuration ---- */

int
ocsp_whom(struct weir_conf *cf, const struct weir_tls_word *w, struct weir_ocsp_whom *to)
{
	struct weir_ocsp_url url;
	const char *why = NULL;

	if (ocsp_url_parse(w->s, &url, &why) != WEIR_OK)
		return conf_error(cf, w->node, w->w, "%s in OCSP responder \"%.*s\"", why, STR_ARG(w->s));
	to->url = w->s;
	if (url.addr.sa.sa_family != AF_UNSPEC)
		return WEIR_OK;
	to->addrs = addr_lookup(cf->pool, url.host, url.port, &to->n, &why);
	if (to->addrs == NULL)
		return conf_error(cf, w->node, w->w, "%s in OCSP responder \"%.*s\"", why, STR_ARG(w->s));
	return WEIR_OK;
}
