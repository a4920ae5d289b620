/*
 * health.h - health_check in http: probes by HTTP/1, HTTP/2 and gRPC, and what a match says of their answers.
 *
 *	health.c        health_check and match: what they mean where they stand
 *	health_match.c  is this head, or this body, what was expected?
 *	health_grpc.c   messages of grpc.health.v1
 *	probe_http.c    asking
 */
#ifndef WEIR_HTTP_UP_HEALTH_H
#define WEIR_HTTP_UP_HEALTH_H

#include "core/peer/health.h"
#include "http/codec.h"
#include "http/up/pass.h"

struct up_match;

/* weir_health.judge of these kinds. */
struct up_check {
	const struct weir_up_params *up;	/* of the place, for its fields; NULL: none */
	const struct up_match *match;		/* NULL: a status below 400 is fine */
};

extern const struct weir_probe_kind probe_http, probe_h2, probe_grpc;

/* For up_conf_ready(): the place passes to this group, and its health_check is about it. */
int	up_health_claim(struct weir_conf *, struct weir_scope *, const struct weir_up_conf *, const struct weir_up_kind *)
	    WEIR_MUST_USE;

/* ---- health_match.c ---- */

/* The lines of a match; NULL after complaining. */
struct up_match *up_match_parse(struct weir_conf *, struct weir_node *);
/* send and expect; NULL: there are none. */
const struct weir_expect *up_match_bytes(const struct up_match *);
/* Does it say something about answers of HTTP? */
bool	up_match_is_http(const struct up_match *);
bool	up_match_wants_body(const struct up_match *);
/* Does the head fit?  Else *why, in the pool. */
bool	up_match_head(const struct up_match *, const struct weir_msg *, struct weir_pool *, const char **why);
bool	up_match_body(const struct up_match *, struct weir_str body);

/* ---- health_grpc.c ---- */

/* The message that asks for a service ("": the whole server), with its prefix. */
struct weir_str grpc_health_request(struct weir_pool *, struct weir_str service);
/* The status that a body, one message with its prefix, tells; -1: it is none. */
int	grpc_health_status(struct weir_str body);
enum { GRPC_HEALTH_SERVING = 1 };

extern const struct weir_module upstream_health_module;

#endif
