/*
 * hand.c - TLS handshakes and nothing else.
 *
 *	hand -s PORT CERT KEY	accepts, reads until the end, closes: OpenSSL as it is
 *	hand PORT N GROUP	makes N full handshakes of TLSv1.3 with that group
 *	hand -i PORT N GROUP PROTO	opens N connections, asks for /ret on each by h2 or http/1.1, says so, and keeps
 *				them until its input ends
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

static struct sockaddr_in
local(const char *port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int
tcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return fd;
}

static void
serve_one(SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);
	char c;

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1 && SSL_read(ssl, &c, 1) <= 0)
		SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
}

static int
server(char **argv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct sockaddr_in a = local(argv[2]);
	int fd = tcp();

	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set1_groups_list(ctx, "X25519MLKEM768:X25519:P-256:P-384");
	SSL_CTX_set_read_ahead(ctx, 1);
	if (SSL_CTX_use_certificate_chain_file(ctx, argv[3]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, argv[4], SSL_FILETYPE_PEM) != 1)
		errx(1, "cannot load the certificate");
	if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 128) != 0)
		err(1, "cannot listen");
	for (;;)
		serve_one(ctx, accept(fd, NULL, NULL));
}

static SSL_CTX *
client_ctx(const char *group)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	if (SSL_CTX_set1_groups_list(ctx, group) != 1)
		errx(1, "no such group");
	return ctx;
}

static SSL *
open_one(SSL_CTX *ctx, const char *port, int *fd)
{
	SSL *ssl = SSL_new(ctx);
	struct sockaddr_in a = local(port);

	*fd = tcp();
	SSL_set_fd(ssl, *fd);
	if (connect(*fd, (struct sockaddr *)&a, sizeof a) != 0)
		err(1, "cannot connect");
	if (SSL_connect(ssl) != 1)
		errx(1, "no handshake");
	return ssl;
}

static int
client(char **argv)
{
	SSL_CTX *ctx = client_ctx(argv[3]);
	char c;
	int fd;

	for (int n = atoi(argv[2]); n > 0; n--) {
		SSL *ssl = open_one(ctx, argv[1], &fd);

		SSL_shutdown(ssl);
		SSL_read(ssl, &c, 1);	/* until the server is done with this one */
		SSL_free(ssl);
		close(fd);
	}
	return 0;
}

/* The preface, SETTINGS, and HEADERS of GET https://x/ret, all from the static table but the path. */
static const char h2_asks[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" "\0\0\0\4\0\0\0\0\0"
    "\0\0\13\1\5\0\0\0\1" "\202\207\4\4/ret\1\1x";
static const char h1_asks[] = "GET /ret HTTP/1.1\r\nHost: x\r\n\r\n";

/* Until the body is here, which is "ok". */
static void
ask(SSL *ssl, bool h2)
{
	char b[4096];
	int n, all = 0;

	n = h2 ? SSL_write(ssl, h2_asks, sizeof h2_asks - 1) : SSL_write(ssl, h1_asks, sizeof h1_asks - 1);
	while (n > 0 && (all < 2 || memcmp(b + all - 2, "ok", 2) != 0)) {
		n = SSL_read(ssl, b + all, (int)sizeof b - all);
		all += n;
	}
	if (n <= 0)
		errx(1, "no answer");
}

static int
idle(char **argv)
{
	SSL_CTX *ctx = client_ctx(argv[4]);
	bool h2 = strcmp(argv[5], "h2") == 0;
	char c;
	int fd;

	if (h2)
		SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\2h2", 3);
	for (int n = atoi(argv[3]); n > 0; n--)
		ask(open_one(ctx, argv[2], &fd), h2);
	puts("open");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "-s") == 0)
		return server(argv);
	if (argc == 6 && strcmp(argv[1], "-i") == 0)
		return idle(argv);
	return argc == 4 ? client(argv) : 1;
}
