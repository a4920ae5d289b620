/*
 * rules_conf.h - directives about responses that proxy modules share.
 *
 * Each reads one directive into the module's params, which were cleared when it is the first of its
 * place; `before`: it is not.  WEIR_FAIL after complaining.
 */
#ifndef WEIR_HTTP_UP_RULES_CONF_H
#define WEIR_HTTP_UP_RULES_CONF_H

#include "http/up/up.h"

int	up_conf_cookie_domain(struct weir_conf *, struct weir_node *, struct weir_up_params *, bool before);
int	up_conf_cookie_path(struct weir_conf *, struct weir_node *, struct weir_up_params *, bool before);
int	up_conf_cookie_flags(struct weir_conf *, struct weir_node *, struct weir_up_params *, bool before);
int	up_conf_store(struct weir_conf *, struct weir_node *, struct weir_up_params *);
int	up_conf_store_access(struct weir_conf *, struct weir_node *, struct weir_up_params *);
/* For ready(), where responses are stored: the folder is declared. */
int	up_conf_store_ready(struct weir_conf *, struct weir_scope *, const struct weir_up_params *);

#endif
