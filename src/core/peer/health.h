/*
 * health.h - servers are asked how they are, whether there are requests for them or not.
 *
 * A check belongs to a group with a zone.  The keeper asks every server of the group, again and again; what comes of it
 * lies in the group's block, where all workers see it: who fails `fails` times in a row is out (OUT_UNHEALTHY) until
 * it has passed `passes` times in a row, and then has its slow start.  A group may have several checks; all of them must
 * be content.
 *
 *	            +------------ fails in a row -------------+
 *	            |                                         v
 *	pending -> healthy <-- passes in a row, of each -- unhealthy
 *	   |        ^                                         ^
 *	   +--------+-- the first result -- (mandatory) ------+
 *
 * How a server is asked is a kind's affair; tcp, tls and udp are here, the others are of rooms above.  What
 * goes for all kinds: no question is older than `timeout`, not more than PROBES_AT_ONCE are under way, and the servers of a
 * group have their turns all over the interval.
 *
 * Of two keepers, before and after a reload, one asks: the one that began last, as long as it is alive.
 *
 *	health.c       who is asked when, in the keeper
 *	health_state.c what is known, in the block
 *	health_conf.c  the parameters of health_check
 *	health_list.c  the checks and the blocks match of a configuration
 *	probe.c        connections to those who are asked
 *	probe_tcp.c    the kinds tcp and tls
 *	probe_udp.c    the kind udp
 */
#ifndef WEIR_PEER_HEALTH_H
#define WEIR_PEER_HEALTH_H

#include "core/peer/peer.h"
#include "core/tls/tls.h"

#define HEALTH_MOST	8		/* checks of a group */
#define PROBES_AT_ONCE	256		/* of all checks, and */
#define PROBES_OF_ONE	64		/* of each, so that slow servers are in nobody else's way */
#define HEALTH_TIMEOUT_MS 5000
#define PROBE_BODY_MAX	(256u << 10)	/* bytes of an answer that are looked at */

struct weir_probe;
struct weir_regex;

/* Of one server, in the block; without pointers. */
struct weir_health_state {
	uint8_t		 failing;	/* by check, bits: it is unhealthy */
	uint8_t		 pending;	/* nobody knows yet, and it is not asked until somebody does */
	bool		 passed;	/* a check was content, once */
	bool		 last_passed;
	uint32_t	 checks, fails, unhealthy;
};

struct weir_probe_kind {
	const char	*name;
	bool		 secure;	/* always by TLS */
	bool		 dgrams;	/* by UDP */
	/* Ask.  Whatever comes of it ends in probe_pass() or probe_fail(), once. */
	void		(*start)(struct weir_probe *);
	/* The time is over without a verdict: is that one that it has passed?  NULL: no. */
	bool		(*silence)(struct weir_probe *);
	/* Let go of all; after the verdict, or in place of it when the time is over.  May be NULL. */
	void		(*end)(struct weir_probe *);
	/* The server has another address, or its kept connection is too old.  May be NULL. */
	void		(*forget)(struct weir_probe *);
};
extern const struct weir_probe_kind probe_tcp, probe_tls, probe_udp;

/* What tcp, tls and udp send, and wait for. */
struct weir_expect {
	struct weir_str	 send, text;	/* text "": nothing is waited for, unless there is a regex */
	struct weir_regex *regex;
};

/* Is anything waited for, and is it this?  `e` may be NULL for the first. */
bool	expects_any(const struct weir_expect *e);
bool	expect_met(const struct weir_expect *, struct weir_str came);

struct weir_health {
	struct weir_health *next;	/* of its group */
	struct weir_group *group;
	const struct weir_node *node;
	const struct weir_probe_kind *kind;
	unsigned	 number;	/* in its group */
	uint64_t	 interval_ms, jitter_ms, timeout_ms, keepalive_ms;
	uint64_t	 fails, passes;
	unsigned	 port;		/* 0: the server's own */
	int		 preface;	/* version of a PROXY header that is said first; 0: none */
	bool		 mandatory, persistent, secure;
	struct weir_str	 match;		/* a name */
	struct weir_str	 uri, service;	/* service: of grpc */
	uint64_t	 grpc_status;
	const struct weir_expect *expect;	/* may be NULL */
	const void	*judge;		/* of the room above: what match says there */
	/* The place that it was written in: for TLS, and what the room above takes from there. */
	void *const	*conf;
	const struct weir_module *tls;
	struct weir_str	 host;
	/* of the keeper */
	struct weir_probe *probes;	/* by number of the server */
	struct weir_list turn;		/* of checks with servers that wait */
	struct weir_list waiting;	/* these, first come first */
	unsigned	 under_way;
	struct weir_timer look;
};

