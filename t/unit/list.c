/* unit: src/core/base/str.c */
#include "unit.h"

#include "core/base/list.h"
#include "core/base/str.c"

struct item {
	int			c;
	struct weir_link_node	node;
};

static void
is(struct weir_list *l, const char *want)
{
	struct weir_link_node	*at;
	char			 got[20];
	size_t			 n = 0;

	list_each(at, l)
		got[n++] = (char)WEIR_OF(at, struct item, node)->c;
	assert_str(str_of(got, n), want);
	n = 0;
	for (at = l->prev; at != l; at = at->prev)
		n++;
	assert_int_equal(n, strlen(want));
}

static void
test_list(void **state)
{
	struct item		 a = { .c = 'a' }, b = { .c = 'b' }, c = { .c = 'c' };
	struct weir_list	 l;
	struct weir_link_node	*at, *nxt;

	(void)state;
	list_init(&l);
	assert_true(list_empty(&l));
	is(&l, "");
	list_append(&l, &a.node);
	list_append(&l, &b.node);
	list_push(&l, &c.node);
	is(&l, "cab");
	assert_ptr_equal(list_first(&l, struct item, node), &c);
	assert_ptr_equal(list_last(&l, struct item, node), &b);
	list_remove(&a.node);
	is(&l, "cb");
	list_remove(&a.node);
	is(&l, "cb");
	list_insert(&c.node, &a.node);
	is(&l, "cab");
	list_each_safe(at, nxt, &l)
		if (WEIR_OF(at, struct item, node)->c != 'a')
			list_remove(at);
	is(&l, "a");
	list_remove(&a.node);
	assert_true(list_empty(&l));
	assert_true(list_empty(&a.node));
}

static void
test_overflow(void **state)
{
	size_t	 n;
	uint32_t w;

	(void)state;
	assert_false(weir_add((size_t)1, (size_t)2, &n));
	assert_int_equal(n, 3);
	assert_true(weir_add(SIZE_MAX, (size_t)1, &n));
	assert_true(weir_mul(SIZE_MAX / 2, (size_t)3, &n));
	assert_true(weir_mul((uint64_t)UINT32_MAX, (uint64_t)2, &w));
	assert_false(weir_mul((uint64_t)UINT32_MAX, (uint64_t)1, &w));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_overflow),
	};

	return RUN(tests);
}
