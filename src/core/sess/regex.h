/*
 * regex.h - regular expressions (PCRE2), compiled once with JIT.
 *
 * Matching is bounded: a pattern that explodes on a subject gives WEIR_FAIL, which the caller
 * turns into a logged 500, never a stuck worker.
 */
#ifndef WEIR_SESS_REGEX_H
#define WEIR_SESS_REGEX_H

#include "core/sess/var.h"

struct weir_regex;

/* Are those that are compiled from now on compiled to machine code?  True unless pcre_jit says otherwise. */
extern bool regex_jit;

/* Named groups become variables of vars_now.  WEIR_FAIL after complaining at word w. */
int	regex_compile(struct weir_conf *, const struct weir_node *, unsigned w, struct weir_str pattern,
	    bool nocase, struct weir_regex **) WEIR_MUST_USE;
/* Number of capture groups, without the whole. */
unsigned regex_groups(const struct weir_regex *);
/* As written. */
struct weir_str regex_pattern(const struct weir_regex *);
/*
 * The subject must live as long as the session's pool.  WEIR_OK: matches, and then s->cap and the named variables are set; WEIR_AGAIN: does not match;
 * WEIR_FAIL: gave up (logged).
 */
int	regex_match(struct weir_sess *, struct weir_regex *, struct weir_str subject) WEIR_MUST_USE;
/* Without a session, keeping nothing; the same results. */
int	regex_test(struct weir_regex *, struct weir_str subject);

#endif
