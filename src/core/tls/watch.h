/*
 * watch.h - notices that certificates have changed (ssl_certificate_watch).
 *
 * The kernel tells of it (inotify(7)): a file is written, another is put in its place, or a link on the way to it is made to
 * lead elsewhere.  Some time after the last such notice all of it is looked at, since a key and its
 * certificate seldom change at once.  Where the kernel cannot tell, or where an interval was given, the files
 * are looked at from time to time.
 *
 * This is done by the one process that may read keys, for the configuration that is served.
 */
#ifndef WEIR_TLS_WATCH_H
#define WEIR_TLS_WATCH_H

#include "core/conf/conf.h"

struct weir_tls_watch;		/* of a configuration: cf->watch, NULL when nothing is watched */

/*
 * Begins, and looks at once for what has changed since the configuration was read.  `changed` is called when contexts
 * of this process have something new; NULL: nobody else needs to know.  NULL for the watch is fine, everywhere here.
 */
void	watch_begin(struct weir_tls_watch *, void (*changed)(void));
void	watch_end(struct weir_tls_watch *);
/* In a child of that process, which has a loop of its own. */
void	watch_forget(struct weir_tls_watch *);

/* A descriptor for watch_take() in other processes of this configuration; the caller's.  -1 with errno. */
int	watch_give(struct weir_tls_watch *) WEIR_MUST_USE;
/* WEIR_FAIL after complaining. */
int	watch_take(struct weir_tls_watch *, int fd) WEIR_MUST_USE;

#endif
