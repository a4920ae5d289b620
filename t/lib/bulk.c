/*
 * bulk.c - bytes through a proxy, both ends of it: whatever goes in has to come out.
 *
 *	bulk seed=N bytes=N origins=PORT,... ports=PORT,... [client=tls] [origin=tls] [names=NAME,...]
 *		[cert=FILE key=FILE] [quiet=SECONDS]
 *
 * Listens on the ports of `origins`, and opens sessions to `ports`, some at a time, until `bytes` have arrived, in both
 * directions together.  A seed decides everything: how much each side of a session sends, in pieces of which
 * sizes, where it pauses, in writing and in reading, whether it ends its direction at once or only when it has seen the other's end,
 * and whether it breaks the connection in the middle.  Each byte depends on session, direction, and place, and is compared where
 * it arrives.  Where a side ended in order the other must have all and see an orderly end; where it broke the connection the other must see
 * that too, and nothing wrong before.
 *
 * names: what a session asks for by SNI, in turn; it has to arrive at the origin of that place.  Prints a word and a number on each
 * line; "error" and what was wrong when something was.  quiet: the longest time in which nothing moves.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "option.h"

enum {
	AT_ONCE = 4,		/* sessions */
	PIECE = 128 << 10,	/* of a read or write, at most */
	BUFFER = PIECE + 16,
	PORTS = 8,
	CUT_ONE_OF = 6,		/* sessions breaks */
	SESSIONS = 12,		/* at least */
	TURN = 16		/* pieces, before another end gets its turn */
};

#define NOBODY	UINT64_MAX

/* One direction of one end. */
struct half {
	uint64_t	 key;		/* of its bytes */
	uint64_t	 number;	/* its first 8, or NOBODY */
	uint64_t	 total, at;
	uint64_t	 pause_at;	/* after so many bytes */
	uint64_t	 until_ms;	/* a pause */
	size_t		 piece;		/* begun; the next call takes the same */
	bool		 ready, over;
	short		 wants;		/* what to poll for when it is not ready */
};

struct end {
	int		 fd;		/* -1: there is none */
	SSL		*ssl;
	struct session	*of;		/* NULL: nobody knows yet */
	struct half	 in, out;
	uint64_t	 rng;
	uint64_t	 cut_at;	/* it breaks the connection when it has sent so much */
	bool		 late;		/* ends its direction after the other's end */
	bool		 fin;		/* of TLS: the end of TCP follows that of TLS */
	bool		 said_end;	/* close_notify went */
	bool		 broke;		/* of its own will */
	bool		 shall_break;	/* the other one will */
	unsigned	 place;		/* which origin it came to */
	unsigned char	 first[8];
};

struct session {
	uint64_t	 number;
	struct end	 client, *origin;
	bool		 running;
};

static uint64_t seed, planned, want_bytes, next_number, moved, cuts, halves, quiet_ms = 30000, moved_ms;
static uint64_t done_up, done_down, n_done;
static struct session sessions[AT_ONCE];
static struct end origins[AT_ONCE * 4];		/* a session that was cut may leave one behind */
static int listeners[PORTS];
static unsigned ports[PORTS], n_ports, origin_ports[PORTS], n_origins, n_names;
static char names[PORTS][64];
static SSL_CTX *client_ctx, *origin_ctx;
static uint64_t buffer[BUFFER / 8 + 2], expected[BUFFER / 8 + 2];

/* ---- chance ---- */

static uint64_t
mix(uint64_t x)		/* splitmix64 */
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t
below(uint64_t *rng, uint64_t n)
{
	*rng += 0x9e3779b97f4a7c15u;
	return n == 0 ? 0 : mix(*rng) % n;
}

/* 1 to most, each size as likely as its double. */
static uint64_t
any_size(uint64_t *rng, uint64_t most)
{
	unsigned bits = 1;
	uint64_t size;

	while (most >> bits != 0)
		bits++;
	size = (uint64_t)1 << below(rng, bits + 1);
	return 1 + below(rng, most < size ? most : size);
}

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Bytes of a direction, from `at` on; returns where they are.  The client's begin with the number of the session. */
static unsigned char *
bytes_of(uint64_t *to, const struct half *h, size_t n)
{
	uint64_t word = h->at / 8;
	size_t skip = h->at % 8, words = (skip + n + 7) / 8;

	for (size_t i = 0; i < words; i++)
		to[i] = mix(h->key + (word + i) * 0xd1342543de82ef95u);
	if (word == 0 && h->number != NOBODY)
		to[0] = h->number;
	return (unsigned char *)to + skip;
}

