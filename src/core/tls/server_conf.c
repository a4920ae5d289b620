/*
 * server_conf.c - the directives ssl_*, for whatever serves.
 *
 * A context is made for servers only, when they are read: what http says alone need not be whole.  Servers
 * that say nothing of their own share that of http.
 */
#include "core/base/num.h"
#include "core/tls/count.h"
#include "core/tls/files.h"
#include "core/tls/ocsp.h"
#include "core/tls/server_conf.h"
#include "core/tls/sess_cache.h"

#define IN_SSL		(IN_HTTP | IN_SERVER | IN_STREAM_ANY)

struct ssl_conf {
	struct weir_tls_opts	 o;
	unsigned		 protocols;
	int			 verify;
	int64_t			 level;		/* pqc_min_level */
	int			 ocsp;
	bool			 inherit;
	int			 key_mode;
	int			 stapling;
	struct weir_tls_word	 staple;
	bool			*fp_anywhere;	/* of the whole configuration: some server takes fingerprints */
	struct weir_str		 alpn;		/* as RFC 7301 writes a list */
	uint64_t		 handshake_ms;
	bool			 made;		/* ctx, or there is none to make */
	struct weir_tls_ctx	*ctx;
};

enum {
	SSL_SESSIONS = 20480,		/* of builtin */
	WATCH_MIN_MS = 100
};

static unsigned index_;

/* ---- words ---- */

static struct weir_tls_word
word_at(struct weir_conf *cf, const struct weir_node *node, unsigned w, bool path)
{
	struct weir_str s = path ? conf_path(cf, node->w[w].s, true) : node->w[w].s;

	return (struct weir_tls_word){ .s = s, .node = node, .w = w };
}

static int
set_file(struct weir_conf *cf, struct weir_node *node, struct weir_tls_word *to)
{
	if (node->w[1].s.n == 0)
		return conf_error(cf, node, 1, "the file has no name");
	*to = word_at(cf, node, 1, true);
	return WEIR_OK;
}

#define FILE_SETTER(name)								\
static int										\
set_##name(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)	\
{											\
	(void)scope;									\
	return set_file(cf, node, &((struct ssl_conf *)conf)->o.name);			\
}

FILE_SETTER(passwords)
FILE_SETTER(dhparam)
FILE_SETTER(client_ca)
FILE_SETTER(trusted)
FILE_SETTER(crl)

static int
set_staple(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return set_file(cf, node, &((struct ssl_conf *)conf)->staple);
}

static int
set_staple_responder(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	((struct ssl_conf *)conf)->o.staple_responder = word_at(cf, node, 1, false);
	return WEIR_OK;
}

static int
set_staple_verify(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope, (void)conf;
	if (str_eq(node->w[1].s, STR("off")))
		return conf_warn(cf, node, 1, "OCSP responses are verified all the same: leave the line out");
	return str_eq(node->w[1].s, STR("on")) ? WEIR_OK : conf_error(cf, node, 1, "it is on or off");
}

static int
push_file(struct weir_conf *cf, struct weir_node *node, struct weir_tls_words *to)
{
	struct weir_tls_word w;

	if (set_file(cf, node, &w) != WEIR_OK)
		return WEIR_FAIL;
	if (str_begins(node->w[1].s, STR("engine:")) || str_begins(node->w[1].s, STR("data:")) ||
	    str_begins(node->w[1].s, STR("store:")))
		return conf_error(cf, node, 1, "weir reads certificates and keys from files only");
	if (str_chr(node->w[1].s, '$') >= 0)
		w.s = node->w[1].s;
	*POOL_PUSH(cf->pool, to) = w;
	return WEIR_OK;
}

static int
set_certificate(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return push_file(cf, node, &((struct ssl_conf *)conf)->o.certificates);
}

static int
set_key(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return push_file(cf, node, &((struct ssl_conf *)conf)->o.keys);
}

static int
set_ticket_key(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return push_file(cf, node, &((struct ssl_conf *)conf)->o.ticket_keys);
}

static int
set_ciphers(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	((struct ssl_conf *)conf)->o.ciphers = word_at(cf, node, 1, false);
	return WEIR_OK;
}

static int
set_curves(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	((struct ssl_conf *)conf)->o.curves = word_at(cf, node, 1, false);
	return WEIR_OK;
}

