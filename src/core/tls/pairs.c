/*
 * pairs.c - certificates with their keys that may change while they are served.
 *
 * A context whose pairs are of the same kinds as before gets them in place.  When a key of another kind has come,
 * that would leave the old one beside it, and OpenSSL cannot take one out of a context: from
 * then on connections get their certificates one by one, in the handshake.
 *
 * The packed form, all numbers of 32 bits: the pair's number, then the certificate, how many follow it and these, and the key, each
 * DER behind its length.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "core/base/mem.h"
#include "core/os/fd.h"
#include "core/tls/count.h"
#include "core/tls/ctx_ssl.h"
#include "core/tls/keys.h"
#include "core/tls/layer.h"
#include "core/tls/watch_conf.h"

enum { TEXT_MAX = 1 << 20, PACKED_MAX = 1 << 28, CHAIN_MAX = 1000 };

static void
replace(struct weir_tls_pair *p, X509 *leaf, STACK_OF(X509) *rest, EVP_PKEY *key)
{
	X509_free(p->leaf);
	OSSL_STACK_OF_X509_free(p->rest);
	EVP_PKEY_free(p->key);
	p->leaf = leaf;
	p->rest = rest;
	p->key = key;
}

/* ---- while the configuration is read ---- */

static void
forget(void *pair)
{
	replace(pair, NULL, NULL, NULL);
}

static bool
is_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static struct weir_tls_pair *
find_pair(struct weir_conf *cf, struct weir_tls_pairs *all, const char *const *path)
{
	struct weir_tls_pair *p;

	for (unsigned i = 0; i < all->all.n; i++) {
		p = all->all.v[i];
		if (is_same(p->path[0], path[0]) && is_same(p->path[1], path[1]) && is_same(p->path[2], path[2]))
			return p;
	}
	p = POOL_NEW(cf->pool, weir_tls_pair);
	memcpy(p->path, path, sizeof p->path);
	p->every_ms = UINT64_MAX;
	pool_on_free(cf->pool, forget, p);
	*POOL_PUSH(cf->pool, &all->all) = p;
	return p;
}

static struct weir_tls_user *
find_user(struct weir_conf *cf, struct weir_tls_pairs *all, SSL_CTX *ssl)
{
	struct weir_tls_user *u;

	/* the one that is being made is the last */
	if (all->users.n != 0 && all->users.v[all->users.n - 1]->ssl == ssl)
		return all->users.v[all->users.n - 1];
	u = POOL_NEW(cf->pool, weir_tls_user);
	u->ssl = ssl;
	*POOL_PUSH(cf->pool, &all->users) = u;
	return u;
}

int
pairs_add(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_opts *o, unsigned i)
{
	const char *const path[PAIR_FILES] = { o->certificates.v[i].s.p, o->keys.v[i].s.p,
	    o->passwords.s.n != 0 ? o->passwords.s.p : NULL };
	struct weir_tls_pairs *all = watch_pairs(cf);
	struct weir_tls_pair *p = find_pair(cf, all, path);
	struct weir_tls_user *u = find_user(cf, all, ssl);
	STACK_OF(X509) *rest = NULL;

	*POOL_PUSH(cf->pool, &u->pairs) = p;
	if (o->key_mode == KEYS_STRICT || p->leaf == NULL)
		p->key_mode = o->key_mode;
	if (o->watch_ms != 0)
		p->every_ms = WEIR_MIN(p->every_ms, o->watch_ms);
	else
		p->by_kernel = true;
	if (p->leaf != NULL)
		return WEIR_OK;
	SSL_CTX_get0_chain_certs(ssl, &rest);
	rest = rest != NULL ? X509_chain_up_ref(rest) : sk_X509_new_null();
	p->leaf = SSL_CTX_get0_certificate(ssl);
	p->key = SSL_CTX_get0_privatekey(ssl);
	X509_up_ref(p->leaf);
	EVP_PKEY_up_ref(p->key);
	p->rest = rest;
	p->kind = pool_cstr(cf->pool, str_c(EVP_PKEY_get0_type_name(p->key)));
	count_certificate(cf, path[PAIR_CERT], &p->leaf);
	return rest != NULL ? WEIR_OK : WEIR_FAIL;
}

