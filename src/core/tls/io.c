/*
 * io.c - reading and writing through TLS.
 *
 * OpenSSL reads from and writes to the socket itself (fdio_recv, fdio_send), so records are copied
 * nowhere else.  It holds two things that nobody sees: what it has read and not given (told
 * by `notice`, because no event will come), and a record that it has made and could not send.  The
 * second stays in the caller's queue too, until it is gone: `again` bytes must be offered once
 * more, exactly.
 */
#include <openssl/err.h>

#include "core/base/mem.h"
#include "core/tls/layer.h"

enum { RECORD = 16384, READ_MIN = 4096 };

static struct weir_slab slab = WEIR_SLAB(weir_tls);
static BIO *common;		/* of all that have settled; its data is the connection that it works for */

const char *
tls_error(char *to, size_t room)
{
	const char *data = NULL;
	int flags = 0;
	unsigned long e = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
	size_t n;

	if (e == 0)
		return "no reason given";
	ERR_error_string_n(e, to, room);
	n = strlen(to);
	if (data != NULL && (flags & ERR_TXT_STRING) && *data != '\0')
		snprintf(to + n, room - n, ":%s", data);
	ERR_clear_error();
	return to;
}

/* ---- what a handshake reads ahead ---- */

struct weir_tls_rest {
	size_t	 at, n;
	char	 bytes[];
};

static struct {
	struct weir_tls	*of;		/* whose handshake goes on right now */
	size_t		 at, n;
	char		 bytes[8192];
} ahead;

void
layer_ahead(struct weir_tls *t)
{
	ahead.of = t;
	ahead.at = ahead.n = 0;
}

/* A client's first request may be right behind its Finished. */
void
layer_ahead_end(struct weir_tls *t)
{
	size_t n = ahead.n - ahead.at;

	ahead.of = NULL;
	if (n == 0)
		return;
	t->rest = mem_alloc(sizeof *t->rest + n);
	t->rest->at = 0;
	t->rest->n = n;
	memcpy(t->rest->bytes, ahead.bytes + ahead.at, n);
}

static ssize_t
take_rest(struct weir_tls *t, char *to, size_t max)
{
	size_t n = WEIR_MIN(max, t->rest->n - t->rest->at);

	memcpy(to, t->rest->bytes + t->rest->at, n);
	t->rest->at += n;
	if (t->rest->at == t->rest->n) {
		mem_free(t->rest);
		t->rest = NULL;
	}
	return (ssize_t)n;
}

static ssize_t
take_ahead(struct weir_tls *t, char *to, size_t max)
{
	if (ahead.at == ahead.n) {
		ssize_t n = fdio_recv(&t->conn->tcp, ahead.bytes, sizeof ahead.bytes);

		if (n <= 0)
			return n;
		ahead.at = 0;
		ahead.n = (size_t)n;
	}
	max = WEIR_MIN(max, ahead.n - ahead.at);
	memcpy(to, ahead.bytes + ahead.at, max);
	ahead.at += max;
	return (ssize_t)max;
}

/* Has something come that only OpenSSL knows of, or not even it? */
static bool
has_more(const struct weir_tls *t)
{
	return t->rest != NULL || SSL_has_pending(t->ssl);
}

/* ---- the socket, as OpenSSL sees it ---- */

static ssize_t
receive(struct weir_tls *t, char *to, size_t max)
{
	if (unlikely(t->rest != NULL))
		return take_rest(t, to, max);
	return ahead.of == t ? take_ahead(t, to, max) : fdio_recv(&t->conn->tcp, to, max);
}

static int
bio_read(BIO *b, char *to, size_t max, size_t *got)
{
	struct weir_conn *c = BIO_get_data(b);
	ssize_t n = receive(tls_of(c), to, max);

	BIO_clear_retry_flags(b);
	*got = 0;
	if (n == WEIR_EOF)
		tls_of(c)->cut = true;
	if (n == WEIR_AGAIN)
		BIO_set_retry_read(b);
	if (n <= 0)
		return 0;
	*got = (size_t)n;
	return 1;
}

