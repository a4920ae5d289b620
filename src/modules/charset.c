/*
 * charset.c - which character set responses are in, and changing it.
 *
 *	what is wanted		X-Accel-Charset of the upstream, or `charset`
 *	what is there		the charset parameter of Content-Type, or `source_charset`
 *
 * When both are known and differ, a charset_map between them changes the body.  Names are compared in
 * any letter case; those that the configuration mentions are known.
 */
#include "core/io/recode.h"
#include "http/req/edit.h"

struct charset_map {
	struct charset_map *next;
	struct weir_str	 a, b;
	const struct weir_recode_map *a_to_b, *b_to_a;
};

struct charset_main {			/* of a whole configuration */
	struct { struct weir_str *v; unsigned n, room; } known;
	struct charset_map *maps;
};

struct charset_conf {
	struct charset_main *main;
	struct weir_expr charset, source;	/* not set: off */
	bool		 override;
	struct weir_media_types types;
};

static unsigned index_;
extern const struct weir_module charset_module;

static struct weir_str default_types[] = {
	{ "text/html", 9 }, { "text/xml", 8 }, { "text/plain", 10 }, { "text/vnd.wap.wml", 16 },
	{ "application/javascript", 22 }, { "application/rss+xml", 19 },
};
static const struct weir_media_types by_default = {
	.v = default_types, .n = WEIR_COUNT(default_types), .room = WEIR_COUNT(default_types)
};

static bool
is_known(const struct charset_main *m, struct weir_str name)
{
	unsigned	i;

	for (i = 0; i < m->known.n; i++)
		if (str_ieq(m->known.v[i], name))
			return true;
	return false;
}

static const struct weir_recode_map *
map_between(const struct charset_main *m, struct weir_str from, struct weir_str to)
{
	const struct charset_map	*map;

	for (map = m->maps; map != NULL; map = map->next) {
		if (str_ieq(map->a, from) && str_ieq(map->b, to))
			return map->a_to_b;
		if (str_ieq(map->b, from) && str_ieq(map->a, to))
			return map->b_to_a;
	}
	return NULL;
}

/* ---- the response ---- */

/* The charset parameter of a media type, and the type without it (and what follows it). */
static struct weir_str
charset_of(struct weir_str type, struct weir_str *bare)
{
	struct weir_str	rest = type, p;
	ssize_t		at;

	*bare = type;
	while ((at = str_chr(rest, ';')) >= 0) {
		p = str_trim(str_from(rest, (size_t)at + 1));
		if (!str_ibegins(p, STR("charset="))) {
			rest = str_from(rest, (size_t)at + 1);
			continue;
		}
		*bare = str_trim(str_of(type.p, (size_t)(rest.p - type.p) + (size_t)at));
		p = str_from(p, 8);
		if ((at = str_chr(p, ';')) >= 0)
			p = str_trim(str_of(p.p, (size_t)at));
		if (p.n > 1 && p.p[0] == '"' && p.p[p.n - 1] == '"')
			p = str_of(p.p + 1, p.n - 2);
		return p;
	}
	return STR_NONE;
}

/* What is wanted; empty: nothing is to be done. */
static struct weir_str
wanted(struct weir_req *r, const struct charset_conf *conf, struct weir_str there)
{
	if (r->content_type.n == 0 || r->charset_done)
		return STR_NONE;
	if (r->accel_charset.n != 0) {
		if (is_known(conf->main, r->accel_charset))
			return r->accel_charset;
		log_errorx(&r->s.log, "unknown charset \"%.*s\" to override",
		    STR_ARG(r->accel_charset));
		return STR_NONE;
	}
	if (!conf->charset.set)
		return STR_NONE;
	if (there.n != 0 ? !conf->override :
	    !media_types_has(conf->types.n != 0 || conf->types.any ? &conf->types : &by_default, r))
		return STR_NONE;
	return expr_eval(&r->s, &conf->charset);
}

static void
tell(struct weir_req *r, struct weir_str bare, struct weir_str charset)
{
	/* some clients take a redirect's charset for that of the page they are sent to */
	if (r->rsp.status == 301 || r->rsp.status == 302)
		r->content_type = bare;
	else
		r->content_type = pool_printf(r->s.pool, "%.*s; charset=%.*s", STR_ARG(bare),
		    STR_ARG(charset));
}

static void
on_free(void *arg)
{
	change_end(arg);
}

static void
wrap(struct weir_req *r, const struct weir_recode_map *map)
{
	struct weir_recode	*recode = POOL_NEW(r->s.pool, weir_recode);

	recode->map = map;
	recode_init(recode, r->body);
	pool_on_free(r->s.pool, on_free, &recode->change);
	r->body = &recode->change.src;
}

