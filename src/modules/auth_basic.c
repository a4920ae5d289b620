/*
 * auth_basic.c - who may come in, by name and password (RFC 7617).
 *
 *	credentials? --no--> 401
 *	address has guessed too often? --> 429
 *	file of users --missing--> 403
 *	right a moment ago? --> in
 *	hash, in a thread, while the request waits --> in, or 401 and one guess more
 *
 * A name that is not in the file is hashed for like one that is: see passwd.h.
 */
#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/os/random.h"
#include "core/proc/cycle.h"
#include "core/sess/passwd.h"
#include "core/sess/users.h"
#include "core/shm/table.h"
#include "http/req/basic.h"

#define FAILS_SIZE	(1u << 20)	/* shared memory for addresses that guessed */
#define RIGHT_MS	60000		/* a right password is not hashed again for so long */
#define RIGHT_SETS	256
#define RIGHT_WAYS	4
#define RIGHT_TEXT	1536		/* what is longer is hashed each time */

extern const struct weir_module auth_basic_module;

struct auth_basic_conf {
	struct weir_expr	 realm, file;
	const char		*prefix;	/* for names of files that come from variables */
	struct limit {
		uint64_t	 n, ms;		/* n 0: off */
	}			 limit;
	struct weir_table	*fails;
};

/* What an address has guessed: a row of the table. */
struct fails {
	uint64_t	 until_ms;
	uint32_t	 n;
};

/* Of a request. */
struct asked {
	struct weir_req		*r;
	struct weir_passwd	*check;		/* under way; else NULL */
	bool			 answered;
	enum weir_passwd_answer	 answer;
	struct weir_str		 realm, user;
	uint64_t		 tag[2];	/* of what is right if the answer is yes */
	bool			 tagged;
	struct weir_cleanup	*cleanup;
};

static unsigned index_;

/* ---- what was right a moment ago ---- */

static struct right {
	uint64_t	 tag[2], until_ms;
} rights[RIGHT_SETS][RIGHT_WAYS];
static uint64_t		right_keys[2][2];	/* of this process */

static bool
put_part(char **to, const char *end, struct weir_str s)
{
	if (s.n + sizeof(s.n) > (size_t)(end - *to))
		return false;
	memcpy(*to, &s.n, sizeof(s.n));
	*to += sizeof(s.n);
	if (s.n != 0)
		memcpy(*to, s.p, s.n);
	*to += s.n;
	return true;
}

/*
 * A keyed hash of all that the answer depends on, so nothing is kept from which a password could be
 * guessed without the key, and a file that changes makes what was known of it unreachable.
 */
static bool
make_tag(uint64_t tag[2], struct weir_str file, struct weir_str user, struct weir_str stored,
    struct weir_str password)
{
	char	text[RIGHT_TEXT], *at = text;
	bool	fits = put_part(&at, text + sizeof(text), file) &&
	    put_part(&at, text + sizeof(text), user) && put_part(&at, text + sizeof(text), stored) &&
	    put_part(&at, text + sizeof(text), password);
	unsigned i;

	for (i = 0; fits && i < 2; i++)
		tag[i] = siphash_with(right_keys[i], text, (size_t)(at - text));
	explicit_bzero(text, (size_t)(at - text));
	return fits;
}

static bool
was_right(const uint64_t tag[2])
{
	const struct right	*set = rights[tag[0] % RIGHT_SETS];
	unsigned		 i;

	for (i = 0; i < RIGHT_WAYS; i++)
		if (set[i].until_ms > weir_now_ms && set[i].tag[0] == tag[0] && set[i].tag[1] == tag[1])
			return true;
	return false;
}

static void
remember(const uint64_t tag[2])
{
	struct right	*set = rights[tag[0] % RIGHT_SETS], *to = set;
	unsigned	 i;

	for (i = 1; i < RIGHT_WAYS; i++)
		if (set[i].until_ms < to->until_ms)
			to = &set[i];
	*to = (struct right){ { tag[0], tag[1] }, weir_now_ms + RIGHT_MS };
}

/* ---- who guesses ---- */

