/*
 * expr.h - "text with $variables, ${names} and $1", compiled once.
 */
#ifndef WEIR_SESS_EXPR_H
#define WEIR_SESS_EXPR_H

#include "core/sess/var.h"

struct weir_expr_part {
	struct weir_str	 text;		/* literal, when var < 0 */
	int32_t		 var;		/* number, or -1: literal, or -2 - n: capture n */
};

struct weir_expr {
	struct weir_str	 source;	/* as written */
	struct weir_expr_part *parts;	/* NULL: constant, `source` is the value */
	unsigned	 n;
	bool		 uses_captures;
	bool		 set;		/* it was given in the configuration */
};

/*
 * Compile word w of a node, or the part `text` of it, which must live as long as the
 * configuration.  WEIR_FAIL after complaining.  Only inside http{} and stream{}: variables are those of
 * vars_now.
 */
int	expr_compile(struct weir_conf *, const struct weir_node *, unsigned w, struct weir_str text,
	    struct weir_expr *) WEIR_MUST_USE;
static inline bool expr_is_const(const struct weir_expr *e) { return e->parts == NULL; }
/*
 * The value.  No copy when it is constant or one variable,
 * otherwise in the session's pool.  Evaluated in one pass: a variable's get() that changes captures
 * neither changes what was taken before, nor which match $1 means in this expression (S-191).
 */
struct weir_str expr_eval(struct weir_sess *, const struct weir_expr *);
/* The same, with what `capture` makes of each capture (escaping); NULL: nothing. */
struct weir_str expr_eval_with(struct weir_sess *, const struct weir_expr *,
	    struct weir_str (*capture)(struct weir_sess *, struct weir_str));
/* No value is made longer than this from several parts: it is logged and empty then. */
#define EXPR_VALUE_MAX	(16u << 20)
/*
 * For set() of a CONF_CUSTOM with a struct weir_expr in the module's struct: compiles word w
 * into it and marks it as set.  A directive that stands twice in a block is the table's business.
 */
int	expr_field(struct weir_conf *, struct weir_node *, unsigned w, struct weir_expr *);
/* nginx's truth: not empty and not "0". */
static inline bool expr_true(struct weir_str s) { return s.n != 0 && !(s.n == 1 && s.p[0] == '0'); }

#endif
