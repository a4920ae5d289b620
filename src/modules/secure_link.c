/*
 * secure_link.c - $secure_link: was this link made by somebody who knows the secret, and is it still good?
 *
 * The hash is MD5, because what makes links must make the same.  Nobody can extend a link or find
 * another one for it without the secret, if the secret stands at the end of what is hashed.
 */
#include <openssl/evp.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/num.h"
#include "http/req/req.h"

#define MD5_LEN		16
#define LINK_MAX	24	/* base64 of a hash */

extern const struct weir_module secure_link_module;

struct secure_link_conf {
	struct weir_expr link, md5;
	struct weir_str	 secret;	/* empty: none */
};

struct found {			/* of a request */
	struct weir_str	 expires;
};

static unsigned index_;

/* ---- at work ---- */

static bool
make_md5(struct weir_sess *s, struct weir_str a, struct weir_str b, unsigned char to[MD5_LEN])
{
	static EVP_MD  *md5;
	EVP_MD_CTX     *c = EVP_MD_CTX_new();
	bool		ok;

	if (md5 == NULL)
		md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	ok = c != NULL && md5 != NULL && EVP_DigestInit_ex(c, md5, NULL) == 1 &&
	    EVP_DigestUpdate(c, a.p, a.n) == 1 && EVP_DigestUpdate(c, b.p, b.n) == 1 &&
	    EVP_DigestFinal_ex(c, to, NULL) == 1;
	EVP_MD_CTX_free(c);
	if (!ok)
		log_critx(&s->log, "OpenSSL has no MD5");
	return ok;
}

/* Takes the same time for any difference. */
static bool
same(const unsigned char *a, const unsigned char *b)
{
	volatile unsigned char	diff = 0;
	unsigned		i;

	for (i = 0; i < MD5_LEN; i++)
		diff |= a[i] ^ b[i];
	return diff == 0;
}

/* A time since 1970 that is not 0. */
static bool
read_expires(struct weir_str s, uint64_t *to)
{
	return num_u64(s, to) == WEIR_OK && *to > 0 && *to <= INT64_MAX;
}

static int
get_by_expr(struct weir_sess *s, const struct secure_link_conf *c, struct weir_str *to)
{
	struct weir_str	link = expr_eval(s, &c->link);
	ssize_t		comma = str_chr(link, ',');
	char		raw[BASE64_ROOM(LINK_MAX)];
	unsigned char	md5[MD5_LEN];
	uint64_t	expires = 0;

	if (comma >= 0) {
		struct weir_str when = str_from(link, (size_t)comma + 1);

		link.n = (size_t)comma;
		if (!read_expires(when, &expires))
			return WEIR_FAIL;
		((struct found *)sess_ctx_make(s, index_, sizeof(struct found)))->expires = when;
	}
	if (link.n > LINK_MAX || base64_read(raw, link, true) != MD5_LEN)
		return WEIR_FAIL;
	if (!make_md5(s, expr_eval(s, &c->md5), STR(""), md5) || !same((unsigned char *)raw, md5))
		return WEIR_FAIL;
	*to = expires != 0 && expires < weir_wall_ms / 1000 ? STR("0") : STR("1");
	return WEIR_OK;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)ascii_lower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
