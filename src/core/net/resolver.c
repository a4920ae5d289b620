/*
 * resolver.c - names to addresses: the cache, and those who wait.
 *
 * Both kinds of addresses are asked for at once; when neither question gave any but an alias, what that stands for
 * is asked for in turn.  How questions get out is resolver_ares.c's and resolver_https.c's, what an answer says resolver_answer.c's.
 *
 *	NEW -> ASKING -> KNOWN -> (expires) -> ASKING ...
 *	          |                               |
 *	          +-> forgotten, when the         +-> KNOWN for a moment longer, when the answer says nothing
 *	              answer says nothing             and the old one may be served stale
 */
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/net/resolver_in.h"

enum {
	BUCKETS = 1024,
	LEAST_MS = 1000,		/* a TTL of 0 is taken for this */
	HALF_MS = 10000,		/* how long addresses of one kind do when the other kind could not be had */
	HALF_WAIT_MS = 300,		/* how long those are kept back for the other kind (RFC 8305, 3) */
	NOBODY_SAID_MS = 5000,		/* how long "there is none" is believed, when the answer has no SOA */
	/* RFC 8767, 5: so long a client waits before it gets what is stale, and so long it does then */
	STALE_WAIT_MS = 1800, STALE_AGAIN_MS = 5000
};

struct entry {
	struct weir_list	 bucket, used;	/* used: of all, the one used last is first */
	struct weir_resolver	*r;
	char			*name;		/* lower case */
	size_t			 n_name;
	bool			 is_srv;
	struct weir_list	 waiting;
	struct weir_task	 tell;
	bool			 telling;
	/* what is known */
	enum weir_resolved	 how;
	struct resolver_found	 known;
	uint64_t		 until_ms;	/* 0: nothing is */
	uint64_t		 stale_ms;	/* until then it is better than nothing */
	bool			 is_stale;
	unsigned		 told;		/* how often */
	/* while it is asked for */
	bool			 asking;
	uint8_t			 asked;		/* questions without an answer so far */
	enum weir_resolved	 failed;	/* RESOLVED: none did */
	struct resolver_found	 now;
	struct resolver_question first, second;
	struct weir_timer	 hurry;		/* those who wait could have what is stale, or half of it */
};

const char *
resolve_error(enum weir_resolved how)
{
	static const char *const texts[] = {
		[RESOLVED] = "0: Success", [RESOLVE_NO_NAME] = "3: Host not found",
		[RESOLVE_FAIL] = "2: Server failure", [RESOLVE_TIMEOUT] = "110: Operation timed out",
		[RESOLVE_BUSY] = "too many names are being resolved",
	};

	return texts[how];
}

/* ---- entries ---- */

static void
forget(struct entry *e)
{
	assert(list_empty(&e->waiting) && e->asked == 0);
	list_remove(&e->bucket);
	list_remove(&e->used);
	task_off(&e->tell);
	timer_off(&e->hurry);
	e->r->n--;
	found_end(&e->known);
	found_end(&e->now);
	mem_free(e->name);
	mem_free(e);
}

static void
tell(struct entry *e, struct weir_lookup *l)
{
	bool found = e->how == RESOLVED;

	lookup_cancel(l);
	l->how = e->how;
	l->addrs = e->known.addrs;
	l->srvs = e->known.srvs;
	l->n = found ? e->known.n : 0;
	l->turn = e->told++;
	metric_add(&e->r->lookups, e->is_stale ? FROM_STALE : l->cached ? FROM_CACHE : FROM_ANSWER, 1);
	l->done(l);
}

/* Those who wait now: who comes meanwhile is told in the next turn, or waits for the next answer. */
static void
on_tell(struct weir_task *t)
{
	struct entry *e = WEIR_OF(t, struct entry, tell);
	struct weir_list now;

	if (!list_empty(&e->waiting)) {
		now = e->waiting;
		now.next->prev = now.prev->next = &now;
		list_init(&e->waiting);
		e->telling = true;
		while (!list_empty(&now))
			tell(e, list_first(&now, struct weir_lookup, node));
		e->telling = false;
	}
	if (e->until_ms == 0 && !e->asking && list_empty(&e->waiting))
		forget(e);
}