/* ---- what goes wrong ---- */

static void
fail(const struct end *e, const char *what)
{
	const char *who = e->of == NULL ? "unknown" : e == &e->of->client ? "client" : "origin";
	char tls[256];

	ERR_error_string_n(ERR_peek_error(), tls, sizeof tls);
	printf("error session %lld, %s: %s; read %llu of %llu, wrote %llu of %llu, %s, %s\n",
	    e->of != NULL ? (long long)e->of->number : -1, who, what, (unsigned long long)e->in.at,
	    (unsigned long long)e->in.total, (unsigned long long)e->out.at, (unsigned long long)e->out.total, strerror(errno), tls);
	printf("error in: over %d ready %d, out: over %d ready %d, late %d, cut %d, of the other %d\n", e->in.over, e->in.ready,
	    e->out.over, e->out.ready, e->late, e->cut_at != UINT64_MAX, e->shall_break);
	exit(1);
}

static void
die(const char *what)
{
	printf("error %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- sessions ---- */

static void
set_up(struct end *e, int fd, bool tls)
{
	int on = 1;

	e->fd = fd;
	e->in.ready = e->out.ready = true;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (below(&e->rng, 2))
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (tls) {
		e->ssl = SSL_new(e->of != NULL ? client_ctx : origin_ctx);
		SSL_set_fd(e->ssl, fd);
	}
}

/* What this side of a session does; the same whoever asks. */
static void
plan(struct end *e, uint64_t number, bool client)
{
	static const uint64_t sizes[] = { 100, 100, 4096, 4096, 1 << 16, 1 << 16, 1 << 16, 1 << 20, 1 << 20, 1 << 20, 16 << 20,
	    64 << 20 };
	const unsigned n = sizeof sizes / sizeof *sizes;
	uint64_t r = mix(seed ^ mix(number)), up, down, cut, most = want_bytes / 4;
	bool client_late, client_cuts;

	up = 8 + below(&r, sizes[below(&r, n)] + 1) % most;
	down = below(&r, sizes[below(&r, n)] + 1) % most;
	if (below(&r, 4) == 0)
		*(below(&r, 2) ? &up : &down) = 8;
	client_late = below(&r, 2);	/* not both: they would wait for each other */
	client_cuts = down == 0 || below(&r, 2);
	cut = number % CUT_ONE_OF != 1 ? UINT64_MAX : client_cuts ? 8 + below(&r, up - 8) : below(&r, down);
	e->rng = mix(r + client);
	e->out.total = client ? up : down;
	e->in.total = client ? down : up;
	e->out.key = mix(seed + 2 * number + client);
	e->in.key = mix(seed + 2 * number + !client);
	e->out.number = client ? number : NOBODY;
	e->in.number = client ? NOBODY : number;
	e->cut_at = client == client_cuts ? cut : UINT64_MAX;
	e->shall_break = client != client_cuts && cut != UINT64_MAX;
	e->late = client == client_late && below(&e->rng, 2);
	e->fin = below(&e->rng, 2);
	e->in.pause_at = any_size(&e->rng, 8 << 20);
	e->out.pause_at = any_size(&e->rng, 8 << 20);
}

static void
begin(struct session *s)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct end *e = &s->client;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(s, 0, sizeof *s);
	s->number = next_number++;
	s->running = true;
	plan(e, s->number, true);
	planned += e->out.total + e->in.total;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)ports[below(&e->rng, n_ports)]);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
		die("connect");
	e->of = s;
	set_up(e, fd, client_ctx != NULL);
	if (e->ssl != NULL) {
		SSL_set_connect_state(e->ssl);
		if (n_names != 0)
			SSL_set_tlsext_host_name(e->ssl, names[s->number % n_names]);
		if (below(&e->rng, 2))
			SSL_set_max_proto_version(e->ssl, TLS1_2_VERSION);
	}
}

