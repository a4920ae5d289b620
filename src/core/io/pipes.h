/*
 * pipes.h - pipes for splicing, kept for the next stretch.
 */
#ifndef WEIR_IO_PIPES_H
#define WEIR_IO_PIPES_H

#include "core/base/defs.h"

#define PIPE_ROOM (256u * 1024)

/* A pipe that is empty; WEIR_FAIL when none can be had. */
int	pipe_take(int pipe[2]) WEIR_MUST_USE;
/* Back for others when it is empty, else closed with what is in it.  Sets both to -1. */
void	pipe_give(int pipe[2], bool empty);

#endif