static struct weir_list *
bucket_of(struct weir_resolver *r, struct weir_str name)
{
	return &r->buckets[siphash(name.p, name.n) % BUCKETS];
}

static struct entry *
find(struct weir_resolver *r, struct weir_str name, bool is_srv)
{
	struct weir_list *at;

	list_each(at, bucket_of(r, name)) {
		struct entry *e = WEIR_OF(at, struct entry, bucket);

		if (e->is_srv == is_srv && str_eq(str_of(e->name, e->n_name), name))
			return e;
	}
	return NULL;
}

/* False: all that there are are being asked for. */
static bool
make_room(struct weir_resolver *r)
{
	struct weir_list *at;

	if (r->n < RESOLVER_NAMES)
		return true;
	for (at = r->used.prev; at != &r->used; at = at->prev) {
		struct entry *e = WEIR_OF(at, struct entry, used);

		if (e->asking || e->telling || !list_empty(&e->waiting))
			continue;
		forget(e);
		return true;
	}
	return false;
}

static void on_hurry(struct weir_timer *);

static struct entry *
entry_new(struct weir_resolver *r, struct weir_str name)
{
	struct entry *e;

	if (!make_room(r))
		return NULL;
	e = mem_zalloc(sizeof *e);
	e->r = r;
	e->name = mem_alloc(name.n + 1);
	memcpy(e->name, name.p, name.n);
	e->name[name.n] = '\0';
	e->n_name = name.n;
	list_init(&e->waiting);
	list_push(bucket_of(r, name), &e->bucket);
	list_push(&r->used, &e->used);
	task_init(&e->tell, on_tell);
	timer_init(&e->hurry, on_hurry);
	r->n++;
	return e;
}

/* ---- better than nothing ---- */

static bool
may_be_stale(const struct entry *e)
{
	return e->known.n != 0 && weir_now_ms < e->stale_ms;
}

static void
serve_stale(struct entry *e)
{
	e->until_ms = WEIR_MIN(weir_now_ms + STALE_AGAIN_MS, e->stale_ms);
	e->is_stale = true;
	task_post(&e->tell);
}

/* Addresses of one kind are there, and the other kind does not come. */
static void
serve_half(struct entry *e)
{
	found_end(&e->known);
	e->known.n = e->now.n;
	e->known.addrs = mem_alloc(e->now.n * sizeof *e->now.addrs);
	memcpy(e->known.addrs, e->now.addrs, e->now.n * sizeof *e->now.addrs);
	e->how = RESOLVED;
	e->is_stale = false;
	e->until_ms = weir_now_ms + HALF_MS;
	e->stale_ms = e->until_ms + e->r->stale_ms;
	task_post(&e->tell);
}

static void
on_hurry(struct weir_timer *t)
{
	struct entry *e = WEIR_OF(t, struct entry, hurry);

	if (e->now.n != 0)
		serve_half(e);
	else if (may_be_stale(e))
		serve_stale(e);
}

/* ---- answers ---- */

static void ask(struct entry *, const char *name);	/* the cycle: ask -> on_answer -> judge -> ask the alias */

static uint64_t
life_of_none(const struct entry *e)
{
	const struct weir_resolver *r = e->r;
	uint64_t said = e->now.none_ms != UINT64_MAX ? e->now.none_ms : NOBODY_SAID_MS;

	return WEIR_MIN(r->valid_ms != 0 ? r->valid_ms : said, r->none_ms);
}

static uint64_t
life_of_found(const struct entry *e)
{
	uint64_t ms = e->r->valid_ms != 0 ? e->r->valid_ms : WEIR_MAX(e->now.ttl_ms, (uint64_t)LEAST_MS);

	return e->failed == RESOLVED ? ms : WEIR_MIN(ms, (uint64_t)HALF_MS);
}

