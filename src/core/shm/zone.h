/*
 * zone.h - named memory that all processes share, and that outlives reloads.
 *
 * Life of a zone:
 *
 *	binding		zone_declare(cf->zones, ...): nothing is mapped yet
 *	opening		zones_open(): the master maps what is new, and finds again what a
 *			generation before, or the binary before, had: by name, kind, size,
 *			version and tag.  What differs in one of these is another zone
 *			and begins empty, and the log says so
 *	fork		children have it at the same address
 *	the end		the memory goes with the last generation that uses it
 *
 * When a reload fails, what it had mapped goes with its cycle; the running one was not touched.
 * Workers of two generations, and of two binaries, may use a zone at once: so everything in
 * one is changed under a lock or atomically, and contains indexes instead of pointers.
 *
 * This room knows no configuration.  zone_declare() says in words what is wrong, and the caller
 * says where: `return conf_error(cf, node, w, "%s", why)`.
 *
 * Most who need a zone need a table: see table.h, which declares it by itself.
 */
#ifndef WEIR_SHM_ZONE_H
#define WEIR_SHM_ZONE_H

#include "core/base/log.h"
#include "core/base/pool.h"

#define ZONE_NAME_MAX	63
#define ZONE_KIND_MAX	23
#define ZONE_TAG_MAX	255
/* As nginx has it: eight pages. */
#define ZONE_SIZE_MIN	(8 * 4096)

struct weir_zone {
	struct weir_zone *next;		/* of its set, in order of declaration */
	const char	*name;
	const char	*kind;		/* who uses it: "limit_req" */
	uint64_t	 size;		/* as declared */
	uint64_t	 version;	/* of the layout */
	struct weir_str	 tag;
	void		(*open)(struct weir_zone *);
	void		*owner;		/* of who declared it */
	/* From zones_open() on: */
	void		*mem;		/* NULL before; aligned to 64; zeroed when fresh */
	size_t		 room;		/* of mem: a little less than size */
	bool		 fresh;		/* nobody used it before */
	struct zone_map	*map;
};

/* The zones of a generation. */
struct weir_zones;

struct weir_zone_want {
	struct weir_str	 name;
	uint64_t	 size;		/* at least ZONE_SIZE_MIN */
	const char	*kind;
	uint64_t	 version;
	/*
	 * What the content depends on besides: the expression of the key, for example.  A
	 * generation with another tag begins with an empty zone.
	 */
	struct weir_str	 tag;
	/*
	 * In the master, when the memory is there: lays it out if zone->fresh.  Must not fail, so
	 * sizes are checked when declaring.
	 */
	void		(*open)(struct weir_zone *);
	void		*owner;
};

/* A set, which lives as long as the pool; with it go its uses of memory. */
struct weir_zones *zones_new(struct weir_pool *);
struct weir_pool *zones_pool(const struct weir_zones *);

/*
 * The zone of that name.  Declaring it twice in a generation in the same way gives the same zone
 * with its first owner; NULL when it was declared otherwise, or the want is not fit: *why says what
 * is wrong.
 */
struct weir_zone *zone_declare(struct weir_zones *, const struct weir_zone_want *, const char **why)
	    WEIR_MUST_USE;
/* How many generations of this process have its memory. */
unsigned zone_users(const struct weir_zone *);
struct weir_zone *zone_find(const struct weir_zones *, struct weir_str name);

/* `name:size`, as most directives write it.  WEIR_FAIL with *why. */
int	 zone_spec(struct weir_str text, struct weir_str *name, uint64_t *size, const char **why)
	    WEIR_MUST_USE;

/*
 * Master: map all of a set, taking from `old` (may be NULL) and from the binary before us what is the
 * same.  WEIR_FAIL after complaining; `old` is never touched.
 */
int	 zones_open(struct weir_zones *, const struct weir_zones *old, struct weir_log *) WEIR_MUST_USE;

/*
 * What cannot be told from the content: how often a process died that may have held something in
 * the zone.  The number rises when a worker ended otherwise than by its own will, and when a part
 * of a table had to be emptied.  Who keeps sums of what living processes hold (limit_conn) counts
 * again when it has risen.
 */
uint32_t zone_deaths(const struct weir_zone *);
void	 zone_hurt(struct weir_zone *);
/* Master: a process that had these zones has died. */
void	 zones_hurt(struct weir_zones *);

/*
 * Binary upgrade: the descriptors of all zones as text, to be kept open over execve(2) by
 * zones_keep_open(); the new master gives the text to zones_inherit() before its first
 * zones_open().  Where the system cannot do that, the new binary begins with empty zones.
 */
struct weir_str zones_export(const struct weir_zones *, struct weir_pool *);
void	 zones_keep_open(const struct weir_zones *);
void	 zones_inherit(const char *text);
/* In a child: the memory is enough, the descriptors are the master's. */
void	 zones_close_fds(void);

#endif
