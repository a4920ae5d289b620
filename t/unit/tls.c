/* unit: src/core/tls/handshake.c */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/base/clock.h"
#include "core/net/conn_new.h"
#include "core/shm/zone.h"
#include "core/tls/groups.h"
#include "core/tls/handshake.c"

/*
 * The client is OpenSSL itself, in this process, over a socketpair.
 */

static char	dir[] = "/tmp/weir-unit-tls-XXXXXX", crt[64], key[64];
static struct weir_log quiet = { .level = LOG_EMERG_ };
static struct weir_conf cf;
static struct weir_node place;
static struct weir_conn *conn;
static enum weir_tls_end how;
static unsigned	n_done;
static bool	zones_there;
static SSL	*client;
static const struct weir_tls_ctx *ctx, *other;
static char	asked[300];
static unsigned	hellos;		/* that the client sent */

static struct weir_tls_word
word(const char *s)
{
	return (struct weir_tls_word){ .s = str_c(s), .node = &place };
}

static void
make_certificate(void)
{
	EVP_PKEY *k = EVP_EC_gen("P-256");
	X509	*x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	FILE	*f;

	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, k);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"unit", -1, -1, 0);
	X509_set_issuer_name(x, name);
	assert_true(X509_sign(x, k, EVP_sha256()) > 0);
	snprintf(crt, sizeof crt, "%s/crt", dir);
	snprintf(key, sizeof key, "%s/key", dir);
	f = fopen(crt, "w");
	assert_int_equal(PEM_write_X509(f, x), 1);
	fclose(f);
	f = fopen(key, "w");
	assert_int_equal(PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	chmod(key, 0600);
	X509_free(x);
	EVP_PKEY_free(k);
}

static enum weir_tls_pqc policy;

static const struct weir_tls_ctx *
context(const char *groups, unsigned protocols, bool reject)
{
	struct weir_tls_word c = word(crt), k = word(key);
	struct weir_tls_opts o = {
		.certificates = { .v = &c, .n = 1 }, .keys = { .v = &k, .n = 1 },
		.protocols = protocols, .tickets = true, .rotate_ms = 1000, .pqc = policy, .session_ms = 300000, .depth = 1, .record = 16384,
		.curves = groups != NULL ? word(groups) : (struct weir_tls_word){ .s = STR_NONE }, .reject = reject,
	};

	return tls_server_ctx(&cf, &place, &o);
}

static const struct weir_tls_ctx *
find(struct weir_conn *c, struct weir_str name, void **owner)
{
	assert_ptr_equal(c, conn);
	snprintf(asked, sizeof asked, "%.*s", STR_ARG(name));
	*owner = asked;
	if (str_eq(name, STR("other")))
		return other;
	return str_eq(name, STR("none")) ? NULL : ctx;
}

static void
on_done(struct weir_conn *c, enum weir_tls_end end)
{
	assert_ptr_equal(c, conn);
	how = end;
	n_done++;
}

static void
on_message(int out, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	(void)version, (void)ssl, (void)arg;
	hellos += out && type == SSL3_RT_HANDSHAKE && n != 0 && *(const char *)p == SSL3_MT_CLIENT_HELLO;
}

static void
begin_pair(const char *groups, const char *name, int version)
{
	static SSL_CTX	*method;
	int		 fd[2];

	if (method == NULL)
		method = SSL_CTX_new(TLS_client_method());
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	if (!zones_there)	/* a context wants one */
		assert_int_equal(zones_open(cf.zones, NULL, &quiet), WEIR_OK);
	zones_there = true;
	n_done = 0;
	conn = conn_new(fd[0]);
	conn->peer.in = (struct sockaddr_in){ .sin_family = AF_INET };
	conn->tcp.ev.ready = EV_WRITE;
	client = SSL_new(method);
	SSL_set_fd(client, fd[1]);
	SSL_set_connect_state(client);
	SSL_set_msg_callback(client, on_message);
	hellos = 0;
	SSL_set_min_proto_version(client, version);
	SSL_set_max_proto_version(client, version);
	if (groups != NULL)
		assert_int_equal(SSL_set1_groups_list(client, groups), 1);
	if (name != NULL)
		SSL_set_tlsext_host_name(client, name);
	tls_accept(conn, &(struct weir_tls_accept){ .ctx = ctx, .find = find, .log = &quiet, .timeout_ms = 1000,
	    .done = on_done });
}

