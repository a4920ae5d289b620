/*
 * ctx.c - contexts.
 *
 * Everything is checked while the configuration is read: what OpenSSL would refuse in a
 * handshake, or leave out in silence, is a mistake with a place.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "core/tls/ctx_ssl.h"
#include "core/tls/files.h"
#include "core/tls/groups.h"
#include "core/tls/layer.h"
#include "core/tls/ocsp.h"
#include "core/tls/sess_cache.h"
#include "core/tls/stapling.h"
#include "core/tls/tickets.h"

enum { EARLY_MAX = 16384, MISDIRECTED = 421 };

/* Forward secrecy and authenticated encryption, and nothing else (RFC 9325). */
#define CIPHERS_DEFAULT	"ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL:!aDSS:!aPSK"

int
ctx_error(struct weir_conf *cf, const struct weir_tls_word *w, const char *what)
{
	char why[256];

	return conf_error(cf, w->node, w->w, "%s \"%.*s\" (SSL: %s)", what, STR_ARG(w->s),
	    tls_error(why, sizeof why));
}

/* ---- verification ---- */

/* The chain is judged when the request is there: an error is kept as the result, and told politely. */
static int
on_verify(int ok, X509_STORE_CTX *store)
{
	(void)ok, (void)store;
	return 1;
}

static int
load_ca(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_word *w, bool tell)
{
	STACK_OF(X509_INFO) *all = NULL;
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);
	int n = 0;
	BIO *b;

	if (w->s.n == 0)
		return WEIR_OK;
	b = file_open(cf, w->s.p);
	if (b != NULL)
		all = PEM_X509_INFO_read_bio(b, NULL, NULL, NULL);
	BIO_free(b);
	for (int i = 0; i < sk_X509_INFO_num(all); i++) {
		const X509_INFO *info = sk_X509_INFO_value(all, i);

		if (info->crl != NULL)
			X509_STORE_add_crl(store, info->crl);
		if (info->x509 == NULL)
			continue;
		X509_STORE_add_cert(store, info->x509);
		if (tell)
			SSL_CTX_add_client_CA(ssl, info->x509);
		n++;
	}
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	if (n == 0)
		return ctx_error(cf, w, "cannot load certificates of authorities from");
	ERR_clear_error();
	return WEIR_OK;
}

/* Every certificate of the chain must be in some list of revocations, or it is refused: nothing fails open. */
static int
load_crl(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_word *w)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);
	X509_CRL *crl;
	unsigned n = 0;
	BIO *b;

	if (w->s.n == 0)
		return WEIR_OK;
	b = file_open(cf, w->s.p);
	for (; b != NULL && (crl = PEM_read_bio_X509_CRL(b, NULL, NULL, NULL)) != NULL; n++) {
		X509_STORE_add_crl(store, crl);
		X509_CRL_free(crl);
	}
	BIO_free(b);
	if (n == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return ctx_error(cf, w, "cannot load revocations from");
	ERR_clear_error();
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return WEIR_OK;
}

static int
set_verify(struct weir_conf *cf, struct weir_tls_ctx *c, const struct weir_node *place,
    const struct weir_tls_opts *o)
{
	c->verify = o->verify;
	if (load_ca(cf, c->ssl, &o->client_ca, true) != WEIR_OK ||
	    load_ca(cf, c->ssl, &o->trusted, false) != WEIR_OK || load_crl(cf, c->ssl, &o->crl) != WEIR_OK)
		return WEIR_FAIL;
	if (o->verify == VERIFY_OFF)
		return WEIR_OK;
	if (o->verify != VERIFY_OPTIONAL_NO_CA && o->client_ca.s.n == 0 && o->trusted.s.n == 0)
		return conf_error(cf, place, 0, "no ssl_client_certificate or ssl_trusted_certificate for "
		    "ssl_verify_client");
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, on_verify);
	SSL_CTX_set_verify_depth(c->ssl, (int)o->depth);
	return WEIR_OK;
}

/* ---- what may be agreed on ---- */

