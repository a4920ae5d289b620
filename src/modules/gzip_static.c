/*
 * gzip_static.c - files that were compressed beforehand: x.html.gz beside x.html.
 *
 * The same for gzip, Brotli and Zstandard.  Of several that are there and that the client takes, the one it wants
 * most is sent; between equals, the one that is smaller as a rule.
 */
#include "core/io/file.h"
#include "http/req/files.h"
#include "http/req/gzip_ok.h"

enum { STATIC_OFF, STATIC_ON, STATIC_ALWAYS };
enum { BR, ZSTD, GZIP, N_CODINGS };

static const struct coding {
	struct weir_str	 name, suffix;
} codings[N_CODINGS] = {
	[BR]	= { { "br", 2 }, { ".br", 3 } },
	[ZSTD]	= { { "zstd", 4 }, { ".zst", 4 } },
	[GZIP]	= { { "gzip", 4 }, { ".gz", 3 } },
};

struct static_conf {
	int		 on[N_CODINGS];
};

struct choice {
	const struct coding *coding;	/* NULL: was looked at */
	int		 on;
	unsigned	 wanted;	/* as by coding_wanted() */
};

static unsigned index_;
extern const struct weir_module gzip_static_module;

static bool
collect(struct weir_req *r, struct choice *v)
{
	const struct static_conf	*c = REQ_CONF(r, static_conf, gzip_static_module);
	unsigned			 i;
	bool				 any = false, asked = false, allowed = false;

	for (i = 0; i < N_CODINGS; i++) {
		v[i] = (struct choice){ NULL, c->on[i], 0 };
		if (c->on[i] == STATIC_OFF)
			continue;
		any = true;
		v[i].coding = &codings[i];
		if ((v[i].wanted = coding_wanted(r, codings[i].name)) == 0)
			continue;
		if (!asked)
			allowed = coding_allowed(r);
		asked = true;
		if (!allowed)
			v[i].wanted = 0;
	}
	return any;
}

/* The one that is wanted most of those that are left. */
static struct choice *
best(struct choice *v)
{
	struct choice	*b = NULL;
	unsigned	 i;

	for (i = 0; i < N_CODINGS; i++)
		if (v[i].coding != NULL && (b == NULL || v[i].wanted > b->wanted))
			b = &v[i];
	return b;
}

/* That there is no such file is usual, and nothing to be told. */
static void
log_failure(struct weir_req *r, const char *what, struct weir_str path)
{
	switch (errno) {
	case ENOENT: case ENOTDIR: case ENAMETOOLONG:
		return;
	case EACCES: case ELOOP: case EMLINK: case EPERM:
		log_error(&r->s.log, "%s \"%.*s\" failed", what, STR_ARG(path));
		return;
	default:
		log_crit(&r->s.log, "%s \"%.*s\" failed", what, STR_ARG(path));
	}
}

static enum weir_next
send_coded(struct weir_req *r, const struct choice *c, struct weir_str path)
{
	struct weir_found	found;

	if (req_open(r, path, &found) != WEIR_OK) {
		log_failure(r, found.failed, path);
		return WEIR_NEXT;
	}
	if (c->on == STATIC_ON)
		coding_varies(r);
	if (S_ISDIR(found.st.st_mode))
		return WEIR_NEXT;
	if (found.file == NULL) {
		log_critx(&r->s.log, "\"%.*s\" is not a regular file", STR_ARG(path));
		return req_error(r, 404);
	}
	req_add(r, "Content-Encoding", c->coding->name);
	return req_send_file(r, &found, false);
}

/* Nothing for this client; but is it there for others? */
static void
look_for_others(struct weir_req *r, struct weir_str path)
{
	struct stat	st;

	if (coding_vary_on(r) && req_stat(r, path, &st) == WEIR_OK)
		coding_varies(r);
}

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req	*r = req_of(s);
	struct choice	 v[N_CODINGS], *c;
	struct weir_str	 plain, path;
	enum weir_next	 next;

	if ((r->method_id != M_GET && r->method_id != M_HEAD) || str_ends(r->uri.path, STR("/")) ||
	    !collect(r, v))
		return WEIR_NEXT;
	if (req_path(r, r->uri.path, &plain) != 0)
		return WEIR_NEXT;	/* static.c finds the same, and answers */
	for (; (c = best(v)) != NULL; c->coding = NULL) {
		path = pool_printf(s->pool, "%.*s%.*s%c", STR_ARG(plain), STR_ARG(c->coding->suffix), '\0');
		path.n--;
		if (c->on == STATIC_ON && c->wanted == 0)
			look_for_others(r, path);
		else if ((next = send_coded(r, c, path)) != WEIR_NEXT)
			return next;
	}
	return WEIR_NEXT;
}

static const struct weir_choice choices[] = {
	{ "off", STATIC_OFF }, { "on", STATIC_ON }, { "always", STATIC_ALWAYS }, { NULL, 0 }
};

#define DOC(coding, suffix) \
	.doc = "Send the file with " suffix " behind its name, where there is one, as " coding ": to clients " \
	"that take it, or to all (always).  gzip_http_version, gzip_proxied, gzip_disable and gzip_vary " \
	"hold for it."

static const struct weir_cmd cmds[] = {
	{ "gzip_static", IN_HTTP_ANY, CONF_ENUM, CONF_AT(static_conf, on[GZIP]), .def = "off",
	  .choices = choices, DOC("gzip", ".gz") },
	{ "brotli_static", IN_HTTP_ANY, CONF_ENUM, CONF_AT(static_conf, on[BR]), .def = "off",
	  .choices = choices, DOC("Brotli", ".br") },
	{ "zstd_static", IN_HTTP_ANY, CONF_ENUM, CONF_AT(static_conf, on[ZSTD]), .def = "off",
	  .choices = choices, DOC("Zstandard", ".zst") },
	{ 0 }
};

static bool
idle(const void *conf)
{
	for (unsigned i = 0; i < N_CODINGS; i++)
		if (((const struct static_conf *)conf)->on[i] != STATIC_OFF)
			return false;
	return true;
}

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, idle }, { 0 } };

const struct weir_module gzip_static_module = {
	.name = "gzip_static", .index = &index_, .conf_size = sizeof(struct static_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Files that were compressed beforehand.",
};
