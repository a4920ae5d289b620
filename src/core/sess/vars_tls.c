/*
 * vars_tls.c - variables about TLS: what was agreed on, and who the client is.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "core/base/clock.h"
#include "core/sess/var.h"
#include "core/tls/tls.h"

enum { CERT_MAX = 65536 };

/* There is such a value, or there is none. */
static int
give(struct weir_sess *s, struct weir_str *to, struct weir_str v)
{
	return v.n != 0 ? var_copy(s, to, v.p, v.n) : WEIR_FAIL;
}

/* ---- the connection ---- */

static int
get_text(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const char *(*get)(const struct weir_conn *) = *(const char *(*const *)(const struct weir_conn *))data;

	return give(s, to, str_c(get(s->conn)));
}

static const char *(*const protocol)(const struct weir_conn *) = tls_protocol;
static const char *(*const cipher)(const struct weir_conn *) = tls_cipher;
static const char *(*const curve)(const struct weir_conn *) = tls_curve;

static int
get_server_name(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return give(s, to, tls_server_name(s->conn));
}

static int
get_alpn(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return give(s, to, tls_alpn(s->conn));
}

static int
get_reused(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	if (!conn_is_tls(s->conn))
		return WEIR_FAIL;
	*to = tls_resumed(s->conn) ? STR("r") : STR(".");
	return WEIR_OK;
}

static int
get_early(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	*to = s->early ? STR("1") : STR("");
	return WEIR_OK;
}

static int
get_ciphers(struct weir_sess *s, struct weir_str *to, const void *data)
{
	SSL *ssl = tls_ssl(s->conn);
	const unsigned char *raw;
	char names[4096], *p = names;
	size_t n = ssl != NULL ? SSL_get0_raw_cipherlist(ssl, &raw) : 0;

	(void)data;
	for (size_t i = 0; i + 1 < n; i += 2) {
		const SSL_CIPHER *c = SSL_CIPHER_find(ssl, raw + i);
		const char *name = c != NULL ? SSL_CIPHER_get_name(c) : NULL;
		char number[16];

		if (name == NULL) {
			snprintf(number, sizeof number, "0x%02x%02x", raw[i], raw[i + 1]);
			name = number;
		}
		if ((size_t)(p - names) + strlen(name) + 2 > sizeof names)
			break;
		p += sprintf(p, "%s%s", p == names ? "" : ":", name);
	}
	return give(s, to, str_of(names, (size_t)(p - names)));
}

static int
get_curves(struct weir_sess *s, struct weir_str *to, const void *data)
{
	SSL *ssl = tls_ssl(s->conn);
	int list[128], n = ssl != NULL ? (int)SSL_get1_groups(ssl, NULL) : 0;
	char names[4096], *p = names;

	(void)data;
	if (n <= 0 || n > (int)WEIR_COUNT(list))
		return WEIR_FAIL;
	n = (int)SSL_get1_groups(ssl, list);
	for (int i = 0; i < n; i++) {
		const char *name = tls_group_name(ssl, list[i]);
		char number[16];

		if (name == NULL) {
			snprintf(number, sizeof number, "0x%04x", (unsigned)list[i] & 0xffff);
			name = number;
		}
		if ((size_t)(p - names) + strlen(name) + 2 > sizeof names)
			break;
		p += sprintf(p, "%s%s", p == names ? "" : ":", name);
	}
	ERR_clear_error();
	return give(s, to, str_of(names, (size_t)(p - names)));
}

static int
put_hex(struct weir_sess *s, struct weir_str *to, const unsigned char *b, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	char *p = pool_bytes(s->pool, 2 * n + 1);

	for (size_t i = 0; i < n; i++) {
		p[2 * i] = hex[b[i] >> 4];
		p[2 * i + 1] = hex[b[i] & 15];
	}
	*to = str_of(p, 2 * n);
	return n != 0 ? WEIR_OK : WEIR_FAIL;
}

