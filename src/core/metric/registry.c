/*
 * registry.c - rows and series of a configuration.
 *
 * A series is known in shared memory by a hash of all that it is: name, kind, labels, words, values, bounds.
 * So a later configuration, or another binary, goes on where the one before was, and what has changed in any
 * of these begins anew.
 */
#include "core/base/json.h"
#include "core/metric/registry.h"

#define ZONE_NAME	"weir metrics"

unsigned
row_given(const struct weir_metric_row *row)
{
	unsigned n = 0;

	while (n < METRIC_LABELS && row->labels[n].name != NULL && row->labels[n].words == NULL)
		n++;
	return n;
}

unsigned
row_width(const struct weir_metric_row *row)
{
	unsigned i, n, width = 1;

	for (i = row_given(row); i < METRIC_LABELS && row->labels[i].name != NULL; i++) {
		for (n = 0; row->labels[i].words[n] != NULL; n++)
			;
		width *= n;
	}
	assert(width > 0 && width <= METRIC_WIDTH_MAX);
	return width;
}

static struct metric_family *
family_of(struct weir_metrics *ms, const struct weir_metric_row *row)
{
	struct metric_family *f;

	for (f = ms->first; f != NULL; f = f->next)
		if (f->row == row)
			return f;
	f = POOL_NEW(ms->pool, metric_family);
	f->row = row;
	f->tail = &f->first;
	*ms->tail = f;
	ms->tail = &f->next;
	return f;
}

/* All that a series is, as text. */
static struct weir_str
identity(struct weir_metrics *ms, const struct weir_metric_row *row, const struct metric_series *s)
{
	struct weir_str	text = pool_printf(ms->pool, "%s %d %u", row->name, (int)row->kind, row->held);
	unsigned	given = row_given(row), i;

	for (i = 0; i < METRIC_LABELS && row->labels[i].name != NULL; i++) {
		const char *const *w = row->labels[i].words;

		text = pool_printf(ms->pool, "%.*s\n%s", STR_ARG(text), row->labels[i].name);
		if (i < given)
			text = pool_printf(ms->pool, "%.*s=%zu:%.*s", STR_ARG(text), s->values[i].n,
			    STR_ARG(s->values[i]));
		for (; w != NULL && *w != NULL; w++)
			text = pool_printf(ms->pool, "%.*s %s", STR_ARG(text), *w);
	}
	for (i = 0; i < s->n_bounds; i++)
		text = pool_printf(ms->pool, "%.*s %u", STR_ARG(text), s->bounds[i]);
	return text;
}

static void
hash_id(struct weir_str text, uint64_t id[2])
{
	/* Not secret, and the same in every binary. */
	static const uint64_t keys[2][2] = {
		{ 0x776569725f6d6574ull, 0x7269635f69645f31ull }, { 0x9e3779b97f4a7c15ull, 0xc2b2ae3d27d4eb4full },
	};

	id[0] = siphash_with(keys[0], text.p, text.n);
	id[1] = siphash_with(keys[1], text.p, text.n);
}

/* Labels are UTF-8, and what stands in a configuration need not be. */
static struct weir_str
clean(struct weir_pool *pool, struct weir_str s)
{
	static const char	 unknown[] = "\xef\xbf\xbd";	/* U+FFFD */
	char			*to = pool_bytes(pool, s.n * 3 + 1), *p = to;
	size_t			 i, n;

	for (i = 0; i < s.n; i += WEIR_MAX(n, (size_t)1)) {
		n = (unsigned char)s.p[i] < 0x80 ? 1 : utf8_len(s.p + i, s.n - i);
		memcpy(p, n != 0 ? s.p + i : unknown, n != 0 ? n : 3);
		p += n != 0 ? n : 3;
	}
	return str_of(to, (size_t)(p - to));
}

/* The series of these values; made when it is the first time. */
static struct metric_series *
series_of(struct weir_metrics *ms, const struct weir_metric_row *row, const struct weir_str *values,
    const uint32_t *bounds, unsigned n_bounds)
{
	struct metric_family	*f = family_of(ms, row);
	struct metric_series	*s = POOL_NEW(ms->pool, metric_series), *was;
	struct weir_str		 text;
	unsigned		 given = row_given(row), i;

	for (i = 0; i < given; i++)
		s->values[i] = clean(ms->pool, values[i]);
	s->bounds = bounds;
	s->n_bounds = n_bounds;
	s->width = row->kind == METRIC_HISTOGRAM ? n_bounds + 2 : row_width(row);
	text = identity(ms, row, s);
	if ((was = hash_get(&ms->byid, text)) != NULL)
		return was;
	if (given > 0 && f->n == METRIC_SERIES_MAX) {
		for (i = 0; i < given; i++)
			s->values[i] = STR("other");
		text = identity(ms, row, s);
		if ((was = hash_get(&ms->byid, text)) != NULL)
			return was;
	} else
		f->n++;
	hash_id(text, s->id);
	hash_put(&ms->byid, text, s);
	*f->tail = s;
	f->tail = &s->next;
	return s;
}

