/*
 * secret_file.c - variables whose values are secrets, kept in files of their own.
 *
 * So a configuration can be shown, kept and sent around without them.  The master reads the file, before
 * privileges go; `weir -T` does not show what is in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/sess/var.h"

enum { SECRET_MAX = 65536 };

static unsigned index_;

static int
get_secret(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)s;
	*to = *(const struct weir_str *)data;
	return WEIR_OK;
}

/* Without the line end that editors leave. */
static struct weir_str
trimmed(struct weir_str s)
{
	if (s.n != 0 && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n != 0 && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

static int
read_secret(struct weir_conf *cf, const struct weir_node *node, int fd, const char *path, struct weir_str *to)
{
	static char p[SECRET_MAX + 1];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return conf_error(cf, node, 2, "\"%s\" is no file", path);
	if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0)
		return conf_error(cf, node, 2, "everybody can read the secret in \"%s\": chmod o= it", path);
	n = read(fd, p, SECRET_MAX + 1);
	if (n < 0)
		return conf_error(cf, node, 2, "cannot read \"%s\" (%d: %s)", path, errno, strerror(errno));
	if (n > SECRET_MAX)
		return conf_error(cf, node, 2, "\"%s\" has more than %d bytes", path, SECRET_MAX);
	*to = pool_str(cf->pool, trimmed(str_of(p, (size_t)n)));
	explicit_bzero(p, (size_t)n);
	if (to->n == 0)
		return conf_error(cf, node, 2, "there is no secret in \"%s\"", path);
	return WEIR_OK;
}

static int
set_secret(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_str name = node->w[1].s, path = conf_path(cf, node->w[2].s, true);
	struct weir_str *secret = POOL_NEW(cf->pool, weir_str);
	struct weir_var def = { .get = get_secret, .data = secret };
	unsigned number;
	int fd, rc;

	(void)scope, (void)conf;
	if (name.n < 2 || name.p[0] != '$')
		return conf_error(cf, node, 1, "invalid variable name \"%.*s\"", STR_ARG(name));
	if (vars_define(vars_now, str_from(name, 1), &def, &number) != WEIR_OK)
		return conf_error(cf, node, 1, "the duplicate \"%.*s\" variable: it is built in", STR_ARG(name));
	fd = open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return conf_error(cf, node, 2, "cannot open \"%s\" (%d: %s)", path.p, errno, strerror(errno));
	rc = read_secret(cf, node, fd, path.p, secret);
	close(fd);
	return rc;
}

static const struct weir_cmd cmds[] = {
	{ "secret_file", IN_HTTP, CONF_CUSTOM, .args_min = 2, .args_max = 2, .set = set_secret,
	  .flags = CONF_MULTI, .args = "$variable file",
	  .doc = "A variable with what is in a file, without the line end: for tokens and passwords that do not "
	  "belong into a configuration.  Only the master reads the file; one that everybody can read is refused." },
	{ 0 }
};

const struct weir_module secret_file_module = {
	.name = "secret_file", .index = &index_, .cmds = cmds,
	.doc = "Variables whose values are secrets.",
};
