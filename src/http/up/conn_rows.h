/*
 * conn_rows.h - the rows of a table of directives about connections to upstreams, whatever is said over them.
 *
 * Included inside the table of each module that makes some, with P: the beginning of the names ("proxy_").
 */
	{ P "bind", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = up_conf_bind,
	  .args = BIND_ARGS, .doc = BIND_DOC },
	{ P "socket_keepalive", IN_HTTP_ANY, CONF_FLAG, UP(socket_keepalive), .def = "off",
	  .doc = "TCP keepalive on connections to the upstream." },
	{ P "socket_rcvbuf", IN_HTTP_ANY, CONF_SIZE, UP(rcvbuf), .max = INT32_MAX,
	  .doc = "SO_RCVBUF of connections to the upstream; by default the kernel sizes it." },
	{ P "socket_sndbuf", IN_HTTP_ANY, CONF_SIZE, UP(sndbuf), .max = INT32_MAX,
	  .doc = "SO_SNDBUF of connections to the upstream; by default the kernel sizes it." },
	{ P "connect_timeout", IN_HTTP_ANY, CONF_MSEC, UP(connect_ms), .def = "60s",
	  .doc = "How long connecting to the upstream may take. Of a name with several addresses, not in an upstream block, the next "
	  "is dialled beside the ones before after 250 ms (RFC 8305), unless the next server may not be tried." },
	{ P "read_timeout", IN_HTTP_ANY, CONF_MSEC, UP(read_ms), .def = "60s",
	  .doc = "How long the upstream may send nothing of the response; in a tunnel (WebSocket) how long nothing "
	  "may move." },
	{ P "next_upstream_tries", IN_HTTP_ANY, CONF_INT, UP(next_tries), .def = "0", .max = 1000,
	  .doc = "How many servers to try at most; 0: all." },
	{ P "next_upstream_timeout", IN_HTTP_ANY, CONF_MSEC, UP(next_timeout_ms), .def = "0",
	  .doc = "For how long to try further servers; 0: no limit." },
	{ P "next_upstream_delay", IN_HTTP_ANY, CONF_MSEC, UP(next_delay_ms), .def = "0", .max = 60000,
	  .doc = "How long to wait before the second server is tried; twice as long before each further one." },
	{ P "retry_budget", IN_HTTP_ANY, CONF_CUSTOM, UP_AT(up.budget), .set = up_conf_budget, BUDGET_ROW },
