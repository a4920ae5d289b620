/*
 * listen_conf.c - listen and server_name: who listens where, under which names.
 */
#include <limits.h>
#include <linux/capability.h>
#include <unistd.h>

#include "core/base/num.h"
#include "core/os/user.h"
#include "core/proc/cycle.h"
#include "core/site/site.h"
#include "core/tls/server_conf.h"

/* What listen_get() begins with, as nginx has it. */
static const struct weir_listen_opts plain = { .backlog = 511, .ipv6only = 1, .keepalive = -1 };

/* ---- the parameters of listen ---- */

/* One `listen` line while it is read. */
struct line {
	struct weir_conf *cf;
	const struct weir_node *node;
	struct weir_site *site;
	struct weir_site_listen *to;
	unsigned	 in;		/* the place */
	unsigned	 port;		/* where none is said; 0: it must be */
	unsigned	 w;		/* the word */
	struct weir_str	 value;		/* of name=value */
};

static int
to_int(const struct line *l, int64_t min, int64_t max, int *to)
{
	uint64_t	n;

	if (conf_u64(l->cf, l->node, l->w, l->value, min, max, &n) != WEIR_OK)
		return WEIR_FAIL;
	*to = (int)n;
	return WEIR_OK;
}

static int
to_buffer(const struct line *l, int *to)
{
	uint64_t	n;

	if (conf_size(l->cf, l->node, l->w, l->value, &n) != WEIR_OK)
		return WEIR_FAIL;
	if (n == 0 || n > INT_MAX / 2)
		return conf_error(l->cf, l->node, l->w, "a socket's buffer cannot have this size");
	*to = (int)n;
	return WEIR_OK;
}

static int
set_default(struct line *l)
{
	l->to->dflt = true;
	return WEIR_OK;
}

/* weir's sockets are always bound by themselves and always in a reuseport group. */
static int
set_given(struct line *l)
{
	l->to->given = true;
	return WEIR_OK;
}

static int
set_deferred(struct line *l)
{
	l->to->given = l->to->deferred = true;
	return WEIR_OK;
}

static int
set_transparent(struct line *l)
{
	l->to->given = l->to->opts.transparent = true;
	if (user_may(CAP_NET_RAW) || user_may(CAP_NET_ADMIN))
		return WEIR_OK;
	return conf_error(l->cf, l->node, l->w, "\"transparent\" needs the capability CAP_NET_RAW, which weir was started without");
}

static int
set_backlog(struct line *l)
{
	l->to->given = true;
	if (str_eq(l->value, STR("-1")))	/* as listen(2) has it: as many as the system lets */
		l->to->opts.backlog = INT_MAX;
	else
		return to_int(l, 1, INT_MAX, &l->to->opts.backlog);
	return WEIR_OK;
}

static int
set_rcvbuf(struct line *l)
{
	l->to->given = true;
	return to_buffer(l, &l->to->opts.rcvbuf);
}

static int
set_sndbuf(struct line *l)
{
	l->to->given = true;
	return to_buffer(l, &l->to->opts.sndbuf);
}

static int
set_fastopen(struct line *l)
{
	l->to->given = true;
	return to_int(l, 0, INT_MAX, &l->to->opts.fastopen);
}

static int
set_ipv6only(struct line *l)
{
	bool	on;

	l->to->given = l->to->v6only_given = true;
	if (conf_flag(l->cf, l->node, l->w, l->value, &on) != WEIR_OK)
		return WEIR_FAIL;
	l->to->opts.ipv6only = on;
	return WEIR_OK;
}

