/*
 * spill.c - temporary files for bytes that are too many for memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/spill.h"
#include "core/os/random.h"

static void
close_file(struct weir_seg_file *f)
{
	close(f->fd);
	mem_free(f);
}

struct weir_seg_file *
spill_of(int fd)
{
	struct weir_seg_file *f = mem_zalloc(sizeof *f);

	f->fd = fd;
	f->close = close_file;
	return f;
}

/* For file systems that know no unnamed files. */
static int
open_and_unlink(const char *dir)
{
	char path[4096];
	int fd = -1;

	for (int i = 0; i < 100; i++) {
		int n = snprintf(path, sizeof path, "%s/%010u", dir, random_u32());

		if (n < 0 || (size_t)n >= sizeof path) {
			errno = ENAMETOOLONG;
			return -1;
		}
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd >= 0 || errno != EEXIST)
			break;
	}
	if (fd >= 0)
		unlink(path);
	return fd;
}

struct weir_seg_file *
spill_open(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		fd = open_and_unlink(dir);
	return fd < 0 ? NULL : spill_of(fd);
}

void
spill_free(struct weir_seg_file *f)
{
	if (f != NULL && f->refs == 0)
		f->close(f);
}

int
spill_write(struct weir_seg_file *f, struct weir_bufq *q)
{
	while (q->len != 0) {
		struct weir_str s = bufq_first(q);
		ssize_t n = write(f->fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return WEIR_FAIL;
		bufq_drop(q, (uint64_t)n);
	}
	return WEIR_OK;
}
