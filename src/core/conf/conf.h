/*
 * conf.h - from files to typed structs, by table.
 *
 * A module says each directive once: where it may stand, what type it has,
 * where it is stored, its bounds, its default, and a sentence for the manual.  Parsing,
 * bounds, inheritance, `weir -t`, `weir -T` and weir.conf(5) all read the same
 * table, so they cannot disagree.
 *
 *	lexer.c    text to nodes: words, quotes, escapes, comments, include
 *	file.c     files to texts
 *	table.c    the directives of all modules by name and place
 *	bind.c     nodes to scopes, by that table
 *	types.c    the types: words to fields
 *	foreign.c  what nginx has and weir does not
 *	error.c    what is said about mistakes: place, line, caret, did you mean
 *	manual.c   weir.conf(5) from the tables
 *	dump.c     the files as they were read
 *
 * The order of binding in one block: first its simple directives, as they were
 * written; then ready(); then its blocks, as they were written; then done().  So
 * a block sees everything of its parent, also what stands below it.
 *
 * Inheritance: a scope begins by sharing every struct of its parent.  The
 * first directive of a module that is set in a scope gives that scope a copy of its own
 * (conf_own), so there are no merge functions, and ten thousand locations cost what
 * they say and no more.
 *
 * What is written several times (CONF_MULTI) replaces, as a whole, what a scope
 * would inherit: before the first such directive of a scope its field, when
 * CONF_AT names it, is cleared.  Directives with the same field (allow and deny)
 * count as one.  So a set() only ever appends to lists of its own scope.
 */
#ifndef WEIR_CONF_CONF_H
#define WEIR_CONF_CONF_H

#include <stdio.h>

#include "core/base/log.h"
#include "core/base/pool.h"

/* Places.  A scope has exactly one; a command any number. */
enum {
	IN_MAIN		= 1 << 0,
	IN_EVENTS	= 1 << 1,
	IN_HTTP		= 1 << 2,
	IN_SERVER	= 1 << 3,
	IN_LOCATION	= 1 << 4,
	IN_IF_SERVER	= 1 << 5,	/* `if` in server */
	IN_IF		= 1 << 6,	/* `if` in location */
	IN_LIMIT	= 1 << 7,	/* limit_except */
	IN_UPSTREAM	= 1 << 8,	/* upstream of http */
	IN_STREAM	= 1 << 9,
	IN_STREAM_SERVER = 1 << 10,
	IN_STREAM_UPSTREAM = 1 << 11
};
/* Where most http directives stand. */
#define IN_HTTP_ANY	(IN_HTTP | IN_SERVER | IN_LOCATION)
#define IN_STREAM_ANY	(IN_STREAM | IN_STREAM_SERVER)

enum weir_type {
	CONF_FLAG,	/* on | off			bool */
	/* The three kinds of numbers take a word of `choices` too, when there are any. */
	CONF_INT,	/* number			int64_t */
	CONF_SIZE,	/* 8k				uint64_t, bytes */
	CONF_MSEC,	/* 60s				uint64_t, milliseconds */
	CONF_STR,	/* one word			struct weir_str */
	CONF_PATH,	/* one word, made absolute by the prefix	struct weir_str, NUL-terminated */
	CONF_ENUM,	/* one of `choices`		int */
	CONF_BITS,	/* some of `choices`, or'ed	unsigned */
	CONF_LIST,	/* words			struct weir_conf_list */
	CONF_CUSTOM	/* set() reads the node */
};

struct weir_choice {
	const char	*name;		/* NULL ends the table */
	int64_t		 value;
};

struct weir_conf_list {
	struct weir_str	*v;
	unsigned	 n, room;
};

/* ---- what was written ---- */

struct weir_conf_file {
	struct weir_conf_file *next;	/* in order of reading */
	const char	*path;		/* or "command line" for -g */
	struct weir_str	 text;
};

struct weir_conf_word {
	struct weir_str	 s;		/* unquoted; NUL-terminated behind s.n */
	uint32_t	 line, col;	/* both from 1; col counts bytes */
	bool		 quoted;
};

