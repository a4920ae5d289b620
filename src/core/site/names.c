/*
 * names.c - server names: exact, wildcard, regex.
 *
 * A wildcard is kept without its star and the dot beside it.  To find it, a host is cut at
 * its dots, the longest part first, and each part is looked up; parts longer than the longest
 * wildcard are not tried, so that a Host of four thousand dots costs nothing.
 */
#include <unistd.h>

#include "core/site/names.h"

struct name_head {
	void	*below;		/* *.a.b: any name that ends in .a.b */
	void	*itself;	/* .a.b: a.b, too */
};

/* ---- configuration ---- */

static int
parse_regex(struct weir_conf *cf, const struct weir_node *node, unsigned word,
    struct weir_server_name *to)
{
	struct weir_str	pattern = str_from(to->name, 1);

	if (pattern.n == 0)
		return conf_error(cf, node, word, "empty regex in server name \"~\"");
	/* Hosts are lower-cased before, so a pattern with capitals must not care. */
	return regex_compile(cf, node, word, pattern, true, &to->regex);
}

/* "$hostname" stands for the machine's name. */
static struct weir_str
machine_name(struct weir_pool *pool)
{
	char	name[256];

	if (gethostname(name, sizeof(name)) != 0)
		return STR("localhost");
	name[sizeof(name) - 1] = '\0';
	return pool_str(pool, str_c(name));
}

/* One trailing dot says nothing: host_parse() takes it off what clients send. */
static struct weir_str
without_dot(struct weir_str s)
{
	if (s.n > 1 && s.p[s.n - 1] == '.' && s.p[s.n - 2] != '.' && s.p[s.n - 2] != '*')
		s.n--;
	return s;
}

static bool
stars_are_right(struct weir_str s)
{
	ssize_t	at;

	if (str_begins(s, STR("*.")))
		s = str_from(s, 2);
	else if (str_ends(s, STR(".*")))
		s.n -= 2;
	else if (s.p[0] == '.')
		s = str_from(s, 1);
	at = str_chr(s, '*');
	return s.n != 0 && at < 0 && s.p[0] != '.' && str_find(s, STR("..")) < 0;
}

int
names_parse(struct weir_conf *cf, const struct weir_node *node, unsigned word,
    struct weir_server_name *to)
{
	struct weir_str	name = node->w[word].s;
	char		*lower;

	to->node = node;
	to->word = word;
	to->name = name;
	to->regex = NULL;
	if (name.n == 0)
		return WEIR_OK;
	if (name.p[0] == '~')
		return parse_regex(cf, node, word, to);
	if (str_eq(name, STR("$hostname")))
		name = machine_name(cf->pool);
	name = without_dot(name);
	if (!stars_are_right(name))
		return conf_error(cf, node, word, "server name \"%.*s\" is invalid: a star may stand "
		    "for the first or the last part only, as in *.example.com", STR_ARG(name));
	if (str_chr(name, '/') >= 0 || str_chr(name, ':') >= 0)
		conf_warn(cf, node, word, "server name \"%.*s\" has suspicious symbols, no Host "
		    "can match it", STR_ARG(name));
	lower = pool_bytes(cf->pool, name.n);
	str_lower(lower, name.p, name.n);
	to->name = str_of(lower, name.n);
	return WEIR_OK;
}

/* ---- building ---- */

void
names_init(struct weir_names *t, struct weir_pool *pool)
{
	memset(t, 0, sizeof(*t));
	t->pool = pool;
	hash_init(&t->exact, pool, false);
	hash_init(&t->heads, pool, false);
	hash_init(&t->tails, pool, false);
}

static int
add_once(struct weir_hash *h, struct weir_str key, void *server)
{
	if (hash_get(h, key) != NULL)
		return WEIR_AGAIN;
	hash_put(h, key, server);
	return WEIR_OK;
}

static int
add_head(struct weir_names *t, struct weir_str key, bool itself, void *server)
{
	struct name_head	*head = hash_get(&t->heads, key);

	/* As nginx has it: .a.b takes a.b too, so it cannot stand beside a.b. */
	if (itself && hash_get(&t->exact, key) != NULL)
		return WEIR_AGAIN;
	if (head == NULL) {
		head = POOL_NEW(t->pool, name_head);
		hash_put(&t->heads, key, head);
		t->longest_head = WEIR_MAX(t->longest_head, key.n);
	}
	if (head->below != NULL)
		return WEIR_AGAIN;
	head->below = server;
	head->itself = itself ? server : NULL;
	return WEIR_OK;
}

int
names_add(struct weir_names *t, const struct weir_server_name *name,
    void *server)
{
	struct weir_str		s = name->name;
	struct name_head	*head;

	if (name->regex != NULL) {
		*POOL_PUSH(t->pool, t) = (struct weir_name_regex){ name->regex, server };
		return WEIR_OK;
	}
	if (str_begins(s, STR("*.")))
		return add_head(t, str_from(s, 2), false, server);
	if (s.n > 1 && s.p[0] == '.')
		return add_head(t, str_from(s, 1), true, server);
	if (str_ends(s, STR(".*"))) {
		s.n -= 2;
		t->longest_tail = WEIR_MAX(t->longest_tail, s.n);
		return add_once(&t->tails, s, server);
	}
	if ((head = hash_get(&t->heads, s)) != NULL && head->itself != NULL)
		return WEIR_AGAIN;
	return add_once(&t->exact, s, server);
}

/* ---- finding ---- */

static void *
find_head(const struct weir_names *t, struct weir_str host)
{
	struct name_head	*head;
	const char		*dot;

	if (host.n <= t->longest_head && (head = hash_get(&t->heads, host)) != NULL &&
	    head->itself != NULL)
		return head->itself;
	while ((dot = memchr(host.p, '.', host.n)) != NULL) {
		host = str_from(host, (size_t)(dot - host.p) + 1);
		if (host.n == 0)
			break;
		if (host.n <= t->longest_head && (head = hash_get(&t->heads, host)) != NULL)
			return head->below;
	}
	return NULL;
}

static void *
find_tail(const struct weir_names *t, struct weir_str host)
{
	void		*server;
	const char		*dot;

	if (host.n > t->longest_tail + 1)
		host.n = t->longest_tail + 1;	/* with the dot behind the longest */
	while ((dot = memrchr(host.p, '.', host.n)) != NULL) {
		host.n = (size_t)(dot - host.p);
		if (host.n == 0)
			break;
		if ((server = hash_get(&t->tails, host)) != NULL)
			return server;
	}
	return NULL;
}

static int
find_regex(const struct weir_names *t, struct weir_sess *s, struct weir_str host,
    void **found)
{
	unsigned	i;
	int		rc;

	for (i = 0; i < t->n; i++) {
		rc = s != NULL ? regex_match(s, t->v[i].regex, host) : regex_test(t->v[i].regex, host);
		if (rc == WEIR_AGAIN)
			continue;
		*found = t->v[i].server;
		return rc;
	}
	return WEIR_AGAIN;
}

int
names_find(const struct weir_names *t, struct weir_sess *s, struct weir_str host,
    void **found)
{
	if ((*found = hash_get(&t->exact, host)) != NULL)
		return WEIR_OK;
	if (host.n != 0 && t->heads.n != 0 && (*found = find_head(t, host)) != NULL)
		return WEIR_OK;
	if (host.n != 0 && t->tails.n != 0 && (*found = find_tail(t, host)) != NULL)
		return WEIR_OK;
	/* A request without Host is no subject for a regex. */
	return t->n == 0 || host.n == 0 ? WEIR_AGAIN : find_regex(t, s, host, found);
}
