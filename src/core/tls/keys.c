/*
 * keys.c - certificates and their keys, from files into contexts.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "core/tls/count.h"
#include "core/tls/ctx_ssl.h"
#include "core/tls/files.h"
#include "core/tls/keys.h"
#include "core/tls/pairs.h"
#include "core/tls/paths.h"

int
passwords_read(struct weir_conf *cf, const struct weir_tls_word *from, struct weir_tls_passwords *to)
{
	int fd, err;
	ssize_t n;

	to->n = 0;
	if (from->s.n == 0)
		return WEIR_OK;
	fd = open(from->s.p, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, to->text, sizeof to->text) : -1;
	err = errno;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return conf_error(cf, from->node, from->w, "cannot read \"%s\" (%d: %s)", from->s.p, err,
		    strerror(err));
	to->n = (size_t)n;
	if (to->n == sizeof to->text)
		return conf_error(cf, from->node, from->w, "\"%s\" has more than %d bytes", from->s.p,
		    PASSWORDS_MAX - 1);
	to->text[to->n] = '\0';
	return WEIR_OK;
}

static int
give_password(char *buf, int size, int writing, void *arg)
{
	struct weir_tls_passwords *p = arg;
	size_t n;

	(void)writing;
	p->asked = true;
	if (p->next == NULL || *p->next == '\0')
		return -1;
	n = strcspn(p->next, "\r\n");
	if (n >= (size_t)size)
		return -1;
	memcpy(buf, p->next, n);
	return (int)n;
}

static bool
next_password(struct weir_tls_passwords *p)
{
	if (p->next == NULL)
		return false;
	p->next += strcspn(p->next, "\n");
	if (*p->next == '\n')
		p->next++;
	return *p->next != '\0';
}

/* ---- certificates ---- */

bool
chain_parse(BIO *b, X509 **leaf, STACK_OF(X509) **rest)
{
	X509 *x;

	*rest = NULL;
	*leaf = PEM_read_bio_X509_AUX(b, NULL, NULL, NULL);
	if (*leaf == NULL)
		return false;
	*rest = sk_X509_new_null();
	while ((x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(*rest, x) <= 0)
			X509_free(x);
	if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
		ERR_clear_error();
		return true;
	}
	X509_free(*leaf);
	*leaf = NULL;
	OSSL_STACK_OF_X509_free(*rest);
	return false;
}

/* The chain in a file, which may be parsed already; NULL with OpenSSL's reason. */
static struct weir_tls_objects *
chain_of(struct weir_conf *cf, const char *path)
{
	struct weir_tls_objects *o = file_objects(cf, path);
	BIO *b;

	if (o == NULL || o->leaf != NULL)
		return o;
	b = file_open(cf, path);
	if (b != NULL && !chain_parse(b, &o->leaf, &o->rest)) {
		o->rest = NULL;
		o = NULL;
	}
	BIO_free(b);
	return o;
}

static int
load_chain(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_word *w)
{
	struct weir_tls_objects *o;

	if (file_objects(cf, w->s.p) == NULL)
		return ctx_error(cf, w, "cannot open certificate");
	o = chain_of(cf, w->s.p);
	if (o == NULL || o->leaf == NULL || SSL_CTX_use_certificate(ssl, o->leaf) != 1 ||
	    SSL_CTX_set1_chain(ssl, o->rest) != 1)
		return ctx_error(cf, w, "cannot load certificate");
	ERR_clear_error();
	return WEIR_OK;
}

/* Clients will refuse it, but whoever starts a server with it may know that. */
static void
check_time(struct weir_conf *cf, const struct weir_tls_word *w, const X509 *x)
{
	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		conf_warn(cf, w->node, w->w, "the certificate \"%s\" has expired", w->s.p);
	else if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		conf_warn(cf, w->node, w->w, "the certificate \"%s\" is not valid yet", w->s.p);
}

/* ---- keys ---- */

static int
check_mode(struct weir_conf *cf, const struct weir_tls_word *w, enum weir_tls_key_mode mode)
{
	if (mode == KEYS_STRICT && !path_is_private(w->s.p))
		return conf_error(cf, w->node, w->w, "others than its owner can read the key \"%s\": chmod 600 it", w->s.p);
	if (mode == KEYS_WARN && path_is_open(w->s.p))
		conf_warn(cf, w->node, w->w, "everybody can read the key \"%s\": chmod o= it", w->s.p);
	return WEIR_OK;
}

