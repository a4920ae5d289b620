/*
 * table.c - the directives of all modules, by name and place.
 *
 * One name may have several rows: `server` stands in http and in upstream, of
 * different modules.  The place chooses.
 */
#include "core/conf/parts.h"

static const struct {
	unsigned	 in;
	const char	*name;
} places[] = {
	{ IN_MAIN, "main" }, { IN_EVENTS, "events" }, { IN_HTTP, "http" },
	{ IN_SERVER, "server" }, { IN_LOCATION, "location" },
	{ IN_IF_SERVER, "if in server" }, { IN_IF, "if in location" },
	{ IN_LIMIT, "limit_except" }, { IN_UPSTREAM, "upstream" }, { IN_STREAM, "stream" },
	{ IN_STREAM_SERVER, "server in stream" }, { IN_STREAM_UPSTREAM, "upstream in stream" },
};

const char *
places_text(char to[PLACES_MAX], unsigned in, const char *separator)
{
	size_t	 n = 0;
	unsigned i;

	to[0] = '\0';
	for (i = 0; i < WEIR_COUNT(places); i++)
		if ((in & places[i].in) != 0 && n < PLACES_MAX)
			n += (size_t)snprintf(to + n, PLACES_MAX - n, "%s%s",
			    n != 0 ? separator : "", places[i].name);
	return to;
}

/* A mistake in a module's table: the program is wrong, not its configuration. */
static void
must(bool fine, const struct weir_module *m, const struct weir_cmd *cmd, const char *what)
{
	if (fine)
		return;
	log_alertx(weir_log, "module %s, directive \"%s\": %s", m->name, cmd->name, what);
	assert(!"the tables of directives are sound");
}

static void
check_cmd(const struct weir_module *m, const struct weir_cmd *cmd)
{
	size_t size = type_size(cmd->type);

	must(cmd->in != 0, m, cmd, "it has no place");
	must(cmd->doc != NULL, m, cmd, "it has no sentence for the manual");
	must(cmd->type != CONF_CUSTOM || cmd->set != NULL, m, cmd, "a custom type needs set()");
	must(size == 0 || cmd->size == 0 || cmd->size == size, m, cmd, "its field has another type");
	must(cmd->at + WEIR_MAX(size, cmd->size) <= m->conf_size, m, cmd, "its field is outside");
	must((cmd->type != CONF_ENUM && cmd->type != CONF_BITS) || cmd->choices != NULL, m, cmd,
	    "it has no choices");
	must((cmd->flags & (CONF_BLOCK | CONF_RAW)) == 0 || cmd->type == CONF_CUSTOM, m, cmd,
	    "a block has a custom type");
	must((cmd->flags & CONF_OPT_BLOCK) == 0 || (cmd->flags & CONF_BLOCK) != 0, m, cmd,
	    "an optional block is a block");
	must((cmd->flags & CONF_NOINHERIT) == 0 || size != 0 || cmd->size != 0, m, cmd,
	    "what is not inherited needs CONF_AT");
}

void
conf_modules_init(void)
{
	const struct weir_cmd	*cmd;
	unsigned		 i;

	for (i = 0; weir_modules[i] != NULL; i++) {
		const struct weir_module *m = weir_modules[i];

		assert(m->name != NULL && m->index != NULL);
		*m->index = i;
		for (cmd = m->cmds; cmd != NULL && cmd->name != NULL; cmd++)
			check_cmd(m, cmd);
	}
	assert(i == weir_n_modules);
}

static void
add(struct weir_pool *pool, struct weir_table *t, unsigned index, const struct weir_cmd *cmd)
{
	struct weir_entry *e = POOL_NEW(pool, weir_entry), *old;

	e->cmd = cmd;
	e->module = weir_modules[index];
	e->index = index;
	old = hash_get(&t->names, str_c(cmd->name));
	if (old == NULL) {
		hash_put(&t->names, str_c(cmd->name), e);
		t->words[t->n_words++] = cmd->name;
		return;
	}
	for (;; old = old->same) {
		must((old->cmd->in & cmd->in) == 0, e->module, cmd,
		    "another row has the same name and place");
		if (old->same == NULL)
			break;
	}
	old->same = e;
}

