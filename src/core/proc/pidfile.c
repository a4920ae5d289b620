/*
 * pidfile.c - the file with the master's number.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/num.h"
#include "core/proc/pidfile.h"

static int
put(const char *tmp, pid_t pid)
{
	char	text[NUM_MAX + 1], *end = num_put(text, (uint64_t)pid);
	ssize_t	n;
	int	fd;

	*end++ = '\n';
	if (unlink(tmp) != 0 && errno != ENOENT)
		return WEIR_FAIL;
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return WEIR_FAIL;
	n = write(fd, text, (size_t)(end - text));
	/* Scripts of other users read it, whatever the umask. */
	(void)!fchmod(fd, 0644);
	return close(fd) == 0 && n == end - text ? WEIR_OK : WEIR_FAIL;
}

/* Renaming would replace a device, too. */
static bool
may_replace(const char *path)
{
	struct stat st;

	return lstat(path, &st) != 0 || S_ISREG(st.st_mode) || S_ISLNK(st.st_mode);
}

int
pidfile_write(const char *path, pid_t pid, struct weir_log *log)
{
	char tmp[4096];

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp))
		errno = ENAMETOOLONG;
	else if (!may_replace(path))
		errno = EINVAL;
	else if (put(tmp, pid) == WEIR_OK && rename(tmp, path) == 0)
		return WEIR_OK;
	log_at(log, LOG_EMERG_, errno, "open() \"%s\" failed", path);
	return WEIR_FAIL;
}

int
pidfile_read(const char *path, pid_t *to, char why[512])
{
	char	 text[64];
	ssize_t	 n;
	uint64_t pid;
	int	 fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		snprintf(why, 512, "open() \"%s\" failed (%d: %s)", path, errno, strerror(errno));
		return WEIR_FAIL;
	}
	n = read(fd, text, sizeof(text));
	close(fd);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n < 0 || num_u64(str_of(text, (size_t)n), &pid) != WEIR_OK || pid == 0 ||
	    pid > INT32_MAX) {
		snprintf(why, 512, "invalid PID number \"%.*s\" in \"%s\"", (int)(n > 0 ? n : 0), text,
		    path);
		return WEIR_FAIL;
	}
	*to = (pid_t)pid;
	return WEIR_OK;
}

void
pidfile_remove(const char *path, struct weir_log *log)
{
	if (unlink(path) != 0 && errno != ENOENT)
		log_alert(log, "unlink() \"%s\" failed", path);
}
