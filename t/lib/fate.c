/*
 * fate.c - what happens to a process from outside: the wall clock jumps, memory runs out.
 *
 * Built as a shared object and preloaded by t/lib/Fate.pm.  So it also reaches the libraries that allocate by
 * themselves (OpenSSL, zlib, c-ares), which mem_fail_at() does not.  The test writes into the file that FATE_FILE
 * names, which is mapped here, and shared with everything that is forked.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct fate {
	int64_t		 wall_sec;	/* what the wall clock is wrong by */
	int64_t		 pid;		/* whose allocations fail */
	_Atomic int64_t	 fail_in;	/* how many from now on succeed, plus 1; 0: all do */
	_Atomic int64_t	 fail_count;	/* how many fail after that one */
	_Atomic int64_t	 failed;	/* how many did */
};

static struct fate *fate;
static int (*real_clock)(clockid_t, struct timespec *);

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

/* Where addresses are limited, weir asks malloc() for each piece (core/base/small.h).  So many nobody needs. */
static void
limit_addresses(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY)
		return;
	limit.rlim_cur = (rlim_t)1 << 46;
	setrlimit(RLIMIT_AS, &limit);
}

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("FATE_FILE");
	int	    fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void	   *p;

	real_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(*fate), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	fate = p;
	limit_addresses();
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = real_clock(id, t);

	if (rc == 0 && fate != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += (time_t)fate->wall_sec;
	return rc;
}

time_t
time(time_t *to)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (to != NULL)
		*to = t.tv_sec;
	return t.tv_sec;
}

int
gettimeofday(struct timeval *restrict to, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	to->tv_sec = t.tv_sec;
	to->tv_usec = t.tv_nsec / 1000;
	return 0;
}

static int
fails(void)
{
	if (fate == NULL || atomic_load(&fate->fail_in) <= 0 || fate->pid != getpid())
		return 0;
	if (atomic_load(&fate->fail_in) > 1 && atomic_fetch_sub(&fate->fail_in, 1) > 1)
		return 0;
	if (atomic_fetch_sub(&fate->fail_count, 1) <= 0)
		atomic_store(&fate->fail_in, 0);
	atomic_fetch_add(&fate->failed, 1);
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}
