/*
 * empty_gif.c - a transparent picture of one pixel.
 */
#include "http/req/req.h"

struct gif_conf {
	bool		 here;
};

static unsigned index_;
extern const struct weir_module empty_gif_module;

/* GIF89a, 1x1, a palette of white and black, the first of them transparent. */
static const char pixel[] =
    "GIF89a\1\0\1\0\x80\1\0\0\0\0\xff\xff\xff"
    "!\xf9\4\1\0\0\1\0,\0\0\0\0\1\0\1\0\0\2\2L\1\0;";

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req	*r = req_of(s);

	if (!REQ_CONF(r, gif_conf, empty_gif_module)->here)
		return WEIR_NEXT;
	if (r->method_id != M_GET && r->method_id != M_HEAD)
		return req_error(r, 405);
	req_add(r, "Last-Modified", STR("Mon, 28 Sep 1970 06:00:00 GMT"));
	r->conditional = true;
	return req_respond_text(r, 200, STR("image/gif"), str_of(pixel, sizeof(pixel) - 1));
}

static int
set_here(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)cf, (void)scope, (void)node;
	((struct gif_conf *)conf)->here = true;
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "empty_gif", IN_LOCATION, CONF_CUSTOM, CONF_AT(gif_conf, here), .set = set_here,
	  .flags = CONF_NOINHERIT, .args = "", .doc = "Answer with a picture of one transparent "
	  "pixel." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return !((const struct gif_conf *)conf)->here;
}

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, idle }, { 0 } };

const struct weir_module empty_gif_module = {
	.name = "empty_gif", .index = &index_, .conf_size = sizeof(struct gif_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "A picture of one transparent pixel.",
};
