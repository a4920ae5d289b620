/*
 * client_budget.c - what an upstream may do that costs us more than it costs it.
 *
 * The same measure as for clients (budget.c): frames that move nothing cost a point each; points are forgotten with
 * time, and against bytes of bodies and responses that came (points.h).
 */
#include "http/h2/client.h"

enum {
	FRAME_HEAD	= 9,
	FRAME_MOST	= 16384,	/* our SETTINGS_MAX_FRAME_SIZE */
	UNKNOWN_MOST	= 1 << 15,
	STRAY_MOST	= 1 << 20,	/* of bodies that nobody waits for, */
	STRAY_EACH	= H2C_STREAM_WINDOW + H2C_FIRST_WINDOW	/* and so much more for each stream that we reset */
};

static void
calm(struct h2_link *k, const char *why)
{
	if (k->why[0] != '\0')
		return;
	h2c_blame(k, why);
	(void)nghttp2_session_terminate_session(k->ng, NGHTTP2_ENHANCE_YOUR_CALM);
	h2c_post(k);
}

static void
charge(struct h2_link *k, const char *why)
{
	if (h2_points_charge(&k->points))
		calm(k, why);
}

void
h2c_budget_frame(struct h2_link *k, const nghttp2_frame_hd *hd)
{
	switch (hd->type) {
	case NGHTTP2_DATA:
		k->stray -= (int64_t)hd->length;	/* it is none, as we hear of it */
		if (hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM))
			charge(k, "upstream flooded the connection with empty frames");
		break;
	case NGHTTP2_HEADERS:
		break;
	case NGHTTP2_SETTINGS:
	case NGHTTP2_PING:
		charge(k, "upstream flooded the connection with SETTINGS or PING frames");
		break;
	default:
		charge(k, "upstream flooded the connection with frames");
	}
}

void
h2c_budget_cancel(struct h2_link *k)
{
	k->stray -= STRAY_EACH;
}

/* nghttp2 passes over unknown frames, and DATA on closed streams, in silence. */
static void
head(struct h2_link *k)
{
	const uint8_t *p = k->head;
	uint8_t type = p[3];

	k->payload = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
	if (type == NGHTTP2_DATA)
		k->stray += k->payload;
	else if (type > NGHTTP2_CONTINUATION && k->payload <= FRAME_MOST)	/* larger ones are an error */
		k->unknown += FRAME_HEAD + k->payload;
}

void
h2c_budget_came(struct h2_link *k, const uint8_t *p, size_t n)
{
	k->came += n;
	for (size_t i = 0; i < n; ) {
		size_t part = WEIR_MIN((size_t)k->payload, n - i);

		k->payload -= (uint32_t)part;
		i += part;
		if (i == n)
			break;
		k->head[k->n_head++] = p[i++];
		if (k->n_head == sizeof k->head) {
			k->n_head = 0;
			head(k);
		}
	}
}

void
h2c_budget_judge(struct h2_link *k)
{
	if (k->unknown > UNKNOWN_MOST + k->came / 16)
		calm(k, "upstream flooded the connection with unknown frames");
	else if (k->stray > STRAY_MOST)
		calm(k, "upstream went on sending on closed streams");
}
