/* unit: src/core/io/file.c */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

#include "core/io/file.c"

static int
temp_file(const char *text)
{
	char	name[] = "/tmp/weir-unit-file-XXXXXX";
	int	fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* All that the source gives, file parts read in. */
static const char *
all(struct weir_file_src *s, size_t max)
{
	static char		 text[256];
	struct weir_bufq	 q = { 0 };
	ssize_t			 n;

	while ((n = src_read(&s->src, &q, max)) > 0)
		;
	assert_int_equal(n, WEIR_EOF);
	assert_int_equal(bufq_load(&q, q.len), WEIR_OK);
	text[bufq_take(&q, text, sizeof(text) - 1)] = '\0';
	assert_int_equal(q.len, 0);
	return text;
}

static void
whole(void **state)
{
	struct weir_file_src	s;
	int			fd, copied;
	struct weir_seg_file	*f;

	for (copied = 0; copied < 2; copied++) {
		fd = temp_file("0123456789");
		f = file_new(fd);
		file_src_init(&s, f, 2, 5, copied);
		file_unref(f);
		assert_string_equal(all(&s, 3), "23456");
		assert_string_equal(all(&s, 3), "");
		assert_true(is_open(fd));
		src_stop(&s.src);
		assert_false(is_open(fd));
		file_src_end(&s);
	}
	(void)state;
}

static void
by_reference(void **state)
{
	struct weir_file_src	s;
	struct weir_bufq	q = { 0 };
	int			fd = temp_file("0123456789");
	struct weir_seg_file	*f = file_new(fd);

	(void)state;
	file_src_init(&s, f, 0, 10, false);
	file_unref(f);
	assert_int_equal(src_read(&s.src, &q, 4), 4);
	assert_true(bufq_first_is_file(&q));
	/* What is queued outlives the source. */
	file_src_end(&s);
	assert_int_equal(src_read(&s.src, &q, 4), WEIR_EOF);
	assert_true(is_open(fd));
	bufq_clear(&q);
	assert_false(is_open(fd));
	assert_int_equal(bufq_outstanding(), 0);
}

static void
parts(void **state)
{
	static const struct weir_file_part	v[] = {
		{ STR("<a>"), 0, 1 }, { STR_NONE, 9, 1 }, { STR_NONE, 0, 0 }, { STR("<b>"), 3, 4 },
		{ STR("<end>"), 0, 0 },
	};
	struct weir_file_src	s;
	int			copied;
	struct weir_seg_file	*f;

	for (copied = 0; copied < 2; copied++) {
		f = file_new(temp_file("0123456789"));
		file_src_init(&s, f, 0, 10, copied);
		file_unref(f);
		file_src_parts(&s, v, WEIR_COUNT(v));
		assert_string_equal(all(&s, 3), "<a>09<b>3456<end>");
		file_src_end(&s);
	}
	(void)state;
}

static void
shorter(void **state)
{
	struct weir_file_src	s;
	struct weir_bufq	q = { 0 };
	int			fd = temp_file("0123456789");
	struct weir_seg_file	*f = file_new(fd);

	(void)state;
	file_src_init(&s, f, 0, 10, true);
	file_unref(f);
	assert_int_equal(ftruncate(fd, 3), 0);
	assert_int_equal(src_read(&s.src, &q, 100), 3);
	assert_int_equal(src_read(&s.src, &q, 100), WEIR_FAIL);
	assert_non_null(s.src.err);
	assert_int_equal(q.len, 3);
	bufq_clear(&q);
	file_src_end(&s);
}

static void
kinds(void **state)
{
	struct weir_src		other = { 0 };
	struct weir_file_src	s;
	struct weir_seg_file	*f = file_new(temp_file(""));

	(void)state;
	file_src_init(&s, f, 0, 0, false);
	file_unref(f);
	assert_ptr_equal(file_src_of(&s.src), &s);
	assert_null(file_src_of(&other));
	assert_null(file_src_of(NULL));
	assert_string_equal(all(&s, 3), "");
	src_want(&s.src, true);
	file_src_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole), cmocka_unit_test(by_reference), cmocka_unit_test(parts),
		cmocka_unit_test(shorter), cmocka_unit_test(kinds),
	};

	return RUN(tests);
}
