/*
 * layer.h - a connection's TLS, for the files of this room.
 */
#ifndef WEIR_TLS_LAYER_H
#define WEIR_TLS_LAYER_H

#include <openssl/ssl.h>

#include "core/base/log.h"
#include "core/tls/ocsp.h"
#include "core/tls/tls.h"

#define WEIR_TLS_MAGIC 0x746c7331u

struct weir_tls {
	struct weir_layer	 layer;
	uint32_t		 magic;
	uint32_t		 record;	/* so many bytes go into one */
	SSL			*ssl;
	struct weir_conn	*conn;
	struct weir_io		 io;		/* what conn->io becomes */
	struct weir_task	 notice;	/* the reader is told of what OpenSSL still holds */
	bool			 want_read, want_write;	/* of whoever uses io */
	bool			 starved;	/* OpenSSL has seen all the bytes that came */
	bool			 ended;		/* the next read has an end or a failure to tell */
	bool			 read_wants_write, write_wants_read;
	bool			 nameless;	/* of a client: nobody could be who is wanted */
	bool			 early;		/* the client sends before the handshake is over */
	bool			 finish;	/* a close_notify is to be made when it is */
	bool			 settled;	/* the handshake is over, and what it needed is gone */
	bool			 closed;	/* our close_notify was made */
	bool			 broken;	/* OpenSSL wants no more of it */
	bool			 more;		/* of ours is behind the record that is being sent */
	bool			 cut;		/* OpenSSL has come to the end of what the peer sent */
	struct weir_bufq	 held;		/* what came so early that nobody read yet */
	enum weir_ocsp_result	 ocsp;		/* of the client's certificates */
	uint32_t		 again;		/* bytes of a record that is made and not sent */
	void			*owner;		/* find()'s */
	struct weir_fp		*fp;		/* the client's; NULL: it was not taken */
	const struct weir_fp_db	*fp_db;
	struct weir_tls_sessions **sessions;	/* of a client */
	uint64_t		 session_key;
	struct weir_tls_handshake *handshake;	/* while it lasts */
	struct weir_tls_rest	*rest;		/* what came behind the handshake, and OpenSSL has not asked for yet; or NULL */
};

static inline struct weir_tls *
tls_of(const struct weir_conn *c)
{
	struct weir_tls *t = (struct weir_tls *)(void *)c->layer;

	assert(t == NULL || t->magic == WEIR_TLS_MAGIC);
	return t;
}

/* In a callback of OpenSSL's. */
static inline struct weir_tls *
layer_of(SSL *ssl)
{
	return tls_of(BIO_get_data(SSL_get_rbio(ssl)));
}

/*
 * io.c: makes the layer; the SSL object is taken over.  Notices of the socket go to it from now on.  It is broken
 * and has no SSL when that is NULL, or OpenSSL had no memory for more.
 */
struct weir_tls *layer_new(struct weir_conn *, SSL *);
/* The handshake is over: conn->io is the layer's. */
void	layer_open(struct weir_tls *);
/*
 * Between them OpenSSL is called once, and goes on with a handshake: what has come is read by one system call, though it
 * asks for each record's head and body by themselves.
 */
void	layer_ahead(struct weir_tls *);
void	layer_ahead_end(struct weir_tls *);
/* The handshake is over in OpenSSL's eyes, too: one BIO does for all connections. */
void	layer_share_bio(struct weir_tls *);
/* settle.c: lets go of what only the handshake needed, when it is over.  Once, before the first: settle_begin(). */
void	settle(struct weir_tls *);
void	settle_begin(void);
/*
 * handshake.c: begins one; whoever calls it then sets the client's or the server's state, when there is an SSL:
 * without memory there is none, and it fails by itself.  Its log has the
 * peer as context, unless the caller's log has a context already.
 */
struct weir_tls_handshake *handshake_begin(struct weir_conn *, const struct weir_tls_ctx *, const struct weir_log *,
	    uint64_t timeout_ms, void (*done)(struct weir_conn *, enum weir_tls_end));
/* What is to be judged when a handshake has succeeded; false: it has failed, and that was logged. */
void	handshake_check(struct weir_tls_handshake *, bool (*check)(struct weir_tls *, struct weir_log *));
/* What had to be said before it could not be said: the handshake fails as its first step. */
void	handshake_give_up(struct weir_tls_handshake *);
/* The same, when it ends with TLS_NO_KEY: why was logged. */
void	handshake_no_key(struct weir_tls_handshake *);
/* handshake.c: the connection goes in the middle of it. */
void	handshake_end(struct weir_tls_handshake *);

/* The resolver of the server that is meant; NULL: it has none. */
struct weir_resolver *handshake_resolver(SSL *, uint64_t *timeout_ms);
/* In a callback of OpenSSL's: a line about the handshake that is under way. */
void	handshake_log(SSL *, enum weir_level, const char *, ...) WEIR_PRINTF(3, 4);

/* OpenSSL's oldest complaint, "(SSL: error:...)"-like, into a buffer of the caller; clears the queue. */
const char *tls_error(char *to, size_t room);

#endif
