/*
 * gzip_ok.h - does the client take a compressed response?
 *
 * The question is the same whether the response was compressed beforehand (modules/gzip_static.c) or
 * is while it is sent; so are the directives gzip_http_version, gzip_proxied, gzip_disable and
 * gzip_vary.
 */
#ifndef WEIR_HTTP_REQ_GZIP_OK_H
#define WEIR_HTTP_REQ_GZIP_OK_H

#include "http/req/req.h"

/*
 * How much the client wants a coding, by name: from 1 to 1000, its qvalue; 0: not at all.  "*" counts for
 * none, as with nginx: it comes from programs that do not look at what they get.
 */
unsigned coding_wanted(struct weir_req *, struct weir_str name);
/*
 * May it be any coding at all, by version, proxies between us (Via) and what gzip_disable says?  Fields
 * of the response that are known already count for gzip_proxied.
 */
bool	coding_allowed(struct weir_req *);
/* Would another client get another coding of this response?  Then gzip_vary adds Vary. */
#define coding_varies(r)	((r)->vary_encoding = true)
/* gzip_vary of the place. */
bool	coding_vary_on(struct weir_req *);

#endif
