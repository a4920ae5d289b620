/*
 * spill.h - temporary files for bytes that are too many for memory.
 *
 * The files have no name, so whatever happens, nothing is left behind.  Writing blocks for
 * as long as the page cache takes.
 */
#ifndef WEIR_IO_SPILL_H
#define WEIR_IO_SPILL_H

#include "core/io/bufq.h"

/* A new file in `dir`; refs 0: the first bufq_put_file() takes it.  NULL with errno. */
struct weir_seg_file *spill_open(const char *dir);
/* The same around a descriptor that is already open, which it takes over. */
struct weir_seg_file *spill_of(int fd);
/* Gives up one that nobody refers to. */
void	spill_free(struct weir_seg_file *);
/* Write all of `q` (memory only) at the end of the file and empty it.  WEIR_FAIL with errno. */
int	spill_write(struct weir_seg_file *, struct weir_bufq *q) WEIR_MUST_USE;

#endif
