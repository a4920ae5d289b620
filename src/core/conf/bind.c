/*
 * bind.c - nodes to scopes.
 *
 * A scope is bound in this order:
 *
 *	resolve		every directive: its row by name and place, its shape, how many
 *			words; it is no duplicate
 *	simple		as they were written, each into the scope's own struct
 *	ready()		of the modules whose struct is the scope's own
 *	blocks		as they were written: set() makes the inner scope by conf_block()
 *	done()
 *
 * Structs are shared with the parent and copied when something is first
 * written into them.
 */
#include "core/conf/parts.h"

struct weir_seen {			/* a directive that stands in a scope: once for each row */
	struct weir_seen	*next;
	const struct weir_entry	*entry;
	const struct weir_node	*node;	/* the first of them */
};

/*
 * Whose struct.
 */

static struct weir_scope *
scope_new(struct weir_conf *cf, struct weir_scope *parent, struct weir_node *node, unsigned in)
{
	struct weir_scope *s = POOL_NEW(cf->pool, weir_scope);

	s->parent = parent;
	s->node = node;
	s->in = in;
	s->own = pool_zalloc(cf->pool, (weir_n_modules / 64 + 1) * sizeof(*s->own));
	/* one more: what sess/ finds out about the place while the server runs */
	s->conf = pool_zalloc(cf->pool, (weir_n_modules + 1) * sizeof(*s->conf));
	if (parent != NULL)
		memcpy(s->conf, parent->conf, weir_n_modules * sizeof(*s->conf));
	return s;
}

static bool
owns(const struct weir_scope *s, unsigned index)
{
	return s->own != NULL && (s->own[index / 64] >> index % 64 & 1) != 0;
}

static void *
own(struct weir_conf *cf, struct weir_scope *s, unsigned index)
{
	size_t size = weir_modules[index]->conf_size;

	if (owns(s, index))
		return s->conf[index];
	s->own[index / 64] |= (uint64_t)1 << index % 64;
	if (size != 0)
		s->conf[index] = pool_dup(cf->pool, s->conf[index], size);
	return s->conf[index];
}

bool
conf_is_own(const struct weir_scope *s, const struct weir_module *m)
{
	return owns(s, *m->index);
}

void *
conf_own(struct weir_conf *cf, struct weir_scope *s, const struct weir_module *m)
{
	return own(cf, s, *m->index);
}

/*
 * What was written.
 */

static struct weir_seen *
seen_find(const struct weir_scope *s, const struct weir_entry *e)
{
	struct weir_seen *seen;

	for (seen = s->seen; seen != NULL; seen = seen->next)
		if (seen->entry == e)
			break;
	return seen;
}

static void
seen_add(struct weir_conf *cf, struct weir_scope *s, const struct weir_entry *e,
    const struct weir_node *n)
{
	struct weir_seen *seen;

	if (seen_find(s, e) != NULL)
		return;
	seen = pool_alloc(cf->pool, sizeof(*seen));
	*seen = (struct weir_seen){ s->seen, e, n };
	s->seen = seen;
}

const struct weir_node *
conf_written(const struct weir_scope *s, const struct weir_module *m, const char *name)
{
	const struct weir_seen *seen;

	for (seen = s->seen; seen != NULL; seen = seen->next)
		if (seen->entry->module == m && strcmp(seen->entry->cmd->name, name) == 0)
			return seen->node;
	return NULL;
}

bool
conf_set_here(const struct weir_scope *s, const struct weir_module *m, const char *name)
{
	return conf_written(s, m, name) != NULL;
}

bool
conf_set(const struct weir_scope *s, const struct weir_module *m, const char *name)
{
	for (; s != NULL; s = s->parent)
		if (conf_set_here(s, m, name))
			return true;
	return false;
}

/*
 * What a field holds before it is written.
 */

static size_t
field_size(const struct weir_cmd *cmd)
{
	return cmd->type == CONF_CUSTOM ? cmd->size : type_size(cmd->type);
}

