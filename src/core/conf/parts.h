/*
 * parts.h - what the files of this room share among themselves.
 */
#ifndef WEIR_CONF_PARTS_H
#define WEIR_CONF_PARTS_H

#include "core/base/hash.h"
#include "core/conf/conf.h"

/* ---- table.c ---- */

struct weir_entry {			/* one directive of one module */
	const struct weir_cmd	 *cmd;
	const struct weir_module *module;
	unsigned		  index;	/* of the module */
	struct weir_entry	 *same;		/* the next of this name */
};

struct weir_table {
	struct weir_hash	  names;	/* to struct weir_entry, the first of its name */
	const char		**words;	/* all names, for did-you-mean; at least one entry each */
	unsigned		  n_words;
	void			**defaults;	/* by module: the struct before anything was bound */
	const struct weir_node	**foreign;	/* foreign.c: the first directive of each row */
};

/* The table of this run, without the defaults. */
struct weir_table *table_new(struct weir_pool *);
/* The directive of that name which may stand in `in`, or NULL. */
struct weir_entry *table_find(const struct weir_table *, struct weir_str, unsigned in);
/* Say why there is no such directive here: misplaced, not built, misspelt. */
int	 table_complain(struct weir_conf *, const struct weir_node *, unsigned in);

/* `http, server, location` for a set of places, with another separator if you like. */
#define PLACES_MAX	160
const char *places_text(char to[PLACES_MAX], unsigned in, const char *separator);

/* ---- foreign.c ---- */

/*
 * Is it a directive of nginx that weir lacks?  Then say so, and what to do instead.  Exactly:
 * only by whole names, not by how they begin.
 */
bool	 foreign_complain(struct weir_conf *, const struct weir_node *, bool exactly);

/* ---- types.c ---- */

/* How many arguments the directive takes. */
void	 type_args(const struct weir_cmd *, unsigned *min, unsigned *max);
/* The size of the field, 0 for CONF_CUSTOM. */
size_t	 type_size(enum weir_type);
/* Read the node's words into the field of the module's struct.  Nothing for CONF_CUSTOM. */
int	 type_store(struct weir_conf *, const struct weir_cmd *, const struct weir_node *, void *conf);

/* ---- file.c ---- */

struct loaded {
	struct weir_conf_file	 file;
	dev_t			 dev;
	ino_t			 ino;
};

/*
 * Read a file, unless it is in `before`, and put it into that and on the list of cf.
 * `by` is the include that wants it, or NULL.  NULL after a mistake.
 */
const struct loaded *file_load(struct weir_conf *, struct weir_hash *before,
	    const struct weir_node *by, const char *path);

/* ---- lexer.c ---- */

/* The only directive of a text that the program itself holds (a default); NULL: not well formed. */
struct weir_node *lexer_node(struct weir_conf *, const char *name, struct weir_str);

/* ---- error.c ---- */

struct place {
	const struct weir_conf_file *file;	/* NULL: no place */
	uint32_t	 line, col;
	size_t		 len;			/* to be underlined, at least 1 */
};

/* As conf_error(), about a place that is in no node yet. */
int	 error_at(struct weir_conf *, const struct place *, const char *, ...)
	    WEIR_PRINTF(3, 4) WEIR_COLD;
/* Say how many mistakes were not printed. */
void	 error_count(struct weir_conf *);

#endif