/* It says something: what was known before is of no interest any more. */
static void
learn(struct entry *e, enum weir_resolved how)
{
	uint64_t ms = how == RESOLVED ? life_of_found(e) : life_of_none(e);

	found_end(&e->known);
	e->known = e->now;
	e->told = 0;
	memset(&e->now, 0, sizeof e->now);
	e->how = how;
	e->is_stale = false;
	e->until_ms = ms != 0 ? weir_now_ms + ms : 0;
	e->stale_ms = e->until_ms + e->r->stale_ms;
	if (e->known.full)
		log_warnx(weir_log, "\"%s\" has more than %d %s: the others are not used", e->name,
		    e->is_srv ? (int)RESOLVER_SRVS : RESOLVER_ADDRS, e->is_srv ? "servers" : "addresses");
}

static void
settle(struct entry *e, enum weir_resolved how)
{
	static const uint8_t answered[] = {
		[RESOLVED] = ANSWER_FOUND, [RESOLVE_NO_NAME] = ANSWER_NONE, [RESOLVE_FAIL] = ANSWER_FAILED,
		[RESOLVE_TIMEOUT] = ANSWER_TIMEOUT, [RESOLVE_BUSY] = ANSWER_FAILED,
	};

	e->asking = false;
	timer_off(&e->hurry);
	metric_add(&e->r->answers, answered[how], 1);
	if (how == RESOLVED || how == RESOLVE_NO_NAME) {
		learn(e, how);
	} else if (may_be_stale(e)) {
		found_end(&e->now);
		serve_stale(e);
	} else {
		found_end(&e->now);
		found_end(&e->known);
		e->how = how;
		e->is_stale = false;
		e->until_ms = 0;
	}
	task_post(&e->tell);
}

static enum weir_resolved
meaning(ares_status_t status)
{
	switch (status) {
	case ARES_SUCCESS: case ARES_ENODATA: case ARES_ENOTFOUND: case ARES_EBADNAME:
		return RESOLVED;
	case ARES_ETIMEOUT:
		return RESOLVE_TIMEOUT;
	default:
		return RESOLVE_FAIL;
	}
}

/*
 * All questions of a round are answered, or nobody says anything.  Silence about one kind of addresses does not harm the
 * other; a failure does, as with nginx.
 */
static void
judge(struct entry *e)
{
	char *next = e->now.next;

	if (e->now.n != 0 && e->failed != RESOLVE_FAIL) {
		settle(e, RESOLVED);
	} else if (e->now.deepest > RESOLVER_CNAMES) {
		log_errorx(weir_log, "\"%s\" has more than %d names behind one another", e->name, RESOLVER_CNAMES);
		settle(e, RESOLVE_FAIL);
	} else if (e->failed != RESOLVED) {
		settle(e, e->failed);
	} else if (next == NULL) {
		settle(e, RESOLVE_NO_NAME);
	} else {
		e->now.next = NULL;
		e->now.depth = e->now.deepest;
		ask(e, next);
		mem_free(next);
	}
}

static void
on_answer(struct entry *e, ares_dns_rec_type_t type, ares_status_t status, const ares_dns_record_t *rec, uint64_t age_s)
{
	enum weir_resolved how = meaning(status);

	if (how != RESOLVED && e->failed != RESOLVE_FAIL)
		e->failed = how;
	else if (rec != NULL)
		found_take(&e->now, type, rec, age_s);
	if (--e->asked == 0)
		judge(e);
	else if (e->now.n != 0 && e->failed == RESOLVED)
		timer_set(&e->hurry, HALF_WAIT_MS);
}

static void
on_first(struct resolver_question *q, ares_status_t status, const ares_dns_record_t *rec, uint64_t age_s)
{
	on_answer(WEIR_OF(q, struct entry, first), q->type, status, rec, age_s);
}

static void
on_second(struct resolver_question *q, ares_status_t status, const ares_dns_record_t *rec, uint64_t age_s)
{
	on_answer(WEIR_OF(q, struct entry, second), q->type, status, rec, age_s);
}

