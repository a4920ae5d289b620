/*
 * bind.h - the local address of connections to upstreams: proxy_bind.
 */
#ifndef WEIR_PEER_BIND_H
#define WEIR_PEER_BIND_H

#include "core/net/conn.h"
#include "core/sess/expr.h"

struct weir_bind {
	struct weir_expr addr;
	bool		 transparent, off;
};

/* For set() of proxy_bind and its kin. */
int	bind_conf(struct weir_conf *, struct weir_node *, struct weir_bind *);
#define BIND_ARGS "address[:port] [transparent] | off"
#define BIND_DOC "The local address of connections to the upstream.  May contain variables.  With transparent it may be one that is " \
	"not this machine's, like $remote_addr or $remote_addr:$remote_port, so that the upstream sees the client itself: weir must be started " \
	"by root or with CAP_NET_RAW, which workers keep then, and what the upstream answers must be routed through this machine, and to it " \
	"(ip rule add iif eth1 lookup 100; ip route add local default dev lo table 100)."
/* What it is for this session: fills in the options of dialling, with memory of the session's pool. */
void	bind_choose(struct weir_sess *, const struct weir_bind *, struct weir_dial_opts *);

#endif
