/*
 * cookie.c - proxy_cookie_domain, proxy_cookie_path, proxy_cookie_flags: Set-Cookie is changed.
 *
 * A field is taken apart into attributes; when a rule changes one of them, it is put together again.
 */
#include "http/up/up.h"

enum { MAX_ATTRS = 64 };		/* a cookie with more is passed as it is */

struct attr {
	struct weir_str	 key, value;
	bool		 has_value, gone;
};

struct cookie {
	struct attr	 v[MAX_ATTRS + 3];	/* v[0]: its name and value; flags may be added */
	unsigned	 n;
};

/* False: not what we would like to change. */
static bool
take_apart(struct weir_str s, struct cookie *to)
{
	struct weir_str	part;
	ssize_t		end, eq;
	struct attr	*a;

	to->n = 0;
	for (;;) {
		end = str_chr(s, ';');
		part = str_trim(end < 0 ? s : str_of(s.p, (size_t)end));
		if (to->n == MAX_ATTRS)
			return false;
		a = &to->v[to->n++];
		eq = str_chr(part, '=');
		*a = (struct attr){ .has_value = eq >= 0, .key = part };
		if (eq >= 0) {
			a->key = str_trim(str_of(part.p, (size_t)eq));
			a->value = str_trim(str_from(part, (size_t)eq + 1));
		}
		if (end < 0)
			return to->v[0].has_value;
		s = str_from(s, (size_t)end + 1);
	}
}

static struct weir_str
put_together(struct weir_pool *pool, const struct cookie *c)
{
	const struct attr	*a, *end = c->v + c->n;
	size_t			 n = 0;
	char			*p, *text;

	for (a = c->v; a < end; a++)
		n += a->key.n + a->value.n + 3;
	p = text = pool_alloc(pool, n);
	for (a = c->v; a < end; a++) {
		if (a->gone)
			continue;
		if (a != c->v)
			p = mempcpy(p, "; ", 2);
		p = mempcpy(p, a->key.p, a->key.n);
		if (a->has_value) {
			*p++ = '=';
			if (a->value.n != 0)
				p = mempcpy(p, a->value.p, a->value.n);
		}
	}
	return str_of(text, (size_t)(p - text));
}

/* ---- domain and path ---- */

/* A dot in front of a domain means nothing, and stays. */
static bool
change_domain(struct weir_sess *s, const struct weir_up_redirect *d, struct weir_str *value)
{
	size_t	dot = value->n != 0 && value->p[0] == '.';

	if (!str_ieq(str_from(*value, dot), expr_eval(s, &d->from)))
		return false;
	struct weir_str to = expr_eval(s, &d->to);

	*value = pool_printf(s->pool, "%s%.*s", dot ? "." : "", STR_ARG(to));
	return true;
}

static bool
change_path(struct weir_sess *s, const struct weir_up_redirect *d, struct weir_str *value)
{
	struct weir_str	from = expr_eval(s, &d->from), to;

	if (!str_begins(*value, from))
		return false;
	to = expr_eval(s, &d->to);
	*value = pool_printf(s->pool, "%.*s%.*s", STR_ARG(to), STR_ARG(str_from(*value, from.n)));
	return true;
}

/* The first rule that fits. */
static bool
change(struct weir_sess *s, const struct weir_up_redirect *d, struct weir_str *value,
    bool (*plainly)(struct weir_sess *, const struct weir_up_redirect *, struct weir_str *))
{
	for (; d != NULL; d = d->next) {
		if (d->regex == NULL) {
			if (plainly(s, d, value))
				return true;
		} else if (regex_match(s, d->regex, *value) == WEIR_OK) {
			*value = expr_eval(s, &d->to);
			return true;
		}
	}
	return false;
}

static bool
change_places(struct weir_up *u, struct cookie *c)
{
	struct weir_sess	*s = &u->r->s;
	bool			 changed = false;
	struct attr		*a;

	for (a = c->v + 1; a < c->v + c->n; a++) {
		if (!a->has_value)
			continue;
		if (str_ieq(a->key, STR("domain")))
			changed |= change(s, u->p->cookie_domains, &a->value, change_domain);
		else if (str_ieq(a->key, STR("path")))
			changed |= change(s, u->p->cookie_paths, &a->value, change_path);
	}
	return changed;
}