static int
get_session_id(struct weir_sess *s, struct weir_str *to, const void *data)
{
	SSL *ssl = tls_ssl(s->conn);
	SSL_SESSION *session = ssl != NULL ? SSL_get0_session(ssl) : NULL;
	const unsigned char *id;
	unsigned n;

	(void)data;
	if (session == NULL)
		return WEIR_FAIL;
	id = SSL_SESSION_get_id(session, &n);
	return put_hex(s, to, id, n);
}

static int
get_sigalg(struct weir_sess *s, struct weir_str *to, const void *data)
{
	SSL *ssl = tls_ssl(s->conn);
	const char *name = NULL;

	if (ssl == NULL || (data != NULL ? SSL_get0_peer_signature_name(ssl, &name) :
	    SSL_get0_signature_name(ssl, &name)) != 1 || name == NULL)
		return WEIR_FAIL;
	return give(s, to, str_c(name));
}

/* ---- the client's fingerprint ---- */

enum print { JA3, JA3_RAW, JA4, JA4_R, JA4_O, JA4_RO };
static const enum print ja3 = JA3, ja3_raw = JA3_RAW, ja4 = JA4, ja4_r = JA4_R, ja4_o = JA4_O, ja4_ro = JA4_RO;

static int
get_print(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_fp *fp = tls_fp(s->conn);

	if (fp == NULL)
		return WEIR_FAIL;
	switch (*(const enum print *)data) {
	case JA3:
		return give(s, to, fp_ja3(fp));
	case JA3_RAW:
		*to = fp_ja3_raw(fp, s->pool);
		break;
	case JA4:
		return give(s, to, fp_ja4(fp));
	case JA4_R:
		*to = fp_ja4_raw(fp, true, s->pool);
		break;
	case JA4_O:
		*to = fp_ja4_o(fp, s->pool);
		break;
	case JA4_RO:
		*to = fp_ja4_raw(fp, false, s->pool);
		break;
	}
	return WEIR_OK;
}

static int
get_fp_class(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_fp_entry *e = tls_fp_entry(s->conn);

	(void)data;
	return e != NULL ? give(s, to, fp_class_name(e->class)) : WEIR_FAIL;
}

static int
get_fp_name(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_fp_entry *e = tls_fp_entry(s->conn);

	(void)data;
	return e != NULL ? give(s, to, e->name) : WEIR_FAIL;
}

/* ---- the client's certificate ---- */

static X509 *
peer(struct weir_sess *s)
{
	SSL *ssl = tls_ssl(s->conn);

	return ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;
}

static int
give_bio(struct weir_sess *s, struct weir_str *to, BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);
	int rc = n > 0 && n < CERT_MAX ? var_copy(s, to, p, (size_t)n) : WEIR_FAIL;

	BIO_free(b);
	ERR_clear_error();
	return rc;
}

static int
get_raw_cert(struct weir_sess *s, struct weir_str *to, const void *data)
{
	X509 *x = peer(s);
	BIO *b;

	(void)data;
	if (x == NULL)
		return WEIR_FAIL;
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, x);
	return give_bio(s, to, b);
}

/* With a tab before each line but the first, so that it was once fit for a header. */
static int
get_cert(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_str raw;
	size_t lines = 0, n = 0;
	char *p;

	if (get_raw_cert(s, &raw, data) != WEIR_OK)
		return WEIR_FAIL;
	while (raw.n != 0 && raw.p[raw.n - 1] == '\n')
		raw.n--;
	for (size_t i = 0; i < raw.n; i++)
		lines += raw.p[i] == '\n';
	p = pool_bytes(s->pool, raw.n + lines + 1);
	for (size_t i = 0; i < raw.n; i++) {
		p[n++] = raw.p[i];
		if (raw.p[i] == '\n')
			p[n++] = '\t';
	}
	*to = str_of(p, n);
	return WEIR_OK;
}

static bool
is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
	    c == '.' || c == '_' || c == '~';
}

