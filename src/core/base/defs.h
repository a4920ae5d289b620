/*
 * defs.h - the few macros and result codes that every room uses.
 */
#ifndef WEIR_BASE_DEFS_H
#define WEIR_BASE_DEFS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What a function hands up.  Functions that count return ssize_t, and one of
 * these when there is nothing to count.
 */
enum weir_rc {
	WEIR_OK    =  0,
	WEIR_AGAIN = -1,	/* nothing now: a notice will come, look again then */
	WEIR_EOF   = -2,	/* orderly end of this direction */
	WEIR_FAIL  = -3		/* broken, refused or malformed; said where it happened */
};

#define WEIR_MUST_USE		__attribute__((warn_unused_result))
#define WEIR_PRINTF(f, a)	__attribute__((format(printf, f, a)))
#define WEIR_NORETURN		__attribute__((noreturn))
#define WEIR_UNUSED		__attribute__((unused))
#define WEIR_HOT		__attribute__((hot))
#define WEIR_COLD		__attribute__((cold))

#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)

#define WEIR_COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define WEIR_MIN(a, b)		((a) < (b) ? (a) : (b))
#define WEIR_MAX(a, b)		((a) > (b) ? (a) : (b))

/* Built under AddressSanitizer: nothing is recycled then, so that a use after free shows. */
#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif
#ifndef WEIR_ASAN
#define WEIR_ASAN 0
#endif

/* The struct of which `p` is the member `field`. */
#define WEIR_OF(p, type, field) \
	((type *)(void *)((char *)(p) - offsetof(type, field)))

/*
 * Long-lived objects begin with a magic number; WEIR_CAST checks it where a
 * `void *` becomes a type.  `struct weir_req` needs `WEIR_REQ_MAGIC` and a first
 * member `uint32_t magic`.
 */
#define WEIR_CAST(p, type, number) ({					\
	struct type *cast_ = (void *)(p);				\
	assert(cast_->magic == (number));				\
	cast_;								\
})

/* a + b and a * b on what a peer decided: true when the result does not fit. */
#define weir_add(a, b, to)	__builtin_add_overflow((a), (b), (to))
#define weir_mul(a, b, to)	__builtin_mul_overflow((a), (b), (to))

#endif
