/* unit: src/core/proc/channel.c */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>

#include "core/proc/channel.c"

static int	 ch[2];

static int
open_both(void **state)
{
	(void)state;
	return channel_open(ch) == WEIR_OK ? 0 : -1;
}

static int
close_both(void **state)
{
	(void)state;
	close(ch[0]);
	close(ch[1]);
	return 0;
}

static int
recv_from(int fd, int *got_fd)
{
	enum channel_kind kind;
	uint32_t	  arg;

	return channel_recv(fd, &kind, &arg, got_fd);
}

static void
test_message(void **state)
{
	enum channel_kind kind = 0;
	uint32_t	  arg = 0;
	int		  fd = 99;

	(void)state;
	assert_int_equal(channel_recv(ch[0], &kind, &arg, NULL), WEIR_AGAIN);
	assert_int_equal(channel_send(ch[1], CHANNEL_READY, 0, -1), WEIR_OK);
	assert_int_equal(channel_send(ch[1], CHANNEL_ASK_LOGS, 7, -1), WEIR_OK);
	assert_int_equal(channel_recv(ch[0], &kind, &arg, NULL), WEIR_OK);
	assert_int_equal(kind, CHANNEL_READY);
	assert_int_equal(channel_recv(ch[0], &kind, &arg, &fd), WEIR_OK);
	assert_int_equal(kind, CHANNEL_ASK_LOGS);
	assert_int_equal(arg, 7);
	assert_int_equal(fd, -1);
}

static void
test_descriptor(void **state)
{
	enum channel_kind kind;
	uint32_t	  arg;
	int		  fd = -1;

	(void)state;
	assert_int_equal(channel_send(ch[0], CHANNEL_LOG, 3, STDERR_FILENO), WEIR_OK);
	assert_int_equal(channel_recv(ch[1], &kind, &arg, &fd), WEIR_OK);
	assert_int_equal(kind, CHANNEL_LOG);
	assert_int_equal(arg, 3);
	assert_true(fd > STDERR_FILENO);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	/* The master takes no descriptors from a child, whatever the child sends. */
	assert_int_equal(channel_send(ch[1], CHANNEL_READY, 0, STDERR_FILENO), WEIR_OK);
	assert_int_equal(recv_from(ch[0], NULL), WEIR_FAIL);
	fd = dup(STDERR_FILENO);
	assert_int_equal(fcntl(fd + 1, F_GETFD), -1);
	close(fd);
}

/* What a child that somebody else has taken over might send. */
static void
test_nonsense(void **state)
{
	struct message	good = { MAGIC, CHANNEL_READY, 0 }, bad;
	char		big[8192] = { 0 };
	size_t		n;

	(void)state;
	for (n = 1; n < sizeof(good); n++) {
		assert_int_equal(send(ch[1], &good, n, 0), n);
		assert_int_equal(recv_from(ch[0], NULL), WEIR_FAIL);
	}
	memcpy(big, &good, sizeof(good));
	assert_int_equal(send(ch[1], big, sizeof(good) + 1, 0), sizeof(good) + 1);
	assert_int_equal(recv_from(ch[0], NULL), WEIR_FAIL);
	assert_int_equal(send(ch[1], big, sizeof(big), 0), sizeof(big));
	assert_int_equal(recv_from(ch[0], NULL), WEIR_FAIL);
	bad = good;
	bad.magic++;
	send(ch[1], &bad, sizeof(bad), 0);
	assert_int_equal(recv_from(ch[0], NULL), WEIR_FAIL);
	bad = good;
	bad.kind = 0;
	send(ch[1], &bad, sizeof(bad), 0);
	assert_int_equal(recv_from(ch[0], NULL), WEIR_FAIL);
	bad.kind = CHANNEL_CERTS + 1;
	send(ch[1], &bad, sizeof(bad), 0);
	assert_int_equal(recv_from(ch[0], NULL), WEIR_FAIL);
	/* None of them has come apart: the next good one is understood. */
	send(ch[1], &good, sizeof(good), 0);
	assert_int_equal(recv_from(ch[0], NULL), WEIR_OK);
}

static void
test_end(void **state)
{
	(void)state;
	close(ch[1]);
	assert_int_equal(recv_from(ch[0], NULL), WEIR_EOF);
	close(ch[0]);
	/* With messages that the other side never read the end is no error either. */
	assert_int_equal(channel_open(ch), WEIR_OK);
	assert_int_equal(channel_send(ch[0], CHANNEL_LOG, 0, -1), WEIR_OK);
	close(ch[1]);
	assert_int_equal(recv_from(ch[0], NULL), WEIR_EOF);
	assert_int_equal(channel_send(ch[0], CHANNEL_LOG, 0, -1), WEIR_FAIL);
	assert_int_equal(errno, EPIPE);
	ch[1] = dup(ch[0]);
}

static void
test_full(void **state)
{
	unsigned sent = 0, got = 0;

	(void)state;
	while (channel_send(ch[0], CHANNEL_LOG, sent, -1) == WEIR_OK)
		sent++;
	assert_int_equal(channel_send(ch[0], CHANNEL_LOG, sent, -1), WEIR_AGAIN);
	while (recv_from(ch[1], NULL) == WEIR_OK)
		got++;
	assert_int_equal(got, sent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_message, open_both, close_both),
		cmocka_unit_test_setup_teardown(test_descriptor, open_both, close_both),
		cmocka_unit_test_setup_teardown(test_nonsense, open_both, close_both),
		cmocka_unit_test_setup_teardown(test_end, open_both, close_both),
		cmocka_unit_test_setup_teardown(test_full, open_both, close_both),
	};

	return RUN(tests);
}
