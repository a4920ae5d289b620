/*
 * target.c - what proxy_pass and its kin name: its parts.
 */
#include "http/up/target.h"

bool
target_split(struct weir_str url, const struct weir_up_kind *k, struct weir_str *host, struct weir_str *uri, bool *secure)
{
	bool clear = str_ibegins(url, str_c(k->clear));
	ssize_t at;

	*secure = k->secure != NULL && str_ibegins(url, str_c(k->secure));
	if (!*secure && !clear && !k->bare)
		return false;
	url = str_from(url, *secure ? strlen(k->secure) : clear ? strlen(k->clear) : 0);
	if (str_ibegins(url, STR("unix:"))) {
		struct weir_str rest = str_from(url, 5);

		at = str_chr(rest, ':');
		*host = at < 0 ? url : str_of(url.p, (size_t)at + 5);
		*uri = at < 0 ? STR("") : str_from(rest, (size_t)at + 1);
		return host->n > 5;
	}
	for (at = 0; (size_t)at < url.n && url.p[at] != '/' && url.p[at] != '?'; at++)
		;
	*host = str_of(url.p, (size_t)at);
	*uri = str_from(url, (size_t)at);
	return host->n != 0;
}