/* One of the three parts of so_keepalive=idle:interval:count; empty: the system's. */
static int
keep_part(const struct line *l, struct weir_str part, bool seconds, int *to)
{
	uint64_t	n;

	if (part.n == 0)
		return WEIR_OK;
	if (seconds) {
		if (num_msec(part, &n) != WEIR_OK || (n /= 1000) == 0 || n > 32767)
			return conf_error(l->cf, l->node, l->w, "\"%.*s\" is no time from 1 to "
			    "32767 seconds", STR_ARG(part));
	} else if (num_u64(part, &n) != WEIR_OK || n == 0 || n > 127) {
		return conf_error(l->cf, l->node, l->w, "\"%.*s\" is no number of probes from 1 "
		    "to 127", STR_ARG(part));
	}
	*to = (int)n;
	return WEIR_OK;
}

static int
set_keepalive(struct line *l)
{
	struct weir_listen_opts	*o = &l->to->opts;
	struct weir_str		 s = l->value, part[3];
	unsigned		 i;
	ssize_t			 colon;

	l->to->given = true;
	o->keepalive = !str_eq(s, STR("off"));
	if (str_eq(s, STR("on")) || str_eq(s, STR("off")))
		return WEIR_OK;
	for (i = 0; i < 3; i++) {
		colon = str_chr(s, ':');
		if ((colon < 0) != (i == 2))
			break;
		part[i] = colon < 0 ? s : str_of(s.p, (size_t)colon);
		s = colon < 0 ? s : str_from(s, (size_t)colon + 1);
	}
	if (i < 3 || l->value.n == 2)
		return conf_error(l->cf, l->node, l->w, "invalid so_keepalive value: \"%.*s\", "
		    "it is on, off or idle:interval:count", STR_ARG(l->value));
	if (keep_part(l, part[0], true, &o->keepidle) != WEIR_OK ||
	    keep_part(l, part[1], true, &o->keepintvl) != WEIR_OK)
		return WEIR_FAIL;
	return keep_part(l, part[2], false, &o->keepcnt);
}

static int
set_proxied(struct line *l)
{
	l->to->protocols |= LISTEN_PROXY_PROTOCOL;
	return WEIR_OK;
}

static bool
is_built(const char *name)
{
	const struct weir_module *const	*m;

	for (m = weir_modules; *m != NULL; m++)
		if (strcmp((*m)->name, name) == 0)
			return true;
	return false;
}

static int
set_proxied_by(struct line *l)
{
	if (!str_eq(l->value, STR("trusted")))
		return conf_error(l->cf, l->node, l->w, "\"%.*s\" is not \"trusted\"",
		    STR_ARG(l->value));
	if (!is_built("realip"))
		return conf_error(l->cf, l->node, l->w, "nobody is trusted without the realip module");
	l->to->trusted = true;
	return set_proxied(l);
}

static int
not_here(struct line *l)
{
	return conf_error(l->cf, l->node, l->w, "\"%.*s\" is not supported on Linux",
	    STR_ARG(l->node->w[l->w].s));
}

static int
set_ssl(struct line *l)
{
	l->to->protocols |= LISTEN_SSL;
	return WEIR_OK;
}

static int
set_http2(struct line *l)
{
	l->to->protocols |= LISTEN_HTTP2;
	return conf_warn(l->cf, l->node, l->w, "the \"listen ... http2\" directive is deprecated, use the \"http2\" "
	    "directive instead");
}

static int
set_udp(struct line *l)
{
	l->to->type = SOCK_DGRAM;
	return WEIR_OK;
}

#define BOTH	(IN_SERVER | IN_STREAM_SERVER)

static const struct listen_param {
	const char	*name;		/* of a value: with "=" */
	unsigned	 in;
	int		(*set)(struct line *);
} params[] = {
	{ "default_server", BOTH, set_default },
	{ "bind", BOTH, set_given },
	{ "reuseport", BOTH, set_given },
	{ "deferred", BOTH, set_deferred },
	{ "backlog=", BOTH, set_backlog },
	{ "rcvbuf=", BOTH, set_rcvbuf },
	{ "sndbuf=", BOTH, set_sndbuf },
	{ "fastopen=", BOTH, set_fastopen },
	{ "ipv6only=", BOTH, set_ipv6only },
	{ "so_keepalive=", BOTH, set_keepalive },
	{ "ssl", BOTH, set_ssl },
	{ "http2", IN_SERVER, set_http2 },
	{ "proxy_protocol", BOTH, set_proxied },
	{ "udp", IN_STREAM_SERVER, set_udp },
	{ "transparent", BOTH, set_transparent },
	/* not proposed to who mistypes: */
	{ "default", IN_SERVER, set_default },
	{ "proxy_protocol=", BOTH, set_proxied_by },
	{ "setfib=", BOTH, not_here },
	{ "accept_filter=", BOTH, not_here },
};

