/*
 * hand.c - TLS handshakes and nothing else.
 *
 *	hand -s PORT CERT KEY	accepts, reads until the end, closes: OpenSSL as it is
 *	hand PORT N GROUP	makes N full handshakes of TLSv1.3 with that group
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
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

static int
client(char **argv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct sockaddr_in a = local(argv[1]);
	char c;

	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	if (SSL_CTX_set1_groups_list(ctx, argv[3]) != 1)
		errx(1, "no such group");
	for (int n = atoi(argv[2]); n > 0; n--) {
		SSL *ssl = SSL_new(ctx);
		int fd = tcp();

		SSL_set_fd(ssl, fd);
		if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
			err(1, "cannot connect");
		if (SSL_connect(ssl) != 1)
			errx(1, "no handshake");
		SSL_shutdown(ssl);
		SSL_read(ssl, &c, 1);	/* until the server is done with this one */
		SSL_free(ssl);
		close(fd);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "-s") == 0)
		return server(argv);
	return argc == 4 ? client(argv) : 1;
}