struct weir_probe {
	struct weir_health *h;
	struct weir_peer *peer;
	struct weir_timer due, limit;
	struct weir_task over;
	struct weir_list node;		/* of the check's that wait for a place */
	uint64_t	 next_ms;
	uint64_t	 fails, passes;	/* in a row */
	uint32_t	 serial;	/* of the address that these are about */
	bool		 busy, waiting;
	/* of the question that is under way */
	struct weir_pool *pool;
	struct weir_addr addr;
	struct weir_dial dial;
	bool		 dialling, securing, ended, passed;
	struct weir_conn *conn;		/* of probe_connect(), until somebody takes it */
	const char	*alpn;
	void		(*connected)(struct weir_probe *);
	const char	*doing;		/* "connecting", for who is too slow */
	struct weir_log	 log;		/* for rooms below: says which server it is about */
	char		 why[200];
	void		*own;		/* the kind's, in the pool */
	void		*kept;		/* the kind's, from one question to the next */
};

/* ---- for kinds ---- */

/* Connects, with TLS when the check wants it; then calls connected(), with p->conn.  Failures are told here. */
void	probe_connect(struct weir_probe *, const char *alpn, void (*connected)(struct weir_probe *));
/* The PROXY header that the check wants in front; of datagrams always one of version 2. */
struct weir_str probe_preface(const struct weir_probe *);
/* The verdict.  The kind's end() follows, later. */
void	probe_pass(struct weir_probe *);
void	probe_fail(struct weir_probe *, const char *why, ...) WEIR_PRINTF(2, 3);
/* probe.c: gives up what probe_connect() has. */
void	probe_disconnect(struct weir_probe *);

/* ---- while binding ---- */

/*
 * What the words of a health_check say; NULL after complaining.  `kinds` ends with NULL, the first is what is meant
 * without `type=`; `secure`: whether TLS is; `timeout_ms` without `timeout=`.
 */
struct weir_health *health_parse(struct weir_conf *, struct weir_node *, const struct weir_probe_kind *const *kinds,
	    bool secure, uint64_t timeout_ms);
/* It belongs to this group from now on.  When all groups are known. */
int	health_join(struct weir_conf *, struct weir_health *, struct weir_group *) WEIR_MUST_USE;

/* The checks of http, or of stream, and the blocks match.  `what` is the room's that reads it. */
struct weir_match {
	struct weir_match *next;
	const struct weir_node *node;
	void		*what;
	bool		 used;
};

struct weir_checks {
	struct { struct weir_health **v; unsigned n, room; } all;
	struct { struct weir_group **v; unsigned n, room; } groups;	/* of each */
	struct weir_match *matches;
};

/* A check that stands in this scope; health_join() comes when all groups are known. */
int	checks_add(struct weir_conf *, struct weir_scope *, struct weir_checks *, struct weir_health *, struct weir_group *) WEIR_MUST_USE;
/* `match name { }`; NULL after a complaint. */
struct weir_match *checks_match(struct weir_conf *, struct weir_checks *, const struct weir_node *) WEIR_MUST_USE;
/* The one that a check names; NULL after a complaint. */
struct weir_match *checks_find(struct weir_conf *, struct weir_checks *, const struct weir_health *) WEIR_MUST_USE;
/* Warns of those that no check names. */
void	checks_unused(struct weir_conf *, const struct weir_checks *);

/* One line of a match: send or expect; WEIR_AGAIN: it is none of them. */
int	expect_line(struct weir_conf *, const struct weir_node *, struct weir_expect *) WEIR_MUST_USE;

/* ---- in the keeper ---- */

void	health_start(struct weir_health *);
void	checks_start(const struct weir_checks *);

/* ---- health_state.c: the block is locked ---- */

struct weir_state;
struct weir_block;

enum weir_health_change { HEALTH_SAME, HEALTH_WORSE, HEALTH_BETTER };

/* A new state; one that knows an older one (its own, when the block goes on); one of another server. */
void	health_init(const struct weir_group *, struct weir_state *);
void	health_carry(struct weir_group *, unsigned i, const struct weir_health_state *was);
void	health_renew(struct weir_group *, unsigned i);
/* In the master: the block of an older generation is this one's. */
void	health_reopen(struct weir_group *);
/* The same when there is another one: whoever asks stops, unless nobody else begins. */
void	health_pause(struct weir_block *);
/* What a check has found. */
enum weir_health_change health_record(struct weir_probe *);
/* Is it this process that asks the servers of the group? */
bool	health_is_prober(struct weir_group *, bool begin);

#endif