enum { PROPOSED = 15 };

static bool
fits(struct line *l, const struct listen_param *p)
{
	struct weir_str	word = l->node->w[l->w].s, name = str_c(p->name);

	if (!(p->in & l->in))
		return false;
	if (name.p[name.n - 1] != '=')
		return str_eq(word, name);
	l->value = str_begins(word, name) ? str_from(word, name.n) : STR_NONE;
	return str_begins(word, name);
}

static int
read_param(struct line *l)
{
	const char	*names[PROPOSED + 1];
	unsigned	 i, n = 0;

	for (i = 0; i < WEIR_COUNT(params); i++)
		if (fits(l, &params[i]))
			return params[i].set(l);
	for (i = 0; i < PROPOSED; i++)
		if (params[i].in & l->in)
			names[n++] = params[i].name;
	names[n] = NULL;
	return conf_bad_param(l->cf, l->node, l->w, names);
}

/* ---- the address of listen ---- */

static int
add_listen(struct weir_conf *cf, struct weir_site *site,
    const struct weir_site_listen *like, const struct weir_addr *addr)
{
	struct weir_site_listen	*l;
	char			 text[ADDR_TEXT_MAX], key[LISTEN_KEY_MAX];
	size_t			 n = listen_key(key, addr, like->type);

	if (like->v6only_given && addr->sa.sa_family != AF_INET6)
		return conf_error(cf, like->node, 1, "ipv6only is not supported on addr \"%.*s\"",
		    (int)addr_put(text, addr), text);
	if (like->opts.transparent && addr->sa.sa_family == AF_UNIX)
		return conf_error(cf, like->node, 1, "\"transparent\" is for addresses of IP");
	if (like->type == SOCK_DGRAM && addr->sa.sa_family == AF_UNIX)
		return conf_error(cf, like->node, 1, "datagrams come by UDP only, not by unix sockets");
	if (site->listens == NULL)
		hash_init(&site->listens_by, cf->pool, false);
	if (hash_get(&site->listens_by, str_of(key, n)) != NULL)
		return conf_error(cf, like->node, 1, "a duplicate listen %.*s",
		    (int)addr_put(text, addr), text);
	l = pool_dup(cf->pool, like, sizeof(*l));
	hash_put(&site->listens_by, str_of(pool_dup(cf->pool, key, n), n), l);
	l->addr = *addr;
	if (site->listens_tail == NULL)
		site->listens_tail = &site->listens;
	*site->listens_tail = l;
	site->listens_tail = &l->next;
	return WEIR_OK;
}

/* All addresses of a name. */
static int
add_named(const struct line *l, struct weir_str host, unsigned port)
{
	struct weir_addr	*v;
	const char		*err = "host not found";
	unsigned		 i, n;

	v = addr_lookup(l->cf->pool, host, port, &n, &err);
	if (v == NULL)
		return conf_error(l->cf, l->node, 1, "%s in \"%.*s\" of the \"listen\" directive",
		    err, STR_ARG(host));
	for (i = 0; i < n; i++)
		if (add_listen(l->cf, l->site, l->to, &v[i]) != WEIR_OK)
			return WEIR_FAIL;
	return WEIR_OK;
}

