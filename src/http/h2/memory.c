/*
 * memory.c - what both sides give nghttp2, and how bytes go into a connection's queue.
 */
#include "core/base/mem.h"
#include "core/base/small.h"
#include "http/h2/memory.h"

enum { FRAME_MOST = 16384, FRAME_ROOM = FRAME_MOST + 64 };

static char frame_room[FRAME_ROOM];
static bool sharing;

static void *
ng_alloc(size_t n, void *arg)
{
	void *p = small_try(n);

	(void)arg;
	return likely(p != NULL) ? p : mem_alloc(n);
}

static void *
ng_zalloc(size_t n, size_t size, void *arg)
{
	return size == 0 || n <= SIZE_MAX / size ? memset(ng_alloc(n * size, arg), 0, n * size) : NULL;
}

static void *
ng_realloc(void *p, size_t n, void *arg)
{
	void *q;

	(void)arg;
	assert(p != frame_room);
	if (sharing && p == NULL && n >= FRAME_MOST && n <= FRAME_ROOM)
		return frame_room;
	q = small_retry(p, n);
	if (likely(q != NULL))
		return q;
	q = mem_alloc(n);
	if (p != NULL)
		memcpy(q, p, WEIR_MIN(small_size(p), n));
	small_free(p);
	return q;
}

static void
ng_free(void *p, void *arg)
{
	(void)arg;
	if (p != frame_room)
		small_free(p);
}

nghttp2_mem *
h2_memory(void)
{
	static nghttp2_mem mem = { NULL, ng_alloc, ng_free, ng_zalloc, ng_realloc };

	return &mem;
}

void
h2_share_room(bool on)
{
	sharing = on;
}

void
h2_move_out(struct weir_bufq *to, struct weir_bufq *from, uint64_t n)
{
	while (n != 0) {
		uint64_t part = WEIR_MIN(n, from->head->len);

		if (from->head->seg->kind == SEG_IS_VIEW) {
			bufq_put(to, bufq_first(from).p, (size_t)part);
			bufq_drop(from, part);
		} else {
			bufq_move(to, from, part);
		}
		n -= part;
	}
}