static void
arrive(unsigned place)
{
	struct end *e = origins;
	int fd = accept4(listeners[place], NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	while (e->fd >= 0 || e->of != NULL)
		if (++e == origins + sizeof origins / sizeof *origins)
			die("too many connections at the origin");
	memset(e, 0, sizeof *e);
	e->cut_at = UINT64_MAX;
	e->place = place;
	e->in.total = 8;
	set_up(e, fd, origin_ctx != NULL);
	if (e->ssl != NULL)
		SSL_set_accept_state(e->ssl);
}

static void
let_go(struct end *e)
{
	if (e->fd < 0)
		return;
	SSL_free(e->ssl);
	e->ssl = NULL;
	close(e->fd);
	e->fd = -1;
	ERR_clear_error();
}

/* The first bytes of a session are its number. */
static void
recognize(struct end *e)
{
	struct end was = *e;
	uint64_t number;

	memcpy(&number, e->first, sizeof number);
	for (unsigned i = 0; i < AT_ONCE; i++) {
		struct session *s = &sessions[i];

		if (!s->running || s->number != number || s->origin != NULL)
			continue;
		plan(e, number, false);
		e->of = s;
		e->in.at = 8;
		s->origin = e;
		if (n_names != 0 && number % n_names != was.place)
			fail(e, "came to another origin");
		return;
	}
	if (number >= next_number || number % CUT_ONE_OF != 1)
		fail(e, "nobody has begun this session");
	let_go(e);	/* over long since, by a break */
}

/* It breaks. */
static void
cut(struct end *e)
{
	struct linger l = { .l_onoff = 1 };

	setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	e->broke = true;
	e->in.over = e->out.over = true;
	cuts++;
	let_go(e);
}

/* The other side broke it. */
static void
broken(struct end *e)
{
	if (e->of != NULL ? !e->shall_break : cuts == 0)	/* who is not known may have been cut before it said who it is */
		fail(e, "broken");
	e->in.over = e->out.over = true;
	let_go(e);
}

/* ---- moving ---- */

/* Not now, or for ever.  True when it is over. */
static bool
stuck(struct end *e, struct half *h, int n)
{
	int why = e->ssl != NULL ? SSL_get_error(e->ssl, n) : 0;

	h->ready = false;
	h->wants = h == &e->in ? POLLIN : POLLOUT;
	if (e->ssl != NULL && (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)) {
		h->wants = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
		return false;
	}
	return e->ssl != NULL || errno != EAGAIN;
}

static int
get_piece(struct end *e, void *to, size_t n)
{
	ERR_clear_error();
	return e->ssl != NULL ? SSL_read(e->ssl, to, (int)n) : (int)recv(e->fd, to, n, 0);
}

static int
put_piece(struct end *e, const void *from, size_t n)
{
	ERR_clear_error();
	return e->ssl != NULL ? SSL_write(e->ssl, from, (int)n) : (int)send(e->fd, from, n, MSG_NOSIGNAL);
}

static void
pause_half(struct end *e, struct half *h)
{
	if (h->at < h->pause_at)
		return;
	h->pause_at = h->at + any_size(&e->rng, 8 << 20);
	h->until_ms = now_ms() + below(&e->rng, 20);
}

static bool
at_end(struct end *e, int n)
{
	return n == 0 && (e->ssl == NULL || SSL_get_error(e->ssl, n) == SSL_ERROR_ZERO_RETURN);
}

/* One read.  False when there is nothing to do for now. */
static bool
take(struct end *e)
{
	struct half *h = &e->in;
	size_t most = e->of == NULL ? 8 - h->at : any_size(&e->rng, PIECE);
	int n = get_piece(e, e->of == NULL ? e->first + h->at : (unsigned char *)buffer, most);

	if (n <= 0 && !at_end(e, n)) {
		if (stuck(e, h, n))
			broken(e);
		return false;
	}
	moved_ms = now_ms();
	if (n <= 0 && e->of == NULL && h->at == 0 && cuts != 0) {	/* it broke while this was being connected */
		let_go(e);
		return false;
	}
	if (n <= 0) {
		if (h->at != h->total || e->shall_break)
			fail(e, e->shall_break ? "an orderly end of what was broken" : "ended too early");
		h->over = true;
		halves++;
		return false;
	}
	if (e->of != NULL && (h->at + (uint64_t)n > h->total ||
	    memcmp(buffer, bytes_of(expected, h, (size_t)n), (size_t)n) != 0))
		fail(e, h->at + (uint64_t)n > h->total ? "more than was sent" : "other bytes than were sent");
	h->at += (uint64_t)n;
	moved += (uint64_t)n;
	if (e->of == NULL && h->at == 8)
		recognize(e);
	pause_half(e, h);
	return true;
}

/* The end of its direction, unless it has to wait. */
static void
end_out(struct end *e)
{
	if (e->ssl != NULL && !e->said_end) {
		int n;

		ERR_clear_error();
		n = SSL_shutdown(e->ssl);
		if (n < 0) {
			if (stuck(e, &e->out, n))
				broken(e);
			return;
		}
		e->said_end = true;
	}
	if ((e->ssl == NULL || e->fin) && shutdown(e->fd, SHUT_WR) != 0) {
		broken(e);
		return;
	}
	e->out.over = true;
}

/* How much the next write takes; what was begun stays as it is, as TLS wants it. */
static void
begin_piece(struct end *e)
{
	struct half *h = &e->out;
	uint64_t left = (e->cut_at < h->total ? e->cut_at : h->total) - h->at, size;

	if (h->piece != 0)
		return;
	size = any_size(&e->rng, PIECE);
	h->piece = size < left ? size : left;
}

/* One write. */
static bool
give(struct end *e)
{
	struct half *h = &e->out;
	const unsigned char *from;
	int n;

	if (e->of == NULL)
		return false;
	if (h->at >= e->cut_at && h->piece == 0) {
		cut(e);
		return false;
	}
	if (h->at == h->total) {
		if (!e->late || e->in.over)
			end_out(e);
		return false;
	}
	begin_piece(e);
	from = bytes_of(buffer, h, h->piece);
	n = put_piece(e, from, h->piece);
	if (n <= 0) {
		if (stuck(e, h, n))
			broken(e);
		return false;
	}
	moved_ms = now_ms();
	h->at += (uint64_t)n;
	h->piece -= (size_t)n;
	pause_half(e, h);
	return true;
}

static bool
may(const struct half *h, uint64_t now)
{
	return !h->over && h->ready && h->until_ms <= now;
}

/* Whatever goes without waiting; true when some of it is left. */
static bool
move(struct end *e)
{
	uint64_t now = now_ms();

	if (e->fd < 0)
		return false;
	for (unsigned i = 0; i < TURN && e->fd >= 0 && may(&e->in, now) && take(e); i++)
		;
	for (unsigned i = 0; i < TURN && e->fd >= 0 && may(&e->out, now) && give(e); i++)
		;
	if (e->fd >= 0 && e->in.over && e->out.over)
		let_go(e);
	if (e->fd < 0)
		return true;
	/* who waits for the other's end has nothing to do */
	return may(&e->in, now) || (e->of != NULL && may(&e->out, now) &&
	    !(e->out.at == e->out.total && e->late && !e->in.over));
}

/* ---- all of it ---- */

static void
close_session(struct session *s)
{
	struct end *o = s->origin;

	if (!s->running || s->client.fd >= 0 || (o != NULL && o->fd >= 0) || (o == NULL && !s->client.broke))
		return;
	planned -= s->client.out.total + s->client.in.total;
	planned += s->client.in.at + (o != NULL ? o->in.at : 0);	/* less, if it broke */
	done_up += o != NULL ? o->in.at : 0;
	done_down += s->client.in.at;
	n_done++;
	s->running = false;
	if (o != NULL)
		o->of = NULL;
}

static void
add_poll(struct pollfd *v, unsigned *n, struct end *e, uint64_t now, int *wait)
{
	struct half *both[] = { &e->in, &e->out };
	short events = 0;

	if (e->fd < 0)
		return;
	for (unsigned i = 0; i < 2; i++) {
		if (both[i]->over)
			continue;
		if (!both[i]->ready)
			events |= both[i]->wants;
		else if (both[i]->until_ms > now && (*wait < 0 || both[i]->until_ms - now < (uint64_t)*wait))
			*wait = (int)(both[i]->until_ms - now);
	}
	v[(*n)++] = (struct pollfd){ .fd = events != 0 ? e->fd : -1, .events = events };
}

static void
woken(const struct pollfd *v, unsigned *n, struct end *e)
{
	struct half *both[] = { &e->in, &e->out };
	short got;

	if (e->fd < 0)
		return;
	got = v[(*n)++].revents;
	for (unsigned i = 0; i < 2; i++)
		if (got & (both[i]->wants | POLLERR | POLLHUP))
			both[i]->ready = true;
}

static void
complain_of_quiet(void)
{
	for (unsigned i = 0; i < AT_ONCE; i++) {
		if (sessions[i].running && sessions[i].client.fd >= 0)
			fail(&sessions[i].client, "nothing moves");
		if (sessions[i].running && sessions[i].origin != NULL)
			fail(sessions[i].origin, "nothing moves");
	}
	die("nothing moves");
}

static bool
more_to_do(void)
{
	return planned < want_bytes || next_number < SESSIONS;
}

/* One turn; false when all is over. */
static bool
turn(void)
{
	enum { ENDS = sizeof origins / sizeof *origins };
	struct pollfd v[PORTS + AT_ONCE + ENDS];
	unsigned n = 0, live = 0;
	bool more = false;
	uint64_t now;
	int wait = -1;

	for (unsigned i = 0; i < AT_ONCE; i++) {
		close_session(&sessions[i]);
		if (!sessions[i].running && more_to_do())
			begin(&sessions[i]);
		live += sessions[i].running;
	}
	for (unsigned i = 0; i < AT_ONCE; i++)
		more |= sessions[i].running && move(&sessions[i].client);
	for (unsigned i = 0; i < ENDS; i++) {
		more |= move(&origins[i]);
		live += origins[i].fd >= 0;
	}
	if (live == 0 && !more_to_do())
		return false;
	now = now_ms();
	if (now - moved_ms > quiet_ms)
		complain_of_quiet();
	for (unsigned i = 0; i < n_origins; i++)
		v[n++] = (struct pollfd){ .fd = listeners[i], .events = POLLIN };
	for (unsigned i = 0; i < AT_ONCE; i++)
		if (sessions[i].running)
			add_poll(v, &n, &sessions[i].client, now, &wait);
	for (unsigned i = 0; i < ENDS; i++)
		add_poll(v, &n, &origins[i], now, &wait);
	if (poll(v, n, more ? 0 : wait >= 0 ? wait : 1000) < 0)
		die("poll");
	n = n_origins;
	for (unsigned i = 0; i < AT_ONCE; i++)
		if (sessions[i].running)
			woken(v, &n, &sessions[i].client);
	for (unsigned i = 0; i < ENDS; i++)
		woken(v, &n, &origins[i]);
	for (unsigned i = 0; i < n_origins; i++)
		if (v[i].revents)
			arrive(i);
	return true;
}

/* ---- the beginning ---- */

static unsigned
numbers(const char *text, unsigned *to)
{
	unsigned n = 0;

	for (; n < PORTS && *text != '\0'; text += strcspn(text, ","), text += *text == ',')
		to[n++] = (unsigned)atoi(text);
	return n;
}

static void
take_names(const char *text)
{
	for (; n_names < PORTS && *text != '\0'; text += strcspn(text, ","), text += *text == ',')
		snprintf(names[n_names++], sizeof names[0], "%.*s", (int)strcspn(text, ","), text);
}

static int
listen_on(unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 64) != 0)
		die("listen");
	return fd;
}

