/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters as a Prometheus page (text format 0.0.4).
 *
 *	METRICS_DELTA  counter    mayfly_GROUP_KEY_total
 *	METRICS_STORE  gauge      mayfly_GROUP_KEY
 *	METRICS_AGG    histogram  mayfly_GROUP_KEY_seconds, without the key's _agg
 *
 * A source with an id has it as the label `id`; sources without one, the vCPUs, are summed. All
 * samples of a family stand together, as the format demands.
 */
#include "vmm/core/metrics.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/latency.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PAGE_STEP  65536
#define NAME_SIZE  96
#define LABEL_SIZE (METRICS_ID_SIZE + 16)

/* A growing text; failed once memory was short. */
struct page {
	char *text; /* owned */
	size_t len, size;
	bool failed;
};

static void page_grow(struct page *p)
{
	char *text = realloc(p->text, p->size + PAGE_STEP);

	if (text) {
		p->text = text;
		p->size += PAGE_STEP;
	} else {
		p->failed = true;
	}
}

/* One line at a time: shorter than PAGE_STEP. */
static void PRINTF_LIKE(2, 3) page_put(struct page *p, const char *fmt, ...)
{
	for (int tries = 0; tries < 2 && !p->failed; tries++) {
		size_t room = p->size - p->len;
		va_list ap;
		int n;

		va_start(ap, fmt);
		n = vsnprintf(p->text + p->len, room, fmt, ap);
		va_end(ap);
		if (n >= 0 && (size_t)n < room) {
			p->len += (size_t)n;
			return;
		}
		page_grow(p);
	}
}

static const void *source_field(const struct metrics_source *s, uint32_t key)
{
	for (uint32_t i = 0; i < s->field_count; i++)
		if (s->key_index[i] == key)
			return s->base + s->fields[i].offset;
	return NULL;
}

static void latency_sum(struct latency *sum, const struct latency *l)
{
	sum->sum_ns += counter_get(&l->sum_ns);
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		sum->bucket[i] += counter_get(&l->bucket[i]);
}

static void put_histogram(
	struct page *p, const char *name, const char *label, const struct latency *l)
{
	const char *comma = *label ? "," : "", *open = *label ? "{" : "",
		   *close = *label ? "}" : "";
	uint64_t count = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS - 1; i++) {
		uint64_t bound_ns = (uint64_t)1 << (LATENCY_FIRST_SHIFT + i);

		count += l->bucket[i];
		page_put(p, "%s_bucket{%s%sle=\"%" PRIu64 ".%09" PRIu64 "\"} %" PRIu64 "\n", name,
			label, comma, (uint64_t)(bound_ns / CLOCK_NS_PER_S),
			(uint64_t)(bound_ns % CLOCK_NS_PER_S), count);
	}
	count += l->bucket[LATENCY_BUCKETS - 1];
	page_put(p, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, label, comma, count);
	page_put(p, "%s_sum%s%s%s %" PRIu64 ".%09" PRIu64 "\n", name, open, label, close,
		(uint64_t)(l->sum_ns / CLOCK_NS_PER_S), (uint64_t)(l->sum_ns % CLOCK_NS_PER_S));
	page_put(p, "%s_count%s%s%s %" PRIu64 "\n", name, open, label, close, count);
}

/* One sample, or the samples of one histogram. */
struct sample {
	bool fed;
	uint64_t value;
	struct latency latency;
};

static void sample_add(struct sample *t, enum metrics_kind kind, const void *field)
{
	if (!field)
		return;
	t->fed = true;
	if (kind == METRICS_AGG)
		latency_sum(&t->latency, field);
	else
		t->value += counter_get(field);
}

static void sample_put(struct page *p, const char *name, enum metrics_kind kind, const char *id,
	const struct sample *t)
{
	char label[LABEL_SIZE] = "";

	if (!t->fed)
		return;
	if (*id)
		(void)snprintf(label, sizeof(label), "id=\"%s\"", id);
	if (kind == METRICS_AGG)
		put_histogram(p, name, label, &t->latency);
	else
		page_put(p, "%s%s%s%s %" PRIu64 "\n", name, *label ? "{" : "", label,
			*label ? "}" : "", t->value);
}

static void put_head(struct page *p, const char *name, enum metrics_kind kind, const char *group,
	const char *key)
{
	static const char *const types[] = {
		[METRICS_DELTA] = "counter",
		[METRICS_STORE] = "gauge",
		[METRICS_AGG] = "histogram",
	};

	page_put(p, "# HELP %s %s of the metrics file's %s%s\n# TYPE %s %s\n", name, key, group,
		kind == METRICS_DELTA ? ", since the start" : "", name, types[kind]);
}

static bool key_is_fed(const struct metrics *m, const struct metrics_group *g, uint32_t key)
{
	for (uint32_t i = 0; i < m->source_count; i++)
		if (m->sources[i].group == g && source_field(&m->sources[i], key))
			return true;
	return false;
}

static void put_family(
	struct page *p, const struct metrics *m, const struct metrics_group *g, uint32_t key)
{
	enum metrics_kind kind = (enum metrics_kind)g->keys[key].kind;
	size_t len = strlen(g->keys[key].name);
	struct sample all = {0};
	char name[NAME_SIZE];

	if (!key_is_fed(m, g, key))
		return;
	if (kind == METRICS_AGG)
		len -= strlen("_agg");
	(void)snprintf(name, sizeof(name), "mayfly_%s_%.*s%s", g->name, (int)len, g->keys[key].name,
		kind == METRICS_DELTA ? "_total"
		: kind == METRICS_AGG ? "_seconds"
				      : "");
	put_head(p, name, kind, g->name, g->keys[key].name);
	for (uint32_t i = 0; i < m->source_count; i++) {
		const struct metrics_source *s = &m->sources[i];
		struct sample one = {0};

		if (s->group != g)
			continue;
		sample_add(s->id[0] ? &one : &all, kind, source_field(s, key));
		sample_put(p, name, kind, s->id, &one);
	}
	sample_put(p, name, kind, "", &all);
}

int metrics_print_prometheus(const struct metrics *m, char **ret, size_t *ret_len)
{
	struct page p = {0};

	page_grow(&p);
	/* An instance id is of letters, digits and dashes: nothing to escape. */
	page_put(&p,
		"# HELP mayfly_info What runs.\n# TYPE mayfly_info gauge\n"
		"mayfly_info{id=\"%s\",version=\"%s\"} 1\n",
		log_config_get()->id, MAYFLY_VERSION);
	for (uint32_t i = 0; i < metrics_group_count; i++)
		for (uint32_t k = 0; k < metrics_groups[i].key_count; k++)
			put_family(&p, m, &metrics_groups[i], k);
	if (p.failed) {
		free(p.text);
		return -ENOMEM;
	}
	*ret = p.text;
	*ret_len = p.len;
	return 0;
}
