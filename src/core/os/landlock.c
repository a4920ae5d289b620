/*
 * landlock.c - access to files is limited to those that were declared (landlock(7)).
 *
 * The kernel's interface is written down here, because the headers of a system may be older
 * than its kernel.  Rights that the kernel does not know yet are left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/os/locks.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset	444
#define SYS_landlock_add_rule		445
#define SYS_landlock_restrict_self	446
#endif
#define QUERY_VERSION	1
#define RULE_PATH	1

struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_rule {
	uint64_t access;
	int32_t	 fd;
} __attribute__((packed));

#define FS_EXECUTE	(1u << 0)
#define FS_WRITE_FILE	(1u << 1)
#define FS_READ_FILE	(1u << 2)
#define FS_READ_DIR	(1u << 3)
#define FS_REMOVE_DIR	(1u << 4)
#define FS_REMOVE_FILE	(1u << 5)
#define FS_MAKE_DIR	(1u << 7)
#define FS_MAKE_REG	(1u << 8)
#define FS_MAKE_SOCK	(1u << 9)
#define FS_REFER	(1u << 13)
#define FS_TRUNCATE	(1u << 14)
#define FS_IOCTL_DEV	(1u << 15)

#define READ		(FS_READ_FILE | FS_READ_DIR)
#define WRITE		(READ | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | \
			FS_MAKE_REG | FS_MAKE_SOCK | FS_REFER | FS_TRUNCATE)
#define OF_A_FILE	(FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define SCOPE_SIGNAL	(1u << 1)

/* How many rights each version of the interface has, from the lowest bit. */
static unsigned
rights_of(long version)
{
	if (version >= 5)
		return 16;
	return version >= 3 ? 15 : version == 2 ? 14 : 13;
}

static long
create(const struct ruleset *r, size_t n, unsigned flags)
{
	return syscall(SYS_landlock_create_ruleset, r, n, flags);
}

static int
allow(int set, const struct weir_sandbox_path *p, uint64_t known)
{
	struct path_rule rule = { .access = (p->write ? WRITE : READ) & known };
	struct stat	 st;
	long		 n;
	int		 saved;

	rule.fd = open(p->path, O_PATH | O_CLOEXEC);
	if (rule.fd < 0)
		return WEIR_OK;		/* what does not exist stays forbidden */
	if (fstat(rule.fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.access &= OF_A_FILE;
	n = syscall(SYS_landlock_add_rule, set, RULE_PATH, &rule, 0);
	saved = errno;
	close(rule.fd);
	errno = saved;
	return n == 0 ? WEIR_OK : WEIR_FAIL;
}

static int
fill_and_enter(int set, const struct weir_sandbox *s, uint64_t known)
{
	unsigned i;

	for (i = 0; i < s->paths.n; i++)
		if (allow(set, &s->paths.v[i], known) != WEIR_OK)
			return WEIR_FAIL;
	return syscall(SYS_landlock_restrict_self, set, 0) == 0 ? WEIR_OK : WEIR_FAIL;
}

int
landlock_enter(const struct weir_sandbox *s)
{
	struct ruleset	r = { 0, 0, 0 };
	long		version = create(NULL, 0, QUERY_VERSION);
	int		set, rc, saved;

	if (version < 1)
		return WEIR_FAIL;
	r.fs = ((uint64_t)1 << rights_of(version)) - 1;
	/* Signals go to processes that are locked in by this one, and to no other. */
	if (version >= 6)
		r.scoped = SCOPE_SIGNAL;
	set = (int)create(&r, version >= 6 ? sizeof(r) : version >= 4 ? 16 : 8, 0);
	if (set < 0)
		return WEIR_FAIL;
	rc = fill_and_enter(set, s, r.fs);
	saved = errno;
	close(set);
	errno = saved;
	return rc;
}
