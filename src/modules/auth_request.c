/*
 * auth_request.c - who may come in is asked of somebody else, by a sub-request.
 *
 * 2xx lets in, 401 and 403 turn away, and anything else, a timeout included, is a 500: when nobody
 * could be asked, nobody comes in.
 */
#include "http/req/sub.h"

struct set {				/* one auth_request_set */
	unsigned		 var;
	const struct weir_var	*builtin;	/* of its name, when that has a way to set it */
	struct weir_expr	 value;
};

struct sets {
	struct set	*v;
	unsigned	 n, room;
};

struct auth_conf {
	struct weir_str	uri, args;	/* uri empty: off */
	struct sets	sets;
};

struct asked {				/* of a request */
	struct weir_sub	*sub;
	bool		 answered;
};

static unsigned index_;
extern const struct weir_module auth_request_module;

static void
set_variables(struct weir_req *r, struct weir_sub *sub)
{
	const struct sets *sets = &REQ_CONF(r, auth_conf, auth_request_module)->sets;

	for (unsigned i = 0; i < sets->n; i++) {
		const struct set *set = &sets->v[i];
		struct weir_str value = expr_eval(&sub->r->s, &set->value);

		if (set->builtin != NULL)
			(void)set->builtin->set(&r->s, value, set->builtin->data);
		else
			var_set(&r->s, set->var, value);
	}
}

static void
on_head(struct weir_sub *sub)
{
	struct weir_req *r = sub->arg;
	struct asked *a = sess_ctx_make(&r->s, index_, sizeof *a);

	a->answered = true;
	set_variables(r, sub);
	weir_resume(&r->s);
}

static enum weir_next
ask(struct weir_req *r, const struct auth_conf *c)
{
	struct asked *a = sess_ctx_make(&r->s, index_, sizeof *a);

	req_doing(r, "asking for authorization");
	a->sub = sub_start(r, &(struct weir_sub_opts){ .uri = c->uri, .args = c->args,
	    .keep = SUB_DROP, .on_head = on_head, .arg = r });
	return WEIR_WAIT;
}

/* How to authenticate was said to us; the client has to know. */
static void
pass_challenges(struct weir_req *r, const struct weir_fields *from)
{
	for (unsigned i = 0; i < from->n; i++)
		if (from->v[i].known == H_WWW_AUTHENTICATE)
			fields_add(&r->rsp.fields, r->s.pool, from->v[i].name, from->v[i].value);
}

static enum weir_next
judge(struct weir_req *r, const struct weir_sub *sub)
{
	if (sub->status >= 200 && sub->status < 300)
		return WEIR_PASS;
	if (sub->status == 403)
		return weir_refuse(&r->s, 403);
	if (sub->status == 401) {
		pass_challenges(r, &sub->r->rsp.fields);
		return weir_refuse(&r->s, 401);
	}
	log_errorx(&r->s.log, "auth request unexpected status: %d", sub->status);
	return req_error(r, 500);
}

static enum weir_next
on_access(struct weir_sess *s)
{
	struct weir_req *r = req_of(s);
	const struct auth_conf *c = REQ_CONF(r, auth_conf, auth_request_module);
	struct asked *a;

	if (c->uri.n == 0)
		return WEIR_NEXT;
	a = sess_ctx(s, index_);
	if (a == NULL)
		return ask(r, c);
	return a->answered ? judge(r, a->sub) : WEIR_WAIT;
}

static int
set_request(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct auth_conf *c = conf;
	struct weir_str uri = node->w[1].s;
	ssize_t q = str_chr(uri, '?');

	(void)scope;
	c->uri = c->args = STR_NONE;
	if (str_eq(uri, STR("off")))
		return WEIR_OK;
	if (uri.n == 0 || uri.p[0] != '/')
		return conf_error(cf, node, 1, "\"%.*s\" is no URI: it begins with a slash", STR_ARG(uri));
	c->uri = q < 0 ? uri : str_of(uri.p, (size_t)q);
	if (q >= 0)
		c->args = str_from(uri, (size_t)q + 1);
	return WEIR_OK;
}

static int
get_unset(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)s, (void)data;
	*to = STR_NONE;
	return WEIR_FAIL;
}

static int
set_set(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct auth_conf *c = conf;
	struct weir_var def = { .get = get_unset, .flags = VAR_WEAK };
	struct weir_str name = node->w[1].s;
	struct set set = { .var = 0 };

	(void)scope;
	if (name.n < 2 || name.p[0] != '$')
		return conf_error(cf, node, 1, "invalid variable name \"%.*s\"", STR_ARG(name));
	name = str_from(name, 1);
	if (vars_define(vars_now, name, &def, &set.var) != WEIR_OK)
		return conf_error(cf, node, 1, "the duplicate \"%.*s\" variable: it is built in and "
		    "cannot be set", STR_ARG(name));
	set.builtin = vars_builtin(vars_now, name);
	if (set.builtin != NULL && set.builtin->set == NULL)
		set.builtin = NULL;
	if (expr_compile(cf, node, 2, node->w[2].s, &set.value) != WEIR_OK)
		return WEIR_FAIL;
	*POOL_PUSH(cf->pool, &c->sets) = set;
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "auth_request", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_request,
	  .args = "uri | off",
	  .doc = "Let in whom a sub-request to this URI answers with 2xx.  401 and 403 are passed on, "
	  "401 with its WWW-Authenticate; any other answer, and none, is a 500.  The sub-request is a GET with the "
	  "client's fields and no body." },
	{ "auth_request_set", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(auth_conf, sets), .args_min = 2, .args_max = 2,
	  .set = set_set, .flags = CONF_MULTI, .args = "$variable value",
	  .doc = "Set a variable when the sub-request was answered; its value may come from that answer "
	  "($upstream_http_...)." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return ((const struct auth_conf *)conf)->uri.n == 0;
}

static const struct weir_hook hooks[] = { { ON_ACCESS, on_access, idle }, { 0 } };

const struct weir_module auth_request_module = {
	.name = "auth_request", .index = &index_, .conf_size = sizeof(struct auth_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Who may come in is asked of somebody else.",
};
