/*
 * var.c - variables: names to numbers when a configuration is read, numbers to
 * values when a session asks.
 *
 * A name gets its number when it is first used or defined, in any order; what it
 * means is settled then if a module has it, or later by vars_define(), and
 * vars_check() finds those that nobody knows.
 */
#include "core/base/hash.h"
#include "core/base/num.h"
#include "core/sess/var.h"

struct used {
	const char		*name;		/* lower case */
	struct weir_var		 def;
	bool			 known;		/* def says what it is */
	const struct weir_node	*node;		/* where it was used first */
	unsigned		 word;
};

struct weir_vars {
	struct weir_pool	*pool;
	struct weir_hash	 numbers;	/* name -> number + 1 */
	struct weir_hash	 builtin;	/* name -> struct weir_var */
	struct {
		const struct weir_var **v;
		unsigned	 n, room;
	}			 families;
	struct {
		struct used	*v;
		unsigned	 n, room;
	}			 used;
};

struct weir_vars *vars_now, *vars_http, *vars_stream;

/* Variables that are being asked for: each frame is on the stack of its ask(). */
struct asking {
	const struct asking	*up;
	const struct weir_sess	*s;
	unsigned		 number, depth;
};

static const struct asking *asking;

/*
 * Reading a configuration.
 */

static bool
is_for(const struct weir_var *v, bool stream)
{
	return stream ? (v->flags & VAR_STREAM) != 0 : (v->flags & VAR_NOT_HTTP) == 0;
}

struct weir_vars *
vars_new(struct weir_conf *cf, bool stream)
{
	struct weir_vars		*vs = POOL_NEW(cf->pool, weir_vars);
	const struct weir_module *const	*m;
	const struct weir_var		*v;

	vs->pool = cf->pool;
	hash_init(&vs->numbers, cf->pool, false);
	hash_init(&vs->builtin, cf->pool, false);
	for (m = weir_modules; *m != NULL; m++)
		for (v = (*m)->vars; v != NULL && v->name != NULL; v++) {
			if (!is_for(v, stream))
				continue;
			if (v->flags & VAR_PREFIX)
				*POOL_PUSH(cf->pool, &vs->families) = v;
			else
				hash_put(&vs->builtin, str_c(v->name), (void *)(uintptr_t)v);
		}
	return vs;
}

/* The family with the longest beginning of the name, or NULL. */
static const struct weir_var *
family_of(const struct weir_vars *vs, struct weir_str name)
{
	const struct weir_var	*best = NULL;
	size_t			 most = 0, n;
	unsigned		 i;

	for (i = 0; i < vs->families.n; i++) {
		n = strlen(vs->families.v[i]->name);
		if (n > most && str_begins(name, str_of(vs->families.v[i]->name, n))) {
			best = vs->families.v[i];
			most = n;
		}
	}
	return best;
}

static void
settle(struct weir_vars *vs, struct used *u, struct weir_str name)
{
	const struct weir_var	*v = hash_get(&vs->builtin, name);
	struct weir_str		*rest;

	if (v != NULL) {
		u->def = *v;
		u->known = true;
		return;
	}
	if ((v = family_of(vs, name)) == NULL)
		return;
	rest = pool_alloc(vs->pool, sizeof(*rest));
	*rest = str_from(name, strlen(v->name));
	u->def = *v;
	u->def.data = rest;
	u->known = true;
}

static struct weir_str
lower(struct weir_pool *p, struct weir_str name)
{
	char *c = pool_bytes(p, name.n + 1);

	str_lower(c, name.p, name.n);
	c[name.n] = '\0';
	return str_of(c, name.n);
}

unsigned
vars_use(struct weir_vars *vs, struct weir_str name)
{
	struct used	*u;
	uintptr_t	 number;

	name = lower(vs->pool, name);
	number = (uintptr_t)hash_get(&vs->numbers, name);
	if (number != 0)
		return (unsigned)number - 1;
	u = POOL_PUSH(vs->pool, &vs->used);
	u->name = name.p;
	settle(vs, u, name);
	hash_put(&vs->numbers, name, (void *)(uintptr_t)vs->used.n);
	return vs->used.n - 1;
}

