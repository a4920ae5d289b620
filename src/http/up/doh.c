/*
 * doh.c - a question and its answer by HTTPS: a POST of what DNS writes (RFC 8484, 4.1).
 *
 * A question that was on a kept connection when that died goes out once more, on another one; what else goes wrong is told
 * to the asker.  How long it may take is the asker's to know.
 */
#include "core/base/num.h"
#include "http/up/doh.h"

enum { HEAD_BYTES = 16384, HEAD_FIELDS = 200, READ_SIZE = 16384 };

struct call {				/* in its pool */
	struct weir_pool *pool;
	struct weir_doh	*d;
	struct weir_doh_ask *q;
	struct weir_link *link;
	struct weir_xchg *x;
	struct weir_msg	 head;
	struct weir_bufq in, out;
	bool		 reused, answered, whole, sent;
	struct weir_task free;
};

static struct weir_list all = { &all, &all };	/* servers that this worker has asked */

void
doh_tell(struct weir_doh *d, const char *why)
{
	if (!d->told)
		log_errorx(weir_log, "%s while asking %.*s for names", why, STR_ARG(d->url));
	d->told = true;
}

void
doh_go_on(struct weir_doh *d)
{
	task_post(&d->task);
}

static void
fail_question(struct weir_doh_ask *q)
{
	q->done(q, NULL, 0, 0);
}

void
doh_no_link(struct weir_doh *d, const char *why)
{
	struct weir_list now;

	doh_tell(d, why);
	if (list_empty(&d->queue))
		return;
	now = d->queue;
	now.next->prev = now.prev->next = &now;
	list_init(&d->queue);
	while (!list_empty(&now)) {
		struct weir_doh_ask *q = list_first(&now, struct weir_doh_ask, node);

		list_remove(&q->node);
		fail_question(q);
	}
}

/* ---- the end of a call ---- */

static void
on_free(struct weir_task *t)
{
	struct call *c = WEIR_OF(t, struct call, free);

	bufq_clear(&c->in);
	pool_free(c->pool);
}

/* The link is free for others.  What came is here until the end of the turn. */
static void
let_go(struct call *c)
{
	struct weir_xchg *x = c->x;

	bufq_clear(&c->out);
	c->q->at = NULL;
	if (x != NULL) {
		x->on_head = NULL;
		x->on_gone = NULL;
		src_on_ready(&x->io.in, NULL, NULL);
		sink_on_ready(&x->io.out, NULL, NULL);
		if (!c->whole)
			xchg_cancel(x, CANCEL_REFUSED);
		xchg_release(x);
	}
	c->x = NULL;
	doh_link_return(c->d, c->link);
	task_post(&c->free);
}

static void
failed(struct call *c, const char *why)
{
	struct weir_doh_ask *q = c->q;
	struct weir_doh *d = c->d;
	bool again = c->reused && !c->answered && !q->again;

	let_go(c);
	if (again) {
		q->again = true;
		list_push(&d->queue, &q->node);
		return;
	}
	doh_tell(d, why);
	fail_question(q);
}

static void
succeeded(struct call *c)
{
	struct weir_doh_ask *q = c->q;
	size_t n = (size_t)c->in.len;
	unsigned char *answer = (unsigned char *)pool_bytes(c->pool, n + 1);
	uint64_t age_s = 0;

	bufq_take(&c->in, answer, n);
	(void)!num_u64(fields_value(&c->x->msg.fields, H_AGE), &age_s);
	c->d->told = false;
	let_go(c);
	q->done(q, answer, n, age_s);
}

/* ---- the answer ---- */

static void
on_body(void *arg)
{
	struct call *c = arg;
	ssize_t r = 1;

	if (c->x == NULL)
		return;
	while (c->in.len <= DOH_ANSWER_MAX && (r = src_read(&c->x->io.in, &c->in, READ_SIZE)) > 0)
		;
	if (r == WEIR_AGAIN)
		return;
	c->whole = r == WEIR_EOF;
	if (c->in.len > DOH_ANSWER_MAX)
		failed(c, "the answer is too long");
	else if (r == WEIR_FAIL)
		failed(c, "the answer was cut short");
	else
		succeeded(c);
}

static bool
is_dns_message(const struct weir_msg *m)
{
	struct weir_str type = fields_value(&m->fields, H_CONTENT_TYPE);
	ssize_t at = str_chr(type, ';');

	if (at >= 0)
		type.n = (size_t)at;
	while (type.n != 0 && (type.p[type.n - 1] == ' ' || type.p[type.n - 1] == '\t'))
		type.n--;
	return str_ieq(type, STR("application/dns-message"));
}

