/*
 * secure.c - what the TLS of a connection means for its requests.
 */
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "core/tls/groups.h"
#include "core/tls/server_conf.h"
#include "http/req/secure.h"

/* Errors that only say that nobody vouches for the certificate. */
static bool
is_no_ca(long result)
{
	return result == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
	    result == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
	    result == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || result == X509_V_ERR_CERT_UNTRUSTED ||
	    result == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

static int
judge_client(struct weir_req *r, enum weir_tls_verify how, const char **why)
{
	SSL *ssl = tls_ssl(r->s.conn);
	long result = SSL_get_verify_result(ssl);
	const char *fault = tls_client_fault(r->s.conn);

	if (result != X509_V_OK && !(how == VERIFY_OPTIONAL_NO_CA && is_no_ca(result))) {
		log_info(&r->s.log, "client SSL certificate verify error: (%ld:%s)", result,
		    X509_verify_cert_error_string(result));
		*why = "its certificate was not accepted";
		return 495;
	}
	if (result == X509_V_OK && fault != NULL) {
		log_info(&r->s.log, "client SSL certificate verify error: %s", fault);
		*why = "its certificate was not accepted";
		return 495;
	}
	if (how == VERIFY_ON && SSL_get0_peer_certificate(ssl) == NULL) {
		*why = "client sent no required SSL certificate";
		return 496;
	}
	return 0;
}

/*
 * May a request for one server come by a handshake that was made with another?  Not where either asks for
 * certificates: what the client showed was judged by other rules, or not at all (S-125).
 */
static bool
is_misdirected(const struct weir_req *r, const struct weir_tls_ctx *ctx)
{
	const struct weir_http_server *met = tls_owner(r->s.conn);
	const struct weir_tls_ctx *by;

	if (met == NULL || met == r->server)
		return false;
	by = route_tls_of(r->s.conn->from, met);
	return by != ctx && (tls_ctx_verify(ctx) != VERIFY_OFF || tls_ctx_verify(by) != VERIFY_OFF);
}

/* Also where the handshake was made with another server, whose policy is another (S-123). */
static int
judge_exchange(const struct weir_req *r, const struct weir_tls_ctx *ctx, const char **why)
{
	int status;
	unsigned level = tls_ctx_level(ctx, &status);

	if (likely(level == 0) || group_level(tls_curve(r->s.conn)) >= level)
		return 0;
	*why = "the key exchange of its connection is weaker than pqc_policy requires";
	return status;
}

int
secure_judge(struct weir_req *r, const char **why)
{
	const struct weir_tls_ctx *ctx;
	int status;

	if (likely(!conn_is_tls(r->s.conn))) {
		if (!(r->s.conn->flags & CONN_NOT_TLS))
			return 0;
		*why = "client sent plain HTTP request to HTTPS port";
		return 497;
	}
	ctx = route_tls_of(r->s.conn->from, r->server);
	if (is_misdirected(r, ctx)) {
		*why = "client attempted to request the server name different from the one that was negotiated";
		return 421;
	}
	status = judge_exchange(r, ctx, why);
	if (status != 0)
		return status;
	return tls_ctx_verify(ctx) != VERIFY_OFF ? judge_client(r, tls_ctx_verify(ctx), why) : 0;
}

const char *
secure_text(int status)
{
	switch (status) {
	case 495: return "The SSL certificate error";
	case 496: return "No required SSL certificate was sent";
	case 497: return "The plain HTTP request was sent to HTTPS port";
	}
	return NULL;
}