static int
set_groups(struct weir_conf *cf, struct weir_tls_ctx *c, const struct weir_tls_opts *o)
{
	const struct weir_tls_word *from = &o->curves;

	/* said to OpenSSL it means the same, and is judged by the same rules */
	for (unsigned i = 0; i + 1 < o->commands.n; i += 2)
		if (str_ieq(o->commands.v[i].s, STR("Groups")) || str_ieq(o->commands.v[i].s, STR("Curves")))
			from = &o->commands.v[i + 1];
	c->groups = groups_list(cf, from, o);
	if (c->groups == NULL)
		return WEIR_FAIL;
	if (SSL_CTX_set1_groups_list(c->ssl, c->groups) != 1)
		return ctx_error(cf, from, "cannot use the groups");
	return WEIR_OK;
}

static int
set_dhparam(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_word *w)
{
	EVP_PKEY *dh;
	BIO *b;

	if (w->s.n == 0)
		return WEIR_OK;
	b = file_open(cf, w->s.p);
	dh = b != NULL ? PEM_read_bio_Parameters(b, NULL) : NULL;
	BIO_free(b);
	if (dh == NULL || SSL_CTX_set0_tmp_dh_pkey(ssl, dh) != 1) {
		EVP_PKEY_free(dh);
		return ctx_error(cf, w, "cannot load Diffie-Hellman parameters from");
	}
	return WEIR_OK;
}

/* As OpenSSL shall see it: names of files are relative to the configuration, as everywhere. */
static const char *
command_value(struct weir_conf *cf, SSL_CONF_CTX *conf, const char *name, struct weir_str value)
{
	int type = SSL_CONF_cmd_value_type(conf, name);

	if (type == SSL_CONF_TYPE_FILE || type == SSL_CONF_TYPE_DIR)
		value = conf_path(cf, value, true);
	return value.p;
}

static int
set_commands(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_words *words)
{
	SSL_CONF_CTX *conf = SSL_CONF_CTX_new();
	int rc = WEIR_OK;

	SSL_CONF_CTX_set_flags(conf, SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SERVER | SSL_CONF_FLAG_CERTIFICATE |
	    SSL_CONF_FLAG_SHOW_ERRORS);
	SSL_CONF_CTX_set_ssl_ctx(conf, ssl);
	for (unsigned i = 0; i + 1 < words->n && rc == WEIR_OK; i += 2) {
		const struct weir_tls_word *name = &words->v[i], *value = &words->v[i + 1];
		int got = SSL_CONF_cmd(conf, name->s.p, command_value(cf, conf, name->s.p, value->s));

		if (got == -2)
			rc = conf_error(cf, name->node, name->w, "OpenSSL has no command \"%s\"", name->s.p);
		else if (got <= 0)
			rc = ctx_error(cf, value, "OpenSSL refuses the value");
	}
	if (rc == WEIR_OK && words->n != 0 && SSL_CONF_CTX_finish(conf) != 1)
		rc = ctx_error(cf, &words->v[0], "OpenSSL refuses");
	SSL_CONF_CTX_free(conf);
	return rc;
}

