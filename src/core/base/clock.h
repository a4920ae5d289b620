/*
 * clock.h - what time it is, as of the last turn of the loop.
 *
 * The loop calls clock_update() once a turn; everything else reads the cached
 * values.  Intervals are measured on the monotonic clock, so that a jump of
 * the wall clock neither locks anybody out nor lets anybody in.
 */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <time.h>

#include "core/base/str.h"

extern uint64_t weir_now_ms;		/* monotonic */
extern uint64_t weir_wall_ms;		/* since 1970 */

void	 clock_update(void);
/* Texts of the current second, made at most once a second. */
struct weir_str clock_http_date(void);		/* Sun, 06 Nov 1994 08:49:37 GMT */
struct weir_str clock_log_time(void);		/* 06/Nov/1994:08:49:37 +0000 */
struct weir_str clock_iso8601(void);		/* 1994-11-06T08:49:37+00:00 */
struct weir_str clock_err_time(void);		/* 1994/11/06 08:49:37 */
struct weir_str clock_syslog_time(void);	/* Nov  6 08:49:37 (RFC 3164, 4.1.2) */

/*
 * The current second as clock_err_time() says it, for signal handlers: reads the
 * clock itself, uses the offset of local time that was last known, keeps no state.
 */
#define CLOCK_ERR_LEN 19
void	 clock_err_time_put(char to[CLOCK_ERR_LEN]);

/* A second since 1970 as a date, without time zones: what gmtime(3) gives, cheaper. */
struct weir_civil {
	int64_t	 year;
	unsigned month, day;			/* from 1 */
	unsigned hour, min, sec;
	unsigned wday;				/* 0: Sunday */
};

void	 civil_of(struct weir_civil *, int64_t sec);
int64_t	 civil_sec(const struct weir_civil *);	/* wday is not looked at */

extern const char civil_days[7][4], civil_months[12][4];	/* "Sun", "Jan" */

#define HTTP_DATE_LEN 29
/*
 * RFC 9110, 5.6.7: writes HTTP_DATE_LEN bytes; reads all three formats, -1 when it is none.
 * A date before 1970 reads as 0: it is a date, and older than anything.
 */
void	 http_date_put(char *to, time_t);
int64_t	 http_date_read(struct weir_str);

#endif
