/*
 * errpage_conf.c - error_page CODE ... [=[NEW]] TO.
 */
#include "core/base/num.h"
#include "http/req/core.h"

/* `=`, `=200`: WEIR_AGAIN when the word is neither. */
static int
read_new_status(struct weir_conf *cf, const struct weir_node *node, unsigned w, int *status)
{
	struct weir_str	s = node->w[w].s;
	uint64_t	n;

	if (s.n == 0 || s.p[0] != '=')
		return WEIR_AGAIN;
	*status = 0;
	if (s.n == 1)
		return WEIR_OK;
	if (num_u64(str_from(s, 1), &n) != WEIR_OK || n < 100 || n > 999)
		return conf_error(cf, node, w, "invalid status \"%.*s\"", STR_ARG(s));
	*status = (int)n;
	return WEIR_OK;
}

static int
read_status(struct weir_conf *cf, const struct weir_node *node, unsigned w, int *status)
{
	uint64_t	n;

	if (num_u64(node->w[w].s, &n) != WEIR_OK)
		return conf_error(cf, node, w, "invalid status \"%.*s\"", STR_ARG(node->w[w].s));
	if (n == 499 || n < 300 || n > 599)
		return conf_error(cf, node, w, "status \"%.*s\" must be between 300 and 599, and "
		    "not 499", STR_ARG(node->w[w].s));
	/* What nginx calls 494 has been given a number of its own (RFC 6585, 5). */
	*status = n == 494 ? 431 : (int)n;
	return WEIR_OK;
}

/*
 * 495 to 497 are nginx's own, not for clients: unless the line says another status, they go
 * out as 400.
 */
static int
outward(int status)
{
	return status >= 495 && status <= 497 ? 400 : -1;
}

static void
append(struct weir_http_conf *c, struct weir_error_page *e)
{
	struct weir_error_page	**tail = &c->error_pages;

	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = e;
}

int
conf_error_page(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	unsigned		 w, last = node->n - 1, codes = last - 1;
	int			 new_status = -1, status = 0;
	struct weir_error_page	*e;
	struct weir_expr	 to = { 0 };

	(void)scope;
	if (codes > 1)
		switch (read_new_status(cf, node, codes, &new_status)) {
		case WEIR_FAIL:
			return WEIR_FAIL;
		case WEIR_OK:
			codes--;
		}
	if (expr_field(cf, node, last, &to) != WEIR_OK)
		return WEIR_FAIL;
	for (w = 1; w <= codes; w++) {
		if (read_status(cf, node, w, &status) != WEIR_OK)
			return WEIR_FAIL;
		e = POOL_NEW(cf->pool, weir_error_page);
		e->status = status;
		e->new_status = new_status != -1 ? new_status : outward(status);
		e->to = to;
		append(conf, e);
	}
	return WEIR_OK;
}
