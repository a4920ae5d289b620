/*
 * alog.h - access logs: one line for each session, in a format, to where access_log says.
 *
 * What http and stream have in common: the directives access_log, log_format and
 * open_log_file_cache, and writing.  A module brings their rows, and what only its
 * sessions know (struct weir_alog_kind).
 *
 *	alog.c		access_log: where a place logs to; records
 *	alog_format.c	log_format
 *	alog_buffer.c	files, with buffers before them
 *	alog_gzip.c	what a buffer is compressed by
 *	alog_path.c	files whose names have variables, and open_log_file_cache
 *
 * Nothing here fails or delays a session: what cannot be written is lost, counted, and told of once
 * a minute in the error log.
 */
#ifndef WEIR_SESS_ALOG_H
#define WEIR_SESS_ALOG_H

#include "core/sess/expr.h"
#include "core/sess/format.h"

struct weir_alog_all;		/* of one http{} or stream{} */
struct weir_alog;
struct weir_alog_cache;

struct weir_alog_kind {
	const struct weir_format_direct *direct;	/* variables that need not be made; may be NULL */
	const char	*combined;	/* the format that is there from the beginning; NULL: none is */
	const char	*json;		/* the same, named json, unless a log_format has that name; may be NULL */
	/* Files with variables in their names: in this folder they will be made. */
	void		(*makes_in)(struct weir_conf *, struct weir_str folder);
	/* The folder that must be there before one is written, for safety; empty: none. */
	struct weir_str	(*wants)(struct weir_sess *);
	/*
	 * log_open() and stat(2) as the place of a session lets: conditions on symbolic links.  The path ends
	 * with NUL.  open: -1 with errno; is_folder: WEIR_FAIL with errno.
	 */
	int		(*open)(struct weir_sess *, struct weir_str path);
	int		(*is_folder)(struct weir_sess *, struct weir_str path);
	/* May a file that was opened for another session be used for this one? */
	bool		(*may_share)(struct weir_sess *);
};

/* What a place says; the module keeps it in its struct, and CONF_AT names the whole of it. */
struct weir_alogs {
	struct weir_alog *first;
	bool		 off;		/* wherever it stands: the others do not count then */
};

struct weir_alog_all *alog_new(struct weir_pool *, const struct weir_alog_kind *);
/* For set() of the three directives. */
int	alog_set_format(struct weir_conf *, struct weir_node *, struct weir_alog_all *);
int	alog_set(struct weir_conf *, struct weir_node *, struct weir_alog_all *, struct weir_alogs *);
int	alog_set_cache(struct weir_conf *, struct weir_node *, struct weir_alog_cache **);
#define ALOG_FORMAT_ARGS "name [escape=default|json|none] string ..."
#define ALOG_ARGS \
	"path [format [buffer=size] [gzip[=level]] [flush=time] [if=condition]] | " \
	"syslog:parameters [format [if=condition]] | off"
#define ALOG_CACHE_ARGS "max=number [inactive=time] [min_uses=number] [valid=time] | off"

/* Log a session; the cache of its place may be NULL. */
void	alog_write(struct weir_sess *, const struct weir_alogs *, struct weir_alog_cache *);

#endif