/* Turns until the handshake ended on our side. */
static int
shake(void)
{
	int	rc = 0;

	for (int i = 0; i < 1000 && n_done == 0; i++) {
		rc = SSL_do_handshake(client);
		loop_turn(0);
	}
	if (rc != 1)
		rc = SSL_do_handshake(client);
	assert_int_equal(n_done, 1);
	return rc;
}

static void
end_pair(void)
{
	int	fd = SSL_get_fd(client);

	conn_close(conn);
	loop_turn(0);
	SSL_free(client);
	close(fd);
	ERR_clear_error();
}

/* Both agree on this group, and on whether the client was asked again for a share of it. */
static void
agree(const char *theirs, const char *group, bool again)
{
	begin_pair(theirs, NULL, TLS1_3_VERSION);
	assert_int_equal(shake(), 1);
	assert_int_equal(how, TLS_OK);
	assert_string_equal(tls_curve(conn), group);
	assert_string_equal(tls_protocol(conn), "TLSv1.3");
	assert_int_equal(hellos, again ? 2 : 1);
	end_pair();
}

static void
test_groups(void **state)
{
	(void)state;
	ctx = context(NULL, TLS_V1_2 | TLS_V1_3, false);
	assert_non_null(ctx);
	agree(NULL, "X25519MLKEM768", false);			/* OpenSSL's own default */
	agree("X25519MLKEM768:X25519", "X25519MLKEM768", false);
	agree("DEFAULT", "X25519MLKEM768", false);
	/* a share of X25519 only, but it knows better: it is asked again (S-121) */
	agree("X25519:X25519MLKEM768", "X25519MLKEM768", true);
	agree("P-256:X25519:X25519MLKEM768", "X25519MLKEM768", true);
	agree("X25519", "X25519", false);			/* classical clients get in */
	agree("P-256", "prime256v1", false);
	agree("P-384:P-256", "secp384r1", false);
	agree("P-521:P-256", "prime256v1", true);
}

static void
test_other_groups(void **state)
{
	(void)state;
	ctx = context("SecP384r1MLKEM1024:X25519MLKEM768", TLS_V1_3, false);
	assert_non_null(ctx);
	agree("X25519MLKEM768:SecP384r1MLKEM1024", "X25519MLKEM768", false);
	agree("SecP384r1MLKEM1024", "SecP384r1MLKEM1024", false);
	begin_pair("X25519", NULL, TLS1_3_VERSION);
	assert_int_not_equal(shake(), 1);
	assert_int_equal(how, TLS_FAIL);
	end_pair();
	ctx = context("MLKEM1024", TLS_V1_3, false);
	agree("MLKEM1024:X25519", "MLKEM1024", false);
	ctx = context("DEFAULT", TLS_V1_3, false);
	agree("X25519:X25519MLKEM768", "X25519MLKEM768", true);
}

/* Names that are no groups are told with a hint, before anything else. */
static void
test_wrong_groups(void **state)
{
	static const char *const wrong[] = {
		"kyber768", "X25519:X25519Kyber768Draft00", "x25519_kyber768", "X448MLKEM1024", "X25519:", "", "a b",
		"X25519::P-256", "nope", "/", "*",
	};

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(wrong); i++) {
		unsigned	before = cf.errors;

		if (*wrong[i] == '\0')
			continue;
		assert_null(context(wrong[i], TLS_V1_3, false));
		assert_int_equal(cf.errors, before + 1);
	}
	assert_int_equal(group_level("X25519MLKEM768"), 3);
	assert_int_equal(group_level("MLKEM512"), 1);
	assert_int_equal(group_level("SecP384r1MLKEM1024"), 5);
	assert_int_equal(group_level("x25519"), 0);
	assert_int_equal(group_level(NULL), 0);
}

/* Who has no ML-KEM is refused by the alert for it, or has nothing else (S-123). */
static void
refused(const char *theirs, int version)
{
	begin_pair(theirs, NULL, version);
	assert_int_not_equal(shake(), 1);
	assert_int_equal(how, TLS_FAIL);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), version == TLS1_3_VERSION ? SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE :
	    SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
	end_pair();
}

