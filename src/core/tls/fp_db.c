/*
 * fp_db.c - whose fingerprints are known.
 */
#include <jansson.h>

#include "core/base/hash.h"
#include "core/tls/fp_db.h"

struct weir_fp_db {
	struct weir_hash entries;	/* by hash, in any case of letters */
};

const struct weir_choice fp_classes[] = {
	{ "off", 0 }, { "browser", FP_BROWSER }, { "bot", FP_BOT }, { "legitimate_bot", FP_LEGITIMATE_BOT },
	{ "malicious", FP_MALICIOUS }, { "scanner", FP_SCANNER }, { "api_client", FP_API_CLIENT },
	{ "suspicious", FP_SUSPICIOUS }, { NULL, 0 }
};

static const struct weir_fp_entry unknown = { .class = FP_SUSPICIOUS };

struct weir_str
fp_class_name(enum weir_fp_class class)
{
	for (const struct weir_choice *c = fp_classes; c->name != NULL; c++)
		if (c->value == (int64_t)class)
			return str_c(c->name);
	return STR_NONE;
}

/* 0: no such class. */
static enum weir_fp_class
class_of(struct weir_str word)
{
	for (const struct weir_choice *c = fp_classes; c->name != NULL; c++)
		if (str_eq(word, str_c(c->name)))
			return (enum weir_fp_class)c->value;
	return 0;
}

static struct weir_str
text_of(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR_NONE;
}

/* NULL, or what is wrong; the entry is there all the same when its hash is one. */
static const char *
add(struct weir_conf *cf, struct weir_fp_db *db, const json_t *from)
{
	struct weir_str hash = text_of(from, "hash");
	struct weir_fp_entry *e;

	if (hash.n != JA3_MAX && hash.n != JA4_MAX)
		return "it has no \"hash\" that is a JA3 or JA4: left out";
	e = POOL_NEW(cf->pool, weir_fp_entry);
	e->name = pool_str(cf->pool, text_of(from, "description"));
	e->class = class_of(text_of(from, "classification"));
	hash_put(&db->entries, pool_str(cf->pool, hash), e);
	if (e->class != 0)
		return NULL;
	e->class = FP_SUSPICIOUS;
	return "there is no such \"classification\": it is suspicious";
}

struct weir_fp_db *
fp_db_read(struct weir_conf *cf, const struct weir_node *node, struct weir_str path)
{
	struct weir_fp_db *db = POOL_NEW(cf->pool, weir_fp_db);
	const char *why, *first = NULL;
	json_error_t err;
	json_t *all = json_load_file(path.p, JSON_REJECT_DUPLICATES, &err);
	size_t at = 0;

	hash_init(&db->entries, cf->pool, true);
	if (!json_is_array(all)) {
		(void)conf_warn(cf, node, 1, "no fingerprint is known: %s", all == NULL ? err.text : "the file is no list");
		json_decref(all);
		return db;
	}
	for (size_t i = 0; i < json_array_size(all); i++) {
		why = add(cf, db, json_array_get(all, i));
		if (why != NULL && first == NULL) {
			first = why;
			at = i + 1;
		}
	}
	if (first != NULL)	/* a list may have thousands: the first is enough to look at */
		(void)conf_warn(cf, node, 1, "entry %zu: %s", at, first);
	json_decref(all);
	return db;
}

const struct weir_fp_entry *
fp_db_find(const struct weir_fp_db *db, struct weir_fp *fp)
{
	const struct weir_fp_entry *e;

	if (db == NULL || db->entries.n == 0)
		return NULL;
	e = hash_get(&db->entries, fp_ja4(fp));
	if (e == NULL)
		e = hash_get(&db->entries, fp_ja3(fp));
	return e != NULL ? e : &unknown;
}
