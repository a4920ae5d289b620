/*
 * respond.c - heads of responses, as nghttp2 wants them.
 *
 * It copies values and unknown names, and writes these in lower case.
 */
#include "core/base/num.h"
#include "http/h2/field.h"
#include "http/h2/server.h"

enum { ON_STACK = 40 };

/* What HTTP/2 has no place for (RFC 9113, 8.2.2); the length is said anew. */
static bool
is_left_out(const struct weir_field *f)
{
	switch (f->known) {
	case H_CONNECTION:
	case H_CONTENT_LENGTH:
	case H_KEEP_ALIVE:
	case H_PROXY_CONNECTION:
	case H_TRANSFER_ENCODING:
	case H_UPGRADE:
	case H_TE:
		return true;
	default:
		return false;
	}
}

/* Its name lasts, and is in lower case. */
static nghttp2_nv
known_pair(struct weir_str name, struct weir_str value)
{
	nghttp2_nv v = h2_pair(name, value);

	v.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME;
	return v;
}

static size_t
put_fields(nghttp2_nv *to, const struct weir_fields *fs)
{
	size_t n = 0;

	for (unsigned i = 0; i < fs->n; i++) {
		const struct weir_field *f = &fs->v[i];

		if (is_left_out(f))
			continue;
		to[n++] = f->known != H_UNKNOWN ? known_pair(name_lower(f->known), f->value) :
		    h2_pair(f->name, f->value);
	}
	return n;
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

	v[n++] = known_pair(STR(":status"), str_of(status, 3));
	n += put_fields(v + n, &m->fields);
	if (m->status < 200) {
		rc = nghttp2_submit_headers(e->s->ng, NGHTTP2_FLAG_NONE, e->id, NULL, v, n, NULL);
		return rc == 0 ? WEIR_OK : WEIR_FAIL;
	}
	if (m->length >= 0 && m->status != 204 && (m->length > 0 || m->status != 304))
		v[n++] = known_pair(STR("content-length"), str_of(length, (size_t)(num_put(length,
		    (uint64_t)m->length) - length)));
	rc = nghttp2_submit_response2(e->s->ng, e->id, v, n, body);
	return rc == 0 ? WEIR_OK : WEIR_FAIL;
}

int
h2_put_trailers(struct h2_stream *e, const struct weir_fields *fs)
{
	nghttp2_nv stack[ON_STACK], *v = room_for(e, fs, stack);
	size_t n = put_fields(v, fs);

	return nghttp2_submit_trailer(e->s->ng, e->id, v, n) == 0 ? WEIR_OK : WEIR_FAIL;
}
