/*
 * respond.c - heads of responses, as nghttp2 wants them.
 *
 * It copies unknown names, and writes these in lower case.  Values it reads when it makes the frame, which for
 * heads is at once; trailers it copies.
 */
#include "core/base/num.h"
#include "http/h2/field.h"
#include "http/h2/server.h"

enum { ON_STACK = 40, HERE = NGHTTP2_NV_FLAG_NO_COPY_VALUE };

/* What HTTP/2 has no place for (RFC 9113, 8.2.2); the length is said anew. */
static const bool left_out[H_COUNT] = {
	[H_CONNECTION] = true, [H_CONTENT_LENGTH] = true, [H_KEEP_ALIVE] = true, [H_PROXY_CONNECTION] = true,
	[H_TRANSFER_ENCODING] = true, [H_UPGRADE] = true, [H_TE] = true,
};

/* The name lasts, and is in lower case. */
static void
put_known(nghttp2_nv *to, struct weir_str name, struct weir_str value, uint8_t flags)
{
	*to = h2_pair(name, value);
	to->flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | flags;
}

static size_t
put_fields(nghttp2_nv *to, const struct weir_fields *fs, uint8_t flags)
{
	nghttp2_nv *p = to;

	for (const struct weir_field *f = fs->v; f < fs->v + fs->n; f++) {
		if (left_out[f->known])
			continue;
		if (likely(f->known != H_UNKNOWN)) {
			put_known(p++, name_lower(f->known), f->value, flags);
			continue;
		}
		*p = h2_pair(f->name, f->value);
		p++->flags = flags;
	}
	return (size_t)(p - to);
}

static nghttp2_nv *
room_for(struct h2_stream *e, const struct weir_fields *fs, nghttp2_nv *stack)
{
	return fs->n + 2 <= ON_STACK ? stack : pool_alloc(e->x.pool, (fs->n + 2) * sizeof(*stack));
}

int
h2_put_head(struct h2_stream *e, const struct weir_msg *m, const nghttp2_data_provider2 *body)
{
	nghttp2_nv stack[ON_STACK], *v = room_for(e, &m->fields, stack);
	char status[3] = { (char)('0' + m->status / 100 % 10), (char)('0' + m->status / 10 % 10),
		(char)('0' + m->status % 10) };
	char length[NUM_MAX];
	size_t n = 0;
	int rc;

	put_known(&v[n++], STR(":status"), str_of(status, 3), HERE);
	n += put_fields(v + n, &m->fields, HERE);
	if (m->length >= 0 && m->status >= 200 && m->status != 204 && (m->length > 0 || m->status != 304))
		put_known(&v[n++], STR("content-length"), str_of(length, (size_t)(num_put(length,
		    (uint64_t)m->length) - length)), HERE);
	rc = m->status >= 200 ? nghttp2_submit_response2(e->s->ng, e->id, v, n, body) :
	    nghttp2_submit_headers(e->s->ng, NGHTTP2_FLAG_NONE, e->id, NULL, v, n, NULL);
	return rc == 0 ? h2_pack_head(e->s, e->id) : WEIR_FAIL;
}

int
h2_put_trailers(struct h2_stream *e, const struct weir_fields *fs)
{
	nghttp2_nv stack[ON_STACK], *v = room_for(e, fs, stack);
	size_t n = put_fields(v, fs, 0);

	return nghttp2_submit_trailer(e->s->ng, e->id, v, n) == 0 ? WEIR_OK : WEIR_FAIL;
}
