/*
 * change.h - servers of a group come, go and change while it works.
 *
 * Only where all workers share what they know: groups with `zone`, and group_allow_changes() in their configuration.
 * Then there are spare peers, behind those of the first tier and of the backups, vacant until somebody is added; how many
 * depends on the zone's size.  Who changes something does so in the block, under its lock; the other workers notice the
 * new version when they choose next (resolve_keep_up()), and make sums, points and tokens anew.
 *
 * Who was removed gets nothing more; what it has is finished, and then its place may be another's.
 *
 * What was changed holds until the next reload, after which the configuration counts again; see save.h.
 */
#ifndef WEIR_PEER_CHANGE_H
#define WEIR_PEER_CHANGE_H

#include "core/peer/block.h"

enum server_state { SERVER_UP, SERVER_DOWN, SERVER_DRAINING, SERVER_UNAVAILABLE, SERVER_UNHEALTHY, SERVER_CHECKING };

/* What is to be changed; the fields of those bits count. */
enum {
	SET_WEIGHT	= 1 << 0,
	SET_MAX_CONNS	= 1 << 1,
	SET_MAX_FAILS	= 1 << 2,
	SET_FAIL_TIMEOUT = 1 << 3,
	SET_SLOW_START	= 1 << 4,
	SET_DOWN	= 1 << 5,
	SET_DRAIN	= 1 << 6
};

struct weir_server {
	uint32_t	 id;
	struct weir_str	 name;		/* an address, as it was written */
	struct weir_str	 host;		/* the name that the address came from; "": none */
	struct weir_str	 text;		/* the address with port */
	struct weir_str	 route;
	unsigned	 set;		/* SET_ bits, of servers_change() */
	unsigned	 weight, max_conns, max_fails;
	uint64_t	 fail_timeout_ms, slow_start_ms;
	unsigned	 slow_start_min;	/* per cent */
	unsigned	 priority;	/* 0: a backup */
	bool		 backup, down, drain;
	/* how it is doing: */
	bool		 fixed;		/* DNS says that it is there: no change */
	enum server_state state;
	unsigned	 active;
	uint64_t	 requests, failures, outages;
	bool		 checked;	/* by health_check: */
	bool		 last_passed;
	unsigned	 checks, check_fails, unhealthy;
	unsigned	 header_ms, response_ms;	/* averages, where they are measured */
};

struct weir_servers {
	struct weir_server *v;
	unsigned	 n, zombies;	/* who has left and is not through yet */
	uint32_t	 changes;	/* what was made until now */
};

enum server_error {
	SERVERS_OK,
	SERVERS_STATIC,		/* the group has no memory that workers share */
	SERVERS_BUSY,		/* a reload is under way: ask the workers of the new generation */
	SERVERS_FULL,
	SERVERS_UNKNOWN,	/* no such id */
	SERVERS_FIXED,
	SERVERS_ADDRESS, SERVERS_PORT, SERVERS_NAME, SERVERS_ROUTE, SERVERS_BACKUP, SERVERS_WEIGHT, SERVERS_WEIGHTS, SERVERS_CONNS,
	SERVERS_FAILS, SERVERS_WARM,
	SERVERS_ERRORS
};
/* In words, for whoever asked. */
const char *servers_error(enum server_error);

/* What a server is that says nothing but its address. */
void	servers_default(struct weir_server *);
/* All who are there; texts lie in the pool. */
void	servers_list(struct weir_group *, struct weir_pool *, struct weir_servers *to);
/*
 * *s, of which the first part counts, joins the group; its id is told.  Addresses only: nobody would
 * notice when a name gets another one.
 */
enum server_error servers_add(struct weir_group *, struct weir_server *s) WEIR_MUST_USE;
enum server_error servers_remove(struct weir_group *, uint32_t id) WEIR_MUST_USE;
/* The fields that s->set names, of the server with s->id. */
enum server_error servers_change(struct weir_group *, const struct weir_server *s) WEIR_MUST_USE;

/* ---- for resolve.c ---- */

/* The peer becomes who has the place. */
void	change_take(struct weir_peer *, const struct weir_place *);

#endif
