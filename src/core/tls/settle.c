/*
 * settle.c - what an established connection does without.
 *
 * OpenSSL keeps what a handshake needed for as long as the connection lives.  Of what is handed out by its public functions we
 * let go here: an idle connection is to cost little.
 */
#include <openssl/err.h>

#include "core/base/small.h"
#include "core/tls/ctx_ssl.h"
#include "core/tls/layer.h"

static SSL_CTX *bare;		/* without certificates, for all connections; lives as long as the process */

/* For before the workers are forked, as they all have the same one. */
void
settle_begin(void)
{
	if (bare == NULL)
		bare = SSL_CTX_new(TLS_method());
	ERR_clear_error();
}

/* A key of the key exchange: 6 kB for ML-KEM.  Its holder stays, so it is made an empty one. */
static void
drop_key(EVP_PKEY *key)
{
	(void)EVP_PKEY_set_type(key, EVP_PKEY_X25519);
	EVP_PKEY_free(key);
}

static void
drop_keys(SSL *ssl)
{
	EVP_PKEY *key = NULL;

	if (SSL_get_peer_tmp_key(ssl, &key) == 1)
		drop_key(key);
	key = NULL;
	if (SSL_get_tmp_key(ssl, &key) == 1)
		drop_key(key);
}

/*
 * Each connection has a table of the certificates that it could show.  The table of a context without any is all
 * zeros.  Nothing else of a context matters any more: sessions are those of the context that the connection began
 * with, tickets have been sent, there is no renegotiation, and options belong to the connection.
 */
static void
drop_certificates(SSL *ssl)
{
	int level = SSL_get_security_level(ssl);

	if (bare == NULL)
		return;
	small_blank(true);
	(void)SSL_set_SSL_CTX(ssl, bare);
	small_blank(false);
	SSL_set_security_level(ssl, level);
}

void
settle(struct weir_tls *t)
{
	t->settled = true;
	drop_keys(t->ssl);
	if (SSL_is_server(t->ssl))
		drop_certificates(t->ssl);
	layer_share_bio(t);
	ERR_clear_error();
}
