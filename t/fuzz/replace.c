/*
 * replace.c - texts of the input are replaced in the rest of it, as the plainest way would.
 *
 * The input is a byte (bit 0: each text once), then lines with texts, an empty line, and what to look
 * at.  However the bytes come in and are asked for, the same comes out, and never more
 * is held back than the longest text has bytes.
 */
#include <stdlib.h>

#include "core/io/qsrc.h"
#include "core/io/replace.h"

enum { TEXTS = 8 };

static const char *const values[TEXTS] = { "", "X", "<longer than it was>", "ab", "5", "\n", "aaaa", "b" };

struct input {
	struct weir_str	 text[TEXTS], body;
	unsigned	 n;
	bool		 once;
};

/* Gives `step` bytes and then AGAIN, by turns. */
struct bits {
	struct weir_src	 src;
	struct weir_str	 left;
	size_t		 step;
	bool		 turn;
};

static void
check(bool what)
{
	if (!what)
		abort();
}

static ssize_t
bits_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct bits	*b = WEIR_OF(src, struct bits, src);
	size_t		 n = WEIR_MIN(WEIR_MIN(b->step, max), b->left.n);

	if (b->left.n == 0)
		return WEIR_EOF;
	b->turn = !b->turn;
	if (!b->turn)
		return WEIR_AGAIN;
	bufq_put(to, b->left.p, n);
	b->left = str_from(b->left, n);
	return (ssize_t)n;
}

static void
nothing_want(struct weir_src *src, bool on)
{
	(void)src, (void)on;
}

static void
nothing_stop(struct weir_src *src)
{
	(void)src;
}

static const struct weir_src_ops bits_ops = {
	.read = bits_read, .want = nothing_want, .stop = nothing_stop
};

static struct weir_str
value_of(void *arg, unsigned i)
{
	(void)arg;
	return str_c(values[i]);
}

static void
parse(struct input *in, struct weir_str s)
{
	ssize_t	end;

	memset(in, 0, sizeof(*in));
	if (s.n == 0)
		return;
	in->once = s.p[0] & 1;
	s = str_from(s, 1);
	while (in->n < TEXTS && (end = str_chr(s, '\n')) > 0) {
		in->text[in->n++] = str_of(s.p, (size_t)end);
		s = str_from(s, (size_t)end + 1);
	}
	in->body = s;
}

/* At every place every text, in order. */
static void
plainly(const struct input *in, struct weir_bufq *to)
{
	bool		used[TEXTS] = { false };
	struct weir_str	s = in->body;
	unsigned	i;

	while (s.n != 0) {
		for (i = 0; i < in->n; i++)
			if (!(in->once && used[i]) && str_ibegins(s, in->text[i]))
				break;
		if (i < in->n) {
			used[i] = true;
			bufq_put_str(to, str_c(values[i]));
			s = str_from(s, in->text[i].n);
		} else {
			bufq_put(to, s.p, 1);
			s = str_from(s, 1);
		}
	}
}

static void
compare(struct weir_bufq *a, struct weir_bufq *b)
{
	char	one[256], two[256];
	size_t	n;

	check(a->len == b->len);
	while ((n = bufq_take(a, one, sizeof(one))) != 0) {
		check(bufq_take(b, two, n) == n);
		check(memcmp(one, two, n) == 0);
	}
}

static void
by_steps(const struct input *in, size_t step, size_t max)
{
	struct weir_pool	*pool = pool_new(0);
	struct weir_bufq	 want = { NULL, NULL, 0 }, got = { NULL, NULL, 0 };
	struct bits		 bits = { .src.ops = &bits_ops, .left = in->body, .step = step };
	struct weir_replace	 run = { .once = in->once, .value = value_of };
	size_t			 longest = 0;
	unsigned		 i;
	ssize_t			 n;

	for (i = 0; i < in->n; i++)
		longest = WEIR_MAX(longest, in->text[i].n);
	run.m = replace_machine(pool, in->text, in->n);
	replace_init(&run, pool, &bits.src);
	while ((n = src_read(&run.change.src, &got, max)) > 0 || n == WEIR_AGAIN)
		if (n == WEIR_AGAIN)
			check(run.change.in.len < longest + (longest == 0));
	check(n == WEIR_EOF);
	change_end(&run.change);
	plainly(in, &want);
	compare(&got, &want);
	pool_free(pool);
	check(bufq_outstanding() == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input	in;

	parse(&in, str_of((const char *)data, n));
	by_steps(&in, 1, 1000);
	by_steps(&in, 3, 2);
	by_steps(&in, 7, 100000);
	by_steps(&in, 100000, 100000);
	return 0;
}
