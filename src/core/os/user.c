/*
 * user.c - looking users up, and giving privileges up for good.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/num.h"
#include "core/os/user.h"

static bool
number(const char *text, uint32_t *to)
{
	uint64_t n;

	/* The last one means "leave as it is" to the calls that set identities. */
	if (num_u64(str_c(text), &n) != WEIR_OK || n >= UINT32_MAX)
		return false;
	*to = (uint32_t)n;
	return true;
}

/* getpwnam(3) says some of these when there is no such entry. */
static int
not_found(void)
{
	if (errno == ENOENT || errno == ESRCH)
		errno = 0;
	return WEIR_FAIL;
}

static int
find_group(struct weir_user *u, const char *group)
{
	struct group	*g;
	uint32_t	 n;

	errno = 0;
	if ((g = getgrnam(group)) != NULL) {
		u->gid = g->gr_gid;
		return WEIR_OK;
	}
	if (!number(group, &n))
		return not_found();
	u->gid = n;
	return WEIR_OK;
}

int
user_find(struct weir_user *u, const char *user, const char *group)
{
	struct passwd	*p;
	uint32_t	 n;

	errno = 0;
	p = getpwnam(user);
	if (p == NULL && number(user, &n) && (p = getpwuid(n)) == NULL && group != NULL) {
		/* A number that has no entry is good enough when the group is given. */
		memset(u, 0, sizeof(*u));
		u->uid = n;
		return find_group(u, group);
	}
	if (p == NULL)
		return not_found();
	memset(u, 0, sizeof(*u));
	if (strlen(p->pw_name) >= sizeof(u->name)) {
		errno = ENAMETOOLONG;
		return WEIR_FAIL;
	}
	strcpy(u->name, p->pw_name);
	u->uid = p->pw_uid;
	u->gid = p->pw_gid;
	return group != NULL ? find_group(u, group) : WEIR_OK;
}

/*
 * What can be had again by executing something: must go before the
 * identity does, which takes the right to do this along.
 */
static int
drop_bounding(uint64_t keep)
{
	int cap;

	for (cap = 0; cap < 64; cap++) {
		if ((keep >> cap & 1) != 0 || prctl(PR_CAPBSET_READ, cap) != 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap) != 0)
			/* Without CAP_SETPCAP it stays; no_new_privs makes it useless anyway. */
			return errno == EPERM ? WEIR_OK : WEIR_FAIL;
	}
	return WEIR_OK;
}

static int
become(const struct weir_user *u)
{
	int n = u->name[0] != '\0' ? initgroups(u->name, u->gid) : setgroups(0, NULL);

	if (n != 0 || setresgid(u->gid, u->gid, u->gid) != 0 ||
	    setresuid(u->uid, u->uid, u->uid) != 0)
		return WEIR_FAIL;
	return WEIR_OK;
}

static int
set_caps(uint64_t keep)
{
	struct __user_cap_header_struct	h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct	d[2];
	unsigned			i;

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL)
		return WEIR_FAIL;
	if (syscall(SYS_capget, &h, d) != 0)
		return WEIR_FAIL;
	for (i = 0; i < 2; i++) {
		d[i].permitted &= (uint32_t)(keep >> 32 * i);
		d[i].effective = d[i].permitted;
		d[i].inheritable = 0;
	}
	h.version = _LINUX_CAPABILITY_VERSION_3;
	return syscall(SYS_capset, &h, d) == 0 ? WEIR_OK : WEIR_FAIL;
}

bool
user_may(unsigned cap)
{
	struct __user_cap_header_struct	h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct	d[2];

	assert(cap < 64);
	return syscall(SYS_capget, &h, d) == 0 && (d[cap / 32].effective >> cap % 32 & 1) != 0;
}

/* Trying is the only proof. */
static int
no_way_back(const struct weir_user *u)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (getresuid(&r, &e, &s) != 0 || r != u->uid || e != u->uid || s != u->uid ||
	    getresgid(&rg, &eg, &sg) != 0 || rg != u->gid || eg != u->gid || sg != u->gid ||
	    (u->uid != 0 && (setresuid(0, 0, 0) == 0 || setuid(0) == 0)) ||
	    (u->uid != 0 && u->gid != 0 && setresgid(0, 0, 0) == 0)) {
		errno = EPERM;
		return WEIR_FAIL;
	}
	return WEIR_OK;
}

#define STEP(text, call) do {		\
	if (step != NULL)		\
		*step = (text);		\
	if ((call) != WEIR_OK)		\
		return WEIR_FAIL;	\
} while (0)

static int
option(int name, unsigned long value)
{
	return prctl(name, value, 0, 0, 0) == 0 ? WEIR_OK : WEIR_FAIL;
}

int
user_drop(const struct weir_user *u, uint64_t keep, const char **step)
{
	bool root = geteuid() == 0;

	STEP("emptying the capability bounding set", drop_bounding(keep));
	if (root) {
		STEP("keeping capabilities", option(PR_SET_KEEPCAPS, keep != 0));
		STEP("changing user and group", become(u));
		STEP("checking the new identity", no_way_back(u));
		STEP("forgetting capabilities", option(PR_SET_KEEPCAPS, 0));
	}
	STEP("dropping capabilities", set_caps(keep));
	STEP("setting no_new_privs", option(PR_SET_NO_NEW_PRIVS, 1));
	STEP("becoming undumpable", option(PR_SET_DUMPABLE, 0));
	return WEIR_OK;
}