static void
add_user(struct weir_metrics *ms, struct metric_series *s, struct weir_metric *to)
{
	struct metric_user *u = POOL_NEW(ms->pool, metric_user);

	u->to = to;
	u->next = s->users;
	s->users = u;
}

void
metric_series(struct weir_conf *cf, const struct weir_metric_row *row, const struct weir_str *values,
    struct weir_metric *to)
{
	struct weir_metrics *ms = cf->metrics;

	assert(row->kind != METRIC_HISTOGRAM);
	to->cell = 0;
	if (ms != NULL)
		add_user(ms, series_of(ms, row, values, NULL, 0), to);
}

void
metric_histogram(struct weir_conf *cf, const struct weir_metric_row *row, const struct weir_str *values,
    const uint32_t *bounds, unsigned n, struct weir_histogram *to)
{
	struct weir_metrics *ms = cf->metrics;

	assert(row->kind == METRIC_HISTOGRAM && n <= METRIC_BOUNDS_MAX);
	*to = (struct weir_histogram){ .n = n, .bounds = bounds };
	if (ms != NULL)
		add_user(ms, series_of(ms, row, values, bounds, n), &to->m);
}

void
metric_value(struct weir_conf *cf, const struct weir_metric_row *row, const struct weir_str *values,
    int64_t (*get)(const void *), const void *arg)
{
	struct weir_metrics	*ms = cf->metrics;
	struct metric_series	*s;

	assert(row->kind == METRIC_GAUGE || row->kind == METRIC_COUNTER);
	if (ms == NULL)
		return;
	s = series_of(ms, row, values, NULL, 0);
	s->width = 0;		/* no memory */
	s->get = get;
	s->arg = arg;
}

/* ---- the whole ---- */

/* Cells of one series; when there is no room, those of the row's "other", or none. */
static uint32_t
place(struct metric_family *f, const struct metric_series *s)
{
	uint32_t held = f->row->kind == METRIC_GAUGE ? 0 : f->row->kind == METRIC_HIDDEN ? f->row->held : s->width;

	return slots_find(s->id, s->width, held);
}

/* In the master, of each generation. */
static void
on_open(struct weir_zone *z)
{
	struct weir_metrics	*ms = z->owner;
	struct metric_family	*f;
	struct metric_series	*s;
	struct metric_user	*u;
	bool			 full = false;

	slots_open(z);
	for (f = ms->first; f != NULL; f = f->next)
		for (s = f->first; s != NULL; s = s->next) {
			if (s->width == 0)
				continue;
			s->m.cell = place(f, s);
			full |= s->m.cell == 0;
			for (u = s->users; u != NULL; u = u->next)
				*u->to = s->m;
		}
	if (full)
		log_warnx(weir_log, "there is no room for more metrics: those of some names are not counted");
}

static void
on_free(void *arg)
{
	struct weir_metrics *ms = arg;

	if (ms->zone->map != NULL)
		slots_close(ms->zone);
}

static void
add_rows(struct weir_metrics *ms, const struct weir_metric_row *row)
{
	for (; row != NULL && row->name != NULL; row++) {
		family_of(ms, row);
		if (row->at == NULL)
			continue;
		assert(row_given(row) == 0 && row->kind != METRIC_HISTOGRAM);
		add_user(ms, series_of(ms, row, NULL, NULL, 0), row->at);
	}
}

void
metric_rows(struct weir_conf *cf, const struct weir_metric_row *rows)
{
	add_rows(cf->metrics, rows);
}

void
metrics_begin(struct weir_conf *cf)
{
	struct weir_metrics		*ms = POOL_NEW(cf->pool, weir_metrics);
	struct weir_zone_want		 want = { .name = STR(ZONE_NAME), .open = on_open, .owner = ms };
	const struct weir_module *const	*m;
	const char			*why;

	ms->pool = cf->pool;
	ms->tail = &ms->first;
	hash_init(&ms->byid, cf->pool, false);
	slots_want(&want);
	ms->zone = zone_declare(cf->zones, &want, &why);
	assert(ms->zone != NULL);	/* it is the first */
	pool_on_free(cf->pool, on_free, ms);
	cf->metrics = ms;
	for (m = weir_modules; *m != NULL; m++)
		add_rows(ms, (*m)->metrics);
}
