/*
 * dynamic.c - certificates that are looked for when a client comes, or when a server is connected to (ssl_certificate and
 * proxy_ssl_certificate with variables).
 *
 * They are read for the handshake, by the worker, or were read not long ago: a cache of the worker keeps
 * some, the least used goes first.  A key that a password locks is never kept.
 */
#include <sys/stat.h>

#include <openssl/err.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/tls/ctx_ssl.h"
#include "core/tls/keys.h"
#include "core/tls/layer.h"

/* What a file has: a chain or a key. */
struct object {
	struct weir_list all;		/* most recently used first */
	char		*path;
	bool		 is_key, locked, kept;
	X509		*leaf;
	STACK_OF(X509)	*rest;
	EVP_PKEY	*key;
	struct stat	 st;
	uint64_t	 read_ms, used_ms;
};

struct dynamic {
	struct weir_tls_dynamic	 d;
	struct weir_tls_passwords passwords;
	struct weir_list	 objects;
	uint64_t		 n, max, inactive_ms, valid_ms;
};

static void
object_free(struct object *o)
{
	X509_free(o->leaf);
	OSSL_STACK_OF_X509_free(o->rest);
	EVP_PKEY_free(o->key);
	OPENSSL_free(o->path);
	mem_free(o);
}

static void
drop(struct dynamic *d, struct object *o)
{
	list_remove(&o->all);
	d->n--;
	object_free(o);
}

/* NULL with OpenSSL's reason. */
static struct object *
read_object(struct dynamic *d, const char *path, bool is_key)
{
	struct object *o = mem_zalloc(sizeof *o);
	BIO *b = BIO_new_file(path, "r");
	bool ok = false;

	o->path = OPENSSL_strdup(path);
	o->is_key = is_key;
	o->read_ms = o->used_ms = weir_now_ms;
	if (b != NULL && stat(path, &o->st) == 0)
		ok = is_key ? (o->key = key_parse(b, &d->passwords)) != NULL : chain_parse(b, &o->leaf, &o->rest);
	o->locked = is_key && d->passwords.asked;
	BIO_free(b);
	if (ok)
		return o;
	object_free(o);
	return NULL;
}

/* Is what we have still in the file? */
static bool
is_current(const struct dynamic *d, struct object *o)
{
	struct stat st;

	if (weir_now_ms - o->read_ms < d->valid_ms)
		return true;
	if (stat(o->path, &st) != 0 || st.st_ino != o->st.st_ino || st.st_dev != o->st.st_dev ||
	    st.st_mtim.tv_sec != o->st.st_mtim.tv_sec || st.st_mtim.tv_nsec != o->st.st_mtim.tv_nsec)
		return false;
	o->read_ms = weir_now_ms;
	return true;
}

static struct object *
find(struct dynamic *d, const char *path, bool is_key)
{
	struct weir_list *at, *next;

	list_each_safe(at, next, &d->objects) {
		struct object *o = WEIR_OF(at, struct object, all);

		if (weir_now_ms - o->used_ms >= d->inactive_ms) {
			drop(d, o);
		} else if (o->is_key == is_key && strcmp(o->path, path) == 0) {
			if (is_current(d, o))
				return o;
			drop(d, o);
		}
	}
	return NULL;
}

/* It is the caller's to give back with let_go(). */
static struct object *
get(struct dynamic *d, const char *path, bool is_key)
{
	struct object *o = d->max != 0 ? find(d, path, is_key) : NULL;

	if (o != NULL) {
		list_remove(&o->all);
		list_push(&d->objects, &o->all);
		o->used_ms = weir_now_ms;
		return o;
	}
	o = read_object(d, path, is_key);
	if (o == NULL || d->max == 0 || o->locked)
		return o;
	if (d->n >= d->max)
		drop(d, list_last(&d->objects, struct object, all));
	list_push(&d->objects, &o->all);
	o->kept = true;
	d->n++;
	return o;
}

static void
let_go(struct object *o)
{
	if (o != NULL && !o->kept)
		object_free(o);
}

static bool
use_certificate(struct dynamic *d, SSL *ssl, const char *path)
{
	struct object *o = get(d, path, false);
	bool ok = o != NULL && SSL_use_certificate(ssl, o->leaf) == 1 && SSL_set1_chain(ssl, o->rest) == 1;

	let_go(o);
	return ok;
}

static bool
use_key(struct dynamic *d, SSL *ssl, const char *path)
{
	struct object *o = get(d, path, true);
	bool ok = o != NULL && SSL_use_PrivateKey(ssl, o->key) == 1;

	let_go(o);
	return ok;
}

