/*
 * channel.h - messages between the master and its children.
 *
 * Messages have one size and carry nothing that the master would follow: a kind it knows, or the
 * message is dropped.  What a child can make the master do is to believe that it is
 * ready, and to send it its logs again.  Descriptors travel to children only.
 * The end of the channel tells either side that the other is gone.
 */
#ifndef WEIR_PROC_CHANNEL_H
#define WEIR_PROC_CHANNEL_H

#include "core/base/defs.h"

enum channel_kind {
	CHANNEL_READY = 1,	/* child: I serve */
	CHANNEL_ASK_LOGS,	/* child: send me the logs, newly opened */
	CHANNEL_LOG,		/* master: the log file `arg` has this descriptor now */
	CHANNEL_LOGS_SENT,	/* master: those were all */
	CHANNEL_CERTS		/* master: this descriptor has certificates that have changed */
};

/* WEIR_FAIL with errno.  fds[0] is the master's. */
int	channel_open(int fds[2]) WEIR_MUST_USE;
/* `fd` -1: none.  WEIR_OK, WEIR_AGAIN when the other side does not read, WEIR_FAIL. */
int	channel_send(int channel, enum channel_kind, uint32_t arg, int fd) WEIR_MUST_USE;
/*
 * WEIR_OK, WEIR_AGAIN, WEIR_EOF, or WEIR_FAIL: what came was no message.  `fd` NULL: descriptors are refused;
 * else -1 when there was none.
 */
int	channel_recv(int channel, enum channel_kind *, uint32_t *arg, int *fd) WEIR_MUST_USE;

#endif
