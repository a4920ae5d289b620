/*
 * staple_ask.c - OCSP responses that are sent with the certificate, fetched from its responder.
 *
 * Each worker asks when the first client wants to know, which does not wait for it, and again an hour later, or
 * five minutes before the time of the response is over.  What cannot be believed is not sent; then the last good one is, for
 * as long as it is valid, and after five minutes it is tried again.  A certificate that ssl_certificate_watch has changed
 * is another one, of which nothing is known yet.
 */
#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/tls/layer.h"
#include "core/tls/ocsp_ask.h"
#include "core/tls/ocsp_judge.h"
#include "core/tls/stapling.h"

enum { CERTS = 16, AGAIN_MS = 300000, AFTER_MS = 3600000 };

struct staple {
	struct weir_list node;		/* the one found last is first */
	const struct source *of;
	X509		*cert, *issuer;
	unsigned char	*der;
	size_t		 n;
	time_t		 until;		/* 0: it does not say */
	uint64_t	 refresh_ms;
	bool		 asking;
	struct weir_ocsp_ask ask;
};

/* Of a context. */
struct source {
	struct weir_ocsp_whom whom;	/* without a resolver */
	struct weir_list all;
	unsigned	 n;
};

static time_t
now(void)
{
	return (time_t)(weir_wall_ms / 1000);
}

/* ---- certificates ---- */

static void
staple_free(struct source *from, struct staple *s)
{
	list_remove(&s->node);
	from->n--;
	if (s->asking)
		ocsp_ask_cancel(&s->ask);
	X509_free(s->cert);
	X509_free(s->issuer);
	OPENSSL_free(s->der);
	mem_free(s);
}

static struct staple *
staple_new(struct source *from, SSL *ssl, X509 *cert)
{
	STACK_OF(X509) *chain = NULL;
	struct staple *s;

	SSL_get0_chain_certs(ssl, &chain);
	s = mem_zalloc(sizeof *s);
	s->of = from;
	s->cert = cert;
	X509_up_ref(cert);
	s->issuer = ocsp_issuer(chain, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), cert);
	if (from->n == CERTS)
		staple_free(from, list_last(&from->all, struct staple, node));
	list_push(&from->all, &s->node);
	from->n++;
	return s;
}

static struct staple *
staple_of(struct source *from, SSL *ssl, X509 *cert)
{
	struct weir_list *at;

	list_each(at, &from->all) {
		struct staple *s = WEIR_OF(at, struct staple, node);

		if (s->cert != cert && X509_cmp(s->cert, cert) != 0)
			continue;
		list_remove(at);
		list_push(&from->all, at);
		return s;
	}
	return staple_new(from, ssl, cert);
}

/* ---- asking ---- */

static void
complain(const struct staple *s, const char *why)
{
	char name[256];

	X509_NAME_oneline(X509_get_subject_name(s->cert), name, sizeof name);
	log_errorx(weir_log, "%s while requesting certificate status, responder: %.*s, certificate: \"%s\"", why,
	    STR_ARG(s->ask.url.host), name);
}

/* NULL, or why it is not sent. */
static const char *
take(struct staple *s, const unsigned char *der, size_t n)
{
	const unsigned char *p = der;
	OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, (long)n);
	struct weir_ocsp_said said;
	const char *why = "the response is not understood";

	if (r != NULL)
		why = ocsp_judge(r, s->cert, s->issuer, &said);
	OCSP_RESPONSE_free(r);
	ERR_clear_error();
	if (why != NULL)
		return why;
	if (said.status != V_OCSP_CERTSTATUS_GOOD)
		return said.status == V_OCSP_CERTSTATUS_REVOKED ? "certificate status \"revoked\" in the OCSP response" :
		    "certificate status \"unknown\" in the OCSP response";
	OPENSSL_free(s->der);
	s->der = OPENSSL_memdup(der, (size_t)(p - der));
	s->n = (size_t)(p - der);
	s->until = said.until;
	s->refresh_ms = weir_now_ms + AFTER_MS;
	if (s->until != 0 && s->until - now() < (AFTER_MS + AGAIN_MS) / 1000)
		s->refresh_ms = weir_now_ms + (uint64_t)WEIR_MAX((int64_t)(s->until - now()) * 1000 - AGAIN_MS, (int64_t)AGAIN_MS);
	return NULL;
}

