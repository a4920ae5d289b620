/*
 * keyed.h - zones that count by a key: `limit_req_zone KEY zone=name:size`, and its kin.
 *
 * A module has a set of them for each configuration, in the struct of its top scope, and names one
 * by `zone=name` wherever it limits.  Names may be used before they are declared: keyed_named() gives the
 * object at once, and keyed_check() at the end complains about those that nobody declared.
 *
 *	struct my_zone { struct weir_keyed k; uint64_t rate; };		k comes first
 *
 *	ready(), IN_MAIN:	conf->zones = keyed_new(cf, &kind)
 *	set() of my_zone:	keyed_param() for each parameter, then keyed_declare()
 *	set() of my_limit:	keyed_named()
 *	done(), IN_MAIN:	keyed_check()
 *	a request:		table_get(z->k.table, keyed_key(s, &z->k, buf), true)
 */
#ifndef WEIR_SESS_KEYED_H
#define WEIR_SESS_KEYED_H

#include "core/sess/expr.h"
#include "core/shm/table.h"

struct keyed_kind {
	const char	*name;		/* of the zones: "limit_req" */
	const char	*directive;	/* that declares them: "limit_req_zone" */
	size_t		 size;		/* of the module's own struct */
	size_t		 row;		/* of the table */
	unsigned	 version;	/* of the row's layout */
};

struct weir_keyed {
	struct weir_keyed *next;
	struct weir_str	 name;
	const struct weir_node *node;	/* where it is declared; NULL: nowhere yet */
	const struct weir_node *used;	/* where it was named first */
	unsigned	 used_w;
	struct weir_expr key;
	unsigned	 prefix;	/* bits of an IPv6 address that count; 0: the key is no address */
	struct weir_table *table;
};

struct weir_keyed_set {
	const struct keyed_kind *kind;
	struct weir_keyed *first, **tail;
};

struct weir_keyed_set *keyed_new(struct weir_conf *, const struct keyed_kind *);

/* The parameters that all have. */
struct keyed_params {
	unsigned	 zone_w, prefix_w;	/* words; 0: not given */
	struct weir_str	 zone;
	uint64_t	 prefix;
};
/* Is word w one of them?  A mistake in it is left to keyed_declare(). */
bool	keyed_param(const struct weir_node *, unsigned w, struct keyed_params *);
/*
 * Declares a zone: word 1 is the key.  NULL after complaining.
 */
struct weir_keyed *keyed_declare(struct weir_conf *, struct weir_keyed_set *, const struct weir_node *,
	    const struct keyed_params *);
/* The zone of that name, declared or not yet. */
struct weir_keyed *keyed_named(struct weir_conf *, struct weir_keyed_set *, const struct weir_node *,
	    unsigned w, struct weir_str name);
int	keyed_check(struct weir_conf *, const struct weir_keyed_set *) WEIR_MUST_USE;

/*
 * The key of a session: a view, or in `buf`.  When the expression is $binary_remote_addr alone, an IPv6
 * address is cut to the prefix, because whoever has one address usually has 2^64; and an IPv4
 * address is the same whether it came over IPv6 or not.
 */
#define KEYED_BUF	16
struct weir_str keyed_key(struct weir_sess *, const struct weir_keyed *, char buf[KEYED_BUF]);

#endif
