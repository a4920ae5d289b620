/*
 * ocsp_http.c - the texts of asking an OCSP responder.
 *
 * It is asked in HTTP/1.0, so its answer has a length or ends with the connection, and never comes in chunks.
 */
#include "core/base/num.h"
#include "core/tls/ocsp_http.h"

enum { HTTP_PORT = 80 };

/* ---- where ---- */

static bool
is_name(struct weir_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = ascii_lower((unsigned char)s.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '-' && c != '_')
			return false;
	}
	return s.n != 0 && s.n <= OCSP_HOST_MAX;
}

static bool
is_path(struct weir_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f || s.p[i] == '#')
			return false;
	return true;
}

/* NULL, or what is wrong. */
static const char *
parse_authority(struct weir_str s, struct weir_ocsp_url *u)
{
	bool bracket = s.n != 0 && s.p[0] == '[';
	ssize_t end = bracket ? str_chr(s, ']') : str_chr(s, ':');
	struct weir_str after;
	uint64_t port;

	if (bracket && end < 0)
		return "invalid host";
	u->authority = s;
	u->host = bracket ? str_of(s.p + 1, (size_t)end - 1) : str_of(s.p, end < 0 ? s.n : (size_t)end);
	after = str_from(s, bracket ? (size_t)end + 1 : u->host.n);
	if (u->host.n == 0)
		return "no host";
	u->port = HTTP_PORT;
	if (after.n != 0) {
		if (after.p[0] != ':' || num_u64(str_from(after, 1), &port) != WEIR_OK || port == 0 || port > 65535)
			return "invalid port";
		u->port = (unsigned)port;
	}
	memset(&u->addr, 0, sizeof u->addr);
	if (addr_parse_ip(u->host, &u->addr) == WEIR_OK && (bracket || u->addr.sa.sa_family == AF_INET)) {
		addr_set_port(&u->addr, u->port);
		return NULL;
	}
	u->addr.sa.sa_family = AF_UNSPEC;
	return !bracket && is_name(u->host) ? NULL : "invalid host";
}

int
ocsp_url_parse(struct weir_str s, struct weir_ocsp_url *u, const char **why)
{
	ssize_t slash;

	*why = "invalid URL prefix";
	if (!str_ibegins(s, STR("http://")))
		return WEIR_FAIL;
	*why = "too long a URL";
	if (s.n > OCSP_URL_MAX)
		return WEIR_FAIL;
	s = str_from(s, strlen("http://"));
	slash = str_chr(s, '/');
	u->path = slash >= 0 ? str_from(s, (size_t)slash) : STR("/");
	*why = parse_authority(str_of(s.p, slash >= 0 ? (size_t)slash : s.n), u);
	if (*why == NULL && !is_path(u->path))
		*why = "invalid path";
	return *why == NULL ? WEIR_OK : WEIR_FAIL;
}

/* ---- the question ---- */

/* Base64, of which "+", "/" and "=" are escaped. */
static size_t
put_escaped(char *to, struct weir_str der)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const unsigned char *in = (const unsigned char *)der.p;
	size_t n = 0;

	for (size_t i = 0; i < der.n; i += 3) {
		size_t have = WEIR_MIN(der.n - i, (size_t)3);
		unsigned v = (unsigned)in[i] << 16 | (have > 1 ? (unsigned)in[i + 1] << 8 : 0) | (have > 2 ? in[i + 2] : 0u);

		for (unsigned k = 0; k < 4; k++) {
			unsigned d = v >> (18 - 6 * k) & 63;
			const char *special = k > have ? "%3D" : d == 62 ? "%2B" : d == 63 ? "%2F" : NULL;

			if (special == NULL) {
				to[n++] = digits[d];
				continue;
			}
			memcpy(to + n, special, 3);
			n += 3;
		}
	}
	return n;
}

