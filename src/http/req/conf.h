/*
 * conf.h - what http, server and location blocks say: the typed form.
 */
#ifndef WEIR_HTTP_REQ_CONF_H
#define WEIR_HTTP_REQ_CONF_H

#include "core/base/hash.h"
#include "core/conf/conf.h"
#include "core/net/listen.h"
#include "core/proc/cycle.h"
#include "core/sess/expr.h"
#include "core/sess/regex.h"
#include "core/site/site.h"
#include "core/tls/tls.h"

extern const struct weir_module http_module;	/* core.c */

/* Serves a new connection of an http listener; set by http.c before anything is accepted. */
extern void (*http_on_conn)(struct weir_conn *);

enum weir_loc_kind { LOC_PREFIX, LOC_PREFIX_FINAL /* ^~ */, LOC_EXACT, LOC_REGEX, LOC_NAMED, LOC_PSEUDO /* if, limit_except */ };

struct weir_loc_index;		/* locations.c: longest prefix and regexes of one level */

struct weir_location {
	enum weir_loc_kind	 kind;
	struct weir_str		 name;		/* as written: the prefix, the pattern, @name */
	struct weir_regex	*regex;
	struct weir_scope	*scope;
	void *const		*conf;		/* scope->conf */
	struct weir_loc_index	*nested;	/* NULL: none */
	struct weir_location	*parent;
	const struct weir_node	*node;
	/* limit_except; NULL: none.  Not inherited: what is nested has its own. */
	const struct weir_limit_except *limit_except;
	bool			 passes;	/* proxy_pass, or its like, stands here, not only above */
	bool			 auto_redirect;	/* "/dir/" whose "/dir" is answered with 301 (proxy_pass and the like) */
};

struct weir_http_server {
	struct weir_site	 site;		/* its name is for $server_name and redirects */
	struct weir_scope	*scope;
	void *const		*conf;
	const struct weir_node	*node;
	struct weir_loc_index	*locations;
	struct weir_hash	 named;		/* @name -> struct weir_location */
	struct weir_serve	*serve;		/* worker: what the assembly tells codecs */
	bool			 connects;	/* a place of it has a use for CONNECT */
};

struct weir_http_main;		/* the http block: core.h */

enum weir_symlinks { SYMLINKS_ALL, SYMLINKS_NONE, SYMLINKS_OWN };	/* those that may be followed */

/* The core's directives.  Fields that http/server decide are the same for all their locations. */
struct weir_http_conf {
	/* http, server */
	uint64_t	 client_header_ms;
	uint64_t	 header_buffer;			/* client_header_buffer_size */
	uint64_t	 large_n, large_size;		/* large_client_header_buffers */
	int64_t		 max_headers;
	bool		 ignore_invalid, underscores, merge_slashes;
	/* http, server, location */
	struct weir_expr root, alias;			/* alias.set: it is an alias */
	const struct weir_location *alias_of;		/* whose name the alias stands for */
	enum weir_symlinks symlinks;			/* disable_symlinks */
	struct weir_expr symlinks_from;
	struct weir_filecache *files;			/* open_file_cache; NULL: off */
	uint64_t	 files_valid_ms;
	int64_t		 files_min_uses;
	bool		 files_errors;
	uint64_t	 client_body_ms, send_ms;
	uint64_t	 max_body;			/* client_max_body_size, 0: any */
	uint64_t	 body_buffer;			/* client_body_buffer_size */
	int		 body_in_file_only;		/* enum: 0 off, 1 on, 2 clean */
	struct weir_str	 body_temp_path;
	uint64_t	 keepalive_ms, keepalive_header_ms, keepalive_time_ms, keepalive_min_ms;
	int64_t		 keepalive_requests;
	unsigned	 keepalive_disable;
	int		 lingering;			/* 0 off, 1 on, 2 always */
	uint64_t	 linger_ms, linger_each_ms;
	bool		 reset_timedout;
	bool		 tcp_nodelay, tcp_nopush, sendfile;
	uint64_t	 sendfile_max_chunk;
	bool		 aio_threads;
	struct weir_str	 default_type;
	struct weir_hash *types;			/* extension (lower case) -> struct weir_str * */
	bool		 etag;
	int		 if_modified_since;		/* 0 off, 1 exact, 2 before */
	int		 server_tokens;			/* 0 off, 1 on, 2 build */
	struct weir_expr server_tokens_expr;
	bool		 absolute_redirect, server_name_in_redirect, port_in_redirect;
	bool		 chunked_transfer_encoding;
	bool		 log_not_found, log_subrequest;
	bool		 recursive_error_pages;
	bool		 internal;
	int		 satisfy;
	uint64_t	 auth_delay_ms;
	struct weir_expr limit_rate, limit_rate_after;
	struct weir_expr early_hints;			/* condition to pass 103 on; not set: never */
	struct weir_error_page *error_pages;		/* a list, in the order of the file */
	struct core_log	 error_log;			/* http_log() knows what it means */
	int64_t		 max_ranges;
	struct weir_http_main *main;			/* of the http block; only for core.c */
};

/* Where a place logs: what it says, or else what main says. */
static inline const struct weir_log *
http_log(const struct weir_http_conf *c)
{
	return c->error_log.scope != NULL ? &c->error_log.log : &weir_cycle->log;
}

struct weir_error_page {
	struct weir_error_page *next;
	int		 status;		/* of the error */
	int		 new_status;		/* =200; 0: what the page's own response says (=), -1: unchanged */
	struct weir_expr to;			/* /uri, @named or http://... */
};

struct weir_limit_except {
	unsigned	 methods;		/* bits 1 << enum weir_method: these are not limited */
	struct weir_location *inner;		/* the place for all others */
};

/* TLS (route.c): as site_tls_name() and site_tls_of(). */
struct weir_http_server *route_tls_name(const struct weir_listen *, struct weir_str name);
const struct weir_tls_ctx *route_tls_of(const struct weir_listen *, const struct weir_http_server *);
/*
 * Finding (route.c).  `host` as host_parse() gives it, empty when there was none.  0; or a status, and *server is left as
 * it was: 500, a regex of server_name gave up (it is logged), or 421, TLS for this host does not end here.
 */
int	route_server(struct weir_listen *, struct weir_sess *, struct weir_str host, struct weir_http_server **server)
	    WEIR_MUST_USE;
/*
 * Is the host (as route_server() has it) a name that some server was given, on this address or on any with TLS?  That TLS
 * counts has to be said while binding, of a scope in http, by route_want_tls_names().
 */
bool	route_knows(const struct weir_listen *, const struct weir_http_server *, struct weir_str host);
void	route_want_tls_names(const struct weir_scope *);
/* While binding, when all blocks are read: that name of no server is one, too. */
void	route_know(const struct weir_scope *, const struct weir_server_name *);
/*
 * WEIR_OK and *found, which may be NULL (server level).  ROUTE_SLASH: *found is a location "/dir/" with
 * auto_redirect and the path is "/dir": answer 301 with a slash added, in that location.
 * WEIR_FAIL: a regex gave up (500).
 */
#define ROUTE_SLASH 1
int	route_location(struct weir_http_server *, struct weir_sess *, struct weir_str path,
	    struct weir_location **found);
/* Does `listen ... http2` say that HTTP/2 is spoken there? */
bool	route_http2(const struct weir_listen *);
/* The first server of the address: its settings apply before Host is known. */
struct weir_http_server *route_default(struct weir_listen *);

#endif
