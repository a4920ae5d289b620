/*
 * listen_hand.c - hands listening sockets to another master, and has those of an earlier one until they are wanted.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/num.h"
#include "core/base/text.h"
#include "core/net/listen_in.h"

/* What listen_inherit() found, until listen_open() takes it: the sockets of an address and type, in their order. */
struct inherited {
	struct inherited *next;
	struct weir_addr addr;
	int		 type, ipv6only;
	int		 fd;
	bool		 taken;
};
static struct weir_hash inherited;	/* by listen_key(): the first of each; no pool: there are none */

/*
 * To another master.
 */

/* Members of a group are numbered in the order in which they came to listen: the inherited are first. */
void
listen_leave(struct weir_listeners *ls)
{
	struct weir_listen *l;

	for (l = ls->first; l != NULL; l = l->next) {
		struct sock_filter code[] = {
			{ BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_RXHASH) },
			{ BPF_ALU | BPF_MOD | BPF_K, 0, 0, l->n_lent },
			{ BPF_RET | BPF_A, 0, 0, 0 },
		};
		struct sock_fprog prog = { WEIR_COUNT(code), code };

		if (is_unix(l) || l->n_lent == 0 || l->n_lent == l->n_fds)
			continue;
		if (setsockopt(l->fds[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog,
		    sizeof(prog)) != 0)
			log_warn(weir_log, "cannot steer connections of %s away", l->text);
	}
}

void
listen_keep_open(struct weir_listeners *ls)
{
	struct weir_listen	*l;
	unsigned		 i;

	for (l = ls->first; l != NULL; l = l->next)
		for (i = 0; i < l->n_fds; i++)
			fcntl(l->fds[i], F_SETFD, 0);
}

/* ';' ends an entry, and a path may have one: it is written as in URIs. */
static struct weir_str
quote(struct weir_pool *pool, struct weir_str s)
{
	char	*to = pool_bytes(pool, s.n * 3), *at = to;
	size_t	 i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] != ';' && s.p[i] != '%') {
			*at++ = s.p[i];
			continue;
		}
		*at++ = '%';
		at = num_put_hex(at, (unsigned char)s.p[i]);
	}
	return str_of(to, (size_t)(at - to));
}

static struct weir_str
unquote(struct weir_pool *pool, struct weir_str s)
{
	char		*to = pool_bytes(pool, s.n + 1), *at = to;
	uint64_t	 c;
	size_t		 i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && num_hex(str_of(s.p + i + 1, 2), &c) == WEIR_OK) {
			*at++ = (char)c;
			i += 2;
		} else
			*at++ = s.p[i];
	}
	return str_of(to, (size_t)(at - to));
}

struct weir_str
listen_export(struct weir_listeners *ls, struct weir_pool *pool)
{
	struct weir_text	 all = { .pool = pool };
	struct weir_listen	*l;
	unsigned		 i;

	for (l = ls->first; l != NULL; l = l->next) {
		struct weir_str name = quote(pool, str_c(l->text));

		for (i = 0; i < l->n_fds; i++)
			text_putf(&all, "%d:%.*s;", l->fds[i], STR_ARG(name));
	}
	return text_str(&all);
}

/*
 * From another master.
 */

static struct inherited *
first_of(const struct weir_addr *a, int type)
{
	char key[LISTEN_KEY_MAX];

	return inherited.pool != NULL ? hash_get(&inherited, str_of(key, listen_key(key, a, type))) : NULL;
}

static void
append(struct inherited *i)
{
	struct inherited *at = first_of(&i->addr, i->type);
	char		  key[LISTEN_KEY_MAX];
	size_t		  n;

	if (at == NULL) {
		n = listen_key(key, &i->addr, i->type);
		hash_put(&inherited, str_of(pool_dup(inherited.pool, key, n), n), i);
		return;
	}
	while (at->next != NULL)
		at = at->next;
	at->next = i;
}

/* An entry is believed only as far as the descriptor bears it out. */
static int
inherit_one(struct weir_str entry)
{
	struct inherited	*i;
	struct weir_addr	 real;
	union weir_sockaddr	 sa;
	struct weir_str		 text;
	socklen_t		 n = sizeof(sa), vn = sizeof(int);
	ssize_t			 colon = str_chr(entry, ':');
	uint64_t		 fd;
	int			 type, only = 1;

	if (colon < 0 || num_u64(str_of(entry.p, (size_t)colon), &fd) != WEIR_OK || fd > INT32_MAX ||
	    getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &vn) != 0 ||
	    getsockname((int)fd, &sa.sa, &n) != 0)
		return WEIR_FAIL;
	i = POOL_NEW(inherited.pool, inherited);
	text = unquote(inherited.pool, str_from(entry, (size_t)colon + 1));
	addr_from_kernel(&real, &sa, n, inherited.pool);
	if (addr_parse(inherited.pool, text, 0, &i->addr, NULL, NULL) != WEIR_OK ||
	    !addr_eq(&i->addr, &real))
		return WEIR_FAIL;
	vn = sizeof(only);
	if (real.sa.sa_family == AF_INET6)
		getsockopt((int)fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &vn);
	fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	i->fd = (int)fd;
	i->type = type;
	i->ipv6only = only;
	append(i);
	return WEIR_OK;
}

void
listen_inherit(const char *text, struct weir_log *log)
{
	struct weir_str rest = str_c(text), entry;
	ssize_t		end;

	if (inherited.pool == NULL)
		hash_init(&inherited, pool_new(0), false);
	while (rest.n > 0) {
		end = str_chr(rest, ';');
		entry = str_of(rest.p, end < 0 ? rest.n : (size_t)end);
		rest = str_from(rest, entry.n + 1);
		if (inherit_one(entry) != WEIR_OK)
			log_at(log, LOG_WARN_, 0, "inherited \"%.*s\" is no listening socket, ignored",
			    STR_ARG(entry));
	}
}

void
inherited_ports(struct listen_ports *p)
{
	const struct weir_hash_slot *s;

	for (unsigned i = 0; inherited.pool != NULL && (s = hash_next(&inherited, &i)) != NULL; ) {
		const struct inherited *first = s->value;

		listen_ports_add(p, first->type, &first->addr);
	}
}

static bool
is_for(const struct inherited *i, const struct weir_listen *l)
{
	return !i->taken && (i->addr.sa.sa_family != AF_INET6 || i->ipv6only == (l->opts.ipv6only != 0));
}

unsigned
inherited_count(const struct weir_listen *l)
{
	unsigned n = 0;

	for (const struct inherited *i = first_of(&l->addr, l->type); i != NULL; i = i->next)
		n += is_for(i, l);
	return n;
}

unsigned
inherited_take(const struct weir_listen *l, int *fds)
{
	unsigned n = 0;

	for (struct inherited *i = first_of(&l->addr, l->type); i != NULL; i = i->next) {
		if (!is_for(i, l))
			continue;
		i->taken = true;
		fds[n++] = i->fd;
	}
	return n;
}

void
inherited_drop(void)
{
	const struct weir_hash_slot *s;

	if (inherited.pool == NULL)
		return;
	for (unsigned n = 0; (s = hash_next(&inherited, &n)) != NULL; )
		for (const struct inherited *i = s->value; i != NULL; i = i->next)
			if (!i->taken)
				close(i->fd);
	pool_free(inherited.pool);
	inherited = (struct weir_hash){ 0 };
}
