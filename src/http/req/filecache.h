/*
 * filecache.h - open_file_cache: what was learned about paths, and open descriptors.
 *
 * Each worker has its own, one for each open_file_cache of the configuration.  An entry is what a
 * path leads to (or why it leads nowhere) and, once the path was used often enough, the open file.  It
 * is believed for open_file_cache_valid, then looked at again; a file that was replaced is
 * noticed by its number.  There are never more than `max` entries: the one that was unused
 * for the longest time goes first.  A descriptor that leaves the cache is closed when
 * nobody sends it any more.
 */
#ifndef WEIR_HTTP_REQ_FILECACHE_H
#define WEIR_HTTP_REQ_FILECACHE_H

#include "http/req/files.h"

/*
 * How a path is walked.  Two requests mean the same entry only when all of it is equal, so what
 * disable_symlinks forbids in one place is not found through another.
 */
struct weir_way {
	struct weir_str	 path;		/* NUL-terminated */
	enum weir_symlinks links;
	size_t		 trusted;	/* the first bytes of the path, where links are fine */
};

/* Ask the system: open.c.  WEIR_OK, or WEIR_FAIL with errno and to->failed. */
int	way_open(struct weir_req *, const struct weir_way *, struct weir_found *);
int	way_stat(struct weir_req *, const struct weir_way *, struct weir_found *);

/*
 * An empty cache, which belongs to the pool.  It takes memory and descriptors only in the
 * process that uses it.
 */
struct weir_filecache *filecache_new(struct weir_pool *, uint64_t max, uint64_t inactive_ms);
/*
 * Like way_open() (`open`) or way_stat(), as the request's place says about the cache.  A file in *to is
 * a reference of the caller's own, or NULL.
 */
int	filecache_get(struct weir_req *, struct weir_filecache *, const struct weir_way *, bool open,
	    struct weir_found *to);

/* For the table of directives. */
int	conf_filecache(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);

#endif
