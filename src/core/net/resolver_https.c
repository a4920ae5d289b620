/*
 * resolver_https.c - questions by HTTPS (RFC 8484).
 *
 * All servers are asked in turn until one answers; one that did not is asked last for a while.  An answer is
 * believed when it is about the question: who sent it TLS has seen to.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/resolver_in.h"

enum {
	ASK_MS = 4000,		/* each server, also when it has to be connected to */
	SHUN_MS = 10000
};

struct asking {
	struct weir_doh_ask ask;
	struct weir_timer timer;
	struct weir_resolver *r;
	struct resolver_question *q;
	char		*name;
	unsigned char	*wire;
	unsigned	 server;
	uint32_t	 tried;		/* bits */
	ares_status_t	 failure;	/* the last one */
};

const struct weir_doh_ops *doh_ops;

static void
end(struct asking *a, ares_status_t status, const ares_dns_record_t *rec, uint64_t age_s)
{
	struct resolver_question *q = a->q;

	timer_off(&a->timer);
	ares_free_string(a->wire);
	mem_free(a->name);
	mem_free(a);
	q->done(q, status, rec, age_s);
}

/* The first that was not tried, rather one that did not fail lately; -1: all were tried. */
static int
choose(const struct asking *a)
{
	int some = -1;

	for (unsigned i = 0; i < a->r->n_https; i++) {
		uint64_t failed_ms = a->r->https[i].failed_ms;

		if (a->tried >> i & 1)
			continue;
		if (failed_ms == 0 || weir_now_ms - failed_ms >= SHUN_MS)
			return (int)i;
		if (some < 0)
			some = (int)i;
	}
	return some;
}

static void
ask_next(struct asking *a)
{
	int i = choose(a);

	if (i < 0) {
		end(a, a->failure, NULL, 0);
		return;
	}
	a->server = (unsigned)i;
	a->tried |= 1u << i;
	timer_set(&a->timer, ASK_MS);
	doh_ops->ask(a->r->https[i].doh, &a->ask);
}

static void
failed(struct asking *a, ares_status_t status)
{
	a->r->https[a->server].failed_ms = weir_now_ms;
	a->failure = status;
	ask_next(a);
}

static void
on_timeout(struct weir_timer *t)
{
	struct asking *a = WEIR_OF(t, struct asking, timer);

	doh_ops->give_up(a->r->https[a->server].doh, &a->ask);
	failed(a, ARES_ETIMEOUT);
}

/* Is it an answer to this question? */
static bool
answers(const struct asking *a, const ares_dns_record_t *rec)
{
	ares_dns_rec_type_t type;
	ares_dns_class_t class;
	const char *name;

	return (ares_dns_record_get_flags(rec) & ARES_FLAG_QR) && ares_dns_record_get_id(rec) == 0 &&
	    ares_dns_record_query_cnt(rec) == 1 &&
	    ares_dns_record_query_get(rec, 0, &name, &type, &class) == ARES_SUCCESS &&
	    type == a->q->type && class == ARES_CLASS_IN && strcasecmp(name, a->name) == 0;
}

static void
judge(struct asking *a, const ares_dns_record_t *rec, uint64_t age_s)
{
	a->r->https[a->server].failed_ms = 0;
	switch (ares_dns_record_get_rcode(rec)) {
	case ARES_RCODE_NOERROR:
		end(a, ares_dns_record_rr_cnt(rec, ARES_SECTION_ANSWER) != 0 ? ARES_SUCCESS : ARES_ENODATA, rec, age_s);
		return;
	case ARES_RCODE_NXDOMAIN:
		end(a, ARES_ENOTFOUND, rec, age_s);
		return;
	default:		/* it does not know; another one may */
		a->failure = ARES_ESERVFAIL;
		ask_next(a);
	}
}

static void
on_answer(struct weir_doh_ask *ask, const unsigned char *answer, size_t n, uint64_t age_s)
{
	struct asking *a = WEIR_OF(ask, struct asking, ask);
	ares_dns_record_t *rec = NULL;

	timer_off(&a->timer);
	if (answer == NULL) {
		failed(a, ARES_ECONNREFUSED);
		return;
	}
	if (ares_dns_parse(answer, n, 0, &rec) != ARES_SUCCESS || !answers(a, rec)) {
		log_errorx(weir_log, "\"%s\" was asked for by HTTPS, and what came is no answer to that", a->name);
		failed(a, ARES_EBADRESP);
	} else {
		judge(a, rec, age_s);
	}
	ares_dns_record_destroy(rec);
}

/* The number is 0, so that caches find the same question again (RFC 8484, 4.1). */
static ares_status_t
write_question(struct asking *a)
{
	ares_dns_record_t *rec = NULL;
	ares_status_t status = ares_dns_record_create(&rec, 0, ARES_FLAG_RD, ARES_OPCODE_QUERY, ARES_RCODE_NOERROR);

	if (status == ARES_SUCCESS)
		status = ares_dns_record_query_add(rec, a->name, a->q->type, ARES_CLASS_IN);
	if (status == ARES_SUCCESS)
		status = ares_dns_write(rec, &a->wire, &a->ask.n);
	ares_dns_record_destroy(rec);
	return status;
}

static void
ask(struct weir_resolver *r, struct resolver_question *q)
{
	struct asking *a = mem_zalloc(sizeof *a);
	ares_status_t status;

	a->r = r;
	a->q = q;
	a->name = mem_alloc(strlen(q->name) + 1);
	strcpy(a->name, q->name);
	timer_init(&a->timer, on_timeout);
	status = write_question(a);
	if (status != ARES_SUCCESS) {
		end(a, status == ARES_ENOMEM ? status : ARES_EBADNAME, NULL, 0);
		return;
	}
	a->ask.wire = a->wire;
	a->ask.done = on_answer;
	ask_next(a);
}

static int
start(struct weir_resolver *r)
{
	(void)r;
	return resolver_ares_begin();
}

const struct resolver_way resolver_https = { .start = start, .ask = ask };
