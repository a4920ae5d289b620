/*
 * clock.c - the time, and its texts, which are made when first asked for in
 * each second.
 *
 * The offset of local time is asked of the C library once in each quarter of an
 * hour: no zone changes its clocks in between.
 */
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"

uint64_t weir_now_ms, weir_wall_ms;

static int64_t	offset_sec;			/* local time minus UTC */
static int64_t	offset_quarter = INT64_MIN;	/* for which it holds */

static uint64_t
read_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void
clock_update(void)
{
	weir_now_ms = read_ms(CLOCK_MONOTONIC);
	weir_wall_ms = read_ms(CLOCK_REALTIME);
}

static int64_t
second(void)
{
	if (unlikely(weir_wall_ms == 0))
		clock_update();
	return (int64_t)(weir_wall_ms / 1000);
}

/* The date of the current second in local time. */
static void
local(struct weir_civil *c, int64_t sec)
{
	if (sec / 900 != offset_quarter) {
		time_t	  t = (time_t)sec;
		struct tm tm;

		offset_quarter = sec / 900;
		offset_sec = localtime_r(&t, &tm) != NULL ? tm.tm_gmtoff : 0;
	}
	civil_of(c, sec + offset_sec);
}

static char *
put(char *to, unsigned n, unsigned digits, char after)
{
	unsigned i;

	for (i = digits; i-- > 0; n /= 10)
		to[i] = (char)('0' + n % 10);
	to[digits] = after;
	return to + digits + 1;
}

static char *
put_time(char *to, const struct weir_civil *c, char after)
{
	to = put(to, c->hour, 2, ':');
	to = put(to, c->min, 2, ':');
	return put(to, c->sec, 2, after);
}

/* The offset as +0130, or +01:30 with a colon. */
static char *
put_offset(char *to, bool colon)
{
	unsigned min = (unsigned)(llabs(offset_sec) / 60);

	*to++ = offset_sec < 0 ? '-' : '+';
	to = put(to, min / 60, 2, ':');
	return put(colon ? to : to - 1, min % 60, 2, '\0') - 1;
}

static char *
put_log(char *to, const struct weir_civil *c)
{
	to = put(to, c->day, 2, '/');
	memcpy(to, civil_months[c->month - 1], 3);
	to[3] = '/';
	to = put(to + 4, (unsigned)c->year, 4, ':');
	return put_offset(put_time(to, c, ' '), false);
}

static char *
put_iso(char *to, const struct weir_civil *c)
{
	to = put(to, (unsigned)c->year, 4, '-');
	to = put(to, c->month, 2, '-');
	to = put(to, c->day, 2, 'T');
	return put_offset(put_time(to, c, '\0') - 1, true);
}

static char *
put_err(char *to, const struct weir_civil *c)
{
	to = put(to, (unsigned)c->year, 4, '/');
	to = put(to, c->month, 2, '/');
	to = put(to, c->day, 2, ' ');
	return put_time(to, c, '\0') - 1;
}

static char *
put_syslog(char *to, const struct weir_civil *c)
{
	memcpy(to, civil_months[c->month - 1], 3);
	to[3] = ' ';
	put(to + 4, c->day, 2, ' ');
	if (to[4] == '0')
		to[4] = ' ';
	return put_time(to + 7, c, '\0') - 1;
}

struct text {
	int64_t	sec;			/* of which it is the text; 0: none yet */
	size_t	n;
	char	buf[40];
};

static struct weir_str
text(struct text *t, char *(*make)(char *, const struct weir_civil *))
{
	int64_t sec = second();

	if (unlikely(t->sec != sec)) {
		struct weir_civil c;

		local(&c, sec);
		t->n = (size_t)(make(t->buf, &c) - t->buf);
		t->sec = sec;
	}
	return str_of(t->buf, t->n);
}

struct weir_str
clock_log_time(void)
{
	static struct text t;

	return text(&t, put_log);
}

struct weir_str
clock_iso8601(void)
{
	static struct text t;

	return text(&t, put_iso);
}

struct weir_str
clock_err_time(void)
{
	static struct text t;

	return text(&t, put_err);
}

struct weir_str
clock_syslog_time(void)
{
	static struct text t;

	return text(&t, put_syslog);
}

void
clock_err_time_put(char to[CLOCK_ERR_LEN])
{
	struct weir_civil c;
	char		  tmp[CLOCK_ERR_LEN + 1];

	civil_of(&c, (int64_t)(read_ms(CLOCK_REALTIME) / 1000) + offset_sec);
	put_err(tmp, &c);
	memcpy(to, tmp, CLOCK_ERR_LEN);
}

struct weir_str
clock_http_date(void)
{
	static struct text t;
	int64_t		   sec = second();

	if (unlikely(t.sec != sec)) {
		http_date_put(t.buf, (time_t)sec);
		t.n = HTTP_DATE_LEN;
		t.sec = sec;
	}
	return str_of(t.buf, t.n);
}
