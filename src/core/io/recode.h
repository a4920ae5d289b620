/*
 * recode.h - a source whose text changes from one character set to another.
 *
 * Between two sets of one byte for each character, or between one such and UTF-8.  Characters cut by the
 * borders of reads are put together again.
 */
#ifndef WEIR_IO_RECODE_H
#define WEIR_IO_RECODE_H

#include "core/base/pool.h"
#include "core/io/change.h"

enum weir_recode_kind { RECODE_BYTES, RECODE_TO_UTF8, RECODE_FROM_UTF8 };

struct weir_recode_map {
	enum weir_recode_kind kind;
	union {
		uint8_t		 byte[256];		/* RECODE_BYTES */
		struct {
			uint8_t	 n;
			char	 s[3];
		}		 utf8[256];		/* RECODE_TO_UTF8 */
		uint8_t		*page[256];		/* RECODE_FROM_UTF8: by code point >> 8, & 255; 0: none */
	};
};

/* ASCII stays as it is; all else has no counterpart, which is '?', or &#number; from UTF-8. */
struct weir_recode_map *recode_map_new(struct weir_pool *, enum weir_recode_kind);
/* That byte is this code point (of the BMP), for both kinds with UTF-8. */
void	recode_map_add(struct weir_recode_map *, struct weir_pool *, uint8_t, uint32_t code);
/* The one code point that `s` is in UTF-8, or UINT32_MAX. */
uint32_t recode_utf8(struct weir_str);

struct weir_recode {
	struct weir_change change;
	const struct weir_recode_map *map;	/* set by the owner, the rest is zero */
	uint8_t		 part[4];		/* of a character that has not come whole */
	unsigned	 n_part;
};

void	recode_init(struct weir_recode *, struct weir_src *below);

#endif
