/*
 * access.c - allow and deny: by the client's address, the first rule that fits decides, and finding it costs
 * the same for one rule and for thousands.
 */
#include "core/net/netset.h"
#include "core/sess/sess.h"

extern const struct weir_module access_module;

struct access_conf {
	struct rules {
		struct weir_netset	nets;	/* ids: 2 * the rule's number, + 1 for deny */
		uint32_t		n;
	}			 rules;
};

static unsigned module_index;

static enum weir_next
on_access(struct weir_sess *s)
{
	const struct rules	*rules = &((const struct access_conf *)SESS_CONF(s, module_index))->rules;
	uint32_t		 id;

	if (rules->n == 0 || (id = netset_find(&rules->nets, s->peer)) == NETSET_NONE)
		return WEIR_NEXT;
	if (id % 2 == 0)
		return WEIR_PASS;
	log_errorx(&s->log, "access forbidden by rule");
	return weir_refuse(s, 403);
}

static int
set_rule(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct rules		*rules = &((struct access_conf *)conf)->rules;
	struct weir_str		 word = node->w[1].s;
	uint32_t		 id = 2 * rules->n++ + str_eq(node->w[0].s, STR("deny"));
	struct weir_cidr	 net;
	bool			 low = false;

	(void)scope;
	if (str_eq(word, STR("all")))
		netset_add_all(cf->pool, &rules->nets, id);
	else if (str_eq(word, STR("unix:")))
		netset_add_unix(&rules->nets, id);
	else if (cidr_parse(word, &net, &low) == WEIR_OK)
		netset_add(cf->pool, &rules->nets, &net, id);
	else
		return conf_error(cf, node, 1, "invalid parameter \"%.*s\": it is an address, a range "
		    "of them, \"unix:\" or \"all\"", STR_ARG(word));
	if (low)
		conf_warn(cf, node, 1, "low address bits of %.*s are meaningless", STR_ARG(word));
	return WEIR_OK;
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	(void)scope;
	netset_freeze(cf->pool, &((struct access_conf *)conf)->rules.nets);
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "allow", IN_HTTP_ANY | IN_LIMIT | IN_STREAM_ANY, CONF_CUSTOM, CONF_AT(access_conf, rules), .args_min = 1,
	  .args_max = 1, .set = set_rule, .flags = CONF_MULTI, .args = "address | CIDR | unix: | all",
	  .doc = "Let clients with such addresses in.  Of allow and deny, the first that fits decides; who "
	  "fits none is let in.  A block with rules of its own has none of the blocks around it." },
	{ "deny", IN_HTTP_ANY | IN_LIMIT | IN_STREAM_ANY, CONF_CUSTOM, CONF_AT(access_conf, rules), .args_min = 1,
	  .args_max = 1, .set = set_rule, .flags = CONF_MULTI, .args = "address | CIDR | unix: | all",
	  .doc = "Answer clients with such addresses with 403; in stream, close their connections." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return ((const struct access_conf *)conf)->rules.n == 0;
}

static const struct weir_hook hooks[] = { { ON_ACCESS, on_access, idle }, { .fn = NULL } };

const struct weir_module access_module = {
	.name = "access", .index = &module_index, .conf_size = sizeof(struct access_conf),
	.cmds = cmds, .ready = ready, .hooks = hooks, .stream_too = true,
	.doc = "Who may come in, by address.",
};