static enum weir_next
on_response(struct weir_sess *s)
{
	struct weir_req			*r = req_of(s);
	const struct charset_conf	*conf = REQ_CONF(r, charset_conf, charset_module);
	struct weir_str			 bare, there, from, to;
	const struct weir_recode_map	*map;

	if (!conf->charset.set && r->accel_charset.n == 0)
		return WEIR_NEXT;
	there = charset_of(r->content_type, &bare);
	to = wanted(r, conf, there);
	if (to.n == 0)
		return WEIR_NEXT;
	from = there.n != 0 || !conf->source.set ? there : expr_eval(&r->s, &conf->source);
	if (from.n == 0 || str_ieq(from, to)) {
		tell(r, bare, to);
		return WEIR_NEXT;
	}
	if (fields_value(&r->rsp.fields, H_CONTENT_ENCODING).n != 0)
		return WEIR_NEXT;	/* these are not the bytes of the text */
	if ((map = map_between(conf->main, from, to)) == NULL) {
		log_errorx(&r->s.log, "no \"charset_map\" between the charsets \"%.*s\" and \"%.*s\"",
		    STR_ARG(from), STR_ARG(to));
		return WEIR_NEXT;
	}
	tell(r, bare, to);
	if (map->kind != RECODE_BYTES)
		req_length_unknown(r);
	if (r->body != NULL)
		wrap(r, map);
	return WEIR_NEXT;
}