struct weir_str
ocsp_request(struct weir_pool *pool, const struct weir_ocsp_url *u, struct weir_str der)
{
	char *text = pool_bytes(pool, der.n * 4 + 12);
	size_t n = put_escaped(text, der);

	return pool_printf(pool, "GET %.*s%s%.*s HTTP/1.0\r\nHost: %.*s\r\n\r\n", STR_ARG(u->path),
	    str_ends(u->path, STR("/")) ? "" : "/", (int)n, text, STR_ARG(u->authority));
}

/* ---- the answer ---- */

struct head {
	uint64_t length;
	bool	 has_length;
};

/* A line of `*rest` without its end, which may lack the CR; false: there is no whole one. */
static bool
next_line(struct weir_str *rest, struct weir_str *line)
{
	ssize_t end = str_chr(*rest, '\n');

	if (end < 0)
		return false;
	*line = str_of(rest->p, (size_t)end);
	*rest = str_from(*rest, (size_t)end + 1);
	if (line->n != 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

/* The status; 0: this is no status line. */
static unsigned
status_of(struct weir_str line)
{
	uint64_t status;

	if (!str_begins(line, STR("HTTP/1.")) || line.n < strlen("HTTP/1.0 200") || line.p[8] != ' ' ||
	    line.p[7] < '0' || line.p[7] > '9' || num_u64(str_of(line.p + 9, 3), &status) != WEIR_OK ||
	    (line.n > 12 && line.p[12] != ' '))
		return 0;
	return (unsigned)status;
}

static const char *
take_field(struct weir_str line, struct head *h)
{
	ssize_t colon = str_chr(line, ':');
	struct weir_str name, value;
	uint64_t n;

	if (colon <= 0)
		return "the responder sent an invalid header";
	name = str_of(line.p, (size_t)colon);
	value = str_trim(str_from(line, (size_t)colon + 1));
	if (str_ieq(name, STR("Transfer-Encoding")))
		return "the responder sent its answer in chunks";
	if (str_ieq(name, STR("Content-Type"))) {
		ssize_t more = str_chr(value, ';');

		if (!str_ieq(str_trim(str_of(value.p, more >= 0 ? (size_t)more : value.n)),
		    STR("application/ocsp-response")))
			return "the responder sent an invalid Content-Type";
	}
	if (!str_ieq(name, STR("Content-Length")))
		return NULL;
	if (num_u64(value, &n) != WEIR_OK || (h->has_length && h->length != n))
		return "the responder sent an invalid Content-Length";
	h->length = n;
	h->has_length = true;
	return n <= OCSP_REPLY_MAX ? NULL : "the responder's answer is too long";
}

/* WEIR_OK: `*rest` is what comes behind the head. */
static int
parse_head(struct weir_str *rest, struct head *h, const char **why)
{
	struct weir_str line;

	if (!next_line(rest, &line))
		return WEIR_AGAIN;
	*why = "the responder sent an invalid response";
	switch (status_of(line)) {
	case 200:
		break;
	case 0:
		return WEIR_FAIL;
	default:
		*why = "the responder sent a status other than 200";
		return WEIR_FAIL;
	}
	while (next_line(rest, &line)) {
		if (line.n == 0)
			return WEIR_OK;
		*why = take_field(line, h);
		if (*why != NULL)
			return WEIR_FAIL;
	}
	return WEIR_AGAIN;
}

int
ocsp_reply_parse(struct weir_str text, bool eof, struct weir_str *body, const char **why)
{
	struct head h = { .length = 0 };
	struct weir_str rest = text;
	int rc = parse_head(&rest, &h, why);

	if (rc == WEIR_FAIL)
		return WEIR_FAIL;
	if (rc == WEIR_OK && (h.has_length ? rest.n >= h.length : eof)) {
		*body = str_of(rest.p, h.has_length ? (size_t)h.length : rest.n);
		*why = "the responder sent nothing";
		return body->n != 0 ? WEIR_OK : WEIR_FAIL;
	}
	*why = "the responder's answer is too long";
	if (text.n >= OCSP_REPLY_MAX)
		return WEIR_FAIL;
	*why = "the responder prematurely closed connection";
	return eof ? WEIR_FAIL : WEIR_AGAIN;
}
