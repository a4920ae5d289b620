/* unit: src/http/h1/client.c */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#include "http/h1/client.c"
#include "core/net/conn_new.h"
#include "stream.h"

/*
 * A whole exchange: a request with a body goes out, what the upstream says is at hand, and the
 * response is read.  The connection's io is one that misbehaves.
 */
struct run {
	struct weir_pool *pool;
	struct weir_conn *conn;
	struct weir_fault fault;
	struct weir_qsrc said;
	struct weir_link *link;
	struct weir_xchg *x;
	struct weir_msg	 req;
	struct weir_bufq to_send, body;
	int		 peer, status;
	bool		 gone, ended, failed, head_request, done;
	unsigned	 heads;
};

static void
settle(struct run *r)
{
	r->done = r->gone || r->ended || r->failed;
}

static void
read_body(void *arg)
{
	struct run *r = arg;

	for (;;) {
		ssize_t n = src_read(&r->x->io.in, &r->body, 65536);

		if (n == WEIR_AGAIN) {
			src_want(&r->x->io.in, true);
			return;
		}
		if (n > 0)
			continue;
		r->ended = n == WEIR_EOF;
		r->failed = n == WEIR_FAIL;
		src_want(&r->x->io.in, false);
		settle(r);
		return;
	}
}

static void
on_response(struct weir_xchg *x)
{
	struct run *r = x->owner;

	r->heads++;
	r->status = x->msg.status;
	if (x->msg.status < 200)
		return;
	src_on_ready(&x->io.in, read_body, r);
	read_body(r);
}

static void
on_lost(struct weir_xchg *x, const char *why)
{
	struct run *r = x->owner;

	assert_non_null(why);
	r->gone = true;
	settle(r);
}

static void
write_body(void *arg)
{
	struct run *r = arg;
	ssize_t n = 0;
	int end;

	while (r->to_send.len != 0 && (n = sink_write(&r->x->io.out, &r->to_send)) > 0)
		;
	end = n < 0 ? (int)n : sink_finish(&r->x->io.out);
	sink_want(&r->x->io.out, end == WEIR_AGAIN);
}

static void
begin(struct run *r, const char *said, size_t n)
{
	struct h1_link *k;
	int s[2];

	memset(r, 0, sizeof *r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s), 0);
	r->peer = s[1];
	r->pool = pool_new(4096);
	r->conn = conn_new(s[0]);
	assert_non_null(r->conn);
	qsrc_init(&r->said);
	bufq_put(&r->said.q, said, n);
	fault_init(&r->fault, &r->said.src, NULL);
	r->conn->io = &r->fault.io;
	r->link = h1_link(r->conn);
	k = WEIR_OF(r->link, struct h1_link, l);
	assert_false(k->closed);
	r->x = h1_open(r->link, r->pool);
	r->x->owner = r;
	r->x->on_head = on_response;
	r->x->on_gone = on_lost;
	r->x->limits.line = r->x->limits.total = 4096;
	r->x->limits.fields = 100;
	r->req.method = STR("POST");
	r->req.method_id = M_POST;
	r->req.target = STR("/x");
	r->req.version = 0x101;
	r->req.length = 5;
	r->req.flags = MSG_HAS_LENGTH;
	bufq_put(&r->to_send, "12345", 5);
}

#define REQUEST	"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345"

/* The answer can be there before the request has gone out. */
static bool
over(const struct run *r)
{
	return r->fault.put == sizeof REQUEST - 1 || r->fault.failed || r->gone || r->failed;
}

static void
go(struct run *r)
{
	assert_int_equal(xchg_head(r->x, &r->req, 0), WEIR_OK);
	sink_on_ready(&r->x->io.out, write_body, r);
	write_body(r);
	for (int i = 0; i < 300 && !(r->done && over(r)); i++)
		loop_turn(0);
}

/* The state of the link after the release. */
static enum weir_link_state
end(struct run *r)
{
	enum weir_link_state state;

	src_on_ready(&r->x->io.in, NULL, NULL);
	sink_on_ready(&r->x->io.out, NULL, NULL);
	r->x->on_head = NULL;
	r->x->on_gone = NULL;
	xchg_release(r->x);
	state = r->link->state;
	h1_end(r->link);
	loop_turn(0);
	loop_turn(0);
	fault_free(&r->fault);
	bufq_clear(&r->said.q);
	bufq_clear(&r->to_send);
	bufq_clear(&r->body);
	pool_free(r->pool);
	close(r->peer);
	assert_int_equal(bufq_outstanding(), 0);
	return state;
}

