/*
 * child.h - the processes that the master has started; for this room.
 *
 * children.c starts them, listens to them and notices their end; master.c decides what
 * follows.  A child belongs to a slot of a crew (crew.h) until it is told to retire.
 */
#ifndef WEIR_PROC_CHILD_H
#define WEIR_PROC_CHILD_H

#include "core/ev/loop.h"
#include "core/proc/load.h"

enum child_kind { CHILD_WORKER, CHILD_KEEPER };

struct child {
	struct weir_list	 all;
	enum child_kind		 kind;
	unsigned		 index;		/* of workers: 0 ... */
	pid_t			 pid;
	struct weir_cycle	*cycle;
	struct slot		*slot;		/* NULL: it retires, nobody replaces it */
	uint64_t		 born_ms;
	bool			 ready;
	bool			 ended;		/* by us: SIGKILL after TERM is no accident */
	bool			 logs_due;	/* it has not been sent the new logs yet */
	bool			 certs_due;	/* nor certificates that have changed */
	int			 place;		/* metric_claim() */
	struct weir_fd		 channel;
};

extern struct weir_list children;

/* What master.c does about them.  Called from the loop; on_exit: the child is freed after it. */
struct child_hooks {
	void	(*on_ready)(struct child *);
	void	(*on_exit)(struct child *, int code);	/* -1: by a signal */
	/* In the child: close what belongs to other cycles than its own. */
	void	(*in_child)(struct weir_cycle *);
};

void	children_init(const struct child_hooks *);
/*
 * Starts one; NULL after complaining.  In the child it never returns.
 */
struct child *child_start(enum child_kind, struct weir_cycle *, unsigned index);
/* Takes note of every child that has ended.  Others than ours (a new binary) go to `other`. */
void	children_reap(void (*other)(pid_t, int status));
/* All of them, or those of one cycle. */
void	children_signal(int sig);
void	child_retire(struct child *);
/* After the logs were reopened: give them to everybody. */
void	children_send_logs(void);
/* After certificates of this cycle have changed: to its workers. */
void	children_send_certs(struct weir_cycle *);
/* "exited on signal 9 (core dumped)", "exited with code 1" */
const char *exit_text(char to[64], int status);

#endif
