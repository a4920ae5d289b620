/*
 * info.c - what was agreed on.
 */
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "core/tls/ctx_ssl.h"
#include "core/tls/layer.h"

static SSL *
ssl_of(const struct weir_conn *c)
{
	const struct weir_tls *t = tls_of(c);

	return t != NULL ? t->ssl : NULL;
}

bool
conn_is_tls(const struct weir_conn *c)
{
	return c->layer != NULL;
}

bool
tls_is_early(const struct weir_conn *c)
{
	SSL *ssl = ssl_of(c);

	return ssl != NULL && !SSL_is_init_finished(ssl);
}

void *
tls_owner(const struct weir_conn *c)
{
	const struct weir_tls *t = tls_of(c);

	return t != NULL ? t->owner : NULL;
}

struct weir_fp *
tls_fp(const struct weir_conn *c)
{
	const struct weir_tls *t = tls_of(c);

	return t != NULL ? t->fp : NULL;
}

const struct weir_fp_entry *
tls_fp_entry(const struct weir_conn *c)
{
	const struct weir_tls *t = tls_of(c);

	return t != NULL && t->fp != NULL ? fp_db_find(t->fp_db, t->fp) : NULL;
}

void
tls_disown(struct weir_conn *c)
{
	struct weir_tls *t = tls_of(c);

	if (t != NULL)
		t->owner = NULL;
}

struct ssl_st *
tls_ssl(const struct weir_conn *c)
{
	return ssl_of(c);
}

struct weir_str
tls_alpn(const struct weir_conn *c)
{
	const unsigned char *p = NULL;
	unsigned n = 0;
	SSL *ssl = ssl_of(c);

	if (ssl != NULL)
		SSL_get0_alpn_selected(ssl, &p, &n);
	return str_of((const char *)p, n);
}

struct weir_str
tls_server_name(const struct weir_conn *c)
{
	SSL *ssl = ssl_of(c);
	const char *name = ssl != NULL ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : NULL;

	return name != NULL ? str_c(name) : STR_NONE;
}

const char *
tls_protocol(const struct weir_conn *c)
{
	SSL *ssl = ssl_of(c);

	return ssl != NULL ? SSL_get_version(ssl) : "";
}

const char *
tls_cipher(const struct weir_conn *c)
{
	SSL *ssl = ssl_of(c);

	return ssl != NULL ? SSL_get_cipher_name(ssl) : "";
}

const char *
tls_group_name(struct ssl_st *ssl, int id)
{
	return id & TLSEXT_nid_unknown ? SSL_group_to_name(ssl, id) : OBJ_nid2sn(id);
}

const char *
tls_curve(const struct weir_conn *c)
{
	SSL *ssl = ssl_of(c);
	int id = ssl != NULL ? (int)SSL_get_negotiated_group(ssl) : NID_undef;
	const char *name = id != NID_undef ? tls_group_name(ssl, id) : NULL;

	return name != NULL ? name : "";
}

const char *
tls_client_fault(const struct weir_conn *c)
{
	const struct weir_tls *t = tls_of(c);
	long result;

	if (t == NULL || t->ssl == NULL || SSL_get0_peer_certificate(t->ssl) == NULL)
		return NULL;
	result = SSL_get_verify_result(t->ssl);
	return result != X509_V_OK ? X509_verify_cert_error_string(result) : ocsp_fault(t->ocsp);
}

bool
tls_client_certified(const struct weir_conn *c)
{
	SSL *ssl = ssl_of(c);

	return ssl != NULL && SSL_get0_peer_certificate(ssl) != NULL;
}

struct weir_str
tls_client_cn(const struct weir_conn *c, struct weir_pool *pool)
{
	X509_NAME *name;
	unsigned char *text;
	struct weir_str cn;
	int at, n;

	if (!tls_client_certified(c))
		return STR_NONE;
	name = X509_get_subject_name(SSL_get0_peer_certificate(ssl_of(c)));
	at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (at < 0)
		return STR_NONE;
	n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (n < 0)
		return STR_NONE;
	cn = pool_str(pool, str_of((const char *)text, (size_t)n));
	OPENSSL_free(text);
	return cn;
}

bool
tls_resumed(const struct weir_conn *c)
{
	SSL *ssl = ssl_of(c);

	return ssl != NULL && SSL_session_reused(ssl);
}
