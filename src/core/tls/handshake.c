/*
 * handshake.c - accepting and connecting.
 *
 * What lasts only as long as the handshake is in a struct of its own.  The context is chosen when the
 * ClientHello is here, before OpenSSL looks at anything else of it, so that sessions, protocols
 * and certificates are those of the server that is meant (CVE-2025-23419).
 */
#include <openssl/err.h>
#include <sys/socket.h>

#include "core/base/mem.h"
#include "core/tls/count.h"
#include "core/tls/ctx_ssl.h"
#include "core/tls/groups.h"
#include "core/tls/hello.h"
#include "core/tls/layer.h"

enum { FIRST_TLS = 0x16, FIRST_SSL2 = 0x80, EARLY_MAX = 16384 };

struct weir_tls_handshake {
	struct weir_tls	*t;
	struct weir_tls_accept accept;		/* of a server; find NULL: we are the client */
	void		(*done)(struct weir_conn *, enum weir_tls_end);
	struct weir_log	 log;
	struct weir_timer timer;
	struct weir_task begin;
	bool		(*check)(struct weir_tls *, struct weir_log *);
	bool		 server, looked;	/* at the first byte */
	bool		 hopeless;		/* it could not even be prepared */
	bool		 no_key;		/* our own certificate was not there; that was logged */
	bool		 closed;		/* by the peer */
	bool		 denied;		/* we do not want this client */
	bool		 early;			/* the client may send before it is over */
	struct weir_ocsp *ocsp;			/* it is over, but for what responders say of the client */
};

static struct weir_slab slab = WEIR_SLAB(weir_tls_handshake);

static void
who(void *arg, struct weir_log_line *line)
{
	const struct weir_tls_handshake *h = arg;
	char addr[ADDR_TEXT_MAX];
	struct weir_str s = str_of(addr, h->server ? addr_put_ip(addr, &h->t->conn->peer) :
	    addr_put(addr, &h->t->conn->peer));

	log_fact(line, h->server ? "client" : "upstream", FACT_PLAIN, &s, 1);
}

/* ---- the end ---- */

void
handshake_end(struct weir_tls_handshake *h)
{
	struct weir_fdio *tcp = &h->t->conn->tcp;

	timer_off(&h->timer);
	task_off(&h->begin);
	if (h->ocsp != NULL)
		ocsp_cancel(h->ocsp);
	src_on_ready(&tcp->io.in, NULL, NULL);
	sink_on_ready(&tcp->io.out, NULL, NULL);
	h->t->handshake = NULL;
	slab_give(&slab, h);
}

static void
count(const struct weir_tls_handshake *h, enum weir_tls_end how)
{
	if (how == TLS_OK)
		count_handshake(h->t->ssl, h->server);
	else
		count_failure(h->server, how == TLS_TIMEOUT ? TLS_FAILED_TIMEOUT : how == TLS_PLAIN ? TLS_FAILED_PLAIN :
		    h->denied ? TLS_FAILED_DENIED : h->closed ? TLS_FAILED_CLOSED : TLS_FAILED_ERROR);
}

static void
finish(struct weir_tls_handshake *h, enum weir_tls_end how)
{
	void (*done)(struct weir_conn *, enum weir_tls_end) = h->done;
	struct weir_tls *t = h->t;
	struct weir_conn *c = t->conn;

	src_want(&c->tcp.io.in, false);
	sink_want(&c->tcp.io.out, false);
	count(h, how);
	handshake_end(h);
	if (how == TLS_OK) {
		if (SSL_is_init_finished(t->ssl))
			settle(t);
		layer_open(t);
	} else {
		t->broken = true;
	}
	if (how == TLS_PLAIN) {
		c->layer = NULL;
		t->layer.ops->free(&t->layer);
	}
	done(c, how);
}

static void
on_timeout(struct weir_timer *timer)
{
	struct weir_tls_handshake *h = WEIR_OF(timer, struct weir_tls_handshake, timer);

	log_info(&h->log, "%s timed out in the TLS handshake", h->server ? "client" : "upstream");
	finish(h, TLS_TIMEOUT);
}

/* ---- the middle ---- */