static void
on_answer(struct weir_ocsp_ask *a, const unsigned char *der, size_t n)
{
	struct staple *s = WEIR_OF(a, struct staple, ask);
	const char *why = der != NULL ? take(s, der, n) : a->why;

	s->asking = false;
	if (why != NULL)
		complain(s, why);
}

static void
ask(struct staple *s, SSL *ssl)
{
	struct weir_ocsp_whom whom = s->of->whom;

	whom.resolver = handshake_resolver(ssl, &whom.resolver_ms);
	s->refresh_ms = weir_now_ms + AGAIN_MS;
	s->asking = ocsp_ask_start(&s->ask, &whom, s->cert, s->issuer, on_answer) == WEIR_OK;
	if (!s->asking)
		complain(s, s->ask.why);
}

static void
expire(struct staple *s)
{
	if (s->der == NULL || s->until == 0 || now() <= s->until)
		return;
	OPENSSL_free(s->der);
	s->der = NULL;
	s->refresh_ms = 0;
}

/* For SSL_CTX_set_tlsext_status_cb(). */
static int
on_status(SSL *ssl, void *arg)
{
	X509 *cert = SSL_get_certificate(ssl);
	struct staple *s = cert != NULL ? staple_of(arg, ssl, cert) : NULL;
	unsigned char *copy = NULL;

	if (s == NULL || s->issuer == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	expire(s);
	if (s->der != NULL)
		copy = OPENSSL_memdup(s->der, s->n);
	if (!s->asking && weir_now_ms >= s->refresh_ms)
		ask(s, ssl);
	if (copy == NULL || SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)s->n) != 1) {
		OPENSSL_free(copy);
		return SSL_TLSEXT_ERR_NOACK;
	}
	return SSL_TLSEXT_ERR_OK;
}

/* ---- configuration ---- */

static void
forget(void *arg)
{
	struct source *from = arg;

	while (!list_empty(&from->all))
		staple_free(from, list_first(&from->all, struct staple, node));
}

/* Of the context's current certificate: NULL, or why nobody will be asked. */
static const char *
obstacle(SSL_CTX *ssl, const struct source *from)
{
	X509 *cert = SSL_CTX_get0_certificate(ssl), *issuer;
	STACK_OF(X509) *chain = NULL;
	STACK_OF(OPENSSL_STRING) *urls;
	int n;

	SSL_CTX_get0_chain_certs(ssl, &chain);
	issuer = ocsp_issuer(chain, SSL_CTX_get_cert_store(ssl), cert);
	X509_free(issuer);
	if (issuer == NULL)
		return "issuer certificate not found";
	urls = X509_get1_ocsp(cert);
	n = sk_OPENSSL_STRING_num(urls);
	X509_email_free(urls);
	return n > 0 || from->whom.url.n != 0 ? NULL : "no OCSP responder URL in the certificate";
}

int
stapling_ask(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_opts *o)
{
	const struct weir_tls_word *w = &o->certificates.v[0];
	struct source *from = POOL_NEW(cf->pool, source);
	bool any = false;

	if (o->staple_responder.s.n != 0 && ocsp_whom(cf, &o->staple_responder, &from->whom) != WEIR_OK)
		return WEIR_FAIL;
	for (int more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST); more == 1;
	    more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_NEXT)) {
		const char *why = obstacle(ssl, from);

		any |= why == NULL;
		if (why != NULL && o->stapling == STAPLE_ON)
			conf_warn(cf, w->node, w->w, "\"ssl_stapling\" ignored, %s", why);
	}
	ERR_clear_error();
	if (!any && !o->watch)
		return WEIR_OK;
	list_init(&from->all);
	pool_on_free(cf->pool, forget, from);
	SSL_CTX_set_tlsext_status_cb(ssl, on_status);
	SSL_CTX_set_tlsext_status_arg(ssl, from);
	return WEIR_OK;
}