/* An IPv4 address, or what one customer of a provider has of IPv6.  Empty: a unix socket. */
static struct weir_str
who_guesses(const struct weir_addr *a)
{
	struct weir_str	s;

	if (a->sa.sa_family == AF_UNIX)
		return STR_NONE;
	s = addr_bytes(a);
	if (s.n == 16 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return str_from(s, 12);
	return s.n == 16 ? str_of(s.p, 8) : s;
}

/* How many milliseconds an address has to wait; 0: it may try. */
static uint64_t
must_wait(const struct weir_sess *s, const struct auth_basic_conf *c)
{
	struct weir_str	 key = who_guesses(s->peer);
	struct fails	*f;
	uint64_t	 until, wait = 0;

	if (c->limit.n == 0 || key.n == 0 || (f = table_get(c->fails, key, false)) == NULL)
		return 0;
	until = f->until_ms;
	if (f->n >= c->limit.n && until > weir_now_ms)
		wait = until - weir_now_ms;
	table_put(c->fails, f, until, wait != 0 ? ROW_HELD : ROW_PLAIN);
	return wait;
}

static void
count_failure(struct weir_sess *s, const struct auth_basic_conf *c)
{
	struct weir_str	 key = who_guesses(s->peer);
	struct fails	*f;
	uint64_t	 until;
	bool		 full;

	if (c->limit.n == 0 || key.n == 0 || (f = table_get(c->fails, key, true)) == NULL)
		return;
	if (f->until_ms <= weir_now_ms) {
		f->until_ms = weir_now_ms + c->limit.ms;
		f->n = 0;
	}
	full = ++f->n == c->limit.n;
	until = f->until_ms;
	table_put(c->fails, f, until, f->n >= c->limit.n ? ROW_HELD : ROW_PLAIN);
	if (full)
		log_errorx(&s->log, "%llu wrong passwords from this address, it has to wait for %llu s",
		    (unsigned long long)c->limit.n, (unsigned long long)((until - weir_now_ms + 999) / 1000));
}

static enum weir_next
turn_away(struct weir_req *r, uint64_t wait_ms)
{
	log_info(&r->s.log, "too many wrong passwords came from this address");
	req_add(r, "Retry-After", pool_printf(r->s.pool, "%llu",
	    (unsigned long long)((wait_ms + 999) / 1000)));
	return req_error(r, 429);
}

/* ---- the answer ---- */

/* As a quoted string (RFC 9110, 5.6.4); what could not stand in one is left out. */
static struct weir_str
quoted(struct weir_pool *pool, struct weir_str s)
{
	char	*p = pool_bytes(pool, 2 * s.n), *at = p;
	size_t	 i;

	for (i = 0; i < s.n; i++) {
		if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
			continue;
		if (s.p[i] == '"' || s.p[i] == '\\')
			*at++ = '\\';
		*at++ = s.p[i];
	}
	return str_of(p, (size_t)(at - p));
}

static enum weir_next
challenge(struct weir_req *r, struct weir_str realm)
{
	bool proxy = r->method_id == M_CONNECT;	/* RFC 9110, 15.5.8 */

	realm = pool_printf(r->s.pool, "Basic realm=\"%.*s\"", STR_ARG(quoted(r->s.pool, realm)));
	/* The page of an error may be behind a password, too. */
	fields_remove_known(&r->rsp.fields, proxy ? H_PROXY_AUTHENTICATE : H_WWW_AUTHENTICATE);
	req_add(r, proxy ? "Proxy-Authenticate" : "WWW-Authenticate", realm);
	return weir_refuse(&r->s, proxy ? 407 : 401);
}

static enum weir_next
conclude(struct asked *a)
{
	struct weir_req			*r = a->r;
	const struct auth_basic_conf	*c = REQ_CONF(r, auth_basic_conf, auth_basic_module);

	a->answered = false;
	switch (a->answer) {
	case PASSWD_YES:
		return WEIR_PASS;
	case PASSWD_BUSY:
		log_errorx(&r->s.log, "too many passwords are being checked");
		return req_error(r, 503);
	case PASSWD_UNFIT:
		/* No guess: nobody could have known better. */
		log_errorx(&r->s.log, "user \"%.*s\": what is stored fits no password", STR_ARG(a->user));
		break;
	default:
		log_errorx(&r->s.log, "user \"%.*s\": password mismatch", STR_ARG(a->user));
		count_failure(&r->s, c);
	}
	return challenge(r, a->realm);
}

/* ---- asking ---- */

static void
on_answer(void *arg, enum weir_passwd_answer answer)
{
	struct asked *a = arg;

	a->check = NULL;
	a->answered = true;
	a->answer = answer;
	a->r->on_client_gone = NULL;
	req_doing(a->r, NULL);
	pool_off(a->cleanup);
	if (answer == PASSWD_YES && a->tagged)
		remember(a->tag);
	weir_resume(&a->r->s);
}

static void
on_request_freed(void *arg)
{
	struct asked *a = arg;

	passwd_cancel(a->check);
}

static void
on_client_gone(struct weir_req *r, const char *why, bool broken)
{
	if (broken)
		req_abort(r, why);
}

static enum weir_next
ask(struct asked *a, struct weir_str password, struct weir_str stored, struct weir_str dummy)
{
	struct weir_req		*r = a->r;
	struct weir_passwd_ask	 q = {
		.password = password, .stored = stored, .dummy = dummy, .done = on_answer, .arg = a
	};

	a->answer = passwd_check(&q, &a->check);
	if (a->answer != PASSWD_LATER)
		return conclude(a);
	req_doing(r, "checking a password");
	a->cleanup = pool_on_free(r->s.pool, on_request_freed, a);
	r->on_client_gone = on_client_gone;
	return WEIR_WAIT;
}

/* The user file, absolute and NUL-terminated. */
static const char *
file_name(struct weir_sess *s, const struct auth_basic_conf *c)
{
	struct weir_str name = expr_eval(s, &c->file);

	if (name.n != 0 && name.p[0] == '/')
		return pool_cstr(s->pool, name);
	return pool_cstr(s->pool, pool_printf(s->pool, "%s%.*s", c->prefix, STR_ARG(name)));
}

static enum weir_next
no_file(struct weir_req *r, const char *what, const char *path)
{
	bool missing = errno == ENOENT;

	if (what != NULL && missing)
		log_error(&r->s.log, "%s \"%s\" failed", what, path);
	else if (what != NULL)
		log_crit(&r->s.log, "%s \"%s\" failed", what, path);
	return missing ? weir_refuse(&r->s, 403) : req_error(r, 500);
}

static enum weir_next
check(struct asked *a, const struct auth_basic_conf *c, struct weir_str password)
{
	struct weir_req		*r = a->r;
	const char		*path = file_name(&r->s, c), *what;
	const struct weir_users	*u = users_open(path, &r->s.log, &what);
	struct weir_str		 stored;

	if (u == NULL)
		return no_file(r, what, path);
	stored = users_find(u, a->user);
	if (stored.p == NULL)
		log_errorx(&r->s.log, "user \"%.*s\" was not found in \"%s\"", STR_ARG(a->user), path);
	a->tagged = passwd_cost(stored) != 0 &&
	    make_tag(a->tag, users_identity(u), a->user, stored, password);
	if (stored.p != NULL && a->tagged && was_right(a->tag))
		return WEIR_PASS;
	return ask(a, password, stored, users_costliest(u));
}

static enum weir_next
on_access(struct weir_sess *s)
{
	struct weir_req			*r = req_of(s);
	const struct auth_basic_conf	*c = REQ_CONF(r, auth_basic_conf, auth_basic_module);
	struct asked			*a = sess_ctx(s, index_);
	struct weir_str			 realm, password;
	uint64_t			 wait;

	if (a != NULL && a->check != NULL)
		return WEIR_WAIT;
	if (a != NULL && a->answered)
		return conclude(a);
	if (!c->realm.set || !c->file.set)
		return WEIR_NEXT;
	realm = expr_eval(s, &c->realm);
	if (str_eq(realm, STR("off")))
		return WEIR_NEXT;
	a = sess_ctx_make(s, index_, sizeof(*a));
	a->r = r;
	a->realm = realm;
	if (req_basic(r, &a->user, &password) != WEIR_OK) {
		log_info(&s->log, "no user/password was provided for basic authentication");
		return challenge(r, realm);
	}
	if ((wait = must_wait(s, c)) != 0)
		return turn_away(r, wait);
	return check(a, c, password);
}

/* ---- configuration ---- */

static int
set_realm(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return expr_field(cf, node, 1, &((struct auth_basic_conf *)conf)->realm);
}

static int
set_file(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct auth_basic_conf	*c = conf;
	struct weir_str		 text = node->w[1].s;

	(void)scope;
	c->prefix = cf->conf_prefix;
	memset(&c->file, 0, sizeof(c->file));
	if (text.n == 0 || text.p[0] != '$')
		text = conf_path(cf, text, true);
	if (expr_compile(cf, node, 1, text, &c->file) != WEIR_OK)
		return WEIR_FAIL;
	c->file.set = true;
	cycle_needs_threads(cf);
	return WEIR_OK;
}

/* `10/1m` */
static int
set_limit(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct limit	*l = &((struct auth_basic_conf *)conf)->limit;
	struct weir_str	 text = node->w[1].s;
	ssize_t		 slash = str_chr(text, '/');

	(void)scope;
	l->n = 0;
	if (str_eq(text, STR("off")))
		return WEIR_OK;
	if (slash < 0)
		return conf_error(cf, node, 1, "a number of wrong passwords and a time are wanted, as in "
		    "10/1m, or off");
	if (conf_u64(cf, node, 1, str_of(text.p, (size_t)slash), 1, 1000000, &l->n) != WEIR_OK ||
	    conf_msec(cf, node, 1, str_from(text, (size_t)slash + 1), &l->ms) != WEIR_OK)
		return WEIR_FAIL;
	if (l->ms == 0)
		return conf_error(cf, node, 1, "the time must be longer than 0");
	return WEIR_OK;
}

/* Only where passwords are asked for is there somebody to count. */
static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct auth_basic_conf	*c = conf;
	struct weir_table_want	 want = { .name = STR("auth_basic"), .size = FAILS_SIZE,
	    .kind = "auth_basic", .version = 1, .row = sizeof(struct fails), .key_max = 16 };
	const char		*why;

	(void)scope;
	if (!c->file.set || c->limit.n == 0 || c->fails != NULL)
		return WEIR_OK;
	if ((c->fails = table_declare(cf->zones, &want, &why)) == NULL)
		return conf_error(cf, NULL, 0, "auth_basic_limit: the zone \"auth_basic\": %s", why);
	return WEIR_OK;
}

