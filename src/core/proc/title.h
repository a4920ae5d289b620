/*
 * title.h - what ps(1) shows of a process.
 */
#ifndef WEIR_PROC_TITLE_H
#define WEIR_PROC_TITLE_H

#include "core/base/str.h"

/*
 * Once, before anything else reads the environment: the memory of the arguments and of the
 * environment becomes room for titles, and both are copied elsewhere.  Returns the copy of
 * the arguments.
 */
char	**title_init(char **argv);
/* "weir: " and the text. */
void	 title_set(const char *);
/* "weir: master process" and the arguments. */
void	 title_set_master(char *const *argv);

#endif