struct weir_node {			/* one directive */
	struct weir_node *next;		/* in the same block */
	struct weir_node *child;	/* the block's first */
	struct weir_conf_word *w;	/* w[0] is the name */
	unsigned	 n;		/* words, the name included */
	unsigned	 seq;		/* rises in order of writing over the whole run */
	bool		 block;		/* it was { }, not ; */
	uint32_t	 end_line;	/* of } or ; */
	const struct weir_conf_file *file;
	struct weir_entry *bound;	/* bind.c's */
};

/* ---- what it means ---- */

struct weir_conf;
struct weir_scope;

enum {
	CONF_MULTI	= 1,	/* may stand more than once in a block */
	CONF_BLOCK	= 2,	/* opens a block: set() calls conf_block() */
	CONF_RAW	= 4,	/* opens a block whose lines are data (map, types): set() walks node->child.
				   Bound with the simple directives. */
	CONF_NOINHERIT	= 8,	/* a nested location (or any block but `if` and limit_except) does
				   not get it: there the field has its default again.  With
				   CONF_CUSTOM, CONF_AT must name the field; not for CONF_BLOCK */
	CONF_OPT_BLOCK	= 16	/* with CONF_BLOCK: `;` instead of { } is fine too */
};

#define CONF_ANY	255	/* as args_max: any number */

struct weir_cmd {
	const char	*name;
	unsigned	 in;
	enum weir_type	 type;
	size_t		 at;		/* offset of the field in the module's struct */
	size_t		 size;		/* of the field: CONF_AT writes both */
	const char	*def;		/* as one would write it; NULL: field stays zero */
	/*
	 * Of a number, in bytes or milliseconds.  Never negative unless min is.  max 0: any, which
	 * for CONF_INT is 2^31 - 1, for CONF_MSEC as many seconds.
	 */
	int64_t		 min, max;
	const struct weir_choice *choices;
	unsigned	 args_min, args_max;	/* the name not counted.  0, 0: none for CUSTOM, one or
					   more for LIST and BITS, one for others; of several
					   the type reads the first, set() the others */
	/*
	 * CUSTOM: called for each directive with the scope's own struct.  With another
	 * type, if given, it is called after the type was stored, for further checks.
	 * Returns WEIR_OK or, having called conf_error(), WEIR_FAIL.
	 */
	int		(*set)(struct weir_conf *, struct weir_scope *, struct weir_node *, void *conf);
	unsigned	 flags;
	const char	*args;		/* for the manual: "size", "on | off"; NULL: from the type */
	const char	*doc;		/* one or more sentences for the manual */
};

#define CONF_AT(type, field) \
	.at = offsetof(struct type, field), .size = sizeof(((struct type *)0)->field)

struct weir_module {
	const char	*name;
	/*
	 * The module's place in weir_modules[], written by conf_modules_init(); the
	 * module reads its struct with scope->conf[index].
	 */
	unsigned	*index;
	size_t		 conf_size;
	const struct weir_cmd *cmds;	/* ends with { 0 } */
	/*
	 * Called for every scope that has a struct of its own (for the top scope: always),
	 * after its simple directives and before its blocks; done(): after its blocks.
	 */
	int		(*ready)(struct weir_conf *, struct weir_scope *, void *conf);
	int		(*done)(struct weir_conf *, struct weir_scope *, void *conf);
	/* What higher rooms know of a module; opaque here. */
	const struct weir_var *vars;
	const struct weir_hook *hooks;
	bool		 stream_too;	/* those of phases that http and stream have are for both */
	const struct weir_balance *balance;
	const struct weir_metric_row *metrics;	/* core/metric/metric.h; ends with { 0 } */
	int		(*start)(void);		/* in each worker, before the loop; WEIR_OK or logs */
	void		(*stop)(void);		/* in each worker, after it */
	const char	*doc;			/* one paragraph for the manual */
};

extern const struct weir_module *const weir_modules[];	/* ends with NULL; generated */
extern const unsigned weir_n_modules;