static int
set_command(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_tls_words *to = &((struct ssl_conf *)conf)->o.commands;

	(void)scope;
	*POOL_PUSH(cf->pool, to) = word_at(cf, node, 1, false);
	*POOL_PUSH(cf->pool, to) = word_at(cf, node, 2, false);
	return WEIR_OK;
}

static int
set_protocols(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return tls_protocols(cf, node, &((struct ssl_conf *)conf)->protocols);
}

static int
set_alpn(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_str *to = &((struct ssl_conf *)conf)->alpn;
	size_t n = 0;
	char *p;

	(void)scope;
	for (unsigned w = 1; w < node->n; w++) {
		if (node->w[w].s.n == 0 || node->w[w].s.n > 255)
			return conf_error(cf, node, w, "the name of a protocol has from 1 to 255 bytes");
		n += 1 + node->w[w].s.n;
	}
	*to = str_of(p = pool_bytes(cf->pool, n), n);
	for (unsigned w = 1; w < node->n; w++) {
		*p++ = (char)node->w[w].s.n;
		memcpy(p, node->w[w].s.p, node->w[w].s.n);
		p += node->w[w].s.n;
	}
	return WEIR_OK;
}

/* prefer | log | require [status=code] | off */
static int
set_pqc(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	static const struct { const char *word; enum weir_tls_pqc pqc; } words[] = {
		{ "prefer", PQC_PREFER }, { "log", PQC_PREFER }, { "require", PQC_REQUIRE }, { "off", PQC_OFF },
	};
	struct weir_tls_opts *o = &((struct ssl_conf *)conf)->o;
	struct weir_str value;
	uint64_t status = 0;
	unsigned i = 0;

	(void)scope;
	while (i < WEIR_COUNT(words) && !str_eq(node->w[1].s, str_c(words[i].word)))
		i++;
	if (i == WEIR_COUNT(words))
		return conf_error(cf, node, 1, "invalid value \"%.*s\": it is prefer, log, require or off",
		    STR_ARG(node->w[1].s));
	if (node->n == 3 && (words[i].pqc != PQC_REQUIRE || !conf_param(node, 2, "status", &value)))
		return conf_error(cf, node, 2, "only require has a parameter, status=code");
	if (node->n == 3 && conf_u64(cf, node, 2, value, 400, 599, &status) != WEIR_OK)
		return WEIR_FAIL;
	o->pqc = words[i].pqc;
	o->pqc_status = (unsigned)status;
	o->pqc_tell = i == 1;
	return WEIR_OK;
}

/* shared:name:size */
static int
set_shared(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_table **to,
    struct weir_table *(*declare)(struct weir_conf *, struct weir_str, uint64_t, const char **))
{
	struct weir_str s = str_from(node->w[w].s, strlen("shared:"));
	ssize_t colon = str_chr(s, ':');
	const char *why = NULL;
	uint64_t size;

	if (colon <= 0)
		return conf_error(cf, node, w, "it has a name and a size: shared:name:10m");
	if (conf_size(cf, node, w, str_from(s, (size_t)colon + 1), &size) != WEIR_OK)
		return WEIR_FAIL;
	*to = declare(cf, str_of(s.p, (size_t)colon), size, &why);
	return *to != NULL ? WEIR_OK : conf_error(cf, node, w, "%s", why);
}

static int
set_builtin(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_tls_opts *o)
{
	struct weir_str s = node->w[w].s;

	o->builtin = SSL_SESSIONS;
	if (str_eq(s, STR("builtin")))
		return WEIR_OK;
	return conf_u64(cf, node, w, str_from(s, strlen("builtin:")), 1, 1 << 24, &o->builtin);
}

static int
set_cache(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_tls_opts *o = &((struct ssl_conf *)conf)->o;
	int rc = WEIR_OK;

	(void)scope;
	o->cache = NULL;
	o->builtin = 0;
	for (unsigned w = 1; w < node->n && rc == WEIR_OK; w++) {
		struct weir_str s = node->w[w].s;

		if (str_begins(s, STR("shared:")))
			rc = set_shared(cf, node, w, &o->cache, sess_cache_declare);
		else if (str_eq(s, STR("builtin")) || str_begins(s, STR("builtin:")))
			rc = set_builtin(cf, node, w, o);
		else if (node->n != 2 || (!str_eq(s, STR("off")) && !str_eq(s, STR("none"))))
			rc = conf_error(cf, node, w, "invalid session cache \"%.*s\": it is off, none, builtin[:n] "
			    "or shared:name:size", STR_ARG(s));
	}
	return rc;
}

