/*
 * pass_rows.h - the rows of a table of directives about passing requests on.
 *
 * Included inside the table of each such module, with P: the beginning of the names ("proxy_"), and PP: the name of
 * proxy_protocol.
 */
#include "http/up/conn_rows.h"
#define PP_IN IN_HTTP_ANY
#define PP_AT(field) UP_AT(up.preface.field)
#define PP_TLV up_conf_tlv
#include "core/peer/preface_rows.h"
	{ P "send_timeout", IN_HTTP_ANY, CONF_MSEC, UP(send_ms), .def = "60s",
	  .doc = "How long the upstream may take nothing of the request." },
	{ P "intercept_errors", IN_HTTP_ANY, CONF_FLAG, UP(intercept_errors), .def = "off",
	  .doc = "Lets error_page handle the upstream's responses of 300 and above." },
	{ P "buffer_size", IN_HTTP_ANY, CONF_SIZE, UP(buffer_size), .def = "16k", .min = 64, .max = 1048576,
	  .doc = "The largest head of a response that is accepted." },
	{ P "next_upstream", IN_HTTP_ANY, CONF_BITS, UP(next), .def = "error timeout", .choices = up_nexts,
	  .doc = "When to try the next server. A request that must not be done twice is passed on only with "
	  "non_idempotent, or when nothing of it was sent." },
	{ P "total_timeout", IN_HTTP_ANY, CONF_MSEC, UP(total_ms), .def = "0",
	  .doc = "How long all of it may take: waiting for a server, all tries, and reading the response. Then the client gets "
	  "504, or a response that is cut short. 0: no limit." },
	{ P "hedge", IN_HTTP_ANY, CONF_MSEC, UP(hedge_ms), .def = "0",
	  .doc = "A request that has no answer after so long is sent to another server of the group as well; the first answer is "
	  "taken, and the other exchange is ended. Only requests that change nothing (GET, HEAD, OPTIONS, PROPFIND, TRACE), others with "
	  "non_idempotent, when all of their body is at hand, be it in the replay_buffer; not those that stick to a server or upgrade the connection. It is a try, for "
	  "next_upstream_tries and retry_budget. 0: off." },
	{ P "replay_buffer", IN_HTTP_ANY, CONF_SIZE, UP(replay_size), .def = "0", .max = 16777216,
	  .doc = "How much of a body that is passed on as it comes is kept until the response begins, so that the request can be "
	  "tried again. When more has gone it is not tried again; 0: when anything has gone, as in nginx." },
	{ P "set_header", IN_HTTP_ANY, CONF_CUSTOM, UP_AT(set_headers), .args_min = 2, .args_max = 2, .set = up_conf_header,
	  .flags = CONF_MULTI, .args = "field value",
	  .doc = "Sets or, with an empty value, removes a field of the request to the upstream. Inherited only "
	  "when a place sets none itself. Host is the name in ..._pass unless set." },
	{ P "hide_header", IN_HTTP_ANY, CONF_CUSTOM, UP_AT(up.hide), .args_min = 1, .args_max = 1, .set = up_conf_hide,
	  .flags = CONF_MULTI, .args = "field", .doc = "Keeps a field of the upstream's response from the client." },
	{ P "pass_header", IN_HTTP_ANY, CONF_CUSTOM, UP_AT(up.pass), .args_min = 1, .args_max = 1, .set = up_conf_pass_header,
	  .flags = CONF_MULTI, .args = "field",
	  .doc = "Lets a field through that is otherwise kept from the client: Date, Server, X-Pad, X-Accel-*." },
	{ P "ignore_headers", IN_HTTP_ANY, CONF_BITS, UP(ignore), .choices = up_ignorable,
	  .set = up_conf_ignored, .doc = "Response fields that are not acted on." },
	{ P "http2_max_streams", IN_HTTP_ANY, CONF_INT, UP(http2_streams), .def = "128", .min = 1, .max = 65535,
	  .doc = "How many requests at a time go over one connection of HTTP/2 to an upstream, if it allows so many; "
	  "further ones get another connection." },
