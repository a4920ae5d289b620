/*
 * rules_conf.c - directives about responses that proxy modules share: cookies, files that are kept.
 */
#include <sys/stat.h>

#include "core/proc/cycle.h"
#include "http/up/rules_conf.h"

/* ---- cookies ---- */

/*
 * `off`, or two arguments and more.  WEIR_OK: read the rule; WEIR_EOF: that was all; WEIR_FAIL.  `none`: the
 * place has no rule yet.
 */
static int
read_off(struct weir_conf *cf, struct weir_node *n, bool none, bool before)
{
	bool	off = n->n == 2 && str_eq(n->w[1].s, STR("off"));

	if (before && (off || none))
		return conf_error(cf, n, 0, "is duplicate");
	if (off)
		return WEIR_EOF;
	if (n->n == 2)
		return conf_error(cf, n, 1, "invalid parameter \"%.*s\"", STR_ARG(n->w[1].s));
	return WEIR_OK;
}

static void
append(struct weir_up_redirect **list, struct weir_up_redirect *d)
{
	while (*list != NULL)
		list = &(*list)->next;
	*list = d;
}

/* An expression without the dot in front of it. */
static int
read_domain(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_expr *to)
{
	struct weir_str	text = str_from(n->w[w].s, str_begins(n->w[w].s, STR(".")) ? 1 : 0);

	to->set = true;
	return expr_compile(cf, n, w, text, to);
}

int
up_conf_cookie_domain(struct weir_conf *cf, struct weir_node *n, struct weir_up_params *p, bool before)
{
	struct weir_up_redirect	*d;
	struct weir_str		 from = n->w[1].s;
	int			 rc = read_off(cf, n, p->cookie_domains == NULL, before);

	if (rc != WEIR_OK)
		return rc == WEIR_EOF ? WEIR_OK : rc;
	d = POOL_NEW(cf->pool, weir_up_redirect);
	if (str_begins(from, STR("~"))) {
		if (regex_compile(cf, n, 1, str_from(from, 1), true, &d->regex) != WEIR_OK ||
		    expr_field(cf, n, 2, &d->to) != WEIR_OK)
			return WEIR_FAIL;
	} else if (read_domain(cf, n, 1, &d->from) != WEIR_OK || read_domain(cf, n, 2, &d->to) != WEIR_OK) {
		return WEIR_FAIL;
	}
	append(&p->cookie_domains, d);
	return WEIR_OK;
}

int
up_conf_cookie_path(struct weir_conf *cf, struct weir_node *n, struct weir_up_params *p, bool before)
{
	struct weir_up_redirect	*d;
	struct weir_str		 from = n->w[1].s;
	bool			 nocase = str_begins(from, STR("~*"));
	int			 rc = read_off(cf, n, p->cookie_paths == NULL, before);

	if (rc != WEIR_OK)
		return rc == WEIR_EOF ? WEIR_OK : rc;
	d = POOL_NEW(cf->pool, weir_up_redirect);
	if (str_begins(from, STR("~"))) {
		if (regex_compile(cf, n, 1, str_from(from, nocase ? 2 : 1), nocase, &d->regex) != WEIR_OK)
			return WEIR_FAIL;
	} else if (expr_field(cf, n, 1, &d->from) != WEIR_OK) {
		return WEIR_FAIL;
	}
	append(&p->cookie_paths, d);
	return expr_field(cf, n, 2, &d->to);
}

/* A word without variables is one of those that there are. */
static int
read_flag(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_expr *to)
{
	const struct weir_choice	*c;

	if (expr_field(cf, n, w, to) != WEIR_OK)
		return WEIR_FAIL;
	if (!expr_is_const(to))
		return WEIR_OK;
	for (c = up_cookie_flags; c->name != NULL; c++)
		if (str_ieq(to->source, str_c(c->name)))
			return WEIR_OK;
	return conf_error(cf, n, w, "invalid proxy_cookie_flags flag \"%.*s\"", STR_ARG(to->source));
}

