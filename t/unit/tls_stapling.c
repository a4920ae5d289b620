/* unit: src/core/tls/stapling.c */
#include "unit.h"

#include <openssl/evp.h>

#include "core/tls/stapling.c"

/* A response goes with its own certificate, and not after its time. */
static void
test_status(void **state)
{
	struct staple	 s = { .der = (unsigned char *)(uintptr_t)"response", .n = 8 };
	EVP_PKEY	*key = EVP_EC_gen("P-256");
	X509		*x = X509_new();
	SSL_CTX		*ctx = SSL_CTX_new(TLS_server_method());
	SSL		*ssl;
	unsigned char	*got;

	(void)state;
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
	ssl = SSL_new(ctx);
	s.serial = ASN1_INTEGER_new();
	ASN1_INTEGER_set(s.serial, 7);

	weir_wall_ms = 1000000;
	assert_int_equal(on_status(ssl, &s), SSL_TLSEXT_ERR_OK);
	assert_int_equal(SSL_get_tlsext_status_ocsp_resp(ssl, &got), 8);
	assert_memory_equal(got, "response", 8);
	s.until = 1000;
	assert_int_equal(on_status(ssl, &s), SSL_TLSEXT_ERR_OK);
	weir_wall_ms = 1001000;
	assert_int_equal(on_status(ssl, &s), SSL_TLSEXT_ERR_NOACK);
	s.until = 2000;
	assert_int_equal(on_status(ssl, &s), SSL_TLSEXT_ERR_OK);
	ASN1_INTEGER_set(s.serial, 8);
	assert_int_equal(on_status(ssl, &s), SSL_TLSEXT_ERR_NOACK);

	ASN1_INTEGER_free(s.serial);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	X509_free(x);
	EVP_PKEY_free(key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
	};

	return RUN(tests);
}
