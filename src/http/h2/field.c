/*
 * field.c - one field of a head, whichever side it comes from.
 */
#include "http/h2/field.h"
#include "http/msg/chars.h"

bool
h2_is_connection_field(enum weir_known k)
{
	return k == H_CONNECTION || k == H_KEEP_ALIVE || k == H_PROXY_CONNECTION || k == H_UPGRADE ||
	    k == H_TRANSFER_ENCODING || k == H_HTTP2_SETTINGS;
}

bool
h2_value_ok(struct weir_str v)
{
	if (v.n == 0)
		return true;
	if (v.p[0] == ' ' || v.p[0] == '\t' || v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t')
		return false;
	return is_field_value(v);
}

static enum h2_name
judge(struct weir_str n)
{
	enum h2_name is = NAME_FINE;

	if (n.n == 0)
		return NAME_BAD;
	for (size_t i = 0; i < n.n; i++) {
		unsigned c = ch(n.p[i]);

		if (!(c & CH_TOKEN) || (c & CH_UPPER))
			return NAME_BAD;
		if (c & CH_NAME)
			continue;
		if (n.p[i] != '_')
			is = NAME_ODD;
		else if (is == NAME_FINE)
			is = NAME_UNDERSCORE;
	}
	return is;
}

enum h2_name
h2_name_judge(struct weir_str n, enum weir_known *k)
{
	*k = name_find(n);
	if (*k != H_UNKNOWN && memcmp(n.p, name_lower(*k).p, n.n) == 0)
		return NAME_FINE;
	return judge(n);
}

static const bool not_behind[H_COUNT] = {
	[H_HOST] = true, [H_CONTENT_LENGTH] = true, [H_TRAILER] = true, [H_TE] = true, [H_AUTHORIZATION] = true,
	[H_PROXY_AUTHORIZATION] = true, [H_PROXY_AUTHENTICATE] = true, [H_WWW_AUTHENTICATE] = true,
	[H_COOKIE] = true, [H_SET_COOKIE] = true, [H_FORWARDED] = true, [H_X_FORWARDED_FOR] = true,
	[H_X_REAL_IP] = true, [H_VIA] = true, [H_MAX_FORWARDS] = true, [H_EXPECT] = true,
	[H_CONTENT_TYPE] = true, [H_CONTENT_ENCODING] = true, [H_CONTENT_RANGE] = true,
	[H_CACHE_CONTROL] = true, [H_PRAGMA] = true, [H_RANGE] = true, [H_IF_MATCH] = true,
	[H_IF_NONE_MATCH] = true, [H_IF_MODIFIED_SINCE] = true, [H_IF_UNMODIFIED_SINCE] = true,
	[H_IF_RANGE] = true, [H_AGE] = true, [H_DATE] = true, [H_EXPIRES] = true, [H_LOCATION] = true,
	[H_RETRY_AFTER] = true, [H_VARY] = true, [H_EARLY_DATA] = true,
};

bool
h2_may_be_behind(enum weir_known k)
{
	return !not_behind[k];
}

void
h2_field_keep(struct weir_fields *to, struct weir_pool *pool, enum weir_known k, struct weir_str name,
    struct weir_str value)
{
	name = k != H_UNKNOWN ? name_lower(k) : pool_str(pool, name);
	fields_add_as(to, pool, k, name, pool_str(pool, value));
}
