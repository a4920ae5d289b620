/*
 * client.c - connections to servers: whom we want, whether it is them, and sessions to resume.
 */
#include <arpa/inet.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/tls/ctx_ssl.h"
#include "core/tls/layer.h"

enum { SESSIONS = 4, NAME_ROOM = 256 };

/* ---- sessions ---- */

struct weir_tls_sessions {
	struct { uint64_t key; SSL_SESSION *session; } v[SESSIONS];
	unsigned	 next;		/* the oldest */
};

void
tls_sessions_free(struct weir_tls_sessions **slot)
{
	struct weir_tls_sessions *all = *slot;

	*slot = NULL;
	if (all == NULL)
		return;
	for (unsigned i = 0; i < SESSIONS; i++)
		SSL_SESSION_free(all->v[i].session);
	mem_free(all);
}

static uint64_t
key_of(const struct weir_tls_connect *a)
{
	char b[NAME_ROOM + sizeof(void *) + 2];
	size_t n = WEIR_MIN(a->name.n, (size_t)NAME_ROOM);

	memcpy(b, &a->ctx, sizeof a->ctx);
	b[sizeof a->ctx] = a->sni;
	b[sizeof a->ctx + 1] = a->verify;
	memcpy(b + sizeof a->ctx + 2, a->name.p, n);
	return siphash(b, sizeof a->ctx + 2 + n);
}

static SSL_SESSION *
find(struct weir_tls_sessions *all, uint64_t key)
{
	for (unsigned i = 0; all != NULL && i < SESSIONS; i++)
		if (all->v[i].session != NULL && all->v[i].key == key)
			return all->v[i].session;
	return NULL;
}

/* 1: the reference is ours now. */
int
client_on_session(SSL *ssl, SSL_SESSION *session)
{
	struct weir_tls *t = layer_of(ssl);
	struct weir_tls_sessions *all;
	unsigned at;

	if (t->sessions == NULL || !SSL_SESSION_is_resumable(session))
		return 0;
	if (*t->sessions == NULL)
		*t->sessions = mem_zalloc(sizeof **t->sessions);
	all = *t->sessions;
	for (at = 0; at < SESSIONS; at++)
		if (all->v[at].session != NULL && all->v[at].key == t->session_key)
			break;
	if (at == SESSIONS) {
		at = all->next;
		all->next = (all->next + 1) % SESSIONS;
	}
	SSL_SESSION_free(all->v[at].session);
	all->v[at].session = session;
	all->v[at].key = t->session_key;
	return 1;
}

/* ---- whom we want ---- */

static bool
is_address(const char *name)
{
	struct in6_addr a;

	return inet_pton(AF_INET, name, &a) == 1 || inet_pton(AF_INET6, name, &a) == 1;
}

/* False: no memory.  Then nobody may be connected to: it would be anybody. */
static bool
want_name(SSL *ssl, const struct weir_tls_connect *a)
{
	char name[NAME_ROOM];
	size_t n = a->name.n;

	if (n >= sizeof name || n == 0) {
		layer_of(ssl)->nameless = true;
		return true;
	}
	memcpy(name, a->name.p, n);
	name[n] = '\0';
	if (is_address(name))
		return !a->verify || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	if (a->sni && SSL_set_tlsext_host_name(ssl, name) != 1)
		return false;
	if (!a->verify)
		return true;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1;
}

/*
 * Once more whether it is who we want: OpenSSL 3.5 verifies without the name when there is no memory to copy it
 * (ssl_verify_cert_chain()), and calls that right.
 */
static bool
is_wanted(SSL *ssl, X509 *x)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	const char *name = X509_VERIFY_PARAM_get0_host(param, 0);
	char *ip;
	bool ok;

	if (name != NULL)
		return X509_check_host(x, name, 0, X509_VERIFY_PARAM_get_hostflags(param), NULL) == 1;
	ip = X509_VERIFY_PARAM_get1_ip_asc(param);
	ok = ip != NULL && X509_check_ip_asc(x, ip, 0) == 1;
	OPENSSL_free(ip);
	return ok;
}

/* With a name that cannot be asked for (empty, too long) nobody is who we want. */
static bool
judge(struct weir_tls *t, struct weir_log *log)
{
	long result = SSL_get_verify_result(t->ssl);
	X509 *x = SSL_get0_peer_certificate(t->ssl);

	if (x == NULL) {
		log_errorx(log, "upstream sent no certificate");
		return false;
	}
	if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH) {
		log_errorx(log, "upstream SSL certificate does not match the name that was asked for");
		return false;
	}
	if (result != X509_V_OK) {
		log_errorx(log, "upstream SSL certificate verify error: (%ld:%s)", result,
		    X509_verify_cert_error_string(result));
		return false;
	}
	if (t->nameless) {
		log_errorx(log, "there is no name to verify the upstream's certificate for");
		return false;
	}
	if (!is_wanted(t->ssl, x)) {
		log_errorx(log, "upstream SSL certificate could not be compared with the name that was asked for");
		return false;
	}
	return true;
}

/* SSL_set_alpn_protos() says 0 when it went well. */
static bool
say_alpn(SSL *ssl, const struct weir_tls_connect *a)
{
	unsigned char wire[32];
	size_t n;

	if (a->alpns.n != 0)
		return SSL_set_alpn_protos(ssl, (const unsigned char *)a->alpns.p, (unsigned)a->alpns.n) == 0;
	if (a->alpn == NULL)
		return true;
	n = strlen(a->alpn);
	assert(n < sizeof wire);
	wire[0] = (unsigned char)n;
	memcpy(wire + 1, a->alpn, n);
	return SSL_set_alpn_protos(ssl, wire, (unsigned)n + 1) == 0;
}

void
tls_connect(struct weir_conn *c, const struct weir_tls_connect *a)
{
	struct weir_tls_handshake *h = handshake_begin(c, a->ctx, a->log, a->timeout_ms, a->done);
	struct weir_tls *t = tls_of(c);
	SSL_SESSION *session;

	if (t->ssl == NULL)
		return;
	SSL_set_connect_state(t->ssl);
	if (!want_name(t->ssl, a) || !say_alpn(t->ssl, a)) {
		handshake_give_up(h);
		return;
	}
	if (a->shown != NULL) {
		/* a session would tell the server who we were when it began */
		if (!dynamic_apply(a->ctx, t->ssl, a->shown)) {
			handshake_no_key(h);
			return;
		}
	} else {
		t->sessions = a->sessions;
	}
	t->session_key = key_of(a);
	session = t->sessions != NULL ? find(*a->sessions, t->session_key) : NULL;
	if (session != NULL)
		SSL_set_session(t->ssl, session);
	if (a->verify)
		handshake_check(h, judge);
	ERR_clear_error();
}
