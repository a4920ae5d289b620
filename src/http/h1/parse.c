/*
 * parse.c - heads of HTTP/1 requests and responses (RFC 9112, 2 to 4).
 *
 * The first line is taken apart here, fields.c reads the others and framing.c
 * says what they mean for the body.
 */
#include "http/h1/fields.h"
#include "http/msg/scan.h"

enum { METHOD_MAX = 64, VERSION_LEN = 8 };

static inline const char *
skip_empty_lines(const char *p, const char *end)
{
	for (;;) {
		if (p < end && *p == '\n')
			p++;
		else if (end - p >= 2 && p[0] == '\r' && p[1] == '\n')
			p += 2;
		else
			return p;
	}
}

/*
 * The end of the head.
 */

/* An empty line behind the LF at q?  Its length with that LF, 0: no, -1: too early to say. */
static inline int
empty_line(const char *q, const char *end)
{
	if (end - q < 2)
		return -1;
	if (q[1] == '\n')
		return 2;
	if (likely(q[1] != '\r'))
		return 0;
	return end - q < 3 ? -1 : q[2] == '\n' ? 3 : 0;
}

size_t
h1_head_end(const char *p, size_t n, size_t *scanned)
{
	const char	*end = p + n, *at = skip_empty_lines(p, end);
	int		 k;

	if (at < p + *scanned)
		at = p + *scanned;
#ifdef __SSE2__
	for (; end - at >= 16; at += 16) {
		unsigned lf = scan_mask(scan_eq(scan_load(at), '\n'));

		for (; lf != 0; lf &= lf - 1) {
			const char *q = at + __builtin_ctz(lf);

			if (likely((k = empty_line(q, end)) == 0))
				continue;
			*scanned = (size_t)(q - p);
			return k > 0 ? *scanned + (size_t)k : 0;
		}
	}
#endif
	while ((at = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL) != NULL) {
		if ((k = empty_line(at, end)) != 0) {
			*scanned = (size_t)(at - p);
			return k > 0 ? *scanned + (size_t)k : 0;
		}
		at++;
	}
	*scanned = n;
	return 0;
}

/*
 * The first line of a request.
 */

struct start {
	struct weir_str	 method, target, line;
	uint16_t	 version;
	bool		 lf;		/* it ended with a bare LF */
	const char	*next;
};

/* The line as far as it can be told, for the log. */
static struct weir_str
rough_line(const char *p, const char *end)
{
	const char *lf = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;

	if (lf == NULL)
		lf = end;
	else if (lf > p && lf[-1] == '\r')
		lf--;
	return str_of(p, (size_t)(lf - p));
}

/* "HTTP/" digit "." digit at p; what follows is not looked at. */
static inline int
read_version(const char *p, uint16_t *to)
{
	unsigned major, minor;

	if (memcmp(p, "HTTP/", 5) != 0 || !(ch(p[5]) & CH_DIGIT) || p[6] != '.' ||
	    !(ch(p[7]) & CH_DIGIT) || p[5] == '0')
		return 400;
	major = (unsigned)(p[5] - '0');
	minor = (unsigned)(p[7] - '0');
	/* A later minor version is understood as the latest that we know (RFC 9110, 2.5). */
	*to = (uint16_t)(major << 8 | WEIR_MIN(minor, 1));
	return major == 1 ? 0 : 505;
}

/* Sets next and lf; false when there is no line end at p. */
static inline bool
end_line(struct start *s, const char *p, const char *end)
{
	if (likely(end - p >= 2 && p[0] == '\r' && p[1] == '\n')) {
		s->lf = false;
		s->next = p + 2;
		return true;
	}
	s->lf = true;
	s->next = p + 1;
	return p < end && *p == '\n';
}

static inline const char *
skip_token(const char *p, const char *end)
{
	while (p < end && (ch(*p) & CH_TOKEN))
		p++;
	return p;
}

