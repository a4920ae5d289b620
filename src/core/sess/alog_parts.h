/*
 * alog_parts.h - what the files of access logs know of each other.
 */
#ifndef WEIR_SESS_ALOG_PARTS_H
#define WEIR_SESS_ALOG_PARTS_H

#include "core/base/hash.h"
#include "core/ev/loop.h"
#include "core/sess/alog.h"

struct alog_buffer {			/* of one file in one configuration */
	struct alog_buffer	*next;
	struct weir_log_file	*file;
	size_t			 size;		/* 0: records are written singly */
	uint64_t		 flush_ms;	/* 0: when it is full */
	int			 gzip;		/* level; 0: not */
	char			*p;		/* NULL: not used yet */
	size_t			 used, lines;
	struct weir_timer	 timer;
};

struct weir_alog_all {
	const struct weir_alog_kind *kind;
	struct weir_pool	*pool;
	struct weir_hash	 formats;
	struct alog_buffer	*buffers;
};

/* alog_format.c: the format that word w names, or the first one when there is no such word; NULL after complaining. */
const struct weir_format *alog_format(struct weir_conf *, const struct weir_node *, unsigned w,
	    struct weir_alog_all *);

/* alog_buffer.c: the file of word 1 with what `like` says; one file has one buffer everywhere. */
struct alog_buffer *alog_buffer(struct weir_conf *, const struct weir_node *, struct weir_alog_all *,
	    const struct alog_buffer *like);
/* In this process, for the first time. */
void	alog_buffer_make(struct alog_buffer *);
/* n bytes of one record were written behind b->used, where there was room. */
void	alog_buffer_added(struct alog_buffer *, size_t n);
/* A finished record, where there may be no room, or no buffer. */
void	alog_buffer_put(struct alog_buffer *, const char *, size_t n);

#define ALOG_GZIP_LEVEL 1
#ifdef HAVE_ZLIB
/* alog_gzip.c: one member of a gzip file; its length, or 0 when there is no memory.  `to` belongs to the function. */
size_t	alog_gzip(int level, const char *, size_t n, const char **to);
#endif

/* alog_path.c: the file whose name is word 1, which has variables. */
struct alog_path;
struct alog_path *alog_path(struct weir_conf *, const struct weir_node *,
	    const struct weir_alog_kind *);
void	alog_path_put(struct weir_sess *, struct alog_path *, struct weir_alog_cache *,
	    struct weir_str record);
#endif