static void
test_policy(void **state)
{
	static const struct { enum weir_tls_pqc policy; const char *from, *to; unsigned level, status; } rows[] = {
		{ PQC_PREFER, "P-256:X25519MLKEM768", "P-256:X25519MLKEM768", 0, 0 },
		{ PQC_PREFER, "P-256/MLKEM512:X25519MLKEM768/MLKEM1024:P-384", "P-256/X25519MLKEM768/MLKEM1024:P-384", 3, 0 },
		{ PQC_PREFER, "auto", "SecP384r1MLKEM1024/X25519:P-256:P-384", 5, 0 },
		{ PQC_PREFER, "auto", "X25519MLKEM768/SecP256r1MLKEM768:SecP384r1MLKEM1024/X25519:P-256:P-384", 3, 0 },
		{ PQC_PREFER, "MLKEM768:P-256", NULL, 5, 0 },
		{ PQC_REQUIRE, "auto", "SecP384r1MLKEM1024", 4, 0 },
		{ PQC_REQUIRE, "auto", "SecP384r1MLKEM1024/X25519:P-256:P-384", 5, 421 },
		{ PQC_REQUIRE, "X25519:P-256", NULL, 0, 421 },
		{ PQC_OFF, "auto", "X25519:P-256:P-384", 5, 0 },
		{ PQC_REQUIRE, "P-256:X25519MLKEM768", "X25519MLKEM768", 0, 0 },
		{ PQC_REQUIRE, "X25519:*MLKEM768/P-256/?SecP256r1MLKEM768:P-384", "*MLKEM768/?SecP256r1MLKEM768", 0, 0 },
		{ PQC_REQUIRE, "MLKEM512:X25519:MLKEM768", "MLKEM512:MLKEM768", 0, 0 },
		{ PQC_OFF, "X25519MLKEM768/X25519:P-256", "X25519:P-256", 0, 0 },
		{ PQC_OFF, "X25519/X25519MLKEM768/P-256", "X25519/P-256", 0, 0 },
		{ PQC_OFF, "auto", "X25519:P-256:P-384", 0, 0 },
		{ PQC_REQUIRE, "X25519:P-256", NULL, 0, 0 },
		{ PQC_OFF, "MLKEM768", NULL, 0, 0 },
		{ PQC_REQUIRE, "DEFAULT", NULL, 0, 0 },
		{ PQC_OFF, "kyber768", NULL, 0, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(rows); i++) {
		struct weir_tls_word w = word(rows[i].from);
		struct weir_tls_opts o = { .pqc = rows[i].policy, .pqc_level = rows[i].level, .pqc_status = rows[i].status };
		const char	*list = groups_list(&cf, &w, &o);

		assert_int_equal(list != NULL, rows[i].to != NULL);
		if (list != NULL)
			assert_string_equal(list, rows[i].to);
	}
	policy = PQC_REQUIRE;
	ctx = context(NULL, TLS_V1_2 | TLS_V1_3, false);
	agree("X25519:X25519MLKEM768", "X25519MLKEM768", true);
	agree("SecP384r1MLKEM1024", "SecP384r1MLKEM1024", false);
	refused("X25519:P-256", TLS1_3_VERSION);
	refused("X25519:P-256", TLS1_2_VERSION);
	policy = PQC_OFF;
	ctx = context(NULL, TLS_V1_2 | TLS_V1_3, false);
	agree("X25519MLKEM768:X25519", "X25519", true);
	refused("X25519MLKEM768", TLS1_3_VERSION);
	policy = PQC_PREFER;
}

/* The context is chosen by the name, also its protocols. */
static void
test_names(void **state)
{
	(void)state;
	ctx = context(NULL, TLS_V1_3, false);
	other = context("P-384", TLS_V1_2, false);
	begin_pair(NULL, "Some.NAME.", TLS1_3_VERSION);
	assert_int_equal(shake(), 1);
	assert_string_equal(asked, "some.name");
	assert_str(tls_server_name(conn), "Some.NAME.");
	assert_ptr_equal(tls_owner(conn), asked);
	end_pair();
	begin_pair("P-256:P-384", "other", TLS1_2_VERSION);
	assert_int_equal(shake(), 1);
	assert_string_equal(tls_protocol(conn), "TLSv1.2");
	assert_string_equal(tls_curve(conn), "secp384r1");
	end_pair();
	begin_pair(NULL, "other", TLS1_3_VERSION);
	assert_int_not_equal(shake(), 1);
	assert_int_equal(how, TLS_FAIL);
	end_pair();
	begin_pair(NULL, "none", TLS1_3_VERSION);
	assert_int_not_equal(shake(), 1);
	assert_int_equal(how, TLS_FAIL);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_UNRECOGNIZED_NAME);
	end_pair();
}

