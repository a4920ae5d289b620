/*
 * stapling.c - OCSP responses that are sent with the certificate, from a file.
 */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "core/base/clock.h"
#include "core/tls/ctx_ssl.h"
#include "core/tls/ocsp_judge.h"
#include "core/tls/stapling.h"

struct staple {
	unsigned char	*der;
	int		 n;
	ASN1_INTEGER	*serial;	/* whose it is */
	time_t		 until;		/* 0: it does not say */
};

static int
on_status(SSL *ssl, void *arg)
{
	const struct staple *s = arg;
	const X509 *x = SSL_get_certificate(ssl);
	unsigned char *copy;

	if (x == NULL || ASN1_INTEGER_cmp(X509_get0_serialNumber(x), s->serial) != 0 ||
	    (s->until != 0 && (time_t)(weir_wall_ms / 1000) > s->until))
		return SSL_TLSEXT_ERR_NOACK;
	copy = OPENSSL_memdup(s->der, (size_t)s->n);
	if (copy == NULL || SSL_set_tlsext_status_ocsp_resp(ssl, copy, s->n) != 1) {
		OPENSSL_free(copy);
		return SSL_TLSEXT_ERR_NOACK;
	}
	return SSL_TLSEXT_ERR_OK;
}

static void
staple_free(void *arg)
{
	struct staple *s = arg;

	OPENSSL_free(s->der);
	ASN1_INTEGER_free(s->serial);
}

/* What a client would have against it; NULL: nothing.  Looks at the context's current certificate. */
static const char *
judge(OCSP_RESPONSE *r, SSL_CTX *ssl, struct staple *to)
{
	X509 *x = SSL_CTX_get0_certificate(ssl), *issuer;
	STACK_OF(X509) *chain = NULL;
	struct weir_ocsp_said said;
	const char *why;

	SSL_CTX_get0_chain_certs(ssl, &chain);
	issuer = ocsp_issuer(chain, SSL_CTX_get_cert_store(ssl), x);
	if (issuer == NULL)
		return "the issuer's certificate is neither behind the server's nor in ssl_trusted_certificate";
	why = ocsp_judge(r, x, issuer, &said);
	X509_free(issuer);
	if (why != NULL)
		return why;
	to->serial = ASN1_INTEGER_dup(X509_get0_serialNumber(x));
	to->until = said.until;
	return NULL;
}

/* The certificate that it is about, of those that the context has. */
static const char *
find_owner(OCSP_RESPONSE *r, SSL_CTX *ssl, struct staple *to)
{
	const char *why = "there is no certificate";

	for (int more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST); more == 1;
	    more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_NEXT)) {
		why = judge(r, ssl, to);
		if (why == NULL)
			break;
	}
	return why;
}

static OCSP_RESPONSE *
read_file(const char *path)
{
	BIO *b = BIO_new_file(path, "r");
	OCSP_RESPONSE *r = b != NULL ? d2i_OCSP_RESPONSE_bio(b, NULL) : NULL;

	BIO_free(b);
	return r;
}

int
stapling_use(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_word *file)
{
	OCSP_RESPONSE *r = read_file(file->s.p);
	struct staple *s = POOL_NEW(cf->pool, staple);
	const char *why;

	if (r == NULL)
		return ctx_error(cf, file, "cannot load an OCSP response from");
	why = find_owner(r, ssl, s);
	if (why == NULL)
		s->n = i2d_OCSP_RESPONSE(r, &s->der);
	OCSP_RESPONSE_free(r);
	ERR_clear_error();
	pool_on_free(cf->pool, staple_free, s);
	if (why != NULL)
		return conf_warn(cf, file->node, file->w, "the OCSP response in \"%s\" is not sent: %s", file->s.p, why);
	SSL_CTX_set_tlsext_status_cb(ssl, on_status);
	SSL_CTX_set_tlsext_status_arg(ssl, s);
	return WEIR_OK;
}

/* The feature status_request (RFC 7633). */
static bool
must_staple(const X509 *x)
{
	TLS_FEATURE *all = X509_get_ext_d2i(x, NID_tlsfeature, NULL, NULL);
	bool must = false;

	for (int i = 0; i < sk_ASN1_INTEGER_num(all); i++)
		must |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(all, i)) == TLSEXT_TYPE_status_request;
	sk_ASN1_INTEGER_pop_free(all, ASN1_INTEGER_free);
	return must;
}

void
stapling_missing(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_word *w)
{
	bool must = false;

	for (int more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST); more == 1;
	    more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_NEXT))
		must |= must_staple(SSL_CTX_get0_certificate(ssl));
	ERR_clear_error();
	if (must)
		conf_warn(cf, w->node, w->w, "the certificate must come with an OCSP response (ssl_stapling): clients refuse it "
		    "without");
}