static int
get_escaped_cert(struct weir_sess *s, struct weir_str *to, const void *data)
{
	static const char hex[] = "0123456789ABCDEF";
	struct weir_str raw;
	char *p;
	size_t n = 0;

	if (get_raw_cert(s, &raw, data) != WEIR_OK)
		return WEIR_FAIL;
	p = pool_bytes(s->pool, raw.n * 3 + 1);
	for (size_t i = 0; i < raw.n; i++) {
		if (is_unreserved(raw.p[i])) {
			p[n++] = raw.p[i];
			continue;
		}
		p[n++] = '%';
		p[n++] = hex[(unsigned char)raw.p[i] >> 4];
		p[n++] = hex[(unsigned char)raw.p[i] & 15];
	}
	*to = str_of(p, n);
	return WEIR_OK;
}

enum name_of { SUBJECT, ISSUER, SUBJECT_LEGACY, ISSUER_LEGACY };
static const enum name_of subject = SUBJECT, issuer = ISSUER, subject_legacy = SUBJECT_LEGACY,
    issuer_legacy = ISSUER_LEGACY;

static int
get_dn(struct weir_sess *s, struct weir_str *to, const void *data)
{
	enum name_of which = *(const enum name_of *)data;
	X509 *x = peer(s);
	X509_NAME *name;
	char *line;
	BIO *b;
	int rc;

	if (x == NULL)
		return WEIR_FAIL;
	name = which == SUBJECT || which == SUBJECT_LEGACY ? X509_get_subject_name(x) :
	    X509_get_issuer_name(x);
	if (which == SUBJECT_LEGACY || which == ISSUER_LEGACY) {
		line = X509_NAME_oneline(name, NULL, 0);
		rc = line != NULL ? give(s, to, str_c(line)) : WEIR_FAIL;
		OPENSSL_free(line);
		return rc;
	}
	b = BIO_new(BIO_s_mem());
	X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253);
	return give_bio(s, to, b);
}

static int
get_serial(struct weir_sess *s, struct weir_str *to, const void *data)
{
	X509 *x = peer(s);
	BIO *b;

	(void)data;
	if (x == NULL)
		return WEIR_FAIL;
	b = BIO_new(BIO_s_mem());
	i2a_ASN1_INTEGER(b, X509_get0_serialNumber(x));
	return give_bio(s, to, b);
}

static int
get_fingerprint(struct weir_sess *s, struct weir_str *to, const void *data)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	X509 *x = peer(s);
	unsigned n;

	(void)data;
	if (x == NULL || X509_digest(x, EVP_sha1(), sum, &n) != 1)
		return WEIR_FAIL;
	return put_hex(s, to, sum, n);
}

static int
get_verify(struct weir_sess *s, struct weir_str *to, const void *data)
{
	SSL *ssl = tls_ssl(s->conn);
	const char *fault = tls_client_fault(s->conn);

	(void)data;
	if (ssl == NULL)
		return WEIR_FAIL;
	if (peer(s) == NULL)
		*to = STR("NONE");
	else if (fault == NULL)
		*to = STR("SUCCESS");
	else
		*to = pool_printf(s->pool, "FAILED:%s", fault);
	return WEIR_OK;
}

static const bool begins = true, ends = false;

static int
get_validity(struct weir_sess *s, struct weir_str *to, const void *data)
{
	X509 *x = peer(s);
	BIO *b;

	if (x == NULL)
		return WEIR_FAIL;
	b = BIO_new(BIO_s_mem());
	ASN1_TIME_print(b, *(const bool *)data ? X509_get0_notBefore(x) : X509_get0_notAfter(x));
	return give_bio(s, to, b);
}

static int
get_remain(struct weir_sess *s, struct weir_str *to, const void *data)
{
	X509 *x = peer(s);
	int days = 0, seconds = 0;

	(void)data;
	if (x == NULL || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)) != 1)
		return WEIR_FAIL;
	return var_u64(s, to, days > 0 ? (uint64_t)days : 0);
}

#define V	(VAR_VOLATILE | VAR_STREAM)

