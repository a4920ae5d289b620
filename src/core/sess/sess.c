/*
 * sess.c - what modules keep for a session, and the lists of their hooks.
 */
#include "core/base/mem.h"
#include "core/sess/sess.h"

typedef enum weir_next (*hook_fn)(struct weir_sess *);

bool (*sess_trusts)(void *const *, const struct weir_addr *);

void *
sess_ctx(struct weir_sess *s, unsigned module)
{
	return s->ctx != NULL ? s->ctx[module] : NULL;
}

void *
sess_ctx_make(struct weir_sess *s, unsigned module, size_t size)
{
	assert(module < weir_n_modules);
	if (s->ctx == NULL)
		s->ctx = pool_zalloc(s->pool, weir_n_modules * sizeof(*s->ctx));
	if (s->ctx[module] == NULL)
		s->ctx[module] = pool_zalloc(s->pool, size);
	return s->ctx[module];
}

struct weir_kept {
	struct weir_kept *next;
	unsigned	  module;
	max_align_t	  state[];
};

void *
sess_kept(const struct weir_sess *s, unsigned module)
{
	struct weir_kept *k;

	for (k = s->kept; k != NULL; k = k->next)
		if (k->module == module)
			return k->state;
	return NULL;
}

void *
sess_kept_make(struct weir_sess *s, unsigned module, size_t size)
{
	struct weir_kept *k;
	void		 *state = sess_kept(s, module);

	if (state != NULL)
		return state;
	k = pool_zalloc(s->pool, sizeof(*k) + size);
	k->module = module;
	k->next = s->kept;
	s->kept = k;
	return k->state;
}

void
sess_hold(struct weir_sess *s, struct weir_hold *h)
{
	h->next = s->holds;
	s->holds = h;
}

void
sess_release(struct weir_sess *s)
{
	struct weir_hold *h;

	while ((h = s->holds) != NULL) {
		s->holds = h->next;
		h->release(h);
	}
}

struct weir_str
sess_capture(const struct weir_captures *c, unsigned n)
{
	uint32_t from, to;

	if (n >= c->n)
		return STR_NONE;
	from = c->offs[2 * n];
	to = c->offs[2 * n + 1];
	/* A group that took no part in the match has neither begin nor end. */
	if (from > to || to > c->subject.n)
		return STR_NONE;
	return str_of(c->subject.p + from, to - from);
}

static bool
has_work(const struct weir_hook *h, const struct weir_module *m, void *const *conf)
{
	return h->idle == NULL || !h->idle(conf[*m->index]);
}

static bool
is_for(const struct weir_hook *h, const struct weir_module *m, bool is_http)
{
	if (h->at == ON_PREACCESS || h->at == ON_ACCESS || h->at == ON_LOG)
		return is_http || m->stream_too;
	return is_http == (h->at != ON_POST_ACCEPT && h->at != ON_PREREAD && h->at != ON_SERVE);
}

/* Writes the hooks of a phase, if `to` is not NULL; returns how many there are. */
static size_t
gather(void *const *conf, bool is_http, enum weir_phase at, hook_fn *to)
{
	const struct weir_module *const *m;
	const struct weir_hook		*h;
	size_t				 n = 0;

	for (m = weir_modules; *m != NULL; m++)
		for (h = (*m)->hooks; h != NULL && h->fn != NULL; h++) {
			if (h->at != at || !is_for(h, *m, is_http) || !has_work(h, *m, conf))
				continue;
			if (to != NULL)
				to[n] = h->fn;
			n++;
		}
	return n;
}

/* They live as long as the process, as the configuration does in which the worker was made. */
const struct weir_place_hooks *
sess_hooks_make(void *const *conf, bool is_http)
{
	struct weir_place_hooks	*all = mem_zalloc(sizeof(*all));
	hook_fn			*list;

	for (unsigned at = 0; at < N_PHASES; at++) {
		list = mem_zalloc((gather(conf, is_http, at, NULL) + 1) * sizeof(hook_fn));
		gather(conf, is_http, at, list);
		all->at[at] = (weir_hook_list)list;
	}
	((void **)(uintptr_t)conf)[weir_n_modules] = all;
	return all;
}
