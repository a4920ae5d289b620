/*
 * up.h - a session and its upstream: proxy_pass.
 *
 *	up_pass -> (resolve) -> pick -> dial -> [TLS] -> relay -> end
 *	             ^                    |        |
 *	             +---- proxy_next_upstream ----+
 */
#ifndef WEIR_STREAM_UP_H
#define WEIR_STREAM_UP_H

#include "core/io/rate.h"
#include "core/io/relay.h"
#include "core/peer/bind.h"
#include "core/peer/budget.h"
#include "core/peer/peer.h"
#include "core/peer/preface.h"
#include "core/peer/queue.h"
#include "core/tls/tls.h"
#include "stream/stream.h"

struct weir_stream_params {			/* what the directives say */
	struct weir_group *group;		/* NULL: the address has variables */
	struct weir_expr variable;
	struct weir_str	 host;			/* as written */
	bool		 given;
	uint64_t	 connect_ms, timeout_ms, buffer_size;
	struct weir_expr upload, download;	/* rates */
	bool		 drop;			/* proxy_session_drop */
	bool		 next, half_close, keepalive, ssl;
	int64_t		 next_tries;
	int64_t		 requests;		/* proxy_requests; 0: any number */
	int64_t		 responses;		/* proxy_responses; -1: any number */
	uint64_t	 next_timeout_ms;
	struct weir_bind bind;
	struct weir_budget_conf budget;	/* proxy_retry_budget */
	struct weir_preface_conf preface;
};

struct weir_stream_attempt {			/* one for each peer that was tried */
	struct weir_str	 addr;
	uint64_t	 connect_ms, first_ms, session_ms;	/* durations; UINT64_MAX: did not get so far */
	uint64_t	 queue_ms;		/* it waited for this one */
	uint64_t	 received, sent;
};

struct weir_stream_up {
	struct weir_stream *st;
	const struct weir_stream_params *p;
	struct weir_pick pick;
	struct weir_stream_udp *udp;		/* of a client that sends datagrams; NULL until there was a server */
	struct weir_conn *conn;			/* once it is there, also in the handshake */
	union {			/* a session that rests has less memory by what it needed to come so far */
		struct {
			struct weir_wait wait;	/* for a server */
			struct weir_dial dial;
		};
		struct weir_relay relay;	/* once it is joined */
	};
	struct weir_rate *rates[2];		/* of the client's bytes, and of the upstream's; NULL: none */
	struct weir_stream_drop *drop;		/* drop.c's; NULL: nobody looks whether its server goes */
	struct weir_str	 host;			/* for the name in its certificate */
	struct weir_stream_attempt first;	/* most need no other */
	struct { struct weir_stream_attempt *v; unsigned n, room; } more;
	uint64_t	 began_ms, attempt_ms;
	unsigned	 tries;
	bool		 dialling, joined, heard;
};

/* ON_SERVE. */
enum weir_next stream_up_pass(struct weir_stream *, const struct weir_stream_params *);
/* The session is over: what was begun ends now, and is counted; the struct stays for the log. */
void	stream_up_end(struct weir_stream *);
void	stream_up_free(struct weir_stream *);
/*
 * For udp.c.  stream_up_heard(): the first answer has come.  stream_up_lost(): the server is none for the session, because
 * of this; `again`: rather another than the end.
 */
void	stream_up_heard(struct weir_stream_up *);
void	stream_up_lost(struct weir_stream_up *, enum weir_trouble, const char *why, bool again);
/* drop.c: there is a server, and the session ends with it; it has none any more. */
void	stream_drop_watch(struct weir_stream_up *);
void	stream_drop_leave(struct weir_stream_up *);
/* For messages: the upstream that it is about, or nothing. */
struct weir_str stream_up_text(const struct weir_stream *);
/* How many attempts there were, and which. */
unsigned stream_up_attempts(const struct weir_stream *);
const struct weir_stream_attempt *stream_up_attempt(const struct weir_stream *, unsigned i);

extern const struct weir_module stream_proxy_module, stream_up_vars_module;

#endif
