/*
 * conf.h - what the directives http2* say.
 */
#ifndef WEIR_HTTP_H2_CONF_H
#define WEIR_HTTP_H2_CONF_H

#include "http/h2/h2.h"

struct h2_conf {
	bool		 on;
	bool		 extended;		/* http2_extended_connect */
	int64_t		 streams;		/* http2_max_concurrent_streams */
	uint64_t	 preread;		/* http2_body_preread_size */
	uint64_t	 chunk;			/* http2_chunk_size */
};

static inline const struct h2_conf *
h2_conf_in(void *const *conf)
{
	return conf[*http_v2_module.index];
}

#endif
