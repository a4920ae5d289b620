/* unit: src/core/tls/watch.c */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/os/fd.h"

static bool deaf;

static int
kernel_begins(int flags)
{
	if (!deaf)
		return inotify_init1(flags);
	errno = EMFILE;
	return -1;
}
#define inotify_init1 kernel_begins

#include "core/tls/watch.c"

static char	dir[] = "/tmp/weir-unit-watch-XXXXXX";
static struct weir_log quiet = { .level = LOG_EMERG_ };
static struct weir_conf cf;
static unsigned	n_changed;

static char *
path(const char *name)
{
	static char all[8][128];
	static unsigned at;
	char *to = all[at++ % 8];

	snprintf(to, sizeof all[0], "%s/%s", dir, name);
	return to;
}

static void
put_cert(const char *cn)
{
	EVP_PKEY *k = EVP_EC_gen("P-256");
	X509	*x = X509_new();
	FILE	*f;

	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, k);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	assert_true(X509_sign(x, k, EVP_sha256()) > 0);
	f = fopen(path("crt"), "w");
	assert_int_equal(PEM_write_X509(f, x), 1);
	assert_int_equal(PEM_write_X509(f, x), 1);	/* as one that follows */
	fclose(f);
	f = fopen(path("key"), "w");
	assert_int_equal(PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	chmod(path("key"), 0600);
	X509_free(x);
	EVP_PKEY_free(k);
}

/* A configuration with one pair that one context uses. */
static SSL_CTX *
begin(uint64_t every_ms)
{
	static char crt[64], key[64];
	struct weir_tls_word c, k;
	struct weir_tls_opts o = {
		.certificates = { .v = &c, .n = 1 }, .keys = { .v = &k, .n = 1 }, .watch = true, .watch_ms = every_ms,
	};
	SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());

	snprintf(crt, sizeof crt, "%s/crt", dir);
	snprintf(key, sizeof key, "%s/key", dir);
	c = (struct weir_tls_word){ .s = str_c(crt) };
	k = (struct weir_tls_word){ .s = str_c(key) };
	memset(&cf, 0, sizeof cf);
	cf.pool = pool_new(4096);
	cf.log = &quiet;
	put_cert("one");
	assert_int_equal(SSL_CTX_use_certificate_chain_file(ssl, c.s.p), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ssl, k.s.p, SSL_FILETYPE_PEM), 1);
	assert_int_equal(pairs_add(&cf, ssl, &o, 0), WEIR_OK);
	assert_int_equal(loop_init(), WEIR_OK);
	n_changed = 0;
	return ssl;
}

static void
end(SSL_CTX *ssl)
{
	pool_free(cf.pool);
	SSL_CTX_free(ssl);
	loop_done();
}

static const char *
cn_of(SSL_CTX *ssl)
{
	static char cn[64];

	X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_CTX_get0_certificate(ssl)), NID_commonName, cn, sizeof cn);
	return cn;
}

static void
on_changed(void)
{
	n_changed++;
}

