/*
 * paths.c - who can read a file?
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/tls/paths.h"

bool
path_is_private(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !(st.st_mode & (S_IRWXG | S_IRWXO));
}

bool
path_is_open(const char *path)
{
	char real[PATH_MAX], *slash;
	struct stat st;

	if (realpath(path, real) == NULL || stat(real, &st) != 0 || !(st.st_mode & (S_IROTH | S_IWOTH)))
		return false;
	while ((slash = strrchr(real, '/')) != NULL && slash != real) {
		*slash = '\0';
		if (stat(real, &st) != 0 || !(st.st_mode & S_IXOTH))
			return false;
	}
	return true;
}
