/*
 * security_headers.c - fields that tell browsers what a site does not want.
 *
 * What is there already (from add_header, or an upstream) is left alone unless `replace' is said.
 */
#include "core/tls/tls.h"
#include "http/req/req.h"

enum profile { PROFILE_OFF, PROFILE_BASIC, PROFILE_STRICT };

static const struct known {
	const char	*name, *value;
	enum profile	 from;		/* the least that has it */
	bool		 tls;		/* means nothing without (RFC 6797, 7.2) */
} known[] = {
	{ "X-Content-Type-Options",	"nosniff", PROFILE_BASIC, false },
	{ "Referrer-Policy",		"strict-origin-when-cross-origin", PROFILE_BASIC, false },
	{ "Strict-Transport-Security",	"max-age=63072000; includeSubDomains", PROFILE_STRICT, true },
	{ "X-Frame-Options",		"DENY", PROFILE_STRICT, false },
	{ "Permissions-Policy",		"camera=(), microphone=(), geolocation=(), interest-cohort=(), fullscreen=(self), "
					"payment=()", PROFILE_STRICT, false },
	{ "Cross-Origin-Opener-Policy",	"same-origin", PROFILE_STRICT, false },
	{ "Cross-Origin-Embedder-Policy", "require-corp", PROFILE_STRICT, false },
	{ "Cross-Origin-Resource-Policy", "same-origin", PROFILE_STRICT, false },
	{ "X-Permitted-Cross-Domain-Policies", "none", PROFILE_STRICT, false },
	{ "X-Download-Options",		"noopen", PROFILE_STRICT, false },
	{ "X-DNS-Prefetch-Control",	"off", PROFILE_STRICT, false },
};

struct security_conf {
	int		 profile;
	bool		 replace;
	struct weir_expr v[WEIR_COUNT(known)];	/* not set: the response has no such field */
};

static unsigned index_;
extern const struct weir_module security_headers_module;

static void
add(struct weir_req *r, const struct known *k, const struct weir_expr *e, bool replace)
{
	struct weir_fields *fs = &r->rsp.fields;
	struct weir_str name = str_c(k->name), value;

	if (fields_find(fs, name, NULL) != NULL) {
		if (!replace)
			return;
		fields_remove(fs, name);
	}
	value = expr_eval(&r->s, e);
	(void)fit_field_value(r->s.pool, &value);
	if (value.n != 0)
		req_add(r, k->name, value);
}

static enum weir_next
on_response(struct weir_sess *s)
{
	struct weir_req *r = req_of(s);
	const struct security_conf *c = REQ_CONF(r, security_conf, security_headers_module);

	if (c->profile == PROFILE_OFF || r->parent != NULL)
		return WEIR_NEXT;
	for (unsigned i = 0; i < WEIR_COUNT(known); i++)
		if (c->v[i].set && (!known[i].tls || conn_is_tls(s->conn)))
			add(r, &known[i], &c->v[i], c->replace);
	return WEIR_NEXT;
}

static bool
idle(const void *conf)
{
	return ((const struct security_conf *)conf)->profile == PROFILE_OFF;
}

static const struct weir_hook hooks[] = { { ON_RESPONSE, on_response, idle }, { 0 } };

/* Field=value, or Field=off */
static int
read_field(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct security_conf *c)
{
	struct weir_str s = node->w[w].s;
	ssize_t at = str_chr(s, '=');
	struct weir_str name = at > 0 ? str_of(s.p, (size_t)at) : s, value = STR_NONE;
	const char *names[WEIR_COUNT(known)], *near;
	unsigned i = 0;

	while (i < WEIR_COUNT(known) && !str_ieq(name, str_c(known[i].name)))
		i++;
	if (at <= 0 || i == WEIR_COUNT(known)) {
		for (i = 0; i < WEIR_COUNT(known); i++)
			names[i] = known[i].name;
		near = conf_nearest(name, names, WEIR_COUNT(known));
		return conf_error(cf, node, w, "it is replace=always, replace=never, or Field=value%s%s%s; for other fields there "
		    "is add_header", near != NULL ? ", did you mean \"" : "", near != NULL ? near : "",
		    near != NULL ? "\"" : "");
	}
	value = str_from(s, (size_t)at + 1);
	c->v[i] = (struct weir_expr){ 0 };
	if (str_eq(value, STR("off")) && !str_ieq(name, STR("X-DNS-Prefetch-Control")))
		return WEIR_OK;
	if (value.n == 0)
		return conf_error(cf, node, w, "it has no value; Field=off leaves a field out");
	if (expr_compile(cf, node, w, value, &c->v[i]) != WEIR_OK)
		return WEIR_FAIL;
	c->v[i].set = true;
	if (expr_is_const(&c->v[i]) && !is_field_value(value))
		return conf_error(cf, node, w, "a field cannot hold line ends or NUL");
	return WEIR_OK;
}

/* off | basic | strict [replace=always | replace=never] [Field=value ...] */
static int
set_headers(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	static const struct weir_choice words[] = {
		{ "off", PROFILE_OFF }, { "basic", PROFILE_BASIC }, { "strict", PROFILE_STRICT }, { NULL, 0 }
	};
	struct security_conf *c = conf;
	unsigned i = 0;

	(void)scope;
	memset(c, 0, sizeof *c);
	while (words[i].name != NULL && !str_eq(node->w[1].s, str_c(words[i].name)))
		i++;
	if (words[i].name == NULL)
		return conf_error(cf, node, 1, "invalid value \"%.*s\": it is off, basic or strict",
		    STR_ARG(node->w[1].s));
	c->profile = (int)words[i].value;
	for (i = 0; i < WEIR_COUNT(known); i++)
		if (c->profile != PROFILE_OFF && (int)known[i].from <= c->profile)
			c->v[i] = (struct weir_expr){ .source = str_c(known[i].value), .set = true };
	for (unsigned w = 2; w < node->n; w++) {
		c->replace |= str_eq(node->w[w].s, STR("replace=always"));
		if (!str_eq(node->w[w].s, STR("replace=always")) && !str_eq(node->w[w].s, STR("replace=never")) &&
		    read_field(cf, node, w, c) != WEIR_OK)
			return WEIR_FAIL;
	}
	if (c->profile == PROFILE_OFF && node->n > 2)
		return conf_error(cf, node, 2, "nothing can stand behind off");
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "security_headers", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_headers,
	  .args = "off | basic | strict [replace=always | replace=never] [Field=value ...]",
	  .doc = "Adds fields for the safety of browsers to all responses.  basic: X-Content-Type-Options (nosniff) and "
	  "Referrer-Policy (strict-origin-when-cross-origin).  strict: also Strict-Transport-Security (max-age=63072000; "
	  "includeSubDomains), over TLS only; X-Frame-Options (DENY), Permissions-Policy, Cross-Origin-Opener-Policy and "
	  "Cross-Origin-Resource-Policy (same-origin), Cross-Origin-Embedder-Policy (require-corp), "
	  "X-Permitted-Cross-Domain-Policies (none), X-Download-Options (noopen), X-DNS-Prefetch-Control (off).  Each of "
	  "these can be given a value of its own, with variables; with the value off a field is left out.  A field that a "
	  "response has already is kept, whoever put it there, unless replace=always is said.  off unless said otherwise." },
	{ 0 }
};

const struct weir_module security_headers_module = {
	.name = "security_headers", .index = &index_, .conf_size = sizeof(struct security_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Fields for the safety of browsers.",
};
