/*
 * resolver.c - names to addresses, by c-ares.
 *
 * c-ares speaks DNS: sockets, retries, TCP for long answers.  Here are the cache, those who wait, and
 * what an answer means.  Both kinds of addresses are asked for at once; when neither question gave any but a
 * CNAME, what it names is asked for in turn.
 *
 *	NEW -> ASKING -> KNOWN -> (expires) -> ASKING ...
 *	          |
 *	          +-> forgotten, when the answer says nothing
 */
#include <ares.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/net/resolver.h"

enum {
	BUCKETS = 1024,
	TRY_MS = 2000, TRIES = 3,	/* each server, so often */
	NOTHING_MS = 5000,		/* how long "there is none" is believed */
	LEAST_MS = 1000,		/* a TTL of 0 is taken for this */
	NAME_MOST = RESOLVER_NAME_MAX,
	SRVS = 64,
	FEW = 4				/* addresses of a name */
};

struct entry {
	struct weir_list	 bucket, used;	/* used: of all, the one used last is first */
	struct weir_resolver	*r;
	char			*name;		/* lower case */
	size_t			 n_name;
	struct weir_list	 waiting;
	struct weir_task	 tell;
	bool			 asking;
	uint8_t			 asked;		/* questions without an answer so far */
	uint8_t			 depth;		/* CNAMEs followed */
	enum weir_resolved	 how;
	uint64_t		 until_ms;
	uint64_t		 ttl_ms;	/* the least, of this round */
	char			*cname;		/* to follow; NULL: none */
	struct weir_addr	*addrs;
	struct weir_srv		*srvs;		/* of a service, instead */
	bool			 is_srv;
	unsigned		 n;
};

struct watch {				/* a socket of c-ares */
	struct weir_fd	 ev;
	struct weir_list node;
	struct weir_resolver *r;
	bool		 writes;
	struct weir_task free;
};

struct weir_resolver {
	const struct weir_addr	*servers;
	unsigned		 n_servers;
	uint64_t		 valid_ms;
	bool			 v4, v6;
	/* this worker's */
	ares_channel_t		*channel;	/* NULL: nobody has asked yet */
	struct weir_list	*buckets, used, watches;
	struct weir_timer	 timer;
	unsigned		 n;
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

/* ---- sockets ---- */

static void
set_timer(struct weir_resolver *r)
{
	struct timeval tv;

	if (ares_timeout(r->channel, NULL, &tv) == NULL)
		timer_off(&r->timer);
	else
		timer_set(&r->timer, (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1);
}

static void
on_timer(struct weir_timer *t)
{
	struct weir_resolver *r = WEIR_OF(t, struct weir_resolver, timer);

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(r);
}

static void
on_socket(struct weir_fd *ev, unsigned what)
{
	struct watch *w = WEIR_OF(ev, struct watch, ev);
	struct weir_resolver *r = w->r;
	int fd = ev->fd;

	ares_process_fd(r->channel, what & (EV_READ | EV_HUP | EV_ERR) ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE && w->writes ? fd : ARES_SOCKET_BAD);
	set_timer(r);
}

static void
free_watch(struct weir_task *t)
{
	mem_free(WEIR_OF(t, struct watch, free));
}

static struct watch *
watch_of(struct weir_resolver *r, int fd)
{
	struct weir_list *at;
	struct watch *w;

	list_each(at, &r->watches) {
		w = WEIR_OF(at, struct watch, node);
		if (w->ev.fd == fd)
			return w;
	}
	w = mem_zalloc(sizeof *w);
	w->r = r;
	w->ev = (struct weir_fd){ .fd = fd, .on = on_socket };
	task_init(&w->free, free_watch);
	list_append(&r->watches, &w->node);
	if (fd_watch(&w->ev) != WEIR_OK)
		log_alert(weir_log, "a socket of the resolver cannot be watched");
	return w;
}

/* c-ares is about to close it when it wants neither. */
static void
on_socket_state(void *arg, ares_socket_t fd, int reads, int writes)
{
	struct watch *w = watch_of(arg, fd);

	w->writes = writes;
	if (reads || writes)
		return;
	fd_unwatch(&w->ev);
	w->ev.fd = -1;
	list_remove(&w->node);
	task_post(&w->free);
}

/* ---- entries ---- */

static void
forget(struct entry *e)
{
	assert(list_empty(&e->waiting) && e->asked == 0);
	list_remove(&e->bucket);
	list_remove(&e->used);
	task_off(&e->tell);
	e->r->n--;
	mem_free(e->name);
	mem_free(e->cname);
	mem_free(e->addrs);
	mem_free(e->srvs);
	mem_free(e);
}

static void
on_tell(struct weir_task *t)
{
	struct entry *e = WEIR_OF(t, struct entry, tell);

	while (!list_empty(&e->waiting)) {
		struct weir_lookup *l = list_first(&e->waiting, struct weir_lookup, node);

		lookup_cancel(l);
		l->how = e->how;
		l->addrs = e->addrs;
		l->srvs = e->srvs;
		l->n = e->how == RESOLVED ? e->n : 0;
		l->done(l);
	}
	if (e->until_ms == 0 && !e->asking)
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

		if (e->asking || !list_empty(&e->waiting))
			continue;
		forget(e);
		return true;
	}
	return false;
}

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
	r->n++;
	return e;
}