/* on | off | interval */
static int
set_watch(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_tls_opts *o = &((struct ssl_conf *)conf)->o;
	struct weir_str s = node->w[1].s;

	(void)scope;
	o->watch = !str_eq(s, STR("off"));
	o->watch_ms = 0;
	if (!o->watch || str_eq(s, STR("on")))
		return WEIR_OK;
	if (conf_msec(cf, node, 1, s, &o->watch_ms) != WEIR_OK)
		return WEIR_FAIL;
	return o->watch_ms >= WATCH_MIN_MS ? WEIR_OK :
	    conf_error(cf, node, 1, "an interval is at least %d ms long", WATCH_MIN_MS);
}

static int
set_responder(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	((struct ssl_conf *)conf)->o.responder = word_at(cf, node, 1, false);
	return WEIR_OK;
}

/* off | shared:name:size */
static int
set_ocsp_cache(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_tls_opts *o = &((struct ssl_conf *)conf)->o;
	struct weir_str s = node->w[1].s;

	(void)scope;
	o->ocsp_cache = NULL;
	if (str_eq(s, STR("off")))
		return WEIR_OK;
	if (!str_begins(s, STR("shared:")))
		return conf_error(cf, node, 1, "invalid OCSP cache \"%.*s\": it is off or shared:name:size", STR_ARG(s));
	return set_shared(cf, node, 1, &o->ocsp_cache, ocsp_cache_declare);
}

static int
set_certificate_cache(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return tls_cache_conf(cf, node, &((struct ssl_conf *)conf)->o);
}

static int
set_fp_db(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	((struct ssl_conf *)conf)->o.fp.db = fp_db_read(cf, node, conf_path(cf, node->w[1].s, true));
	return WEIR_OK;
}

/* ---- the context of a place ---- */

/* A struct of its own was copied from that around it. */
static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct ssl_conf *c = conf;

	if (scope == cf->main) {
		c->protocols = TLS_V1_2 | TLS_V1_3;
		c->fp_anywhere = pool_zalloc(cf->pool, sizeof *c->fp_anywhere);
		files_begin(cf, c->inherit);
	}
	c->made = false;
	c->ctx = NULL;
	return WEIR_OK;
}

/* The line that says so, for complaints; that of the place when nobody wrote it. */
static const struct weir_node *
policy_line(const struct weir_scope *s, const char *directive)
{
	const struct weir_node *n = NULL;
	const struct weir_scope *at = s;

	for (; at != NULL && n == NULL; at = at->parent)
		n = conf_written(at, &ssl_module, directive);
	return n != NULL ? n : s->node;
}

int
tls_server_conf(struct weir_conf *cf, const struct weir_scope *scope)
{
	struct ssl_conf *c = scope->conf[index_];

	if (c->made || (c->o.certificates.n == 0 && !c->o.reject))
		return WEIR_OK;
	c->made = true;
	c->o.protocols = c->protocols;
	c->o.verify = (enum weir_tls_verify)c->verify;
	c->o.pqc_level = (unsigned)c->level;
	c->o.key_mode = (enum weir_tls_key_mode)c->key_mode;
	c->o.ocsp = (enum weir_tls_ocsp)c->ocsp;
	c->o.dynamic = tls_has_variables(&c->o.certificates) || tls_has_variables(&c->o.keys);
	c->o.stapling = (enum weir_tls_stapling)c->stapling;
	if (c->o.stapling != STAPLE_OFF)
		c->o.staple = c->staple;
	if (c->o.pqc == PQC_REQUIRE && !(c->protocols & TLS_V1_3))
		return conf_error(cf, policy_line(scope, "pqc_policy"), 0, "pqc_policy require needs TLSv1.3, which "
		    "ssl_protocols leaves out");
	/* a rule that is not in force is worse than none */
	if (c->o.fp.deny != 0 && (!c->o.fp.on || c->o.fp.db == NULL))
		return conf_error(cf, policy_line(scope, "ssl_fingerprint_deny"), 0, "it needs ssl_fingerprint on and an "
		    "ssl_fingerprint_db");
	*c->fp_anywhere |= c->o.fp.on;
	c->o.fp_anywhere = c->fp_anywhere;
	c->ctx = tls_server_ctx(cf, policy_line(scope, "ssl_verify_client"), &c->o);
	return c->ctx != NULL ? WEIR_OK : WEIR_FAIL;
}

