/*
 * var.h - variables: $name.
 *
 * A variable that a configuration uses has a number in it; the value is found out when
 * it is asked for, and kept for the session unless VAR_VOLATILE.  What is not used costs nothing.
 *
 * Names come from modules' tables.  An entry whose name ends in '_' with VAR_PREFIX is a family:
 * arg_, http_, cookie_...; get() receives the rest of the name.
 */
#ifndef WEIR_SESS_VAR_H
#define WEIR_SESS_VAR_H

#include "core/sess/sess.h"

enum { VALUE_NONE, VALUE_OK, VALUE_MISSING };	/* not asked yet, there, not found */

struct weir_value {
	struct weir_str	 s;
	uint8_t		 state;
};

enum {
	VAR_VOLATILE	= 1,	/* asked anew every time */
	VAR_PREFIX	= 2,
	VAR_CHANGEABLE	= 4,	/* `set`, `map`... may define it too, and then win */
	VAR_STREAM	= 8,	/* exists in stream, too / only when VAR_NOT_HTTP */
	VAR_NOT_HTTP	= 16,
	VAR_KEEP	= 64,	/* volatile, and its source is gone after a tunnel: vars_keep() */
	VAR_WEAK	= 32	/* vars_define(): does not take the place of another definition */
};

struct weir_var {
	const char	*name;		/* NULL ends the table */
	/*
	 * Give the value: WEIR_OK with *to set (a view that lives as long as the session's pool), or
	 * WEIR_FAIL: there is none (empty text).  `data`: of the definition; for a family, a
	 * `const struct weir_str *` with the rest of the name.
	 */
	int		(*get)(struct weir_sess *, struct weir_str *to, const void *data);
	/* `set $name value` for built-in variables that allow it ($args, $limit_rate); else NULL. */
	int		(*set)(struct weir_sess *, struct weir_str value, const void *data);
	unsigned	 flags;
	const void	*data;
	const char	*doc;
};

/* The variables of a configuration: one such for http, one for stream. */
struct weir_vars;
struct weir_vars *vars_new(struct weir_conf *, bool stream);
/* The set that is being filled while http{} or stream{} is bound. */
extern struct weir_vars *vars_now;
/* The sets that this process runs with. */
extern struct weir_vars *vars_http, *vars_stream;

/* The number of a variable that is used somewhere; made on first use.  Case does not matter. */
unsigned vars_use(struct weir_vars *, struct weir_str name);
/* The built-in of that very name (no family), or NULL. */
const struct weir_var *vars_builtin(const struct weir_vars *, struct weir_str name);
/*
 * Define one (set, map, geo, split_clients, a regex's named group).  def->get NULL: it has
 * only what var_set() gives it, and that is always VAR_WEAK.  The definition is copied.  WEIR_FAIL
 * when a built-in that may not be changed has the name; nothing was said then.
 */
int	vars_define(struct weir_vars *, struct weir_str name, const struct weir_var *def,
	    unsigned *number) WEIR_MUST_USE;
/* At the end of http{}: every used variable must exist; complains at the node that used it first. */
int	vars_check(struct weir_vars *, struct weir_conf *) WEIR_MUST_USE;
/* Remember where a variable was used, for vars_check(). */
void	vars_used_at(struct weir_vars *, unsigned number, const struct weir_node *, unsigned word);

/*
 * The value; empty when there is none.  *missing (may be NULL) tells the difference.  A variable
 * that needs itself, or a chain longer than VAR_DEPTH_MAX, is logged and missing (S-255).
 */
#define VAR_DEPTH_MAX	100
struct weir_str var_get(struct weir_sess *, unsigned number, bool *missing);
/* Keep a value, also of a volatile variable. */
void	var_set(struct weir_sess *, unsigned number, struct weir_str);
/* Find out and keep all VAR_KEEP that the configuration uses. */
void	vars_keep(struct weir_sess *);
/*
 * Pack what is kept, numbers and bytes, to `to` (NULL: only measure); returns the size.  vars_load() gives it to
 * another session, as views of `from`.
 */
size_t	vars_save(const struct weir_sess *, char *to);
void	vars_load(struct weir_sess *, const char *from, size_t n);
/* Forget kept values, all (VAR_ALL) or one: the session has changed place (internal redirect). */
#define VAR_ALL		UINT32_MAX
void	var_forget(struct weir_sess *, unsigned number);
/* Make s->vars now, for those who let another session share it (sub-requests). */
void	vars_make(struct weir_sess *);

/* ---- for get() functions: values made in the session's pool; each returns WEIR_OK ---- */

int	var_copy(struct weir_sess *, struct weir_str *to, const char *, size_t);
int	var_u64(struct weir_sess *, struct weir_str *to, uint64_t);
int	var_seconds(struct weir_sess *, struct weir_str *to, uint64_t ms);	/* 1.234 */
/* The text of var_seconds(): writes up to NUM_MAX + 4 bytes, returns the end. */
char	*put_seconds(char *to, uint64_t ms);

#endif