/* ---- reading again ---- */

static BIO *
open_text(const char *path, char *why, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;
	struct stat st;
	BIO *b = NULL;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0) {
		snprintf(why, room, "cannot open \"%s\" (%d: %s)", path, errno, strerror(errno));
	} else if (!S_ISREG(st.st_mode) || st.st_size > TEXT_MAX) {
		snprintf(why, room, "\"%s\" is no file of at most 1 MB", path);
	} else {
		text = mem_alloc(TEXT_MAX);
		n = read(fd, text, TEXT_MAX);
		b = BIO_new(BIO_s_mem());
		if (n < 0 || b == NULL || BIO_write(b, text, (int)n) != n) {
			snprintf(why, room, "cannot read \"%s\" (%d: %s)", path, errno, strerror(errno));
			BIO_free(b);
			b = NULL;
		}
		OPENSSL_cleanse(text, n > 0 ? (size_t)n : 0);
		mem_free(text);
	}
	fd_close(&fd);
	return b;
}

/* What is wrong, in `why`; then nothing was made. */
static bool
read_cert(const char *path, X509 **leaf, STACK_OF(X509) **rest, char *why, size_t room)
{
	BIO *b = open_text(path, why, room);
	bool ok = b != NULL && chain_parse(b, leaf, rest);
	char ssl[256];

	if (b != NULL && !ok)
		snprintf(why, room, "cannot load \"%s\" (SSL: %s)", path, tls_error(ssl, sizeof ssl));
	BIO_free(b);
	return ok;
}

static bool
read_passwords(const char *path, struct weir_tls_passwords *to, char *why, size_t room)
{
	BIO *b;
	int n;

	to->n = 0;
	if (path == NULL)
		return true;
	b = open_text(path, why, room);
	if (b == NULL)
		return false;
	n = BIO_read(b, to->text, sizeof to->text - 1);
	to->n = n > 0 ? (size_t)n : 0;
	to->text[to->n] = '\0';
	BIO_free(b);
	return true;
}

static EVP_PKEY *
read_key(const struct weir_tls_pair *p, char *why, size_t room)
{
	struct weir_tls_passwords pass = { .n = 0 };
	EVP_PKEY *key = NULL;
	char ssl[256];
	BIO *b;

	if (!read_passwords(p->path[PAIR_PASSWORDS], &pass, why, room))
		return NULL;
	b = open_text(p->path[PAIR_KEY], why, room);
	if (b != NULL)
		key = key_parse(b, &pass);
	if (b != NULL && key == NULL)
		snprintf(why, room, "cannot load the key \"%s\" (SSL: %s)", p->path[PAIR_KEY],
		    pass.asked ? "no password fits" : tls_error(ssl, sizeof ssl));
	BIO_free(b);
	OPENSSL_cleanse(&pass, sizeof pass);
	return key;
}

static bool
is_same_chain(const STACK_OF(X509) *a, const STACK_OF(X509) *b)
{
	int n = sk_X509_num(a);

	for (int i = 0; i < n; i++)
		if (i >= sk_X509_num(b) || X509_cmp(sk_X509_value(a, i), sk_X509_value(b, i)) != 0)
			return false;
	return n == sk_X509_num(b);
}

static const char *
judge(const X509 *leaf, const EVP_PKEY *key)
{
	if (X509_check_private_key(leaf, key) != 1)
		return "the key does not belong to the certificate";
	if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
		return "it has expired";
	if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
		return "it is not valid yet";
	return NULL;
}

