/*
 * text.c - metrics as text: for Prometheus (0.0.4), OpenMetrics (1.0.0), and as JSON.
 *
 * One family after the other, as both formats want it.  A family without series does not appear.
 */
#include "core/base/json.h"
#include "core/base/num.h"
#include "core/metric/registry.h"

#define PREFIX "weir_"

struct out {
	struct weir_pool *pool;
	enum weir_metric_form form;
	char		*p;
	size_t		 n, room;
	bool		 first;		/* JSON: no comma before what follows */
};

/* ---- bytes ---- */

static char *
room_for(struct out *o, size_t n)
{
	char *p;

	if (o->room - o->n < n) {
		o->room = (o->room + n) * 2;
		p = pool_bytes(o->pool, o->room);
		if (o->n > 0)
			memcpy(p, o->p, o->n);
		o->p = p;
	}
	return o->p + o->n;
}

static void
put(struct out *o, struct weir_str s)
{
	if (s.n == 0)
		return;
	memcpy(room_for(o, s.n), s.p, s.n);
	o->n += s.n;
}

static void
put_c(struct out *o, const char *s)
{
	put(o, str_c(s));
}

static void
put_u64(struct out *o, uint64_t v)
{
	char *p = room_for(o, NUM_MAX);

	o->n += (size_t)(num_put(p, v) - p);
}

