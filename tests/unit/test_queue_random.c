/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtqueue against plain models: random descriptor tables against a walk written the slow way,
 * and random traffic against 64-bit counters that never wrap. Seeds are fixed: a failure repeats.
 */
#include "virtio/queue.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/driver.h"

#include <errno.h>

#define TABLE_DESCS 12u
#define MODEL_MAX   512u

static uint64_t seed;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 20) % below);
}

struct model {
	bool bad;
	unsigned count;
	struct {
		uint64_t at;
		uint32_t len;
		bool writable;
	} seg[MODEL_MAX];
};

static struct driver drv;
static struct vq q;
static struct chain chain;

static bool model_inside(uint64_t at, uint64_t len)
{
	return at >= DRIVER_RAM_START && at < DRIVER_RAM_END && len <= DRIVER_RAM_END - at;
}

/* Walks descriptors the way the standard tells it, without any thought of speed. */
static void model_walk(struct model *m, uint64_t table, uint32_t count, uint32_t i, bool nested)
{
	bool seen_writable = false;
	uint64_t bytes = 0;

	for (unsigned taken = 0;;) {
		struct driver_desc d;

		m->bad = i >= count || taken++ == (nested ? VQ_SIZE_MAX : drv.size);
		if (m->bad)
			return;
		memcpy(&d, driver_at(&drv, table + i * sizeof(d)), sizeof(d));
		if (d.flags & DESC_INDIRECT) {
			m->bad = nested || (d.flags & DESC_NEXT) || d.len == 0 || d.len % 16 != 0 ||
				 !model_inside(d.addr, d.len);
			if (m->bad)
				return;
			table = d.addr;
			count = d.len / 16;
			i = 0;
			taken--;
			nested = true;
			continue;
		}
		bytes += d.len;
		m->bad = (seen_writable && !(d.flags & DESC_WRITE)) || bytes > UINT32_MAX ||
			 (d.len > 0 && !model_inside(d.addr, d.len));
		if (m->bad)
			return;
		seen_writable = seen_writable ||
				((d.flags & DESC_WRITE) && d.len > 0); /* empty ones are dropped */
		if (d.len > 0) {
			m->seg[m->count].at = d.addr;
			m->seg[m->count].len = d.len;
			m->seg[m->count++].writable = d.flags & DESC_WRITE;
		}
		if (!(d.flags & DESC_NEXT))
			return;
		i = d.next;
	}
}

static uint64_t random_addr(uint64_t tables)
{
	switch (rnd(24)) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX - rnd(64);
	case 2:
		return DRIVER_RAM_END - rnd(300);
	case 3:
		return DRIVER_RAM_START - rnd(3);
	case 4 ... 9:
		return tables + rnd(3) * 16;
	default:
		return DRIVER_RAM_START + rnd((uint32_t)DRIVER_RAM_SIZE - 1000);
	}
}

static struct driver_desc random_desc(uint64_t tables, uint32_t count, uint32_t i, bool hostile)
{
	struct driver_desc d = {.addr = random_addr(tables), .next = (uint16_t)(i + 1)};

	d.len = rnd(8) ? rnd(257) : rnd(3) ? rnd(4) * 16 : rnd(UINT32_MAX);
	d.flags = rnd(4) ? DESC_NEXT : 0;
	d.flags |= rnd(count) < i ? DESC_WRITE : 0;
	if (rnd(6) == 0) {
		d.flags = (uint16_t)(DESC_INDIRECT | (hostile ? rnd(4) : 0));
		d.addr = tables;
		d.len = (1 + rnd(TABLE_DESCS)) * 16;
	}
	if (hostile && rnd(10) == 0)
		d.next = (uint16_t)rnd(count + 2);
	if (hostile && rnd(30) == 0)
		d.flags = (uint16_t)rnd(65536);
	return d;
}

static void compare(const struct model *m, uint16_t head)
{
	const char *why = NULL;
	int rc = vq_pop(&q, &chain, &why);

	if (m->bad) {
		assert_int_equal(rc, -EPROTO);
		assert_non_null(why);
		return;
	}
	assert_int_equal(rc, 1);
	assert_int_equal(chain.head, head);
	assert_int_equal(chain.rd_count + chain.wr_count, m->count);
	for (unsigned i = 0; i < m->count; i++) {
		assert_int_equal(chain.seg[i].at.v, m->seg[i].at);
		assert_int_equal(chain.seg[i].len, m->seg[i].len);
		assert_int_equal(i >= chain.rd_count, m->seg[i].writable);
		assert_ptr_equal(gmem_host_addr(chain.seg[i].host), driver_at(&drv, m->seg[i].at));
	}
	vq_push(&q, &chain, 0);
}