static SSL_CTX *
context(const SSL_METHOD *m, const char *cert, const char *key)
{
	SSL_CTX *c = SSL_CTX_new(m);

	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (cert != NULL && (SSL_CTX_use_certificate_chain_file(c, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1))
		die("certificate");
	return c;
}

int
main(int argc, char **argv)
{
	uint64_t began = now_ms();

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = strtoull(option(argv, "seed", "1"), NULL, 10);
	want_bytes = strtoull(option(argv, "bytes", "1000000"), NULL, 10);
	quiet_ms = strtoull(option(argv, "quiet", "30"), NULL, 10) * 1000;
	n_ports = numbers(option(argv, "ports", ""), ports);
	n_origins = numbers(option(argv, "origins", ""), origin_ports);
	take_names(option(argv, "names", ""));
	if (strcmp(option(argv, "client", ""), "tls") == 0)
		client_ctx = context(TLS_client_method(), NULL, NULL);
	if (strcmp(option(argv, "origin", ""), "tls") == 0)
		origin_ctx = context(TLS_server_method(), option(argv, "cert", ""), option(argv, "key", ""));
	for (unsigned i = 0; i < n_origins; i++)
		listeners[i] = listen_on(origin_ports[i]);
	for (unsigned i = 0; i < sizeof origins / sizeof *origins; i++)
		origins[i].fd = -1;
	for (unsigned i = 0; i < AT_ONCE; i++)
		sessions[i].client.fd = -1;
	moved_ms = now_ms();
	while (turn())
		;
	printf("sessions %llu\nup %llu\ndown %llu\nends %llu\ncuts %llu\nms %llu\nok 1\n", (unsigned long long)n_done,
	    (unsigned long long)done_up, (unsigned long long)done_down, (unsigned long long)halves, (unsigned long long)cuts,
	    (unsigned long long)(now_ms() - began));
	return 0;
}
