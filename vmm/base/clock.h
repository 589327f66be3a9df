/* SPDX-License-Identifier: Apache-2.0 */
/* Host clocks, in nanoseconds. Any thread; async-signal-safe. */
#pragma once

#include <stdint.h>

#define CLOCK_NS_PER_US  1000ULL
#define CLOCK_NS_PER_MS  1000000ULL
#define CLOCK_NS_PER_S   1000000000ULL
#define CLOCK_STAMP_SIZE 40

uint64_t clock_mono_ns(void);        /* CLOCK_MONOTONIC */
uint64_t clock_real_ns(void);        /* CLOCK_REALTIME */
uint64_t clock_process_cpu_ns(void); /* CLOCK_PROCESS_CPUTIME_ID */

/* "2026-01-31T23:59:59.123456789", UTC. Not via gmtime: that may open the time-zone file. */
void clock_stamp_utc(char buf[CLOCK_STAMP_SIZE]);