static int
set_policy(struct weir_conf *cf, struct weir_tls_ctx *c, const struct weir_tls_opts *o)
{
	static const char dflt[] = CIPHERS_DEFAULT;

	/* ML-KEM is of TLSv1.3 only: an older version would be a way around the policy */
	bool strict = o->pqc == PQC_REQUIRE && o->pqc_status == 0;

	SSL_CTX_set_min_proto_version(c->ssl, (o->protocols & TLS_V1_2) ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(c->ssl, o->protocols & TLS_V1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	if (SSL_CTX_set_cipher_list(c->ssl, o->ciphers.s.n != 0 ? o->ciphers.s.p : dflt) != 1)
		return ctx_error(cf, &o->ciphers, "OpenSSL knows no cipher of");
	ERR_clear_error();
	if (o->prefer_server)
		SSL_CTX_set_options(c->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	if (set_dhparam(cf, c->ssl, &o->dhparam) != WEIR_OK || set_commands(cf, c->ssl, &o->commands) != WEIR_OK)
		return WEIR_FAIL;
	if (strict)
		SSL_CTX_set_min_proto_version(c->ssl, TLS1_3_VERSION);
	c->level = o->pqc == PQC_REQUIRE ? WEIR_MAX(o->pqc_level, 1u) : 0;
	c->level_status = o->pqc_status != 0 ? (int)o->pqc_status : MISDIRECTED;
	c->tell_classical = o->pqc_tell;
	return set_groups(cf, c, o);
}

int
tls_protocols(struct weir_conf *cf, const struct weir_node *node, unsigned *to)
{
	*to = 0;
	for (unsigned w = 1; w < node->n; w++) {
		struct weir_str s = node->w[w].s;

		if (str_ieq(s, STR("TLSv1.2")))
			*to |= TLS_V1_2;
		else if (str_ieq(s, STR("TLSv1.3")))
			*to |= TLS_V1_3;
		else if (str_ieq(s, STR("TLSv1")) || str_ieq(s, STR("TLSv1.1")) || str_ibegins(s, STR("SSLv")))
			conf_warn(cf, node, w, "%.*s is not offered any more (RFC 8996)", STR_ARG(s));
		else
			return conf_error(cf, node, w, "there is no protocol \"%.*s\": there are TLSv1.2 and "
			    "TLSv1.3", STR_ARG(s));
	}
	if (*to == 0)
		return conf_error(cf, node, 0, "no protocol is left: there are TLSv1.2 and TLSv1.3");
	return WEIR_OK;
}

int
tls_cache_conf(struct weir_conf *cf, const struct weir_node *node, struct weir_tls_opts *o)
{
	static const char *const known[] = { "off", "max=", "inactive=", "valid=", NULL };
	int rc = WEIR_OK;

	o->cache_max = 0;
	o->cache_inactive_ms = 10000;
	o->cache_valid_ms = 60000;
	if (node->n == 2 && str_eq(node->w[1].s, STR("off")))
		return WEIR_OK;
	for (unsigned w = 1; w < node->n && rc == WEIR_OK; w++) {
		struct weir_str v;

		if (conf_param(node, w, "max", &v))
			rc = conf_u64(cf, node, w, v, 1, 1 << 20, &o->cache_max);
		else if (conf_param(node, w, "inactive", &v))
			rc = conf_msec(cf, node, w, v, &o->cache_inactive_ms);
		else if (conf_param(node, w, "valid", &v))
			rc = conf_msec(cf, node, w, v, &o->cache_valid_ms);
		else
			rc = conf_bad_param(cf, node, w, known);
	}
	if (rc == WEIR_OK && o->cache_max == 0)
		rc = conf_error(cf, node, 0, "it needs max=number, or is off");
	return rc;
}

/* ---- sessions ---- */

/* What is in a file, not its name: after a reload other authorities may be there. */
static void
add_file(struct weir_conf *cf, EVP_MD_CTX *md, const struct weir_tls_word *w)
{
	BIO *b = w->s.n != 0 ? file_open(cf, w->s.p) : NULL;
	char part[4096];
	int n;

	while (b != NULL && (n = BIO_read(b, part, sizeof part)) > 0)
		EVP_DigestUpdate(md, part, (size_t)n);
	BIO_free(b);
	EVP_DigestUpdate(md, "", 1);
}

/*
 * A session belongs to a server's certificates and to what it asks of clients: elsewhere it is not
 * resumed, so that no client comes in by what another server was shown (S-124).
 */
static void
set_session_id(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_opts *o)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST);

	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	for (; more == 1; more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_NEXT)) {
		X509 *x = SSL_CTX_get0_certificate(ssl);

		if (x != NULL && X509_digest(x, EVP_sha256(), sum, &n) == 1)
			EVP_DigestUpdate(md, sum, n);
	}
	for (unsigned i = 0; o->dynamic && i < o->certificates.n; i++)
		EVP_DigestUpdate(md, o->certificates.v[i].s.p, o->certificates.v[i].s.n + 1);
	EVP_DigestUpdate(md, &o->verify, sizeof o->verify);
	EVP_DigestUpdate(md, &o->depth, sizeof o->depth);
	add_file(cf, md, &o->client_ca);
	add_file(cf, md, &o->trusted);
	add_file(cf, md, &o->crl);
	EVP_DigestFinal_ex(md, sum, &n);
	SSL_CTX_set_session_id_context(ssl, sum, n);
	EVP_MD_CTX_free(md);
	ERR_clear_error();
}