static struct h1_verdict
request_line(const char *p, const char *end, const struct h1_limits *limits, struct start *s)
{
	const char	*q = skip_token(p, end);
	int		 status;

	if (unlikely(q == p || q == end || *q != ' '))
		return h1_bad(400, "invalid method");
	if (unlikely(q - p > METHOD_MAX))
		return h1_bad(501, "method too long");
	s->method = str_of(p, (size_t)(q - p));

	s->target.p = q + 1;
	q = scan_target(q + 1, end);
	s->target.n = (size_t)(q - s->target.p);
	if (unlikely((size_t)(q - p) > limits->line))
		return h1_bad(414, "request line too long");
	if (unlikely(s->target.n == 0 || q == end || *q != ' ')) {
		if (s->target.n != 0 && q < end && (*q == '\r' || *q == '\n'))
			return h1_bad(400, "request without a version");
		return h1_bad(400, "invalid character in the target");
	}
	q++;
	if (unlikely(end - q <= VERSION_LEN || !end_line(s, q + VERSION_LEN, end)))
		return h1_bad(400, "invalid version");
	status = read_version(q, &s->version);
	if (unlikely(status != 0))
		return h1_bad(status, status == 505 ? "version not supported" : "invalid version");
	s->line = str_of(p, (size_t)(q + VERSION_LEN - p));
	if (unlikely(s->line.n > limits->line))
		return h1_bad(414, "request line too long");
	return h1_fine;
}

/* The first line has not come to its end. */
static struct h1_verdict
check_part(const char *p, const char *end, const struct h1_limits *limits)
{
	static const char	 http[] = "HTTP/";
	const char		*q = skip_token(p, end), *t;
	size_t			 n;

	if (q == p || (q < end && *q != ' '))
		return h1_bad(400, "invalid method");
	if (q - p > METHOD_MAX)
		return h1_bad(501, "method too long");
	if (q == end)
		return h1_fine;
	t = q + 1;
	q = scan_target(t, end);
	if ((size_t)(end - p) > limits->line)
		return h1_bad(414, "request line too long");
	if (q == end)
		return h1_fine;
	if (q == t || *q != ' ')
		return h1_bad(400, "invalid character in the target");
	q++;
	n = (size_t)(end - q);
	if (n > VERSION_LEN + 1 || memcmp(q, http, WEIR_MIN(n, sizeof(http) - 1)) != 0)
		return h1_bad(400, "invalid version");
	return h1_fine;
}

struct h1_verdict
h1_check_request_start(const char *p, size_t n, const struct h1_limits *limits)
{
	const char		*end = p + n, *lf;
	struct h1_verdict	 v;
	struct start		 s;

	p = skip_empty_lines(p, end);
	if (p < end && !(end - p == 1 && *p == '\r')) {
		lf = memchr(p, '\n', (size_t)(end - p));
		v = lf != NULL ? request_line(p, lf + 1, limits, &s) : check_part(p, end, limits);
		if (v.status != 0)
			return v;
		lf = memrchr(p, '\n', (size_t)(end - p));
		if (lf != NULL && (size_t)(end - lf - 1) > limits->line)
			return h1_bad(431, "field line too long");
	}
	return n > limits->total ? h1_bad(431, "head too long") : h1_fine;
}

/*
 * Forms of the target (RFC 9112, 3.2).
 */

/* The length of "http://" or "https://" in front, 0 when there is neither. */
static size_t
scheme_length(struct weir_str t)
{
	if (str_ibegins(t, STR("http://")))
		return 7;
	return str_ibegins(t, STR("https://")) ? 8 : 0;
}

static struct h1_verdict
absolute_form(struct weir_pool *pool, struct weir_msg *m)
{
	struct weir_str	 rest = m->target;
	size_t		 k = scheme_length(rest), n;
	char		*path;

	if (k == 0)
		return h1_bad(400, "invalid target");
	m->scheme = str_of(rest.p, k - 3);
	rest = str_from(rest, k);
	for (n = 0; n < rest.n && rest.p[n] != '/' && rest.p[n] != '?'; n++)
		;
	m->authority = str_of(rest.p, n);
	if (!host_valid(m->authority))
		return h1_bad(400, "invalid authority in the target");
	rest = str_from(rest, n);
	if (rest.n == 0) {
		m->target = m->method_id == M_OPTIONS ? STR("*") : STR("/");
	} else if (rest.p[0] == '/') {
		m->target = rest;
	} else {
		path = pool_bytes(pool, rest.n + 1);
		path[0] = '/';
		memcpy(path + 1, rest.p, rest.n);
		m->target = str_of(path, rest.n + 1);
	}
	m->flags |= MSG_ABSOLUTE;
	return h1_fine;
}

/* Host and port, both needed. */
static struct h1_verdict
authority_form(struct weir_pool *pool, struct weir_msg *m)
{
	struct weir_str host, port;

	if (!host_parse(pool, m->target, &host, &port) || port.n == 0)
		return h1_bad(400, "invalid target of CONNECT");
	m->authority = m->target;
	return h1_fine;
}

