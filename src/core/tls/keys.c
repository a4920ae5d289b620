/*
 * keys.c - certificates and their keys, from files into contexts.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "core/tls/ctx_ssl.h"
#include "core/tls/files.h"
#include "core/tls/paths.h"

enum { PASSWORDS_MAX = 4096 };

/* ---- passwords: one on each line of a file, tried in turn ---- */

struct passwords {
	char	text[PASSWORDS_MAX];
	size_t	n;
	const char *next;		/* the one to try */
	bool	asked;			/* the key wanted one */
};

static int
read_passwords(struct weir_conf *cf, const struct weir_tls_word *from, struct passwords *to)
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
	struct passwords *p = arg;
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
next_password(struct passwords *p)
{
	if (p->next == NULL)
		return false;
	p->next += strcspn(p->next, "\n");
	if (*p->next == '\n')
		p->next++;
	return *p->next != '\0';
}

/* ---- certificates ---- */

static BIO *
open_file(struct weir_conf *cf, const struct weir_tls_word *w)
{
	BIO *b = file_open(cf, w->s.p);

	if (b == NULL)
		(void)ctx_error(cf, w, "cannot open certificate");
	return b;
}

/* The server's own, then those of the authorities between it and a root. */
static int
load_chain(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_word *w)
{
	BIO *b = open_file(cf, w);
	X509 *x;
	int rc = WEIR_OK;

	if (b == NULL)
		return WEIR_FAIL;
	x = PEM_read_bio_X509_AUX(b, NULL, NULL, NULL);
	if (x == NULL || SSL_CTX_use_certificate(ssl, x) != 1) {
		rc = ctx_error(cf, w, "cannot load certificate");
	} else {
		SSL_CTX_clear_chain_certs(ssl);
		while (X509_free(x), (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL)
			if (SSL_CTX_add1_chain_cert(ssl, x) != 1)
				rc = ctx_error(cf, w, "cannot use a certificate of the chain in");
		if (rc == WEIR_OK && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
			rc = ctx_error(cf, w, "cannot read all certificates of");
	}
	X509_free(x);
	BIO_free(b);
	ERR_clear_error();
	return rc;
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

static void
check_mode(struct weir_conf *cf, const struct weir_tls_word *w)
{
	if (path_is_open(w->s.p))
		conf_warn(cf, w->node, w->w, "everybody can read the key \"%s\": chmod o= it", w->s.p);
}

static EVP_PKEY *
read_key(struct weir_conf *cf, const struct weir_tls_word *w, struct passwords *p)
{
	EVP_PKEY *key = NULL;

	p->next = p->n != 0 ? p->text : NULL;
	do {
		BIO *b = file_open(cf, w->s.p);

		if (b == NULL)
			return NULL;
		p->asked = false;
		key = PEM_read_bio_PrivateKey(b, NULL, give_password, p);
		BIO_free(b);
	} while (key == NULL && p->asked && next_password(p));
	return key;
}

static int
load_key(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_word *w,
    const struct weir_tls_word *passwords)
{
	struct passwords p = { .n = 0 };
	EVP_PKEY *key;
	int rc = WEIR_OK;

	if (read_passwords(cf, passwords, &p) != WEIR_OK)
		return WEIR_FAIL;
	key = read_key(cf, w, &p);
	if (key == NULL && p.asked)
		rc = conf_error(cf, w->node, w->w, "cannot load certificate key \"%s\": %s", w->s.p,
		    p.n != 0 ? "no password in ssl_password_file fits" :
		    "it has a password, and there is no ssl_password_file");
	else if (key == NULL)
		rc = ctx_error(cf, w, "cannot load certificate key");
	else if (X509_check_private_key(SSL_CTX_get0_certificate(ssl), key) != 1 ||
	    SSL_CTX_use_PrivateKey(ssl, key) != 1)
		rc = ctx_error(cf, w, "this key does not belong to the certificate:");
	EVP_PKEY_free(key);
	OPENSSL_cleanse(&p, sizeof p);
	ERR_clear_error();
	if (rc == WEIR_OK)
		check_mode(cf, w);
	return rc;
}

int
keys_load(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_opts *o)
{
	for (unsigned i = 0; i < o->certificates.n; i++) {
		const struct weir_tls_word *cert = &o->certificates.v[i];

		if (i >= o->keys.n)
			return conf_error(cf, cert->node, cert->w,
			    "no \"ssl_certificate_key\" is defined for certificate \"%s\"", cert->s.p);
		if (load_chain(cf, ssl, cert) != WEIR_OK ||
		    load_key(cf, ssl, &o->keys.v[i], &o->passwords) != WEIR_OK)
			return WEIR_FAIL;
		check_time(cf, cert, SSL_CTX_get0_certificate(ssl));
	}
	return WEIR_OK;
}
