/*
 * script.h - what set, if, return, break and rewrite are made into, and how it runs.
 *
 * The directives of a block are a script: its operations run in the order in which they were
 * written.  An `if` that holds runs its own in the midst of the outer one, and in a location
 * makes what else stands in it the request's configuration.
 *
 * modules/rewrite.c makes scripts and runs them; this room only knows what they do to a request.
 */
#ifndef WEIR_HTTP_REQ_SCRIPT_H
#define WEIR_HTTP_REQ_SCRIPT_H

#include "http/req/req.h"

struct weir_op;

enum weir_outcome {		/* of one operation */
	SCRIPT_GO_ON,
	SCRIPT_STOP,	/* the script ends, the request goes on */
	SCRIPT_ANSWERED	/* run.next says how */
};

struct weir_run {
	struct weir_req		*r;
	bool			 log;		/* rewrite_log */
	bool			 quote;		/* captures are escaped, if the request's path was */
	enum weir_next		 next;
};

struct weir_script {
	struct weir_op		*v;
	unsigned		 n, room;
};

struct weir_op_set {
	unsigned		 var;
	const struct weir_var	*builtin;	/* with a set() of its own, or NULL */
	struct weir_expr	 value;
};

struct weir_op_return {
	int			 status;
	struct weir_expr	 text;		/* or the URL of a redirect; when set */
};

struct weir_op_rewrite {
	struct weir_regex	*re;
	struct weir_expr	 to;		/* the path; of a redirect everything */
	struct weir_expr	 args;		/* behind "?", when set; never of a redirect */
	bool			 keep_args;	/* the request's own follow */
	bool			 has_args;	/* the replacement has a "?" */
	int			 status;	/* of a redirect, else 0 */
	bool			 stop, stay;	/* last: stop; break: stop and stay */
};

struct weir_condition {
	bool			 negated;
	unsigned		 var;
	struct weir_regex	*re;		/* ~ */
	struct weir_expr	 value;		/* =, when set; the path of a file test */
	char			 file;		/* f, d, e, x; 0: no file test */
};

struct weir_op_if {
	struct weir_condition	 cond;
	struct weir_location	*inner;		/* NULL on server level */
	const struct weir_script *script;	/* NULL: it has none */
};

struct weir_op {
	unsigned		 seq;		/* of its node */
	enum weir_outcome	(*fn)(struct weir_run *, const struct weir_op *);
	union {
		struct weir_op_set	 set;
		struct weir_op_return	 ret;
		struct weir_op_rewrite	 rewrite;
		struct weir_op_if	 iff;
	};
};

/* Operations; weir_op.fn is one of them. */
enum weir_outcome script_set(struct weir_run *, const struct weir_op *);
enum weir_outcome script_break(struct weir_run *, const struct weir_op *);
enum weir_outcome script_return(struct weir_run *, const struct weir_op *);
enum weir_outcome script_rewrite(struct weir_run *, const struct weir_op *);
enum weir_outcome script_if(struct weir_run *, const struct weir_op *);

/* What a hook answers; WEIR_NEXT unless the script has made a response.  `log`: rewrite_log. */
enum weir_next script_run(struct weir_req *, const struct weir_script *, bool log);

#endif
