/*
 * file.c - the files of a configuration, whole in memory.
 *
 * A path is read once in a run, however often it is included.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/conf/parts.h"

#define FILE_MAX	((size_t)64 << 20)

static int
cannot(struct weir_conf *cf, const struct weir_node *by, const char *call, const char *path)
{
	int err = errno;

	return conf_error(cf, by, 1, "%s() \"%s\" failed (%d: %s)", call, path, err,
	    strerror(err));
}

/*
 * Only what has an end: a FIFO might never have one.  Devices are for
 * /dev/null; an endless one runs into the bound.
 */
static int
check_kind(struct weir_conf *cf, const struct weir_node *by, const char *path, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return conf_error(cf, by, 1, "\"%s\" is a directory", path);
	if (!S_ISREG(st->st_mode) && !S_ISCHR(st->st_mode))
		return conf_error(cf, by, 1, "\"%s\" is not a regular file", path);
	if (st->st_size > (off_t)FILE_MAX)
		return conf_error(cf, by, 1, "\"%s\" is larger than %zu megabytes", path,
		    FILE_MAX >> 20);
	return WEIR_OK;
}

/* Reads to the end, whatever fstat() said about the size. */
static int
read_text(struct weir_conf *cf, const struct weir_node *by, struct loaded *l, int fd, size_t expected)
{
	size_t	 room = expected + 1, n = 0;
	char	*p = pool_bytes(cf->pool, room), *more;
	ssize_t	 got;

	for (;;) {
		if (n == room) {
			more = pool_bytes(cf->pool, room = room * 2 + 4096);
			memcpy(more, p, n);
			p = more;
		}
		got = read(fd, p + n, room - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return cannot(cf, by, "read", l->file.path);
		if (got == 0)
			break;
		n += (size_t)got;
		if (n > FILE_MAX)
			return conf_error(cf, by, 1, "\"%s\" is larger than %zu megabytes",
			    l->file.path, FILE_MAX >> 20);
	}
	l->file.text = str_of(p, n);
	return WEIR_OK;
}

static int
load_fd(struct weir_conf *cf, const struct weir_node *by, struct loaded *l, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return cannot(cf, by, "fstat", l->file.path);
	if (check_kind(cf, by, l->file.path, &st) != WEIR_OK)
		return WEIR_FAIL;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return read_text(cf, by, l, fd, (size_t)st.st_size);
}

const struct loaded *
file_load(struct weir_conf *cf, struct weir_hash *before, const struct weir_node *by,
    const char *path)
{
	struct loaded	*l = hash_get(before, str_c(path));
	int		 fd, rc;

	if (l != NULL)
		return l;
	l = POOL_NEW(cf->pool, loaded);
	l->file.path = path;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		cannot(cf, by, "open", path);
		return NULL;
	}
	rc = load_fd(cf, by, l, fd);
	close(fd);
	if (rc != WEIR_OK)
		return NULL;
	hash_put(before, str_c(path), l);
	*cf->files_tail = &l->file;
	cf->files_tail = &l->file.next;
	return l;
}