EVP_PKEY *
key_parse(BIO *b, struct weir_tls_passwords *p)
{
	EVP_PKEY *key;

	p->next = p->n != 0 ? p->text : NULL;
	do {
		p->asked = false;
		key = PEM_read_bio_PrivateKey(b, NULL, give_password, p);
	} while (key == NULL && p->asked && next_password(p) && BIO_reset(b) >= 0);
	return key;
}

static EVP_PKEY *
read_key(struct weir_conf *cf, const struct weir_tls_word *w, struct weir_tls_passwords *p)
{
	struct weir_tls_objects *o = file_objects(cf, w->s.p);
	EVP_PKEY *key = NULL;
	BIO *b;

	if (o != NULL && o->key != NULL && EVP_PKEY_up_ref(o->key) == 1)
		return o->key;
	b = o != NULL ? file_open(cf, w->s.p) : NULL;
	key = b != NULL ? key_parse(b, p) : NULL;
	BIO_free(b);
	/* one with a password is nobody's who does not know it */
	if (key != NULL && !p->asked && EVP_PKEY_up_ref(key) == 1)
		o->key = key;
	return key;
}

/* ssl_certificate_key has its passwords in ssl_password_file, proxy_ssl_... in proxy_ssl_... */
static int
no_password(struct weir_conf *cf, const struct weir_tls_word *w, bool has_file)
{
	struct weir_str name = w->node->w[0].s;

	name.n -= strlen("certificate_key");
	return conf_error(cf, w->node, w->w, "cannot load certificate key \"%s\": %s%.*spassword_file%s", w->s.p,
	    has_file ? "no password in " : "it has a password, and there is no ", STR_ARG(name), has_file ? " fits" : "");
}

static int
load_key(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_word *w, const struct weir_tls_opts *o)
{
	struct weir_tls_passwords p = { .n = 0 };
	EVP_PKEY *key;
	int rc = WEIR_OK;

	if (passwords_read(cf, &o->passwords, &p) != WEIR_OK)
		return WEIR_FAIL;
	key = read_key(cf, w, &p);
	if (key == NULL && p.asked)
		rc = no_password(cf, w, p.n != 0);
	else if (key == NULL)
		rc = ctx_error(cf, w, "cannot load certificate key");
	else if (X509_check_private_key(SSL_CTX_get0_certificate(ssl), key) != 1 ||
	    SSL_CTX_use_PrivateKey(ssl, key) != 1)
		rc = ctx_error(cf, w, "this key does not belong to the certificate:");
	EVP_PKEY_free(key);
	OPENSSL_cleanse(&p, sizeof p);
	ERR_clear_error();
	return rc == WEIR_OK ? check_mode(cf, w, o->key_mode) : rc;
}

int
keys_check(struct weir_conf *cf, const struct weir_tls_opts *o)
{
	const struct weir_tls_word *cert;

	if (o->certificates.n <= o->keys.n)
		return WEIR_OK;
	cert = &o->certificates.v[o->keys.n];
	return conf_error(cf, cert->node, cert->w, "no \"%s_key\" is defined for certificate \"%s\"",
	    cert->node->w[0].s.p, cert->s.p);
}

static void
drop(void *leaf)
{
	X509_free(leaf);
}

static void
count_kept(struct weir_conf *cf, SSL_CTX *ssl, const char *path)
{
	X509 **leaf = pool_alloc(cf->pool, sizeof *leaf);

	*leaf = SSL_CTX_get0_certificate(ssl);
	X509_up_ref(*leaf);
	pool_on_free(cf->pool, drop, *leaf);
	count_certificate(cf, path, leaf);
}

int
keys_load(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_opts *o)
{
	if (keys_check(cf, o) != WEIR_OK)
		return WEIR_FAIL;
	for (unsigned i = 0; i < o->certificates.n; i++) {
		const struct weir_tls_word *cert = &o->certificates.v[i];

		if (load_chain(cf, ssl, cert) != WEIR_OK ||
		    load_key(cf, ssl, &o->keys.v[i], o) != WEIR_OK)
			return WEIR_FAIL;
		check_time(cf, cert, SSL_CTX_get0_certificate(ssl));
		if (!o->watch)
			count_kept(cf, ssl, cert->s.p);
		if (o->watch && pairs_add(cf, ssl, o, i) != WEIR_OK)
			return ctx_error(cf, cert, "cannot watch");
	}
	return WEIR_OK;
}
