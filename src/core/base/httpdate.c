/*
 * httpdate.c - dates of the Gregorian calendar and of HTTP (RFC 9110, 5.6.7).
 */
#include "core/base/clock.h"

const char civil_days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
const char civil_months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};
static const char *const long_days[7] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
};

#define DAY		86400
#define ERA_DAYS	146097		/* 400 years */
#define TO_MARCH_0	719468		/* days from 0000-03-01 to 1970-01-01 */

/*
 * Years are counted from March, so that the odd day is the last of the year
 * and the months before it have a fixed rhythm: 153 days for each five.
 */
void
civil_of(struct weir_civil *c, int64_t sec)
{
	int64_t	 days, era;
	unsigned s, doe, yoe, doy, mp;

	days = sec / DAY;
	if (sec % DAY < 0)
		days--;
	s = (unsigned)(sec - days * DAY);
	c->hour = s / 3600;
	c->min = s / 60 % 60;
	c->sec = s % 60;
	c->wday = (unsigned)(((days + 4) % 7 + 7) % 7);

	days += TO_MARCH_0;
	era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
	doe = (unsigned)(days - era * ERA_DAYS);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	c->day = doy - (153 * mp + 2) / 5 + 1;
	c->month = mp < 10 ? mp + 3 : mp - 9;
	c->year = (int64_t)yoe + era * 400 + (c->month <= 2);
}

int64_t
civil_sec(const struct weir_civil *c)
{
	int64_t	 year = c->year - (c->month <= 2), era;
	unsigned yoe, doy, doe;

	era = (year >= 0 ? year : year - 399) / 400;
	yoe = (unsigned)(year - era * 400);
	doy = (153 * (c->month > 2 ? c->month - 3 : c->month + 9) + 2) / 5 + c->day - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return (era * ERA_DAYS + (int64_t)doe - TO_MARCH_0) * DAY +
	    (int64_t)(c->hour * 3600 + c->min * 60 + c->sec);
}

static char *
put2(char *to, unsigned n)
{
	to[0] = (char)('0' + n / 10 % 10);
	to[1] = (char)('0' + n % 10);
	return to + 2;
}

/* The year that four digits can say is clamped, for files with absurd times. */
#define LAST_SECOND	253402300799		/* 9999-12-31T23:59:59 */
#define FIRST_SECOND	(-62167219200)		/* 0000-01-01T00:00:00 */

void
http_date_put(char *to, time_t t)
{
	struct weir_civil c;

	civil_of(&c, WEIR_MIN(WEIR_MAX((int64_t)t, FIRST_SECOND), LAST_SECOND));
	memcpy(to, civil_days[c.wday], 3);
	memcpy(to + 3, ", ", 2);
	to = put2(to + 5, c.day);
	*to++ = ' ';
	memcpy(to, civil_months[c.month - 1], 3);
	to[3] = ' ';
	to = put2(to + 4, (unsigned)c.year / 100);
	to = put2(to, (unsigned)c.year % 100);
	*to++ = ' ';
	to = put2(to, c.hour);
	*to++ = ':';
	to = put2(to, c.min);
	*to++ = ':';
	to = put2(to, c.sec);
	memcpy(to, " GMT", 4);
}

/*
 * Reading: each of these takes its part from the front of `s`, or says no.
 */

static bool
take(struct weir_str *s, struct weir_str text)
{
	if (!str_begins(*s, text))
		return false;
	*s = str_from(*s, text.n);
	return true;
}

static bool
take_num(struct weir_str *s, unsigned digits, unsigned *to)
{
	unsigned n = 0, i;

	if (s->n < digits)
		return false;
	for (i = 0; i < digits; i++) {
		unsigned d = (unsigned)(unsigned char)s->p[i] - '0';

		if (d > 9)
			return false;
		n = n * 10 + d;
	}
	*s = str_from(*s, digits);
	*to = n;
	return true;
}

static bool
take_month(struct weir_str *s, struct weir_civil *c)
{
	unsigned i;

	for (i = 0; i < 12; i++)
		if (take(s, str_of(civil_months[i], 3))) {
			c->month = i + 1;
			return true;
		}
	return false;
}

static bool
take_time(struct weir_str *s, struct weir_civil *c)
{
	return take_num(s, 2, &c->hour) && take(s, STR(":")) && take_num(s, 2, &c->min) &&
	    take(s, STR(":")) && take_num(s, 2, &c->sec);
}

/* A short day name, or a long one; it is not compared with the date. */
static bool
take_day(struct weir_str *s, bool *is_long)
{
	unsigned i;

	for (i = 0; i < 7; i++) {
		if (take(s, str_c(long_days[i]))) {
			*is_long = true;
			return true;
		}
		if (take(s, str_of(civil_days[i], 3))) {
			*is_long = false;
			return true;
		}
	}
	return false;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool
read_fix(struct weir_str s, struct weir_civil *c)
{
	unsigned year;

	if (!take(&s, STR(", ")) || !take_num(&s, 2, &c->day) || !take(&s, STR(" ")) ||
	    !take_month(&s, c) || !take(&s, STR(" ")) || !take_num(&s, 4, &year) ||
	    !take(&s, STR(" ")) || !take_time(&s, c) || !take(&s, STR(" GMT")))
		return false;
	c->year = year;
	return s.n == 0;
}

/*
 * Sunday, 06-Nov-94 08:49:37 GMT.  A date that seems more than 50 years ahead
 * is the most recent past year with these digits.
 */
static bool
read_850(struct weir_str s, struct weir_civil *c)
{
	struct weir_civil now;
	unsigned	  yy;

	if (!take(&s, STR(", ")) || !take_num(&s, 2, &c->day) || !take(&s, STR("-")) ||
	    !take_month(&s, c) || !take(&s, STR("-")) || !take_num(&s, 2, &yy) ||
	    !take(&s, STR(" ")) || !take_time(&s, c) || !take(&s, STR(" GMT")))
		return false;
	if (weir_wall_ms == 0)
		clock_update();
	civil_of(&now, (int64_t)(weir_wall_ms / 1000));
	c->year = now.year / 100 * 100 + yy;
	if (c->year > now.year + 50)
		c->year -= 100;
	else if (c->year + 50 <= now.year)
		c->year += 100;
	return s.n == 0;
}

/* Sun Nov  6 08:49:37 1994 */
static bool
read_asctime(struct weir_str s, struct weir_civil *c)
{
	unsigned year;

	if (!take(&s, STR(" ")) || !take_month(&s, c) || !take(&s, STR(" ")))
		return false;
	if (take(&s, STR(" ")) ? !take_num(&s, 1, &c->day) : !take_num(&s, 2, &c->day))
		return false;
	if (!take(&s, STR(" ")) || !take_time(&s, c) || !take(&s, STR(" ")) ||
	    !take_num(&s, 4, &year))
		return false;
	c->year = year;
	return s.n == 0;
}

static unsigned
month_days(const struct weir_civil *c)
{
	static const unsigned char days[12] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31,
	};
	bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);

	return days[c->month - 1] + (c->month == 2 && leap);
}

int64_t
http_date_read(struct weir_str s)
{
	struct weir_civil c;
	bool		  is_long;
	int64_t		  t;

	if (!take_day(&s, &is_long))
		return -1;
	if (is_long ? !read_850(s, &c) : !read_fix(s, &c) && !read_asctime(s, &c))
		return -1;
	/* 60: a leap second. */
	if (c.day < 1 || c.day > month_days(&c) || c.hour > 23 || c.min > 59 || c.sec > 60)
		return -1;
	t = civil_sec(&c);
	return t < 0 ? 0 : t;
}