read_hex(struct weir_str s, unsigned char to[MD5_LEN])
{
	unsigned i;

	if (s.n != 2 * MD5_LEN)
		return false;
	for (i = 0; i < MD5_LEN; i++) {
		int hi = hex_value(s.p[2 * i]), lo = hex_value(s.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		to[i] = (unsigned char)(hi << 4 | lo);
	}
	return true;
}

/* "/prefix/hash/link": the hash is one of link and secret, and the value is the link. */
static int
get_by_secret(struct weir_sess *s, const struct secure_link_conf *c, struct weir_str *to)
{
	struct weir_str	rest = str_from(req_of(s)->msg->target, 1), hash;
	unsigned char	given[MD5_LEN], md5[MD5_LEN];
	ssize_t		slash = str_chr(rest, '/');

	if (slash < 0)
		return WEIR_FAIL;
	hash = rest = str_from(rest, (size_t)slash + 1);
	if ((slash = str_chr(rest, '/')) < 0)
		return WEIR_FAIL;
	hash.n = (size_t)slash;
	rest = str_from(rest, (size_t)slash + 1);
	if (rest.n == 0 || !read_hex(hash, given) || !make_md5(s, rest, c->secret, md5) ||
	    !same(given, md5))
		return WEIR_FAIL;
	*to = rest;
	return WEIR_OK;
}

static int
get_secure_link(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct secure_link_conf *c = REQ_CONF(req_of(s), secure_link_conf, secure_link_module);

	(void)data;
	if (c->secret.n != 0)
		return get_by_secret(s, c, to);
	if (!c->link.set || !c->md5.set)
		return WEIR_FAIL;
	return get_by_expr(s, c, to);
}

static int
get_expires(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct found *f = sess_ctx(s, index_);

	(void)data;
	if (f == NULL)
		return WEIR_FAIL;
	*to = f->expires;
	return WEIR_OK;
}

/* ---- configuration ---- */

/* What a block says of one kind ends what it would have inherited of the other; it cannot say both. */
static int
check_mix(struct weir_conf *cf, const struct weir_scope *scope, const struct weir_node *node,
    const char *other)
{
	if (!conf_set_here(scope, &secure_link_module, other))
		return WEIR_OK;
	return conf_error(cf, node, 0, "\"secure_link_secret\" cannot be mixed with \"secure_link\" and "
	    "\"secure_link_md5\"");
}

static int
set_link(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct secure_link_conf *c = conf;

	c->secret = STR_NONE;
	if (check_mix(cf, scope, node, "secure_link_secret") != WEIR_OK)
		return WEIR_FAIL;
	return expr_field(cf, node, 1, str_eq(node->w[0].s, STR("secure_link")) ? &c->link : &c->md5);
}

static int
set_secret(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct secure_link_conf *c = conf;

	if (node->w[1].s.n == 0)
		return conf_error(cf, node, 1, "the secret is empty");
	if (check_mix(cf, scope, node, "secure_link") != WEIR_OK ||
	    check_mix(cf, scope, node, "secure_link_md5") != WEIR_OK)
		return WEIR_FAIL;
	memset(&c->link, 0, sizeof(c->link));
	memset(&c->md5, 0, sizeof(c->md5));
	c->secret = node->w[1].s;
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "secure_link", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_link,
	  .args = "text",
	  .doc = "Where the hash of a link is found: MD5 in base64 for URLs; maybe followed by a comma and the second "
	  "since 1970 when the link ends.  May contain variables, as in $arg_md5,$arg_expires." },
	{ "secure_link_md5", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_link,
	  .args = "text",
	  .doc = "What the hash must be made of: all that the link is good for, and the secret, at the end.  May contain "
	  "variables." },
	{ "secure_link_secret", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_secret,
	  .args = "word",
	  .doc = "The older form: a path is /prefix/hash/link, and the hash, in hexadecimal digits, is that of the link with "
	  "this word behind it." },
	{ 0 }
};

static const struct weir_var vars[] = {
	{ .name = "secure_link", .get = get_secure_link,
	  .doc = "\"1\" for a good link, \"0\" for one whose time is over, empty for others.  With "
	  "secure_link_secret: the link, or empty." },
	{ .name = "secure_link_expires", .get = get_expires,
	  .doc = "When the link ends, as $secure_link has found it." },
	{ 0 }
};

const struct weir_module secure_link_module = {
	.name = "secure_link", .index = &index_, .conf_size = sizeof(struct secure_link_conf),
	.cmds = cmds, .vars = vars,
	.doc = "Was this link made by somebody who knows the secret, and is it still good?",
};
