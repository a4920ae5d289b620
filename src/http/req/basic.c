/*
 * basic.c - the name and the password of a request: Basic authentication (RFC 7617).
 */
#include "core/base/base64.h"
#include "http/req/basic.h"

int
basic_read(struct weir_str value, char *room, struct weir_str *user, struct weir_str *pass)
{
	struct weir_str text;
	ssize_t		n, colon;

	if (!str_ibegins(value, STR("Basic ")))
		return WEIR_FAIL;
	if ((n = base64_read(room, str_trim(str_from(value, 6)), false)) <= 0)
		return WEIR_FAIL;
	text = str_of(room, (size_t)n);
	if ((colon = str_chr(text, ':')) <= 0)
		return WEIR_FAIL;
	*user = str_of(text.p, (size_t)colon);
	*pass = str_from(text, (size_t)colon + 1);
	return WEIR_OK;
}

int
req_basic(struct weir_req *r, struct weir_str *user, struct weir_str *pass)
{
	/* at a proxy that a client knows of it is the other field (RFC 9110, 11.7.1) */
	struct weir_str value = fields_value(&r->msg->fields,
	    r->method_id == M_CONNECT ? H_PROXY_AUTHORIZATION : H_AUTHORIZATION);

	if (value.n == 0)
		return WEIR_FAIL;
	return basic_read(value, pool_bytes(r->s.pool, BASE64_ROOM(value.n)), user, pass);
}
