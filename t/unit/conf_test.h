/*
 * conf_test.h - two little modules, and one run of the configuration on a text.
 */
#ifndef T_UNIT_CONF_TEST_H
#define T_UNIT_CONF_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/conf/conf.h"

struct alpha {
	bool			 flag;
	int64_t			 number, small, level;
	uint64_t		 size, time, limit;
	struct weir_str		 str, path, pass;
	int			 mode;
	unsigned		 bits;
	struct weir_conf_list	 list, many;
	struct {
		struct weir_str	*v;
		unsigned	 n, room;
	} rules;
	unsigned		 pairs;		/* lines of the raw block */
	unsigned		 own_ready, own_done;
};

struct beta {
	bool			 there;
	struct weir_conf_list	 servers;
};

static unsigned	alpha_index, beta_index;
static char	trace[1024];		/* what was called, in order */

static void
note(const char *what)
{
	size_t n = strlen(trace);

	snprintf(trace + n, sizeof(trace) - n, "%s ", what);
}

static int
set_rule(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct alpha *a = conf;

	(void)s;
	if (str_eq(n->w[1].s, STR("silent")))
		return WEIR_FAIL;
	*POOL_PUSH(cf->pool, &a->rules) = n->w[0].s;
	*POOL_PUSH(cf->pool, &a->rules) = n->w[1].s;
	return WEIR_OK;
}

static int
set_pairs(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct alpha		*a = conf;
	const struct weir_node	*c;

	(void)cf;
	(void)s;
	for (c = n->child; c != NULL; c = c->next)
		a->pairs++;
	return WEIR_OK;
}

static int
set_even(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	const struct alpha *a = conf;

	(void)s;
	return a->level % 2 == 0 ? WEIR_OK : conf_error(cf, n, 1, "it must be even");
}

static int
inner_block(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, unsigned in)
{
	return conf_block(cf, s, n, in, n) != NULL ? WEIR_OK : WEIR_FAIL;
}

static struct weir_scope *last_location, *last_if, *last_server;

static int
set_http(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)conf;
	note("http");
	return inner_block(cf, s, n, IN_HTTP);
}

static int
set_server(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)conf;
	note("server");
	last_server = conf_block(cf, s, n, IN_SERVER, NULL);
	return last_server != NULL ? WEIR_OK : WEIR_FAIL;
}

static int
set_location(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_scope *made;

	(void)conf;
	note("location");
	if ((made = conf_block(cf, s, n, IN_LOCATION, NULL)) == NULL)
		return WEIR_FAIL;
	last_location = made;
	return WEIR_OK;
}

static int
set_if(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)conf;
	last_if = conf_block(cf, s, n, IN_IF, NULL);
	return last_if != NULL ? WEIR_OK : WEIR_FAIL;
}

static int
set_upstream(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	(void)conf;
	return inner_block(cf, s, n, IN_UPSTREAM);
}

static int
alpha_ready(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct alpha *a = conf;

	(void)cf;
	(void)s;
	a->own_ready++;
	note("ready");
	return WEIR_OK;
}

static int
alpha_done(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct alpha *a = conf;

	(void)cf;
	(void)s;
	a->own_done++;
	note("done");
	return WEIR_OK;
}

static const struct weir_choice modes[] = {
	{ "slow", 1 }, { "quick", 2 }, { "careful", 3 }, { NULL, 0 }
};
static const struct weir_choice bits[] = {
	{ "error", 1 }, { "timeout", 2 }, { "off", 4 }, { NULL, 0 }
};
static const struct weir_choice auto_word[] = { { "auto", -1 }, { NULL, 0 } };

#define ANYWHERE	(IN_MAIN | IN_HTTP_ANY | IN_IF)

