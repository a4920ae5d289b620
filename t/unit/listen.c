/* unit: src/core/net/listen.c */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>

#include "core/net/listen.c"

static struct weir_pool	*pool;
static struct weir_log	 quiet;		/* no output */

static struct weir_addr
addr(const char *text)
{
	struct weir_addr a;

	assert_int_equal(addr_parse(pool, str_c(text), 0, &a, NULL, NULL), WEIR_OK);
	return a;
}

static unsigned
free_port(void)
{
	struct weir_addr	a = addr("127.0.0.1:1");
	union weir_sockaddr	sa;
	socklen_t		n;
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr_set_port(&a, 0);
	n = addr_to_kernel(&a, &sa);
	assert_int_equal(bind(fd, &sa.sa, n), 0);
	assert_int_equal(getsockname(fd, &sa.sa, &n), 0);
	close(fd);
	addr_from_kernel(&a, &sa, n, NULL);
	return addr_port(&a);
}

static struct weir_listen *
add(struct weir_listeners *ls, const char *host, unsigned port)
{
	struct weir_addr a = addr(host);

	addr_set_port(&a, port);
	return listen_get(ls, pool, &a, SOCK_STREAM);
}

static bool
can_connect(const struct weir_addr *a)
{
	union weir_sockaddr	sa;
	socklen_t		n = addr_to_kernel(a, &sa);
	int			fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool			ok = connect(fd, &sa.sa, n) == 0;

	close(fd);
	return ok;
}

static void
test_get(void **state)
{
	struct weir_listeners	 ls = { .first = NULL };
	struct weir_listen	*l = add(&ls, "127.0.0.1:1", 8080), *m = add(&ls, "127.0.0.1:1", 8081);

	(void)state;
	assert_ptr_not_equal(l, m);
	assert_ptr_equal(l, add(&ls, "127.0.0.1:1", 8080));
	assert_ptr_equal(ls.first, l);
	assert_ptr_equal(l->next, m);
	assert_string_equal(l->text, "127.0.0.1:8080");
	assert_int_equal(l->opts.backlog, 511);
	assert_int_equal(l->opts.ipv6only, 1);
}

static void
test_keep(void **state)
{
	struct weir_listeners	 a = { .first = NULL }, b = a, c = a;
	unsigned		 port = free_port(), other = free_port();
	struct weir_listen	*l = add(&a, "127.0.0.1:1", port), *m, *gone;

	(void)state;
	gone = add(&a, "127.0.0.1:1", other);
	assert_int_equal(listen_open(&a, NULL, 2, &quiet), WEIR_OK);
	assert_int_equal(l->n_fds, 2);
	assert_true(can_connect(&l->addr));
	/* More workers: the old descriptors and one more. */
	m = add(&b, "127.0.0.1:1", port);
	assert_int_equal(listen_open(&b, &a, 3, &quiet), WEIR_OK);
	assert_int_equal(m->n_fds, 3);
	assert_int_equal(m->fds[0], l->fds[0]);
	assert_int_equal(m->fds[1], l->fds[1]);
	listen_close_others(&a, &b);
	assert_true(can_connect(&m->addr));
	assert_false(can_connect(&gone->addr));
	/* Fewer: none is closed. */
	l = add(&c, "127.0.0.1:1", port);
	assert_int_equal(listen_open(&c, &b, 1, &quiet), WEIR_OK);
	assert_int_equal(l->n_fds, 3);
	listen_close_others(&b, &c);
	assert_true(can_connect(&l->addr));
	listen_close_all(&c, true);
	assert_false(can_connect(&l->addr));
}