/* Forgets what the cache has of a file. */
static void
forget_file(struct dynamic *d, const char *path)
{
	struct weir_list *at, *next;

	list_each_safe(at, next, &d->objects) {
		struct object *o = WEIR_OF(at, struct object, all);

		if (strcmp(o->path, path) == 0)
			drop(d, o);
	}
}

static bool
is_mismatch(void)
{
	unsigned long e = ERR_peek_last_error();

	return ERR_GET_LIB(e) == ERR_LIB_X509 && (ERR_GET_REASON(e) == X509_R_KEY_VALUES_MISMATCH ||
	    ERR_GET_REASON(e) == X509_R_KEY_TYPE_MISMATCH);
}

/*
 * Both are replaced together, but one of them may have been read before and the other after: what does not
 * belong together is read once more.
 */
static bool
use_pair(struct dynamic *d, SSL *ssl, const char *certificate, const char *key, bool *has)
{
	for (bool again = d->max != 0;; again = false) {
		*has = use_certificate(d, ssl, certificate);
		if (*has && use_key(d, ssl, key) && SSL_check_private_key(ssl) == 1)
			return true;
		if (!again || !*has || !is_mismatch())
			return false;
		ERR_clear_error();
		forget_file(d, certificate);
		forget_file(d, key);
	}
}

static bool
use_all(struct dynamic *d, SSL *ssl, const struct weir_tls_names *names)
{
	char why[256];

	SSL_certs_clear(ssl);
	for (unsigned i = 0; i < names->n; i++) {
		bool has;

		if (use_pair(d, ssl, names->certificate[i], names->key[i], &has))
			continue;
		handshake_log(ssl, LOG_ERROR_, "cannot load certificate%s \"%s\" (SSL: %s)", has ? " key" : "",
		    has ? names->key[i] : names->certificate[i], tls_error(why, sizeof why));
		return false;
	}
	return true;
}

/* 1: go on; 0: the handshake fails. */
static int
on_certificate(SSL *ssl, void *arg)
{
	struct dynamic *d = arg;
	struct weir_tls *t = layer_of(ssl);
	struct weir_tls_names names;
	struct weir_pool *pool = pool_new(4096);
	bool ok = d->d.eval(t->conn, t->owner, d->d.arg, pool, &names) && use_all(d, ssl, &names);

	pool_free(pool);
	ERR_clear_error();
	return ok;
}

bool
dynamic_apply(const struct weir_tls_ctx *c, SSL *ssl, const struct weir_tls_names *names)
{
	bool ok = use_all(WEIR_OF(c->dynamic, struct dynamic, d), ssl, names);

	ERR_clear_error();
	return ok;
}

/* ---- names ---- */

bool
tls_has_variables(const struct weir_tls_words *words)
{
	for (unsigned i = 0; i < words->n; i++)
		if (str_chr(words->v[i].s, '$') >= 0)
			return true;
	return false;
}

/* What a client says must not lead out of the folder that was meant. */
static bool
goes_up(struct weir_str s)
{
	return str_find(s, STR("../")) >= 0 || str_ends(s, STR("..")) || memchr(s.p, 0, s.n) != NULL;
}

const char *
tls_file_name(struct weir_pool *pool, const char *prefix, struct weir_str name)
{
	if (name.n == 0 || goes_up(name))
		return NULL;
	return name.p[0] == '/' ? pool_cstr(pool, name) : pool_printf(pool, "%s%.*s%c", prefix, STR_ARG(name), 0).p;
}

/* ---- a context ---- */

static void
forget(void *arg)
{
	struct dynamic *d = arg;

	while (!list_empty(&d->objects))
		drop(d, list_first(&d->objects, struct object, all));
	OPENSSL_cleanse(&d->passwords, sizeof d->passwords);
}

int
dynamic_use(struct weir_conf *cf, struct weir_tls_ctx *c, const struct weir_tls_opts *o)
{
	struct dynamic *d = POOL_NEW(cf->pool, dynamic);

	if (keys_check(cf, o) != WEIR_OK)
		return WEIR_FAIL;
	if (o->certificates.n > TLS_PAIRS_MAX)
		return conf_error(cf, o->certificates.v[TLS_PAIRS_MAX].node, 1, "more than %d certificates, some of them "
		    "with variables", TLS_PAIRS_MAX);
	d->d.certificates = o->certificates;
	d->d.keys = o->keys;
	d->max = o->cache_max;
	d->inactive_ms = o->cache_inactive_ms;
	d->valid_ms = o->cache_valid_ms;
	list_init(&d->objects);
	pool_on_free(cf->pool, forget, d);
	c->dynamic = &d->d;
	if (SSL_CTX_get_ssl_method(c->ssl) == TLS_server_method())
		SSL_CTX_set_cert_cb(c->ssl, on_certificate, d);
	return passwords_read(cf, &o->passwords, &d->passwords);
}
