/*
 * pq.c - a TLS client, and certificates, with what the system's OpenSSL may be too old for: ML-KEM and ML-DSA.
 *
 *	pq cert ALGORITHM NAME KEYFILE CERTFILE
 *	pq get PORT NAME [groups=LIST] [max=1.2] [path=/] [host=NAME] [method=GET]
 *		[piece=BYTES] [record=BYTES] [in=FILE] [out=FILE] [early=] [extra=BYTES] [status=]
 *		[save=FILE] [alpn=NAME] [send=FILE]
 *
 * get says what was agreed on, a word and a value on each line, then an empty line and the response.  piece: so much of the
 * ClientHello in a segment; record: so much of it in a record of TLS.  in, out: files with a session; out is
 * written when the response is there.  early: the request is sent before the handshake
 * is over.  extra: so many bytes more in the ClientHello.  status: an OCSP response is asked for.  save: a file for all that
 * was sent before anything was received.  send: what is sent instead of a request.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "option.h"

static const char *out_path, *save_path;
static size_t hello;		/* bytes of the ClientHello, with the heads of its records */

static void
die(const char *what)
{
	char why[256];

	ERR_error_string_n(ERR_peek_error(), why, sizeof why);
	printf("error %s: %s\n", what, why);
	exit(1);
}

static int
cert(char **a)
{
	EVP_PKEY *k = strcmp(a[0], "EC") == 0 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, a[0]);
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	FILE *f;

	if (k == NULL)
		die("key");
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), (long)getpid());
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 864000);
	X509_set_pubkey(x, k);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)a[1], -1, -1, 0);
	X509_set_issuer_name(x, name);
	if (X509_sign(x, k, strcmp(a[0], "EC") == 0 ? EVP_sha256() : NULL) <= 0)
		die("sign");
	umask(077);
	f = fopen(a[2], "w");
	if (f == NULL || PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL) != 1 || fclose(f) != 0)
		die("write");
	f = fopen(a[3], "w");
	if (f == NULL || PEM_write_X509(f, x) != 1 || fclose(f) != 0)
		die("write");
	return 0;
}

static int
dial(const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	struct timeval tv = { .tv_sec = 30 };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	return fd;
}

static void
save(const char *b, size_t n)
{
	FILE *f = fopen(save_path, "w");

	if (f == NULL || fwrite(b, 1, n, f) != n || fclose(f) != 0)
		die("save");
}

/* What OpenSSL has to say, in pieces. */
static void
flush_bio(int fd, BIO *from, size_t piece)
{
	static char b[65536];
	int n = BIO_read(from, b, sizeof b);

	if (n > 0 && hello == 0) {
		hello = (size_t)n;
		if (save_path != NULL)
			save(b, (size_t)n);
	}
	for (int at = 0; at < n; ) {
		size_t len = (size_t)(n - at) < piece ? (size_t)(n - at) : piece;
		ssize_t sent = send(fd, b + at, len, MSG_NOSIGNAL);

		if (sent <= 0)
			return;		/* what was answered is still to be read */
		at += (int)sent;
	}
}

/* False: the end. */
static int
fill_bio(int fd, BIO *to)
{
	static char b[65536];
	ssize_t n = recv(fd, b, sizeof b, 0);

	if (n <= 0)
		return 0;
	BIO_write(to, b, (int)n);
	return 1;
}

static int compressed;

static void
on_message(int sent, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	(void)version, (void)ssl, (void)arg;
	if (!sent && type == SSL3_RT_HANDSHAKE && n != 0 && *(const unsigned char *)p == SSL3_MT_COMPRESSED_CERTIFICATE)
		compressed = 1;
}

/* An extension that nobody knows, of zeros. */
static int
add_extra(SSL *ssl, unsigned type, unsigned context, const unsigned char **out, size_t *n, X509 *x, size_t chain, int *alert,
    void *arg)
{
	(void)ssl, (void)type, (void)context, (void)x, (void)chain, (void)alert;
	*n = *(size_t *)arg;
	*out = calloc(1, *n);
	return *out != NULL;
}

static void
free_extra(SSL *ssl, unsigned type, unsigned context, const unsigned char *out, void *arg)
{
	(void)ssl, (void)type, (void)context, (void)arg;
	free((void *)out);
}

static int
on_session(SSL *ssl, SSL_SESSION *s)
{
	FILE *f = fopen(out_path, "w");

	(void)ssl;
	if (f == NULL || PEM_write_SSL_SESSION(f, s) != 1 || fclose(f) != 0)
		die("session");
	return 0;
}

