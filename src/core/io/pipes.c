/*
 * pipes.c - a short stack of empty pipes.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <unistd.h>

#include "core/io/pipes.h"

enum { KEEP = 32 };

static int kept[KEEP][2];
static unsigned n_kept;

int
pipe_take(int pipe[2])
{
	if (n_kept > 0) {
		n_kept--;
		pipe[0] = kept[n_kept][0];
		pipe[1] = kept[n_kept][1];
		return WEIR_OK;
	}
	if (pipe2(pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
		pipe[0] = pipe[1] = -1;
		return WEIR_FAIL;
	}
	/* smaller is slower and nothing worse */
	(void)fcntl(pipe[1], F_SETPIPE_SZ, (int)PIPE_ROOM);
	return WEIR_OK;
}

void
pipe_give(int pipe[2], bool empty)
{
	if (pipe[0] >= 0 && empty && n_kept < KEEP) {
		kept[n_kept][0] = pipe[0];
		kept[n_kept][1] = pipe[1];
		n_kept++;
	} else if (pipe[0] >= 0) {
		close(pipe[0]);
		close(pipe[1]);
	}
	pipe[0] = pipe[1] = -1;
}
