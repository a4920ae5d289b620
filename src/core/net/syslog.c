/*
 * syslog.c - logs that go to a syslog server.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/net/addr.h"
#include "core/net/syslog.h"

#define PORT		514
#define TAG_MAX		32	/* RFC 3164, 4.1.3 */
#define HOST_MAX	255
#define DATAGRAM_MAX	65000	/* what UDP takes, roughly; the rest is cut with a mark */

struct server {
	struct weir_log_file	file;
	struct weir_addr	addr;
};

struct weir_syslog {
	struct server	*server;
	unsigned	 facility, severity;
	struct weir_str	 tag, host;		/* host.n 0: not said */
};

static const char *const facilities[] = {
	"kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock",
	"authpriv", "ftp", "ntp", "audit", "alert", "cron", "local0", "local1", "local2",
	"local3", "local4", "local5", "local6", "local7",
};

static const char *const severities[] = {
	"emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
};

enum { FACILITY_LOCAL7 = 23, SEVERITY_INFO = 6, UNSET = 99 };

/*
 * Sending.
 */

static int
connect_to(struct server *s)
{
	union weir_sockaddr	sa;
	socklen_t		n = addr_to_kernel(&s->addr, &sa);
	int			fd, saved;

	fd = socket(s->addr.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return WEIR_FAIL;
	if (connect(fd, &sa.sa, n) != 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return WEIR_FAIL;
	}
	s->file.fd = fd;
	return WEIR_OK;
}

static int
send_once(int fd, struct iovec *v, unsigned n)
{
	struct msghdr	m = { .msg_iov = v, .msg_iovlen = n };
	ssize_t		sent;

	do
		sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent >= 0 ? WEIR_OK : WEIR_FAIL;
}

/* The server does not keep up; another socket would not change that. */
static bool
is_full(int err)
{
	return err == EAGAIN || err == EWOULDBLOCK || err == ENOBUFS || err == ENOMEM;
}

/*
 * An error may be that of an earlier datagram, of which UDP learns with the next one, or say that the server
 * has made its socket anew; so a new socket gets a try.
 */
static int
send_record(struct weir_log_file *f, struct iovec *v, unsigned n)
{
	struct server	*s = WEIR_OF(f, struct server, file);
	int		 err;

	if (f->fd < 0)
		return connect_to(s) == WEIR_OK ? send_once(f->fd, v, n) : WEIR_FAIL;
	if (send_once(f->fd, v, n) == WEIR_OK)
		return WEIR_OK;
	err = errno;
	if (is_full(err))
		return WEIR_FAIL;
	close(f->fd);
	f->fd = -1;
	if (s->addr.sa.sa_family != AF_UNIX)
		log_file_lost(f, err, 1);
	return connect_to(s) == WEIR_OK ? send_once(f->fd, v, n) : WEIR_FAIL;
}

static size_t
put_head(const struct weir_syslog *y, unsigned severity, char to[LOG_HEAD_MAX])
{
	struct weir_str	time = clock_syslog_time();
	char		*at = to;

#define ADD(s) (at = (char *)memcpy(at, (s).p, (s).n) + (s).n)
	*at++ = '<';
	at = num_put(at, y->facility * 8 + severity);
	*at++ = '>';
	ADD(time);
	*at++ = ' ';
	if (y->host.n != 0) {
		ADD(y->host);
		*at++ = ' ';
	}
	if (y->tag.n != 0)
		ADD(y->tag);
	ADD(STR(": "));
#undef ADD
	return (size_t)(at - to);
}

_Static_assert(LOG_HEAD_MAX >= NUM_MAX + 2 + 16 + HOST_MAX + 1 + TAG_MAX + 2,
    "a head of syslog has room");

/* Levels of messages begin with emerg at 1, severities at 0. */
static size_t
out_head(const struct weir_log_out *o, enum weir_level level, char *to)
{
	return put_head(o->arg, level > 0 ? level - 1u : 0, to);
}

void
syslog_add(struct weir_pool *pool, struct weir_log *l, struct weir_syslog *y, enum weir_level level,
    bool json)
{
	struct weir_log_out *o = log_add(pool, l, &y->server->file, level);

	o->json = json;
	o->head = out_head;
	o->arg = y;
}

void
syslog_put(const struct weir_syslog *y, const char *p, size_t n)
{
	char		head[LOG_HEAD_MAX];
	struct iovec	v[3] = {
		{ head, put_head(y, y->severity, head) }, { (void *)(uintptr_t)p, n },
		{ (void *)(uintptr_t)"...", 0 },
	};

	if (n > DATAGRAM_MAX) {
		v[1].iov_len = DATAGRAM_MAX;
		v[2].iov_len = 3;
	}
	log_file_send(&y->server->file, v, 3);
}

/*
 * Configuration.
 */

static struct server *
server_for(struct weir_conf *cf, const struct weir_addr *a)
{
	char			 name[ADDR_TEXT_MAX];
	struct weir_str		 text = str_of(name, addr_put(name, a));
	struct weir_log_file	*f;
	struct server		*s;

	for (f = log_files(); f != NULL; f = f->next)
		if (f->send == send_record && log_file_is_of(f, cf->pool) &&
		    addr_eq(&WEIR_OF(f, struct server, file)->addr, a))
			return WEIR_OF(f, struct server, file);
	s = POOL_NEW(cf->pool, server);
	s->addr = *a;
	s->file.path = pool_cstr(cf->pool, pool_printf(cf->pool, "syslog:server=%.*s", STR_ARG(text)));
	s->file.fd = -1;
	s->file.send = send_record;
	log_file_adopt(cf->pool, &s->file);
	return s;
}

static int
read_server(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_syslog *y,
    struct weir_str value)
{
	struct weir_addr	 a, *all;
	struct weir_str		 host;
	unsigned		 port, found;
	const char		*why = "";

	if (y->server != NULL)
		return conf_error(cf, n, w, "duplicate syslog \"server\"");
	if (value.n == 0 || value.p[0] == ':')
		return conf_error(cf, n, w, "no host in syslog server \"%.*s\"", STR_ARG(value));
	switch (addr_parse(cf->pool, value, PORT, &a, &host, &port)) {
	case WEIR_OK:
		if (addr_is_wild(&a))
			return conf_error(cf, n, w, "no host in syslog server \"%.*s\"", STR_ARG(value));
		break;
	case WEIR_AGAIN:
		if ((all = addr_lookup(cf->pool, host, port, &found, &why)) == NULL)
			return conf_error(cf, n, w, "%s in syslog server \"%.*s\"", why, STR_ARG(value));
		a = all[0];
		break;
	default:
		return conf_error(cf, n, w, "invalid address in syslog server \"%.*s\"", STR_ARG(value));
	}
	y->server = server_for(cf, &a);
	return WEIR_OK;
}

/* One of `n_words`, in *to. */
static int
read_word(struct weir_conf *cf, const struct weir_node *n, unsigned w, const char *what,
    struct weir_str value, const char *const *words, unsigned n_words, unsigned *to)
{
	const char	*like;
	unsigned	 i;

	if (*to != UNSET)
		return conf_error(cf, n, w, "duplicate syslog \"%s\"", what);
	for (i = 0; i < n_words; i++)
		if (str_eq(value, str_c(words[i]))) {
			*to = i;
			return WEIR_OK;
		}
	like = conf_nearest(value, words, n_words);
	return conf_error(cf, n, w, "unknown syslog %s \"%.*s\"%s%s%s", what, STR_ARG(value),
	    like != NULL ? ", did you mean \"" : "", like != NULL ? like : "", like != NULL ? "\"?" : "");
}

static int
read_tag(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_syslog *y,
    struct weir_str value)
{
	size_t i;

	if (y->tag.p != NULL)
		return conf_error(cf, n, w, "duplicate syslog \"tag\"");
	if (value.n > TAG_MAX)
		return conf_error(cf, n, w, "syslog tag length exceeds %d", TAG_MAX);
	for (i = 0; i < value.n; i++) {
		unsigned char c = ascii_lower((unsigned char)value.p[i]);

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_'))
			return conf_error(cf, n, w, "syslog \"tag\" only allows alphanumeric "
			    "characters and underscore");
	}
	y->tag = value;
	return WEIR_OK;
}

static int
read_param(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_syslog *y,
    struct weir_str p)
{
	if (str_begins(p, STR("server=")))
		return read_server(cf, n, w, y, str_from(p, 7));
	if (str_begins(p, STR("facility=")))
		return read_word(cf, n, w, "facility", str_from(p, 9), facilities,
		    WEIR_COUNT(facilities), &y->facility);
	if (str_begins(p, STR("severity=")))
		return read_word(cf, n, w, "severity", str_from(p, 9), severities,
		    WEIR_COUNT(severities), &y->severity);
	if (str_begins(p, STR("tag=")))
		return read_tag(cf, n, w, y, str_from(p, 4));
	if (str_eq(p, STR("nohostname"))) {
		y->host = STR_NONE;
		return WEIR_OK;
	}
	return conf_error(cf, n, w, "unknown syslog parameter \"%.*s\"", STR_ARG(p));
}

static struct weir_str
own_host(struct weir_pool *pool)
{
	char name[HOST_MAX + 1] = "";

	if (gethostname(name, sizeof(name)) != 0 || name[0] == '\0')
		return STR("localhost");
	name[HOST_MAX] = '\0';
	str_lower(name, name, strlen(name));
	return pool_str(pool, str_c(name));
}

struct weir_syslog *
syslog_read(struct weir_conf *cf, const struct weir_node *n, unsigned w)
{
	struct weir_syslog	*y = POOL_NEW(cf->pool, weir_syslog);
	struct weir_str		 rest = str_from(n->w[w].s, sizeof("syslog:") - 1), p;
	ssize_t			 comma;

	y->facility = y->severity = UNSET;
	y->host = own_host(cf->pool);
	do {
		comma = str_chr(rest, ',');
		p = comma < 0 ? rest : str_of(rest.p, (size_t)comma);
		rest = comma < 0 ? STR("") : str_from(rest, (size_t)comma + 1);
		if (read_param(cf, n, w, y, p) != WEIR_OK)
			return NULL;
	} while (comma >= 0);
	if (y->server == NULL) {
		conf_error(cf, n, w, "no syslog server specified");
		return NULL;
	}
	if (y->facility == UNSET)
		y->facility = FACILITY_LOCAL7;
	if (y->severity == UNSET)
		y->severity = SEVERITY_INFO;
	/* The tag that rules of syslog servers look for where they were written for nginx. */
	if (y->tag.p == NULL)
		y->tag = STR("nginx");
	return y;
}