struct weir_table *
table_new(struct weir_pool *pool)
{
	struct weir_table	*t = POOL_NEW(pool, weir_table);
	const struct weir_cmd	*cmd;
	unsigned		 i, n = 0;

	hash_init(&t->names, pool, false);
	for (i = 0; i < weir_n_modules; i++)
		for (cmd = weir_modules[i]->cmds; cmd != NULL && cmd->name != NULL; cmd++)
			n++;
	t->words = pool_alloc(pool, n * sizeof(*t->words));
	for (i = 0; i < weir_n_modules; i++)
		for (cmd = weir_modules[i]->cmds; cmd != NULL && cmd->name != NULL; cmd++)
			add(pool, t, i, cmd);
	return t;
}

struct weir_entry *
table_find(const struct weir_table *t, struct weir_str name, unsigned in)
{
	struct weir_entry *e = hash_get(&t->names, name);

	while (e != NULL && (e->cmd->in & in) == 0)
		e = e->same;
	return e;
}

static int
misplaced(struct weir_conf *cf, const struct weir_node *n, const struct weir_entry *e)
{
	char	 text[PLACES_MAX];
	unsigned in = 0;

	for (; e != NULL; e = e->same)
		in |= e->cmd->in;
	return conf_error(cf, n, 0, "\"%.*s\" directive is not allowed here, it belongs in %s",
	    STR_ARG(n->w[0].s), places_text(text, in, ", "));
}

static const struct weir_absent *
find_absent(struct weir_str name)
{
	const struct weir_absent *a;

	for (a = weir_absent; a->directive != NULL; a++)
		if (str_eq(name, str_c(a->directive)))
			return a;
	return NULL;
}

/* The nearest name, if possible of those that may stand here. */
static const char *
guess(const struct weir_conf *cf, struct weir_str name, unsigned in)
{
	const struct weir_table	*t = cf->table;
	const char		**here = pool_alloc(cf->pool, t->n_words * sizeof(*here)), *near;
	unsigned		 i, n = 0;

	for (i = 0; i < t->n_words; i++)
		if (table_find(t, str_c(t->words[i]), in) != NULL)
			here[n++] = t->words[i];
	near = conf_nearest(name, here, n);
	return near != NULL ? near : conf_nearest(name, t->words, t->n_words);
}

int
table_complain(struct weir_conf *cf, const struct weir_node *n, unsigned in)
{
	struct weir_str		  name = n->w[0].s;
	const struct weir_entry	 *e = hash_get(&cf->table->names, name);
	const struct weir_absent *a;
	const char		 *near;

	if (e != NULL)
		return misplaced(cf, n, e);
	if ((a = find_absent(name)) != NULL)
		return conf_error(cf, n, 0, "unknown directive \"%.*s\": it is of the module %s, "
		    "which this build lacks (configure %s)", STR_ARG(name), a->module, a->flag);
	/* A whole name is certain, a slip of the pen is likelier than one that only begins so. */
	/* Nobody reads more than the first of them. */
	if (cf->told >= CONF_ERRORS_MAX)
		return conf_error(cf, n, 0, "unknown directive \"%.*s\"", STR_ARG(name));
	if (foreign_complain(cf, n, true))
		return WEIR_FAIL;
	near = guess(cf, name, in);
	if (near != NULL)
		return conf_error(cf, n, 0, "unknown directive \"%.*s\", did you mean \"%s\"?",
		    STR_ARG(name), near);
	if (foreign_complain(cf, n, false))
		return WEIR_FAIL;
	return conf_error(cf, n, 0, "unknown directive \"%.*s\"", STR_ARG(name));
}

void
conf_directives(FILE *f)
{
	char			 text[PLACES_MAX];
	const struct weir_cmd	*cmd;
	unsigned		 i;
	char			*p;

	for (i = 0; i < weir_n_modules; i++)
		for (cmd = weir_modules[i]->cmds; cmd != NULL && cmd->name != NULL; cmd++) {
			places_text(text, cmd->in, ",");
			/* Words by spaces: a place is one word. */
			for (p = text; *p != '\0'; p++)
				if (*p == ' ')
					*p = '-';
			fprintf(f, "%s %s %s\n", cmd->name, weir_modules[i]->name, text);
		}
}