/* ---- flags ---- */

const struct weir_choice up_cookie_flags[] = {
	{ "secure", COOKIE_SECURE }, { "nosecure", COOKIE_NOSECURE },
	{ "httponly", COOKIE_HTTPONLY }, { "nohttponly", COOKIE_NOHTTPONLY },
	{ "samesite=strict", COOKIE_STRICT }, { "samesite=lax", COOKIE_LAX },
	{ "samesite=none", COOKIE_NONE }, { "nosamesite", COOKIE_NOSAMESITE },
	{ NULL, 0 }
};

static const struct {
	unsigned	 flag;
	const char	*value;
} same_sites[] = { { COOKIE_STRICT, "Strict" }, { COOKIE_LAX, "Lax" }, { COOKIE_NONE, "None" } };

/* What the first rule for this cookie says; 0: nothing. */
static unsigned
flags_for(struct weir_up *u, struct weir_str name)
{
	const struct weir_up_flags	*f;
	const struct weir_choice	*w;
	struct weir_sess		*s = &u->r->s;
	struct weir_str			 word;
	unsigned			 flags = 0, i;

	for (f = u->p->cookie_flags; f != NULL; f = f->next)
		if (f->regex != NULL ? regex_match(s, f->regex, name) == WEIR_OK :
		    str_ieq(expr_eval(s, &f->name), name))
			break;
	for (i = 0; f != NULL && i < f->n; i++) {
		word = expr_eval(s, &f->words[i]);
		for (w = up_cookie_flags; w->name != NULL && !str_ieq(word, str_c(w->name)); w++)
			;
		flags |= (unsigned)w->value;
	}
	return flags;
}

/* One that is there already needs not be added, one that must not be there goes. */
static void
meet_flag(struct attr *a, unsigned *flags, unsigned on, unsigned off)
{
	if (*flags & on)
		*flags &= ~on;
	else if (*flags & off)
		a->gone = true;
}

static void
meet_same_site(struct attr *a, unsigned *flags)
{
	unsigned	i;

	for (i = 0; i < WEIR_COUNT(same_sites); i++) {
		if (!(*flags & same_sites[i].flag))
			continue;
		*flags &= ~same_sites[i].flag;
		if (!str_ieq(a->value, str_c(same_sites[i].value)))
			*a = (struct attr){ .key = STR("SameSite"), .has_value = true,
			    .value = str_c(same_sites[i].value) };
		return;
	}
	if (*flags & COOKIE_NOSAMESITE)
		a->gone = true;
}

static bool
change_flags(struct weir_up *u, struct cookie *c)
{
	unsigned	flags = flags_for(u, c->v[0].key), i;
	struct attr	*a, *end = c->v + c->n;

	if (flags == 0)
		return false;
	for (a = c->v + 1; a < end; a++) {
		if (str_ieq(a->key, STR("secure")))
			meet_flag(a, &flags, COOKIE_SECURE, COOKIE_NOSECURE);
		else if (str_ieq(a->key, STR("httponly")))
			meet_flag(a, &flags, COOKIE_HTTPONLY, COOKIE_NOHTTPONLY);
		else if (str_ieq(a->key, STR("samesite")))
			meet_same_site(a, &flags);
	}
	if (flags & COOKIE_SECURE)
		c->v[c->n++] = (struct attr){ .key = STR("Secure") };
	if (flags & COOKIE_HTTPONLY)
		c->v[c->n++] = (struct attr){ .key = STR("HttpOnly") };
	for (i = 0; i < WEIR_COUNT(same_sites); i++) {
		if (!(flags & same_sites[i].flag))
			continue;
		c->v[c->n++] = (struct attr){ .key = STR("SameSite"), .has_value = true,
		    .value = str_c(same_sites[i].value) };
		break;
	}
	return true;
}

struct weir_str
up_cookie(struct weir_up *u, struct weir_str value)
{
	const struct weir_up_params	*p = u->p;
	struct cookie			 c;
	bool				 changed;

	if ((p->cookie_domains == NULL && p->cookie_paths == NULL && p->cookie_flags == NULL) ||
	    !take_apart(value, &c))
		return value;
	changed = change_places(u, &c);
	changed |= change_flags(u, &c);
	return changed ? put_together(u->r->s.pool, &c) : value;
}
