/*
 * share.h - blocks in zones, that all workers share.
 *
 * A zone has slots, one for each process that uses it; a process holds its slot's lock for as long as it
 * lives, so whoever finds that lock without an owner knows that the process is dead, and gives back
 * what it held.
 */
#ifndef WEIR_PEER_SHARE_H
#define WEIR_PEER_SHARE_H

#include "core/peer/block.h"
#include "core/shm/zone.h"

struct weir_shared {		/* a zone with blocks; one for each generation */
	struct weir_zone *zone;
	struct weir_pool *pool;
	struct weir_group *groups;	/* by next_shared */
	struct share_area *area;	/* from zones_open() on */
	/* of this process: */
	int		 slot;
	unsigned	 epoch;		/* in which the slot was taken; 0: never */
	uint32_t	 deaths;
	uint64_t	 looked_ms;
};

/*
 * While binding: the zone of that name for this group.  NULL with *why.  share_check(), when all groups are
 * known, says whether they fit; *most is the group with the most servers.
 */
struct weir_shared *share_declare(struct weir_zones *, struct weir_str name, uint64_t size, const char **why);
void	share_join(struct weir_shared *, struct weir_group *);
int	share_check(const struct weir_shared *, const struct weir_group **most) WEIR_MUST_USE;
/* Before any group of the zone has spare peers: how many each can have, so that later generations have room too. */
unsigned share_spares(const struct weir_shared *);

/* In a process that begins to serve: if it was forked, what slots it had are its parent's. */
void	share_forked(void);
/* Locks and unlocks the group's block, if others could come. */
void	share_lock(struct weir_group *);
void	share_unlock(struct weir_group *);
/*
 * The same for a change that must not be lost: WEIR_FAIL, and nothing is locked, when a newer generation has another
 * block or is being made.
 */
int	share_lock_current(struct weir_group *) WEIR_MUST_USE;
void	share_unlock_current(struct weir_group *);
/* Does no newer generation have another block? */
bool	share_is_current(struct weir_group *);
/* Only one process at a time is between these; may wait for as long as a disk takes. */
void	share_begin_save(struct weir_group *);
void	share_end_save(struct weir_group *);
/* The slot of this process; -1: the group is not shared, or there are more processes than slots. */
int	share_slot(struct weir_group *);
/* Before it is locked: gives back what the dead held. */
void	share_look(struct weir_group *);
/* A connection more (1) or less (-1) of a peer, told to the heirs of its block, which is locked. */
void	share_tell_heirs(struct weir_group *, unsigned i, int by);
/* The same of trials of its circuit: see breaker.h. */
void	share_tell_trials(struct weir_group *, unsigned i, int by);

#endif