static const struct {
	const char *text, *body;
	bool	 whole, closes;		/* complete; ends with the connection */
} said[] = {
	{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true, false },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nA: b\r\n\r\n",
	  "hello", true, false },
	{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true, false },
	{ "HTTP/1.1 200 OK\r\n\r\nto the end", "to the end", true, true },
	{ "HTTP/1.1 204 No Content\r\n\r\n", "", true, false },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut", "cut", false, false },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "hel", false, false },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n", "hel", false, false },
};

static void
check_body(struct run *r, const char *want)
{
	char got[64];
	size_t n = bufq_take(&r->body, got, sizeof got);

	assert_int_equal(n, strlen(want));
	assert_memory_equal(got, want, n);
}

/* Every position at which the answer can be split, and every size of piece. */
static void
test_splits(void **state)
{
	(void)state;
	for (size_t k = 0; k < WEIR_COUNT(said); k++)
		for (size_t at = 0; at < 2 * strlen(said[k].text); at++) {
			struct run r;
			size_t len = strlen(said[k].text), n;
			char sent[sizeof REQUEST];

			begin(&r, said[k].text, len);
			if (at < len)
				r.fault.first = at + 1;
			else
				r.fault.most = at - len + 1;
			go(&r);
			assert_true(r.done);
			assert_int_equal(r.ended, said[k].whole);
			check_body(&r, said[k].body);
			n = bufq_take(&r.fault.taken, sent, sizeof sent);
			if (said[k].whole)
				assert_int_equal(n, sizeof REQUEST - 1);
			assert_memory_equal(sent, REQUEST, n);
			/* after a whole answer the link can be used again, as the connection is still open */
			assert_int_equal(end(&r) == LINK_IDLE, said[k].whole && !said[k].closes);
		}
}

/* The Nth call of the exchange fails, or says AGAIN, N = 1, 2, 3... */
static void
test_nth(void **state)
{
	(void)state;
	for (size_t k = 0; k < WEIR_COUNT(said); k++)
		for (int fail = 0; fail < 2; fail++)
			for (unsigned at = 1; ; at++) {
				struct run r;
				bool reached;

				begin(&r, said[k].text, strlen(said[k].text));
				r.fault.most = 9;
				if (fail)
					r.fault.fail_at = at;
				else
					r.fault.again_at = at;
				go(&r);
				reached = r.fault.calls >= at;
				assert_true(r.done || (fail && reached));
				if (!fail) {
					assert_int_equal(r.ended, said[k].whole);
					check_body(&r, said[k].body);
				} else if (reached && r.ended) {
					/* all of the answer was there before the failure */
					check_body(&r, said[k].body);
				}
				if (end(&r) == LINK_IDLE)
					assert_true(r.ended && said[k].whole && !(fail && reached));
				if (!reached)
					break;
				assert_true(at < 200);
			}
}

/* An end at every position: whole only when it is. */
static void
test_early_ends(void **state)
{
	(void)state;
	for (size_t k = 0; k < WEIR_COUNT(said); k++)
		for (size_t at = 0; at < strlen(said[k].text); at++) {
			struct run r;

			begin(&r, said[k].text, strlen(said[k].text));
			r.fault.early = true;
			r.fault.eof_after = at;
			go(&r);
			assert_true(r.done);
			if (!said[k].closes)
				assert_false(r.ended);
			else
				assert_true(r.ended || r.gone);
			assert_int_not_equal(end(&r), LINK_IDLE);
		}
}

/* More than the answer: the link serves nobody else. */
static void
test_surplus(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n";
	struct run r;

	(void)state;
	begin(&r, text, sizeof text - 1);
	go(&r);
	assert_true(r.ended);
	check_body(&r, "ok");
	assert_int_not_equal(end(&r), LINK_IDLE);
}

static int
setup(void **state)
{
	(void)state;
	return loop_init() == WEIR_OK ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_nth),
		cmocka_unit_test(test_early_ends),
		cmocka_unit_test(test_surplus),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