static int
set_sessions(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_node *place, const struct weir_tls_opts *o)
{
	SSL_CTX_set_timeout(ssl, (long)(o->session_ms / 1000));
	if (o->builtin != 0)
		SSL_CTX_sess_set_cache_size(ssl, (long)o->builtin);
	sess_cache_use(ssl, o->cache, o->builtin != 0);
	set_session_id(cf, ssl, o);
	if ((SSL_CTX_get_options(ssl) & SSL_OP_NO_TICKET) && o->cache == NULL && o->builtin == 0)
		SSL_CTX_set_num_tickets(ssl, 0);	/* TLSv1.3 would send numbers that nobody remembers */
	return tickets_use(cf, ssl, place, o);
}

/* ---- the whole ---- */

static void
ctx_free(void *arg)
{
	struct weir_tls_ctx *c = arg;

	SSL_CTX_free(c->ssl);
}

static struct weir_tls_ctx *
ctx_new(struct weir_conf *cf, const SSL_METHOD *method)
{
	struct weir_tls_ctx *c = POOL_NEW(cf->pool, weir_tls_ctx);

	c->ssl = SSL_CTX_new(method);
	assert(c->ssl != NULL);
	/*
	 * Compressed certificates are not taken: a few bytes might mean many.  That there was no close_notify io.c sees for itself;
	 * OpenSSL would make an alert for a peer who has gone.
	 */
	SSL_CTX_set_options(c->ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_RX_CERTIFICATE_COMPRESSION | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(c->ssl, 1);
	pool_on_free(cf->pool, ctx_free, c);
	return c;
}

static int
set_stapling(struct weir_conf *cf, SSL_CTX *ssl, const struct weir_tls_opts *o)
{
	const struct weir_tls_word *w = o->certificates.v;

	if (o->certificates.n == 0 || (o->dynamic && o->stapling == STAPLE_OFF))
		return WEIR_OK;
	if (o->dynamic)
		return conf_warn(cf, w->node, w->w, "\"ssl_stapling\" ignored, certificates have variables");
	if (o->stapling == STAPLE_OFF) {
		stapling_missing(cf, ssl, w);
		return WEIR_OK;
	}
	return o->staple.s.n != 0 ? stapling_use(cf, ssl, &o->staple) : stapling_ask(cf, ssl, o);
}

bool
ctx_compress(SSL_CTX *ssl)
{
	bool ok = (SSL_CTX_get_options(ssl) & SSL_OP_NO_TX_CERTIFICATE_COMPRESSION) || SSL_CTX_compress_certs(ssl, 0) == 1;

	ERR_clear_error();
	return ok;
}

struct weir_tls_ctx *
tls_server_ctx(struct weir_conf *cf, const struct weir_node *place, const struct weir_tls_opts *o)
{
	struct weir_tls_ctx *c = ctx_new(cf, TLS_server_method());

	settle_begin();
	c->reject = o->reject;
	c->early = o->early;
	c->fp = o->fp;
	c->fp_anywhere = o->fp_anywhere;
	/*
	 * OpenSSL's own way against replays needs sessions on the server, which not every client has.  As in
	 * nginx a replay may come through, and early_data_methods says what of it is served.
	 */
	SSL_CTX_set_options(c->ssl, SSL_OP_NO_ANTI_REPLAY);
	if (!o->tickets)	/* before commands, which may say otherwise */
		SSL_CTX_set_options(c->ssl, SSL_OP_NO_TICKET);
	SSL_CTX_set_max_early_data(c->ssl, o->early ? EARLY_MAX : 0);
	c->record = (uint32_t)o->record;
	SSL_CTX_set_client_hello_cb(c->ssl, handshake_on_hello, NULL);
	SSL_CTX_set_tlsext_servername_callback(c->ssl, handshake_on_name);
	SSL_CTX_set_alpn_select_cb(c->ssl, handshake_on_alpn, NULL);
	if ((o->dynamic ? dynamic_use(cf, c, o) : keys_load(cf, c->ssl, o)) != WEIR_OK ||
	    set_policy(cf, c, o) != WEIR_OK || set_verify(cf, c, place, o) != WEIR_OK ||
	    set_sessions(cf, c->ssl, place, o) != WEIR_OK || ocsp_use(cf, c->ssl, place, o) != WEIR_OK)
		return NULL;
	/* OpenSSL would leave the OCSP response out */
	if (o->compress && o->stapling == STAPLE_OFF)
		SSL_CTX_clear_options(c->ssl, SSL_OP_NO_TX_CERTIFICATE_COMPRESSION);
	if (o->certificates.n != 0 && !o->dynamic && !ctx_compress(c->ssl))
		(void)conf_warn(cf, place, 0, "\"ssl_certificate_compression\" does nothing: OpenSSL was built without zlib, "
		    "brotli and zstd");
	return set_stapling(cf, c->ssl, o) == WEIR_OK ? c : NULL;
}

/* What the system trusts; read once, by the first who needs it. */
static X509_STORE *
system_store(void)
{
	static X509_STORE *store;

	if (store == NULL) {
		store = X509_STORE_new();
		assert(store != NULL);
		X509_STORE_load_path(store, X509_get_default_cert_dir());
		if (X509_STORE_load_file(store, "/etc/ssl/certs/ca-certificates.crt") != 1)
			X509_STORE_set_default_paths(store);
		ERR_clear_error();
	}
	return store;
}

struct weir_tls_ctx *
tls_client_ctx(struct weir_conf *cf, const struct weir_node *place, const struct weir_tls_opts *o)
{
	struct weir_tls_ctx *c = ctx_new(cf, TLS_client_method());

	(void)place;
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ssl, client_on_session);
	if ((o->dynamic ? dynamic_use(cf, c, o) : keys_load(cf, c->ssl, o)) != WEIR_OK || set_policy(cf, c, o) != WEIR_OK)
		return NULL;
	/* the result is judged, and told, when the handshake is over */
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, on_verify);
	SSL_CTX_set_verify_depth(c->ssl, (int)o->depth);
	if (o->trusted.s.n == 0 && o->verify != VERIFY_OFF && o->crl.s.n == 0)
		SSL_CTX_set1_cert_store(c->ssl, system_store());
	if (load_ca(cf, c->ssl, &o->trusted, false) != WEIR_OK || load_crl(cf, c->ssl, &o->crl) != WEIR_OK)
		return NULL;
	return c;
}