static int
add_text(const struct line *l, struct weir_str text)
{
	struct weir_addr	 addr;
	struct weir_str		 host;
	unsigned		 port;
	uint64_t		 n;
	int			 rc;

	/* getaddrinfo() would take it for an address */
	if (num_u64(text, &n) == WEIR_OK && (n == 0 || n > 65535))
		return conf_error(l->cf, l->node, 1, "invalid port in \"%.*s\" of the \"listen\" "
		    "directive", STR_ARG(text));
	rc = addr_parse(l->cf->pool, text, l->port, &addr, &host, &port);
	if (rc == WEIR_FAIL && l->port == 0 && addr_lacks_port(l->cf->pool, text))
		return conf_error(l->cf, l->node, 1, "no port in \"%.*s\" of the \"listen\" directive",
		    STR_ARG(text));
	if (rc == WEIR_FAIL)
		return conf_error(l->cf, l->node, 1, "invalid address or port in \"%.*s\" of the "
		    "\"listen\" directive", STR_ARG(text));
	return rc == WEIR_OK ? add_listen(l->cf, l->site, l->to, &addr) : add_named(l, host, port);
}

/* "127.0.0.1:8080-8090": where its first port begins, and both ports; false: it is no range. */
static bool
port_range(struct weir_str s, size_t *at, uint64_t *first, uint64_t *last)
{
	ssize_t	dash = str_rchr(s, '-'), colon = str_rchr(s, ':');

	if (dash < 0 || dash < colon || str_begins(s, STR("unix:")))
		return false;
	*at = (size_t)(colon + 1);
	return num_u64(str_of(s.p + *at, (size_t)dash - *at), first) == WEIR_OK &&
	    num_u64(str_from(s, (size_t)dash + 1), last) == WEIR_OK;
}

/* What is about connections says nothing about datagrams. */
static int
check_udp(struct weir_conf *cf, const struct weir_node *node)
{
	static const char *const not_with[] = { "ssl", "so_keepalive", "proxy_protocol", "deferred", "fastopen", "backlog" };
	unsigned	w, i;

	for (w = 2; w < node->n; w++)
		for (i = 0; i < WEIR_COUNT(not_with); i++)
			if (str_begins(node->w[w].s, str_c(not_with[i])))
				return conf_error(cf, node, w, "\"%s\" parameter is incompatible with \"udp\"", not_with[i]);
	return WEIR_OK;
}

int
site_listen(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, const struct weir_site_kind *kind,
    struct weir_site *site)
{
	struct weir_site_listen	 like = { .node = node, .type = SOCK_STREAM, .opts = plain };
	struct line		 line = { .cf = cf, .node = node, .site = site, .to = &like, .in = scope->in,
				    .port = kind->port };
	struct weir_str		 text = node->w[1].s;
	uint64_t		 first, last;
	size_t			 at;

	for (line.w = 2; line.w < node->n; line.w++)
		if (read_param(&line) != WEIR_OK)
			return WEIR_FAIL;
	if (like.type == SOCK_DGRAM && check_udp(cf, node) != WEIR_OK)
		return WEIR_FAIL;
	if (!port_range(text, &at, &first, &last))
		return add_text(&line, text);
	if (first == 0 || last < first || last > 65535)
		return conf_error(cf, node, 1, "invalid port range in \"%.*s\"", STR_ARG(text));
	for (; first <= last; first++)
		if (add_text(&line, pool_printf(cf->pool, "%.*s%u", (int)at, text.p, (unsigned)first)) != WEIR_OK)
			return WEIR_FAIL;
	return WEIR_OK;
}

/* ---- server_name ---- */

int
site_server_name(struct weir_conf *cf, struct weir_node *node, struct weir_site *site)
{
	struct { struct weir_server_name *v; unsigned n, room; } names = {
		site->names, site->n_names, site->names_room
	};
	struct weir_server_name	*name;
	unsigned		 w;

	for (w = 1; w < node->n; w++) {
		name = POOL_PUSH(cf->pool, &names);
		if (names_parse(cf, node, w, name) != WEIR_OK)
			return WEIR_FAIL;
	}
	site->names = names.v;
	site->n_names = names.n;
	site->names_room = names.room;
	site->name = site->names[0].name;
	if (site->name.n > 1 && site->name.p[0] == '.')
		site->name = str_from(site->name, 1);
	return WEIR_OK;
}

