/*
 * num.h - numbers, sizes and times from text and to text.
 *
 * Readers take the whole of `s`: no sign, no space, nothing left over; they
 * return WEIR_FAIL on anything else and on overflow, and then leave `*to` alone.
 */
#ifndef WEIR_BASE_NUM_H
#define WEIR_BASE_NUM_H

#include "core/base/str.h"

int	 num_u64(struct weir_str, uint64_t *to) WEIR_MUST_USE;
int	 num_i64(struct weir_str, int64_t *to) WEIR_MUST_USE;	/* an optional '-' */
int	 num_hex(struct weir_str, uint64_t *to) WEIR_MUST_USE;
/* nginx's sizes: 10, 10k, 10m, 10g (either case), as bytes. */
int	 num_size(struct weir_str, uint64_t *to) WEIR_MUST_USE;
/* nginx's times: 10, 10s, 1m30s, 1h 30m, 100ms, 1d, 1w, 1M, 1y; a bare number is seconds. */
int	 num_msec(struct weir_str, uint64_t *to) WEIR_MUST_USE;

#define NUM_MAX 24
/* Writes decimal digits (hex: lower case) without NUL; returns their end. */
char	*num_put(char *to, uint64_t);
char	*num_put_hex(char *to, uint64_t);

#endif
