/*
 * sess_cache.c - sessions that clients resume by their number, shared by all workers.
 *
 * A row has the session as DER.  What does not fit (a client's chain of certificates may not) is not kept;
 * such a client makes a full handshake.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "core/base/clock.h"
#include "core/shm/table.h"
#include "core/tls/ocsp.h"
#include "core/tls/sess_cache.h"

enum { DER_MAX = 1400 };

struct row {
	uint64_t	until_ms;
	uint16_t	n;
	unsigned char	der[DER_MAX];
};

static int ex_index = -1;

static struct weir_table *
table_of(SSL_CTX *ctx)
{
	return SSL_CTX_get_ex_data(ctx, ex_index);
}

static struct weir_str
key_of(const unsigned char *id, unsigned n)
{
	return str_of((const char *)id, n);
}

/* Of TLSv1.3, OpenSSL tells of every ticket too, which needs no place here. */
static bool
is_ticket(SSL *ssl)
{
	return SSL_version(ssl) == TLS1_3_VERSION && !(SSL_get_options(ssl) & SSL_OP_NO_TICKET);
}

/* 0: no reference to the session was kept. */
static int
on_new(SSL *ssl, SSL_SESSION *session)
{
	struct weir_table *t = table_of(SSL_get_SSL_CTX(ssl));
	unsigned char der[DER_MAX], *p = der;
	const unsigned char *id;
	unsigned id_n;
	int n = i2d_SSL_SESSION(session, NULL);
	struct row *row;

	if (t == NULL || n <= 0 || n > DER_MAX || is_ticket(ssl))
		return 0;
	i2d_SSL_SESSION(session, &p);
	id = SSL_SESSION_get_id(session, &id_n);
	row = table_get(t, key_of(id, id_n), true);
	if (row != NULL) {
		row->n = (uint16_t)n;
		row->until_ms = weir_now_ms + (uint64_t)SSL_SESSION_get_timeout(session) * 1000;
		memcpy(row->der, der, (size_t)n);
		table_put(t, row, row->until_ms, ROW_PLAIN);
	}
	OPENSSL_cleanse(der, (size_t)n);
	return 0;
}

static SSL_SESSION *
on_get(SSL *ssl, const unsigned char *id, int id_n, int *copy)
{
	struct weir_table *t = table_of(SSL_get_SSL_CTX(ssl));
	unsigned char der[DER_MAX];
	const unsigned char *p = der;
	SSL_SESSION *session = NULL;
	struct row *row;
	size_t n = 0;

	*copy = 0;
	if (t == NULL)
		return NULL;
	row = table_get(t, key_of(id, (unsigned)id_n), false);
	if (row == NULL)
		return NULL;
	n = row->n <= DER_MAX ? row->n : 0;
	memcpy(der, row->der, n);
	table_put(t, row, row->until_ms, ROW_PLAIN);
	session = d2i_SSL_SESSION(NULL, &p, (long)n);
	OPENSSL_cleanse(der, sizeof der);
	if (session != NULL && !ocsp_may_resume(ssl, session)) {
		SSL_SESSION_free(session);
		session = NULL;
	}
	ERR_clear_error();
	return session;
}

static void
on_remove(SSL_CTX *ctx, SSL_SESSION *session)
{
	struct weir_table *t = table_of(ctx);
	unsigned n;
	const unsigned char *id = SSL_SESSION_get_id(session, &n);
	struct row *row = t != NULL && n != 0 ? table_get(t, key_of(id, n), false) : NULL;

	if (row == NULL)
		return;
	OPENSSL_cleanse(row, sizeof *row);
	table_drop(t, row);
}

struct weir_table *
sess_cache_declare(struct weir_conf *cf, struct weir_str name, uint64_t size, const char **why)
{
	struct weir_table_want want = {
		.name = name, .size = size, .kind = "ssl_session_cache", .version = 1,
		.row = sizeof(struct row), .key_max = SSL_MAX_SSL_SESSION_ID_LENGTH,
	};

	return table_declare(cf->zones, &want, why);
}

void
sess_cache_use(SSL_CTX *ctx, struct weir_table *t, bool builtin)
{
	if (ex_index < 0)
		ex_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	SSL_CTX_set_ex_data(ctx, ex_index, t);
	SSL_CTX_set_session_cache_mode(ctx, builtin ? SSL_SESS_CACHE_SERVER :
	    SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR);
	SSL_CTX_sess_set_new_cb(ctx, on_new);
	SSL_CTX_sess_set_get_cb(ctx, on_get);
	SSL_CTX_sess_set_remove_cb(ctx, on_remove);
}