/* ---- charset_map ---- */

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	    c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "C0", "D18E": up to `most` bytes; how many, or 0. */
static size_t
read_hex(struct weir_str s, uint8_t *to, size_t most)
{
	size_t	i, n = s.n / 2;
	int	high, low;

	if (s.n == 1 && most == 1 && (low = hex_digit(s.p[0])) >= 0) {
		to[0] = (uint8_t)low;
		return 1;
	}
	if (s.n == 0 || s.n % 2 != 0 || n > most)
		return 0;
	for (i = 0; i < n; i++) {
		high = hex_digit(s.p[2 * i]);
		low = hex_digit(s.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return 0;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return n;
}

static int
read_line(struct weir_conf *cf, const struct weir_node *line, struct weir_recode_map *to,
    struct weir_recode_map *back)
{
	bool		utf8 = to->kind == RECODE_TO_UTF8;
	uint8_t		from[1], bytes[3];
	size_t		n;
	uint32_t	code;

	if (line->n != 2)
		return conf_error(cf, line, 0, "a line of charset_map is two codes");
	if (read_hex(line->w[0].s, from, 1) != 1)
		return conf_error(cf, line, 0, "invalid value \"%.*s\"", STR_ARG(line->w[0].s));
	n = read_hex(line->w[1].s, bytes, utf8 ? sizeof(bytes) : 1);
	if (n == 0)
		return conf_error(cf, line, 1, "invalid value \"%.*s\"", STR_ARG(line->w[1].s));
	if (!utf8) {
		to->byte[from[0]] = bytes[0];
		back->byte[bytes[0]] = from[0];
		return WEIR_OK;
	}
	code = recode_utf8(str_of((const char *)bytes, n));
	if (code > 0xffff)
		return conf_error(cf, line, 1, "invalid UTF-8 \"%.*s\"", STR_ARG(line->w[1].s));
	recode_map_add(to, cf->pool, from[0], code);
	recode_map_add(back, cf->pool, from[0], code);
	return WEIR_OK;
}

static void
know(struct weir_conf *cf, struct charset_main *m, struct weir_str name)
{
	if (!is_known(m, name))
		*POOL_PUSH(cf->pool, &m->known) = name;
}

static int
set_map(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct charset_main	*m = ((struct charset_conf *)conf)->main;
	bool			 utf8 = str_ieq(node->w[2].s, STR("utf-8"));
	struct weir_recode_map	*to, *back;
	struct charset_map	*map;
	const struct weir_node	*line;
	int			 rc = WEIR_OK;

	(void)scope;
	if (str_ieq(node->w[1].s, node->w[2].s))
		return conf_error(cf, node, 2, "\"charset_map\" between the same charsets "
		    "\"%.*s\" and \"%.*s\"", STR_ARG(node->w[1].s), STR_ARG(node->w[2].s));
	if (map_between(m, node->w[1].s, node->w[2].s) != NULL)
		return conf_error(cf, node, 0, "duplicate \"charset_map\" between \"%.*s\" and "
		    "\"%.*s\"", STR_ARG(node->w[1].s), STR_ARG(node->w[2].s));
	to = recode_map_new(cf->pool, utf8 ? RECODE_TO_UTF8 : RECODE_BYTES);
	back = recode_map_new(cf->pool, utf8 ? RECODE_FROM_UTF8 : RECODE_BYTES);
	for (line = node->child; line != NULL; line = line->next)
		if (read_line(cf, line, to, back) != WEIR_OK)
			rc = WEIR_FAIL;
	map = POOL_NEW(cf->pool, charset_map);
	*map = (struct charset_map){ m->maps, node->w[1].s, node->w[2].s, to, back };
	m->maps = map;
	know(cf, m, map->a);
	know(cf, m, map->b);
	return rc;
}

/* ---- the other directives ---- */

static int
set_name(struct weir_conf *cf, struct weir_node *node, struct charset_conf *c, struct weir_expr *to)
{
	if (expr_field(cf, node, 1, to) != WEIR_OK)
		return WEIR_FAIL;
	if (!expr_is_const(to))
		return WEIR_OK;
	if (!is_field_value(to->source) || to->source.n == 0)
		return conf_error(cf, node, 1, "\"%.*s\" is no charset", STR_ARG(to->source));
	know(cf, c->main, to->source);
	return WEIR_OK;
}

static int
set_charset(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct charset_conf	*c = conf;

	(void)scope;
	memset(&c->charset, 0, sizeof(c->charset));
	if (str_eq(node->w[1].s, STR("off")))
		return WEIR_OK;
	return set_name(cf, node, c, &c->charset);
}

static int
set_source(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct charset_conf	*c = conf;

	(void)scope;
	memset(&c->source, 0, sizeof(c->source));
	return set_name(cf, node, c, &c->source);
}

static int
set_types(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return media_types_set(cf, node, &((struct charset_conf *)conf)->types);
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct charset_conf	*c = conf;
	const struct weir_node	*node;

	if (scope->in == IN_MAIN) {
		c->main = POOL_NEW(cf->pool, charset_main);
		return WEIR_OK;
	}
	if (!c->charset.set || !c->source.set || !expr_is_const(&c->charset) ||
	    !expr_is_const(&c->source) || str_ieq(c->charset.source, c->source.source) ||
	    map_between(c->main, c->source.source, c->charset.source) != NULL)
		return WEIR_OK;
	node = conf_written(scope, &charset_module, "charset");
	if (node == NULL)
		node = conf_written(scope, &charset_module, "source_charset");
	return conf_error(cf, node, 1, "no \"charset_map\" between the charsets \"%.*s\" and \"%.*s\"",
	    STR_ARG(c->source.source), STR_ARG(c->charset.source));
}

static const struct weir_cmd cmds[] = {
	{ "charset", IN_HTTP_ANY | IN_IF, CONF_CUSTOM, CONF_AT(charset_conf, charset), .args_min = 1,
	  .args_max = 1, .set = set_charset, .args = "charset | off",
	  .doc = "The charset that Content-Type of responses says; when it is another than the "
	  "response's own, the body is converted by a charset_map.  May contain variables." },
	{ "source_charset", IN_HTTP_ANY | IN_IF, CONF_CUSTOM, CONF_AT(charset_conf, source),
	  .args_min = 1, .args_max = 1, .set = set_source, .args = "charset",
	  .doc = "The charset that responses are in unless their Content-Type says it.  May contain "
	  "variables." },
	{ "override_charset", IN_HTTP_ANY | IN_IF, CONF_FLAG, CONF_AT(charset_conf, override),
	  .def = "off", .doc = "Whether responses that say their charset themselves are converted too." },
	{ "charset_types", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(charset_conf, types), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_types, .flags = CONF_MULTI, .args = "mime-type ...",
	  .doc = "Media types of responses that get a charset, beside text/html; \"*\" stands for all.  "
	  "By default text/html, text/xml, text/plain, text/vnd.wap.wml, application/javascript and "
	  "application/rss+xml." },
	{ "charset_map", IN_HTTP, CONF_CUSTOM, .args_min = 2, .args_max = 2, .set = set_map,
	  .flags = CONF_RAW | CONF_MULTI, .args = "charset1 charset2 { code1 code2; ... }",
	  .doc = "How to convert between two charsets, both ways: lines with a code of each, in hexadecimal.  "
	  "Below 80 both are ASCII; what is missing becomes \"?\", or &#number; from UTF-8.  When the "
	  "second charset is utf-8, its codes are characters in UTF-8." },
	{ 0 }
};

static const struct weir_hook hooks[] = { { ON_RESPONSE, on_response, NULL }, { 0 } };

const struct weir_module charset_module = {
	.name = "charset", .index = &index_, .conf_size = sizeof(struct charset_conf), .cmds = cmds,
	.ready = ready, .hooks = hooks,
	.doc = "The charset of responses, and converting between charsets.",
};
