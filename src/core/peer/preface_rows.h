/*
 * preface_rows.h - the rows of a table of directives about PROXY headers to upstreams.
 *
 * Included inside the table, with PP: the name ("proxy_protocol"), PP_IN: where it may stand, PP_AT(field): where the
 * struct weir_preface_conf has that field, and PP_TLV: the set() that calls preface_conf_tlv().
 */
	{ PP, PP_IN, CONF_ENUM, PP_AT(version), .def = "off", .choices = preface_versions,
	  .doc = "Tells the upstream in front of each connection who the client is: a header of the PROXY protocol, of version "
	  "1 (on) or 2.  It comes before TLS.  A connection over which it does not go out whole is closed.  Connections are "
	  "kept only for requests with the very same header, so for those of one connection of a client.  The upstream "
	  "must expect it.  Of datagrams the first one has it, always in version 2." },
	{ PP "_tlv", PP_IN, CONF_CUSTOM, PP_AT(tlvs), .args_min = 2, .args_max = 2, .set = PP_TLV,
	  .flags = CONF_MULTI, .args = "name value",
	  .doc = "What else a header of version 2 says.  The name is alpn, authority, unique_id, netns or a number, 0xE0.  The "
	  "value may contain variables; an empty one is left out.  \"ssl on\" tells the version, the cipher and the client's "
	  "common name of connections by TLS, \"crc32c on\" adds a checksum.  Inherited only when a place has none itself." },