/* Every name on the way that might come to lead elsewhere. */
static void
names_are(const char *to, const char *want)
{
	struct weir_tls_watch *w = cf.watch;
	char got[4096] = "";

	forget_spots(w);
	add_way(w, w->pairs.all.v[0], to);
	for (unsigned i = 0; i < w->n_spots; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s ", w->spots[i].name);
	assert_string_equal(got, want);
}

static void
test_way(void **state)
{
	SSL_CTX *ssl = begin(0);

	(void)state;
	mkdir(path("real"), 0700);
	fclose(fopen(path("real/file"), "w"));
	assert_int_equal(symlink("real", path("link")), 0);
	assert_int_equal(symlink("link/./file", path("f")), 0);
	assert_int_equal(symlink(path("f"), path("abs")), 0);
	assert_int_equal(symlink("two", path("loop")), 0);
	assert_int_equal(symlink("loop", path("two")), 0);
	watch_begin(cf.watch, on_changed);
	ask_kernel(cf.watch);
	names_are(path("real/file"), "file ");
	names_are(path("link/file"), "link file ");
	names_are(path("abs"), "abs f link file ");
	names_are(path("real/..//./real/../abs"), "abs f link file ");
	names_are(path("link/../f"), "link f link file ");
	names_are(path("none/file"), "none ");
	names_are(path("real/file/more"), "file ");
	forget_spots(cf.watch);
	add_way(cf.watch, cf.watch->pairs.all.v[0], path("loop"));
	assert_in_range(cf.watch->n_spots, 2, LINKS_MAX + 1);
	for (const char *const *n = (const char *const[]){ "real/file", "link", "f", "abs", "loop", "two", NULL }; *n != NULL; n++)
		unlink(path(*n));
	rmdir(path("real"));
	end(ssl);
}

/* The first look finds what has changed while the configuration was read. */
static void
test_begin(void **state)
{
	SSL_CTX *ssl = begin(0);

	(void)state;
	put_cert("two");
	watch_begin(cf.watch, on_changed);
	loop_turn(0);
	assert_string_equal(cn_of(ssl), "two");
	assert_int_equal(n_changed, 1);
	assert_int_equal(cf.watch->timer.at, 0);	/* the kernel will tell */
	watch_begin(cf.watch, on_changed);
	loop_turn(0);
	assert_int_equal(n_changed, 1);			/* nothing is new */
	end(ssl);
}

/* Where the kernel tells nothing, somebody looks. */
static void
test_blind(void **state)
{
	SSL_CTX *ssl = begin(0);

	(void)state;
	deaf = true;
	watch_begin(cf.watch, on_changed);
	loop_turn(0);
	deaf = false;
	assert_true(cf.watch->blind);
	assert_in_range(cf.watch->timer.at, weir_now_ms + BLIND_MS - 1000, weir_now_ms + BLIND_MS);
	put_cert("two");
	on_timer(&cf.watch->timer);
	assert_string_equal(cn_of(ssl), "two");
	assert_int_equal(n_changed, 1);
	end(ssl);
}

/* What is bad is looked at again; an interval may be shorter. */
static void
test_again(void **state)
{
	SSL_CTX *ssl = begin(5000);

	(void)state;
	watch_begin(cf.watch, on_changed);
	loop_turn(0);
	assert_true(cf.watch->kernel.fd < 0);
	assert_in_range(cf.watch->timer.at, weir_now_ms + 4000, weir_now_ms + 5000);
	unlink(path("key"));
	on_timer(&cf.watch->timer);
	assert_true(cf.watch->pairs.all.v[0]->bad);
	assert_string_equal(cn_of(ssl), "one");
	cf.watch->pairs.all.v[0]->every_ms = UINT64_MAX;
	on_timer(&cf.watch->timer);
	assert_in_range(cf.watch->timer.at, weir_now_ms + AGAIN_MS - 1000, weir_now_ms + AGAIN_MS);
	put_cert("two");
	on_timer(&cf.watch->timer);
	assert_false(cf.watch->pairs.all.v[0]->bad);
	assert_string_equal(cn_of(ssl), "two");
	end(ssl);
}

static int
take(const void *p, size_t n)
{
	int fd = fd_sealed("unit", p, n), rc = watch_take(cf.watch, fd);

	fd_close(&fd);
	return rc;
}

/* What one process gives, another takes; what is not whole does no harm. */
static void
test_give_and_take(void **state)
{
	SSL_CTX *ssl = begin(0);
	unsigned char b[8192];
	ssize_t n;
	int fd;

	(void)state;
	fd = watch_give(cf.watch);		/* nothing has changed */
	assert_int_equal(read(fd, b, sizeof b), 0);
	fd_close(&fd);
	put_cert("two");
	watch_begin(cf.watch, on_changed);
	loop_turn(0);
	fd = watch_give(cf.watch);
	n = pread(fd, b, sizeof b, 0);
	assert_in_range(n, 500, sizeof b - 1);
	fd_close(&fd);
	end(ssl);

	ssl = begin(0);
	for (ssize_t i = 1; i < n; i++)
		assert_int_equal(take(b, (size_t)i), WEIR_FAIL);
	assert_string_equal(cn_of(ssl), "one");
	b[0] = 1;				/* the number of another pair */
	assert_int_equal(take(b, (size_t)n), WEIR_FAIL);
	b[0] = 0;
	b[7] = 0x7f;				/* a length */
	assert_int_equal(take(b, (size_t)n), WEIR_FAIL);
	b[7] = 0;
	assert_string_equal(cn_of(ssl), "one");
	assert_int_equal(take(b, (size_t)n), WEIR_OK);
	assert_string_equal(cn_of(ssl), "two");
	assert_int_equal(sk_X509_num(cf.watch->pairs.all.v[0]->rest), 1);
	assert_int_equal(take("", 0), WEIR_OK);
	assert_int_equal(watch_take(NULL, -1), WEIR_FAIL);
	end(ssl);
}

static int
set_up(void **state)
{
	(void)state;
	weir_log = &quiet;
	return mkdtemp(dir) == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(path("crt"));
	unlink(path("key"));
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_way),
		cmocka_unit_test(test_begin),
		cmocka_unit_test(test_blind),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_give_and_take),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
