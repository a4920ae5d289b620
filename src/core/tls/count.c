/*
 * count.c - metrics of TLS: handshakes by what was agreed on, failures, certificates.
 */
#include <strings.h>
#include <time.h>

#include "core/tls/count.h"
#include "core/tls/groups.h"
#include "core/tls/tls.h"

/* What OpenSSL calls them, or nginx; see tls_group_name(). */
static const char *const groups[] = {
	"X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024", "MLKEM512", "MLKEM768", "MLKEM1024",
	"X25519", "prime256v1", "secp384r1", "secp521r1", "X448", "ffdhe2048", "ffdhe3072", "ffdhe4096",
	"other", "none", NULL
};
enum { GROUP_NONE = WEIR_COUNT(groups) - 2, GROUP_OTHER = GROUP_NONE - 1 };

static const char *const protocols[] = { "TLSv1.2", "TLSv1.3", NULL };
static const char *const yes[] = { "no", "yes", NULL };
static const char *const exchanges[] = { "pqc", "classical", "none", NULL };
static const char *const failures[] = { "timeout", "closed", "plain", "denied", "error", NULL };
static const char *const changes[] = { "served", "refused", NULL };
static const char *const answers[] = { "answered", "failed", NULL };

enum { PQC, CLASSICAL, NO_EXCHANGE };

struct side {
	struct weir_metric handshakes, exchanges, failures;
};
static struct side	clients, upstreams;
static struct weir_metric changed, asked;

#define HANDSHAKES { { "group", groups }, { "protocol", protocols }, { "resumed", yes } }

enum { EXPIRY };

const struct weir_metric_row tls_rows[] = {
	[EXPIRY] = { "tls_certificate_expiry_timestamp_seconds", METRIC_GAUGE,
	  "Until when a certificate of the configuration is valid, in seconds since 1970.",
	  .labels = { { "certificate", NULL } } },
	{ "tls_certificate_changes_total", METRIC_COUNTER, "Certificates that changed while they were watched.",
	  .labels = { { "result", changes } }, .at = &changed },
	{ "tls_ocsp_requests_total", METRIC_COUNTER, "Questions to OCSP responders, about our certificates and those of "
	  "clients.", .labels = { { "result", answers } }, .at = &asked },
	{ "tls_handshakes_total", METRIC_COUNTER, "Handshakes with clients, by what was agreed on.",
	  .labels = HANDSHAKES, .at = &clients.handshakes, .sparse = true },
	{ "tls_key_exchanges_total", METRIC_COUNTER, "The same: does the key exchange resist quantum computers?",
	  .labels = { { "kind", exchanges } }, .at = &clients.exchanges },
	{ "tls_handshake_failures_total", METRIC_COUNTER, "Handshakes with clients that failed.",
	  .labels = { { "reason", failures } }, .at = &clients.failures },
	{ "tls_upstream_handshakes_total", METRIC_COUNTER, "Handshakes with upstreams, by what was agreed on.",
	  .labels = HANDSHAKES, .at = &upstreams.handshakes, .sparse = true },
	{ "tls_upstream_key_exchanges_total", METRIC_COUNTER,
	  "The same: does the key exchange resist quantum computers?",
	  .labels = { { "kind", exchanges } }, .at = &upstreams.exchanges },
	{ "tls_upstream_handshake_failures_total", METRIC_COUNTER, "Handshakes with upstreams that failed.",
	  .labels = { { "reason", failures } }, .at = &upstreams.failures },
	{ .name = NULL }
};

static unsigned
group_number(const char *name)
{
	unsigned i;

	if (name == NULL)
		return GROUP_NONE;
	for (i = 0; i < GROUP_OTHER; i++)
		if (strcasecmp(groups[i], name) == 0)
			return i;
	return GROUP_OTHER;
}

void
count_handshake(const SSL *ssl, bool server)
{
	const struct side *of = server ? &clients : &upstreams;
	SSL *s = (SSL *)(uintptr_t)ssl;		/* who looks changes nothing, but OpenSSL does not say so */
	int id = (int)SSL_get_negotiated_group(s);
	const char *name = id != NID_undef ? tls_group_name(s, id) : NULL;
	unsigned i = group_number(name);

	i = i * 2 + (SSL_version(ssl) == TLS1_3_VERSION);
	i = i * 2 + (SSL_session_reused(ssl) != 0);
	metric_add(&of->handshakes, i, 1);
	metric_add(&of->exchanges, name == NULL ? NO_EXCHANGE : group_level(name) > 0 ? PQC : CLASSICAL, 1);
}

void
count_failure(bool server, enum tls_failure why)
{
	metric_add(server ? &clients.failures : &upstreams.failures, why, 1);
}

void
count_change(bool served)
{
	metric_add(&changed, !served, 1);
}

void
count_ocsp(bool answered)
{
	metric_add(&asked, !answered, 1);
}

static int64_t
get_expiry(const void *arg)
{
	X509 *const *leaf = arg;
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(*leaf), &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

void
count_certificate(struct weir_conf *cf, const char *path, X509 *const *leaf)
{
	struct weir_str name = str_c(path);

	metric_value(cf, &tls_rows[EXPIRY], &name, get_expiry, leaf);
}
