/*
 * bufq.h - a queue of bytes held in shared, counted segments.
 *
 * Moving bytes between queues moves references, not memory, so a relay copies
 * nothing, and a protocol that must keep sent bytes until they are
 * acknowledged keeps a reference instead of a copy.
 *
 * Segments come in two sizes from free lists of the process.  A queue that will
 * wait for long should be packed (bufq_pack), so that a few bytes do not
 * hold a large segment.  A segment may also stand for bytes that live elsewhere
 * (text of the configuration) or for a range of an open file.
 */
#ifndef WEIR_IO_BUFQ_H
#define WEIR_IO_BUFQ_H

#include <sys/uio.h>

#include "core/base/str.h"

#define SEG_SMALL	2000u		/* bytes of data in a small segment */
#define SEG_LARGE	16384u		/* and in a large one */

enum weir_seg_kind { SEG_IS_SMALL, SEG_IS_LARGE, SEG_IS_VIEW, SEG_IS_FILE };

struct weir_ref {			/* one queue's view of a segment */
	struct weir_ref	*next;
	struct weir_seg	*seg;
	uint64_t	 off, len;	/* of data, or of the file */
};

struct weir_seg {
	uint32_t	 refs;
	uint32_t	 size;		/* of data[], 0 for views and files */
	uint32_t	 used;		/* data[] up to here was given out */
	uint8_t		 kind;
	union {
		char		*data;		/* small, large, view */
		struct weir_seg_file *file;	/* file */
	};
	struct weir_ref	 own;		/* the first reference; its next links free lists */
};

/* An open file that queues refer to.  close() is called with the last reference. */
struct weir_seg_file {
	int		 fd;
	unsigned	 refs;
	void		(*close)(struct weir_seg_file *);
};

struct weir_bufq {
	struct weir_ref	*head, *tail;
	uint64_t	 len;
};

/* ---- putting in ---- */

/*
 * Room for at least `min` (up to SEG_LARGE) bytes at the tail; `*n` says how much.  It is
 * part of the queue only after bufq_added(), which must follow, also with 0: it gives
 * an unused segment back.  bufq_room_small: in a small segment, when `min` fits one.
 */
char	*bufq_room(struct weir_bufq *, size_t min, size_t *n);
char	*bufq_room_small(struct weir_bufq *, size_t min, size_t *n);
void	 bufq_added(struct weir_bufq *, size_t n);
void	 bufq_put(struct weir_bufq *, const void *, size_t);
static inline void bufq_put_str(struct weir_bufq *q, struct weir_str s) { bufq_put(q, s.p, s.n); }
/* Refers to bytes that outlive the queue; nothing is copied. */
void	 bufq_put_view(struct weir_bufq *, const void *, size_t);
/* Takes a reference of its own on the file. */
void	 bufq_put_file(struct weir_bufq *, struct weir_seg_file *, uint64_t off, uint64_t len);
/* At the front: for what was read too far. */
void	 bufq_unread(struct weir_bufq *, const void *, size_t);

/*
 * For readers of descriptors: gather up to `max` vectors of fresh large segments,
 * the tail's rest first.  After the read, bufq_fill_done() keeps `got` bytes of
 * them and gives the rest back.
 */
struct weir_fill {
	struct iovec	 iov[4];
	struct weir_seg	*seg[4];	/* NULL: the tail's own room */
	int		 n;
};
void	 bufq_fill(struct weir_bufq *, struct weir_fill *, int max);
void	 bufq_fill_done(struct weir_bufq *, struct weir_fill *, size_t got);

/* ---- taking out ---- */

/*
 * Move up to `n` bytes from one queue to another; returns how many.  References move, but
 * a few bytes may be copied where that costs less than a reference: addresses do not last.
 */
uint64_t bufq_move(struct weir_bufq *to, struct weir_bufq *from, uint64_t n);
/* Append references to all that `from` holds, which keeps its own. */
void	 bufq_share(struct weir_bufq *to, const struct weir_bufq *from);
void	 bufq_drop(struct weir_bufq *, uint64_t n);
/* Copies and drops up to `n` bytes of memory (a file part ends it); returns how many. */
size_t	 bufq_take(struct weir_bufq *, void *, size_t n);
/* Copies without dropping, from `at` on. */
size_t	 bufq_peek(const struct weir_bufq *, size_t at, void *, size_t n);
void	 bufq_clear(struct weir_bufq *);

/* ---- looking ---- */

/* The first contiguous bytes (empty when there are none, or a file part is first). */
struct weir_str bufq_first(const struct weir_bufq *);
bool	 bufq_first_is_file(const struct weir_bufq *);
/* Vectors for writev() up to the first file part; `*bytes` is their sum. */
int	 bufq_iov(const struct weir_bufq *, struct iovec *, int max, size_t *bytes);

/* ---- keeping ---- */

/* Give up large segments that hold little: copies when that frees memory. */
void	 bufq_pack(struct weir_bufq *);
/*
 * Replace file parts among the first `most` bytes by what the file holds, for those who cannot
 * sendfile.  WEIR_FAIL when reading fails or the file is too short; the queue stays whole.
 */
int	 bufq_load(struct weir_bufq *, uint64_t most) WEIR_MUST_USE;

/* Segments and references in use at this moment, in bytes: for tests and accounting. */
size_t	 bufq_outstanding(void);

#endif