int
up_conf_cookie_flags(struct weir_conf *cf, struct weir_node *n, struct weir_up_params *p, bool before)
{
	struct weir_up_flags	*f, **tail;
	struct weir_str		 name = n->w[1].s;
	unsigned		 i;
	int			 rc = read_off(cf, n, p->cookie_flags == NULL, before);

	if (rc != WEIR_OK)
		return rc == WEIR_EOF ? WEIR_OK : rc;
	f = POOL_NEW(cf->pool, weir_up_flags);
	if (str_begins(name, STR("~")))
		rc = regex_compile(cf, n, 1, str_from(name, 1), true, &f->regex);
	else
		rc = expr_field(cf, n, 1, &f->name);
	if (rc != WEIR_OK)
		return rc;
	f->n = n->n - 2;
	f->words = pool_zalloc(cf->pool, f->n * sizeof(*f->words));
	for (i = 0; i < f->n; i++)
		if (read_flag(cf, n, i + 2, &f->words[i]) != WEIR_OK)
			return WEIR_FAIL;
	for (tail = &p->cookie_flags; *tail != NULL; tail = &(*tail)->next)
		;
	*tail = f;
	return WEIR_OK;
}

/* ---- files ---- */

int
up_conf_store(struct weir_conf *cf, struct weir_node *n, struct weir_up_params *p)
{
	struct weir_str	text = n->w[1].s;

	memset(&p->store_path, 0, sizeof(p->store_path));
	p->store = !str_eq(text, STR("off"));
	if (!p->store || str_eq(text, STR("on")))
		return WEIR_OK;
	if (text.n == 0)
		return conf_error(cf, n, 1, "empty path");
	if (text.p[0] != '$')
		text = conf_path(cf, text, false);
	p->store_path.set = true;
	return expr_compile(cf, n, 1, text, &p->store_path);
}

int
up_conf_store_access(struct weir_conf *cf, struct weir_node *n, struct weir_up_params *p)
{
	static const struct { const char *who; unsigned shift; } whos[] = {
		{ "user", 6 }, { "group", 3 }, { "all", 0 },
	};
	unsigned	w, i, user = 0600, rights;
	struct weir_str	what;

	p->store_access = 0;
	for (w = 1; w < n->n; w++) {
		what = STR_NONE;
		for (i = 0; i < WEIR_COUNT(whos); i++) {
			struct weir_str who = str_c(whos[i].who), word = n->w[w].s;

			if (!str_begins(word, who) || word.n <= who.n || word.p[who.n] != ':')
				continue;
			what = str_from(word, who.n + 1);
			break;
		}
		rights = str_eq(what, STR("rw")) ? 6 : str_eq(what, STR("r")) ? 4 : 0;
		if (rights == 0)
			return conf_error(cf, n, w, "invalid value \"%.*s\"", STR_ARG(n->w[w].s));
		if (whos[i].shift == 6)
			user = 0;
		p->store_access |= rights << whos[i].shift;
	}
	p->store_access |= user;
	return WEIR_OK;
}

/*
 * The folder that is sure when the configuration is read: what stands before the first variable, when there is
 * such a folder, else what stands before its last slash.  Empty: none.
 */
static struct weir_str
sure_folder(struct weir_conf *cf, const struct weir_expr *e)
{
	struct weir_str	text = expr_is_const(e) ? e->source : e->parts[0].var < 0 ? e->parts[0].text : STR_NONE;
	struct stat	st;
	ssize_t		slash;

	if (text.n == 0)
		return STR_NONE;
	if (stat(pool_cstr(cf->pool, text), &st) == 0 && S_ISDIR(st.st_mode))
		return text;
	slash = str_rchr(text, '/');
	return str_of(text.p, slash > 0 ? (size_t)slash : 0);
}

int
up_conf_store_ready(struct weir_conf *cf, struct weir_scope *s, const struct weir_up_params *p)
{
	const struct weir_http_conf	*core = conf_of(s, &http_module);
	const struct weir_expr		*e = p->store_path.set ? &p->store_path : core->alias.set ?
	    &core->alias : &core->root;
	struct weir_str			 dir = sure_folder(cf, e);

	cycle_temp_dir(cf, p->temp_path);
	if (dir.n == 0)
		return conf_error(cf, s->node, 0, "proxy_store: workers may write only where the "
		    "configuration says: \"%.*s\" begins with no folder", STR_ARG(e->source));
	cycle_needs_dir(cf, dir, true);
	return WEIR_OK;
}
