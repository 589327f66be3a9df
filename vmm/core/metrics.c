/* SPDX-License-Identifier: Apache-2.0 */
/* Making and writing metrics lines. See metrics.h. */
#include "vmm/core/metrics.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A line takes microseconds, unless its thread is not given the CPU. */
#define METRICS_LAST_WAIT_NS CLOCK_NS_PER_S

static const struct metrics_field metrics_own_fields[] = {
	METRICS_FIELD(struct metrics_own, missed_metrics_count),
	METRICS_FIELD(struct metrics_own, metrics_fails),
	METRICS_FIELD(struct metrics_own, missed_log_count),
	METRICS_FIELD(struct metrics_own, rate_limited_log_count),
};

void metrics_init(struct metrics *m)
{
	struct err e;

	m->fd = -1;
	m->busy = NULL;
	m->torn = false;
	m->extra[0] = '\0';
	m->source_count = 0;
	memset(&m->own, 0, sizeof(m->own));
	int rc = metrics_register(
		m, "logger", NULL, metrics_own_fields, NELEM(metrics_own_fields), &m->own, &e);

	CHECK(rc == 0);
}

void metrics_fini(struct metrics *m)
{
	fd_close(&m->fd);
	m->source_count = 0;
}

int metrics_open(struct metrics *m, const char *path, struct err *e)
{
	int fd = log_open_target(path, "metrics_path", e);

	if (fd < 0)
		return fd;
	fd_close(&m->fd);
	m->fd = fd;
	return 0;
}

int metrics_set_extra(struct metrics *m, const char *id, const char *properties, struct err *e)
{
	char text[METRICS_EXTRA_SIZE];
	bool has_properties = properties && *properties;
	int n = snprintf(text, sizeof(text), "%s%s%s%s%s", id ? ",\"id\":\"" : "", id ? id : "",
		id ? "\"" : "", has_properties ? ",\"properties\":" : "",
		has_properties ? properties : "");

	if (n < 0 || (size_t)n >= sizeof(text))
		return err_set(
			e, -E2BIG, "metrics.properties: longer than %zu bytes", sizeof(text) - 1);
	memcpy(m->extra, text, (size_t)n + 1);
	return 0;
}

static const struct metrics_group *metrics_find_group(const char *name)
{
	for (uint32_t i = 0; i < metrics_group_count; i++)
		if (strcmp(metrics_groups[i].name, name) == 0)
			return &metrics_groups[i];
	return NULL;
}

static uint32_t metrics_find_key(const struct metrics_group *g, const char *name)
{
	uint32_t i = 0;

	while (i < g->key_count && strcmp(g->keys[i].name, name) != 0)
		i++;
	return i;
}

int metrics_register(struct metrics *m, const char *group, const char *id,
	const struct metrics_field *fields, uint32_t field_count, const void *base, struct err *e)
{
	const struct metrics_group *g = metrics_find_group(group);
	struct metrics_source *s;

	CHECK(g && g->key_count <= METRICS_KEYS_MAX && field_count <= g->key_count);
	if (m->source_count == METRICS_SOURCES_MAX)
		return err_set(e, -ENOSPC, "metrics: no room for another %s", group);
	if (id && (!*id || strlen(id) >= METRICS_ID_SIZE ||
			  id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"0123456789_")]))
		return err_set(e, -EINVAL,
			"metrics: \"%.64s\" is not an id; only letters, digits and _ are allowed",
			id);
	s = &m->sources[m->source_count];
	memset(s, 0, sizeof(*s));
	s->group = g;
	s->base = base;
	s->fields = fields;
	s->field_count = field_count;
	(void)snprintf(s->id, sizeof(s->id), "%s", id ? id : "");
	for (uint32_t i = 0; i < field_count; i++) {
		uint32_t k = metrics_find_key(g, fields[i].key);

		CHECK(k < g->key_count);
		s->key_index[i] = (uint8_t)k;
	}
	m->source_count++;
	return 0;
}

void metrics_forget_since(struct metrics *m, uint32_t mark)
{
	m->source_count = MIN(m->source_count, mark);
}

/* What is printed of one group; an aggregate has its three values, others use sum. */
struct metrics_value {
	uint64_t min, max, sum;
};

static uint64_t metrics_load(const struct metrics_source *s, uint32_t field, uint32_t word)
{
	const unsigned char *at = s->base + s->fields[field].offset + word * sizeof(uint64_t);

	return __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED);
}

/* Adds a source, as sampled by metrics_sample, to the values of its group or of itself. */
static void metrics_add(
	const struct metrics_source *s, bool with_extremes, struct metrics_value *values)
{
	for (uint32_t i = 0; i < s->field_count; i++) {
		struct metrics_value *v = &values[s->key_index[i]];
		uint64_t growth = s->sampled[i] - s->written[i];

		switch ((enum metrics_kind)s->group->keys[s->key_index[i]].kind) {
		case METRICS_DELTA:
			v->sum += growth;
			break;
		case METRICS_STORE:
			v->sum += s->sampled[i];
			break;
		case METRICS_AGG:
			v->sum += growth;
			if (with_extremes) {
				uint64_t min = metrics_load(s, i, 0);

				/* 0: nothing measured yet */
				if (min && (!v->min || min < v->min))
					v->min = min;
				v->max = MAX(v->max, metrics_load(s, i, 1));
			}
			break;
		}
	}
}

static void metrics_sample(struct metrics *m)
{
	m->own.missed_log_count = log_missed_count();
	m->own.rate_limited_log_count = log_limited_count();
	for (uint32_t i = 0; i < m->source_count; i++) {
		struct metrics_source *s = &m->sources[i];

		for (uint32_t k = 0; k < s->field_count; k++) {
			bool agg = s->group->keys[s->key_index[k]].kind == METRICS_AGG;

			s->sampled[k] = metrics_load(s, k, agg ? 2 : 0);
		}
	}
}

