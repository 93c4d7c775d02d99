// SPDX-License-Identifier: GPL-2.0-or-later
/* RFC 3339 and a few words; what is not exactly one of them is refused. */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "when.h"

/* @form: a 'd' for each digit, else the character itself; so many are looked at */
static bool has_form(const char *s, const char *form)
{
	for (; *form; s++, form++)
		if (*form == 'd' ? !isdigit((unsigned char)*s) : *s != *form)
			return false;
	return true;
}

static int number(const char *s, int digits)
{
	int v = 0;

	while (digits--)
		v = v * 10 + (*s++ - '0');
	return v;
}

/* The day that a text of the form dddd-dd-dd has, if there is such a day. */
static bool day(const char *s, struct tm *tm)
{
	struct tm same;
	time_t t;

	memset(tm, 0, sizeof(*tm));
	tm->tm_year = number(s, 4) - 1900;
	tm->tm_mon = number(s + 5, 2) - 1;
	tm->tm_mday = number(s + 8, 2);
	same = *tm;
	if (tm->tm_year < 70)
		return false;
	t = timegm(&same);
	return t != (time_t)-1 && same.tm_mon == tm->tm_mon && same.tm_mday == tm->tm_mday;
}

static bool midnight(struct tm *tm, int days, time_t *t)
{
	tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
	tm->tm_mday += days;
	tm->tm_isdst = -1;
	*t = mktime(tm);
	return *t != (time_t)-1;
}

/* "Z" or "+01:30" to seconds east of Greenwich. */
static bool zone(const char *s, int *seconds)
{
	int hours, minutes;

	*seconds = 0;
	if (!strcmp(s, "Z"))
		return true;
	if ((*s != '+' && *s != '-') || !has_form(s + 1, "dd:dd") || s[6])
		return false;
	hours = number(s + 1, 2);
	minutes = number(s + 4, 2);
	*seconds = (*s == '-' ? -60 : 60) * (hours * 60 + minutes);
	return hours < 24 && minutes < 60;
}

static bool date_time(const char *s, time_t *t, int *ms)
{
	const char *rest = s + 19;
	struct tm tm;
	int east;

	if (!has_form(s, "dddd-dd-ddTdd:dd:dd") || !day(s, &tm))
		return false;
	tm.tm_hour = number(s + 11, 2);
	tm.tm_min = number(s + 14, 2);
	tm.tm_sec = number(s + 17, 2);
	if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
		return false;
	if (*rest == '.') {
		size_t digits = strspn(rest + 1, "0123456789"), i;

		if (!digits || digits > 9)
			return false;
		for (i = 1; i <= 3; i++)
			*ms = *ms * 10 + (i <= digits ? rest[i] - '0' : 0);
		rest += 1 + digits;
	}
	if (!zone(rest, &east))
		return false;
	*t = timegm(&tm) - east;
	return true;
}

static bool ago(const char *s, time_t now, time_t *t)
{
	static const char units[] = "smhdw";
	static const int seconds[] = { 1, 60, 3600, 86400, 7 * 86400 };
	size_t digits = strspn(s, "0123456789");
	const char *unit;

	if (!digits || digits > 5 || *s == '0' || !s[digits] || s[digits + 1])
		return false;
	unit = strchr(units, s[digits]);
	if (!unit)
		return false;
	*t = now - (time_t)number(s, (int)digits) * seconds[unit - units];
	return true;
}

static bool parse(const char *s, time_t now, time_t *t, int *ms)
{
	struct tm tm;

	*ms = 0;
	if (!strcmp(s, "today"))
		return localtime_r(&now, &tm) && midnight(&tm, 0, t);
	if (!strcmp(s, "yesterday"))
		return localtime_r(&now, &tm) && midnight(&tm, -1, t);
	if (has_form(s, "dddd-dd-dd") && !s[10])
		return day(s, &tm) && midnight(&tm, 0, t);
	return ago(s, now, t) || date_time(s, t, ms);
}

int kc_when(const char *text, time_t now, char out[static KC_WHEN_LEN + 1], struct kc_error *err)
{
	struct tm tm;
	time_t t;
	int ms;

	/* four digits of a year: what is compared as text */
	if (!parse(text, now, &t, &ms) || !gmtime_r(&t, &tm) || tm.tm_year < 70 || tm.tm_year > 9999 - 1900)
		return kc_fail(err, KC_USAGE, "say it as 2026-11-25, 2026-11-25T02:40:00Z, 2h, 3d, today or yesterday",
			       "\"%.64s\" is not a time", text);
	strftime(out, KC_WHEN_LEN + 1, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + KC_WHEN_LEN - 5, 6, ".%03uZ", (unsigned int)ms % 1000);
	return 0;
}