static int
bio_write(BIO *b, const char *from, size_t n, size_t *put)
{
	struct weir_conn *c = BIO_get_data(b);
	ssize_t w = fdio_send(&c->tcp, from, n, tls_of(c) != NULL && tls_of(c)->more);

	BIO_clear_retry_flags(b);
	*put = 0;
	if (w == WEIR_AGAIN)
		BIO_set_retry_write(b);
	if (w < 0)
		return 0;
	*put = (size_t)w;
	return 1;
}

static long
bio_ctrl(BIO *b, int what, long arg, void *p)
{
	struct weir_conn *c = BIO_get_data(b);

	(void)arg, (void)p;
	if (what == BIO_CTRL_EOF)
		return c->tcp.eof;
	return what == BIO_CTRL_FLUSH;
}

/* The connection's socket.  NULL: no memory. */
static BIO *
bio_new(struct weir_conn *c)
{
	static BIO_METHOD *method;
	BIO *b;

	if (method == NULL) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir connection");
		if (method == NULL)
			return NULL;
		BIO_meth_set_read_ex(method, bio_read);
		BIO_meth_set_write_ex(method, bio_write);
		BIO_meth_set_ctrl(method, bio_ctrl);
	}
	b = BIO_new(method);
	if (b == NULL)
		return NULL;
	BIO_set_data(b, c);
	BIO_set_init(b, 1);
	return b;
}

/* Before OpenSSL is asked for anything that reads or writes. */
static inline void
enter(struct weir_tls *t)
{
	if (common != NULL)
		BIO_set_data(common, t->conn);
}

void
layer_share_bio(struct weir_tls *t)
{
	if (common == NULL)
		common = bio_new(NULL);
	if (common != NULL && BIO_up_ref(common) == 1)
		SSL_set_bio(t->ssl, common, common);
	enter(t);
}

/* ---- reading ---- */

static bool
was_reset(const struct weir_tls *t)
{
	return fdio_reset(&t->conn->tcp);
}

/*
 * As SSL_get_error(), whose answer depends on there being no older error in the queue.  To empty that before every
 * read and every write costs more than all else that is done here; so whoever waits is known by what he waits for.
 */
static int
reason(struct weir_tls *t, int rc)
{
	if (SSL_want_read(t->ssl) && BIO_should_read(SSL_get_rbio(t->ssl)))
		return SSL_ERROR_WANT_READ;
	if (SSL_want_write(t->ssl) && BIO_should_write(SSL_get_wbio(t->ssl)))
		return SSL_ERROR_WANT_WRITE;
	return SSL_get_error(t->ssl, rc);
}

/* The alert that the peer has sent, in OpenSSL's words, which last; NULL: it sent none. */
static const char *
alert_text(void)
{
	unsigned long e = ERR_peek_last_error();

	return ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) >= SSL_AD_REASON_OFFSET ? ERR_reason_error_string(e) :
	    NULL;
}

/* What the result of a read that gave nothing means. */
static ssize_t
read_nothing(struct weir_tls *t, int rc)
{
	char why[256];

	switch (reason(t, rc)) {
	case SSL_ERROR_WANT_READ:
		t->starved = true;
		return WEIR_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->read_wants_write = true;
		sink_want(&t->conn->tcp.io.out, true);
		return WEIR_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		if (!t->cut)
			return WEIR_EOF;
	}
	t->broken = true;
	t->io.in.err = was_reset(t) ? "connection reset by peer" : "connection closed without a close_notify";
	if (alert_text() != NULL) {
		t->io.in.err = alert_text();
	} else if (!was_reset(t) && !t->cut) {
		log_info(weir_log, "*%llu TLS: %s", (unsigned long long)t->conn->id, tls_error(why, sizeof why));
		t->io.in.err = "TLS record not understood";
	}
	ERR_clear_error();
	return WEIR_FAIL;
}