static void random_tables_are_walked_as_the_model_does(void **state)
{
	static struct model m;
	unsigned good = 0, bad = 0;

	(void)state;
	seed = 0x9e3779b97f4a7c15;
	driver_init(&drv, 16);
	for (unsigned round = 0; round < 60000; round++) {
		uint64_t tables = DRIVER_RAM_START + 0x8000;
		uint16_t head = (uint16_t)rnd(round % 50 ? drv.size : drv.size + 3u);
		bool hostile = rnd(3) == 0;

		for (uint16_t i = 0; i < drv.size; i++)
			driver_table_set(
				&drv, drv.desc, i, random_desc(tables, drv.size, i, hostile));
		for (uint16_t i = 0; i < TABLE_DESCS; i++)
			driver_table_set(
				&drv, tables, i, random_desc(tables, TABLE_DESCS, i, hostile));
		vq_init(&q, &drv.mem, VQ_SIZE_MAX);
		q.st = driver_vq_state(&drv);
		q.st.next_avail = q.st.next_used = drv.avail_idx;
		assert_int_equal(vq_enable(&q, DRIVER_FEATURES), 0);
		driver_offer(&drv, head);

		m = (struct model){0};
		model_walk(&m, drv.desc, drv.size, head, false);
		m.bad ? bad++ : good++;
		compare(&m, head);
	}
	driver_fini(&drv);
	/* Both kinds must be common, or the comparison means little. */
	assert_true(good > 5000 && bad > 5000);
}

struct traffic {
	uint64_t offered, popped, pushed, polled, signalled; /* how often; they never wrap */
	uint16_t event;
};

/* The standard's words: an interrupt is due if index used_event was among those returned. */
static bool model_irq_due(const struct traffic *t)
{
	for (uint64_t i = t->signalled; i < t->pushed; i++)
		if ((uint16_t)i == t->event)
			return true;
	return false;
}

static void traffic_step(struct traffic *t, struct chain *flight)
{
	const char *why = NULL;
	struct driver_used u;

	switch (rnd(6)) {
	case 0:
	case 1:
		if (t->offered - t->polled < drv.size) {
			driver_offer(&drv, (uint16_t)(t->offered % drv.size));
			t->offered++;
		}
		break;
	case 2:
		assert_int_equal(vq_pop(&q, &flight[t->popped % drv.size], &why),
			t->popped < t->offered ? 1 : 0);
		if (t->popped < t->offered)
			t->popped++;
		break;
	case 3:
		if (t->pushed < t->popped) {
			vq_push(&q, &flight[t->pushed % drv.size], (uint32_t)(t->pushed % 9));
			t->pushed++;
		}
		break;
	case 4:
		if (driver_poll(&drv, &u)) {
			assert_int_equal(u.id, t->polled % drv.size);
			assert_int_equal(u.len, t->polled % 9);
			t->polled++;
		}
		if (rnd(4) == 0) {
			t->event = (uint16_t)(t->polled + rnd(4));
			driver_used_event_set(&drv, t->event);
		}
		break;
	default:
		assert_int_equal(vq_need_irq(&q), model_irq_due(t));
		t->signalled = t->pushed;
		assert_int_equal(vq_kicks_on(&q), t->popped < t->offered);
		assert_int_equal(driver_avail_event(&drv), (uint16_t)t->popped);
	}
	assert_int_equal(driver_used_idx(&drv), (uint16_t)t->pushed);
}

static void random_traffic_matches_counters_that_never_wrap(void **state)
{
	static struct chain flight[16];

	(void)state;
	seed = 0xd1b54a32d192ed03;
	for (uint16_t size = 1; size <= 16; size = (uint16_t)(size * 4)) {
		struct traffic t = {0};

		driver_init(&drv, size);
		for (uint16_t i = 0; i < size; i++)
			driver_desc_set(&drv, i, DRIVER_RAM_START, 9, DESC_WRITE, 0);
		vq_init(&q, &drv.mem, VQ_SIZE_MAX);
		q.st = driver_vq_state(&drv);
		assert_int_equal(vq_enable(&q, DRIVER_FEATURES), 0);
		q.st.signalled_valid = 1; /* the model knows no spurious first interrupt */
		while (t.polled < 2 * 65536 + 100)
			traffic_step(&t, flight);
		driver_fini(&drv);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_tables_are_walked_as_the_model_does),
		cmocka_unit_test(random_traffic_matches_counters_that_never_wrap),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_random", tests, NULL, NULL);
}
