/*
 * upgrade.h - starting another binary that takes the listeners over; for this room.
 *
 * The listeners travel as open descriptors, and the variable WEIR tells which is what.  So does shared
 * memory, with the variable WEIR_ZONES.  Instead of a text too long for a variable it has "@" and the descriptor
 * of a file with it.
 */
#ifndef WEIR_PROC_UPGRADE_H
#define WEIR_PROC_UPGRADE_H

#include "core/proc/load.h"

/* What to execute when the time comes: taken at start, while argv[0] still means the same. */
const char *upgrade_binary(struct weir_pool *, const char *argv0);
/* Starts it; its number, or -1 after complaining. */
pid_t	upgrade_start(const char *binary, char *const *argv, struct weir_cycle *);
/* New master: the listeners, if there are any; true when somebody handed them over. */
bool	upgrade_inherit(struct weir_log *);

#endif
