/*
 * pidfile.h - the file with the master's number; for this room.
 */
#ifndef WEIR_PROC_PIDFILE_H
#define WEIR_PROC_PIDFILE_H

#include "core/base/log.h"

/*
 * The file appears whole and replaces what was there, but follows no symbolic link.
 * WEIR_FAIL after complaining.
 */
int	pidfile_write(const char *path, pid_t, struct weir_log *) WEIR_MUST_USE;
/* WEIR_FAIL with a message for the user in `why`. */
int	pidfile_read(const char *path, pid_t *to, char why[512]) WEIR_MUST_USE;
void	pidfile_remove(const char *path, struct weir_log *);

#endif
