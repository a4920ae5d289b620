/*
 * shmap.c - memory that this process shares with those it forks.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/os/shmap.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

/* A file without a path, which gives the mapping its name; -1 where there are none. */
static int
named(const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)		/* before Linux 6.3 */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0 && ftruncate(fd, (off_t)size) != 0) {
		close(fd);
		return -1;
	}
	/* Who made it smaller would end all others with SIGBUS. */
	if (fd >= 0)
		(void)!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return fd;
}

void *
shmap_new_fd(size_t size, const char *name, int *to)
{
	void	*p;
	int	 fd;

	*to = -1;
	if (size == 0 || size > PTRDIFF_MAX) {
		errno = size == 0 ? EINVAL : ENOMEM;
		return NULL;
	}
	fd = named(name, size);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    fd >= 0 ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS, fd, 0);
	if (p == MAP_FAILED) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	(void)madvise(p, size, MADV_DONTDUMP);
	*to = fd;
	return p;
}

void *
shmap_new(size_t size, const char *name)
{
	int	 fd;
	void	*p = shmap_new_fd(size, name, &fd);

	if (fd >= 0)
		close(fd);
	return p;
}

void *
shmap_of_fd(int fd, size_t *size)
{
	struct stat	 st;
	void		*p;

	if (fstat(fd, &st) != 0)
		return NULL;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0) {
		errno = EINVAL;
		return NULL;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, (size_t)st.st_size, MADV_DONTDUMP);
	*size = (size_t)st.st_size;
	return p;
}

void
shmap_free(void *p, size_t size)
{
	if (p != NULL)
		munmap(p, size);
}