/* The answer may come at once, so the questions are counted before the first is asked. */
static void
ask(struct entry *e, const char *name)
{
	struct weir_resolver *r = e->r;
	bool both = r->v4 && r->v6 && !e->is_srv;

	e->failed = RESOLVED;
	e->asked = 1 + both;
	metric_add(&r->questions, 0, e->asked);
	e->first = (struct resolver_question){ .name = name, .done = on_first, .type = e->is_srv ? ARES_REC_TYPE_SRV :
	    r->v4 ? ARES_REC_TYPE_A : ARES_REC_TYPE_AAAA };
	r->way->ask(r, &e->first);
	if (!both)
		return;
	e->second = (struct resolver_question){ .name = name, .done = on_second, .type = ARES_REC_TYPE_AAAA };
	r->way->ask(r, &e->second);
}

static void
refresh(struct entry *e, uint64_t timeout_ms)
{
	e->asking = true;
	if (may_be_stale(e))
		timer_set(&e->hurry, WEIR_MIN((uint64_t)STALE_WAIT_MS, timeout_ms / 2));
	found_begin(&e->now);
	ask(e, e->name);
}

/* ---- the resolver ---- */

static int
start(struct weir_resolver *r)
{
	if (r->way->start(r) != WEIR_OK)
		return WEIR_FAIL;
	r->buckets = mem_alloc(BUCKETS * sizeof *r->buckets);
	for (unsigned i = 0; i < BUCKETS; i++)
		list_init(&r->buckets[i]);
	list_init(&r->used);
	r->started = true;
	return WEIR_OK;
}

/* ---- those who ask ---- */

static void
on_timeout(struct weir_timer *t)
{
	struct weir_lookup *l = WEIR_OF(t, struct weir_lookup, timer);

	lookup_cancel(l);
	if (l->how == RESOLVED)
		l->how = RESOLVE_TIMEOUT;
	l->addrs = NULL;
	l->srvs = NULL;
	l->n = 0;
	l->done(l);
}

/* An answer that needs no question: in the next turn. */
static void
refuse(struct weir_lookup *l, enum weir_resolved how)
{
	l->how = how;
	timer_set(&l->timer, 0);
}

static void
begin(struct weir_lookup *l, struct weir_resolver *r, struct weir_str name, uint64_t timeout_ms, bool is_srv)
{
	char lower[RESOLVER_NAME_MAX + 1];
	struct entry *e;

	list_init(&l->node);
	timer_init(&l->timer, on_timeout);
	l->how = RESOLVED;
	l->cached = false;
	l->turn = 0;
	if (name.n != 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > RESOLVER_NAME_MAX) {
		refuse(l, RESOLVE_NO_NAME);
		return;
	}
	if (!r->started && start(r) != WEIR_OK) {
		log_alertx(weir_log, "the resolver cannot begin");
		refuse(l, RESOLVE_FAIL);
		return;
	}
	str_lower(lower, name.p, name.n);
	name.p = lower;
	e = find(r, name, is_srv);
	if (e == NULL && (e = entry_new(r, name)) == NULL) {
		refuse(l, RESOLVE_BUSY);
		return;
	}
	e->is_srv = is_srv;
	list_remove(&e->used);
	list_push(&r->used, &e->used);
	list_append(&e->waiting, &l->node);
	timer_set(&l->timer, timeout_ms);
	if (e->asking && e->is_stale && e->until_ms <= weir_now_ms && may_be_stale(e))
		serve_stale(e);
	l->cached = e->until_ms > weir_now_ms;
	if (l->cached)
		task_post(&e->tell);
	else if (!e->asking)
		refresh(e, timeout_ms);
}

void
lookup_start(struct weir_lookup *l, struct weir_resolver *r, struct weir_str name, uint64_t timeout_ms,
    void (*done)(struct weir_lookup *))
{
	l->done = done;
	begin(l, r, name, timeout_ms, false);
}

void
lookup_start_srv(struct weir_lookup *l, struct weir_resolver *r, struct weir_str service, uint64_t timeout_ms,
    void (*done)(struct weir_lookup *))
{
	l->done = done;
	begin(l, r, service, timeout_ms, true);
}

void
lookup_cancel(struct weir_lookup *l)
{
	list_remove(&l->node);
	timer_off(&l->timer);
}
