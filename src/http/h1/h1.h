/*
 * h1.h - the codec of HTTP/1.0 and 1.1.
 */
#ifndef WEIR_HTTP_H1_H1_H
#define WEIR_HTTP_H1_H1_H

#include "http/codec.h"

extern const struct weir_codec h1_codec;

/* server.c */
void	h1_serve(struct weir_conn *, const struct weir_serve *);

void	h1_reread(struct weir_pool *, struct weir_str raw, struct weir_msg *);

/* client.c */
struct weir_link *h1_link(struct weir_conn *);
struct weir_xchg *h1_open(struct weir_link *, struct weir_pool *);
void	h1_end(struct weir_link *);

#endif
