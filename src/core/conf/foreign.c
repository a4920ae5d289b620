/*
 * foreign.c - what nginx has and weir does not, and what to do instead.
 *
 * Somebody who brings an nginx.conf shall learn from one message whose a
 * directive is and which way leads on.  A directive, parameter or variable that
 * weir does have is found before anybody looks here, and
 * t/unit/conf_foreign.c fails when a row names one, so that the table shrinks as weir grows.
 *
 * Names are separated by spaces: `name`, a directive; `name*`, all that begin so;
 * `directive/name`, a parameter of that directive; `$name`, a variable.
 */
#include "core/conf/parts.h"

static const struct foreign {
	const char	*names;
	const char	*module;
	const char	*advice;	/* one sentence, without its end */
} foreign[] = {
	/* ---- the same job is done in another way ---- */
	{ "accept_mutex_delay lock_file timer_resolution worker_aio_requests thread_pool",
	  "ngx_core_module", "it tunes a way of working that weir does not have: leave the line out" },
	{ "debug_points error_log_tag stall_threshold", "ngx_core_module",
	  "leave the line out" },
	{ "ssl_engine", "ngx_core_module", "weir uses no engines of OpenSSL: leave the line out" },
	{ "proxy_bind_dynamic proxy_request_dynamic proxy_allow_upstream", "ngx_http_proxy_module",
	  "weir decides this once, when the configuration is read" },
	{ "open_file_cache_events", "ngx_http_core_module", "leave the line out" },
	{ "status status_format upstream_conf extended_status", "ngx_http_api_module, commercial",
	  "api tells and changes upstreams; metrics, stub_status and the access log tell what weir counts" },

	/* ---- caching ---- */
	{ "proxy_cache* proxy_no_cache $upstream_cache_status", "ngx_http_proxy_module",
	  "weir has no cache of responses: put one before or behind it, or let clients keep them with "
	  "expires" },
	{ "slice $slice_range", "ngx_http_slice_module", "weir has no cache of responses to slice for" },

	/* ---- TLS and newer versions of HTTP ---- */
	{ "proxy_ssl_key_log", "ngx_http_proxy_module",
	  "leave the line out" },
	{ "ssl", "ngx_http_ssl_module", "write \"ssl\" behind the address of listen instead" },
	{ "ssl_key_log", "ngx_http_ssl_module, commercial", "weir lets nobody have the secrets of connections" },
	{ "ssl_ech_file $ssl_ech_*", "ngx_http_ssl_module", "weir has no keys for encrypted ClientHellos" },
	{ "starttls", "ngx_mail_ssl_module", "weir proxies no mail" },
	{ "listen/spdy spdy_*", "ngx_http_spdy_module", "its successor is HTTP/2: http2" },
	{ "http3 http3_* quic_* listen/quic $http3 $quic", "ngx_http_v3_module",
	  "weir speaks HTTP/1.1 and HTTP/2: leave it out, and any Alt-Svc that announces HTTP/3" },
	{ "acme_* $acme_* accept_terms_of_service external_account_key preferred_chain",
	  "ngx_http_acme_module",
	  "weir obtains no certificates: use a client such as certbot, reload after it, and serve "
	  "/.well-known/acme-challenge/ with root" },

	/* ---- other protocols ---- */
	{ "fastcgi_* $fastcgi_*", "ngx_http_fastcgi_module",
	  "weir speaks HTTP to applications: give this one an HTTP server (for PHP: FrankenPHP, "
	  "RoadRunner, or Apache or nginx before php-fpm) and use proxy_pass" },
	{ "uwsgi_*", "ngx_http_uwsgi_module",
	  "weir speaks HTTP to applications: start uwsgi with --http-socket and use proxy_pass" },
	{ "scgi_*", "ngx_http_scgi_module",
	  "weir speaks HTTP to applications: give this one an HTTP server and use proxy_pass" },
	{ "memcached_* $memcached_key", "ngx_http_memcached_module",
	  "let the application ask memcached, and use proxy_pass" },
	{ "tunnel_bind_dynamic tunnel_allow_upstream", "ngx_http_tunnel_module, commercial",
	  "let a map of $host and $request_port say where tunnel_pass may go" },
	{ "mail auth_http auth_http_* imap_* pop3_* smtp_* xclient proxy_pass_error_message "
	  "proxy_smtp_auth", "ngx_mail_core_module",
	  "weir proxies no mail: keep nginx or a mail proxy such as dovecot for these ports" },
	{ "mqtt mqtt_*", "ngx_stream_mqtt_preread_module, commercial",
	  "weir passes MQTT on without looking into it" },
	{ "zone_sync zone_sync_*", "ngx_stream_zone_sync_module, commercial",
	  "weir's machines share nothing among themselves" },

	/* ---- upstreams ---- */
	{ "ntlm", "ngx_http_upstream_module, commercial",
	  "NTLM authenticates connections, which weir shares among clients: use another method" },

	/* ---- who may come in ---- */
	{ "auth_jwt auth_jwt_* $jwt_*", "ngx_http_auth_jwt_module, commercial",
	  "let the application or a service before it check the token" },
	{ "auth_oidc oidc_provider $oidc_*", "ngx_http_oidc_module, commercial",
	  "let the application or a service such as oauth2-proxy do the login" },
	{ "auth_require", "ngx_http_auth_require_module, commercial",
	  "use if with return 403" },
	{ "internal_redirect", "ngx_http_internal_redirect_module, commercial",
	  "use rewrite, try_files or error_page" },

	/* ---- contents that are made or changed ---- */
	{ "ssi ssi_* $date_local $date_gmt", "ngx_http_ssi_module",
	  "weir changes no pages on their way: let the application or a site generator put them "
	  "together" },
	{ "xslt_* xml_entities xml_external_entities", "ngx_http_xslt_module",
	  "weir changes no pages on their way: let the application transform them" },
	{ "image_filter image_filter_*", "ngx_http_image_filter_module",
	  "weir changes no pictures: make the sizes beforehand, or put a service such as imgproxy "
	  "behind proxy_pass" },
	{ "dav_* create_full_put_path min_delete_depth", "ngx_http_dav_module",
	  "weir writes no files for clients: put a WebDAV server behind proxy_pass" },
	{ "mp4 mp4_*", "ngx_http_mp4_module",
	  "leave the line out: players seek by ranges, which weir serves" },
	{ "flv", "ngx_http_flv_module", "leave the line out: players seek by ranges, which weir serves" },
	{ "hls hls_* f4f f4f_*", "ngx_http_hls_module, commercial",
	  "cut the film beforehand (ffmpeg can) and serve the pieces as files" },

	/* ---- scripts ---- */
	{ "js_*", "ngx_http_js_module",
	  "weir runs no scripts: map, if, rewrite and split_clients do much of what they are used "
	  "for, the application does the rest" },
	{ "perl perl_*", "ngx_http_perl_module",
	  "weir runs no scripts: map, if, rewrite and split_clients do much of what they are used "
	  "for, the application does the rest" },
	{ "*_by_lua *_by_lua_block *_by_lua_file lua_*", "third-party module lua-nginx-module",
	  "weir runs no scripts: map, if, rewrite and split_clients do much of what they are used "
	  "for, the application does the rest" },
	{ "keyval keyval_zone num_map", "ngx_http_keyval_module, commercial",
	  "use map with an included file, and reload when it changes" },

	/* ---- clients ---- */
	{ "limit_zone", "ngx_http_limit_conn_module", "its name is limit_conn_zone today" },
	{ "geoip_* geoip2 geoip2_* $geoip_* $geoip2_*", "ngx_http_geoip_module",
	  "weir reads no such databases: make a geo block from one, in a file to include" },
	{ "ancient_browser ancient_browser_value modern_browser modern_browser_value $ancient_browser "
	  "$modern_browser $msie", "ngx_http_browser_module", "use map on $http_user_agent" },
	{ "userid userid_* $uid_*", "ngx_http_userid_module",
	  "let the application set the cookie; $request_id tells requests apart in logs" },
	{ "session_log session_log_* $session_log_*", "ngx_http_session_log_module, commercial",
	  "put what marks a session into log_format, and sum up the access log" },

	/* ---- watching ---- */
	{ "otel_* opentelemetry opentelemetry_*", "ngx_otel_module",
	  "weir makes no spans: traceparent passes as it comes, and $request_id can stand in log_format" },
	{ "google_perftools_profiles", "ngx_google_perftools_module", "use perf on the worker" },
	{ "mgmt license_token enforce_initial_report usage_report", "ngx_mgmt_module, commercial",
	  "weir needs no licence and reports to nobody: leave it out" },

	/* ---- of others, and often seen ---- */
	{ "more_set_headers more_clear_headers more_set_input_headers more_clear_input_headers",
	  "third-party module headers-more",
	  "use add_header with always, proxy_hide_header and proxy_set_header" },
	{ "brotli brotli_types brotli_comp_level brotli_min_length brotli_buffers brotli_window zstd "
	  "zstd_types zstd_comp_level zstd_min_length zstd_buffers", "third-party module ngx_brotli or zstd",
	  "files that were compressed beforehand are served by brotli_static and zstd_static, and what "
	  "an upstream has compressed passes as it is" },
	{ "modsecurity modsecurity_* SecRulesEnabled MainRule BasicRule CheckRule",
	  "third-party module ModSecurity or naxsi",
	  "weir inspects no contents: put a filter of its own before the application" },
	{ "vhost_traffic_status* vhost_traffic_status_*", "third-party module vts",
	  "metrics, stub_status and the access log tell what weir counts" },
	{ "pagespeed", "third-party module pagespeed", "leave the line out" },
	{ "rtmp", "third-party module nginx-rtmp", "weir speaks HTTP only" },
	{ "echo echo_* set_escape_uri set_unescape_uri set_md5 set_sha1 set_random set_secure_random* "
	  "set_encode_* set_decode_* set_quote_* set_hmac_* set_rotate set_local_today set_formatted_*",
	  "third-party module echo or set-misc", "use return, set and map" },
	{ "passenger_*", "third-party module Passenger",
	  "start the application with its own HTTP server (puma, gunicorn, node) and use proxy_pass" },
	{ "subs_filter subs_filter_types", "third-party module substitutions",
	  "use sub_filter, and sub_filter_types" },
	{ "fancyindex fancyindex_*", "third-party module fancyindex",
	  "let a job write an index.html into the folders" },
	{ "upload_*", "third-party module upload", "let the application read the upload" },
};

