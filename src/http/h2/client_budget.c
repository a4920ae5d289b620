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

/* Unknown frames, and DATA on closed streams. */
void
h2c_budget_coming(struct h2_link *k, uint8_t type, uint32_t n)
{
	if (type == NGHTTP2_DATA)
		k->stray += n;
	else if (type > NGHTTP2_CONTINUATION && n <= FRAME_MOST)	/* larger ones are an error */
		k->unknown += FRAME_HEAD + n;
}

void
h2c_budget_judge(struct h2_link *k)
{
	if (k->unknown > UNKNOWN_MOST + k->came / 16)
		calm(k, "upstream flooded the connection with unknown frames");
	else if (k->stray > STRAY_MOST)
		calm(k, "upstream went on sending on closed streams");
}
