/*
 * addr.h - addresses: IPv4, IPv6, unix sockets.
 */
#ifndef WEIR_NET_ADDR_H
#define WEIR_NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/base/pool.h"

struct weir_addr {
	union {
		struct sockaddr		sa;
		struct sockaddr_in	in;
		struct sockaddr_in6	in6;
	};
	const char	*path;		/* AF_UNIX: the path, or "" for a peer without one */
};

union weir_sockaddr {			/* what the kernel wants */
	struct sockaddr		sa;
	struct sockaddr_in	in;
	struct sockaddr_in6	in6;
	struct sockaddr_un	un;
	struct sockaddr_storage	ss;
};

#define ADDR_TEXT_MAX	(sizeof(((struct sockaddr_un *)0)->sun_path) + 16)

/* To and from the kernel's form.  addr_from: path of a unix address is kept in `pool` (NULL: not kept). */
socklen_t addr_to_kernel(const struct weir_addr *, union weir_sockaddr *);
void	addr_from_kernel(struct weir_addr *, const union weir_sockaddr *, socklen_t, struct weir_pool *);

/* An address without a port from text: 1.2.3.4, ::1, [::1].  No names. */
int	addr_parse_ip(struct weir_str, struct weir_addr *) WEIR_MUST_USE;
/* The same with or without a port, as X-Forwarded-For has it: 1.2.3.4:80, [::1]:80; port 0 when there is none. */
int	addr_parse_ip_port(struct weir_str, struct weir_addr *) WEIR_MUST_USE;
/* Would it be an address, or a name, for addr_parse(), if only it had a port? */
bool	addr_lacks_port(struct weir_pool *, struct weir_str);
/*
 * 1.2.3.4:80, [::1]:80, :80, *:80, 80, unix:/path; without a port `port` is used (0: an
 * error unless unix).  A name is WEIR_AGAIN: then *host and *port_out tell its parts.
 */
int	addr_parse(struct weir_pool *, struct weir_str, unsigned port, struct weir_addr *,
	    struct weir_str *host, unsigned *port_out) WEIR_MUST_USE;
/* All addresses of a name, now, blocking (configuration time only). NULL and *err when there are none. */
struct weir_addr *addr_lookup(struct weir_pool *, struct weir_str host, unsigned port, unsigned *n,
	    const char **err);

unsigned addr_port(const struct weir_addr *);
void	addr_set_port(struct weir_addr *, unsigned);
bool	addr_is_wild(const struct weir_addr *);		/* 0.0.0.0 or :: */
bool	addr_eq(const struct weir_addr *, const struct weir_addr *);	/* with port */
/* Text without / with port; returns the length.  `to` has room for ADDR_TEXT_MAX. unix: "unix:" or "unix:/path". */
size_t	addr_put_ip(char *to, const struct weir_addr *);	/* IPv6 without brackets */
size_t	addr_put(char *to, const struct weir_addr *);
/* The bytes of the IP address (4 or 16), or the path. */
struct weir_str addr_bytes(const struct weir_addr *);

#endif
