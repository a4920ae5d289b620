/*
 * log.h - the error log.
 *
 * One event is one line: `YYYY/MM/DD HH:MM:SS [level] pid#0: *conn text`, control
 * characters and bytes above 0x7e escaped as \xHH, cut at LOG_LINE_MAX with a mark.  Who and
 * what was being done come from the context (`struct weir_log`), so that callers say
 * only what happened: log_error(l, "refused by %s", addr).
 *
 * A log has several outputs (files, stderr), each with a level of its own.
 * Writing never blocks on purpose and never fails the caller: lines that could not be
 * written are counted and reported once a minute when writing works again.
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <errno.h>

#include "core/base/pool.h"

enum weir_level {
	LOG_STDERR_, LOG_EMERG_, LOG_ALERT_, LOG_CRIT_, LOG_ERROR_, LOG_WARN_,
	LOG_NOTICE_, LOG_INFO_, LOG_DEBUG_
};

#define LOG_LINE_MAX 4096

/* A file that lines go to; opened once for each path, shared, reopened by USR1. */
struct weir_log_file {
	struct weir_log_file *next;
	const char	*path;		/* NULL: stderr */
	int		 fd;
	uint64_t	 dropped;	/* lines lost since the last report */
	uint64_t	 told_ms;	/* when the last report was made, 0: never */
	bool		 torn;		/* the last line lost its end */
	/* Another room's buffer in front of the file; may be NULL.  Called before reopening and at exit. */
	void		(*flush)(struct weir_log_file *, void *);
	void		*flush_arg;
};

struct weir_log_out {
	struct weir_log_out *next;
	struct weir_log_file *file;
	enum weir_level	 level;
};

/*
 * Where a session, a process or a configuration run logs to.  `who` writes
 * the context after the text (", client: 1.2.3.4, server: x, request: ..."), `doing` is
 * inserted as " while connecting to upstream".
 */
struct weir_log {
	struct weir_log_out *outs;
	enum weir_level	 level;		/* the most talkative of outs: the cheap test */
	uint64_t	 id;		/* connection number, 0: none */
	const char	*doing;
	size_t		(*who)(void *arg, char *to, size_t room);
	void		*arg;
};

#define log_on(l, lvl)	(unlikely((l)->level >= (lvl)))

#define log_at(l, lvl, err, ...) \
	do { if (log_on((l), (lvl))) log_write((l), (lvl), (err), __VA_ARGS__); } while (0)

/* The x variants do not add errno, the others do when it is not 0. */
#define log_alert(l, ...)	log_at((l), LOG_ALERT_, errno, __VA_ARGS__)
#define log_alertx(l, ...)	log_at((l), LOG_ALERT_, 0, __VA_ARGS__)
#define log_crit(l, ...)	log_at((l), LOG_CRIT_, errno, __VA_ARGS__)
#define log_critx(l, ...)	log_at((l), LOG_CRIT_, 0, __VA_ARGS__)
#define log_error(l, ...)	log_at((l), LOG_ERROR_, errno, __VA_ARGS__)
#define log_errorx(l, ...)	log_at((l), LOG_ERROR_, 0, __VA_ARGS__)
#define log_warn(l, ...)	log_at((l), LOG_WARN_, errno, __VA_ARGS__)
#define log_warnx(l, ...)	log_at((l), LOG_WARN_, 0, __VA_ARGS__)
#define log_notice(l, ...)	log_at((l), LOG_NOTICE_, 0, __VA_ARGS__)
#define log_info(l, ...)	log_at((l), LOG_INFO_, 0, __VA_ARGS__)
#define log_debug(l, ...)	log_at((l), LOG_DEBUG_, 0, __VA_ARGS__)

void	log_write(struct weir_log *, enum weir_level, int err, const char *, ...)
	    WEIR_PRINTF(4, 5);

/* The process has another number now: to be called after each fork, in the child. */
void	log_pid_changed(void);

/* The process's own log; never NULL.  Until something is opened it is stderr at notice. */
extern struct weir_log *weir_log;

/* "emerg" ... "debug" to a level, or WEIR_FAIL. */
int	log_level(struct weir_str, enum weir_level *) WEIR_MUST_USE;
const char *log_level_name(enum weir_level);

/*
 * The file for `path`, opened for appending (O_APPEND, O_CLOEXEC, O_NOFOLLOW on the last
 * part is not used: logs may be links; 0644).  The same path gives the same file.
 * NULL with errno when it cannot be opened.  `path` NULL: stderr.
 */
struct weir_log_file *log_file(const char *path);
/* Add an output to a log; `level` of the log rises to the most talkative of its outputs. */
void	log_add(struct weir_pool *, struct weir_log *, struct weir_log_file *, enum weir_level);
/* Write a finished line (with its \n); drops and counts when it cannot. */
void	log_file_write(struct weir_log_file *, const char *, size_t);
/*
 * Reopen every file by its path: the new descriptor replaces the old only if
 * opening worked.  When `uid` is not (uid_t)-1 the files are chowned to it first (master).
 */
void	log_reopen(uid_t uid, gid_t gid);
/* Flush every file's buffer. */
void	log_flush(void);
/* Every file in use, for those who keep or pass them on. */
struct weir_log_file *log_files(void);

/* Escapes control and 8-bit bytes as \xHH (and '"' and '\\' too); returns the length written. */
size_t	log_escape(char *to, size_t room, struct weir_str);

#endif
