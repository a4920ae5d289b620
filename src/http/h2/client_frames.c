/*
 * client_frames.c - what an upstream sends, frame by frame, before nghttp2 gets it.
 *
 * nghttp2 keeps silent about some frames that cost: the budget is told of them here.  And header blocks are
 * mended (pads.h).  What came goes on in as large pieces as possible; only a block that came in pieces, of reads or of frames,
 * or that is mended, is put together first, and goes on in as few frames as it fits into.
 */
#include "core/base/mem.h"
#include "http/h2/client.h"
#include "http/h2/pads.h"

enum {
	FRAME_HEAD	= 9,
	FRAME_MOST	= 16384,	/* our SETTINGS_MAX_FRAME_SIZE */
	BLOCK_MOST	= 4 * FRAME_MOST,	/* whatever is allowed of a head */
	FRAMES_MOST	= 64,		/* of a block */
	PRIORITY	= 5
};

static uint32_t
length_of(const uint8_t *head)
{
	return (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
}

static int
give(struct h2_link *k, const uint8_t *p, size_t n)
{
	nghttp2_ssize rc = n == 0 ? 0 : nghttp2_session_mem_recv2(k->ng, p, n);

	return rc < 0 ? (int)rc : 0;
}

/* Of the payload of HEADERS with these flags, what is the header block (RFC 9113, 6.2).  False: there is room for none. */
static bool
block_of(uint8_t flags, const uint8_t **p, size_t *n)
{
	size_t before = 0, behind = 0;

	if ((flags & NGHTTP2_FLAG_PADDED) && *n != 0) {
		behind = **p;
		before = 1;
	}
	if (flags & NGHTTP2_FLAG_PRIORITY)
		before += PRIORITY;
	if (before + behind > *n || ((flags & NGHTTP2_FLAG_PADDED) && *n == 0))
		return false;
	*p += before;
	*n -= before + behind;
	return true;
}

/* May HEADERS that came in one piece go on as they are? */
static bool
is_fine(const uint8_t *frame)
{
	const uint8_t *p = frame + FRAME_HEAD;
	size_t n = length_of(frame);

	return (frame[4] & NGHTTP2_FLAG_END_HEADERS) && (!block_of(frame[4], &p, &n) || h2_pads(p, n, NULL) == 0);
}

/* ---- blocks ---- */

static int
give_frames(struct h2_link *k, const uint8_t *p, size_t n, bool whole)
{
	const struct h2_frames *f = &k->frames;
	size_t at = 0;
	int rc;

	do {
		size_t part = WEIR_MIN(n - at, (size_t)FRAME_MOST);
		uint8_t head[FRAME_HEAD], flags = whole && at + part == n ? NGHTTP2_FLAG_END_HEADERS : 0;

		memcpy(head, f->first, sizeof head);
		head[1] = (uint8_t)(part >> 8);
		head[2] = (uint8_t)part;
		head[3] = at == 0 ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION;
		head[4] = at == 0 ? flags | (f->first[4] & NGHTTP2_FLAG_END_STREAM) : flags;
		if ((rc = give(k, head, sizeof head)) != 0 || (rc = give(k, p + at, part)) != 0)
			return rc;
		at += part;
	} while (at < n);
	return 0;
}

static int
give_block(struct h2_link *k, bool whole)
{
	struct h2_frames *f = &k->frames;
	uint8_t *mended = whole && f->n_block != 0 ? mem_alloc(f->n_block) : NULL;
	size_t less = mended != NULL ? h2_pads(f->block, f->n_block, mended) : 0;
	int rc = give_frames(k, less != 0 ? mended : f->block, f->n_block - less, whole);

	mem_free(mended);
	h2c_frames_end(f);
	return rc;
}

/* A frame of a block is whole. */
static int
part_came(struct h2_link *k)
{
	struct h2_frames *f = &k->frames;

	f->holds = false;
	if (f->n_frames == 1) {
		const uint8_t *p = f->block;

		if (!block_of(f->first[4], &p, &f->n_block))
			return NGHTTP2_ERR_PROTO;
		memmove(f->block, p, f->n_block);
	}
	return f->first[4] & NGHTTP2_FLAG_END_HEADERS ? give_block(k, true) : 0;
}

/* ---- frames ---- */

/* The next frame goes into the block. */
static int
hold(struct h2_frames *f, const uint8_t *head)
{
	f->payload = length_of(head);
	if (f->n_frames++ == 0)
		memcpy(f->first, head, FRAME_HEAD);
	else
		f->first[4] |= head[4] & NGHTTP2_FLAG_END_HEADERS;
	/* what is too much of a head is said field by field, unless the block is much more than that */
	if (f->n_frames > FRAMES_MOST || f->n_block + f->payload > WEIR_MAX((size_t)BLOCK_MOST, f->head_most + FRAME_MOST))
		return NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;
	f->block = mem_realloc(f->block, f->n_block, WEIR_MAX(f->n_block + f->payload, 1u));
	f->holds = true;
	return 0;
}

static bool
continues(const struct h2_frames *f, const uint8_t *head)
{
	return head[3] == NGHTTP2_CONTINUATION && length_of(head) <= FRAME_MOST && memcmp(head + 5, f->first + 5, 4) == 0;
}

/* A frame begins, of which n bytes are there.  True: so many bytes go on as they are. */
static bool
passes(struct h2_link *k, const uint8_t *head, size_t n, int *rc)
{
	struct h2_frames *f = &k->frames;
	size_t all = FRAME_HEAD + length_of(head);

	h2c_budget_coming(k, head[3], length_of(head));
	if (f->block != NULL && continues(f, head)) {
		*rc = hold(f, head);
		return false;
	}
	if (f->block != NULL)		/* nghttp2 will say what it thinks of that */
		*rc = give_block(k, false);
	if (head[3] != NGHTTP2_HEADERS || all > FRAME_HEAD + FRAME_MOST || (n >= all && is_fine(head))) {
		f->payload = length_of(head);
		return true;
	}
	if (*rc == 0)
		*rc = hold(f, head);
	return false;
}

/* A head that came in pieces; how many bytes belong to it. */
static size_t
rest_of_head(struct h2_link *k, const uint8_t *p, size_t n, int *rc)
{
	struct h2_frames *f = &k->frames;
	size_t part = WEIR_MIN(n, (size_t)(FRAME_HEAD - f->n_head));

	memcpy(f->head + f->n_head, p, part);
	f->n_head += (uint8_t)part;
	if (f->n_head < FRAME_HEAD)
		return part;
	f->n_head = 0;
	if (passes(k, f->head, FRAME_HEAD, rc) && *rc == 0)
		*rc = give(k, f->head, FRAME_HEAD);
	return part;
}

static size_t
rest_of_part(struct h2_link *k, const uint8_t *p, size_t n, int *rc)
{
	struct h2_frames *f = &k->frames;
	size_t part = WEIR_MIN(n, (size_t)f->payload);

	memcpy(f->block + f->n_block, p, part);
	f->n_block += part;
	f->payload -= (uint32_t)part;
	if (f->payload == 0)
		*rc = part_came(k);
	return part;
}

int
h2c_frames(struct h2_link *k, const uint8_t *p, size_t n)
{
	struct h2_frames *f = &k->frames;
	size_t from = 0, i = 0;		/* what is between the two goes on as it is */
	int rc = 0;

	while (rc == 0 && (i < n || (f->holds && f->payload == 0))) {
		size_t left = n - i;

		if (f->holds) {
			from = i += rest_of_part(k, p + i, left, &rc);
		} else if (f->payload != 0) {
			size_t part = WEIR_MIN(left, (size_t)f->payload);

			f->payload -= (uint32_t)part;
			i += part;
		} else if (f->n_head != 0 || left < FRAME_HEAD) {
			rc = give(k, p + from, i - from);
			from = i += rc == 0 ? rest_of_head(k, p + i, left, &rc) : 0;
		} else {
			/* Before a block is begun, or given up, all that came before it has to go on. */
			if (p[i + 3] == NGHTTP2_HEADERS || f->block != NULL) {
				rc = give(k, p + from, i - from);
				from = i;
			}
			i += FRAME_HEAD;
			if (rc == 0 && !passes(k, p + i - FRAME_HEAD, left, &rc))
				from = i;
		}
	}
	return rc != 0 ? rc : give(k, p + from, i - from);
}

void
h2c_frames_end(struct h2_frames *f)
{
	mem_free(f->block);
	f->block = NULL;
	f->n_block = f->n_frames = 0;
	f->holds = false;
}
