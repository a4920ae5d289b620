/*
 * ocsp_judge.h - is a response of an OCSP responder (RFC 6960) to be believed, and what does it say?
 */
#ifndef WEIR_TLS_OCSP_JUDGE_H
#define WEIR_TLS_OCSP_JUDGE_H

#include <openssl/ocsp.h>

struct weir_ocsp_said {
	int	 status;	/* V_OCSP_CERTSTATUS_... */
	time_t	 until;		/* 0: it does not say */
};

/*
 * NULL: it is about the certificate, signed by its issuer or by whom the issuer has told to, and valid now.  Else what is
 * wrong with it; then `*said` means nothing.
 */
const char *ocsp_judge(OCSP_RESPONSE *, X509 *cert, X509 *issuer, struct weir_ocsp_said *said);

/*
 * Who has signed a certificate: one of the chain (NULL: there is none), or of what the store trusts, or itself; a reference of
 * the caller's.  NULL: nobody knows.
 */
X509	*ocsp_issuer(STACK_OF(X509) *chain, X509_STORE *, X509 *cert);

#endif
