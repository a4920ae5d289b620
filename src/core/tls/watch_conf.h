/*
 * watch_conf.h - what is watched; for the files of this room.
 */
#ifndef WEIR_TLS_WATCH_CONF_H
#define WEIR_TLS_WATCH_CONF_H

#include "core/tls/pairs.h"
#include "core/tls/watch.h"

/* Pairs of the configuration that is being bound; made when the first is asked for. */
struct weir_tls_pairs *watch_pairs(struct weir_conf *);

#endif