static void
failed(struct weir_tls_handshake *h, int err)
{
	struct weir_conn *c = h->t->conn;
	char why[256];

	/* clients do as they like; an upstream that fails is news */
	h->closed = err == SSL_ERROR_SYSCALL || h->t->cut || fdio_reset(&c->tcp);
	if (h->closed)
		log_at(&h->log, h->server ? LOG_INFO_ : LOG_ERROR_, 0,
		    "%s closed the connection in the TLS handshake", h->server ? "client" : "upstream");
	else
		log_at(&h->log, h->server ? LOG_INFO_ : LOG_ERROR_, 0, "SSL_do_handshake() failed (SSL: %s)",
		    tls_error(why, sizeof why));
	ERR_clear_error();
	finish(h, TLS_FAIL);
}

/* Looks at the first byte without taking it.  WEIR_AGAIN: there is none yet. */
static int
look(struct weir_tls_handshake *h)
{
	struct weir_fdio *tcp = &h->t->conn->tcp;
	unsigned char first;
	ssize_t n = recv(tcp->ev.fd, &first, 1, MSG_PEEK);

	if (n < 0 && errno == EAGAIN) {
		tcp->ev.ready &= (uint8_t)~EV_READ;
		return WEIR_AGAIN;
	}
	if (n == 1 && first != FIRST_TLS && first != FIRST_SSL2)
		return WEIR_FAIL;
	h->looked = true;
	tcp->ev.ready |= EV_READ;	/* the notice of it may still be on its way */
	return WEIR_OK;
}

/* 1: there is something, and the client may be served; 2: there is no such thing, or no more; 0: not yet, or a failure. */
static int
take_early(struct weir_tls *t)
{
	size_t room, n = 0;
	char *p = bufq_room(&t->held, EARLY_MAX, &room);
	int rc = SSL_read_early_data(t->ssl, p, room, &n);

	bufq_added(&t->held, rc == SSL_READ_EARLY_DATA_SUCCESS ? n : 0);
	if (rc == SSL_READ_EARLY_DATA_ERROR)
		return 0;
	return rc == SSL_READ_EARLY_DATA_SUCCESS ? 1 : 2;
}

static void
on_ocsp(void *arg, enum weir_ocsp_result result)
{
	struct weir_tls_handshake *h = arg;

	h->ocsp = NULL;
	h->t->ocsp = result;
	finish(h, TLS_OK);
}

struct weir_resolver *
handshake_resolver(SSL *ssl, uint64_t *timeout_ms)
{
	struct weir_tls *t = layer_of(ssl);
	const struct weir_tls_handshake *h = t->handshake;

	*timeout_ms = 0;
	return h != NULL && h->server && h->accept.resolver != NULL ?
	    h->accept.resolver(t->conn, t->owner, timeout_ms) : NULL;
}

/* The handshake has succeeded. */
static void
succeed(struct weir_tls_handshake *h)
{
	struct weir_tls *t = h->t;
	struct weir_resolver *resolver;
	uint64_t timeout_ms;

	if (h->check != NULL && !h->check(t, &h->log)) {
		finish(h, TLS_FAIL);
		return;
	}
	resolver = handshake_resolver(t->ssl, &timeout_ms);
	if (h->server)
		h->ocsp = ocsp_start(t->ssl, &h->log, resolver, timeout_ms, &t->ocsp, on_ocsp, h);
	if (h->ocsp == NULL) {
		finish(h, TLS_OK);
		return;
	}
	src_want(&t->conn->tcp.io.in, false);
	sink_want(&t->conn->tcp.io.out, false);
}

static void
go_on(struct weir_tls_handshake *h)
{
	struct weir_fdio *tcp = &h->t->conn->tcp;
	int rc, err;

	if (h->server && !h->looked) {
		rc = look(h);
		if (rc == WEIR_FAIL) {
			finish(h, TLS_PLAIN);
			return;
		}
		if (rc == WEIR_AGAIN) {
			src_want(&tcp->io.in, true);
			return;
		}
	}
	ERR_clear_error();
	layer_ahead(h->t);
	rc = h->early ? take_early(h->t) : 2;
	h->t->early = rc == 1;
	if (rc == 2) {
		h->early = false;
		rc = SSL_do_handshake(h->t->ssl);
	}
	layer_ahead_end(h->t);
	if (rc == 1) {
		succeed(h);
		return;
	}
	err = SSL_get_error(h->t->ssl, rc);
	src_want(&tcp->io.in, err == SSL_ERROR_WANT_READ);
	sink_want(&tcp->io.out, err == SSL_ERROR_WANT_WRITE);
	if (err != SSL_ERROR_WANT_READ && err != SSL_ERROR_WANT_WRITE)
		failed(h, err);
}

