/*
 * resolver_ares.c - questions by UDP and TCP: c-ares on our loop.
 *
 * c-ares has the sockets, a new one with a port by chance for each question, tries again, takes the next server, and
 * asks by TCP when an answer did not fit.  It believes an answer that comes from the server's address and port, with the
 * number and the question that were sent.
 */
#include "core/base/mem.h"
#include "core/net/resolver_in.h"

enum { TRY_MS = 2000, TRIES = 3 };	/* each server, so often */

struct resolver_watch {			/* a socket of c-ares */
	struct weir_fd	 ev;
	struct weir_list node;
	struct weir_resolver *r;
	bool		 writes;
	struct weir_task free;
};

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
	struct resolver_watch *w = WEIR_OF(ev, struct resolver_watch, ev);
	struct weir_resolver *r = w->r;
	int fd = ev->fd;

	ares_process_fd(r->channel, what & (EV_READ | EV_HUP | EV_ERR) ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE && w->writes ? fd : ARES_SOCKET_BAD);
	set_timer(r);
}

static void
free_watch(struct weir_task *t)
{
	mem_free(WEIR_OF(t, struct resolver_watch, free));
}

static struct resolver_watch *
watch_of(struct weir_resolver *r, int fd)
{
	struct weir_list *at;
	struct resolver_watch *w;

	list_each(at, &r->watches) {
		w = WEIR_OF(at, struct resolver_watch, node);
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
	struct resolver_watch *w = watch_of(arg, fd);

	w->writes = writes;
	if (reads || writes)
		return;
	fd_unwatch(&w->ev);
	w->ev.fd = -1;
	list_remove(&w->node);
	task_post(&w->free);
}

static void *
ares_more(void *p, size_t n)
{
	return mem_realloc(p, 0, n);
}

/* c-ares 1.34 follows a null pointer where memory ran out (server_increment_failures()); ours does not. */
int
resolver_ares_begin(void)
{
	return ares_library_init_mem(ARES_LIB_INIT_ALL, mem_alloc, mem_free, ares_more) == ARES_SUCCESS ? WEIR_OK : WEIR_FAIL;
}

static int
start(struct weir_resolver *r)
{
	struct ares_options o = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | (r->tcp ? ARES_FLAG_USEVC : 0), .timeout = TRY_MS,
		.tries = TRIES, .sock_state_cb = on_socket_state, .sock_state_cb_data = r, .udp_max_queries = 1,
		.qcache_max_ttl = 0,
	};
	char list[4096], *p = list;

	if (resolver_ares_begin() != WEIR_OK ||
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
	list_init(&r->watches);
	timer_init(&r->timer, on_timer);
	return WEIR_OK;
}

static void
on_answer(void *arg, ares_status_t status, size_t timeouts, const ares_dns_record_t *rec)
{
	struct resolver_question *q = arg;

	(void)timeouts;
	q->done(q, status, rec, 0);
}

static void
ask(struct weir_resolver *r, struct resolver_question *q)
{
	ares_query_dnsrec(r->channel, q->name, ARES_CLASS_IN, q->type, on_answer, q, NULL);
	set_timer(r);
}

const struct resolver_way resolver_ares = { .start = start, .ask = ask };
