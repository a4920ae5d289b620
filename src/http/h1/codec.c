/*
 * codec.c - the table that the rest of the server knows HTTP/1 by.
 */
#include "http/h1/h1.h"

const struct weir_codec h1_codec = {
	.name = "h1",
	.alpn = "http/1.1",
	.serve = h1_serve,
	.link = h1_link,
	.open = h1_open,
	.end = h1_end,
	.reread = h1_reread,
};
