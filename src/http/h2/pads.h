/*
 * pads.h - Huffman strings of a header block that are padded by an octet too many.
 *
 * RFC 7541, 5.2 wants what is padded by more than seven bits refused, and nghttp2 does so; nginx and others
 * read it.  Upstreams that were fine behind those are to be fine here (doc/why/020-padded-strings.md), so such octets are taken out
 * before nghttp2 sees them.  Clients get no such favour.  The padding is ones, too few for a symbol: it says nothing.
 */
#ifndef WEIR_HTTP_H2_PADS_H
#define WEIR_HTTP_H2_PADS_H

#include "core/base/defs.h"

/*
 * Octets to be taken out of a header block of n bytes.  With `to`, which has room for n, the block goes there without them.
 * 0: there are none, or it is no whole header block; then nothing of use is in `to`.  Of very many strings not all are looked at.
 */
size_t	h2_pads(const uint8_t *block, size_t n, uint8_t *to);

#endif