const struct weir_var *
vars_builtin(const struct weir_vars *vs, struct weir_str name)
{
	return hash_get(&vs->builtin, lower(vs->pool, name));
}

int
vars_define(struct weir_vars *vs, struct weir_str name, const struct weir_var *def,
    unsigned *number)
{
	const struct weir_var	*v = vars_builtin(vs, name);
	struct used		*u;

	if (v != NULL && !(v->flags & VAR_CHANGEABLE))
		return WEIR_FAIL;
	*number = vars_use(vs, name);
	u = &vs->used.v[*number];
	if (u->known && (def->get == NULL || def->flags & VAR_WEAK))
		return WEIR_OK;
	u->def = *def;
	u->known = true;
	return WEIR_OK;
}

void
vars_used_at(struct weir_vars *vs, unsigned number, const struct weir_node *node, unsigned word)
{
	struct used *u = &vs->used.v[number];

	if (u->node != NULL)
		return;
	u->node = node;
	u->word = word;
}

/* Every name there is, for did-you-mean; families are left out. */
static const char **
names(const struct weir_vars *vs, unsigned *n)
{
	const char			**v;
	const struct weir_hash_slot	 *slot;
	unsigned			  i;

	v = pool_alloc(vs->pool, (vs->builtin.n + vs->used.n + 1) * sizeof(*v));
	*n = 0;
	for (i = 0; (slot = hash_next(&vs->builtin, &i)) != NULL; )
		v[(*n)++] = ((const struct weir_var *)slot->value)->name;
	for (i = 0; i < vs->used.n; i++)
		if (vs->used.v[i].known)
			v[(*n)++] = vs->used.v[i].name;
	return v;
}

int
vars_check(struct weir_vars *vs, struct weir_conf *cf)
{
	const char	**all = NULL, *like;
	struct weir_str	  why;
	unsigned	  n = 0, i;
	int		  rc = WEIR_OK;

	for (i = 0; i < vs->used.n; i++) {
		const struct used *u = &vs->used.v[i];

		if (u->known)
			continue;
		if (all == NULL)
			all = names(vs, &n);
		like = conf_nearest(str_c(u->name), all, n);
		why = conf_foreign(cf, u->node, "$", str_c(u->name));
		if (why.n != 0)
			like = NULL;
		rc = conf_error(cf, u->node, u->word, "unknown \"%s\" variable%s%s%s%.*s", u->name,
		    like != NULL ? ", did you mean \"$" : "", like != NULL ? like : "",
		    like != NULL ? "\"?" : "", STR_ARG(why));
	}
	return rc;
}

/*
 * Serving.
 */

static inline struct weir_vars *
vars_of(const struct weir_sess *s)
{
	return s->is_http ? vars_http : vars_stream;
}

void
vars_make(struct weir_sess *s)
{
	if (s->vars == NULL)
		s->vars = pool_zalloc(s->pool, vars_of(s)->used.n * sizeof(*s->vars));
}

/* May it be asked for?  Not when it is being asked for already, or the chain is too long. */
static bool
may_ask(struct weir_sess *s, unsigned number)
{
	const struct asking *a;

	if (asking != NULL && asking->depth >= VAR_DEPTH_MAX) {
		log_errorx(&s->log, "too many variables in one another while evaluating \"$%s\"",
		    vars_of(s)->used.v[number].name);
		return false;
	}
	for (a = asking; a != NULL; a = a->up)
		if (a->number == number && a->s == s) {
			log_errorx(&s->log, "cycle while evaluating variable \"$%s\"",
			    vars_of(s)->used.v[number].name);
			return false;
		}
	return true;
}

