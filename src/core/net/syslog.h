/*
 * syslog.h - logs that go to a syslog server, as datagrams (RFC 3164, as nginx writes it).
 *
 * Nothing here blocks or fails the caller: a record that the socket does not take is lost, counted, and
 * told of in the error log (log_file_lost()).  The socket is connected with the first
 * record, and again after an error.  Places that name the same server share its socket.
 */
#ifndef WEIR_NET_SYSLOG_H
#define WEIR_NET_SYSLOG_H

#include "core/conf/conf.h"

struct weir_syslog;

/* Does the word mean one? */
static inline bool
is_syslog(struct weir_str word)
{
	return str_begins(word, STR("syslog:"));
}

/*
 * Reads word w, `syslog:server=address[,facility=...][,severity=...][,tag=...][,nohostname]`; NULL after
 * complaining.  It lives as long as the configuration.
 */
struct weir_syslog *syslog_read(struct weir_conf *, const struct weir_node *, unsigned w);

/* An error log's output, whose severity is the level of each message. */
void	syslog_add(struct weir_pool *, struct weir_log *, struct weir_syslog *, enum weir_level,
	    bool json);
/* Send a record, without line end. */
void	syslog_put(const struct weir_syslog *, const char *, size_t);

#endif