/* What no longer fits is dropped, and seen by line_len reaching the end. */
static void metrics_put(struct metrics *m, const char *text)
{
	size_t len = MIN(strlen(text), sizeof(m->line) - m->line_len);

	memcpy(m->line + m->line_len, text, len);
	m->line_len += len;
}

/* Puts  SEPARATOR"NAME":VALUE . By hand: snprintf is not async-signal-safe. */
static void metrics_put_number(
	struct metrics *m, const char *separator, const char *name, uint64_t value)
{
	char digits[24];
	char *p = digits + sizeof(digits) - 1;

	*p = '\0';
	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	metrics_put(m, separator);
	metrics_put(m, "\"");
	metrics_put(m, name);
	metrics_put(m, "\":");
	metrics_put(m, p);
}

static void metrics_put_group(struct metrics *m, const struct metrics_group *g, const char *id,
	const struct metrics_value *values)
{
	metrics_put(m, ",\"");
	metrics_put(m, g->name);
	if (id) {
		metrics_put(m, "_");
		metrics_put(m, id);
	}
	metrics_put(m, "\":{");
	for (uint32_t i = 0; i < g->key_count; i++) {
		const char *separator = i ? "," : "";

		if (g->keys[i].kind != METRICS_AGG) {
			metrics_put_number(m, separator, g->keys[i].name, values[i].sum);
			continue;
		}
		metrics_put(m, separator);
		metrics_put(m, "\"");
		metrics_put(m, g->keys[i].name);
		metrics_put_number(m, "\":{", "min_us", values[i].min);
		metrics_put_number(m, ",", "max_us", values[i].max);
		metrics_put_number(m, ",", "sum_us", values[i].sum);
		metrics_put(m, "}");
	}
	metrics_put(m, "}");
}

/* The group over all its sources, then one group for each source that has an id. */
static void metrics_put_sources(struct metrics *m, const struct metrics_group *g)
{
	struct metrics_value values[METRICS_KEYS_MAX] = {0};

	for (uint32_t i = 0; i < m->source_count; i++)
		if (m->sources[i].group == g)
			metrics_add(&m->sources[i], m->sources[i].id[0] == '\0', values);
	if (!g->instances_only)
		metrics_put_group(m, g, NULL, values);
	for (uint32_t i = 0; i < m->source_count; i++) {
		const struct metrics_source *s = &m->sources[i];

		if (s->group != g || s->id[0] == '\0')
			continue;
		memset(values, 0, sizeof(values));
		metrics_add(s, true, values);
		metrics_put_group(m, g, s->id, values);
	}
}

static int metrics_make_line(struct metrics *m)
{
	metrics_sample(m);
	m->line_len = 0;
	metrics_put(m, m->torn ? "\n" : "");
	metrics_put_number(m, "{", "utc_timestamp_ms", clock_real_ns() / CLOCK_NS_PER_MS);
	metrics_put(m, m->extra);
	for (uint32_t i = 0; i < metrics_group_count; i++)
		if (!metrics_groups[i].page_only)
			metrics_put_sources(m, &metrics_groups[i]);
	metrics_put(m, "}\n");
	return m->line_len < sizeof(m->line) ? 0 : -ENOSPC;
}

/* #syscalls:* write */
static int metrics_write_line(struct metrics *m)
{
	ssize_t n;

	do
		n = write(m->fd, m->line, m->line_len);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)m->line_len) {
		m->torn = false;
		for (uint32_t i = 0; i < m->source_count; i++)
			memcpy(m->sources[i].written, m->sources[i].sampled,
				sizeof(m->sources[i].written));
		return 0;
	}
	if (n < 0)
		return -errno;
	m->torn = m->torn ? n != 1 : n > 0;
	return -EAGAIN;
}

/* Makes and writes a line; whoever calls has set busy. */
static int metrics_do_line(struct metrics *m)
{
	int rc = metrics_make_line(m);

	if (rc < 0) {
		(void)__atomic_fetch_add(&m->own.metrics_fails, 1, __ATOMIC_RELAXED);
		return rc;
	}
	rc = metrics_write_line(m);
	if (rc < 0)
		(void)__atomic_fetch_add(&m->own.missed_metrics_count, 1, __ATOMIC_RELAXED);
	return rc;
}

/* Stands for the calling thread, without a system call. */
static void *metrics_self(void)
{
	static _Thread_local char self;

	return &self;
}

static void *metrics_claim(struct metrics *m)
{
	void *nobody = NULL;

	(void)__atomic_compare_exchange_n(
		&m->busy, &nobody, metrics_self(), false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE);
	return nobody;
}

int metrics_flush(struct metrics *m)
{
	int rc;

	if (m->fd < 0)
		return 0;
	if (metrics_claim(m)) {
		(void)__atomic_fetch_add(&m->own.missed_metrics_count, 1, __ATOMIC_RELAXED);
		return -EBUSY;
	}
	rc = metrics_do_line(m);
	__atomic_store_n(&m->busy, NULL, __ATOMIC_RELEASE);
	return rc;
}

int metrics_flush_last(struct metrics *m)
{
	uint64_t start = clock_mono_ns();
	void *owner;

	if (m->fd < 0)
		return 0;
	while ((owner = metrics_claim(m)) && owner != metrics_self()) {
		if (clock_mono_ns() - start > METRICS_LAST_WAIT_NS)
			return -EBUSY;
		__builtin_ia32_pause();
	}
	return metrics_do_line(m);
}
