/*
 * access.c - allow and deny: by the client's address, the first rule that fits decides.
 */
#include "core/net/cidr.h"
#include "core/sess/sess.h"

extern const struct weir_module access_module;

enum rule_kind { RULE_ALL, RULE_UNIX, RULE_CIDR };

struct rule {
	enum rule_kind		 kind;
	bool			 deny;
	struct weir_cidr	 cidr;
};

struct access_conf {
	struct rules {
		struct rule	*v;
		unsigned	 n, room;
	}			 rules;
};

static unsigned module_index;

static bool
fits(const struct rule *rule, const struct weir_addr *peer)
{
	switch (rule->kind) {
	case RULE_ALL:
		return true;
	case RULE_UNIX:
		return peer->sa.sa_family == AF_UNIX;
	default:
		return cidr_has(&rule->cidr, peer);
	}
}

static enum weir_next
on_access(struct weir_sess *s)
{
	const struct rules	*rules = &((const struct access_conf *)SESS_CONF(s, module_index))->rules;
	unsigned		 i;

	for (i = 0; i < rules->n; i++) {
		if (!fits(&rules->v[i], s->peer))
			continue;
		if (!rules->v[i].deny)
			return WEIR_PASS;
		log_errorx(&s->log, "access forbidden by rule");
		return weir_refuse(s, 403);
	}
	return WEIR_NEXT;
}

static int
set_rule(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct access_conf	*c = conf;
	struct weir_str		 word = node->w[1].s;
	struct rule		 rule = { .deny = str_eq(node->w[0].s, STR("deny")) };
	bool			 low = false;

	(void)scope;
	rule.kind = str_eq(word, STR("all")) ? RULE_ALL : str_eq(word, STR("unix:")) ? RULE_UNIX
	    : RULE_CIDR;
	if (rule.kind == RULE_CIDR && cidr_parse(word, &rule.cidr, &low) != WEIR_OK)
		return conf_error(cf, node, 1, "invalid parameter \"%.*s\": it is an address, a range "
		    "of them, \"unix:\" or \"all\"", STR_ARG(word));
	if (low)
		conf_warn(cf, node, 1, "low address bits of %.*s are meaningless", STR_ARG(word));
	*POOL_PUSH(cf->pool, &c->rules) = rule;
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "allow", IN_HTTP_ANY | IN_LIMIT, CONF_CUSTOM, CONF_AT(access_conf, rules), .args_min = 1,
	  .args_max = 1, .set = set_rule, .flags = CONF_MULTI, .args = "address | CIDR | unix: | all",
	  .doc = "Let clients with such addresses in.  Of allow and deny, the first that fits decides; who "
	  "fits none is let in.  A block with rules of its own has none of the blocks around it." },
	{ "deny", IN_HTTP_ANY | IN_LIMIT, CONF_CUSTOM, CONF_AT(access_conf, rules), .args_min = 1,
	  .args_max = 1, .set = set_rule, .flags = CONF_MULTI, .args = "address | CIDR | unix: | all",
	  .doc = "Answer clients with such addresses with 403." },
	{ 0 }
};

static const struct weir_hook hooks[] = { { ON_ACCESS, on_access }, { .fn = NULL } };

const struct weir_module access_module = {
	.name = "access", .index = &module_index, .conf_size = sizeof(struct access_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Who may come in, by address.",
};