/* Was the field written in this scope already, by this directive or by another? */
static bool
field_written(const struct weir_scope *s, const struct weir_entry *e)
{
	const struct weir_seen *seen;

	for (seen = s->seen; seen != NULL; seen = seen->next)
		if (seen->entry == e || (seen->entry->module == e->module &&
		    seen->entry->cmd->at == e->cmd->at && field_size(seen->entry->cmd) != 0))
			return true;
	return false;
}

/* Lists begin anew in each scope, or they would grow into the parent's. */
static void
field_begin(const struct weir_scope *s, const struct weir_entry *e, void *conf)
{
	bool grows = e->cmd->type == CONF_LIST ||
	    (e->cmd->type == CONF_CUSTOM && (e->cmd->flags & CONF_MULTI) != 0);

	if (grows && field_size(e->cmd) != 0 && !field_written(s, e))
		memset((char *)conf + e->cmd->at, 0, field_size(e->cmd));
}

static bool
inherits_all(unsigned in)
{
	return (in & (IN_IF_SERVER | IN_IF | IN_LIMIT)) != 0;
}

/* In a new scope: what the parent has, and its blocks shall not have. */
static void
forget_noinherit(struct weir_conf *cf, struct weir_scope *s)
{
	const struct weir_scope	*up;
	const struct weir_seen	*seen;
	const struct weir_cmd	*cmd;
	unsigned		 i;

	if (inherits_all(s->in))
		return;
	for (up = s->parent; up != NULL; up = inherits_all(up->in) ? up->parent : NULL)
		for (seen = up->seen; seen != NULL; seen = seen->next) {
			cmd = seen->entry->cmd;
			i = seen->entry->index;
			if ((cmd->flags & CONF_NOINHERIT) == 0 || (cmd->flags & CONF_BLOCK) != 0)
				continue;
			memcpy((char *)own(cf, s, i) + cmd->at,
			    (char *)cf->table->defaults[i] + cmd->at, field_size(cmd));
		}
}

/*
 * Is the directive well formed?
 */

/* The word that begins a line and is a directive itself: a `;` is missing before it.  0: none. */
static unsigned
swallowed(const struct weir_conf *cf, const struct weir_scope *s, const struct weir_node *n)
{
	unsigned i;

	for (i = 1; i < n->n; i++)
		if (n->w[i].line > n->w[i - 1].line && !n->w[i].quoted &&
		    table_find(cf->table, n->w[i].s, s->in) != NULL)
			return i;
	return 0;
}

static int
not_terminated(struct weir_conf *cf, const struct weir_scope *s, const struct weir_node *n)
{
	unsigned i = swallowed(cf, s, n);

	if (i == 0)
		return conf_error(cf, n, 0, "directive \"%.*s\" is not terminated by \";\", "
		    "it opens no block", STR_ARG(n->w[0].s));
	return conf_error(cf, n, i - 1, "directive \"%.*s\" is not terminated by \";\" before \"%.*s\"",
	    STR_ARG(n->w[0].s), STR_ARG(n->w[i].s));
}

static int
check_block(struct weir_conf *cf, const struct weir_scope *s, const struct weir_node *n,
    const struct weir_cmd *cmd)
{
	const struct weir_node	*c;
	bool			 wants = (cmd->flags & (CONF_BLOCK | CONF_RAW)) != 0;

	if (n->block && !wants)
		return not_terminated(cf, s, n);
	if (!n->block && wants && (cmd->flags & CONF_OPT_BLOCK) == 0)
		return conf_error(cf, n, n->n - 1, "directive \"%.*s\" has no opening \"{\"",
		    STR_ARG(n->w[0].s));
	if ((cmd->flags & CONF_RAW) == 0)
		return WEIR_OK;
	for (c = n->child; c != NULL; c = c->next)
		if (c->block)
			return conf_error(cf, c, c->n - 1, "unexpected \"{\" in \"%.*s\"",
			    STR_ARG(n->w[0].s));
	return WEIR_OK;
}

/* `1`, `1 or 2`, `1 to 3`, `at least 1` */
static struct weir_str
count_text(struct weir_conf *cf, unsigned min, unsigned max)
{
	if (max == 0)
		return STR("none");
	if (min == max)
		return pool_printf(cf->pool, "%u", min);
	if (max >= CONF_ANY)
		return pool_printf(cf->pool, "at least %u", min);
	return pool_printf(cf->pool, "%u %s %u", min, max == min + 1 ? "or" : "to", max);
}