static void
put_i64(struct out *o, int64_t v)
{
	if (v < 0)
		put_c(o, "-");
	put_u64(o, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

/* Milliseconds as seconds: 0.005, 2.5, 10; `point`: 10.0. */
static void
put_seconds(struct out *o, uint64_t ms, bool point)
{
	char	 digits[4] = { '.', (char)('0' + ms / 100 % 10), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10) };
	size_t	 n = sizeof(digits);

	put_u64(o, ms / 1000);
	while (n > 1 && digits[n - 1] == '0')
		n--;
	if (n > 1)
		put(o, str_of(digits, n));
	else if (point)
		put_c(o, ".0");
}

/* ---- labels ---- */

/* In double quotes; the formats have three escapes, JSON has its own. */
static void
put_quoted(struct out *o, struct weir_str s)
{
	char	*p, *end;
	size_t	 i;

	put_c(o, "\"");
	if (o->form == METRIC_JSON) {
		p = room_for(o, json_escaped(s));
		o->n += (size_t)(json_escape(p, s) - p);
	} else {
		p = end = room_for(o, 2 * s.n);
		for (i = 0; i < s.n; i++) {
			if (s.p[i] == '\\' || s.p[i] == '"' || s.p[i] == '\n')
				*end++ = '\\';
			*end++ = s.p[i] == '\n' ? 'n' : s.p[i];
		}
		o->n += (size_t)(end - p);
	}
	put_c(o, "\"");
}

static void
put_label(struct out *o, const char *name, struct weir_str value, bool *any)
{
	bool json = o->form == METRIC_JSON;

	if (*any)
		put_c(o, ",");
	*any = true;
	if (json)
		put_c(o, "\"");
	put_c(o, name);
	put_c(o, json ? "\":" : "=");
	put_quoted(o, value);
}

static unsigned
count_words(const struct weir_metric_label *l)
{
	unsigned n = 0;

	while (l->words[n] != NULL)
		n++;
	return n;
}

/* Which word of label `at` has combination `nth`? */
static const char *
word_of(const struct weir_metric_row *row, unsigned at, unsigned nth)
{
	unsigned i;

	for (i = at + 1; i < METRIC_LABELS && row->labels[i].name != NULL; i++)
		nth /= count_words(&row->labels[i]);
	return row->labels[at].words[nth % count_words(&row->labels[at])];
}

static void
put_labels(struct out *o, const struct weir_metric_row *row, const struct metric_series *s, unsigned nth,
    bool *any)
{
	unsigned i;

	for (i = 0; i < METRIC_LABELS && row->labels[i].name != NULL; i++)
		put_label(o, row->labels[i].name, row->labels[i].words == NULL ? s->values[i] :
		    str_c(word_of(row, i, nth)), any);
}

/* ---- samples ---- */

/* name_suffix{labels} as far as the value. */
static void
begin_sample(struct out *o, const struct weir_metric_row *row, const struct metric_series *s, unsigned nth,
    const char *suffix)
{
	bool any = false;

	put_c(o, PREFIX);
	put_c(o, row->name);
	put_c(o, suffix);
	if (row->labels[0].name == NULL)
		return;
	put_c(o, "{");
	put_labels(o, row, s, nth, &any);
	put_c(o, "}");
}

static void
begin_object(struct out *o, const struct weir_metric_row *row, const struct metric_series *s, unsigned nth)
{
	bool any = false;

	put_c(o, o->first ? "\n\t\t{\"labels\":{" : ",\n\t\t{\"labels\":{");
	o->first = false;
	put_labels(o, row, s, nth, &any);
	put_c(o, "},");
}

static void
put_value(struct out *o, const struct weir_metric_row *row, const struct metric_series *s, unsigned nth,
    int64_t v)
{
	if (o->form == METRIC_JSON) {
		begin_object(o, row, s, nth);
		put_c(o, "\"value\":");
		put_i64(o, v);
		put_c(o, "}");
		return;
	}
	begin_sample(o, row, s, nth, "");
	put_c(o, " ");
	put_i64(o, v);
	put_c(o, "\n");
}

static void
put_bucket(struct out *o, const struct weir_metric_row *row, const struct metric_series *s, unsigned i,
    uint64_t n)
{
	bool any = false, json = o->form == METRIC_JSON;

	if (json) {
		put_c(o, i > 0 ? ",\"" : "\"");
	} else {
		put_c(o, PREFIX);
		put_c(o, row->name);
		put_c(o, "_bucket{");
		put_labels(o, row, s, 0, &any);
		put_c(o, any ? ",le=\"" : "le=\"");
	}
	if (i < s->n_bounds)
		put_seconds(o, s->bounds[i], o->form == METRIC_OPENMETRICS);
	else
		put_c(o, "+Inf");
	put_c(o, json ? "\":" : "\"} ");
	put_u64(o, n);
	if (!json)
		put_c(o, "\n");
}

/* A series of names that are not there is shown when it has counted something. */
static bool
is_shy(const struct weir_metric_row *row, const struct metric_series *s)
{
	if (row->sparse)
		return true;
	return row_given(row) > 0 && (s->values[0].n == 0 || str_eq(s->values[0], STR("other")));
}

static void
put_histogram(struct out *o, const struct weir_metric_row *row, const struct metric_series *s)
{
	uint64_t cells[METRIC_BOUNDS_MAX + 2], n = 0;
	unsigned i;

	metric_sum(&s->m, 0, s->n_bounds + 2, cells);
	for (i = 0; i <= s->n_bounds; i++)
		n += cells[i];
	if (n == 0 && is_shy(row, s))
		return;
	n = 0;
	if (o->form == METRIC_JSON) {
		begin_object(o, row, s, 0);
		put_c(o, "\"buckets\":{");
	}
	for (i = 0; i <= s->n_bounds; i++)
		put_bucket(o, row, s, i, n += cells[i]);
	if (o->form == METRIC_JSON) {
		put_c(o, "},\"sum\":");
		put_seconds(o, cells[i], false);
		put_c(o, ",\"count\":");
		put_u64(o, n);
		put_c(o, "}");
		return;
	}
	begin_sample(o, row, s, 0, "_sum");
	put_c(o, " ");
	put_seconds(o, cells[i], false);
	put_c(o, "\n");
	begin_sample(o, row, s, 0, "_count");
	put_c(o, " ");
	put_u64(o, n);
	put_c(o, "\n");
}

static void
put_series(struct out *o, const struct weir_metric_row *row, const struct metric_series *s)
{
	uint64_t cells[METRIC_WIDTH_MAX];
	bool	 shy = is_shy(row, s);
	unsigned i;

	if (row->kind == METRIC_HISTOGRAM) {
		put_histogram(o, row, s);
		return;
	}
	if (s->get != NULL) {
		put_value(o, row, s, 0, s->get(s->arg));
		return;
	}
	metric_sum(&s->m, 0, s->width, cells);
	for (i = 0; i < s->width; i++)
		if (!shy || cells[i] != 0)
			put_value(o, row, s, i, row->kind == METRIC_GAUGE ? WEIR_MAX((int64_t)cells[i], 0) :
			    (int64_t)cells[i]);
}

/* ---- families ---- */

static const char *const kinds[] = {
	[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram",
};

/* A line of comment.  To OpenMetrics a family of counters has a name without _total. */
static void
put_comment(struct out *o, const char *what, const struct weir_metric_row *row, const char *text)
{
	struct weir_str name = str_c(row->name), total = STR("_total");

	if (o->form == METRIC_OPENMETRICS && row->kind == METRIC_COUNTER && str_ends(name, total))
		name.n -= total.n;
	put_c(o, what);
	put_c(o, PREFIX);
	put(o, name);
	put_c(o, " ");
	put_c(o, text);
	put_c(o, "\n");
}

static void
begin_family(struct out *o, const struct weir_metric_row *row)
{
	if (o->form != METRIC_JSON) {
		put_comment(o, "# HELP ", row, row->help);
		put_comment(o, "# TYPE ", row, kinds[row->kind]);
		return;
	}
	put_c(o, o->n > 1 ? ",\n\t\"" PREFIX : "\n\t\"" PREFIX);
	put_c(o, row->name);
	put_c(o, "\":{\"type\":\"");
	put_c(o, kinds[row->kind]);
	put_c(o, "\",\"help\":");
	put_quoted(o, str_c(row->help));
	put_c(o, ",\"series\":[");
	o->first = true;
}

static void
put_family(struct out *o, const struct metric_family *f)
{
	const struct metric_series *s;

	if (f->row->kind == METRIC_HIDDEN || (f->row->get == NULL && f->first == NULL))
		return;
	begin_family(o, f->row);
	if (f->row->get != NULL)
		put_value(o, f->row, NULL, 0, f->row->get());
	for (s = f->first; s != NULL; s = s->next)
		put_series(o, f->row, s);
	if (o->form == METRIC_JSON)
		put_c(o, "]}");
}

struct weir_str
metrics_text(const struct weir_metrics *ms, enum weir_metric_form form, struct weir_pool *pool)
{
	struct out			 o = { .pool = pool, .form = form };
	const struct metric_family	*f;

	room_for(&o, 8192);
	if (form == METRIC_JSON)
		put_c(&o, "{");
	for (f = ms->first; f != NULL; f = f->next)
		put_family(&o, f);
	if (form == METRIC_OPENMETRICS)
		put_c(&o, "# EOF\n");
	if (form == METRIC_JSON)
		put_c(&o, "\n}\n");
	return str_of(o.p, o.n);
}