static void
on_ready(void *arg)
{
	struct weir_tls_handshake *h = arg;

	if (h->ocsp == NULL)
		go_on(h);
}

static void
on_begin(struct weir_task *task)
{
	struct weir_tls_handshake *h = WEIR_OF(task, struct weir_tls_handshake, begin);

	if (h->no_key)
		finish(h, TLS_NO_KEY);
	else if (h->hopeless)
		failed(h, SSL_ERROR_SSL);
	else
		go_on(h);
}

struct weir_tls_handshake *
handshake_begin(struct weir_conn *c, const struct weir_tls_ctx *ctx, const struct weir_log *log,
    uint64_t timeout_ms, void (*done)(struct weir_conn *, enum weir_tls_end))
{
	SSL *ssl = SSL_new(ctx->ssl);
	struct weir_tls_handshake *h = slab_take(&slab);

	memset(h, 0, sizeof *h);
	h->t = layer_new(c, ssl);
	h->t->handshake = h;
	h->hopeless = h->t->ssl == NULL;
	h->log = *log;
	if (log->who == NULL) {
		h->log.id = c->id;
		h->log.who = who;
		h->log.arg = h;
	}
	h->done = done;
	timer_init(&h->timer, on_timeout);
	timer_set(&h->timer, timeout_ms);
	task_init(&h->begin, on_begin);
	task_post(&h->begin);
	src_on_ready(&c->tcp.io.in, on_ready, h);
	sink_on_ready(&c->tcp.io.out, on_ready, h);
	return h;
}

void
handshake_check(struct weir_tls_handshake *h, bool (*check)(struct weir_tls *, struct weir_log *))
{
	h->check = check;
}

void
handshake_give_up(struct weir_tls_handshake *h)
{
	h->hopeless = true;
}

void
handshake_no_key(struct weir_tls_handshake *h)
{
	h->no_key = true;
}

void
handshake_log(SSL *ssl, enum weir_level level, const char *fmt, ...)
{
	struct weir_tls *t = layer_of(ssl);
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (t->handshake != NULL)
		log_at(&t->handshake->log, level, 0, "%s", text);
}

/* ---- the server that is meant ---- */

/* The name that the client asks for, in `to`; empty: none, or nonsense, which OpenSSL refuses. */
static struct weir_str
name_of(SSL *ssl, char *to)
{
	const unsigned char *p;
	uint8_t len;
	size_t n;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1 ||
	    hello_read_name(str_of((const char *)p, n), to, &len) != WEIR_OK)
		return STR_NONE;
	return str_of(to, len);
}

/* pqc_policy log */
static bool
tell_classical(struct weir_tls *t, struct weir_log *log)
{
	if (group_level(tls_curve(t->conn)) == 0)
		log_warnx(log, "the key exchange is classical (%s): it does not withstand quantum computers",
		    tls_curve(t->conn));
	return true;
}

/*
 * For SSL_set_msg_callback(): the client's first message, whole and before OpenSSL looks into it.  What a client answers to
 * a HelloRetryRequest is not looked at: it depends on us.
 */
static void
take_print(int ours, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	struct weir_tls *t = layer_of(ssl);
	struct weir_hello hello;

	(void)version, (void)arg;
	if (ours || type != SSL3_RT_HANDSHAKE)
		return;
	SSL_set_msg_callback(ssl, NULL);
	if (hello_parse(p, n, &hello) == NULL)
		t->fp = fp_new(&hello, FP_TLS);
}

