/*
 * paths.h - who can read a file?
 */
#ifndef WEIR_TLS_PATHS_H
#define WEIR_TLS_PATHS_H

#include <stdbool.h>

/* Can every user read or write the file?  Not when a folder on the way to it keeps them out. */
bool	path_is_open(const char *path);
/* Can its owner alone read and write it, whatever folders say? */
bool	path_is_private(const char *path);

#endif
