/*
 * preface.h - the PROXY header that an upstream gets in front of a connection: what proxy_protocol and
 * proxy_protocol_tlv say.
 *
 * Modules that make connections to upstreams have the rows of preface_rows.h and a struct weir_preface_conf, ask
 * preface_make() before they dial, and give what it says to dial_start().  A connection that began so speaks for one
 * client: whoever keeps connections compares (conn_preface_is()).
 */
#ifndef WEIR_PEER_PREFACE_H
#define WEIR_PEER_PREFACE_H

#include "core/net/proxy_protocol.h"
#include "core/sess/expr.h"

struct weir_preface_tlv {
	unsigned	 type;
	struct weir_expr value;	/* not of ssl and crc32c */
};

struct weir_preface_conf {
	int		 version;	/* 0: there is no header */
	struct {
		struct weir_preface_tlv *v;
		unsigned n, room;
	}		 tlvs;
};

extern const struct weir_choice preface_versions[];
/* set() of proxy_protocol_tlv. */
int	preface_conf_tlv(struct weir_conf *, struct weir_node *, struct weir_preface_conf *) WEIR_MUST_USE;
/* From ready(); `n`: about what complaints are. */
int	preface_conf_ready(struct weir_conf *, const struct weir_node *n, const struct weir_preface_conf *) WEIR_MUST_USE;

/*
 * What is to be said for this session, in its pool; empty when nothing is.  The client is the one that realip found.
 * `datagram`: in front of a datagram.  WEIR_FAIL: it would be too long, and that was logged.
 */
int	preface_make(struct weir_sess *, const struct weir_preface_conf *, bool datagram, struct weir_str *to)
	    WEIR_MUST_USE;

#endif
