/*
 * fp_db.h - whose fingerprints are known, from a file.
 *
 * JSON: a list of { "hash": "JA3 or JA4", "classification": "browser", "description": "Firefox 128" }.  None is built in: a
 * list that nobody looks after is worse than none.
 */
#ifndef WEIR_TLS_FP_DB_H
#define WEIR_TLS_FP_DB_H

#include "core/conf/conf.h"
#include "core/tls/fingerprint.h"

/* Bits, for ssl_fingerprint_deny. */
enum weir_fp_class {
	FP_BROWSER = 1, FP_BOT = 2, FP_LEGITIMATE_BOT = 4, FP_MALICIOUS = 8, FP_SCANNER = 16, FP_API_CLIENT = 32,
	FP_SUSPICIOUS = 64		/* not in the list */
};

/* Their words, and "off", which is none. */
extern const struct weir_choice fp_classes[];

struct weir_fp_entry {
	enum weir_fp_class class;
	struct weir_str	 name;		/* the description */
};

struct weir_fp_db;

/* In the configuration's pool.  A file that cannot be read or understood is an empty list, and a warning at word 1. */
struct weir_fp_db *fp_db_read(struct weir_conf *, const struct weir_node *, struct weir_str path);
/* By JA4, then by JA3.  NULL: the list is empty, so nobody can be unknown to it.  `db` may be NULL. */
const struct weir_fp_entry *fp_db_find(const struct weir_fp_db *, struct weir_fp *);
struct weir_str fp_class_name(enum weir_fp_class);

#endif
