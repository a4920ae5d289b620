/*
 * write.c - HTTP/1 heads to text.
 *
 * The length is added up first, so that a head is written into one stretch of memory with plain
 * copies; only heads larger than a segment go piece by piece.
 */
#include "core/base/num.h"
#include "http/h1/write.h"

bool
h1_is_framing(const struct weir_field *f)
{
	switch (f->known) {
	case H_CONNECTION:
	case H_CONTENT_LENGTH:
	case H_KEEP_ALIVE:
	case H_TRANSFER_ENCODING:
		return true;
	default:
		return false;
	}
}

static char *
put(char *to, struct weir_str s)
{
	memcpy(to, s.p, s.n);
	return to + s.n;
}

static char *
put_field(char *to, const struct weir_field *f)
{
	to = put(to, f->name);
	*to++ = ':';
	*to++ = ' ';
	to = put(to, f->value);
	*to++ = '\r';
	*to++ = '\n';
	return to;
}

static size_t
fields_size(const struct weir_fields *fs)
{
	size_t n = 0;

	for (unsigned i = 0; i < fs->n; i++)
		n += fs->v[i].name.n + fs->v[i].value.n + 4;
	return n;
}

static void
put_slowly(struct weir_bufq *q, const struct weir_fields *fs)
{
	for (unsigned i = 0; i < fs->n; i++) {
		if (h1_is_framing(&fs->v[i]))
			continue;
		bufq_put_str(q, fs->v[i].name);
		bufq_put(q, ": ", 2);
		bufq_put_str(q, fs->v[i].value);
		bufq_put(q, "\r\n", 2);
	}
}

static void
put_head(struct weir_bufq *q, const struct weir_str *line, unsigned pieces,
    const struct weir_fields *fs, struct weir_str extra)
{
	size_t size = fields_size(fs) + extra.n + 2, room;
	char *p, *begin;

	for (unsigned i = 0; i < pieces; i++)
		size += line[i].n;
	if (unlikely(size > SEG_LARGE)) {
		for (unsigned i = 0; i < pieces; i++)
			bufq_put_str(q, line[i]);
		put_slowly(q, fs);
		bufq_put_str(q, extra);
		bufq_put(q, "\r\n", 2);
		return;
	}
	begin = p = size <= SEG_SMALL ? bufq_room_small(q, size, &room) : bufq_room(q, size, &room);
	for (unsigned i = 0; i < pieces; i++)
		p = put(p, line[i]);
	for (unsigned i = 0; i < fs->n; i++)
		if (!h1_is_framing(&fs->v[i]))
			p = put_field(p, &fs->v[i]);
	p = put(p, extra);
	*p++ = '\r';
	*p++ = '\n';
	bufq_added(q, (size_t)(p - begin));
}

void
h1_put_response(struct weir_bufq *q, const struct weir_msg *m, struct weir_str extra)
{
	char code[4] = {
		(char)('0' + m->status / 100 % 10), (char)('0' + m->status / 10 % 10),
		(char)('0' + m->status % 10), ' '
	};
	struct weir_str reason = m->reason.p != NULL ? m->reason : status_reason(m->status);
	struct weir_str line[] = { STR("HTTP/1.1 "), { code, 4 }, reason, STR("\r\n") };

	put_head(q, line, WEIR_COUNT(line), &m->fields, extra);
}

void
h1_put_request(struct weir_bufq *q, const struct weir_msg *m, struct weir_str extra)
{
	struct weir_str line[] = {
		m->method, STR(" "), m->target,
		m->version == 0x100 ? STR(" HTTP/1.0\r\n") : STR(" HTTP/1.1\r\n")
	};

	put_head(q, line, WEIR_COUNT(line), &m->fields, extra);
}

void
h1_put_last_chunk(struct weir_bufq *q, const struct weir_fields *trailers)
{
	bufq_put(q, "0\r\n", 3);
	if (trailers != NULL)
		put_slowly(q, trailers);
	bufq_put(q, "\r\n", 2);
}

void
h1_put_chunk_size(struct weir_bufq *q, uint64_t n)
{
	char text[NUM_MAX + 2], *end = num_put_hex(text, n);

	*end++ = '\r';
	*end++ = '\n';
	bufq_put(q, text, (size_t)(end - text));
}