/* As SSL_read_ex(), also of bytes that come before the handshake is over (RFC 8446, 2.3). */
static int
read_some(struct weir_tls *t, char *p, size_t room, size_t *n)
{
	t->starved = false;
	enter(t);
	if (t->early) {
		switch (SSL_read_early_data(t->ssl, p, room, n)) {
		case SSL_READ_EARLY_DATA_SUCCESS:
			return 1;
		case SSL_READ_EARLY_DATA_ERROR:
			return 0;
		}
		t->early = false;
	}
	if (unlikely(!t->settled) && SSL_is_init_finished(t->ssl))
		settle(t);
	return SSL_read_ex(t->ssl, p, room, n);
}

static ssize_t
tls_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_tls *t = WEIR_OF(src, struct weir_tls, io.in);
	size_t total = (size_t)bufq_move(to, &t->held, t->held.len);

	if (t->broken)
		return total != 0 ? (ssize_t)total : WEIR_FAIL;
	if (t->starved && !fdio_may_read(&t->conn->tcp))	/* OpenSSL would take long to say so */
		return total != 0 ? (ssize_t)total : WEIR_AGAIN;
	while (total < max) {
		size_t room, n = 0;
		char *p = bufq_room(to, READ_MIN, &room);
		int rc = read_some(t, p, room, &n);

		bufq_added(to, rc == 1 ? n : 0);
		if (t->finish && SSL_is_init_finished(t->ssl))
			(void)sink_finish(&t->io.out);
		if (rc != 1) {
			ssize_t why = read_nothing(t, rc);

			if (total == 0)
				return why;
			t->ended = why != WEIR_AGAIN;	/* and the next read says so */
			break;
		}
		total += n;
		t->conn->tcp.got += n;
		t->starved = !fdio_may_read(&t->conn->tcp) && !has_more(t);
		if (t->starved)
			break;
	}
	return (ssize_t)total;
}

/* ---- writing ---- */

/*
 * Bytes in pieces are put together only where that saves a record: a copy of 16k for nothing costs as much as half of
 * its encryption, and once out of step with the segments all that follows would be copied, too.
 */
static bool
goes_alone(uint64_t first, uint64_t all, uint64_t most)
{
	return 1 + (all - first + most - 1) / most == (all + most - 1) / most;
}

/* Up to one record of contiguous bytes from the front of the queue; empty when a file cannot be read. */
static struct weir_str
next_record(struct weir_tls *t, struct weir_bufq *from)
{
	static char together[RECORD];
	struct weir_str first;
	size_t want;

	if (bufq_load(from, RECORD) != WEIR_OK)
		return STR_NONE;
	first = bufq_first(from);
	want = t->again != 0 ? t->again : (size_t)WEIR_MIN(from->len, (uint64_t)t->record);
	if (first.n >= want)
		return str_of(first.p, want);
	if (t->again == 0 && first.n != 0 && goes_alone(first.n, from->len, t->record))
		return first;
	return str_of(together, bufq_peek(from, 0, together, want));
}

static ssize_t
write_nothing(struct weir_tls *t, int rc, size_t offered)
{
	switch (reason(t, rc)) {
	case SSL_ERROR_WANT_READ:
		t->write_wants_read = true;
		src_want(&t->conn->tcp.io.in, true);
		t->again = (uint32_t)offered;
		return WEIR_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->again = (uint32_t)offered;
		return WEIR_AGAIN;
	}
	t->broken = true;
	t->io.out.err = t->conn->tcp.io.out.err != NULL ? t->conn->tcp.io.out.err : "connection lost";
	ERR_clear_error();
	return WEIR_FAIL;
}