/* ---- both together ---- */

void
site_listen_port(struct weir_conf *cf, struct weir_site *site, unsigned port)
{
	struct weir_site_listen	like = { .node = site->node, .type = SOCK_STREAM, .opts = plain };
	struct weir_addr	addr = { .in.sin_family = AF_INET };
	int			rc;

	addr_set_port(&addr, port);
	rc = add_listen(cf, site, &like, &addr);
	assert(rc == WEIR_OK);
}

static struct weir_site_addr *
addr_new(struct weir_conf *cf, struct weir_listen *l, const struct weir_site_kind *kind)
{
	struct weir_site_addr	*a = POOL_NEW(cf->pool, weir_site_addr);

	a->listen = l;
	names_init(&a->names, cf->pool);
	l->owner = a;
	l->on_conn = kind->on_conn;
	return a;
}

static int
take_options(struct weir_conf *cf, struct weir_site_addr *a, const struct weir_site_listen *by)
{
	if (!by->given)
		return WEIR_OK;
	if (a->options != NULL)
		return conf_error(cf, by->node, 1, "duplicate listen options for %s, the first are in "
		    "%s:%u", a->listen->text, a->options->node->file->path,
		    a->options->node->w[0].line);
	a->options = by;
	a->listen->opts = by->opts;
	return WEIR_OK;
}

/*
 * Listens of one address may leave protocols out that others of it name: all have them then.  As in
 * nginx, there is a warning when one neither repeats what was said, nor leaves all of it out, nor is the first
 * to say it; and when who sets the socket's options says less than the others.
 */
static void
take_protocols(struct weir_conf *cf, struct weir_site_addr *a, const struct weir_site_listen *by)
{
	unsigned	now = by->protocols, before = a->protocols;
	bool		first = a->n_sites == 1, other = a->protocols_set && now != a->protocols_last;
	bool		warn = false;

	a->protocols |= now;
	if (by->trusted)
		a->listen->proxied = PROXY_HEADER_TRUSTED;
	else if (now & LISTEN_PROXY_PROTOCOL)
		a->listen->proxied = WEIR_MAX(a->listen->proxied, PROXY_HEADER_ANY);
	if (first)
		return;
	if (now & ~before) {
		warn = (a->options != NULL && !by->given) || a->protocols_changed || (before & ~now);
		a->protocols_last = before;
		a->protocols_changed = true;
	} else {
		warn = other || (by->given && (now != before || a->protocols_changed));
		a->protocols_last = now;
		a->protocols_changed |= now != before;
	}
	a->protocols_set = true;
	if (warn)
		conf_warn(cf, by->node, 1, "protocol options redefined for %s", a->listen->text);
}

static int
take_default(struct weir_conf *cf, struct weir_site_addr *a, const struct weir_site_listen *by,
    struct weir_site *site)
{
	if (by->dflt && a->dflt_given)
		return conf_error(cf, by->node, 1, "a duplicate default server for %s",
		    a->listen->text);
	if (by->dflt || a->dflt == NULL)
		a->dflt = site;
	a->dflt_given |= by->dflt;
	return WEIR_OK;
}

static void
take_names(struct weir_conf *cf, struct weir_site_addr *a, struct weir_site *site)
{
	unsigned	i;

	for (i = 0; i < site->n_names; i++)
		if (names_add(&a->names, &site->names[i], site) != WEIR_OK)
			conf_warn(cf, site->names[i].node, site->names[i].word,
			    "conflicting server name \"%.*s\" on %s, ignored",
			    STR_ARG(site->names[i].name), a->listen->text);
}

