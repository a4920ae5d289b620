/*
 * save.h - what was changed at run time, written down (the `state` directive).
 *
 * The file has a `server` line for each server of the group, as an upstream block has them, and takes the place of
 * those: it is read at start and by each reload.  It is replaced as a whole, by another name and rename(2), after
 * it has reached the disk; so whoever reads it finds all of the old or all of the new.
 */
#ifndef WEIR_PEER_SAVE_H
#define WEIR_PEER_SAVE_H

#include "core/peer/change.h"

/* "127.0.0.1:80 weight=2 down": what stands behind `server`, without what goes without saying. */
struct weir_str server_line(struct weir_pool *, const struct weir_server *);
/*
 * Writes the group's servers, if they were changed since they were written or read, and if no newer generation does so.
 * Blocks: not in a worker.  Of several processes one writes at a time.  WEIR_FAIL with errno.
 */
int	servers_save(struct weir_group *, const char *path) WEIR_MUST_USE;
/*
 * In the master: a reload reads the file now.  From here on, for some seconds at most, nothing is changed any more
 * (SERVERS_BUSY), until there is a block of the new generation; or the reload has failed, and servers_thaw() is called.
 */
void	servers_freeze(struct weir_group *);
void	servers_thaw(struct weir_group *);

#endif
