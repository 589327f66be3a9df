/* SPDX-License-Identifier: Apache-2.0 */
/* Host clocks. See clock.h. */
#include "vmm/base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* #syscalls:* clock_gettime */
uint64_t clock_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_real_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t clock_process_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* Proleptic Gregorian date of a day count since 1970-01-01, counted in years that start in March. */
void clock_stamp_utc(char buf[CLOCK_STAMP_SIZE])
{
	uint64_t now = clock_real_ns();
	uint64_t secs = now / CLOCK_NS_PER_S;
	unsigned tod = (unsigned)(secs % 86400);
	uint64_t day = secs / 86400 + 719468; /* since 0000-03-01 */
	unsigned era_day = (unsigned)(day % 146097);
	unsigned era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
	unsigned year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
	unsigned month = (5 * year_day + 2) / 153; /* 0 is March */
	unsigned dom = year_day - (153 * month + 2) / 5 + 1;
	unsigned year = (unsigned)(day / 146097) * 400 + era_year + (month >= 10 ? 1 : 0);

	(void)snprintf(buf, CLOCK_STAMP_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%09u", year,
		month < 10 ? month + 3 : month - 9, dom, tod / 3600, tod / 60 % 60, tod % 60,
		(unsigned)(now % CLOCK_NS_PER_S));
}