static void
resume(SSL *ssl, const char *path)
{
	FILE *f = fopen(path, "r");
	SSL_SESSION *s = f != NULL ? PEM_read_SSL_SESSION(f, NULL, NULL, NULL) : NULL;

	if (s == NULL || SSL_set_session(ssl, s) != 1)
		die("resume");
	fclose(f);
	SSL_SESSION_free(s);
}

static void
tell(SSL *ssl)
{
	const X509 *x = SSL_get0_peer_certificate(ssl);
	const char *group = SSL_group_to_name(ssl, (int)SSL_get_negotiated_group(ssl));
	const char *sig = NULL;
	char cn[256] = "";
	const unsigned char *staple;

	if (x != NULL)
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof cn);
	if (SSL_get0_peer_signature_name(ssl, &sig) != 1 || sig == NULL)
		sig = "";
	printf("protocol %s\ngroup %s\ncn %s\nsignature %s\nreused %d\nearly %s\nhello %zu\ncompressed %d\nstaple %ld\n", SSL_get_version(ssl),
	    group != NULL ? group : "", cn, sig, SSL_session_reused(ssl),
	    SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED ? "accepted" : "", hello, compressed, SSL_get_tlsext_status_ocsp_resp(ssl, &staple));
}

static int
load(const char *path, char *to, size_t room)
{
	FILE *f = fopen(path, "r");
	size_t n = f != NULL ? fread(to, 1, room, f) : 0;

	if (n == 0)
		die("load");
	fclose(f);
	return (int)n;
}

static void
say_alpn(SSL *ssl, const char *name)
{
	unsigned char wire[32];
	size_t n = strlen(name);

	wire[0] = (unsigned char)n;
	memcpy(wire + 1, name, n);
	SSL_set_alpn_protos(ssl, wire, (unsigned)n + 1);
}

static int
get(char **a)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	const char *groups = option(a, "groups", NULL), *from = option(a, "in", NULL), *early = option(a, "early", NULL);
	size_t extra = (size_t)atol(option(a, "extra", "0"));
	size_t piece = (size_t)atol(option(a, "piece", "65536")), sent = 0;
	char request[4096], b[16384];
	int fd = dial(a[0]), rc, n;

	n = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
	    option(a, "method", "GET"), option(a, "path", "/"), option(a, "host", a[1]));
	if (option(a, "send", NULL) != NULL)
		n = load(option(a, "send", NULL), request, sizeof request);
	out_path = option(a, "out", NULL);
	save_path = option(a, "save", NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
	if (out_path != NULL)
		SSL_CTX_sess_set_new_cb(ctx, on_session);
	if (strcmp(option(a, "max", ""), "1.2") == 0)
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_msg_callback(ctx, on_message);
	if (extra != 0 && SSL_CTX_add_custom_ext(ctx, 65280, SSL_EXT_CLIENT_HELLO, add_extra, free_extra, &extra, NULL, NULL) != 1)
		die("extra");
	ssl = SSL_new(ctx);
	if (groups != NULL && SSL_set1_groups_list(ssl, groups) != 1)
		die("groups");
	if (option(a, "record", NULL) != NULL && SSL_set_max_send_fragment(ssl, atol(option(a, "record", ""))) != 1)
		die("record");
	if (option(a, "status", NULL) != NULL)
		SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
	SSL_set_tlsext_host_name(ssl, a[1]);
	if (option(a, "alpn", NULL) != NULL)
		say_alpn(ssl, option(a, "alpn", NULL));
	BIO_set_mem_eof_return(in, -1);
	BIO_set_mem_eof_return(out, -1);
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	if (from != NULL)
		resume(ssl, from);
	if (early != NULL && SSL_write_early_data(ssl, request, (size_t)n, &sent) != 1)
		die("early");
	for (;;) {
		rc = SSL_do_handshake(ssl);
		flush_bio(fd, out, piece);
		if (rc == 1)
			break;
		if (SSL_get_error(ssl, rc) != SSL_ERROR_WANT_READ)
			die("handshake");
		if (!fill_bio(fd, in))
			die("closed");
	}
	tell(ssl);
	if (early == NULL || SSL_get_early_data_status(ssl) != SSL_EARLY_DATA_ACCEPTED)
		SSL_write(ssl, request, n);
	flush_bio(fd, out, 65536);
	printf("\n");
	while ((rc = SSL_read(ssl, b, sizeof b)) > 0 || (SSL_get_error(ssl, rc) == SSL_ERROR_WANT_READ && fill_bio(fd, in)))
		if (rc > 0)
			fwrite(b, 1, (size_t)rc, stdout);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "cert") == 0)
		return cert(argv + 2);
	if (argc >= 4 && strcmp(argv[1], "get") == 0)
		return get(argv + 2);
	return 2;
}
