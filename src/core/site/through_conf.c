/*
 * through_conf.c - names of an address whose TLS ends elsewhere.
 */
#include "core/proc/cycle.h"
#include "core/site/site.h"
#include "core/tls/look.h"

/* The node where a site says this name. */
static const struct weir_node *
said_at(const struct weir_site *site, struct weir_str name)
{
	for (unsigned i = 0; i < site->n_names; i++)
		if (str_eq(site->names[i].name, name))
			return site->names[i].node;
	return site->node;
}

/* Who has that name: a host that it means is asked for, and any is meant by a star. */
static const struct weir_site *
owner_of(struct weir_conf *cf, const struct weir_names *names, struct weir_str name)
{
	void *found = NULL;

	if (name.p[0] == '.')
		name = str_from(name, 1);
	else if (name.p[0] == '*')
		name = pool_printf(cf->pool, "-%.*s", STR_ARG(str_from(name, 1)));
	else if (name.p[name.n - 1] == '*')
		name = pool_printf(cf->pool, "%.*s-", (int)name.n - 1, name.p);
	return names_find(names, NULL, name, &found) == WEIR_OK ? found : NULL;
}

static int
complain(struct weir_conf *cf, const struct weir_site_addr *a, const struct weir_server_name *name)
{
	const struct weir_site *has = owner_of(cf, &a->names, name->name);
	const struct weir_node *at = has != NULL ? said_at(has, name->name) : name->node;

	return conf_error(cf, name->node, name->word, "conflicting name \"%.*s\" on %s: it is said at %s:%u already",
	    STR_ARG(name->name), a->listen->text, at->file->path, at->w[0].line);
}

static struct weir_site_addr *
addr_of(struct weir_conf *cf, const struct weir_site_listen *by)
{
	struct weir_listen *l = listen_get(&cycle_of(cf)->listeners, cf->pool, &by->addr, by->type);

	return l->owner;
}

int
site_pass_through(struct weir_conf *cf, const struct weir_site *from, struct weir_site *to)
{
	bool anywhere = false;
	int rc = WEIR_OK;

	for (const struct weir_site_listen *l = from->listens; l != NULL; l = l->next) {
		struct weir_site_addr *a = addr_of(cf, l);

		if (a->ssl == NULL)
			continue;
		anywhere = a->through = true;
		if (l->opts.rcvbuf != 0 && l->opts.rcvbuf < LOOK_MAX)
			conf_warn(cf, l->node, 0, "a hello that is longer than rcvbuf cannot be looked at, and is not answered; "
			    "some have 16 kB");
		for (unsigned i = 0; i < to->n_names; i++)
			if (names_add(&a->names, &to->names[i], to) != WEIR_OK)
				rc = complain(cf, a, &to->names[i]);
	}
	return anywhere ? rc : conf_error(cf, to->node, 0, "there is no \"listen ... ssl\" in this server");
}
