/*
 * loop.h - the event loop of a process: descriptors, timers, tasks.
 *
 * A process has one loop, so nothing here takes one as an argument.  One turn:
 *
 *	wait for events -> clock_update() -> notices of descriptors
 *	-> timers that are due -> tasks
 *
 * Timers wait for a further turn, a few times at most, when one batch may not have held all events.
 *
 * Nothing is freed while its own function may be on the stack or while an event
 * for it may still be in the batch: owners tear themselves down in a task.
 * A task runs after all notices of the turn, so what it frees is safe to free.
 */
#ifndef WEIR_EV_LOOP_H
#define WEIR_EV_LOOP_H

#include "core/base/list.h"

enum {
	EV_READ		= 1,	/* bytes, or the end of them */
	EV_WRITE	= 2,
	EV_HUP		= 4,	/* the peer has ended its direction */
	EV_ERR		= 8,	/* reset, or connecting failed */
	EV_LAST		= 16	/* with EV_HUP: all that there will ever be to read is here, nothing urgent among it */
};

/*
 * A watched descriptor, inside its owner.  `ready` remembers what the kernel said
 * until a system call says otherwise (the watch is edge-triggered): who gets EAGAIN,
 * or a short count, clears the bit.
 */
struct weir_fd {
	int		 fd;		/* -1: none; then no notice is given */
	uint8_t		 ready;
	bool		 watched;
	void		(*on)(struct weir_fd *, unsigned ev);
};

/* Once in each process, after fork.  WEIR_FAIL with errno. */
int	 loop_init(void) WEIR_MUST_USE;
/* Gives the loop's own descriptor back; for tests and the master. */
void	 loop_done(void);
/* Turns until loop_stop(). */
void	 loop_run(void);
/* One turn that waits at most `max_ms` (-1: as long as it takes). */
void	 loop_turn(int max_ms);
void	 loop_stop(void);

/* Watch for everything, edge-triggered, for the life of the descriptor. */
int	 fd_watch(struct weir_fd *) WEIR_MUST_USE;
/* Watch for reading, level-triggered: listeners, signals, channels. */
int	 fd_watch_level(struct weir_fd *) WEIR_MUST_USE;
/* Stop watching, without closing. */
void	 fd_unwatch(struct weir_fd *);
/* Stop watching and close. */
void	 fd_end(struct weir_fd *);

/*
 * Timers.  Setting one that already runs to a later time costs a store: it
 * is moved when its old time comes.  The callback is not called after
 * timer_off(), nor before its time; it may set its timer again or free its owner.  What a callback sets to 0 ms
 * comes in the next turn of the loop.
 */
struct weir_timer {
	struct weir_link_node node;
	uint64_t	 at;		/* when it is due; 0: off */
	uint64_t	 queued;	/* where it lies in the wheel; 0: it does not */
	void		(*fn)(struct weir_timer *);
};

void	 timer_init(struct weir_timer *, void (*fn)(struct weir_timer *));
void	 timer_set(struct weir_timer *, uint64_t ms);
void	 timer_off(struct weir_timer *);

/* Tasks: run once at the end of the turn, however often they were posted. */
struct weir_task {
	struct weir_link_node node;
	void		(*fn)(struct weir_task *);
};

void	 task_init(struct weir_task *, void (*fn)(struct weir_task *));
void	 task_post(struct weir_task *);
void	 task_off(struct weir_task *);
/* Run a posted task now, for one who knows that nothing of it is on the stack. */
void	 task_now(struct weir_task *);

/*
 * Called by the loop before it waits and after: the watchdog's counter
 * and whatever else wants to run once a turn.  One function, set by proc.
 */
extern void (*loop_on_turn)(void);

#endif