static int
start(void)
{
	random_bytes(right_keys, sizeof(right_keys));
	return weir_cycle->threads ? passwd_start() : WEIR_OK;
}

#define PLACES	(IN_HTTP_ANY | IN_LIMIT)

static const struct weir_cmd cmds[] = {
	{ "auth_basic", PLACES, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_realm,
	  .args = "realm | off",
	  .doc = "Ask for a name and a password; the realm is what a browser shows with the question.  May "
	  "contain variables.  Without auth_basic_user_file nobody is asked." },
	{ "auth_basic_user_file", PLACES, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_file,
	  .args = "file",
	  .doc = "Who may come in: lines `name:hash', maybe with a comment behind another colon, as "
	  "htpasswd(1) makes them; # begins a comment.  A hash is one that the system's crypt(3) knows (among "
	  "them bcrypt, yescrypt and SHA-512), $apr1$, {SSHA}, {SHA} or {PLAIN}.  Costly ones are computed by "
	  "two threads of each worker, at a lower priority; when 64 passwords wait for them, the answer "
	  "is 503.  A right password is not computed again for a minute.  The file may have 8 megabytes, its name "
	  "may contain variables and is relative to the folder of the configuration; a change is noticed with the next "
	  "request.  A file that is missing is a 403." },
	{ "auth_basic_limit", PLACES, CONF_CUSTOM, .def = "10/1m", .args_min = 1, .args_max = 1,
	  .set = set_limit, .args = "number/time | off",
	  .doc = "After so many wrong passwords from one address (of IPv6: from one /64), all workers "
	  "together answer whoever comes from there with a password with 429, until the time since the first wrong one has "
	  "passed.  Right passwords change nothing.  Clients of unix sockets are not counted." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return !((const struct auth_basic_conf *)conf)->realm.set;
}

static const struct weir_hook hooks[] = { { ON_ACCESS, on_access, idle }, { 0 } };

const struct weir_module auth_basic_module = {
	.name = "auth_basic", .index = &index_, .conf_size = sizeof(struct auth_basic_conf),
	.cmds = cmds, .hooks = hooks, .ready = ready, .start = start,
	.doc = "Who may come in, by name and password.",
};
