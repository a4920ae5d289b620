/*
 * budget.c - what a client may do that costs us more than it costs him.
 *
 * Frames that move nothing (RST_STREAM, SETTINGS, PING, PRIORITY, WINDOW_UPDATE, empty DATA, unknown ones), and
 * resets that the client provokes, cost a point each (points.h).
 *
 * CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2025-8671.  CONTINUATION and the size of heads are
 * bounded by nghttp2 and head.c.
 */
#include "http/h2/server.h"

enum { UNKNOWN_MOST = 1 << 15 };

static const char *const kinds[] = {
	[ABUSE_EMPTY] = "empty_frames", [ABUSE_SETTINGS] = "settings", [ABUSE_PING] = "ping",
	[ABUSE_WINDOWS] = "window_updates", [ABUSE_RESETS] = "resets",
	[ABUSE_PROVOKED] = "provoked_resets", [ABUSE_CLOSED] = "closed_streams", [ABUSE_FRAMES] = "frames",
	[ABUSE_UNKNOWN] = "unknown_frames", [ABUSE_CONTINUATION] = "continuation", [ABUSE_HEAD] = "large_head",
	[ABUSE_INVALID] = "invalid", NULL
};

static const char *const said[] = {
	[ABUSE_EMPTY] = "client flooded the connection with empty frames",
	[ABUSE_SETTINGS] = "client flooded the connection with SETTINGS frames",
	[ABUSE_PING] = "client flooded the connection with PING frames",
	[ABUSE_WINDOWS] = "client flooded the connection with WINDOW_UPDATE frames",
	[ABUSE_RESETS] = "client reset too many streams",
	[ABUSE_PROVOKED] = "client provoked too many resets",
	[ABUSE_CLOSED] = "client flooded closed streams",
	[ABUSE_FRAMES] = "client flooded the connection with frames",
	[ABUSE_UNKNOWN] = "client flooded the connection with unknown frames",
	[ABUSE_CONTINUATION] = "client sent too many CONTINUATION frames",
	[ABUSE_HEAD] = "client sent too large a request head",
	[ABUSE_INVALID] = "client sent what HTTP/2 does not allow",
};

static struct weir_metric ended;

const struct weir_metric_row h2_rows[] = {
	{ "http2_abuse_total", METRIC_COUNTER, "HTTP/2 connections that were ended because of what the client did.",
	  .labels = { { "kind", kinds } }, .at = &ended },
	{ .name = NULL }
};

void
h2_calm(struct h2_server *s, enum h2_abuse what)
{
	if (s->calmed)
		return;
	s->calmed = true;
	h2_say(s, "%s", said[what]);
	metric_add(&ended, what, 1);
	(void)nghttp2_session_terminate_session(s->ng, NGHTTP2_ENHANCE_YOUR_CALM);
	h2_post(s);
}

/* It is most of the points that tells what a client does, not the last. */
static enum h2_abuse
worst(const struct h2_server *s)
{
	unsigned most = 0;

	for (unsigned i = 1; i < ABUSE_CHARGED; i++)
		if (s->charged[i] > s->charged[most])
			most = i;
	return most;
}

static void
charge(struct h2_server *s, enum h2_abuse what)
{
	bool many = h2_points_charge(&s->points);

	if (s->points.n == 1)
		memset(s->charged, 0, sizeof s->charged);
	s->charged[what] += s->charged[what] < UINT16_MAX;
	if (many)
		h2_calm(s, worst(s));
}

void
h2_budget_frame(struct h2_server *s, const nghttp2_frame_hd *hd)
{
	switch (hd->type) {
	case NGHTTP2_DATA:		/* h2_budget_data() */
	case NGHTTP2_HEADERS:
		break;
	case NGHTTP2_SETTINGS:
	case NGHTTP2_PING:
		if (!(hd->flags & NGHTTP2_FLAG_ACK))
			charge(s, hd->type == NGHTTP2_PING ? ABUSE_PING : ABUSE_SETTINGS);
		break;
	case NGHTTP2_RST_STREAM:
		charge(s, ABUSE_RESETS);
		break;
	case NGHTTP2_WINDOW_UPDATE:
		charge(s, ABUSE_WINDOWS);
		break;
	default:
		charge(s, ABUSE_FRAMES);
	}
}

void
h2_budget_data(struct h2_server *s, const nghttp2_data *data)
{
	if (data->hd.length == data->padlen && !(data->hd.flags & NGHTTP2_FLAG_END_STREAM))
		charge(s, ABUSE_EMPTY);
}

void
h2_budget_unknown(struct h2_server *s, size_t n)
{
	s->unknown += n;
	if (s->unknown > UNKNOWN_MOST + s->came / 16)
		h2_calm(s, ABUSE_UNKNOWN);
}

void
h2_budget_reset(struct h2_server *s)
{
	charge(s, ABUSE_PROVOKED);
}

void
h2_budget_stray(struct h2_server *s)
{
	charge(s, ABUSE_CLOSED);
}
