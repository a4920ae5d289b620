/*
 * early_data.c - which requests are served although they came before the TLS handshake was over.
 *
 * They may be copies that somebody else sent again (RFC 8470).  A client that gets 425 sends its request once more when
 * the handshake is over.
 */
#include "http/req/req.h"

struct early_conf {
	struct weir_conf_list	methods;
};

static unsigned index_;
extern const struct weir_module early_data_module;

static bool
is_served(const struct early_conf *c, struct weir_str method)
{
	if (c->methods.n == 0)
		return str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"));
	for (unsigned i = 0; i < c->methods.n; i++)
		if (str_eq(c->methods.v[i], method))
			return true;
	return false;
}

static enum weir_next
on_preaccess(struct weir_sess *s)
{
	struct weir_req *r = req_of(s);

	if (likely(!s->early) || r->parent != NULL || is_served(REQ_CONF(r, early_conf, early_data_module), r->method))
		return WEIR_NEXT;
	log_info(&s->log, "early data with method %.*s is not served: the client may send it again",
	    STR_ARG(r->method));
	return weir_refuse(s, 425);
}

static const struct weir_cmd cmds[] = {
	{ "early_data_methods", IN_HTTP_ANY, CONF_LIST, CONF_AT(early_conf, methods), .args = "off | method ...",
	  .doc = "Which requests are served when they came before the TLS handshake was over (ssl_early_data): those with "
	  "these methods.  All others get 425, whereupon clients send them again.  GET and HEAD unless said otherwise; "
	  "off: none." },
	{ 0 }
};

static const struct weir_hook hooks[] = { { ON_PREACCESS, on_preaccess, NULL }, { 0 } };

const struct weir_module early_data_module = {
	.name = "early_data", .index = &index_, .conf_size = sizeof(struct early_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Requests that came before the TLS handshake was over.",
};