/* Directives of modules that exist and were not built. */
struct weir_absent {
	const char	*directive, *module, *flag;
};
extern const struct weir_absent weir_absent[];		/* ends with NULLs */

struct weir_scope {
	struct weir_scope *parent;
	unsigned	 in;
	struct weir_node *node;		/* NULL: the top */
	void		**conf;		/* by module; shared with the parent until set.  Behind the last: NULL,
					   for the room above */
	void		*owner;		/* the room's object for this block: server, location, upstream */
	/* bind.c's: what was written here, and whose structs are this scope's own (bits) */
	struct weir_seen *seen;
	uint64_t	*own;
};

struct weir_conf {			/* one run */
	struct weir_pool *pool;		/* everything below, and the frozen structs */
	struct weir_conf_file *files, **files_tail;
	struct weir_node *root;
	struct weir_scope *main;
	const char	*prefix;	/* for CONF_PATH; ends with / */
	const char	*conf_prefix;	/* for include and the like; ends with / */
	unsigned	 errors, warnings;
	unsigned	 seq;
	bool		 quiet;		/* print nothing below error on stderr */
	struct weir_log	*log;		/* mistakes go here (one line each) and to stderr (with caret) */
	bool		 to_stderr;
	void		*cycle;		/* proc's struct weir_cycle, for those who know it */
	struct weir_zones *zones;	/* shared memory: core/shm/zone.h; opaque here */
	struct weir_tls_watch *watch;	/* certificates that may change: core/tls/watch.h; opaque here */
	struct weir_metrics *metrics;	/* core/metric/metric.h; opaque here */
	uint64_t	 keep_caps;	/* capabilities that workers will need: 1 << CAP_NET_RAW */
	bool		 broken;	/* braces or quotes do not match: binding would say nonsense */
	/* this room's own */
	struct weir_table *table;	/* table.c */
	struct weir_hash *said;		/* error.c */
	unsigned	 told, unsaid;
};

/* Write the indexes of modules; once at start. */
void	 conf_modules_init(void);

/*
 * Read `path` and everything it includes; globals is the text of -g or NULL.
 * On mistakes goes on as far as possible; cf->errors counts them.  WEIR_FAIL
 * only when nothing is left to be bound: no file, or unbalanced braces or quotes
 * (`broken`).  For other mistakes, such as a missing include, conf_bind() fails, so
 * that all are told at once.
 *
 * root is a node without words, its children the directives of the top.
 * The caller has zeroed the struct and set pool, prefix, conf_prefix, log, to_stderr.
 */
int	 conf_read(struct weir_conf *, const char *path, const char *globals) WEIR_MUST_USE;
/* The same for a text that is no file; `name` stands for its path in messages. */
int	 conf_read_text(struct weir_conf *, const char *name, struct weir_str) WEIR_MUST_USE;
/*
 * The directives of a file, for a set() that the directive `by` names it in, by its first argument.  *to is NULL when
 * there are none, or no such file.
 */
int	 conf_read_lines(struct weir_conf *, const struct weir_node *by, const char *path,
	    struct weir_node **to) WEIR_MUST_USE;
/* Bind what was read.  WEIR_FAIL when there was any mistake, also in reading. */
int	 conf_bind(struct weir_conf *) WEIR_MUST_USE;
/* -T: every file once, in order of reading, as nginx dumps them. */
void	 conf_dump(const struct weir_conf *, FILE *);
/* weir.conf(5), from the tables, in mdoc. */
void	 conf_manual(FILE *);
/* One line for each directive: name, module, places (`http,server`), by spaces. */
void	 conf_directives(FILE *);

/*
 * For set() of a CONF_BLOCK: make the scope of a block inside `parent`, of place
 * `in`, with `owner`; bind its content.  NULL after mistakes.
 */
struct weir_scope *conf_block(struct weir_conf *, struct weir_scope *parent, struct weir_node *,
	    unsigned in, void *owner);
/*
 * For reading: the scope's struct of a module, maybe its parent's.
 */
