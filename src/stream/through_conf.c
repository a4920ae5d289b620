/*
 * through_conf.c - servers of connections that come from elsewhere.
 *
 * They are bound when all blocks have been read, so that the stream block counts for them wherever it stands.
 */
#include "core/sess/var.h"
#include "core/tls/look.h"
#include "stream/stream.h"

/* The stream block; an empty one where there is none. */
static struct weir_stream_main *
main_of(struct weir_conf *cf, const struct weir_node *by)
{
	struct weir_stream_conf *top = conf_of(cf->main, &stream_module);
	struct weir_node *empty;

	if (top->main != NULL)
		return top->main;
	empty = POOL_NEW(cf->pool, weir_node);
	empty->w = by->w;
	empty->n = 1;
	empty->file = by->file;
	return stream_conf_block(cf, cf->main, empty, top) == WEIR_OK ? top->main : NULL;
}

static const struct weir_module *
module_of(const char *name)
{
	for (unsigned i = 0; i < weir_n_modules; i++)
		if (strcmp(weir_modules[i]->name, name) == 0)
			return weir_modules[i];
	return NULL;
}

/* What the new block inherits: the stream block's, but for what listeners of http have to do with. */
static struct weir_scope *
parent(struct weir_conf *cf, const struct weir_scope *stream, const struct weir_scope *around, const struct core_log *error_log)
{
	struct weir_scope *s = pool_dup(cf->pool, stream, sizeof *s);
	const struct weir_module *realip = module_of("realip");
	struct weir_stream_conf *sc = pool_dup(cf->pool, conf_of(stream, &stream_module), sizeof *sc);

	s->conf = pool_dup(cf->pool, stream->conf, (weir_n_modules + 1) * sizeof *s->conf);
	if (realip != NULL && conf_set(around, realip, "set_real_ip_from"))
		s->conf[*realip->index] = conf_of(around, realip);
	if (error_log->scope != NULL)
		sc->error_log = *error_log;
	sc->preread_size = WEIR_MAX(sc->preread_size, (uint64_t)LOOK_MAX);
	s->conf[*stream_module.index] = sc;
	return s;
}

/* Directives that would do nothing. */
static int
check(struct weir_conf *cf, const struct weir_stream_server *server, unsigned names)
{
	const struct weir_module *ssl = module_of("ssl");

	if (server->site.listens != NULL)
		return conf_error(cf, server->site.listens->node, 0, "has no meaning here: connections come from the server around");
	if (server->site.n_names != names)
		return conf_error(cf, server->site.names[names].node, 0, "has no meaning here: the names stand before the block");
	if (ssl != NULL && conf_is_own(server->site.scope, ssl))
		return conf_error(cf, server->site.node, 0, "TLS does not end here: directives \"ssl_...\" have no meaning in this block");
	return WEIR_OK;
}

int
stream_conf_through(struct weir_conf *cf, struct weir_stream_server *server, struct weir_node *node,
    const struct weir_scope *around, const struct core_log *error_log)
{
	struct weir_stream_main *m = main_of(cf, node);
	unsigned names = server->site.n_names;
	int rc;

	if (m == NULL)
		return WEIR_FAIL;
	server->site.through = true;
	server->site.node = node;
	vars_now = m->vars;
	server->site.scope = conf_block(cf, parent(cf, m->scope, around, error_log), node, IN_STREAM_SERVER, server);
	rc = vars_check(m->vars, cf);
	vars_now = NULL;
	if (server->site.scope == NULL || rc != WEIR_OK)
		return WEIR_FAIL;
	server->conf = server->site.scope->conf;
	return check(cf, server, names);
}
