/* unit: src/http/h2/head.c */
#include "unit.h"

#include "http/h2/head.c"

/* What needs a session does not come this far. */
static struct weir_serve opts = { .fields = 20, .large = 200, .large_total = 1000, .ignore_invalid = true };
static struct h2_conf conf = { .extended = true };
static struct h2_server server = { .opts = &opts, .conf = &conf, .calmed = true };

static struct h2_stream *
stream_new(void)
{
	struct weir_pool *pool = pool_new(0);
	struct h2_stream *e = POOL_NEW(pool, h2_stream);

	e->s = &server;
	e->x.pool = pool;
	return e;
}

static int
read_head(struct h2_stream *e, const char *const *words, bool end)
{
	for (; words[0] != NULL; words += 2)
		if (h2_head_field(e, str_c(words[0]), str_c(words[1])) != WEIR_OK)
			return -1;
	h2_head_end(e, end);
	return e->head.status;
}

#define BASE	":method", "GET", ":scheme", "http", ":path", "/a?b"
#define WHOLE	BASE, ":authority", "h.example"
#define HUNDRED	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	int		 status;
	const char	*v[48];
} heads[] = {
	{ 0, { WHOLE } }, { 0, { BASE, "host", "h.example" } }, { 0, { WHOLE, "host", "H.example" } },
	{ 0, { WHOLE, "te", "trailers", "x", "", "accept", "a b\tc" } },
	{ 0, { WHOLE, "content-length", "0" } },
	{ 0, { ":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a" } },
	{ 0, { ":method", "CONNECT", ":authority", "a:443" } },
	{ 0, { ":method", "CONNECT", ":scheme", "http", ":path", "/", ":authority", "a", ":protocol", "b" } },
	{ 400, { ":method", "CONNECT", ":path", "/", ":authority", "a", ":protocol", "b" } },
	{ 400, { ":method", "CONNECT", ":scheme", "http", ":path", "a:1", ":authority", "a", ":protocol", "b" } },
	{ 400, { ":method", "CONNECT", ":scheme", "http", ":path", "/", "host", "a", ":protocol", "b" } },
	{ 400, { ":method", "CONNECT", ":scheme", "http", ":path", "/", ":authority", "a", ":protocol", "b\r\nc" } },
	{ 400, { WHOLE, ":protocol", "b" } },
	{ 400, { BASE } }, { 400, { WHOLE, "host", "other" } }, { 400, { WHOLE, "content-length", "1" } },
	{ 400, { WHOLE, "content-length", "99999999999999999999" } }, { 400, { WHOLE, "content-length", "" } },
	{ 400, { WHOLE, ":path", "/" } }, { 400, { WHOLE, "a", "b", ":protocol", "c" } },
	{ 400, { ":method", "G T", ":scheme", "http", ":path", "/", ":authority", "a" } },
	{ 400, { ":method", "GET", ":scheme", "1http", ":path", "/", ":authority", "a" } },
	{ 400, { ":method", "GET", ":scheme", "http", ":path", "/\x7f", ":authority", "a" } },
	{ 400, { WHOLE, "a", "b\r" } }, { 400, { WHOLE, "A", "b" } }, { 400, { WHOLE, "a\n", "b" } },
	{ 400, { WHOLE, "upgrade", "h2c" } }, { 400, { WHOLE, "te", "trailers, gzip" } },
	{ 417, { WHOLE, "expect", "more" } },
	{ 431, { WHOLE, "a", "1", "a", "2", "a", "3", "a", "4", "a", "5", "a", "6", "a", "7", "a", "8", "a", "9",
	    "a", "10", "a", "11" } },
	{ -1, { WHOLE, "a", HUNDRED HUNDRED "x" } },
};

static void
test_heads(void **state)
{
	(void)state;
	opts.fields = 10;
	for (size_t i = 0; i < WEIR_COUNT(heads); i++) {
		struct h2_stream *e = stream_new();
		int got = read_head(e, heads[i].v, true);

		if (got != heads[i].status)
			fail_msg("head %zu: %d (%s)", i, got, e->head.why != NULL ? e->head.why : "");
		pool_free(e->x.pool);
	}
	opts.fields = 20;
}

static void
test_upgrade(void **state)
{
	static const char *const words[] = { ":method", "CONNECT", ":scheme", "http", ":path", "/", ":authority", "a",
		":protocol", "websocket", "sec-websocket-key", "theirs", NULL };
	struct h2_stream *e = stream_new();
	struct weir_msg *m = &e->x.msg;
	struct weir_field *key;

	(void)state;
	assert_int_equal(read_head(e, words, false), 0);
	assert_int_equal(m->method_id, M_GET);
	assert_true(m->flags & MSG_UPGRADE);
	assert_int_equal(m->length, 0);
	assert_true(str_eq(fields_value(&m->fields, H_UPGRADE), STR("websocket")));
	key = fields_find(&m->fields, STR("sec-websocket-key"), NULL);
	assert_int_equal(key->value.n, 24);
	assert_null(fields_find(&m->fields, STR("sec-websocket-key"), key));
	pool_free(e->x.pool);
}

static void
test_message(void **state)
{
	static const char *const words[] = { WHOLE, "cookie", "a=1", "x-a", "1", "cookie", "b=2", "x_b", "2",
		"content-length", "7", "cookie", "c", "te", "trailers", NULL };
	struct h2_stream *e = stream_new();
	struct weir_msg *m = &e->x.msg;

	(void)state;
	assert_int_equal(read_head(e, words, false), 0);
	assert_str(m->line, "GET /a?b HTTP/2.0");
	assert_str(m->target, "/a?b");
	assert_str(m->authority, "h.example");
	assert_str(fields_value(&m->fields, H_HOST), "h.example");
	assert_str(fields_value(&m->fields, H_COOKIE), "a=1; b=2; c");
	assert_int_equal(m->fields.n, 5);	/* and without x_b */
	assert_int_equal(m->length, 7);
	assert_int_equal(m->flags, MSG_HAS_LENGTH | MSG_TE_TRAILERS);
	pool_free(e->x.pool);
}

static void
test_trailers(void **state)
{
	struct h2_stream *e = stream_new();

	(void)state;
	assert_int_equal(h2_trailer(e, STR("x-sum"), STR("1")), WEIR_OK);
	assert_int_equal(h2_trailer(e, STR("content-length"), STR("1")), WEIR_OK);
	assert_int_equal(h2_trailer(e, STR("authorization"), STR("x")), WEIR_OK);
	assert_int_equal(e->x.msg.trailers.n, 1);
	assert_int_equal(h2_trailer(e, STR(":path"), STR("/")), WEIR_FAIL);
	assert_int_equal(h2_trailer(e, STR("connection"), STR("x")), WEIR_FAIL);
	assert_int_equal(h2_trailer(e, STR("a"), STR("x\n")), WEIR_FAIL);
	pool_free(e->x.pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_upgrade), cmocka_unit_test(test_message),
		cmocka_unit_test(test_trailers),
	};

	return RUN(tests);
}