static const struct weir_cmd alpha_cmds[] = {
	{ "http", IN_MAIN, CONF_CUSTOM, .set = set_http, .flags = CONF_BLOCK, .doc = "Opens http." },
	{ "server", IN_HTTP, CONF_CUSTOM, .set = set_server, .flags = CONF_BLOCK | CONF_MULTI,
	    .doc = "Opens a server." },
	{ "location", IN_SERVER | IN_LOCATION, CONF_CUSTOM, .set = set_location, .args_min = 1,
	    .args_max = 2, .flags = CONF_BLOCK | CONF_MULTI, .doc = "Opens a location." },
	{ "if", IN_LOCATION, CONF_CUSTOM, .set = set_if, .args_min = 1, .args_max = CONF_ANY,
	    .flags = CONF_BLOCK | CONF_MULTI, .doc = "Opens an if." },
	{ "upstream", IN_HTTP, CONF_CUSTOM, .set = set_upstream, .args_min = 1,
	    .flags = CONF_BLOCK | CONF_MULTI | CONF_OPT_BLOCK, .doc = "Opens an upstream." },
	{ "flag", ANYWHERE, CONF_FLAG, CONF_AT(alpha, flag), .def = "on", .doc = "A flag." },
	{ "number", ANYWHERE, CONF_INT, CONF_AT(alpha, number), .def = "7", .doc = "A number." },
	{ "small", ANYWHERE, CONF_INT, CONF_AT(alpha, small), .min = -20, .max = 20,
	    .choices = auto_word, .doc = "A small number." },
	{ "level", ANYWHERE, CONF_INT, CONF_AT(alpha, level), .set = set_even, .doc = "Even." },
	{ "size", ANYWHERE, CONF_SIZE, CONF_AT(alpha, size), .def = "8k", .doc = "A size." },
	{ "limit", ANYWHERE, CONF_SIZE, CONF_AT(alpha, limit), .min = 1024, .max = 1 << 20,
	    .doc = "A bounded size." },
	{ "time", ANYWHERE, CONF_MSEC, CONF_AT(alpha, time), .def = "1m", .doc = "A time." },
	{ "str", ANYWHERE, CONF_STR, CONF_AT(alpha, str), .def = "\"a b\"", .doc = "A string." },
	{ "path", ANYWHERE, CONF_PATH, CONF_AT(alpha, path), .def = "logs/x", .doc = "A path." },
	{ "mode", ANYWHERE, CONF_ENUM, CONF_AT(alpha, mode), .def = "quick", .choices = modes,
	    .doc = "A mode." },
	{ "bits", ANYWHERE, CONF_BITS, CONF_AT(alpha, bits), .def = "error timeout",
	    .choices = bits, .doc = "Some bits." },
	{ "list", ANYWHERE, CONF_LIST, CONF_AT(alpha, list), .def = "x y", .doc = "A list." },
	{ "many", ANYWHERE, CONF_LIST, CONF_AT(alpha, many), .flags = CONF_MULTI, .args_min = 1,
	    .args_max = 2, .doc = "A list of several lines." },
	{ "allow", ANYWHERE, CONF_CUSTOM, CONF_AT(alpha, rules), .set = set_rule, .args_min = 1,
	    .flags = CONF_MULTI, .doc = "A rule." },
	{ "deny", ANYWHERE, CONF_CUSTOM, CONF_AT(alpha, rules), .set = set_rule, .args_min = 1,
	    .flags = CONF_MULTI, .doc = "A rule too." },
	{ "pass", IN_LOCATION | IN_IF, CONF_STR, CONF_AT(alpha, pass), .flags = CONF_NOINHERIT,
	    .doc = "Of this location only." },
	{ "pairs", IN_HTTP, CONF_CUSTOM, .set = set_pairs, .flags = CONF_RAW, .doc = "Data." },
	{ 0 }
};

static const struct weir_module alpha_module = {
	.name = "alpha", .index = &alpha_index, .conf_size = sizeof(struct alpha),
	.cmds = alpha_cmds, .ready = alpha_ready, .done = alpha_done, .doc = "The first module.",
};

static const struct weir_cmd beta_cmds[] = {
	{ "there", IN_HTTP_ANY, CONF_FLAG, CONF_AT(beta, there), .doc = "Of the second module." },
	{ "server", IN_UPSTREAM, CONF_LIST, CONF_AT(beta, servers), .flags = CONF_MULTI,
	    .doc = "A server of an upstream." },
	{ 0 }
};

static const struct weir_module beta_module = {
	.name = "beta", .index = &beta_index, .conf_size = sizeof(struct beta), .cmds = beta_cmds,
};

const struct weir_module *const weir_modules[] = { &alpha_module, &beta_module, NULL };
const unsigned weir_n_modules = 2;
const struct weir_absent weir_absent[] = {
	{ "gone", "gone_module", "--with-gone" }, { NULL, NULL, NULL }
};

/* One run.  What it says on stderr is in `said`. */
struct run {
	struct weir_conf cf;
	int		 rc;
	char		 said[65536];
};

static int
hear_begin(int *saved)
{
	int fd = memfd_create("said", MFD_CLOEXEC);

	fflush(stderr);
	*saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	return fd;
}

static void
hear_end(struct run *r, int fd, int saved)
{
	ssize_t n;

	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = pread(fd, r->said, sizeof(r->said) - 1, 0);
	r->said[n > 0 ? n : 0] = '\0';
	close(fd);
}

static WEIR_UNUSED struct run *
run_new(void)
{
	static struct run r;

	memset(&r, 0, sizeof(r));
	r.cf.pool = pool_new(0);
	r.cf.prefix = "/prefix/";
	r.cf.conf_prefix = "/nowhere/";
	r.cf.to_stderr = true;
	trace[0] = '\0';
	last_location = last_server = last_if = NULL;
	return &r;
}

/* Read and bind; both go on after mistakes. */
static WEIR_UNUSED struct run *
run_bytes(struct weir_str text)
{
	struct run	*r = run_new();
	int		 saved, fd = hear_begin(&saved), rc;

	conf_modules_init();
	rc = conf_read_text(&r->cf, "t.conf", text);
	r->rc = conf_bind(&r->cf);
	if (rc != WEIR_OK)
		r->rc = rc;
	hear_end(r, fd, saved);
	return r;
}

static WEIR_UNUSED struct run *
run_text(const char *text)
{
	return run_bytes(str_c(text));
}

static WEIR_UNUSED void
run_free(struct run *r)
{
	pool_free(r->cf.pool);
}

#endif
