/*
 * alog_buffer.c - the files of access logs, and the buffers before them.
 *
 * Without a buffer a record is one write(2); with one, it is made at the end of the
 * buffer, which is written when it is full, when `flush` has passed, on USR1 and at exit.
 *
 * Buffers belong to a configuration's use of a file, so the process that parses a
 * new one never touches those of another; a worker makes them when first written to.
 */
#include "config.h"
#include "core/base/mem.h"
#include "core/sess/alog_parts.h"

/* n bytes that are so many lines. */
static void
write_out(struct alog_buffer *b, const char *p, size_t n, size_t lines)
{
#ifdef HAVE_ZLIB
	const char *zipped;

	if (b->gzip != 0) {
		if ((n = alog_gzip(b->gzip, p, n, &zipped)) == 0)
			log_file_lost(b->file, ENOMEM, lines);
		else
			log_file_put(b->file, zipped, n, lines);
		return;
	}
#endif
	log_file_put(b->file, p, n, lines);
}

static void
flush(struct weir_log_file *file, void *arg)
{
	struct alog_buffer	*b = arg;
	size_t			 n = b->used;

	(void)file;
	timer_off(&b->timer);
	if (n == 0)
		return;
	b->used = 0;
	write_out(b, b->p, n, b->lines);
	b->lines = 0;
}

static void
on_timer(struct weir_timer *t)
{
	struct alog_buffer *b = WEIR_OF(t, struct alog_buffer, timer);

	flush(b->file, b);
}

/* The configuration goes, with the buffer in it. */
static void
on_free(void *arg)
{
	struct alog_buffer *b = arg;

	if (b->p == NULL)
		return;
	flush(b->file, b);
	if (b->file->flush_arg == b) {
		b->file->flush = NULL;
		b->file->flush_arg = NULL;
	}
	mem_free(b->p);
}

/* Another configuration's buffer makes way. */
void
alog_buffer_make(struct alog_buffer *b)
{
	if (b->file->flush != NULL)
		b->file->flush(b->file, b->file->flush_arg);
	b->p = mem_alloc(b->size);
	timer_init(&b->timer, on_timer);
	b->file->binary = b->gzip != 0;
	b->file->flush = flush;
	b->file->flush_arg = b;
}

void
alog_buffer_added(struct alog_buffer *b, size_t n)
{
	if (b->used == 0 && b->flush_ms != 0)
		timer_set(&b->timer, b->flush_ms);
	b->used += n;
	b->lines++;
}

void
alog_buffer_put(struct alog_buffer *b, const char *p, size_t n)
{
	if (b->size == 0) {
		log_file_write(b->file, p, n);
		return;
	}
	if (b->size - b->used < n)
		flush(b->file, b);
	if (n > b->size) {
		write_out(b, p, n, 1);
		return;
	}
	memcpy(b->p + b->used, p, n);
	alog_buffer_added(b, n);
}

/* Who says nothing about a buffer shares the one that there is, before or after. */
static int
agree(struct alog_buffer *b, const struct alog_buffer *like)
{
	if (like->size == 0)
		return WEIR_OK;
	if (b->size == 0) {
		b->size = like->size;
		b->flush_ms = like->flush_ms;
		b->gzip = like->gzip;
		return WEIR_OK;
	}
	return b->size == like->size && b->flush_ms == like->flush_ms && b->gzip == like->gzip
	    ? WEIR_OK : WEIR_FAIL;
}

struct alog_buffer *
alog_buffer(struct weir_conf *cf, const struct weir_node *node, struct weir_alog_all *all,
    const struct alog_buffer *like)
{
	const char		*path = conf_path(cf, node->w[1].s, false).p;
	struct weir_log_file	*file = log_file_for(cf->pool, path);
	struct alog_buffer	*b;

	if (file == NULL) {
		conf_error(cf, node, 1, "cannot open \"%s\" (%d: %s)", path, errno, strerror(errno));
		return NULL;
	}
	for (b = all->buffers; b != NULL && b->file != file; b = b->next)
		;
	if (b != NULL && agree(b, like) != WEIR_OK) {
		conf_error(cf, node, 1, "access_log \"%.*s\" already defined with conflicting "
		    "parameters", STR_ARG(node->w[1].s));
		return NULL;
	}
	if (b != NULL)
		return b;
	b = pool_dup(cf->pool, like, sizeof(*like));
	b->file = file;
	b->next = all->buffers;
	all->buffers = b;
	pool_on_free(cf->pool, on_free, b);
	return b;
}
