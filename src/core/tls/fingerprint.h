/*
 * fingerprint.h - what kind of program a client is, told by its ClientHello: JA3 and JA4.
 *
 * JA3 (github.com/salesforce/ja3) is the MD5 of what the hello says in the order of the client, which browsers change by
 * chance nowadays.  JA4 (github.com/FoxIO-LLC/ja4, technical_details/JA4.md) sorts first.  Both leave out GREASE.
 *
 * A fingerprint is kept as numbers, one or two hundred bytes beside a connection; hashes are made when somebody asks.
 * Anybody can send the hello of anybody: it says who a client seems to be, not who he is.
 */
#ifndef WEIR_TLS_FINGERPRINT_H
#define WEIR_TLS_FINGERPRINT_H

#include "core/base/pool.h"
#include "core/tls/hello.h"

enum { JA3_MAX = 32, JA4_MAX = 36 };

struct weir_fp;

/* On what a hello came: the first letter of JA4. */
enum weir_fp_over { FP_TLS = 't', FP_QUIC = 'q', FP_DTLS = 'd' };

/* It keeps nothing of the hello. */
struct weir_fp *fp_new(const struct weir_hello *, enum weir_fp_over);
struct weir_fp *fp_ref(struct weir_fp *);
void	fp_unref(struct weir_fp **);	/* sets it to NULL, which is fine, too */

/*
 * Views that live as long as the fingerprint; made once.  Empty where there is no memory for it, and
 * JA3 also where OpenSSL has no MD5.
 */
struct weir_str fp_ja3(struct weir_fp *);
struct weir_str fp_ja4(struct weir_fp *);

/* Texts in a pool. */
struct weir_str fp_ja3_raw(const struct weir_fp *, struct weir_pool *);
/* JA4_r: sorted, without hashes; JA4_ro: in the order of the client, with server_name and ALPN. */
struct weir_str fp_ja4_raw(const struct weir_fp *, bool sorted, struct weir_pool *);
/* JA4_o: the hashes of JA4_ro. */
struct weir_str fp_ja4_o(const struct weir_fp *, struct weir_pool *);

#endif
