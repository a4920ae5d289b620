/* unit: src/core/io/replay.c */
#include "unit.h"

#include "core/io/replay.c"

/* Gives its text in pieces, then AGAIN, or its end. */
struct pieces {
	struct weir_src	 src;
	const char	*text;
	size_t		 each;
	bool		 open;
};

static ssize_t
pieces_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct pieces *p = WEIR_OF(src, struct pieces, src);
	size_t n = WEIR_MIN(strlen(p->text), WEIR_MIN(p->each, max));

	if (n == 0)
		return p->open ? WEIR_AGAIN : WEIR_EOF;
	bufq_put(to, p->text, n);
	p->text += n;
	return (ssize_t)n;
}

static void
pieces_want(struct weir_src *src, bool on)
{
	(void)src, (void)on;
}

static void
pieces_stop(struct weir_src *src)
{
	WEIR_OF(src, struct pieces, src)->text = "";
}

static const struct weir_src_ops pieces_ops = { .read = pieces_read, .want = pieces_want, .stop = pieces_stop };

/* What comes until the source has no more; *last is what it says then. */
static const char *
all_of(struct weir_src *src, ssize_t *last)
{
	static char text[64];
	struct weir_bufq q = { 0 };
	size_t n;

	while ((*last = src_read(src, &q, 4)) > 0)
		;
	n = bufq_take(&q, text, sizeof text - 1);
	text[n] = '\0';
	return text;
}

static void
begins_again(void **state)
{
	struct pieces live = { .src.ops = &pieces_ops, .text = "abcdef", .each = 3, .open = true };
	struct weir_replay p;
	ssize_t last;

	(void)state;
	replay_init(&p, &live.src, 10);
	assert_string_equal(all_of(&p.src, &last), "abcdef");
	assert_int_equal(last, WEIR_AGAIN);
	assert_false(p.whole);
	replay_again(&p);
	assert_string_equal(all_of(&p.src, &last), "abcdef");
	live.text = "ghij";
	live.open = false;
	replay_again(&p);
	assert_string_equal(all_of(&p.src, &last), "abcdefghij");
	assert_int_equal(last, WEIR_EOF);
	assert_false(p.lost);
	assert_true(p.whole);
	replay_again(&p);
	assert_string_equal(all_of(&p.src, &last), "abcdefghij");
	replay_end(&p);
	assert_int_equal(bufq_outstanding(), 0);
}

static void
too_much_is_lost(void **state)
{
	struct pieces live = { .src.ops = &pieces_ops, .text = "abcdef", .each = 3 };
	struct weir_replay p;
	struct weir_bufq q = { 0 };
	ssize_t last;

	(void)state;
	replay_init(&p, &live.src, 5);
	assert_int_equal(src_read(&p.src, &q, 10), 3);
	bufq_clear(&q);
	replay_again(&p);
	assert_string_equal(all_of(&p.src, &last), "abcdef");	/* the present reader gets all */
	assert_int_equal(last, WEIR_EOF);
	assert_true(p.lost);
	replay_end(&p);
	assert_int_equal(bufq_outstanding(), 0);
}

static void
stops(void **state)
{
	struct pieces live = { .src.ops = &pieces_ops, .text = "abcdef", .each = 3 };
	struct weir_replay p;
	struct weir_bufq q = { 0 };

	(void)state;
	replay_init(&p, &live.src, 10);
	assert_int_equal(src_read(&p.src, &q, 10), 3);
	bufq_clear(&q);
	src_stop(&p.src);
	assert_int_equal(src_read(&p.src, &q, 10), WEIR_EOF);
	assert_int_equal(bufq_outstanding(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_again),
		cmocka_unit_test(too_much_is_lost),
		cmocka_unit_test(stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
