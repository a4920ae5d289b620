/*
 * resolver_in.h - what the files of the resolver share.
 *
 *	resolver.c        the cache, those who wait, time
 *	resolver_answer.c what an answer says
 *	resolver_ares.c   questions by UDP and TCP
 *	resolver_https.c  questions by HTTPS
 *	resolver_conf.c   the directives, and what is counted
 */
#ifndef WEIR_NET_RESOLVER_IN_H
#define WEIR_NET_RESOLVER_IN_H

#include <ares.h>

#include "core/metric/metric.h"
#include "core/net/doh.h"
#include "core/net/resolver.h"

enum { RESOLVER_SRVS = 64 };	/* servers of a service */

/* For the records of one type that a name has; lies in its owner. */
struct resolver_question {
	const char	*name;		/* only while ask() runs */
	ares_dns_rec_type_t type;
	/*
	 * Called once, maybe at once: ARES_SUCCESS, ARES_ENODATA, ARES_ENOTFOUND with the answer, which answers this question
	 * and has so many seconds of its TTLs behind it; another status without, or with one that counts for nothing.
	 */
	void		(*done)(struct resolver_question *, ares_status_t, const ares_dns_record_t *, uint64_t age_s);
};

/* How questions get out and answers in. */
struct resolver_way {
	/* In a worker, once. */
	int	(*start)(struct weir_resolver *);
	void	(*ask)(struct weir_resolver *, struct resolver_question *);
};
extern const struct resolver_way resolver_ares, resolver_https;
/* Before anything of c-ares is used. */
int	resolver_ares_begin(void);

/* A server that is asked by HTTPS. */
enum { RESOLVER_HTTPS_MOST = 16 };
struct resolver_by_https {
	struct weir_doh	*doh;
	uint64_t	 failed_ms;	/* when it did last; 0: it did not. Of this worker */
};

struct weir_resolver {
	const struct resolver_way *way;
	const struct weir_addr	*servers;
	unsigned		 n_servers;
	struct resolver_by_https *https;	/* instead of servers */
	unsigned		 n_https;
	uint64_t		 valid_ms;	/* 0: as answers say */
	uint64_t		 none_ms;	/* resolver_negative_ttl */
	uint64_t		 stale_ms;	/* 0: never */
	bool			 v4, v6, tcp;
	struct weir_str		 zone;		/* the label of what is counted */
	struct weir_metric	 questions, answers, lookups;
	/* this worker's */
	bool			 started;
	struct weir_list	*buckets, used;
	unsigned		 n;
	/* resolver_ares.c's */
	ares_channel_t		*channel;
	struct weir_list	 watches;
	struct weir_timer	 timer;
};

/* Words of what is counted, in their order. */
enum resolver_answered { ANSWER_FOUND, ANSWER_NONE, ANSWER_FAILED, ANSWER_TIMEOUT };
enum resolver_from { FROM_CACHE, FROM_ANSWER, FROM_STALE };

/* What the answers of a round have said so far. */
struct resolver_found {
	struct weir_addr *addrs;
	struct weir_srv	*srvs;
	unsigned	 n;
	unsigned	 depth;		/* names behind one another, of rounds before; */
	unsigned	 deepest;	/* and with those of this round */
	uint64_t	 age_s;		/* of the answer that is taken now */
	bool		 full;		/* there were more of them */
	uint64_t	 ttl_ms;	/* the least */
	uint64_t	 none_ms;	/* so long it may be believed that there is none; UINT64_MAX: nobody said */
	char		*next;		/* a name that is to be asked for instead; NULL: there is no such */
};

void	found_begin(struct resolver_found *);
void	found_end(struct resolver_found *);
/* An answer to a question for this type, also one that says that there is nothing. */
void	found_take(struct resolver_found *, ares_dns_rec_type_t, const ares_dns_record_t *, uint64_t age_s);

#endif