static struct weir_value
ask(struct weir_sess *s, unsigned number)
{
	const struct weir_var	*def = &vars_of(s)->used.v[number].def;
	struct asking		 me = { asking, s, number, asking != NULL ? asking->depth + 1 : 1 };
	struct weir_value	 v = { STR_NONE, VALUE_MISSING };

	if (def->get == NULL || !may_ask(s, number))
		return v;
	asking = &me;
	if (def->get(s, &v.s, def->data) == WEIR_OK)
		v.state = VALUE_OK;
	else
		v.s = STR_NONE;
	asking = me.up;
	if (def->flags & VAR_VOLATILE)
		return v;
	vars_make(s);
	/* Getting it may have set it; then that is what it is. */
	if (s->vars[number].state == VALUE_NONE)
		s->vars[number] = v;
	return s->vars[number];
}

struct weir_str
var_get(struct weir_sess *s, unsigned number, bool *missing)
{
	struct weir_value v;

	assert(number < vars_of(s)->used.n);
	if (s->vars != NULL && s->vars[number].state != VALUE_NONE)
		v = s->vars[number];
	else
		v = ask(s, number);
	if (missing != NULL)
		*missing = v.state != VALUE_OK;
	return v.s;
}

struct saved {			/* before the bytes of each */
	uint32_t number, n;
	uint8_t	 state;
} __attribute__((packed));

void
vars_keep(struct weir_sess *s)
{
	unsigned	i;
	bool		missing;
	struct weir_str v;

	for (i = 0; i < vars_of(s)->used.n; i++) {
		if (!(vars_of(s)->used.v[i].def.flags & VAR_KEEP))
			continue;
		v = var_get(s, i, &missing);
		if (!missing)
			var_set(s, i, v);
	}
}

size_t
vars_save(const struct weir_sess *s, char *to)
{
	size_t size = 0;

	for (unsigned i = 0; s->vars != NULL && i < vars_of(s)->used.n; i++) {
		const struct weir_value *v = &s->vars[i];
		struct saved head = { i, (uint32_t)v->s.n, v->state };

		if (v->state == VALUE_NONE)
			continue;
		if (to != NULL) {
			memcpy(to + size, &head, sizeof head);
			if (v->s.n != 0)
				memcpy(to + size + sizeof head, v->s.p, v->s.n);
		}
		size += sizeof head + v->s.n;
	}
	return size;
}

void
vars_load(struct weir_sess *s, const char *from, size_t n)
{
	const char *end = from + n;

	vars_make(s);
	while (from < end) {
		struct saved head;

		memcpy(&head, from, sizeof head);
		from += sizeof head;
		s->vars[head.number] = (struct weir_value){ { from, head.n }, head.state };
		from += head.n;
	}
}

void
var_set(struct weir_sess *s, unsigned number, struct weir_str value)
{
	assert(number < vars_of(s)->used.n);
	vars_make(s);
	s->vars[number] = (struct weir_value){ value, VALUE_OK };
}

void
var_forget(struct weir_sess *s, unsigned number)
{
	if (s->vars == NULL)
		return;
	if (number == VAR_ALL) {
		memset(s->vars, 0, vars_of(s)->used.n * sizeof(*s->vars));
		return;
	}
	assert(number < vars_of(s)->used.n);
	s->vars[number].state = VALUE_NONE;
}

/*
 * Making values.
 */

int
var_copy(struct weir_sess *s, struct weir_str *to, const char *p, size_t n)
{
	*to = pool_str(s->pool, str_of(p, n));
	return WEIR_OK;
}

int
var_u64(struct weir_sess *s, struct weir_str *to, uint64_t n)
{
	char buf[NUM_MAX];

	return var_copy(s, to, buf, (size_t)(num_put(buf, n) - buf));
}

char *
put_seconds(char *to, uint64_t ms)
{
	unsigned rest = (unsigned)(ms % 1000);

	to = num_put(to, ms / 1000);
	to[0] = '.';
	to[1] = (char)('0' + rest / 100);
	to[2] = (char)('0' + rest / 10 % 10);
	to[3] = (char)('0' + rest % 10);
	return to + 4;
}

int
var_seconds(struct weir_sess *s, struct weir_str *to, uint64_t ms)
{
	char buf[NUM_MAX + 4];

	return var_copy(s, to, buf, (size_t)(put_seconds(buf, ms) - buf));
}