static void
test_options(void **state)
{
	struct weir_listeners	 a = { .first = NULL }, b = a;
	unsigned		 port = free_port();
	struct weir_listen	*l = add(&a, "127.0.0.1:1", port);
	socklen_t		 n = sizeof(int);
	int			 v;

	(void)state;
	assert_int_equal(listen_open(&a, NULL, 1, &quiet), WEIR_OK);
	l = add(&b, "127.0.0.1:1", port);
	l->opts.keepalive = 1;
	l->opts.keepidle = 77;
	l->opts.defer_accept = 5;
	assert_int_equal(listen_open(&b, &a, 1, &quiet), WEIR_OK);
	getsockopt(l->fds[0], IPPROTO_TCP, TCP_KEEPIDLE, &v, &n);
	assert_int_equal(v, 77);
	getsockopt(l->fds[0], IPPROTO_TCP, TCP_DEFER_ACCEPT, &v, &n);
	assert_true(v > 0);
	assert_int_equal(fcntl(l->fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	listen_close_all(&b, true);
}

static void
test_overlap(void **state)
{
	struct weir_listeners	 a = { .first = NULL }, b = a;
	unsigned		 port = free_port();
	struct weir_listen	*l;

	(void)state;
	add(&a, "*:1", port);
	add(&a, "127.0.0.1:1", port);
	assert_int_equal(listen_open(&a, NULL, 1, &quiet), WEIR_OK);
	/* And when the second comes later. */
	add(&b, "*:1", port);
	l = add(&b, "127.0.0.2:1", port);
	assert_int_equal(listen_open(&b, &a, 1, &quiet), WEIR_OK);
	assert_true(can_connect(&l->addr));
	listen_close_others(&a, &b);
	listen_close_all(&b, true);
}

/* Of two addresses one is taken by somebody else: nothing is opened, nothing harmed. */
static void
test_in_use(void **state)
{
	struct weir_listeners	 other = { .first = NULL }, a = other, old = other;
	unsigned		 port = free_port(), mine = free_port(), kept = free_port();
	struct weir_listen	*l, *k;

	(void)state;
	add(&other, "127.0.0.1:1", port);
	assert_int_equal(listen_open(&other, NULL, 1, &quiet), WEIR_OK);
	k = add(&old, "127.0.0.1:1", kept);
	assert_int_equal(listen_open(&old, NULL, 1, &quiet), WEIR_OK);
	add(&a, "127.0.0.1:1", kept);
	l = add(&a, "127.0.0.1:1", mine);
	add(&a, "127.0.0.1:1", port);
	assert_int_equal(listen_probe(&a, &quiet), WEIR_OK);
	assert_int_equal(listen_open(&a, &old, 1, &quiet), WEIR_FAIL);
	assert_false(can_connect(&l->addr));
	assert_true(can_connect(&k->addr));
	listen_close_all(&old, true);
	listen_close_all(&other, true);
}

static void
test_give_back(void **state)
{
	struct weir_listeners	 old = { .first = NULL }, a = old;
	unsigned		 port = free_port(), fresh = free_port();
	struct weir_listen	*l = add(&old, "127.0.0.1:1", port), *m;

	(void)state;
	assert_int_equal(listen_open(&old, NULL, 1, &quiet), WEIR_OK);
	add(&a, "127.0.0.1:1", port);
	m = add(&a, "127.0.0.1:1", fresh);
	assert_int_equal(listen_open(&a, &old, 3, &quiet), WEIR_OK);
	assert_true(listen_give_back(&old, &a));
	assert_int_equal(l->n_fds, 3);
	assert_true(can_connect(&l->addr));
	assert_false(can_connect(&m->addr));
	listen_close_all(&old, true);
}

static void
test_unix(void **state)
{
	struct weir_listeners	 a = { .first = NULL }, b = a;
	char			 path[64], text[80];
	struct weir_listen	*l;
	struct stat		 st;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/weir-unit-%d.sock", (int)getpid());
	snprintf(text, sizeof(text), "unix:%s", path);
	l = add(&a, text, 0);
	assert_int_equal(listen_open(&a, NULL, 4, &quiet), WEIR_OK);
	assert_int_equal(l->n_fds, 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	/* A living one is not taken away from its owner; a stale one is replaced. */
	add(&b, text, 0);
	assert_int_equal(listen_open(&b, NULL, 1, &quiet), WEIR_FAIL);
	assert_true(can_connect(&l->addr));
	listen_close_all(&a, false);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(listen_open(&b, NULL, 1, &quiet), WEIR_OK);
	assert_true(can_connect(&b.first->addr));
	listen_close_all(&b, true);
	assert_int_not_equal(stat(path, &st), 0);
	/* A file that is no socket stays what it is. */
	fclose(fopen(path, "w"));
	b = (struct weir_listeners){ .first = NULL };
	add(&b, text, 0);
	assert_int_equal(listen_open(&b, NULL, 1, &quiet), WEIR_FAIL);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	unlink(path);
}

static void
test_export(void **state)
{
	struct weir_listeners	 a = { .first = NULL }, b = a;
	unsigned		 port = free_port();
	char			 text[80];
	struct weir_listen	*l, *m, *u, *v;
	struct weir_str		 s;

	(void)state;
	snprintf(text, sizeof(text), "unix:/tmp/weir;100%%-%d.sock", (int)getpid());
	l = add(&a, "127.0.0.1:1", port);
	u = add(&a, text, 0);
	assert_int_equal(listen_open(&a, NULL, 2, &quiet), WEIR_OK);
	s = listen_export(&a, pool);
	assert_non_null(strstr(pool_cstr(pool, s), "/tmp/weir%3b100%25-"));
	listen_keep_open(&a);
	assert_int_equal(fcntl(l->fds[1], F_GETFD) & FD_CLOEXEC, 0);
	/* In another process only the text would be left. */
	listen_inherit(pool_cstr(pool, s), &quiet);
	assert_int_equal(fcntl(l->fds[1], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	m = add(&b, "127.0.0.1:1", port);
	v = add(&b, text, 0);
	assert_int_equal(listen_open(&b, NULL, 3, &quiet), WEIR_OK);
	assert_int_equal(m->n_fds, 3);
	assert_int_equal(m->n_lent, 2);
	assert_int_equal(m->fds[0], l->fds[0]);
	assert_int_equal(m->fds[1], l->fds[1]);
	assert_int_equal(v->n_fds, 1);
	assert_int_equal(v->fds[0], u->fds[0]);
	listen_close_all(&b, true);
}

static bool
is_any_inherited(void)
{
	struct listen_ports p = { 0 };

	inherited_ports(&p);
	for (size_t i = 0; i < sizeof(p.has); i++)
		if (((const uint8_t *)p.has)[i] != 0)
			return true;
	return false;
}

/* What the environment says is believed only when the descriptors bear it out. */
static void
test_inherit_nonsense(void **state)
{
	static const char *const bad[] = {
		"", ";", ";;;", "x", "3", "-1:127.0.0.1:80;", "99999999999:127.0.0.1:80;", "0:127.0.0.1:80;",
		"1000:127.0.0.1:80", ":", "4294967296:unix:/x;",
	};
	struct weir_listeners	 a = { .first = NULL };
	struct weir_listen	*l = add(&a, "127.0.0.1:1", free_port());
	char			 text[80];

	(void)state;
	for (size_t i = 0; i < WEIR_COUNT(bad); i++) {
		listen_inherit(bad[i], &quiet);
		assert_false(is_any_inherited());
	}
	assert_int_equal(listen_open(&a, NULL, 1, &quiet), WEIR_OK);
	snprintf(text, sizeof(text), "%d:127.0.0.2:80;", l->fds[0]);
	listen_inherit(text, &quiet);
	assert_false(is_any_inherited());
	inherited_drop();
	listen_close_all(&a, true);
}

static unsigned
waiting(int fd)
{
	unsigned n = 0;
	int	 c;

	while ((c = accept(fd, NULL, NULL)) >= 0) {
		close(c);
		n++;
	}
	return n;
}

/* A master that gives way gets no new connections on sockets that only it has. */
static void
test_leave(void **state)
{
	struct weir_listeners	 a = { .first = NULL }, b = a;
	unsigned		 i, all = 0;
	struct weir_listen	*l = add(&a, "127.0.0.1:1", free_port());

	(void)state;
	assert_int_equal(listen_open(&a, NULL, 4, &quiet), WEIR_OK);
	l->n_lent = 2;
	listen_leave(&a);
	for (i = 0; i < 64; i++)
		assert_true(can_connect(&l->addr));
	assert_int_equal(waiting(l->fds[2]), 0);
	assert_int_equal(waiting(l->fds[3]), 0);
	for (i = 0; i < 2; i++)
		all += waiting(l->fds[i]);
	assert_int_equal(all, 64);
	/* When the group grows again, the new members get their part. */
	add(&b, "127.0.0.1:1", addr_port(&l->addr));
	assert_int_equal(listen_open(&b, &a, 5, &quiet), WEIR_OK);
	for (i = 0; i < 256; i++)
		assert_true(can_connect(&l->addr));
	assert_true(waiting(b.first->fds[2]) + waiting(b.first->fds[3]) + waiting(b.first->fds[4]) > 0);
	listen_close_all(&b, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get), cmocka_unit_test(test_keep), cmocka_unit_test(test_options),
		cmocka_unit_test(test_overlap), cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_give_back), cmocka_unit_test(test_unix),
		cmocka_unit_test(test_export), cmocka_unit_test(test_inherit_nonsense),
		cmocka_unit_test(test_leave),
	};
	int rc;

	pool = pool_new(0);
	rc = RUN(tests);
	pool_free(pool);
	return rc;
}
