/*
 * judge.c - what a finished handshake means for who is to be served by it.
 */
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "core/tls/groups.h"
#include "core/tls/judge.h"

/* Errors that only say that nobody vouches for the certificate. */
static bool
is_no_ca(long result)
{
	return result == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
	    result == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
	    result == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || result == X509_V_ERR_CERT_UNTRUSTED ||
	    result == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

enum weir_tls_client
tls_judge_client(const struct weir_conn *c, enum weir_tls_verify how, struct weir_log *log)
{
	SSL *ssl = tls_ssl(c);
	long result;
	const char *fault;

	if (how == VERIFY_OFF)
		return TLS_CLIENT_FINE;
	result = SSL_get_verify_result(ssl);
	fault = tls_client_fault(c);
	if (result != X509_V_OK && !(how == VERIFY_OPTIONAL_NO_CA && is_no_ca(result))) {
		log_info(log, "client SSL certificate verify error: (%ld:%s)", result,
		    X509_verify_cert_error_string(result));
		return TLS_CLIENT_BAD;
	}
	if (result == X509_V_OK && fault != NULL) {
		log_info(log, "client SSL certificate verify error: %s", fault);
		return TLS_CLIENT_BAD;
	}
	return how == VERIFY_ON && SSL_get0_peer_certificate(ssl) == NULL ? TLS_CLIENT_NONE : TLS_CLIENT_FINE;
}

int
tls_judge_exchange(const struct weir_conn *c, const struct weir_tls_ctx *ctx)
{
	int status;
	unsigned level = tls_ctx_level(ctx, &status);

	return likely(level == 0) || group_level(tls_curve(c)) >= level ? 0 : status;
}
