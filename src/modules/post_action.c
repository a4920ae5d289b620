/*
 * post_action.c - somebody else hears of a request when it has ended.
 *
 * As nginx does it, the request goes on in another place, without a client; what became of it there is what the access
 * log tells.  Unlike nginx, the connection of the client does not wait.
 */
#include "core/base/clock.h"
#include "http/req/sub.h"

struct post_conf {
	struct weir_str	to;		/* "off": nowhere */
};

static unsigned index_;
extern const struct weir_module post_action_module;

static enum weir_next
on_log(struct weir_sess *s)
{
	static uint64_t		 told_ms;
	struct weir_req		*r = req_of(s);
	const struct post_conf	*c = REQ_CONF(r, post_conf, post_action_module);
	struct weir_sub_opts	 o;

	if (c->to.n == 0 || r->parent != NULL || r->server == NULL || str_eq(c->to, STR("off")))
		return WEIR_NEXT;
	o = (struct weir_sub_opts){ .uri = c->to, .background = true, .instead = true, .keep = SUB_DROP };
	/* A body that nobody kept is gone. */
	o.clone = !req_has_body(r) || (r->req_body != NULL && r->req_body->complete);
	if (sub_start(r, &o) != NULL)
		return WEIR_DONE;
	if (told_ms == 0 || weir_now_ms - told_ms >= 60000) {
		told_ms = weir_now_ms;
		log_errorx(&r->s.log, "there is no \"%.*s\", or %d requests in the background are under way: "
		    "post_action does nothing", STR_ARG(c->to), SUB_BACKGROUND_MAX);
	}
	return WEIR_NEXT;
}

static int
check_to(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_str to = ((struct post_conf *)conf)->to;

	(void)scope;
	if (to.n > 1 && (to.p[0] == '/' || to.p[0] == '@'))
		return WEIR_OK;
	if (str_eq(to, STR("/")) || str_eq(to, STR("off")))
		return WEIR_OK;
	return conf_error(cf, node, 1, "\"%.*s\" is no URI, @name or \"off\"", STR_ARG(to));
}

static const struct weir_cmd cmds[] = {
	{ "post_action", IN_HTTP_ANY | IN_IF, CONF_STR, CONF_AT(post_conf, to), .set = check_to,
	  .args = "uri | @name | off",
	  .doc = "When a request has ended, ask this place too, and throw its answer away.  The request has its method, "
	  "fields and variables there, among them $request_completion and $body_bytes_sent, and its body if that was "
	  "kept as a whole; else it is a GET.  The access log tells of the request only then, as it is in that place." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return ((const struct post_conf *)conf)->to.n == 0;
}

static const struct weir_hook hooks[] = { { ON_LOG, on_log, idle }, { 0 } };

const struct weir_module post_action_module = {
	.name = "post_action", .index = &index_, .conf_size = sizeof(struct post_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Somebody else hears of a request when it has ended.",
};
