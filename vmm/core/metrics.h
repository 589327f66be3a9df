/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics file: one JSON object a line, at start, every METRICS_PERIOD_NS and at exit. Owners
 * of counters register them as plain uint64_t words of their own struct, which they alone write:
 *
 *	static const struct metrics_field blk_fields[] = {
 *		METRICS_FIELD(struct blk_counters, read_bytes),
 *	};
 *	rc = metrics_register(m, "block", "rootfs", blk_fields, NELEM(blk_fields), counters, e);
 *
 * A line shows counters as their growth since the last line that reached the target whole, so a
 * fifo that was full loses nothing. Group names and keys are those of metrics_keys.h.
 *
 * Registration is the main thread's, before the VM starts. metrics_flush is for the main loop, any
 * exit path and fatal-signal handlers: no heap, no lock, bounded.
 */
#pragma once

#include "vmm/base/clock.h"
#include "vmm/base/err.h"
#include "vmm/core/metrics_keys.h"

#define METRICS_PERIOD_NS   (60 * CLOCK_NS_PER_S)
#define METRICS_SOURCES_MAX 96 /* 32 vCPUs, twice 17 virtio devices, the rest of the machine */
#define METRICS_LINE_SIZE   65536
#define METRICS_ID_SIZE     256
#define METRICS_EXTRA_SIZE  8192 /* of emit_id and properties, as they stand in a line */

struct metrics_field {
	const char *key;
	uint32_t offset; /* in the owner's struct: of one word, or a struct latency (METRICS_AGG) */
};

#define METRICS_FIELD(S, member)                                                                   \
	{                                                                                          \
		.key = #member, .offset = offsetof(S, member),                                     \
	}

struct metrics_source {
	const struct metrics_group *group;
	char id[METRICS_ID_SIZE];           /* "": counted in the group only */
	const unsigned char *base;          /* borrowed from the owner; outlives the metrics */
	const struct metrics_field *fields; /* borrowed, static */
	uint32_t field_count;
	uint8_t key_index[METRICS_KEYS_MAX]; /* of each field, in group->keys */
	uint64_t written[METRICS_KEYS_MAX];  /* each counter as of the last whole line */
	uint64_t sampled[METRICS_KEYS_MAX];  /* and as of the line being made */
};

/* Counters of the log and of the metrics themselves: the group "logger". */
struct metrics_own {
	uint64_t missed_metrics_count, metrics_fails, missed_log_count, rate_limited_log_count;
};

/* Zero it, then metrics_init. About 180 KiB: static, or part of a heap object. */
struct metrics {
	int fd;     /* owned, or -1: lines go nowhere */
	void *busy; /* atomic: who makes a line, or NULL; see metrics_flush_last */
	bool torn;  /* part of a line was written; the next starts on a new line */
	uint32_t source_count;
	struct metrics_own own;
	struct metrics_source sources[METRICS_SOURCES_MAX];
	char extra[METRICS_EXTRA_SIZE]; /* ",\"id\":…,\"properties\":{…}" or "" */
	size_t line_len;
	char line[METRICS_LINE_SIZE];
};

void metrics_init(struct metrics *m);
void metrics_fini(struct metrics *m);

/* Opens path (see log_open_target). Later lines go there. 0 or -errno naming metrics_path. */
int metrics_open(struct metrics *m, const char *path, struct err *e) MUST_USE;

/*
 * What else each line holds, from the next one on: "id", unless id is NULL, and "properties",
 * unless that text of a JSON object is NULL or "". 0, or -E2BIG naming metrics.properties.
 */
int metrics_set_extra(
	struct metrics *m, const char *id, const char *properties, struct err *e) MUST_USE;

/*
 * Adds base, a struct of the owner, to a group. With an id, of letters, digits and _, there is
 * also a group of its own, GROUP_ID. Several sources of a group are summed. A group or key that
 * metrics_keys.c does not have is a bug. -ENOSPC or -EINVAL.
 */
int metrics_register(struct metrics *m, const char *group, const char *id,
	const struct metrics_field *fields, uint32_t field_count, const void *base,
	struct err *e) MUST_USE;

/*
 * Takes back what was registered since mark, a former source_count: their owners are going. What
 * they counted since the last line is lost.
 */
void metrics_forget_since(struct metrics *m, uint32_t mark);

/*
 * Writes one line. 0 (also without a target), -EBUSY if a line is being made, or what write(2)
 * said. Failures are counted in the group "logger".
 */
int metrics_flush(struct metrics *m);

/*
 * The last line, from a handler that ends the process. A line that the interrupted code of this
 * very thread was making is given up; one of another thread is waited for, but not for ever.
 */
int metrics_flush_last(struct metrics *m);

/*
 * The same counters, since the start rather than since the last line, in Prometheus's text format
 * 0.0.4, with a histogram for each *_agg. Only what some source feeds. *ret is the caller's, from
 * the heap. 0 or -ENOMEM. Main thread.
 */
int metrics_print_prometheus(const struct metrics *m, char **ret, size_t *ret_len) MUST_USE;
