/*
 * sandbox.c - a process locks itself in: what was declared, and the order of things.
 */
#include <errno.h>
#include <sys/prctl.h>

#include "core/os/locks.h"

void
sandbox_init(struct weir_sandbox *s, struct weir_pool *pool)
{
	*s = (struct weir_sandbox){ .pool = pool };
}

static void
allow_path(struct weir_sandbox *s, const char *path, bool write)
{
	struct weir_sandbox_path *p = POOL_PUSH(s->pool, &s->paths);

	p->path = pool_cstr(s->pool, str_c(path));
	p->write = write;
}

void
sandbox_allow_read(struct weir_sandbox *s, const char *path)
{
	allow_path(s, path, false);
}

void
sandbox_allow_write(struct weir_sandbox *s, const char *dir)
{
	allow_path(s, dir, true);
}

void
sandbox_allow_system(struct weir_sandbox *s)
{
	static const char *const files[] = {
		"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf",
		"/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/localtime",
		"/usr/share/zoneinfo", "/etc/ssl", "/etc/pki", "/usr/share/ca-certificates",
		"/usr/local/share/ca-certificates", "/dev/zero", "/dev/urandom",
		"/sys/devices/system/cpu",
		/* What resolv.conf often is a link to. */
		"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager",
	};
	size_t i;

	for (i = 0; i < WEIR_COUNT(files); i++)
		sandbox_allow_read(s, files[i]);
	sandbox_allow_write(s, "/dev/null");
#if SANDBOX_SANITIZED
	sandbox_allow_read(s, "/proc");
#endif
}

int
sandbox_enter(const struct weir_sandbox *s)
{
	int got = 0;

	errno = 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return 0;		/* neither works without it */
	got |= SANDBOX_NO_NEW_PRIVS;
	if (!s->any_file && landlock_enter(s) == WEIR_OK)
		got |= SANDBOX_LANDLOCK;
	if (s->begin_threads != NULL)
		s->begin_threads();
	if (seccomp_enter(s) == WEIR_OK)
		got |= SANDBOX_SECCOMP;
	return got;
}
