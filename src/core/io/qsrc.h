/*
 * qsrc.h - a source over bytes that are at hand.
 */
#ifndef WEIR_IO_QSRC_H
#define WEIR_IO_QSRC_H

#include "core/io/io.h"

struct weir_qsrc {
	struct weir_src	 src;
	struct weir_bufq q;
};

/* The queue starts empty; its owner fills it and clears it in the end. */
void	qsrc_init(struct weir_qsrc *);

#endif
