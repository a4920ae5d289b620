/*
 * ocsp_judge.c - whether to believe a response of an OCSP responder, and who may speak of a certificate.
 *
 * A certificate that came with the response may have signed it only if the issuer itself signed that one, for this use:
 * the trust that a server has in other authorities does not count (RFC 6960, 4.2.2.2).
 */
#include <openssl/err.h>

#include "core/tls/ocsp_judge.h"

enum { SKEW_S = 300 };

/* By the issuer, or by whom it has told to. */
static int
is_signed(OCSP_BASICRESP *basic, X509 *issuer)
{
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509) *certs = sk_X509_new_null();
	int ok = 0;

	if (store != NULL && certs != NULL && X509_STORE_add_cert(store, issuer) == 1 &&
	    sk_X509_push(certs, issuer) > 0) {
		X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
		ok = OCSP_basic_verify(basic, certs, store, 0) == 1;
	}
	sk_X509_free(certs);
	X509_STORE_free(store);
	return ok;
}

static const char *
judge(OCSP_BASICRESP *basic, X509 *cert, X509 *issuer, struct weir_ocsp_said *said)
{
	ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, cert, issuer);
	int found = id != NULL ? OCSP_resp_find_status(basic, id, &said->status, NULL, NULL, &from, &until) : 0;
	struct tm tm;

	OCSP_CERTID_free(id);
	if (found != 1)
		return "it is about another certificate";
	if (!is_signed(basic, issuer))
		return "the signature is not the issuer's";
	if (OCSP_check_validity(from, until, SKEW_S, -1) != 1)
		return "it is not valid now";
	said->until = until != NULL && ASN1_TIME_to_tm(until, &tm) == 1 ? timegm(&tm) : 0;
	return NULL;
}

const char *
ocsp_judge(OCSP_RESPONSE *r, X509 *cert, X509 *issuer, struct weir_ocsp_said *said)
{
	OCSP_BASICRESP *basic;
	const char *why;

	if (OCSP_response_status(r) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		return "the responder refused to answer";
	basic = OCSP_response_get1_basic(r);
	why = basic != NULL ? judge(basic, cert, issuer, said) : "it is of an unknown kind";
	OCSP_BASICRESP_free(basic);
	ERR_clear_error();
	return why;
}

static X509 *
trusted_issuer(X509_STORE *store, X509 *cert)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509 *issuer = NULL;

	if (ctx == NULL || X509_STORE_CTX_init(ctx, store, NULL, NULL) != 1 ||
	    X509_STORE_CTX_get1_issuer(&issuer, ctx, cert) != 1)
		issuer = NULL;
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return issuer;
}

X509 *
ocsp_issuer(STACK_OF(X509) *chain, X509_STORE *store, X509 *cert)
{
	X509 *issuer = NULL;

	for (int i = 0; i < sk_X509_num(chain) && issuer == NULL; i++)
		if (X509_check_issued(sk_X509_value(chain, i), cert) == X509_V_OK)
			issuer = sk_X509_value(chain, i);
	if (issuer == NULL && X509_check_issued(cert, cert) == X509_V_OK)
		issuer = cert;
	if (issuer != NULL)
		return X509_up_ref(issuer) == 1 ? issuer : NULL;
	return trusted_issuer(store, cert);
}
