/*
 * title.c - what ps(1) shows of a process.
 *
 * The kernel shows the memory in which it put the arguments at exec, and what
 * follows when the last byte of them is overwritten; the environment lies there.
 */
#include <stdio.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/proc/title.h"

static char	*room;		/* NULL: there is none, e.g. in a test */
static size_t	 room_n;
static char	**args;		/* the copy, kept in sight of leak checkers */

static char **
copy_all(char **from)
{
	char	**to;
	size_t	  i, n;

	for (n = 0; from[n] != NULL; n++)
		;
	to = mem_alloc((n + 1) * sizeof(*to));
	for (i = 0; i < n; i++) {
		size_t len = strlen(from[i]) + 1;

		to[i] = memcpy(mem_alloc(len), from[i], len);
	}
	to[n] = NULL;
	return to;
}

char **
title_init(char **argv)
{
	char	*end;
	size_t	 i;

	if (argv[0] == NULL)
		return argv;
	end = argv[0];
	for (i = 0; argv[i] != NULL && argv[i] == end; i++)
		end = argv[i] + strlen(argv[i]) + 1;
	for (i = 0; environ[i] != NULL && environ[i] == end; i++)
		end = environ[i] + strlen(environ[i]) + 1;
	room = argv[0];
	room_n = (size_t)(end - argv[0]);
	args = copy_all(argv);
	environ = copy_all(environ);
	return args;
}

void
title_set(const char *text)
{
	int n;

	if (room_n < 2)
		return;
	n = snprintf(room, room_n, "weir: %s", text);
	/* The rest is cleared, so that nothing of the environment shows. */
	if ((size_t)n < room_n)
		memset(room + n, 0, room_n - (size_t)n);
}

void
title_set_master(char *const *argv)
{
	char	text[4096];
	size_t	n = (size_t)snprintf(text, sizeof(text), "master process");

	for (; *argv != NULL && n < sizeof(text); argv++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s", *argv);
	title_set(text);
}