static void
on_head(struct weir_xchg *x)
{
	struct call *c = x->owner;

	if (x->msg.status < 200)
		return;
	c->answered = true;
	if (x->msg.status != 200) {
		failed(c, pool_cstr(c->pool, pool_printf(c->pool, "the answer has status %d", x->msg.status)));
		return;
	}
	if (!is_dns_message(&x->msg)) {
		failed(c, "the answer is no application/dns-message");
		return;
	}
	src_on_ready(&x->io.in, on_body, c);
	src_want(&x->io.in, true);
	on_body(c);
}

/* ---- the question ---- */

static void
on_gone(struct weir_xchg *x, const char *why)
{
	failed(x->owner, why != NULL ? why : "the connection ended");
}

static void
on_writable(void *arg)
{
	struct call *c = arg;
	struct weir_sink *out;
	int r = WEIR_AGAIN;

	if (c->x == NULL || c->sent)
		return;
	out = &c->x->io.out;
	if (c->out.len != 0 && sink_write(out, &c->out) == WEIR_FAIL)
		r = WEIR_FAIL;
	else if (c->out.len == 0)
		r = sink_finish(out);
	if (r == WEIR_FAIL) {
		failed(c, out->err != NULL ? out->err : "sending failed");
		return;
	}
	c->sent = r == WEIR_OK;
	sink_want(out, !c->sent);
}

static void
make_head(struct call *c)
{
	struct weir_msg *m = &c->head;

	m->method = STR("POST");
	m->method_id = M_POST;
	m->target = c->d->path;
	m->version = c->link->codec->many ? 0x200 : 0x101;
	m->length = (int64_t)c->q->n;
	m->flags = MSG_HAS_LENGTH;
	fields_add_known(&m->fields, c->pool, H_HOST, c->d->authority);
	fields_add_known(&m->fields, c->pool, H_ACCEPT, STR("application/dns-message"));
	fields_add_known(&m->fields, c->pool, H_CONTENT_TYPE, STR("application/dns-message"));
}

static void
begin(struct weir_doh *d, struct weir_link *l, struct weir_doh_ask *q)
{
	struct weir_pool *pool = pool_new(0);
	struct call *c = POOL_NEW(pool, call);
	struct weir_xchg *x;

	c->pool = pool;
	c->d = d;
	c->q = q;
	c->link = l;
	c->reused = l->requests != 0;
	task_init(&c->free, on_free);
	q->at = c;
	c->x = x = l->codec->open(l, pool);
	if (x == NULL) {
		failed(c, "the connection takes no requests");
		return;
	}
	x->owner = c;
	x->on_head = on_head;
	x->on_gone = on_gone;
	x->limits = (struct weir_head_limits){ .line = HEAD_BYTES, .total = HEAD_BYTES, .fields = HEAD_FIELDS };
	make_head(c);
	bufq_put(&c->out, q->wire, q->n);
	if (xchg_head(x, &c->head, 0) != WEIR_OK) {
		failed(c, "sending failed");
		return;
	}
	sink_on_ready(&x->io.out, on_writable, c);
	on_writable(c);
}

static void
on_task(struct weir_task *t)
{
	struct weir_doh *d = WEIR_OF(t, struct weir_doh, task);
	struct weir_link *l;

	while (!list_empty(&d->queue) && (l = doh_link(d)) != NULL) {
		struct weir_doh_ask *q = list_first(&d->queue, struct weir_doh_ask, node);

		list_remove(&q->node);
		begin(d, l, q);
	}
}

/* ---- for the resolver ---- */

static void
ask(struct weir_doh *d, struct weir_doh_ask *q)
{
	if (!d->begun) {
		d->begun = true;
		list_init(&d->queue);
		task_init(&d->task, on_task);
		doh_conn_begin(d);
		list_append(&all, &d->all);
	}
	q->at = NULL;
	q->again = false;
	list_append(&d->queue, &q->node);
	doh_go_on(d);
}

static void
give_up(struct weir_doh *d, struct weir_doh_ask *q)
{
	doh_tell(d, "no answer in time");
	list_remove(&q->node);
	if (q->at != NULL)
		let_go(q->at);
}

const struct weir_doh_ops doh_by_http = { .make = doh_make, .ask = ask, .give_up = give_up };

static int
ready(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	(void)conf;
	if (s == cf->main)
		doh_ops = &doh_by_http;
	return WEIR_OK;
}

static void
stop(void)
{
	struct weir_list *at;

	list_each(at, &all)
		doh_links_end(WEIR_OF(at, struct weir_doh, all));
}

static unsigned index_;
static const struct weir_cmd cmds[] = { { 0 } };

extern const struct weir_module doh_module;
const struct weir_module doh_module = {
	.name = "doh", .index = &index_, .conf_size = 1, .cmds = cmds, .ready = ready, .stop = stop,
	.doc = "Names that are resolved by HTTPS.",
};