const struct weir_tls_ctx *
tls_ctx_in(void *const *conf)
{
	return ((const struct ssl_conf *)conf[index_])->ctx;
}

const struct weir_tls_ctx *
tls_ctx_of(const struct weir_scope *scope)
{
	return tls_ctx_in(scope->conf);
}

struct weir_str
tls_alpn_in(void *const *conf)
{
	return ((const struct ssl_conf *)conf[index_])->alpn;
}

uint64_t
tls_handshake_ms_in(void *const *conf)
{
	return ((const struct ssl_conf *)conf[index_])->handshake_ms;
}

static const struct weir_choice verify_words[] = {
	{ "off", VERIFY_OFF }, { "on", VERIFY_ON }, { "optional", VERIFY_OPTIONAL },
	{ "optional_no_ca", VERIFY_OPTIONAL_NO_CA }, { NULL, 0 }
};

enum weir_tls_key_mode
tls_key_mode_of(const struct weir_scope *scope)
{
	return (enum weir_tls_key_mode)((const struct ssl_conf *)scope->conf[index_])->key_mode;
}

static const struct weir_choice key_words[] = {
	{ "warn", KEYS_WARN }, { "strict", KEYS_STRICT }, { "off", KEYS_OFF }, { NULL, 0 }
};

static const struct weir_choice stapling_words[] = {
	{ "off", STAPLE_OFF }, { "on", STAPLE_ON }, { "auto", STAPLE_AUTO }, { NULL, 0 }
};

static const struct weir_choice ocsp_words[] = {
	{ "off", ASK_NONE }, { "on", ASK_CHAIN }, { "leaf", ASK_LEAF }, { NULL, 0 }
};

#define ONE_FILE(fn)	CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = (fn), .args = "file"

