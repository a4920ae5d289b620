/* unit: src/core/tls/ocsp_judge.c */
#include "unit.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "core/tls/ocsp_judge.c"

struct who {
	X509	 *x;
	EVP_PKEY *key;
};

static struct who root, stranger, client, signer, neighbour;

static struct who
make(const char *name, long serial, const struct who *by, const char *usage)
{
	struct who w = { .x = X509_new(), .key = EVP_EC_gen("P-256") };
	X509_NAME *n = X509_get_subject_name(w.x);

	if (by == NULL)
		by = &w;
	X509_set_version(w.x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(w.x), serial);
	X509_gmtime_adj(X509_getm_notBefore(w.x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(w.x), 3600);
	X509_set_pubkey(w.x, w.key);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(w.x, by == &w ? n : X509_get_subject_name(by->x));
	X509_add1_ext_i2d(w.x, NID_basic_constraints, &(BASIC_CONSTRAINTS){ .ca = by == &w ? 0xff : 0 }, 1, X509V3_ADD_DEFAULT);
	if (usage != NULL) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, usage);

		X509_add_ext(w.x, e, -1);
		X509_EXTENSION_free(e);
	}
	assert_true(X509_sign(w.x, by->key, EVP_sha256()) > 0);
	return w;
}

/* Times in seconds from now; `to` NO_END: it says none. */
enum { NO_END = 1 << 30 };

static const char *
verdict(const struct who *about, const struct who *by, int status, long from, long to, struct weir_ocsp_said *said)
{
	OCSP_BASICRESP *b = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, about->x, root.x);
	ASN1_TIME *begins = X509_gmtime_adj(NULL, from), *ends = to != NO_END ? X509_gmtime_adj(NULL, to) : NULL;
	ASN1_TIME *revoked = status == V_OCSP_CERTSTATUS_REVOKED ? begins : NULL;
	OCSP_RESPONSE *r;
	const char *why;

	assert_non_null(OCSP_basic_add1_status(b, id, status, 0, revoked, begins, ends));
	assert_int_equal(OCSP_basic_sign(b, by->x, by->key, EVP_sha256(), NULL, 0), 1);
	r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, b);
	why = ocsp_judge(r, client.x, root.x, said);
	OCSP_RESPONSE_free(r);
	OCSP_BASICRESP_free(b);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(begins);
	ASN1_TIME_free(ends);
	return why;
}

static void
test_status(void **state)
{
	static const int all[] = { V_OCSP_CERTSTATUS_GOOD, V_OCSP_CERTSTATUS_REVOKED, V_OCSP_CERTSTATUS_UNKNOWN };
	struct weir_ocsp_said said;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_null(verdict(&client, &root, all[i], -60, 3600, &said));
		assert_int_equal(said.status, all[i]);
		assert_true(said.until > time(NULL) + 3500 && said.until <= time(NULL) + 3600);
	}
	assert_null(verdict(&client, &root, 0, -60, NO_END, &said));
	assert_int_equal(said.until, 0);
}

/* S-129, S-131: whoever may not say so says nothing. */
static void
test_signature(void **state)
{
	struct weir_ocsp_said said;

	(void)state;
	assert_null(verdict(&client, &signer, 0, -60, 3600, &said));
	assert_string_equal(verdict(&client, &stranger, 0, -60, 3600, &said), "the signature is not the issuer's");
	assert_string_equal(verdict(&client, &neighbour, 0, -60, 3600, &said), "the signature is not the issuer's");
	assert_string_equal(verdict(&client, &client, 0, -60, 3600, &said), "the signature is not the issuer's");
	assert_string_equal(verdict(&neighbour, &root, 0, -60, 3600, &said), "it is about another certificate");
}

/* Clocks may differ by five minutes. */
static void
test_time(void **state)
{
	struct weir_ocsp_said said;

	(void)state;
	assert_null(verdict(&client, &root, 0, -7200, -200, &said));
	assert_string_equal(verdict(&client, &root, 0, -7200, -400, &said), "it is not valid now");
	assert_null(verdict(&client, &root, 0, 200, 3600, &said));
	assert_string_equal(verdict(&client, &root, 0, 400, 3600, &said), "it is not valid now");
	assert_string_equal(verdict(&client, &root, 0, -60, -120, &said), "it is not valid now");
}

static void
test_refused(void **state)
{
	struct weir_ocsp_said said;
	OCSP_RESPONSE *r = OCSP_response_create(OCSP_RESPONSE_STATUS_TRYLATER, NULL);

	(void)state;
	assert_string_equal(ocsp_judge(r, client.x, root.x, &said), "the responder refused to answer");
	OCSP_RESPONSE_free(r);
	r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, NULL);
	assert_string_equal(ocsp_judge(r, client.x, root.x, &said), "it is of an unknown kind");
	OCSP_RESPONSE_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_refused),
	};
	struct who *all[] = { &root, &stranger, &client, &signer, &neighbour };
	int rc;

	root = make("root", 1, NULL, NULL);
	stranger = make("stranger", 2, NULL, NULL);
	client = make("client", 3, &root, NULL);
	signer = make("signer", 4, &root, "OCSPSigning");
	neighbour = make("neighbour", 5, &root, NULL);
	rc = RUN(tests);
	for (size_t i = 0; i < WEIR_COUNT(all); i++) {
		X509_free(all[i]->x);
		EVP_PKEY_free(all[i]->key);
	}
	return rc;
}
