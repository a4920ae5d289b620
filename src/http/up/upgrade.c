/*
 * upgrade.c - has the upstream agreed to what was asked?
 */
#include <openssl/evp.h>

#include "core/base/base64.h"
#include "http/up/up.h"

enum { SHA1_LEN = 20, KEY_MAX = 64 };

/* RFC 6455, 4.2.2 */
static bool
is_answer(struct weir_str accept, struct weir_str key)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[KEY_MAX + sizeof guid], want[BASE64_PUT_ROOM(SHA1_LEN)];
	unsigned char sum[SHA1_LEN];

	if (key.n > KEY_MAX)
		return false;
	if (key.n != 0)
		memcpy(text, key.p, key.n);
	memcpy(text + key.n, guid, sizeof guid - 1);
	if (EVP_Digest(text, key.n + sizeof guid - 1, sum, NULL, EVP_sha1(), NULL) != 1)
		return false;
	base64_put(want, str_of((char *)sum, sizeof sum));
	return str_eq(accept, str_of(want, sizeof want));
}

/*
 * A client of HTTP/1 checks the answer to the key that it has sent.  Where it was a codec that made the key nobody else can.
 */
bool
up_upgrade_ok(const struct weir_up *u)
{
	static const struct weir_str key_name = { "sec-websocket-key", 17 }, accept_name = { "sec-websocket-accept", 20 };
	const struct weir_field *key, *accept;

	if (!(u->r->msg->flags & MSG_EXTENDED) || !str_ieq(u->r->msg->protocol, STR("websocket")))
		return true;
	key = fields_find(&u->head.fields, key_name, NULL);
	accept = fields_find(&u->x->msg.fields, accept_name, NULL);
	return key != NULL && accept != NULL && is_answer(accept->value, key->value);
}