/* Bytes both ways, more than the sockets hold. */
static void
test_bytes(void **state)
{
	struct weir_bufq q = { 0 };
	char		 part[5000];
	size_t		 sent = 0, got = 0, n;

	(void)state;
	ctx = context(NULL, TLS_V1_3, false);
	begin_pair(NULL, NULL, TLS1_3_VERSION);
	assert_int_equal(shake(), 1);
	for (unsigned i = 0; i < 500000; i++)
		bufq_put(&q, &(char){ (char)(i * 7 + i / 251) }, 1);
	while (got < 500000) {
		ssize_t	w = sink_write(&conn->io->out, &q);

		assert_true(w >= 0 || w == WEIR_AGAIN);
		sent += w > 0 ? (size_t)w : 0;
		while (SSL_read_ex(client, part, sizeof part, &n) == 1) {
			for (size_t i = 0; i < n; i++, got++)
				assert_int_equal(part[i], (char)(got * 7 + got / 251));
		}
		loop_turn(0);
	}
	assert_int_equal(sent, got);
	assert_int_equal(conn->tcp.put, got);
	for (sent = got = 0; got < 100000; ) {
		ssize_t	r;

		memset(part, 'y', sizeof part);
		if (sent < 100000 && SSL_write_ex(client, part, sizeof part, &n) == 1)
			sent += n;
		loop_turn(0);
		while ((r = src_read(&conn->io->in, &q, 3000)) > 0)
			got += (size_t)r;
		assert_int_equal(r, WEIR_AGAIN);
	}
	assert_int_equal(conn->tcp.got, got);
	assert_int_equal(q.len, got);
	bufq_clear(&q);
	/* its end is seen by the next read, and told to who waits */
	SSL_write_ex(client, "end", 3, &n);
	SSL_shutdown(client);
	loop_turn(0);
	assert_int_equal(src_read(&conn->io->in, &q, 3000), 3);
	assert_int_equal(src_read(&conn->io->in, &q, 3000), WEIR_EOF);
	bufq_clear(&q);
	end_pair();
}

static void
test_plain(void **state)
{
	char	text[16];

	(void)state;
	begin_pair(NULL, NULL, TLS1_3_VERSION);
	assert_int_equal(write(SSL_get_fd(client), "GET / ", 6), 6);
	for (int i = 0; i < 10 && n_done == 0; i++)
		loop_turn(0);
	assert_int_equal(n_done, 1);
	assert_int_equal(how, TLS_PLAIN);
	assert_false(conn_is_tls(conn));
	assert_int_equal(recv(conn->tcp.ev.fd, text, sizeof text, 0), 6);
	end_pair();
}

static void
test_timeout(void **state)
{
	uint64_t	began = weir_now_ms;

	(void)state;
	begin_pair(NULL, NULL, TLS1_3_VERSION);
	while (n_done == 0 && weir_now_ms < began + 5000)
		loop_turn(50);
	assert_int_equal(how, TLS_TIMEOUT);
	assert_true(weir_now_ms >= began + 900);
	end_pair();
	/* closed in the middle of it: nothing comes any more */
	begin_pair(NULL, NULL, TLS1_3_VERSION);
	SSL_do_handshake(client);
	loop_turn(0);
	end_pair();
	for (int i = 0; i < 10; i++)
		loop_turn(0);
	assert_int_equal(n_done, 0);
}

static int
set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	make_certificate();
	assert_int_equal(loop_init(), WEIR_OK);
	cf.pool = pool_new(4096);
	cf.log = &quiet;
	cf.zones = zones_new(cf.pool);
	cf.quiet = true;
	weir_log = &quiet;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(cf.pool);
	unlink(crt);
	unlink(key);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_other_groups),
		cmocka_unit_test(test_wrong_groups),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_timeout),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