static ssize_t
tls_write(struct weir_sink *sink, struct weir_bufq *from)
{
	struct weir_tls *t = WEIR_OF(sink, struct weir_tls, io.out);
	ssize_t total = 0;

	if (t->broken || t->closed)
		return WEIR_FAIL;
	while (from->len != 0) {
		struct weir_str s = next_record(t, from);
		size_t n = 0;
		int rc;

		if (s.n == 0) {
			sink->err = "the file became shorter";
			return WEIR_FAIL;
		}
		enter(t);
		/* the kernel makes one of them: a record is a call, not a packet; the last goes with the close_notify */
		t->more = from->len > s.n || (sink->last && SSL_is_init_finished(t->ssl));
		/* until the client has finished the handshake we do not know that it is alive, but may answer */
		rc = SSL_is_init_finished(t->ssl) ? SSL_write_ex(t->ssl, s.p, s.n, &n) :
		    SSL_write_early_data(t->ssl, s.p, s.n, &n);
		t->more = false;
		if (rc != 1) {
			ssize_t why = write_nothing(t, rc, s.n);

			return total != 0 && why == WEIR_AGAIN ? total : why;
		}
		t->again = 0;
		t->conn->tcp.put += n;
		bufq_drop(from, n);
		total += (ssize_t)n;
	}
	return total;
}

static int
tls_finish(struct weir_sink *sink)
{
	struct weir_tls *t = WEIR_OF(sink, struct weir_tls, io.out);

	if (!t->closed && !t->broken && !SSL_is_init_finished(t->ssl)) {
		t->finish = true;	/* whoever reads sees the handshake through */
		return WEIR_AGAIN;
	}
	if (!t->closed && !t->broken) {
		ERR_clear_error();
		enter(t);
		t->more = true;		/* the end of TCP is next */
		int rc = SSL_shutdown(t->ssl);
		t->more = false;

		if (rc < 0 && SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_WRITE)
			return WEIR_AGAIN;
		ERR_clear_error();
		t->closed = true;
	}
	t->conn->tcp.io.out.closing = sink->closing;
	return sink_finish(&t->conn->tcp.io.out);
}

static void
tls_abort(struct weir_sink *sink)
{
	sink_abort(&WEIR_OF(sink, struct weir_tls, io.out)->conn->tcp.io.out);
}

/* ---- notices ---- */

static void
watch(struct weir_tls *t)
{
	src_want(&t->conn->tcp.io.in, t->want_read || t->write_wants_read);
	sink_want(&t->conn->tcp.io.out, t->want_write || t->read_wants_write);
}

static void
tell_reader(struct weir_tls *t)
{
	if (t->want_read && t->io.in.ready != NULL)
		t->io.in.ready(t->io.in.arg);
}

static void
tell_writer(struct weir_tls *t)
{
	if (t->want_write && t->io.out.ready != NULL)
		t->io.out.ready(t->io.out.arg);
}

/* Both may end the connection, whose memory lasts until the end of the turn. */
static void
on_readable(void *arg)
{
	struct weir_tls *t = arg;
	bool writer = t->write_wants_read;

	t->starved = t->write_wants_read = false;
	tell_reader(t);
	if (writer && t->conn->tcp.ev.fd >= 0)
		tell_writer(t);
}

static void
on_writable(void *arg)
{
	struct weir_tls *t = arg;
	bool reader = t->read_wants_write;

	t->read_wants_write = false;
	tell_writer(t);
	if (reader && t->conn->tcp.ev.fd >= 0)
		tell_reader(t);
}

static void
on_notice(struct weir_task *task)
{
	tell_reader(WEIR_OF(task, struct weir_tls, notice));
}

static void
tls_want_read(struct weir_src *src, bool on)
{
	struct weir_tls *t = WEIR_OF(src, struct weir_tls, io.in);

	if (t->conn->tcp.ev.fd < 0)
		return;
	t->want_read = on;
	watch(t);
	if (on && (t->broken || t->ended || t->held.len != 0 || (!t->starved && has_more(t))))
		task_post(&t->notice);
	else if (!on)
		task_off(&t->notice);
}

static void
tls_want_write(struct weir_sink *sink, bool on)
{
	struct weir_tls *t = WEIR_OF(sink, struct weir_tls, io.out);

	if (t->conn->tcp.ev.fd < 0)
		return;
	t->want_write = on;
	watch(t);
}

static void
tls_stop(struct weir_src *src)
{
	tls_want_read(src, false);
}

static const struct weir_src_ops src_ops = {
	.read = tls_read, .want = tls_want_read, .stop = tls_stop,
};

