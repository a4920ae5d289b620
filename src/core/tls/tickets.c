/*
 * tickets.c - the keys that session tickets are sealed with.
 *
 * A file has the name of the key, the key of the MAC and the key of the cipher, in nginx's order:
 * 16 + 32 + 32 bytes for AES-256, 16 + 16 + 16 for AES-128.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "core/tls/tickets.h"

enum { NAME = 16, LONG = 80, SHORT = 48 };

struct key {
	unsigned char	 name[NAME], mac[32], cipher[32];
	size_t		 size;		/* of mac and cipher: 32 or 16 */
};

struct keys {
	struct key	*v;
	unsigned	 n;
};

static int ex_index = -1;

static void
random_key(struct key *to)
{
	to->size = sizeof to->mac;
	if (RAND_bytes(to->name, sizeof to->name) != 1 || RAND_priv_bytes(to->mac, sizeof to->mac) != 1 ||
	    RAND_priv_bytes(to->cipher, sizeof to->cipher) != 1)
		abort();	/* nobody shall guess it */
}

static int
read_key(struct weir_conf *cf, const struct weir_tls_word *w, struct key *to)
{
	unsigned char b[LONG + 1];
	struct stat st;
	int fd = open(w->s.p, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, b, sizeof b) : -1;
	int err = errno, rc = WEIR_OK;

	if (n < 0)
		rc = conf_error(cf, w->node, w->w, "cannot read \"%s\" (%d: %s)", w->s.p, err, strerror(err));
	else if (n != LONG && n != SHORT)
		rc = conf_error(cf, w->node, w->w, "\"%s\" must be 48 or 80 bytes", w->s.p);
	else if (fstat(fd, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) != 0)
		rc = conf_error(cf, w->node, w->w, "everybody can read the keys in \"%s\": chmod o= it",
		    w->s.p);
	if (fd >= 0)
		close(fd);
	if (rc == WEIR_OK) {
		to->size = n == LONG ? 32 : 16;
		memcpy(to->name, b, NAME);
		/* the short form has the cipher's key before the MAC's */
		memcpy(n == LONG ? to->mac : to->cipher, b + NAME, to->size);
		memcpy(n == LONG ? to->cipher : to->mac, b + NAME + to->size, to->size);
	}
	OPENSSL_cleanse(b, sizeof b);
	return rc;
}

static int
begin(const struct key *k, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool seal)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->mac, k->size),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)"sha256", 0),
		OSSL_PARAM_construct_end(),
	};

	if (EVP_CipherInit_ex(cipher, k->size == 32 ? EVP_aes_256_cbc() : EVP_aes_128_cbc(), NULL, k->cipher,
	    iv, seal) != 1)
		return -1;
	return EVP_MAC_CTX_set_params(mac, params) == 1 ? 1 : -1;
}

/* 1: used; 2: used, and the ticket shall be renewed; 0: no such key; -1: error. */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
    int seal)
{
	const struct keys *keys = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ex_index);

	if (seal) {
		if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1)
			return -1;
		memcpy(name, keys->v[0].name, NAME);
		return begin(&keys->v[0], iv, cipher, mac, true);
	}
	for (unsigned i = 0; i < keys->n; i++) {
		if (memcmp(name, keys->v[i].name, NAME) != 0)
			continue;
		if (begin(&keys->v[i], iv, cipher, mac, false) != 1)
			return -1;
		return i == 0 && SSL_version(ssl) != TLS1_3_VERSION ? 1 : 2;
	}
	return 0;
}

static void
forget(void *arg)
{
	struct keys *keys = arg;

	OPENSSL_cleanse(keys->v, keys->n * sizeof *keys->v);
}

int
tickets_use(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_words *files)
{
	struct keys *keys = POOL_NEW(cf->pool, keys);

	if (ex_index < 0)
		ex_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	keys->n = WEIR_MAX(files->n, 1u);
	keys->v = pool_zalloc(cf->pool, keys->n * sizeof *keys->v);
	pool_on_free(cf->pool, forget, keys);
	if (files->n == 0)
		random_key(&keys->v[0]);
	for (unsigned i = 0; i < files->n; i++)
		if (read_key(cf, &files->v[i], &keys->v[i]) != WEIR_OK)
			return WEIR_FAIL;
	SSL_CTX_set_ex_data(ssl, ex_index, keys);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket);
	return WEIR_OK;
}
