/*
 * file.h - a source over a file, or over some parts of it.
 *
 * Bytes go out as file parts of the queue, so that the kernel sends them, unless the
 * owner wants them copied.  A slow disk holds the worker up, as with everybody who uses sendfile, unless
 * file_src_warm() lets threads read first; then the source may say WEIR_AGAIN.
 */
#ifndef WEIR_IO_FILE_H
#define WEIR_IO_FILE_H

#include "core/io/io.h"
#include "core/io/warm.h"

/* Take a descriptor over; the caller has one reference.  The last closes the descriptor. */
struct weir_seg_file *file_new(int fd);
void	file_unref(struct weir_seg_file *);

struct weir_file_part {			/* a text, then a range of the file; either may be empty */
	struct weir_str	 text;
	uint64_t	 off, len;
};

struct weir_file_src {
	struct weir_src	 src;
	struct weir_seg_file *file;	/* NULL: it was ended */
	struct weir_file_part now;	/* what is left of the current part */
	const struct weir_file_part *next;
	unsigned	 n;		/* parts that follow */
	bool		 copy;
	/* file_src_warm() */
	bool		 is_warmed, wanted;
	struct weir_warm warm;
	struct weir_task notice;
};

/* Takes a reference of its own, given back by src_stop() or file_src_end(), whichever comes first. */
void	file_src_init(struct weir_file_src *, struct weir_seg_file *, uint64_t off, uint64_t len,
	    bool copy);
void	file_src_end(struct weir_file_src *);
/* Before the first read: have parts that are not in memory read by a thread first. */
void	file_src_warm(struct weir_file_src *);
/* The file source that this is, or NULL: only such a body can be cut. */
struct weir_file_src *file_src_of(struct weir_src *);
/* Before the first read: give these parts instead.  They must outlive the source. */
void	file_src_parts(struct weir_file_src *, const struct weir_file_part *, unsigned n);

#endif