/* It is known who comes, and where to: before anything is computed for him (ssl_fingerprint_deny). */
static bool
may_come(struct weir_tls_handshake *h, const struct weir_tls_fp *fp)
{
	struct weir_tls *t = h->t;
	const struct weir_fp_entry *e;

	if (!fp->on) {
		fp_unref(&t->fp);
		return true;
	}
	t->fp_db = fp->db;
	e = fp->deny != 0 ? fp_db_find(fp->db, t->fp) : NULL;
	if (e == NULL || !(e->class & fp->deny))
		return true;
	log_info(&h->log, "the client with the fingerprint %.*s is refused here: %.*s", STR_ARG(fp_ja4(t->fp)),
	    STR_ARG(fp_class_name(e->class)));
	h->denied = true;
	return false;
}

/* For a context's SSL_CTX_set_client_hello_cb(). */
int
handshake_on_hello(SSL *ssl, int *alert, void *arg)
{
	struct weir_tls *t = layer_of(ssl);
	struct weir_tls_handshake *h = t->handshake;
	const struct weir_tls_ctx *ctx;
	char name[HELLO_NAME_MAX];
	struct weir_str s;

	(void)arg;
	if (h == NULL)		/* renegotiation, which is switched off */
		return SSL_CLIENT_HELLO_ERROR;
	s = name_of(ssl, name);
	ctx = h->accept.find(t->conn, s, &t->owner);
	if (ctx == NULL) {
		log_info(&h->log, "the client asked for \"%.*s\", which is refused here", STR_ARG(s));
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_CLIENT_HELLO_ERROR;
	}
	if (t->fp != NULL && !may_come(h, &ctx->fp)) {
		*alert = SSL_AD_ACCESS_DENIED;
		return SSL_CLIENT_HELLO_ERROR;
	}
	if (ctx_apply(ctx, ssl) != WEIR_OK) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	t->record = ctx->record;
	if (ctx->tell_classical)
		handshake_check(h, tell_classical);
	return SSL_CLIENT_HELLO_SUCCESS;
}

/*
 * The name was dealt with, so that it is kept in the session; and a session that has just begun has the time
 * of the context that it began with, not yet of the one that was meant.
 */
int
handshake_on_name(SSL *ssl, int *alert, void *arg)
{
	(void)alert, (void)arg;
	if (!SSL_session_reused(ssl) && SSL_get_session(ssl) != NULL)
		SSL_SESSION_set_timeout(SSL_get_session(ssl), SSL_CTX_get_timeout(SSL_get_SSL_CTX(ssl)));
	return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != NULL ? SSL_TLSEXT_ERR_OK :
	    SSL_TLSEXT_ERR_NOACK;
}

/* For a context's SSL_CTX_set_alpn_select_cb(); it is called behind the one above. */
int
handshake_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *offered,
    unsigned offered_n, void *arg)
{
	struct weir_tls *t = layer_of(ssl);
	struct weir_tls_handshake *h = t->handshake;
	struct weir_str spoken;
	unsigned char *found;

	(void)arg;
	if (h == NULL || h->accept.alpn == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	spoken = h->accept.alpn(t->conn, t->owner);
	if (spoken.n == 0)
		return SSL_TLSEXT_ERR_NOACK;
	if (SSL_select_next_proto(&found, n, (const unsigned char *)spoken.p, (unsigned)spoken.n, offered,
	    offered_n) != OPENSSL_NPN_NEGOTIATED) {
		log_info(&h->log, "the client offers no protocol that is spoken here");
		return SSL_TLSEXT_ERR_ALERT_FATAL;	/* no_application_protocol (RFC 7301, 3.2) */
	}
	*out = found;
	return SSL_TLSEXT_ERR_OK;
}

void
tls_accept(struct weir_conn *c, const struct weir_tls_accept *a)
{
	struct weir_tls_handshake *h = handshake_begin(c, a->ctx, a->log, a->timeout_ms, a->done);

	h->server = true;
	h->early = a->ctx->early;
	h->accept = *a;
	if (h->t->ssl == NULL)
		return;
	SSL_set_accept_state(h->t->ssl);
	if (a->ctx->fp_anywhere != NULL && *a->ctx->fp_anywhere)
		SSL_set_msg_callback(h->t->ssl, take_print);
}
