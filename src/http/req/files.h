/*
 * files.h - which file does a request mean, and which media type has it?
 */
#ifndef WEIR_HTTP_REQ_FILES_H
#define WEIR_HTTP_REQ_FILES_H

#include <sys/stat.h>

#include "http/req/req.h"

/*
 * The path that `uri` has under root or alias of the request's place, in the request's pool
 * and NUL-terminated.  0, or the status to answer: 404 where the path would leave an alias, 500
 * where an alias does not fit a rewritten URI; both are logged.
 */
int	req_path(struct weir_req *, struct weir_str uri, struct weir_str *path);
/*
 * root or alias itself, absolute and NUL-terminated: $document_root.
 */
struct weir_str req_root(struct weir_req *);
/*
 * The media type of the request's URI by its extension, or default_type.
 */
struct weir_str req_type(struct weir_req *);
/*
 * The status for a file that cannot be opened, by errno: 404, 403 or 500.  Logs `what` with the path
 * as nginx does, a missing file only when log_not_found is on.
 */
int	req_file_error(struct weir_req *, const char *what, struct weir_str path);

/* Where a path leads to. */
struct weir_found {
	struct stat	 st;
	struct weir_seg_file *file;	/* a regular file that was opened: the caller's own reference; else NULL */
	const char	*failed;	/* the call that failed, for req_file_error() */
};

/*
 * Open a file for reading, or only look at it, as far as disable_symlinks lets (ELOOP where it does
 * not), by way of open_file_cache when the place has one.  `path` is NUL-terminated and absolute.
 * WEIR_OK, or WEIR_FAIL with errno.  req_open() opens also what is no regular file, but nothing waits for it,
 * and only its struct stat is given.
 */
int	req_open(struct weir_req *, struct weir_str path, struct weir_found *);
int	req_stat(struct weir_req *, struct weir_str path, struct stat *);
/* The descriptor of a folder, for reading its entries; never from the cache.  -1 with errno. */
int	req_open_folder(struct weir_req *, struct weir_str path);
/* For appending, made when it is not there.  -1 with errno. */
int	req_open_log(struct weir_req *, struct weir_str path);

/*
 * Answer with the regular file that was opened, whose reference goes to the response: 200 with Last-Modified, ETag
 * and the media type of the URI.  `ranges`: may the client have parts of it?
 */
enum weir_next req_send_file(struct weir_req *, const struct weir_found *, bool ranges);

/* For the tables of directives. */
int	conf_symlinks(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
int	conf_root(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);
int	conf_alias(struct weir_conf *, struct weir_scope *, struct weir_node *, void *);

#endif
