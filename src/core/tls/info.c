/*
 * info.c - what was agreed on.
 */
#include <openssl/objects.h>

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
tls_resumed(const struct weir_conn *c)
{
	SSL *ssl = ssl_of(c);

	return ssl != NULL && SSL_session_reused(ssl);
}
