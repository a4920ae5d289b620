/*
 * child.h - things that a test can only try in a process of their own.
 */
#ifndef UNIT_CHILD_H
#define UNIT_CHILD_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

static int child_report = -1;

/* In the child: says what is wrong and ends. */
#define MUST(what) do {								\
	if (!(what)) {								\
		char text_[300];						\
		int  n_ = snprintf(text_, sizeof(text_), "line %d: %s (%s)",	\
		    __LINE__, #what, strerror(errno));				\
										\
		_exit(write(child_report, text_, (size_t)n_) == n_ ? 1 : 2);	\
	}									\
} while (0)

/*
 * Runs fn in a child, with its stderr on the same pipe; returns the status of
 * waitpid(2) and leaves in `text` what the child said.
 */
static int
child_run(void (*fn)(void), char *text, size_t room)
{
	int	fd[2], status;
	size_t	n = 0;
	ssize_t	got;
	pid_t	pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		static const int deadly[] = { SIGABRT, SIGSEGV, SIGSYS, SIGILL, SIGBUS, SIGFPE };
		size_t i;

		/* cmocka has handlers for some of them. */
		for (i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
			signal(deadly[i], SIG_DFL);
		alarm(60);
		close(fd[0]);
		child_report = fd[1];
		fn();
		_exit(0);
	}
	close(fd[1]);
	while (n < room - 1 && (got = read(fd[0], text + n, room - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* fn must run to its end. */
static inline void
child_ok(void (*fn)(void))
{
	char	text[8192];
	int	status = child_run(fn, text, sizeof(text));

	if (status != 0)
		fail_msg("child ended with status %x: %s", (unsigned)status, text);
}

#endif
