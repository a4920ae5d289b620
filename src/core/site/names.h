/*
 * names.h - which server does a Host mean?
 *
 * All names of the servers that share one listening address; what a server is, is the caller's business.  The order is nginx's: the exact name,
 * the longest wildcard with the star in front, the longest with the star behind,
 * then regexes as they were written.  Without a session (a TLS handshake has none yet) no captures
 * are kept.  Nothing is allocated while finding, and the cost does not depend on the number of names
 * (regexes excepted).
 */
#ifndef WEIR_SITE_NAMES_H
#define WEIR_SITE_NAMES_H

#include "core/base/hash.h"
#include "core/sess/regex.h"

struct weir_server_name {
	struct weir_str	 name;		/* lower case: a.b, *.a.b, .a.b, a.b.*; or ~regex as written */
	struct weir_regex *regex;
	const struct weir_node *node;
	unsigned	 word;
};

struct weir_name_regex {
	struct weir_regex *regex;
	void *server;
};

struct weir_names {
	struct weir_pool *pool;
	struct weir_hash exact;		/* name -> server */
	struct weir_hash heads;		/* "a.b" of *.a.b and .a.b -> struct name_head */
	struct weir_hash tails;		/* "a.b" of a.b.* -> server */
	size_t		 longest_head, longest_tail;
	struct weir_name_regex *v;	/* regexes, in order */
	unsigned	 n, room;
};

/* A name of a configuration, checked: WEIR_FAIL after complaining at its word. */
int	names_parse(struct weir_conf *, const struct weir_node *, unsigned word,
	    struct weir_server_name *) WEIR_MUST_USE;

void	names_init(struct weir_names *, struct weir_pool *);
/* WEIR_AGAIN: another server has that name already and keeps it. */
int	names_add(struct weir_names *, const struct weir_server_name *, void *)
	    WEIR_MUST_USE;
/*
 * `host` is what host_parse() makes of a Host: lower case, without port and trailing dot.
 * WEIR_OK and *found; WEIR_AGAIN: nobody has this name; WEIR_FAIL: a regex gave up.
 */
int	names_find(const struct weir_names *, struct weir_sess *, struct weir_str host,
	    void **found) WEIR_MUST_USE;

#endif