/* ---- answers ---- */

static void ask(struct entry *, const char *name);	/* the cycle: ask -> on_answer -> ask the CNAME */

static void
settle(struct entry *e, enum weir_resolved how)
{
	e->asking = false;
	e->how = how;
	if (how == RESOLVED)
		e->until_ms = weir_now_ms + (e->r->valid_ms != 0 ? e->r->valid_ms : WEIR_MAX(e->ttl_ms, (uint64_t)LEAST_MS));
	else
		e->until_ms = how == RESOLVE_NO_NAME ? weir_now_ms +
		    (e->r->valid_ms != 0 ? WEIR_MIN(e->r->valid_ms, (uint64_t)NOTHING_MS) : NOTHING_MS) : 0;
	task_post(&e->tell);
}

static void
add(struct entry *e, const struct weir_addr *a)
{
	if (e->n >= RESOLVER_ADDRS)
		return;
	if (e->n == 0 || (e->n >= FEW && (e->n & (e->n - 1)) == 0))	/* doubles: most names have one or two */
		e->addrs = mem_realloc(e->addrs, e->n * sizeof *a, WEIR_MAX(2 * e->n, (unsigned)FEW) * sizeof *a);
	e->addrs[e->n++] = *a;
}

static void
add_srv(struct entry *e, const ares_dns_rr_t *rr)
{
	const char *name = ares_dns_rr_get_str(rr, ARES_RR_SRV_TARGET);
	struct weir_srv *to;

	/* a single "." says that there is no such service */
	if (e->n >= SRVS || name[0] == '\0' || strcmp(name, ".") == 0 || strlen(name) > NAME_MOST)
		return;
	if (e->srvs == NULL)
		e->srvs = mem_zalloc(SRVS * sizeof *e->srvs);
	to = &e->srvs[e->n++];
	to->priority = ares_dns_rr_get_u16(rr, ARES_RR_SRV_PRIORITY);
	to->weight = ares_dns_rr_get_u16(rr, ARES_RR_SRV_WEIGHT);
	to->port = ares_dns_rr_get_u16(rr, ARES_RR_SRV_PORT);
	strcpy(to->name, name);
}

static void
take_record(struct entry *e, const ares_dns_rr_t *rr)
{
	struct weir_addr a = { .in.sin_family = AF_INET };
	const char *name;

	if (e->is_srv) {
		if (ares_dns_rr_get_type(rr) != ARES_REC_TYPE_SRV)
			return;
		e->ttl_ms = WEIR_MIN(e->ttl_ms, (uint64_t)ares_dns_rr_get_ttl(rr) * 1000);
		add_srv(e, rr);
		return;
	}
	switch (ares_dns_rr_get_type(rr)) {
	case ARES_REC_TYPE_A:
		a.in.sin_addr = *ares_dns_rr_get_addr(rr, ARES_RR_A_ADDR);
		break;
	case ARES_REC_TYPE_AAAA:
		a.in6.sin6_family = AF_INET6;
		memcpy(&a.in6.sin6_addr, ares_dns_rr_get_addr6(rr, ARES_RR_AAAA_ADDR), 16);
		break;
	case ARES_REC_TYPE_CNAME:
		name = ares_dns_rr_get_str(rr, ARES_RR_CNAME_CNAME);
		mem_free(e->cname);
		e->cname = mem_alloc(strlen(name) + 1);
		strcpy(e->cname, name);
		e->ttl_ms = WEIR_MIN(e->ttl_ms, (uint64_t)ares_dns_rr_get_ttl(rr) * 1000);
		return;
	default:
		return;
	}
	e->ttl_ms = WEIR_MIN(e->ttl_ms, (uint64_t)ares_dns_rr_get_ttl(rr) * 1000);
	add(e, &a);
}

static enum weir_resolved
meaning(ares_status_t status)
{
	switch (status) {
	case ARES_SUCCESS: case ARES_ENODATA:
		return RESOLVED;
	case ARES_ENOTFOUND: case ARES_EBADNAME:
		return RESOLVE_NO_NAME;
	case ARES_ETIMEOUT:
		return RESOLVE_TIMEOUT;
	default:
		return RESOLVE_FAIL;
	}
}