static const struct weir_cmd cmds[] = {
	{ "ssl_certificate", IN_SSL, CONF_CUSTOM, CONF_AT(ssl_conf, o.certificates), .args_min = 1,
	  .args_max = 1, .set = set_certificate, .flags = CONF_MULTI, .args = "file",
	  .doc = "A PEM file with the server's certificate, followed by those between it and a root.  Several, "
	  "of different kinds (ECDSA, RSA, ML-DSA), may stand in one block, each with its ssl_certificate_key.  With "
	  "variables, such as $ssl_server_name, workers read the files in the handshake, so their user must be able to; a "
	  "name with \"..\" in it is refused." },
	{ "ssl_certificate_key", IN_SSL, CONF_CUSTOM, CONF_AT(ssl_conf, o.keys), .args_min = 1, .args_max = 1,
	  .set = set_key, .flags = CONF_MULTI, .args = "file",
	  .doc = "The key of the certificate, in PEM.  Only the master reads it, unless the name has variables." },
	{ "ssl_key_permissions", IN_MAIN | IN_SSL, CONF_ENUM, CONF_AT(ssl_conf, key_mode), .def = "warn", .choices = key_words,
	  .doc = "What to do when others can read the file of a key, of a server or of proxy_ssl_certificate_key.  warn: say so when "
	  "everybody can.  strict: refuse it, also when only a group can, and so files of ssl_session_ticket_key, which are refused "
	  "anyway when everybody can.  off: nothing.  Files whose names have variables are not "
	  "looked at." },
	{ "ssl_certificate_cache", IN_SSL, CONF_CUSTOM, .args_min = 1, .args_max = 3, .set = set_certificate_cache,
	  .args = "off | max=number [inactive=time] [valid=time]",
	  .doc = "How many certificates and keys whose names have variables each worker keeps.  Those that were not used for "
	  "inactive (10s) go, and after valid (60s) the file is looked at again.  off, the default: all are read in every "
	  "handshake." },
	{ "ssl_certificate_watch", IN_SSL, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_watch,
	  .args = "on | off | interval",
	  .doc = "Whether a certificate that was renewed is served without a reload.  on: the kernel tells when the files of "
	  "ssl_certificate, ssl_certificate_key or ssl_password_file, or links to them, change; with an interval they are looked "
	  "at that often, as file systems of other machines need it.  The master reads them and gives them to the workers when "
	  "the key belongs to the certificate, which must be valid now; else it logs why, and the old one stays.  Connections and "
	  "sessions go on.  Files whose names have variables are the matter of ssl_certificate_cache." },
	{ "ssl_object_cache_inheritable", IN_MAIN, CONF_FLAG, CONF_AT(ssl_conf, inherit), .def = "on",
	  .doc = "Whether a reload takes over certificates, keys, authorities and revocations of files that have not changed: under "
	  "the name lies the same file, and it has the same time of modification.  off: all are read anew." },
	{ "ssl_certificate_compression", IN_SSL, CONF_FLAG, CONF_AT(ssl_conf, o.compress), .def = "off",
	  .doc = "Whether certificates are sent compressed to clients of TLSv1.3 that say they understand it (RFC 8879).  Not "
	  "compressed are those whose names have variables, and those that go with an OCSP response (ssl_stapling).  Needs an OpenSSL with zlib, brotli or zstd." },
	{ "ssl_password_file", IN_SSL, ONE_FILE(set_passwords),
	  .doc = "Passwords of keys, one on each line; they are tried in turn." },
	{ "ssl_protocols", IN_SSL, CONF_CUSTOM, CONF_AT(ssl_conf, protocols), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_protocols, .args = "[TLSv1.2] [TLSv1.3]",
	  .doc = "Which versions of TLS are offered; both unless said otherwise.  Older ones are not there." },
	{ "ssl_ciphers", IN_SSL, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_ciphers, .args = "ciphers",
	  .doc = "Ciphers for TLSv1.2, as ciphers(1) has them.  Unless said otherwise: AES-GCM and ChaCha20 with "
	  "ECDHE." },
	{ "ssl_prefer_server_ciphers", IN_SSL, CONF_FLAG, CONF_AT(ssl_conf, o.prefer_server), .def = "off",
	  .doc = "Whether the order of ssl_ciphers counts rather than the client's." },
	{ "ssl_ecdh_curve", IN_SSL, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_curves,
	  .args = "groups | auto",
	  .doc = "Groups for the key exchange, the best first, with colons between them.  auto, the default: "
	  "X25519MLKEM768:X25519:P-256:P-384, so what is recorded today stays secret when quantum computers come." },
	{ "pqc_policy", IN_SSL, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_pqc,
	  .args = "prefer | log | require [status=code] | off",
	  .doc = "Whether the key exchange must withstand quantum computers (ML-KEM).  prefer: as ssl_ecdh_curve says, "
	  "which begins with X25519MLKEM768, and older clients get in.  log: the same, and each handshake without it is logged at "
	  "level warn.  require: handshakes without it are refused, and so is TLSv1.2; with a status (400 to 599) they "
	  "are made, and requests get that instead of an answer.  A request that comes by a handshake with another server, which "
	  "did not require it, gets the status or 421.  off: groups with ML-KEM are left out.  prefer is the default." },
	{ "pqc_min_level", IN_SSL, CONF_INT, CONF_AT(ssl_conf, level), .def = "0", .max = 5,
	  .doc = "The least level of security, by NIST's count, of groups with ML-KEM: those of ssl_ecdh_curve below it are left "
	  "out.  MLKEM512 has 1, X25519MLKEM768, SecP256r1MLKEM768 and MLKEM768 have 3, SecP384r1MLKEM1024 and MLKEM1024 have 5.  "
	  "Groups without ML-KEM are the matter of pqc_policy." },
	{ "ssl_dhparam", IN_SSL, ONE_FILE(set_dhparam),
	  .doc = "Parameters for DHE ciphers of TLSv1.2, which are not offered unless ssl_ciphers has them." },
	{ "ssl_client_certificate", IN_SSL, ONE_FILE(set_client_ca),
	  .doc = "Authorities whose certificates clients may show; their names are told to clients." },
	{ "ssl_trusted_certificate", IN_SSL, ONE_FILE(set_trusted),
	  .doc = "The same, without telling their names." },
	{ "ssl_verify_client", IN_SSL, CONF_ENUM, CONF_AT(ssl_conf, verify), .def = "off",
	  .choices = verify_words,
	  .doc = "Whether clients show a certificate.  on: who has none, or a bad one, gets 400 (error_page 495 and "
	  "496).  optional: who has none is let in.  optional_no_ca: so is who has one that nobody vouches for; "
	  "$ssl_client_verify tells." },
	{ "ssl_verify_depth", IN_SSL, CONF_INT, CONF_AT(ssl_conf, o.depth), .def = "1", .max = 100,
	  .doc = "How many certificates may stand between a client's and a root." },
	{ "ssl_crl", IN_SSL, ONE_FILE(set_crl),
	  .doc = "Revoked certificates (PEM): clients that show one of them are refused." },
	{ "ssl_ocsp", IN_SSL, CONF_ENUM, CONF_AT(ssl_conf, ocsp), .def = "off", .choices = ocsp_words,
	  .doc = "Whether OCSP responders are asked if clients' certificates were revoked, at the end of each handshake: on, also "
	  "those of the authorities between a client and its root; leaf: only the client's own.  Who was revoked, or is unknown, or "
	  "of whom no valid answer comes within 15 seconds, is refused like a bad certificate.  Needs ssl_verify_client on or "
	  "optional, and a resolver where responders have names." },
	{ "ssl_ocsp_responder", IN_SSL, CONF_CUSTOM, CONF_AT(ssl_conf, o.responder), .args_min = 1, .args_max = 1,
	  .set = set_responder, .args = "url",
	  .doc = "Whom to ask, whatever certificates say: http://host:port/path." },
	{ "ssl_ocsp_cache", IN_SSL, CONF_CUSTOM, CONF_AT(ssl_conf, o.ocsp_cache), .args_min = 1, .args_max = 1,
	  .set = set_ocsp_cache, .args = "off | shared:name:size",
	  .doc = "Where answers are kept for as long as they are valid, an hour when they do not say: in a zone that all workers "
	  "share and that outlives reloads, 8000 or so in each megabyte.  off, the default: nowhere." },
	{ "ssl_buffer_size", IN_SSL, CONF_SIZE, CONF_AT(ssl_conf, o.record), .def = "16k", .min = 256, .max = 16384,
	  .doc = "How much goes into one record: a client can use none of it before all has come." },
	{ "ssl_stapling", IN_SSL, CONF_ENUM, CONF_AT(ssl_conf, stapling), .def = "off", .choices = stapling_words,
	  .doc = "Whether clients that ask for it get an OCSP response with the certificate.  on: each worker fetches it from the "
	  "certificate's responder, at http:// only, when the first client asks, who does not wait for it; again each hour, or "
	  "five minutes before its time is over, or five minutes after a failure.  A name needs a resolver.  A response that clients would not "
	  "believe, or that does not call the certificate good, is not sent.  The issuer's certificate must be behind the server's, "
	  "or in ssl_trusted_certificate.  auto: the same, without a warning where a certificate names no responder." },
	{ "ssl_stapling_responder", IN_SSL, CONF_CUSTOM, CONF_AT(ssl_conf, o.staple_responder), .args_min = 1, .args_max = 1,
	  .set = set_staple_responder, .args = "url",
	  .doc = "Whom to ask, whatever certificates say: http://host:port/path." },
	{ "ssl_stapling_verify", IN_SSL, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_staple_verify, .args = "on | off",
	  .doc = "OCSP responses are always verified; off, nginx's default, is worth a warning." },
	{ "ssl_stapling_file", IN_SSL, ONE_FILE(set_staple),
	  .doc = "An OCSP response in DER, as openssl ocsp -respout writes it: nobody is asked for another.  It is checked when the configuration is read, "
	  "for which the issuer's certificate must be behind the server's or in ssl_trusted_certificate, and is sent until its time is over." },
	{ "ssl_session_cache", IN_SSL, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_cache,
	  .args = "off | none | [builtin[:number]] [shared:name:size]",
	  .doc = "Where sessions are kept that clients resume by their number: in a zone that all workers share and "
	  "that outlives reloads, 700 or so in each megabyte, or in each worker for itself, when the default server says so.  Clients that take tickets need "
	  "neither.  none, the default, and off: nowhere." },
	{ "ssl_session_timeout", IN_SSL, CONF_MSEC, CONF_AT(ssl_conf, o.session_ms), .def = "5m",
	  .doc = "How long a session can be resumed." },
	{ "ssl_session_tickets", IN_SSL, CONF_FLAG, CONF_AT(ssl_conf, o.tickets), .def = "on",
	  .doc = "Whether clients get tickets to resume their sessions with." },
	{ "ssl_session_ticket_key", IN_SSL, CONF_CUSTOM, CONF_AT(ssl_conf, o.ticket_keys), .args_min = 1,
	  .args_max = 1, .set = set_ticket_key, .flags = CONF_MULTI, .args = "file",
	  .doc = "A file of 80 or 48 random bytes that seals tickets, for several machines that share their "
	  "clients.  The first seals, all open.  A file that everybody can read is refused." },
	{ "ssl_session_ticket_rotate", IN_HTTP | IN_STREAM, CONF_MSEC, CONF_AT(ssl_conf, o.rotate_ms), .def = "12h",
	  .min = 1000, .max = 86400000,
	  .doc = "How long a key seals tickets, where no ssl_session_ticket_key is given.  All workers share it, and it "
	  "outlives reloads.  As long again it opens the tickets that it has sealed; then it is wiped out." },
	{ "ssl_conf_command", IN_SSL, CONF_CUSTOM, CONF_AT(ssl_conf, o.commands), .args_min = 2, .args_max = 2,
	  .set = set_command, .flags = CONF_MULTI, .args = "name value",
	  .doc = "A command of OpenSSL's, see SSL_CONF_cmd(3)." },
	{ "ssl_early_data", IN_HTTP | IN_SERVER, CONF_FLAG, CONF_AT(ssl_conf, o.early), .def = "off",
	  .doc = "Whether clients that come back may send requests before the handshake is over (RFC 8446, 2.3), 16 kB at "
	  "most; the default server of the address must say so, too.  Such a request may be a copy that somebody else "
	  "sends: see early_data_methods, and give upstreams the field Early-Data, which they get by themselves." },
	{ "ssl_fingerprint", IN_SSL, CONF_FLAG, CONF_AT(ssl_conf, o.fp.on), .def = "off",
	  .doc = "Whether fingerprints of clients are taken from the first message of the handshake, for $ssl_ja3, $ssl_ja4 and "
	  "their like.  They tell which program a client seems to be; anybody can imitate another.  Nothing is computed "
	  "before somebody asks." },
	{ "ssl_fingerprint_db", IN_SSL, CONF_CUSTOM, CONF_AT(ssl_conf, o.fp.db), .args_min = 1, .args_max = 1, .set = set_fp_db,
	  .args = "file",
	  .doc = "Whose fingerprints are known, for $ssl_fp_class and $ssl_fp_name: JSON, a list of {\"hash\": JA3 or JA4, "
	  "\"classification\": word, \"description\": text}.  The words are browser, bot, legitimate_bot, malicious, scanner, "
	  "api_client; all others, and clients that are not in the list, are suspicious.  A file that is missing or "
	  "malformed is worth a warning, and nobody is known.  It is read anew by a reload." },
	{ "ssl_fingerprint_deny", IN_SSL, CONF_BITS, CONF_AT(ssl_conf, o.fp.deny), .choices = fp_classes,
	  .args = "off | class ...",
	  .doc = "Which classes of clients, by ssl_fingerprint_db, are refused in the handshake, before anything is computed for them.  "
	  "Think twice of suspicious: each new version of a browser is at first." },
	{ "ssl_alpn", IN_STREAM_ANY, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_alpn,
	  .args = "protocol ...",
	  .doc = "The protocols above TLS that clients may offer (ALPN), the best first.  A client that offers others only is refused; one "
	  "that offers none is not." },
	{ "ssl_handshake_timeout", IN_STREAM_ANY, CONF_MSEC, CONF_AT(ssl_conf, handshake_ms), .def = "60s",
	  .doc = "How long the TLS handshake with a client may take." },
	{ "ssl_reject_handshake", IN_SSL, CONF_FLAG, CONF_AT(ssl_conf, o.reject), .def = "off",
	  .doc = "Refuse every handshake that means this server: for a default server, all names that no other "
	  "server has." },
	{ 0 }
};

const struct weir_module ssl_module = {
	.name = "ssl", .index = &index_, .conf_size = sizeof(struct ssl_conf),
	.cmds = cmds, .ready = ready, .metrics = tls_rows,
	.doc = "TLS for clients.",
};

struct weir_tls_dynamic *
tls_dynamic_of(const struct weir_scope *scope)
{
	const struct ssl_conf *c = scope->conf[index_];

	return c->ctx != NULL ? tls_ctx_dynamic(c->ctx) : NULL;
}
