/*
 * log.h - the error log, and the files that logs are written to.
 *
 * One event is one line: `YYYY/MM/DD HH:MM:SS [level] pid#0: *conn text`, control
 * characters and bytes above 0x7e escaped as \xHH, cut at LOG_LINE_MAX with a mark; or
 * one JSON object, whose values are cut with a mark each.  Who and what was being
 * done come from the context (`struct weir_log`), so that callers say
 * only what happened: log_error(l, "refused by %s", addr).
 *
 * A log has several outputs (files, stderr, syslog), each with a level of its own.
 * Writing never blocks on purpose and never fails the caller: lines that could not be
 * written are counted and reported once a minute when writing works again.
 *
 *	log.c		events to lines
 *	log_file.c	the files: opening, writing, reopening, what was lost
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <errno.h>
#include <sys/uio.h>

#include "core/base/pool.h"

enum weir_level {
	LOG_STDERR_, LOG_EMERG_, LOG_ALERT_, LOG_CRIT_, LOG_ERROR_, LOG_WARN_,
	LOG_NOTICE_, LOG_INFO_, LOG_DEBUG_
};

#define LOG_LINE_MAX 4096
#define LOG_JSON_MAX 8192	/* with the line end */

/* A file that lines go to; opened once for each path, shared, reopened by USR1. */
struct weir_log_file {
	struct weir_log_file *next;
	uint32_t	 number;	/* the same in all processes that know it */
	const char	*path;		/* NULL: stderr; what is no file has a name for messages here */
	int		 fd;		/* -1: closed, or a socket that is not connected yet */
	uint64_t	 dropped;	/* lines lost since the last report */
	uint64_t	 told_ms;	/* when the last report was made, 0: never */
	bool		 torn;		/* the last line lost its end */
	bool		 binary;	/* what is written are no lines, so a torn one gets no line end */
	/* Not NULL: no file, but this sends one record: WEIR_OK, or WEIR_FAIL with errno. */
	int		(*send)(struct weir_log_file *, struct iovec *, unsigned n);
	/* Another room's buffer in front of the file; may be NULL.  Called before reopening and at exit. */
	void		(*flush)(struct weir_log_file *, void *);
	void		*flush_arg;
	struct weir_log_user *users;	/* pools as long as which it is kept open */
	bool		 forever;	/* or this */
};

#define LOG_HEAD_MAX 384

struct weir_log_out {
	struct weir_log_out *next;
	struct weir_log_file *file;
	enum weir_level	 level;
	bool		 json;
	/*
	 * What each record begins with: writes LOG_HEAD_MAX bytes at most, returns how many.  NULL: nothing.
	 * Such records have no line end.
	 */
	size_t		(*head)(const struct weir_log_out *, enum weir_level, char *to);
	const void	*arg;		/* head's */
};

struct weir_log_line;

/*
 * Where a session, a process or a configuration run logs to.  `who` tells
 * the facts of the context (log_fact(): client, server, request ...), `doing` is
 * inserted as " while connecting to upstream".
 */
struct weir_log {
	struct weir_log_out *outs;
	enum weir_level	 level;		/* the most talkative of outs: the cheap test */
	uint64_t	 id;		/* connection number, 0: none */
	const char	*doing;
	void		(*who)(void *arg, struct weir_log_line *);
	void		*arg;
};

/*
 * For who(): one fact, made of n texts.  The line ends with `, key: text`, or `, key: "text"` with
 * FACT_QUOTED; in JSON it is a member.
 */
enum { FACT_PLAIN, FACT_QUOTED };
void	log_fact(struct weir_log_line *, const char *key, int how, const struct weir_str *, unsigned n);
/* Is it JSON?  Then there may be facts that would make a line of text too long. */
bool	log_is_json(const struct weir_log_line *);

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

/* Add an output to a log; `level` of the log rises to the most talkative of its outputs. */
struct weir_log_out *log_add(struct weir_pool *, struct weir_log *, struct weir_log_file *,
	    enum weir_level);
/* The same, and in all else like `out`. */
void	log_add_like(struct weir_pool *, struct weir_log *, const struct weir_log_out *,
	    enum weir_level);
/* The descriptor of a log's first real file, or of stderr: for those who write when nothing else works. */
int	log_crash_fd(const struct weir_log *);

/* Escapes control and 8-bit bytes as \xHH (and '"' and '\\' too); returns the length written. */
size_t	log_escape(char *to, size_t room, struct weir_str);

/* ---- files ---- */

/*
 * The file for `path`, opened for appending (O_APPEND, O_CLOEXEC, O_NOFOLLOW on the last
 * part is not used: logs may be links; 0644).  The same path gives the same file.
 * NULL with errno when it cannot be opened.  `path` NULL: stderr.  It stays open until `pool`
 * and all others that have asked for it are freed; pool NULL: for the life of the process.
 */
struct weir_log_file *log_file_for(struct weir_pool *, const char *path);
struct weir_log_file *log_file(const char *path);	/* with pool NULL */
/* A descriptor as log_file() opens it, for one who keeps it himself; -1 with errno. */
int	log_open(const char *path);
/* Makes one that the caller has filled in (send, path, fd -1) known, until the pool is freed. */
void	log_file_adopt(struct weir_pool *, struct weir_log_file *);
/* Is it open for the sake of this pool? */
bool	log_file_is_of(const struct weir_log_file *, const struct weir_pool *);
/* In a new process: close what only other pools than this want. */
void	log_forget_others(const struct weir_pool *);

/* Write finished lines (with their \n); drops and counts when it cannot. */
void	log_file_write(struct weir_log_file *, const char *, size_t);
/* The same for bytes that stand for so many lines. */
void	log_file_put(struct weir_log_file *, const char *, size_t, size_t lines);
/* One record, where `send` is. */
void	log_file_send(struct weir_log_file *, struct iovec *, unsigned n);
/*
 * Count what was lost for a reason that the caller knows, and tell it once a minute / tell what was lost
 * now that writing works.  For those who keep descriptors themselves: the file need not be a known one.
 */
void	log_file_lost(struct weir_log_file *, int err, size_t lines);
void	log_file_works(struct weir_log_file *);
/* All of it into a descriptor: WEIR_OK, or WEIR_FAIL with errno.  A *torn line is ended first. */
int	log_write_all(int fd, bool *torn, const char *, size_t) WEIR_MUST_USE;

/*
 * Reopen every file by its path: the new descriptor replaces the old only if
 * opening worked.  When `uid` is not (uid_t)-1 the files are chowned to it first (master).
 */
void	log_reopen(uid_t uid, gid_t gid);
/* The new descriptor of a file that somebody else has reopened; stays the caller's. */
void	log_file_replace(struct weir_log_file *, int fd);
/* Flush every file's buffer. */
void	log_flush(void);
/* Every file in use, for those who keep or pass them on; which of them are opened by their path. */
struct weir_log_file *log_files(void);
static inline bool
log_is_file(const struct weir_log_file *f)
{
	return f->path != NULL && f->send == NULL;
}
/* The one of this number, or NULL. */
struct weir_log_file *log_file_numbered(uint32_t);

/*
 * Those who keep log files open themselves are told when logs are to be reopened: by
 * log_reopen(), or where somebody else does it by log_reopened().
 */
struct weir_log_keeper {
	struct weir_log_keeper *next;
	void		(*reopen)(struct weir_log_keeper *);
};
void	log_keep(struct weir_log_keeper *);
void	log_unkeep(struct weir_log_keeper *);
void	log_reopened(void);

#endif