static struct h1_verdict
target_form(struct weir_pool *pool, struct weir_msg *m)
{
	if (unlikely(m->method_id == M_CONNECT))
		return authority_form(pool, m);
	if (likely(m->target.p[0] == '/'))
		return h1_fine;
	if (str_eq(m->target, STR("*")))
		return m->method_id == M_OPTIONS ? h1_fine : h1_bad(400, "invalid target");
	return absolute_form(pool, m);
}

/* One Host in 1.1, and a valid one wherever it is (RFC 9112, 3.2). */
static struct h1_verdict
check_host(struct weir_msg *m, const struct h1_seen *seen)
{
	struct weir_field *f;

	if (!(seen->once & SEEN_HOST))
		return m->version < 0x101 ? h1_fine : h1_bad(400, "no Host");
	f = fields_known(&m->fields, H_HOST);
	if (!host_valid(f->value))
		return h1_bad(400, "invalid Host");
	if (m->authority.p != NULL)
		f->value = m->authority;
	else
		m->authority = f->value;
	return h1_fine;
}

struct h1_verdict
h1_parse_request(struct weir_pool *pool, char *head, size_t n, const struct h1_limits *limits,
    struct weir_msg *m)
{
	const char		*end = head + n, *p = skip_empty_lines(head, end);
	struct start		 s = { .version = 0 };
	struct h1_reader	 r;
	struct h1_seen		 seen;
	struct h1_verdict	 v;

	memset(m, 0, sizeof(*m));
	m->size = (uint32_t)n;
	v = request_line(p, end, limits, &s);
	m->method = s.method;
	m->target = s.target;
	m->version = s.version;
	if (unlikely(v.status != 0)) {
		m->line = rough_line(p, end);
		return v;
	}
	m->line = s.line;
	m->method_id = method_of(s.method);
	if (unlikely(n > limits->total))
		return h1_bad(431, "head too long");

	v = target_form(pool, m);
	if (unlikely(v.status != 0))
		return v;
	r = (struct h1_reader){ pool, s.next, end, limits, s.lf, false };
	v = h1_fields(&r, &m->fields, &seen);
	if (likely(v.status == 0))
		v = h1_frame_request(m, &seen);
	if (likely(v.status == 0))
		v = check_host(m, &seen);
	if (unlikely(m->method_id == M_CONNECT) && v.status == 0 && m->length != 0)
		return h1_bad(400, "CONNECT with a body");	/* a tunnel begins right behind the head */
	return v;
}

/*
 * Responses.
 */

/* HTTP/1.x SP three digits, then SP and a reason if there is one. */
static struct h1_verdict
status_line(const char *p, const char *end, struct weir_msg *m, struct start *s)
{
	const char *q;

	if (end - p <= VERSION_LEN + 4 || p[VERSION_LEN] != ' ' || read_version(p, &m->version) != 0)
		return h1_bad(502, "invalid status line");
	q = p + VERSION_LEN + 1;
	if (!(ch(q[0]) & CH_DIGIT) || !(ch(q[1]) & CH_DIGIT) || !(ch(q[2]) & CH_DIGIT) || q[0] == '0')
		return h1_bad(502, "invalid status");
	m->status = (q[0] - '0') * 100 + (q[1] - '0') * 10 + (q[2] - '0');
	q += 3;
	if (*q == ' ') {
		m->reason.p = ++q;
		while (q < end && ((unsigned char)*q >= ' ' || *q == '\t') && *q != 0x7f)
			q++;
		m->reason.n = (size_t)(q - m->reason.p);
	}
	if (!end_line(s, q, end))
		return h1_bad(502, "invalid status line");
	m->line = str_of(p, (size_t)(q - p));
	return h1_fine;
}

struct h1_verdict
h1_parse_response(struct weir_pool *pool, char *head, size_t n, const struct h1_limits *limits,
    bool head_request, struct weir_msg *m)
{
	const char		*end = head + n;
	struct start		 s;
	struct h1_reader	 r;
	struct h1_seen		 seen;
	struct h1_verdict	 v;

	memset(m, 0, sizeof(*m));
	m->size = (uint32_t)n;
	if (n > limits->total)
		return h1_bad(502, "head too long");
	v = status_line(head, end, m, &s);
	if (unlikely(v.status != 0)) {
		m->line = rough_line(head, end);
		return v;
	}
	if (m->line.n > limits->line)
		return h1_bad(502, "status line too long");
	r = (struct h1_reader){ pool, s.next, end, limits, s.lf, true };
	v = h1_fields(&r, &m->fields, &seen);
	if (v.status == 0)
		v = h1_frame_response(m, &seen, head_request);
	if (v.status != 0)
		v.status = 502;
	return v;
}