static const struct weir_sink_ops sink_ops = {
	.write = tls_write, .finish = tls_finish, .want = tls_want_write, .abort = tls_abort,
};

/* ---- the layer ---- */

/* A close_notify without waiting: who does not take it now would not have waited for it either. */
static void
end(struct weir_layer *l, bool reset)
{
	struct weir_tls *t = WEIR_OF(l, struct weir_tls, layer);

	task_off(&t->notice);
	if (t->handshake != NULL)
		handshake_end(t->handshake);
	else if (!reset && !t->closed && !t->broken) {
		enter(t);
		(void)SSL_shutdown(t->ssl);
	}
	ERR_clear_error();
	t->closed = true;
	t->io.in.ready = t->io.out.ready = NULL;
}

static void
layer_free(struct weir_layer *l)
{
	struct weir_tls *t = WEIR_OF(l, struct weir_tls, layer);

	SSL_free(t->ssl);
	fp_unref(&t->fp);
	bufq_clear(&t->held);
	mem_free(t->rest);
	t->magic = 0;
	slab_give(&slab, t);
}

/* Session tickets come when the server likes; taken in, they leave a connection as quiet as before. */
static bool
quiet(struct weir_layer *l)
{
	struct weir_tls *t = WEIR_OF(l, struct weir_tls, layer);
	bool so;
	char c;
	int rc;

	if (t->broken || t->closed || fdio_gone(&t->conn->tcp))
		return false;
	if (!(t->conn->tcp.ev.ready & EV_READ) && !has_more(t))
		return true;
	ERR_clear_error();
	enter(t);
	rc = SSL_peek(t->ssl, &c, 1);
	so = rc <= 0 && SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ;
	ERR_clear_error();
	return so && !fdio_gone(&t->conn->tcp);
}

static void
let_go(void *arg)
{
	struct weir_tls *t = arg;

	SSL_free(t->ssl);
	fp_unref(&t->fp);
}

static struct weir_layer *
likeness(struct weir_layer *l, struct weir_pool *pool)
{
	struct weir_tls *of = WEIR_OF(l, struct weir_tls, layer), *t = POOL_NEW(pool, weir_tls);

	t->layer.ops = l->ops;
	t->magic = of->magic;
	t->ssl = of->ssl;
	t->owner = of->owner;
	t->ocsp = of->ocsp;
	t->broken = t->closed = true;
	SSL_up_ref(t->ssl);
	if (of->fp != NULL)
		t->fp = fp_ref(of->fp);
	t->fp_db = of->fp_db;
	pool_on_free(pool, let_go, t);
	return &t->layer;
}

static const struct weir_layer_ops layer_ops = {
	.end = end, .free = layer_free, .quiet = quiet, .likeness = likeness,
};

struct weir_tls *
layer_new(struct weir_conn *c, SSL *ssl)
{
	struct weir_tls *t = slab_take(&slab);
	BIO *b = ssl != NULL ? bio_new(c) : NULL;

	if (b == NULL) {	/* no memory: a layer that is broken from the beginning */
		SSL_free(ssl);
		ssl = NULL;
	}
	memset(t, 0, sizeof *t);
	t->layer.ops = &layer_ops;
	t->magic = WEIR_TLS_MAGIC;
	t->ssl = ssl;
	t->conn = c;
	t->record = RECORD;
	t->io.in.ops = &src_ops;
	t->io.out.ops = &sink_ops;
	task_init(&t->notice, on_notice);
	t->broken = ssl == NULL;
	if (ssl != NULL)
		SSL_set_bio(ssl, b, b);
	c->layer = &t->layer;
	return t;
}

void
layer_open(struct weir_tls *t)
{
	struct weir_fdio *tcp = &t->conn->tcp;

	src_on_ready(&tcp->io.in, on_readable, t);
	sink_on_ready(&tcp->io.out, on_writable, t);
	src_want(&tcp->io.in, false);
	sink_want(&tcp->io.out, false);
	t->conn->io = &t->io;
}
