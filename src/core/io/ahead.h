/*
 * ahead.h - a source that is read further than its reader has come.
 *
 * While the reader is busy with a slow sink, what lies below is read on into memory up to
 * `cap` bytes, and beyond that, if there is a folder for it, into a temporary file up to
 * `file_cap` bytes.  So whoever is below is done early.  A reader that keeps up costs nothing: its reads
 * go straight through.
 */
#ifndef WEIR_IO_AHEAD_H
#define WEIR_IO_AHEAD_H

#include "core/ev/loop.h"
#include "core/io/io.h"
#include "core/io/spill.h"

struct weir_ahead {
	struct weir_src	 src;
	struct weir_src	*below;
	struct weir_bufq q;
	uint64_t	 cap, file_cap, file_len;
	const char	*dir;		/* NULL: no file */
	struct weir_seg_file *file;
	struct weir_task notice;
	int		 ended;		/* 0, WEIR_EOF, WEIR_FAIL */
	bool		 wanted, in_file, broken_file;
	bool		 direct;	/* the kernel moves the bytes past us, for now */
	/* The end of what is below was reached while reading ahead; may be NULL. */
	void		(*on_end)(struct weir_ahead *);
	void		*owner;
};

void	ahead_init(struct weir_ahead *, struct weir_src *below, uint64_t cap, uint64_t file_cap,
	    const char *dir);
/* Forget everything; below is not touched. */
void	ahead_free(struct weir_ahead *);

#endif