static const struct weir_var vars[] = {
	{ "ssl_protocol", get_text, NULL, V, &protocol, "The version of TLS: TLSv1.3." },
	{ "ssl_cipher", get_text, NULL, V, &cipher, "The cipher that was agreed on." },
	{ "ssl_ciphers", get_ciphers, NULL, V, NULL, "The ciphers that the client offered." },
	{ "ssl_curve", get_text, NULL, V, &curve, "The group of the key exchange: X25519MLKEM768." },
	{ "ssl_curves", get_curves, NULL, V, NULL, "The groups that the client offered." },
	{ "ssl_early_data", get_early, NULL, V, NULL, "\"1\": the request came before the handshake was over." },
	{ "ssl_server_name", get_server_name, NULL, V, NULL, "The name that the client asked for (SNI)." },
	{ "ssl_alpn_protocol", get_alpn, NULL, V, NULL, "The protocol above TLS, when they agreed on one (ALPN)." },
	{ "ssl_session_id", get_session_id, NULL, V, NULL, "The number of the session." },
	{ "ssl_session_reused", get_reused, NULL, V, NULL, "\"r\": the session was resumed, \".\": it is new." },
	{ "ssl_sigalg", get_sigalg, NULL, V, NULL, "How the server signed the handshake." },
	{ "ssl_client_sigalg", get_sigalg, NULL, V, &begins, "How the client signed it." },
	{ "ssl_ja3", get_print, NULL, V, &ja3, "The client's fingerprint JA3 (ssl_fingerprint).  Browsers change it by chance." },
	{ "ssl_ja3_raw", get_print, NULL, V, &ja3_raw, "The text of which JA3 is the MD5." },
	{ "ssl_ja4", get_print, NULL, V, &ja4, "The client's fingerprint JA4: t13d1516h2_8daaf6152771_e5627efa2ab1." },
	{ "ssl_ja4_r", get_print, NULL, V, &ja4_r, "The same without hashes." },
	{ "ssl_ja4_o", get_print, NULL, V, &ja4_o, "JA4 in the order of the client, with server name and ALPN." },
	{ "ssl_ja4_ro", get_print, NULL, V, &ja4_ro, "The same without hashes." },
	{ "ssl_fp_class", get_fp_class, NULL, V, NULL, "What kind of client that is, by ssl_fingerprint_db: browser, scanner..., or suspicious." },
	{ "ssl_fp_name", get_fp_name, NULL, V, NULL, "Its description there." },
	{ "ssl_client_cert", get_cert, NULL, V, NULL, "The client's certificate in PEM, a tab before each further line." },
	{ "ssl_client_raw_cert", get_raw_cert, NULL, V, NULL, "The client's certificate in PEM." },
	{ "ssl_client_escaped_cert", get_escaped_cert, NULL, V, NULL, "The same, escaped as in URLs." },
	{ "ssl_client_s_dn", get_dn, NULL, V, &subject, "The subject of the client's certificate (RFC 2253)." },
	{ "ssl_client_i_dn", get_dn, NULL, V, &issuer, "The issuer of the client's certificate (RFC 2253)." },
	{ "ssl_client_s_dn_legacy", get_dn, NULL, V, &subject_legacy, "The subject, with slashes." },
	{ "ssl_client_i_dn_legacy", get_dn, NULL, V, &issuer_legacy, "The issuer, with slashes." },
	{ "ssl_client_serial", get_serial, NULL, V, NULL, "The serial number of the client's certificate." },
	{ "ssl_client_fingerprint", get_fingerprint, NULL, V, NULL, "The SHA-1 of the client's certificate." },
	{ "ssl_client_verify", get_verify, NULL, V, NULL, "SUCCESS, FAILED:reason, or NONE: there was no certificate." },
	{ "ssl_client_v_start", get_validity, NULL, V, &begins, "From when on the client's certificate is valid." },
	{ "ssl_client_v_end", get_validity, NULL, V, &ends, "Until when." },
	{ "ssl_client_v_remain", get_remain, NULL, V, NULL, "How many days are left until then." },
	{ .name = NULL }
};

static unsigned index_;

const struct weir_module ssl_vars_module = {
	.name = "ssl_vars", .index = &index_, .vars = vars,
	.doc = "Variables about TLS.",
};