const char *
pair_read(struct weir_tls_pair *p, char *why, size_t room)
{
	STACK_OF(X509) *rest = NULL;
	const char *bad = why;
	EVP_PKEY *key = NULL;
	X509 *leaf = NULL;

	ERR_clear_error();
	if (read_cert(p->path[PAIR_CERT], &leaf, &rest, why, room) && (key = read_key(p, why, room)) != NULL) {
		bad = NULL;
		if (X509_cmp(leaf, p->leaf) != 0 || !is_same_chain(rest, p->rest) || EVP_PKEY_eq(key, p->key) != 1) {
			bad = judge(leaf, key);
			p->fresh = bad == NULL;
		}
	}
	if (p->fresh) {
		replace(p, leaf, rest, key);
		p->changed = true;
	} else {
		X509_free(leaf);
		OSSL_STACK_OF_X509_free(rest);
		EVP_PKEY_free(key);
	}
	ERR_clear_error();
	return bad;
}

/* ---- into contexts ---- */

/* SSL_CTX_set_cert_cb(): 1: go on; 0: the handshake fails. */
static int
on_certificate(SSL *ssl, void *arg)
{
	const struct weir_tls_user *u = arg;
	char why[256];

	SSL_certs_clear(ssl);
	for (unsigned i = 0; i < u->pairs.n; i++) {
		const struct weir_tls_pair *p = u->pairs.v[i];

		if (SSL_use_cert_and_key(ssl, p->leaf, p->key, p->rest, 1) == 1)
			continue;
		handshake_log(ssl, LOG_ERROR_, "cannot use certificate \"%s\" (SSL: %s)", p->path[PAIR_CERT],
		    tls_error(why, sizeof why));
		return 0;
	}
	return 1;
}

static bool
is_concerned(const struct weir_tls_user *u)
{
	for (unsigned i = 0; i < u->pairs.n; i++)
		if (u->pairs.v[i]->fresh)
			return true;
	return false;
}

static void
apply(struct weir_tls_user *u)
{
	char why[256];

	for (unsigned i = 0; i < u->pairs.n; i++)
		u->by_callback |= !EVP_PKEY_is_a(u->pairs.v[i]->key, u->pairs.v[i]->kind);
	if (u->by_callback) {
		SSL_CTX_set_cert_cb(u->ssl, on_certificate, u);
		return;
	}
	/* all of them, since of two that are of one kind the later counts */
	for (unsigned i = 0; i < u->pairs.n; i++) {
		const struct weir_tls_pair *p = u->pairs.v[i];

		if (SSL_CTX_use_cert_and_key(u->ssl, p->leaf, p->key, p->rest, 1) != 1)
			log_errorx(weir_log, "cannot use certificate \"%s\" (SSL: %s): the old one stays",
			    p->path[PAIR_CERT], tls_error(why, sizeof why));
	}
	(void)ctx_compress(u->ssl);
	ERR_clear_error();
}

void
pairs_apply(struct weir_tls_pairs *all)
{
	for (unsigned i = 0; i < all->users.n; i++)
		if (is_concerned(all->users.v[i]))
			apply(all->users.v[i]);
	for (unsigned i = 0; i < all->all.n; i++)
		all->all.v[i]->fresh = false;
}

/* ---- from process to process ---- */

static bool
put_u32(BIO *to, uint32_t n)
{
	return BIO_write(to, &n, sizeof n) == sizeof n;
}

/* What i2d_...() has made; frees it.  A length of 0 or less: it could make nothing. */
static bool
put_der(BIO *to, unsigned char *der, int n)
{
	bool ok = n > 0 && put_u32(to, (uint32_t)n) && BIO_write(to, der, n) == n;

	OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
	return ok;
}

static bool
put_cert(BIO *to, X509 *x)
{
	unsigned char *der = NULL;
	int n = i2d_X509_AUX(x, &der);

	return put_der(to, der, n);
}

static bool
put_pair(BIO *to, const struct weir_tls_pair *p, unsigned number)
{
	int n = sk_X509_num(p->rest);
	unsigned char *der = NULL;
	bool ok = put_u32(to, number) && put_cert(to, p->leaf) && put_u32(to, (uint32_t)n);

	for (int i = 0; i < n && ok; i++)
		ok = put_cert(to, sk_X509_value(p->rest, i));
	n = ok ? i2d_PrivateKey(p->key, &der) : 0;
	return ok && put_der(to, der, n);
}

