/*
 * shmap.c - memory that this process shares with those it forks.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/os/shmap.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

/* A file without a path, which gives the mapping its name; -1 where there are none. */
static int
named(const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)		/* before Linux 6.3 */
		fd = memfd_create(name, MFD_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, (off_t)size) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void *
shmap_new(size_t size, const char *name)
{
	void	*p;
	int	 fd;

	if (size == 0 || size > PTRDIFF_MAX) {
		errno = size == 0 ? EINVAL : ENOMEM;
		return NULL;
	}
	fd = named(name, size);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    fd >= 0 ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS, fd, 0);
	if (fd >= 0)
		close(fd);
	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, size, MADV_DONTDUMP);
	return p;
}

void
shmap_free(void *p, size_t size)
{
	if (p != NULL)
		munmap(p, size);
}