/* `name*`, `*name`, or the name itself. */
static bool
fits(struct weir_str name, struct weir_str pattern, bool exactly)
{
	if (pattern.p[pattern.n - 1] == '*')
		return !exactly && str_begins(name, str_of(pattern.p, pattern.n - 1));
	if (pattern.p[0] == '*')
		return !exactly && str_ends(name, str_from(pattern, 1));
	return str_eq(name, pattern);
}

/* Is one of the row's names this one? */
static bool
row_names(const struct foreign *f, struct weir_str name, bool exactly)
{
	struct weir_str	 rest = str_c(f->names), one;
	ssize_t		 space;

	while (rest.n != 0) {
		space = str_chr(rest, ' ');
		one = space < 0 ? rest : str_of(rest.p, (size_t)space);
		if (fits(name, one, exactly))
			return true;
		rest = str_from(rest, one.n + (space >= 0));
	}
	return false;
}

static const struct foreign *
find(struct weir_str name, bool exactly)
{
	unsigned i;

	for (i = 0; i < WEIR_COUNT(foreign); i++)
		if (row_names(&foreign[i], name, exactly))
			return &foreign[i];
	return NULL;
}

/* Where a row was told first; NULL in it: nowhere yet. */
static const struct weir_node **
told_at(struct weir_conf *cf, const struct foreign *f)
{
	if (cf->table->foreign == NULL)
		cf->table->foreign = pool_zalloc(cf->pool,
		    WEIR_COUNT(foreign) * sizeof(*cf->table->foreign));
	return &cf->table->foreign[f - foreign];
}