int
pairs_pack(const struct weir_tls_pairs *all)
{
	BIO *b = BIO_new(BIO_s_mem());		/* wipes out what it gives back */
	bool ok = b != NULL;
	int fd = -1;
	char *p;
	long n;

	for (unsigned i = 0; i < all->all.n && ok; i++)
		if (all->all.v[i]->changed)
			ok = put_pair(b, all->all.v[i], i);
	errno = ENOMEM;
	if (ok) {
		n = BIO_get_mem_data(b, &p);
		fd = fd_sealed("weir-certificates", p, (size_t)n);
	}
	BIO_free(b);
	ERR_clear_error();
	return fd;
}

struct cursor {
	const unsigned char *p, *end;
};

static bool
get_u32(struct cursor *c, uint32_t *n)
{
	if ((size_t)(c->end - c->p) < sizeof *n)
		return false;
	memcpy(n, c->p, sizeof *n);
	c->p += sizeof *n;
	return true;
}

static bool
get_der(struct cursor *c, const unsigned char **der, uint32_t *n)
{
	if (!get_u32(c, n) || *n > (size_t)(c->end - c->p))
		return false;
	*der = c->p;
	c->p += *n;
	return true;
}

static X509 *
get_cert(struct cursor *c)
{
	const unsigned char *der;
	uint32_t n;

	return get_der(c, &der, &n) ? d2i_X509_AUX(NULL, &der, (long)n) : NULL;
}

/* The certificate with those behind it; NULL: no memory. */
static X509 *
get_chain(struct cursor *c, STACK_OF(X509) **rest)
{
	X509 *leaf = get_cert(c), *x = NULL;
	uint32_t n = 0;
	bool ok;

	*rest = sk_X509_new_null();
	ok = leaf != NULL && *rest != NULL && get_u32(c, &n) && n <= CHAIN_MAX;
	for (uint32_t i = 0; i < n && ok; i++) {
		x = get_cert(c);
		ok = x != NULL && sk_X509_push(*rest, x) > 0;
		if (!ok)
			X509_free(x);
	}
	if (ok)
		return leaf;
	X509_free(leaf);
	OSSL_STACK_OF_X509_free(*rest);
	return NULL;
}

static bool
get_pair(struct cursor *c, struct weir_tls_pairs *all)
{
	const unsigned char *der;
	STACK_OF(X509) *rest;
	struct weir_tls_pair *p;
	EVP_PKEY *key = NULL;
	uint32_t number, n;
	X509 *leaf;

	if (!get_u32(c, &number) || number >= all->all.n || (leaf = get_chain(c, &rest)) == NULL)
		return false;
	if (get_der(c, &der, &n))
		key = d2i_AutoPrivateKey(NULL, &der, (long)n);
	if (key == NULL) {
		X509_free(leaf);
		OSSL_STACK_OF_X509_free(rest);
		return false;
	}
	p = all->all.v[number];
	replace(p, leaf, rest, key);
	p->changed = p->fresh = true;
	return true;
}

int
pairs_unpack(struct weir_tls_pairs *all, int fd)
{
	struct cursor c;
	unsigned char *text;
	struct stat st;
	bool ok = true;
	ssize_t n;

	if (fstat(fd, &st) != 0 || st.st_size > PACKED_MAX)
		return WEIR_FAIL;
	text = mem_alloc((size_t)st.st_size + 1);
	/* others read from the same file, so its place is not moved */
	n = pread(fd, text, (size_t)st.st_size, 0);
	c = (struct cursor){ text, text + WEIR_MAX(n, 0) };
	while (ok && c.p < c.end)
		ok = get_pair(&c, all);
	OPENSSL_cleanse(text, (size_t)st.st_size);
	mem_free(text);
	ERR_clear_error();
	pairs_apply(all);
	return ok && n == st.st_size ? WEIR_OK : WEIR_FAIL;
}