int
ctx_apply(const struct weir_tls_ctx *c, SSL *ssl)
{
	if (SSL_get_SSL_CTX(ssl) == c->ssl)
		return WEIR_OK;
	if (SSL_set_SSL_CTX(ssl, c->ssl) == NULL)
		return WEIR_FAIL;
	SSL_set_verify(ssl, SSL_CTX_get_verify_mode(c->ssl), SSL_CTX_get_verify_callback(c->ssl));
	SSL_set_verify_depth(ssl, SSL_CTX_get_verify_depth(c->ssl));
	SSL_clear_options(ssl, SSL_get_options(ssl) & ~SSL_CTX_get_options(c->ssl));
	SSL_set_options(ssl, SSL_CTX_get_options(c->ssl));
	SSL_set_min_proto_version(ssl, SSL_CTX_get_min_proto_version(c->ssl));
	SSL_set_max_proto_version(ssl, SSL_CTX_get_max_proto_version(c->ssl));
	SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(c->ssl));
	SSL_set_max_early_data(ssl, SSL_CTX_get_max_early_data(c->ssl));
	SSL_set_recv_max_early_data(ssl, SSL_CTX_get_recv_max_early_data(c->ssl));
	return SSL_set1_groups_list(ssl, c->groups) == 1 ? WEIR_OK : WEIR_FAIL;
}

unsigned
tls_ctx_level(const struct weir_tls_ctx *c, int *status)
{
	*status = c->level_status;
	return c->level;
}

bool
tls_ctx_rejects(const struct weir_tls_ctx *c)
{
	return c->reject;
}

enum weir_tls_verify
tls_ctx_verify(const struct weir_tls_ctx *c)
{
	return c->verify;
}

struct weir_tls_dynamic *
tls_ctx_dynamic(struct weir_tls_ctx *c)
{
	return c->dynamic;
}