static int
take(struct weir_conf *cf, struct weir_site_listen *by, struct weir_site *site, const struct weir_site_kind *kind)
{
	struct weir_listen	*l = listen_get(&cycle_of(cf)->listeners, cf->pool, &by->addr,
				    by->type);
	struct weir_site_addr	*a = l->owner;

	if (l->on_conn != NULL && l->on_conn != kind->on_conn)
		return conf_error(cf, by->node, 1, "%s is listened on by %s already", l->text, kind->other);
	if (a == NULL)
		a = addr_new(cf, l, kind);
	a->n_sites++;
	if ((by->protocols & LISTEN_SSL) && a->ssl == NULL)
		a->ssl = by->node;
	if (a->bare == NULL && tls_ctx_of(site->scope) == NULL)
		a->bare = site;
	take_protocols(cf, a, by);
	if (take_options(cf, a, by) != WEIR_OK || take_default(cf, a, by, site) != WEIR_OK)
		return WEIR_FAIL;
	take_names(cf, a, site);
	return WEIR_OK;
}

/* A server that says no name has the empty one, which who asks for none means. */
static void
name_default(struct weir_conf *cf, struct weir_site *site)
{
	site->names = POOL_NEW(cf->pool, weir_server_name);
	site->names->node = site->node;
	site->n_names = 1;
}

int
site_done(struct weir_conf *cf, struct weir_site *site, const struct weir_site_kind *kind, unsigned deferred_s)
{
	struct weir_site_listen	*l;
	int			 rc = WEIR_OK;

	if (site->n_names == 0)
		name_default(cf, site);
	for (l = site->listens; l != NULL; l = l->next) {
		if (l->deferred)
			l->opts.defer_accept = (int)WEIR_MAX(deferred_s, 1u);
		if (take(cf, l, site, kind) != WEIR_OK)
			rc = WEIR_FAIL;
	}
	return rc;
}

/*
 * A dual-stack [::]:80 takes what comes to *:80 as well, so the kernel would deal connections out to
 * both at random.
 */
static int
check_dual_stack(struct weir_conf *cf)
{
	const struct weir_listeners	*all = &cycle_of(cf)->listeners;
	const struct weir_listen	*six, *four;
	int				 rc = WEIR_OK;

	for (six = all->first; six != NULL; six = six->next) {
		if (six->addr.sa.sa_family != AF_INET6 || six->opts.ipv6only ||
		    !addr_is_wild(&six->addr))
			continue;
		for (four = all->first; four != NULL; four = four->next)
			if (four->addr.sa.sa_family == AF_INET && addr_is_wild(&four->addr) &&
			    addr_port(&four->addr) == addr_port(&six->addr) &&
			    four->type == six->type)
				rc = conf_error(cf, NULL, 0, "listen %s with ipv6only=off takes "
				    "IPv4, too, so it cannot stand beside listen %s", six->text,
				    four->text);
	}
	return rc;
}

int
site_check(struct weir_conf *cf, const struct weir_site_kind *kind)
{
	int	rc = check_dual_stack(cf);

	for (struct weir_listen *l = cycle_of(cf)->listeners.first; l != NULL; l = l->next) {
		const struct weir_site_addr *a = l->owner;

		if (l->on_conn != kind->on_conn || a->ssl == NULL)
			continue;
		if (tls_ctx_of(a->dflt->scope) == NULL)
			rc = conf_error(cf, a->ssl, 1, "no \"ssl_certificate\" is defined for the "
			    "\"listen ... ssl\" directive, and no \"ssl_reject_handshake\"");
		else if (a->bare != NULL && tls_ctx_rejects(tls_ctx_of(a->dflt->scope)))
			rc = conf_error(cf, a->bare->node, 0, "no \"ssl_certificate\" is defined for a server on "
			    "%s, where the default server refuses handshakes", l->text);
	}
	return rc;
}
