/*
 * ocsp.c - are clients' certificates revoked?  Their authorities' responders know (RFC 6960).
 *
 * Asked is when the handshake is over, for one certificate of the chain after the other, and nothing is read of the client
 * meanwhile.  What cannot be learned counts against the client: nothing fails open.
 */
#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/shm/table.h"
#include "core/tls/ctx_ssl.h"
#include "core/tls/ocsp.h"
#include "core/tls/ocsp_judge.h"

enum { KEY = 32, KEEP_S = 3600 };	/* how long to believe what says no time */

struct conf {
	bool		 leaf;
	struct weir_ocsp_whom whom;	/* without a resolver */
	struct weir_table *cache;
};

struct weir_ocsp {
	SSL		*ssl;
	const struct conf *conf;
	struct weir_log *log;
	struct weir_resolver *resolver;
	uint64_t	 resolver_ms;
	STACK_OF(X509)	*chain;		/* the client's first */
	int		 at, end;	/* asked is about [at, end) */
	struct weir_ocsp_ask ask;
	void		(*done)(void *arg, enum weir_ocsp_result);
	void		*arg;
};

static int ex_index = -1;

static const struct conf *
asks_of(SSL *ssl)
{
	return ex_index >= 0 ? SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ex_index) : NULL;
}

const char *
ocsp_fault(enum weir_ocsp_result r)
{
	static const char *const words[] = {
		[OCSP_REVOKED] = "certificate revoked", [OCSP_UNKNOWN] = "certificate status unknown",
		[OCSP_FAILED] = "certificate status request failed",
	};

	return (size_t)r < WEIR_COUNT(words) ? words[r] : NULL;
}

/* ---- the chain ---- */

static STACK_OF(X509) *
build(SSL *ssl, X509 *cert, STACK_OF(X509) *others)
{
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	STACK_OF(X509) *chain = NULL;

	if (store != NULL && X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), cert, others) == 1 &&
	    X509_verify_cert(store) == 1)
		chain = X509_STORE_CTX_get1_chain(store);
	X509_STORE_CTX_free(store);
	ERR_clear_error();
	return chain;
}

/* Of a session that was resumed nobody has verified anything in this handshake. */
static STACK_OF(X509) *
chain_of(SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);

	return chain != NULL ? X509_chain_up_ref(chain) :
	    build(ssl, SSL_get0_peer_certificate(ssl), SSL_get_peer_cert_chain(ssl));
}

bool
ocsp_may_resume(SSL *ssl, const SSL_SESSION *session)
{
	X509 *cert = SSL_SESSION_get0_peer((SSL_SESSION *)(uintptr_t)session);
	STACK_OF(X509) *chain;

	if (asks_of(ssl) == NULL || cert == NULL)
		return true;
	chain = build(ssl, cert, NULL);
	OSSL_STACK_OF_X509_free(chain);
	return chain != NULL;
}

static SSL_TICKET_RETURN
on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *key, size_t n, SSL_TICKET_STATUS status, void *arg)
{
	(void)key, (void)n, (void)arg;
	if (status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW) {
		if (!ocsp_may_resume(ssl, session))
			return SSL_TICKET_RETURN_IGNORE_RENEW;
		return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
	}
	return SSL_TICKET_RETURN_IGNORE_RENEW;
}

/* ---- what is known ---- */

struct row {
	uint64_t until_ms;
	int32_t	 status;
};

/* Names the certificate and its issuer. */
static bool
key_of(X509 *cert, X509 *issuer, char *to)
{
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, cert, issuer);
	unsigned char *der = NULL;
	int n = id != NULL ? i2d_OCSP_CERTID(id, &der) : 0;
	bool ok = n > 0 && EVP_Digest(der, (size_t)n, (unsigned char *)to, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	OCSP_CERTID_free(id);
	return ok;
}

static bool
is_known(const struct weir_ocsp *o, X509 *cert, X509 *issuer, int *status)
{
	char key[KEY];
	struct row *row;

	if (o->conf->cache == NULL || !key_of(cert, issuer, key))
		return false;
	row = table_get(o->conf->cache, str_of(key, KEY), false);
	if (row == NULL)
		return false;
	*status = row->status;
	table_put(o->conf->cache, row, row->until_ms, ROW_PLAIN);
	return true;
}

static void
keep(const struct weir_ocsp *o, X509 *cert, X509 *issuer, const struct weir_ocsp_said *said)
{
	time_t now = (time_t)(weir_wall_ms / 1000), left = said->until != 0 ? said->until - now : KEEP_S;
	char key[KEY];
	struct row *row;

	if (o->conf->cache == NULL || left <= 0 || !key_of(cert, issuer, key))
		return;
	row = table_get(o->conf->cache, str_of(key, KEY), true);
	if (row == NULL)
		return;
	row->status = said->status;
	row->until_ms = weir_now_ms + (uint64_t)left * 1000;
	table_put(o->conf->cache, row, row->until_ms, ROW_PLAIN);
}

/* ---- asking ---- */

static enum weir_ocsp_result
result_of(int status)
{
	switch (status) {
	case V_OCSP_CERTSTATUS_GOOD: return OCSP_GOOD;
	case V_OCSP_CERTSTATUS_REVOKED: return OCSP_REVOKED;
	}
	return OCSP_UNKNOWN;
}