static inline void *
conf_of(const struct weir_scope *s, const struct weir_module *m)
{
	return s->conf[*m->index];
}
/* For writing: the scope's own struct, made by copying when it still shared one. */
void	*conf_own(struct weir_conf *, struct weir_scope *, const struct weir_module *);
/* Does the scope have a struct of its own? */
bool	 conf_is_own(const struct weir_scope *, const struct weir_module *);
/*
 * Was this directive written in this very scope? / in it or anywhere above?  Inside
 * its own set(): was it before?  (A block is known to its scope from the beginning.)
 */
bool	 conf_set_here(const struct weir_scope *, const struct weir_module *, const char *name);
bool	 conf_set(const struct weir_scope *, const struct weir_module *, const char *name);
/* The first such directive of this scope, for messages about it; NULL when there is none. */
const struct weir_node *conf_written(const struct weir_scope *, const struct weir_module *,
	    const char *name);

/*
 * A mistake at word `w` (0: the name) of a node; node NULL: no place.  Prints on
 * stderr
 *	weir: [emerg] FILE:LINE:COL: proxy_pass: TEXT
 * with the line and a caret, and puts one line into the log.  Always returns WEIR_FAIL, so that
 * `return conf_error(...)` reads well.  After CONF_ERRORS_MAX mistakes only counts, and the same
 * mistake (of a file that is included twice) is said once.
 */
#define CONF_ERRORS_MAX	50
int	 conf_error(struct weir_conf *, const struct weir_node *, unsigned w, const char *, ...)
	    WEIR_PRINTF(4, 5) WEIR_COLD;
/* The same as [warn], and no mistake; returns WEIR_OK. */
int	 conf_warn(struct weir_conf *, const struct weir_node *, unsigned w, const char *, ...)
	    WEIR_PRINTF(4, 5) WEIR_COLD;
/*
 * The one of n candidates that somebody who wrote `word` may have meant, or NULL:
 * conf_error(cf, node, 1, "invalid value, did you mean \"%s\"?", ...).
 */
const char *conf_nearest(struct weir_str word, const char *const *words, unsigned n);

/* Types, for set() functions: each reads one word, complains itself. */
int	 conf_u64(struct weir_conf *, const struct weir_node *, unsigned w, struct weir_str text,
	    int64_t min, int64_t max, uint64_t *to) WEIR_MUST_USE;
int	 conf_size(struct weir_conf *, const struct weir_node *, unsigned w, struct weir_str text,
	    uint64_t *to) WEIR_MUST_USE;
int	 conf_msec(struct weir_conf *, const struct weir_node *, unsigned w, struct weir_str text,
	    uint64_t *to) WEIR_MUST_USE;
int	 conf_flag(struct weir_conf *, const struct weir_node *, unsigned w, struct weir_str text,
	    bool *to) WEIR_MUST_USE;
/* `name=value` in word w: true and the value when the word begins so. */
bool	 conf_param(const struct weir_node *, unsigned w, const char *name, struct weir_str *value);
/* Unknown parameter at word w; `known` ends with NULL. */
int	 conf_bad_param(struct weir_conf *, const struct weir_node *, unsigned w,
	    const char *const *known);
/*
 * What nginx has under this name and weir has not: `, weir does not have it (nginx: MODULE); ADVICE`
 * to be put behind the text of a mistake at this node, or `, see FILE:LINE` when it was told
 * there, or nothing.  kind: "$" for variables, "listen/" for
 * parameters of listen.
 */
struct weir_str conf_foreign(struct weir_conf *, const struct weir_node *, const char *kind,
	    struct weir_str name);
/* An absolute path from one that may be relative to the prefix (or conf_prefix); NUL-terminated. */
struct weir_str conf_path(struct weir_conf *, struct weir_str, bool to_conf_prefix);
/*
 * Complain about an absolute path, of word 1, that exists and is no folder, or that is one
 * though it must not be.
 */
int	 conf_folder(struct weir_conf *, const struct weir_node *, struct weir_str path) WEIR_MUST_USE;
int	 conf_no_folder(struct weir_conf *, const struct weir_node *, struct weir_str path)
	    WEIR_MUST_USE;

#endif