static int
check_count(struct weir_conf *cf, const struct weir_scope *s, const struct weir_node *n,
    const struct weir_cmd *cmd)
{
	unsigned	min, max, i = swallowed(cf, s, n);
	struct weir_str	should;

	type_args(cmd, &min, &max);
	if (n->n - 1 >= min && (n->n - 1 <= max || max >= CONF_ANY)) {
		if (i == 0)
			return WEIR_OK;
		return conf_warn(cf, n, i, "\"%.*s\" is an argument of \"%.*s\" here, "
		    "is a \";\" missing before it?", STR_ARG(n->w[i].s), STR_ARG(n->w[0].s));
	}
	if (i != 0)
		return not_terminated(cf, s, n);
	should = count_text(cf, min, max);
	/* Too many: show the first that is too much. */
	return conf_error(cf, n, n->n - 1 > max ? max + 1 : 0,
	    "invalid number of arguments in \"%.*s\" directive: %u, it takes %.*s",
	    STR_ARG(n->w[0].s), n->n - 1, STR_ARG(should));
}

static int
check_duplicate(struct weir_conf *cf, const struct weir_scope *s, const struct weir_node *n,
    const struct weir_entry *e)
{
	const struct weir_seen *first;

	if ((e->cmd->flags & CONF_MULTI) != 0 || (first = seen_find(s, e)) == NULL)
		return WEIR_OK;
	return conf_error(cf, n, 0, "\"%.*s\" directive is duplicate, the first is at %s:%u",
	    STR_ARG(n->w[0].s), first->node->file->path, first->node->w[0].line);
}

/* NULL after a mistake. */
static struct weir_entry *
resolve(struct weir_conf *cf, struct weir_scope *s, const struct weir_node *n)
{
	struct weir_entry *e = table_find(cf->table, n->w[0].s, s->in);

	if (e == NULL) {
		table_complain(cf, n, s->in);
		return NULL;
	}
	if (check_block(cf, s, n, e->cmd) != WEIR_OK || check_count(cf, s, n, e->cmd) != WEIR_OK ||
	    check_duplicate(cf, s, n, e) != WEIR_OK)
		return NULL;
	return e;
}

/*
 * Binding.
 */

/* Whoever fails says so; if not, it is said here, for a silent failure would be a success. */
static int
checked(struct weir_conf *cf, const struct weir_node *n, unsigned errors, int rc)
{
	if (rc == WEIR_OK || cf->errors != errors)
		return rc;
	return conf_error(cf, n, 0, "cannot be used");
}

static int
call_set(struct weir_conf *cf, struct weir_scope *s, const struct weir_entry *e,
    struct weir_node *n, void *conf)
{
	unsigned errors = cf->errors;

	if (e->cmd->set == NULL)
		return WEIR_OK;
	return checked(cf, n, errors, e->cmd->set(cf, s, n, conf));
}

static int
bind_simple(struct weir_conf *cf, struct weir_scope *s, const struct weir_entry *e,
    struct weir_node *n)
{
	void *conf = own(cf, s, e->index);

	field_begin(s, e, conf);
	if (type_store(cf, e->cmd, n, conf) != WEIR_OK)
		return WEIR_FAIL;
	return call_set(cf, s, e, n, conf);
}

static bool
is_block(const struct weir_entry *e)
{
	return (e->cmd->flags & CONF_BLOCK) != 0;
}

static void
bind_simples(struct weir_conf *cf, struct weir_scope *s, struct weir_node *first)
{
	struct weir_node *n;

	for (n = first; n != NULL; n = n->next) {
		if ((n->bound = resolve(cf, s, n)) == NULL)
			continue;
		/* A mistake was told; the following are looked at all the same. */
		if (!is_block(n->bound))
			(void)bind_simple(cf, s, n->bound, n);
		seen_add(cf, s, n->bound, n);
	}
}

