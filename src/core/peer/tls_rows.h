/*
 * tls_rows.h - the rows of a table of directives about TLS to upstreams.
 *
 * Included inside the table, once for each kind of upstream, with P: the beginning of the names ("proxy_ssl_"), and PLACES.
 */
	{ P "certificate", PLACES, ONE(set_certificate, "file"),
	  .doc = "The certificate that upstreams are shown, in PEM, with its chain.  Empty: none.  With variables, workers "
	  "read the file for each connection, so their user must be able to; such a connection serves one request, and its session is "
	  "not resumed.  A name with \"..\" "
	  "in it is refused." },
	{ P "certificate_key", PLACES, ONE(set_key, "file"),
	  .doc = "Its key." },
	{ P "certificate_cache", PLACES, CONF_CUSTOM, .args_min = 1, .args_max = 3, .set = set_cache,
	  .args = "off | max=number [inactive=time] [valid=time]",
	  .doc = "How many certificates and keys whose names have variables each worker keeps, as ssl_certificate_cache has it.  "
	  "Keys with passwords are not kept." },
	{ P "password_file", PLACES, ONE(set_passwords, "file"),
	  .doc = "Passwords of the key, one on each line." },
	{ P "ciphers", PLACES, ONE(set_ciphers, "ciphers"),
	  .doc = "Ciphers that are offered for TLSv1.2." },
	{ P "ecdh_curve", PLACES, ONE(set_curves, "groups | auto"),
	  .doc = "Groups that are offered, as ssl_ecdh_curve has them." },
	{ P "protocols", PLACES, CONF_CUSTOM, CONF_AT(ssl_conf, protocols), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_protocols, .args = "[TLSv1.2] [TLSv1.3]",
	  .doc = "Which versions of TLS are offered; both unless said otherwise." },
	{ P "conf_command", PLACES, CONF_CUSTOM, CONF_AT(ssl_conf, o.commands), .args_min = 2,
	  .args_max = 2, .set = set_command, .flags = CONF_MULTI, .args = "name value",
	  .doc = "A command of OpenSSL's, see SSL_CONF_cmd(3)." },
	{ P "verify", PLACES, CONF_ENUM, CONF_AT(ssl_conf, verify), .def = "auto",
	  .choices = verify_words,
	  .doc = "Whether the upstream's certificate must be signed by whom we trust, and have its name.  auto, the "
	  "default: unless the connection stays on this machine (loopback, unix sockets).  off needs "
	  "allow_insecure_upstream." },
	{ P "verify_depth", PLACES, CONF_INT, CONF_AT(ssl_conf, o.depth), .def = "5", .max = 100,
	  .doc = "How many certificates may stand between the upstream's and a root." },
	{ P "trusted_certificate", PLACES, ONE(set_trusted, "file"),
	  .doc = "Authorities that are trusted, in PEM, instead of those that the system trusts." },
	{ P "crl", PLACES, ONE(set_crl, "file"),
	  .doc = "Revoked certificates, in PEM." },
	{ P "name", PLACES, ONE(set_name, "name"),
	  .doc = "The name that the certificate must have, and that is asked for; the host of proxy_pass unless "
	  "said otherwise.  May contain variables." },
	{ P "server_name", PLACES, CONF_FLAG, CONF_AT(ssl_conf, sni), .def = "off",
	  .doc = "Whether upstreams are told which name is meant (SNI)." },
	{ P "session_reuse", PLACES, CONF_FLAG, CONF_AT(ssl_conf, reuse), .def = "on",
	  .doc = "Whether sessions with upstreams are resumed." },