/* The same place; a file that is included again has other nodes. */
static bool
same_place(const struct weir_node *a, const struct weir_node *b)
{
	return a->file == b->file && a->w[0].line == b->w[0].line && a->w[0].col == b->w[0].col;
}

/* At length the first time, and afterwards where that was. */
static struct weir_str
text(struct weir_conf *cf, const struct foreign *f, const struct weir_node *n)
{
	const struct weir_node **first;

	if (n != NULL && cf->table != NULL) {
		first = told_at(cf, f);
		if (*first != NULL && !same_place(*first, n))
			return pool_printf(cf->pool, ", see %s:%u", (*first)->file->path,
			    (*first)->w[0].line);
		*first = n;
	}
	return pool_printf(cf->pool, ", weir does not have it (nginx: %s); %s", f->module, f->advice);
}

bool
foreign_complain(struct weir_conf *cf, const struct weir_node *n, bool exactly)
{
	const struct foreign	*f = find(n->w[0].s, exactly);
	struct weir_str		 why;

	if (f == NULL)
		return false;
	why = text(cf, f, n);
	conf_error(cf, n, 0, "unknown directive \"%.*s\"%.*s", STR_ARG(n->w[0].s), STR_ARG(why));
	return true;
}

struct weir_str
conf_foreign(struct weir_conf *cf, const struct weir_node *n, const char *kind, struct weir_str name)
{
	struct weir_str		 full = pool_printf(cf->pool, "%s%.*s", kind, STR_ARG(name));
	const struct foreign	*f = find(full, true);

	if (f == NULL)
		f = find(full, false);
	return f != NULL ? text(cf, f, n) : STR_NONE;
}
