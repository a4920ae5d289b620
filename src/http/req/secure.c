/*
 * secure.c - what the TLS of a connection means for its requests.
 */
#include "core/tls/judge.h"
#include "http/req/secure.h"

static int
judge_client(struct weir_req *r, enum weir_tls_verify how, const char **why)
{
	switch (tls_judge_client(r->s.conn, how, &r->s.log)) {
	case TLS_CLIENT_BAD:
		*why = "its certificate was not accepted";
		return 495;
	case TLS_CLIENT_NONE:
		*why = "client sent no required SSL certificate";
		return 496;
	default:
		return 0;
	}
}

/*
 * May a request for one server come by a handshake that was made with another?  Not where either asks for
 * certificates: what the client showed was judged by other rules, or not at all (S-125).
 */
static bool
is_misdirected(const struct weir_req *r, const struct weir_tls_ctx *ctx)
{
	const struct weir_http_server *met = tls_owner(r->s.conn);
	const struct weir_tls_ctx *by;

	if (met == NULL || met == r->server)
		return false;
	by = route_tls_of(r->s.conn->from, met);
	return by != ctx && (tls_ctx_verify(ctx) != VERIFY_OFF || tls_ctx_verify(by) != VERIFY_OFF);
}

int
secure_judge(struct weir_req *r, const char **why)
{
	const struct weir_tls_ctx *ctx;
	int status;

	if (likely(!conn_is_tls(r->s.conn))) {
		if (!(r->s.conn->flags & CONN_NOT_TLS))
			return 0;
		*why = "client sent plain HTTP request to HTTPS port";
		return 497;
	}
	ctx = route_tls_of(r->s.conn->from, r->server);
	if (unlikely(ctx == NULL))	/* stream has made the handshake, and passed the connection on */
		return 0;
	if (is_misdirected(r, ctx)) {
		*why = "client attempted to request the server name different from the one that was negotiated";
		return 421;
	}
	/* also where the handshake was made with another server, whose policy is another (S-123) */
	status = tls_judge_exchange(r->s.conn, ctx);
	if (status != 0) {
		*why = "the key exchange of its connection is weaker than pqc_policy requires";
		return status;
	}
	return tls_ctx_verify(ctx) != VERIFY_OFF ? judge_client(r, tls_ctx_verify(ctx), why) : 0;
}

const char *
secure_text(int status)
{
	switch (status) {
	case 495: return "The SSL certificate error";
	case 496: return "No required SSL certificate was sent";
	case 497: return "The plain HTTP request was sent to HTTPS port";
	}
	return NULL;
}
