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
#define BIND_ARGS "address [transparent] | off"
/* What it is for this session: fills in the options of dialling, with memory of the session's pool. */
void	bind_choose(struct weir_sess *, const struct weir_bind *, struct weir_dial_opts *);

#endif
