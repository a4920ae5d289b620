/*
 * health_grpc.c - messages of grpc.health.v1 (the gRPC health checking protocol).
 *
 *	message HealthCheckRequest { string service = 1; }
 *	message HealthCheckResponse { ServingStatus status = 1; }
 *
 * Before a message stand a byte, 0 unless it is compressed, and its length in four.
 */
#include "http/up/health.h"

enum { PREFIX = 5, SERVICE_MAX = 1000, VARINT_MAX = 10, TAG_STATUS = 1 << 3 };

struct weir_str
grpc_health_request(struct weir_pool *pool, struct weir_str service)
{
	size_t n = WEIR_MIN(service.n, (size_t)SERVICE_MAX), head = n == 0 ? 0 : n < 128 ? 2 : 3;
	char *to = pool_bytes(pool, PREFIX + head + n), *p = to;

	*p++ = 0;
	*p++ = 0;
	*p++ = 0;
	*p++ = (char)((head + n) >> 8);
	*p++ = (char)((head + n) & 0xff);
	if (n != 0) {
		*p++ = 1 << 3 | 2;
		if (n >= 128)
			*p++ = (char)((n & 0x7f) | 0x80);
		*p++ = (char)(n < 128 ? n : n >> 7);
		memcpy(p, service.p, n);
	}
	return str_of(to, PREFIX + head + n);
}

/* A number of the wire; false: it is cut short, or too long. */
static bool
take_varint(struct weir_str *s, uint64_t *to)
{
	*to = 0;
	for (unsigned i = 0; i < VARINT_MAX && i < s->n; i++) {
		uint64_t byte = (unsigned char)s->p[i];

		*to |= (byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		*s = str_from(*s, i + 1);
		return true;
	}
	return false;
}

/* Over a field that is none of ours. */
static bool
pass_over(struct weir_str *s, unsigned type)
{
	uint64_t n;

	switch (type) {
	case 0:
		return take_varint(s, &n);
	case 1:
		n = 8;
		break;
	case 2:
		if (!take_varint(s, &n))
			return false;
		break;
	case 5:
		n = 4;
		break;
	default:
		return false;
	}
	if (n > s->n)
		return false;
	*s = str_from(*s, (size_t)n);
	return true;
}

int
grpc_health_status(struct weir_str body)
{
	const unsigned char *b = (const unsigned char *)body.p;
	uint64_t tag, value, status = 0;

	if (body.n < PREFIX || b[0] != 0)
		return -1;
	if (((uint32_t)b[1] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 8 | b[4]) != body.n - PREFIX)
		return -1;
	body = str_from(body, PREFIX);
	while (body.n != 0) {
		if (!take_varint(&body, &tag))
			return -1;
		if (tag != TAG_STATUS) {
			if (!pass_over(&body, tag & 7))
				return -1;
			continue;
		}
		if (!take_varint(&body, &value))
			return -1;
		status = value;
	}
	return status > 1000 ? -1 : (int)status;
}