static void
bind_blocks(struct weir_conf *cf, struct weir_scope *s, struct weir_node *first)
{
	struct weir_node *n;

	for (n = first; n != NULL; n = n->next)
		if (n->bound != NULL && is_block(n->bound))
			(void)call_set(cf, s, n->bound, n, s->conf[n->bound->index]);
}

/* ready() or done() of every module that has something of its own here. */
static void
call_modules(struct weir_conf *cf, struct weir_scope *s, bool done)
{
	unsigned i, errors;

	for (i = 0; i < weir_n_modules; i++) {
		const struct weir_module *m = weir_modules[i];
		int (*fn)(struct weir_conf *, struct weir_scope *, void *) =
		    done ? m->done : m->ready;

		if (fn == NULL || !owns(s, i))
			continue;
		errors = cf->errors;
		(void)checked(cf, s->node, errors, fn(cf, s, s->conf[i]));
	}
}

static void
bind_scope(struct weir_conf *cf, struct weir_scope *s, struct weir_node *first)
{
	unsigned errors = cf->errors;

	bind_simples(cf, s, first);
	call_modules(cf, s, false);
	bind_blocks(cf, s, first);
	/* done() looks at the whole: after a mistake inside it would only find its consequences. */
	if (cf->errors == errors)
		call_modules(cf, s, true);
}

struct weir_scope *
conf_block(struct weir_conf *cf, struct weir_scope *parent, struct weir_node *n, unsigned in,
    void *owner)
{
	struct weir_scope	*s = scope_new(cf, parent, n, in);
	unsigned		 errors = cf->errors;

	s->owner = owner;
	forget_noinherit(cf, s);
	bind_scope(cf, s, n->child);
	return cf->errors == errors ? s : NULL;
}

/*
 * Defaults: read as if they had been written.
 */

static void
bind_default(struct weir_conf *cf, struct weir_scope *s, unsigned index, const struct weir_cmd *cmd)
{
	struct weir_entry	 e = { .cmd = cmd, .module = weir_modules[index], .index = index };
	struct weir_node	*n;
	struct weir_str		 text;
	bool			 block = cmd->def[0] == '{';

	text = pool_printf(cf->pool, "%s %s%s", cmd->name, cmd->def, block ? "" : ";");
	n = lexer_node(cf, "built-in default", text);
	if (n != NULL && bind_simple(cf, s, &e, n) == WEIR_OK)
		return;
	log_alertx(weir_log, "module %s: the default of \"%s\" is wrong: %s",
	    weir_modules[index]->name, cmd->name, cmd->def);
	if (cf->errors == 0)
		conf_error(cf, n, 0, "the built-in default is wrong");
}

static void
bind_defaults(struct weir_conf *cf, struct weir_scope *s)
{
	const struct weir_cmd	*cmd;
	unsigned		 i;

	for (i = 0; i < weir_n_modules; i++) {
		s->own[i / 64] |= (uint64_t)1 << i % 64;
		if (weir_modules[i]->conf_size != 0)
			s->conf[i] = pool_zalloc(cf->pool, weir_modules[i]->conf_size);
	}
	for (i = 0; i < weir_n_modules; i++)
		for (cmd = weir_modules[i]->cmds; cmd != NULL && cmd->name != NULL; cmd++)
			if (cmd->def != NULL && (cmd->flags & CONF_BLOCK) == 0)
				bind_default(cf, s, i, cmd);

	cf->table->defaults = pool_alloc(cf->pool, weir_n_modules * sizeof(void *) + 1);
	for (i = 0; i < weir_n_modules; i++)
		cf->table->defaults[i] = pool_dup(cf->pool, s->conf[i], weir_modules[i]->conf_size);
}

int
conf_bind(struct weir_conf *cf)
{
	if (cf->broken || cf->root == NULL)
		return WEIR_FAIL;
	cf->table = table_new(cf->pool);
	cf->main = scope_new(cf, NULL, NULL, IN_MAIN);
	bind_defaults(cf, cf->main);
	bind_scope(cf, cf->main, cf->root->child);
	error_count(cf);
	return cf->errors == 0 ? WEIR_OK : WEIR_FAIL;
}