static void
complain(const struct weir_ocsp *o, const char *why)
{
	log_at(o->log, LOG_ERROR_, 0, "%s while requesting certificate status, responder: %.*s", why,
	    STR_ARG(o->ask.url.host));
}

static void on_answer(struct weir_ocsp_ask *, const unsigned char *, size_t);

/* WEIR_AGAIN: somebody was asked; else it is over, with *result. */
static int
go_on(struct weir_ocsp *o, enum weir_ocsp_result *result)
{
	struct weir_ocsp_whom whom = o->conf->whom;

	whom.resolver = o->resolver;
	whom.resolver_ms = o->resolver_ms;
	*result = OCSP_GOOD;
	for (; o->at < o->end && *result == OCSP_GOOD; o->at++) {
		X509 *cert = sk_X509_value(o->chain, o->at), *issuer = sk_X509_value(o->chain, o->at + 1);
		int status;

		if (is_known(o, cert, issuer, &status)) {
			*result = result_of(status);
			continue;
		}
		if (ocsp_ask_start(&o->ask, &whom, cert, issuer, on_answer) == WEIR_OK)
			return WEIR_AGAIN;
		complain(o, o->ask.why);
		*result = OCSP_FAILED;
	}
	return WEIR_OK;
}

static void
free_all(struct weir_ocsp *o)
{
	OSSL_STACK_OF_X509_free(o->chain);
	mem_free(o);
}

static enum weir_ocsp_result
judge(struct weir_ocsp *o, const unsigned char *der, size_t n)
{
	X509 *cert = sk_X509_value(o->chain, o->at), *issuer = sk_X509_value(o->chain, o->at + 1);
	OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &der, (long)n);
	const char *why = "the response is not understood";
	struct weir_ocsp_said said;

	if (r != NULL)
		why = ocsp_judge(r, cert, issuer, &said);
	OCSP_RESPONSE_free(r);
	ERR_clear_error();
	if (why != NULL) {
		complain(o, why);
		return OCSP_FAILED;
	}
	keep(o, cert, issuer, &said);
	return result_of(said.status);
}

static void
on_answer(struct weir_ocsp_ask *a, const unsigned char *der, size_t n)
{
	struct weir_ocsp *o = WEIR_OF(a, struct weir_ocsp, ask);
	void (*done)(void *, enum weir_ocsp_result) = o->done;
	enum weir_ocsp_result result = OCSP_FAILED;
	void *arg = o->arg;

	if (der != NULL)
		result = judge(o, der, n);
	else
		complain(o, a->why);
	o->at++;
	if (result == OCSP_GOOD && go_on(o, &result) == WEIR_AGAIN)
		return;
	free_all(o);
	done(arg, result);
}

struct weir_ocsp *
ocsp_start(SSL *ssl, struct weir_log *log, struct weir_resolver *resolver, uint64_t resolver_ms,
    enum weir_ocsp_result *result, void (*done)(void *, enum weir_ocsp_result), void *arg)
{
	const struct conf *conf = asks_of(ssl);
	struct weir_ocsp *o;

	*result = OCSP_NONE;
	if (conf == NULL || SSL_get0_peer_certificate(ssl) == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
		return NULL;
	o = mem_zalloc(sizeof *o);
	o->ssl = ssl;
	o->conf = conf;
	o->log = log;
	o->resolver = resolver;
	o->resolver_ms = resolver_ms;
	o->done = done;
	o->arg = arg;
	o->chain = chain_of(ssl);
	if (o->chain == NULL) {
		complain(o, "no chain of certificates");
		*result = OCSP_FAILED;
	} else {
		o->end = sk_X509_num(o->chain) - 1;	/* nobody is asked about a root */
		if (conf->leaf && o->end > 1)
			o->end = 1;
		if (go_on(o, result) == WEIR_AGAIN)
			return o;
	}
	free_all(o);
	return NULL;
}

void
ocsp_cancel(struct weir_ocsp *o)
{
	ocsp_ask_cancel(&o->ask);
	free_all(o);
}

/* ---- configuration ---- */

struct weir_table *
ocsp_cache_declare(struct weir_conf *cf, struct weir_str name, uint64_t size, const char **why)
{
	struct weir_table_want want = {
		.name = name, .size = size, .kind = "ssl_ocsp_cache", .version = 1, .row = sizeof(struct row), .key_max = KEY,
	};

	return table_declare(cf->zones, &want, why);
}

int
ocsp_use(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_node *place, const struct weir_tls_opts *o)
{
	struct conf *c;

	/* OpenSSL asks the context that a connection began with, which may be another server's */
	if (SSL_CTX_set_session_ticket_cb(ssl, NULL, on_ticket, NULL) != 1)
		return conf_error(cf, place, 0, "no memory");
	if (o->ocsp == ASK_NONE)
		return WEIR_OK;
	if (o->verify == VERIFY_OPTIONAL_NO_CA)
		return conf_error(cf, place, 0, "\"ssl_ocsp\" is incompatible with \"ssl_verify_client optional_no_ca\"");
	if (ex_index < 0)
		ex_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	c = POOL_NEW(cf->pool, conf);
	c->leaf = o->ocsp == ASK_LEAF;
	c->cache = o->ocsp_cache;
	SSL_CTX_set_ex_data(ssl, ex_index, c);
	return o->responder.s.n != 0 ? ocsp_whom(cf, &o->responder, &c->whom) : WEIR_OK;
}
