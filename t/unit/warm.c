/* unit: src/core/io/warm.c src/core/ev/offload.c */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "unit.h"

#include "core/base/defs.h"
#include "core/ev/offload.h"

static uint64_t		 cached_upto;	/* of the file that is asked about */
static unsigned		 asked;
static struct weir_job	*queued;
static int		 answer;	/* of offload() */
static unsigned		 cancelled;

static ssize_t
fake_preadv2(int fd, const struct iovec *v, int n, off_t off, int flags)
{
	(void)fd, (void)v, (void)n;
	assert_int_equal(flags, RWF_NOWAIT);
	asked++;
	if ((uint64_t)off < cached_upto)
		return 1;
	errno = EAGAIN;
	return -1;
}

int
offload(struct weir_job *j)
{
	if (answer == WEIR_OK) {
		assert_null(queued);
		queued = j;
	}
	return answer;
}

void
offload_cancel(struct weir_job *j)
{
	assert_ptr_equal(j, queued);
	queued = NULL;
	cancelled++;
	j->free(j);
}

#define preadv2 fake_preadv2
#include "core/io/warm.c"
#undef preadv2

static unsigned		 told;
static struct weir_warm	 w;

static void
on_ready(struct weir_warm *arg)
{
	assert_ptr_equal(arg, &w);
	told++;
}

/* What thread and loop do with the job. */
static void
finish(void)
{
	struct weir_job *j = queued;

	queued = NULL;
	j->run(j);
	j->done(j);
	j->free(j);
}

static struct weir_seg_file *
temp_file(size_t n)
{
	char	name[] = "/tmp/weir-unit-warm-XXXXXX";
	int	fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(ftruncate(fd, (off_t)n), 0);
	return file_new(fd);
}

static int
setup(void **state)
{
	(void)state;
	cached_upto = asked = told = cancelled = 0;
	queued = NULL;
	answer = WEIR_OK;
	warm_init(&w, on_ready);
	return 0;
}

static void
here(void **state)
{
	struct weir_seg_file *f = temp_file(3 * PART);

	(void)state;
	cached_upto = 3 * PART;
	assert_int_equal(warm_part(&w, f, 0, 10), 10);
	assert_int_equal(warm_part(&w, f, 10, 3 * PART - 10), PART);
	assert_null(queued);
	assert_int_equal(asked, 4);
	file_unref(f);
}

static void
by_thread(void **state)
{
	struct weir_seg_file *f = temp_file(3 * PART);

	(void)state;
	cached_upto = 100;
	assert_int_equal(warm_part(&w, f, 0, 2 * PART), 0);	/* its begin is there, its end is not */
	assert_int_equal(f->refs, 2);
	assert_int_equal(warm_part(&w, f, 0, 2 * PART), 0);
	assert_int_equal(told, 0);
	finish();
	assert_int_equal(told, 1);
	assert_int_equal(f->refs, 1);
	asked = 0;
	assert_int_equal(warm_part(&w, f, 0, 1000), 1000);
	assert_int_equal(warm_part(&w, f, 1000, 2 * PART), PART - 1000);
	assert_int_equal(asked, 0);
	assert_int_equal(warm_part(&w, f, PART, PART), 0);
	finish();
	/* another part of the file */
	assert_int_equal(warm_part(&w, f, 0, 1000), 0);
	finish();
	assert_int_equal(told, 3);
	file_unref(f);
}

/* The file is shorter than was thought: the thread ends all the same. */
static void
shorter(void **state)
{
	struct weir_seg_file *f = temp_file(10);

	(void)state;
	assert_int_equal(warm_part(&w, f, 0, 1000), 0);
	finish();
	assert_int_equal(warm_part(&w, f, 0, 1000), 1000);
	file_unref(f);
}

static void
given_up(void **state)
{
	struct weir_seg_file *f = temp_file(1000);

	(void)state;
	assert_int_equal(warm_part(&w, f, 0, 1000), 0);
	warm_end(&w);
	assert_int_equal(cancelled, 1);
	assert_int_equal(f->refs, 1);
	warm_end(&w);
	assert_int_equal(told, 0);
	file_unref(f);
}

static void
no_threads(void **state)
{
	struct weir_seg_file *f = temp_file(1000);

	(void)state;
	answer = WEIR_AGAIN;
	assert_int_equal(warm_part(&w, f, 0, 1000), 1000);	/* too many wait */
	assert_int_equal(f->refs, 1);
	asked = 0;
	answer = WEIR_FAIL;
	assert_int_equal(warm_part(&w, f, 0, 1000), 1000);
	asked = 0;
	assert_int_equal(warm_part(&w, f, 0, 1000), 1000);	/* not asked again */
	assert_int_equal(asked, 0);
	file_unref(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(here, setup), cmocka_unit_test_setup(by_thread, setup),
		cmocka_unit_test_setup(shorter, setup), cmocka_unit_test_setup(given_up, setup),
		cmocka_unit_test_setup(no_threads, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
