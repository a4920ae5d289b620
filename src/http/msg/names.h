/*
 * names.h - field names that weir itself looks at.
 *
 * names.c finds the number of a name with one hash and one comparison.
 */
#ifndef WEIR_HTTP_MSG_NAMES_H
#define WEIR_HTTP_MSG_NAMES_H

#include "core/base/str.h"

/* X(number, "Name as we write it", hop-by-hop) */
#define WEIR_KNOWN_NAMES(X)						\
	X(H_ACCEPT, "Accept", 0)					\
	X(H_ACCEPT_ENCODING, "Accept-Encoding", 0)			\
	X(H_ACCEPT_LANGUAGE, "Accept-Language", 0)			\
	X(H_ACCEPT_RANGES, "Accept-Ranges", 0)				\
	X(H_AGE, "Age", 0)						\
	X(H_ALLOW, "Allow", 0)						\
	X(H_ALT_SVC, "Alt-Svc", 0)					\
	X(H_AUTHORIZATION, "Authorization", 0)				\
	X(H_CACHE_CONTROL, "Cache-Control", 0)				\
	X(H_CONNECTION, "Connection", 1)				\
	X(H_CONTENT_DISPOSITION, "Content-Disposition", 0)		\
	X(H_CONTENT_ENCODING, "Content-Encoding", 0)			\
	X(H_CONTENT_LENGTH, "Content-Length", 0)			\
	X(H_CONTENT_RANGE, "Content-Range", 0)				\
	X(H_CONTENT_TYPE, "Content-Type", 0)				\
	X(H_COOKIE, "Cookie", 0)					\
	X(H_DATE, "Date", 0)						\
	X(H_EARLY_DATA, "Early-Data", 0)				\
	X(H_ETAG, "ETag", 0)						\
	X(H_EXPECT, "Expect", 0)					\
	X(H_EXPIRES, "Expires", 0)					\
	X(H_FORWARDED, "Forwarded", 0)					\
	X(H_HOST, "Host", 0)						\
	X(H_HTTP2_SETTINGS, "HTTP2-Settings", 1)			\
	X(H_IF_MATCH, "If-Match", 0)					\
	X(H_IF_MODIFIED_SINCE, "If-Modified-Since", 0)			\
	X(H_IF_NONE_MATCH, "If-None-Match", 0)				\
	X(H_IF_RANGE, "If-Range", 0)					\
	X(H_IF_UNMODIFIED_SINCE, "If-Unmodified-Since", 0)		\
	X(H_KEEP_ALIVE, "Keep-Alive", 1)				\
	X(H_LAST_MODIFIED, "Last-Modified", 0)				\
	X(H_LINK, "Link", 0)						\
	X(H_LOCATION, "Location", 0)					\
	X(H_MAX_FORWARDS, "Max-Forwards", 0)				\
	X(H_ORIGIN, "Origin", 0)					\
	X(H_PRAGMA, "Pragma", 0)					\
	X(H_PRIORITY, "Priority", 0)					\
	X(H_PROXY_AUTHENTICATE, "Proxy-Authenticate", 1)		\
	X(H_PROXY_AUTHORIZATION, "Proxy-Authorization", 1)		\
	X(H_PROXY_CONNECTION, "Proxy-Connection", 1)			\
	X(H_RANGE, "Range", 0)						\
	X(H_REFERER, "Referer", 0)					\
	X(H_REFRESH, "Refresh", 0)					\
	X(H_RETRY_AFTER, "Retry-After", 0)				\
	X(H_SERVER, "Server", 0)					\
	X(H_SET_COOKIE, "Set-Cookie", 0)				\
	X(H_STATUS, "Status", 0)					\
	X(H_TE, "TE", 1)						\
	X(H_TRAILER, "Trailer", 1)					\
	X(H_TRANSFER_ENCODING, "Transfer-Encoding", 1)			\
	X(H_UPGRADE, "Upgrade", 1)					\
	X(H_USER_AGENT, "User-Agent", 0)				\
	X(H_VARY, "Vary", 0)						\
	X(H_VIA, "Via", 0)						\
	X(H_WWW_AUTHENTICATE, "WWW-Authenticate", 0)			\
	X(H_X_ACCEL_BUFFERING, "X-Accel-Buffering", 0)			\
	X(H_X_ACCEL_CHARSET, "X-Accel-Charset", 0)			\
	X(H_X_ACCEL_EXPIRES, "X-Accel-Expires", 0)			\
	X(H_X_ACCEL_LIMIT_RATE, "X-Accel-Limit-Rate", 0)		\
	X(H_X_ACCEL_REDIRECT, "X-Accel-Redirect", 0)			\
	X(H_X_FORWARDED_FOR, "X-Forwarded-For", 0)			\
	X(H_X_REAL_IP, "X-Real-IP", 0)

enum weir_known {
	H_UNKNOWN,
#define X(number, name, hop) number,
	WEIR_KNOWN_NAMES(X)
#undef X
	H_COUNT
};

enum weir_known name_find(struct weir_str);		/* ASCII case does not matter */
struct weir_str name_text(enum weir_known);
struct weir_str name_lower(enum weir_known);		/* for HTTP/2; both last as long as the process */
bool	name_is_hop(enum weir_known);

#endif