/* All questions of a round are answered. */
static void
judge(struct entry *e)
{
	char *next = e->cname;

	if (e->how != RESOLVED) {
		settle(e, e->how);
	} else if (e->n != 0) {
		settle(e, RESOLVED);
	} else if (next == NULL) {
		settle(e, RESOLVE_NO_NAME);
	} else if (++e->depth > RESOLVER_CNAMES) {
		log_errorx(weir_log, "\"%s\" has more than %d names behind one another", e->name, RESOLVER_CNAMES);
		settle(e, RESOLVE_FAIL);
	} else {
		e->cname = NULL;
		ask(e, next);
		mem_free(next);
	}
}

static void
on_answer(void *arg, ares_status_t status, size_t timeouts, const ares_dns_record_t *rec)
{
	struct entry *e = arg;
	enum weir_resolved how = meaning(status);

	(void)timeouts;
	if (how != RESOLVED)
		e->how = how;
	for (size_t i = 0; rec != NULL && how == RESOLVED &&
	    i < ares_dns_record_rr_cnt(rec, ARES_SECTION_ANSWER); i++)
		take_record(e, ares_dns_record_rr_get_const(rec, ARES_SECTION_ANSWER, i));
	if (--e->asked == 0)
		judge(e);
}

/* c-ares may answer at once, so the questions are counted before the first is asked. */
static void
ask(struct entry *e, const char *name)
{
	struct weir_resolver *r = e->r;
	bool v4 = r->v4, v6 = r->v6;

	e->how = RESOLVED;
	if (e->is_srv) {
		e->asked = 1;
		ares_query_dnsrec(r->channel, name, ARES_CLASS_IN, ARES_REC_TYPE_SRV, on_answer, e, NULL);
		set_timer(r);
		return;
	}
	e->asked = (uint8_t)(v4 + v6);
	if (v4)
		ares_query_dnsrec(r->channel, name, ARES_CLASS_IN, ARES_REC_TYPE_A, on_answer, e, NULL);
	if (v6)
		ares_query_dnsrec(r->channel, name, ARES_CLASS_IN, ARES_REC_TYPE_AAAA, on_answer, e, NULL);
	set_timer(r);
}

static void
refresh(struct entry *e)
{
	e->asking = true;
	e->n = e->depth = 0;
	e->ttl_ms = UINT64_MAX;
	e->until_ms = 0;
	ask(e, e->name);
}

/* ---- the resolver ---- */

static void *
ares_more(void *p, size_t n)
{
	return mem_realloc(p, 0, n);
}

/* c-ares 1.34 follows a null pointer where memory ran out (server_increment_failures()); ours does not. */
static int
ares_begin(void)
{
	return ares_library_init_mem(ARES_LIB_INIT_ALL, mem_alloc, mem_free, ares_more);
}

static int
start(struct weir_resolver *r)
{
	struct ares_options o = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES, .timeout = TRY_MS, .tries = TRIES,
		.sock_state_cb = on_socket_state, .sock_state_cb_data = r, .udp_max_queries = 1,
		.qcache_max_ttl = 0,
	};
	char list[4096], *p = list;

	if (ares_begin() != ARES_SUCCESS ||
	    ares_init_options(&r->channel, &o, ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
	    ARES_OPT_SOCK_STATE_CB | ARES_OPT_UDP_MAX_QUERIES | ARES_OPT_QUERY_CACHE) != ARES_SUCCESS) {
		r->channel = NULL;
		return WEIR_FAIL;
	}
	for (unsigned i = 0; i < r->n_servers && (size_t)(p - list) + ADDR_TEXT_MAX + 2 < sizeof list; i++) {
		if (i != 0)
			*p++ = ',';
		p += addr_put(p, &r->servers[i]);
	}
	*p = '\0';
	if (ares_set_servers_ports_csv(r->channel, list) != ARES_SUCCESS)
		return WEIR_FAIL;
	r->buckets = mem_alloc(BUCKETS * sizeof *r->buckets);
	for (unsigned i = 0; i < BUCKETS; i++)
		list_init(&r->buckets[i]);
	list_init(&r->used);
	list_init(&r->watches);
	timer_init(&r->timer, on_timer);
	return WEIR_OK;
}

struct weir_resolver *
resolver_new(struct weir_pool *pool, const struct weir_addr *servers, unsigned n, uint64_t valid_ms,
    bool v4, bool v6)
{
	struct weir_resolver *r = POOL_NEW(pool, weir_resolver);

	r->servers = servers;
	r->n_servers = n;
	r->valid_ms = valid_ms;
	r->v4 = v4;
	r->v6 = v6;
	return r;
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
	char lower[NAME_MOST + 1];
	struct entry *e;

	list_init(&l->node);
	timer_init(&l->timer, on_timeout);
	l->how = RESOLVED;
	if (name.n != 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > NAME_MOST) {
		refuse(l, RESOLVE_NO_NAME);
		return;
	}
	if (r->channel == NULL && start(r) != WEIR_OK) {
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
	if (e->asking)
		return;
	if (e->until_ms > weir_now_ms)
		task_post(&e->tell);
	else
		refresh(e);
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
