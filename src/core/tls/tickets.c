/*
 * tickets.c - the keys that session tickets are sealed with.
 *
 * A file has the name of the key, the key of the MAC and the key of the cipher, in nginx's order:
 * 16 + 32 + 32 bytes for AES-256, 16 + 16 + 16 for AES-128.
 *
 * Without files the keys are in a ring that all workers share and that outlives reloads: the first seals for
 * ssl_session_ticket_rotate, the second is the one before and only opens, and what is older is wiped out.  Whoever
 * looks first when it is time makes the new one; a timer looks where nobody needs a key.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "core/base/clock.h"
#include "core/ev/loop.h"
#include "core/shm/table.h"
#include "core/tls/paths.h"
#include "core/tls/tickets.h"

enum { NAME = 16, LONG = 80, SHORT = 48, RING_SIZE = 65536 };

struct key {
	unsigned char	 name[NAME], mac[32], cipher[32];
	size_t		 size;		/* of mac and cipher: 32 or 16 */
};

struct ring {
	uint64_t	 made_ms;	/* v[0]; 0: there is none yet */
	bool		 second;	/* there is v[1] */
	struct key	 v[2];
};

struct keys {
	struct key	*v;		/* from files */
	unsigned	 n;
	struct weir_table *ring;	/* else; its only row */
	uint64_t	 rotate_ms;
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
read_key(struct weir_conf *cf, const struct weir_tls_word *w, enum weir_tls_key_mode mode, struct key *to)
{
	unsigned char b[LONG + 1];
	int fd = open(w->s.p, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, b, sizeof b) : -1;
	int err = errno, rc = WEIR_OK;

	if (n < 0)
		rc = conf_error(cf, w->node, w->w, "cannot read \"%s\" (%d: %s)", w->s.p, err, strerror(err));
	else if (n != LONG && n != SHORT)
		rc = conf_error(cf, w->node, w->w, "\"%s\" must be 48 or 80 bytes", w->s.p);
	else if (path_is_open(w->s.p))
		rc = conf_error(cf, w->node, w->w, "everybody can read the keys in \"%s\": chmod o= it",
		    w->s.p);
	else if (mode == KEYS_STRICT && !path_is_private(w->s.p))
		rc = conf_error(cf, w->node, w->w, "others than its owner can read the keys in \"%s\": chmod 600 it",
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

/* ---- the ring ---- */

static const struct weir_str ring_key = { "ring", 4 };

static void
turn(struct ring *r, uint64_t rotate_ms)
{
	uint64_t age = weir_now_ms > r->made_ms ? weir_now_ms - r->made_ms : 0;

	if (r->made_ms != 0 && age < rotate_ms)
		return;
	r->second = r->made_ms != 0 && age < 2 * rotate_ms;
	if (r->second)
		r->v[1] = r->v[0];
	else
		OPENSSL_cleanse(&r->v[1], sizeof r->v[1]);
	random_key(&r->v[0]);
	r->made_ms = WEIR_MAX(weir_now_ms, (uint64_t)1);
}

/* The first key, or the one of that name with *old telling whether it is the second.  False: no such key. */
static bool
from_ring(const struct keys *keys, const unsigned char *name, struct key *to, bool *old)
{
	struct ring *r = table_get(keys->ring, ring_key, true);
	bool found = true;

	if (r == NULL)
		return false;
	turn(r, keys->rotate_ms);
	*old = false;
	if (name == NULL || memcmp(r->v[0].name, name, NAME) == 0) {
		*to = r->v[0];
	} else if (r->second && memcmp(r->v[1].name, name, NAME) == 0) {
		*to = r->v[1];
		*old = true;
	} else {
		found = false;
	}
	table_put(keys->ring, r, 0, ROW_PINNED);
	return found;
}

/* In a worker that has used a key: it goes when its time is over, also when nobody asks any more. */
static struct weir_timer timer;
static const struct keys *timed;

static void
on_timer(struct weir_timer *t)
{
	struct ring *r = table_get(timed->ring, ring_key, true);

	if (r != NULL) {
		turn(r, timed->rotate_ms);
		table_put(timed->ring, r, 0, ROW_PINNED);
	}
	timer_set(t, timed->rotate_ms);
}

static void
watch_ring(const struct keys *keys)
{
	if (timed != NULL)
		return;
	timed = keys;
	timer_init(&timer, on_timer);
	timer_set(&timer, keys->rotate_ms);
}

/* ---- for OpenSSL ---- */

static bool
from_files(const struct keys *keys, const unsigned char *name, struct key *to, bool *old)
{
	for (unsigned i = 0; i < keys->n; i++)
		if (name == NULL || memcmp(name, keys->v[i].name, NAME) == 0) {
			*to = keys->v[i];
			*old = i != 0;
			return true;
		}
	return false;
}

/*
 * 1: used; 2: used, and the ticket shall be renewed (of TLSv1.3 each is used once); 0: no such key; -1: error.
 */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
    int seal)
{
	const struct keys *keys = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ex_index);
	const unsigned char *which = seal ? NULL : name;
	struct key k;
	bool old;
	int rc;

	if (keys->ring != NULL)
		watch_ring(keys);
	if (!(keys->ring != NULL ? from_ring : from_files)(keys, which, &k, &old))
		return 0;
	if (seal && RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1)
		return -1;
	if (seal)
		memcpy(name, k.name, NAME);
	rc = begin(&k, iv, cipher, mac, seal);
	OPENSSL_cleanse(&k, sizeof k);
	if (rc == 1 && !seal && (old || SSL_version(ssl) == TLS1_3_VERSION))
		return 2;
	return rc;
}

static void
forget(void *arg)
{
	struct keys *keys = arg;

	OPENSSL_cleanse(keys->v, keys->n * sizeof *keys->v);
}

static int
use_ring(struct weir_conf *cf, const struct weir_node *place, struct keys *keys)
{
	struct weir_table_want want = {
		.name = STR("ssl_session_tickets"), .size = RING_SIZE, .kind = "ssl_tickets", .version = 1,
		.row = sizeof(struct ring), .key_max = 16,
	};
	const char *why = NULL;

	keys->ring = table_declare(cf->zones, &want, &why);
	return keys->ring != NULL ? WEIR_OK : conf_error(cf, place, 0, "%s", why);
}

int
tickets_use(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_node *place, const struct weir_tls_opts *o)
{
	const struct weir_tls_words *files = &o->ticket_keys;
	struct keys *keys = POOL_NEW(cf->pool, keys);

	if (ex_index < 0)
		ex_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	keys->rotate_ms = o->rotate_ms;
	if (files->n == 0 && use_ring(cf, place, keys) != WEIR_OK)
		return WEIR_FAIL;
	keys->n = files->n;
	keys->v = pool_zalloc(cf->pool, (files->n + 1) * sizeof *keys->v);
	pool_on_free(cf->pool, forget, keys);
	for (unsigned i = 0; i < files->n; i++)
		if (read_key(cf, &files->v[i], o->key_mode, &keys->v[i]) != WEIR_OK)
			return WEIR_FAIL;
	SSL_CTX_set_ex_data(ssl, ex_index, keys);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket);
	return WEIR_OK;
}
