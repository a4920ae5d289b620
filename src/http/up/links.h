/*
 * links.h - connections to upstreams, kept for the next request.
 *
 * A link is lent to one exchange.  Who borrowed it never closes it: links_return() decides.
 */
#ifndef WEIR_HTTP_UP_LINKS_H
#define WEIR_HTTP_UP_LINKS_H

#include "core/peer/peer.h"
#include "http/codec.h"

/*
 * An idle link of this kind (0: clear; else peer_tls_kind()) to this peer, the one used last; NULL when there
 * is none.
 */
struct weir_link *links_take(struct weir_group *, struct weir_peer *, uint64_t kind);
/*
 * After the release of its exchange: keeps an idle link if the group wants it, else ends it.  `keep` false: the
 * borrower knows a reason not to.
 */
void	links_return(struct weir_link *, struct weir_group *, struct weir_peer *, bool keep);
/* Idle links of this worker. */
unsigned links_idle(void);
/* End all idle links: the worker retires. */
void	links_end_all(void);

#endif
