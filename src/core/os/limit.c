/*
 * limit.c - what the system allows this process, and what the machine has.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/num.h"
#include "core/os/limit.h"

static uint64_t
get(int what, bool hard)
{
	struct rlimit	l;
	rlim_t		n;

	if (getrlimit((__rlimit_resource_t)what, &l) != 0)
		return 0;
	n = hard ? l.rlim_max : l.rlim_cur;
	return n == RLIM_INFINITY ? LIMIT_NONE : n;
}

/* The hard limit follows where it has to and may. */
static int
set(int what, uint64_t n)
{
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)what, &l) != 0)
		return WEIR_FAIL;
	l.rlim_cur = n == LIMIT_NONE ? RLIM_INFINITY : n;
	if (l.rlim_cur > l.rlim_max)
		l.rlim_max = l.rlim_cur;
	return setrlimit((__rlimit_resource_t)what, &l) == 0 ? WEIR_OK : WEIR_FAIL;
}

uint64_t
limit_nofile(void)
{
	return get(RLIMIT_NOFILE, false);
}

uint64_t
limit_nofile_hard(void)
{
	return get(RLIMIT_NOFILE, true);
}

int
limit_nofile_set(uint64_t n)
{
	return set(RLIMIT_NOFILE, n);
}

int
limit_core_set(uint64_t n)
{
	return set(RLIMIT_CORE, n);
}

/* What `cpu.max` of a cgroup says, rounded up: "150000 100000" is 2; 0: no limit. */
static uint64_t
quota_of(struct weir_str text)
{
	ssize_t	 space = str_chr(text, ' '), end = str_chr(text, '\n');
	uint64_t quota, period;

	if (end >= 0)
		text.n = (size_t)end;
	if (space < 0 || num_u64(str_of(text.p, (size_t)space), &quota) != WEIR_OK ||
	    num_u64(str_from(text, (size_t)space + 1), &period) != WEIR_OK || period == 0)
		return 0;
	return quota / period + (quota % period != 0);
}

/* In a container its own cgroup is the root that it sees. */
static uint64_t
cgroup_cpus(void)
{
	char	buf[64];
	ssize_t	n;
	int	fd = open("/sys/fs/cgroup/cpu.max", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf));
	close(fd);
	return n > 0 ? quota_of(str_of(buf, (size_t)n)) : 0;
}

unsigned
cpu_count(void)
{
	cpu_set_t	set;
	uint64_t	n = 0, paid = cgroup_cpus();
	long		online;

	if (cpu_mask_own(&set) == WEIR_OK)
		n = (uint64_t)CPU_COUNT(&set);
	if (n == 0 && (online = sysconf(_SC_NPROCESSORS_ONLN)) > 0)
		n = (uint64_t)online;
	if (paid != 0 && paid < n)
		n = paid;
	return n != 0 ? (unsigned)n : 1;
}

int
cpu_mask_own(cpu_set_t *set)
{
	CPU_ZERO(set);
	return sched_getaffinity(0, sizeof(*set), set) == 0 ? WEIR_OK : WEIR_FAIL;
}

int
cpu_mask_read(struct weir_str s, cpu_set_t *to)
{
	cpu_set_t	set;
	size_t		cpu;

	CPU_ZERO(&set);
	if (s.n > CPU_SETSIZE)
		return WEIR_FAIL;
	for (cpu = 0; cpu < s.n; cpu++) {
		char c = s.p[s.n - 1 - cpu];

		if (c == '1')
			CPU_SET(cpu, &set);
		else if (c != '0')
			return WEIR_FAIL;
	}
	if (CPU_COUNT(&set) == 0)
		return WEIR_FAIL;
	*to = set;
	return WEIR_OK;
}

bool
cpu_mask_nth(const cpu_set_t *from, unsigned nth, cpu_set_t *to)
{
	unsigned n = (unsigned)CPU_COUNT(from), cpu;

	CPU_ZERO(to);
	if (n == 0)
		return false;
	nth %= n;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, from) && nth-- == 0)
			break;
	CPU_SET(cpu, to);
	return true;
}

int
cpu_bind(const cpu_set_t *set)
{
	return sched_setaffinity(0, sizeof(*set), set) == 0 ? WEIR_OK : WEIR_FAIL;
}

size_t
page_size(void)
{
	long n = sysconf(_SC_PAGESIZE);

	return n > 0 ? (size_t)n : 4096;
}

size_t
cache_line(void)
{
	long n = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);

	return n > 0 ? (size_t)n : 64;
}
