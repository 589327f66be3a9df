/* SPDX-License-Identifier: Apache-2.0 */
/* Measured load on virtio queues. See load.h. */
#include "load.h"

#define SUB_BITS       4u /* sixteen latency classes to each power of two: 6 % */
#define CLASSES        (64u << SUB_BITS)
#define STRICT_OPS_MIN 1000u

static const struct vdev *device;
static const char *name_now;
static uint32_t classes[CLASSES], irqs_before;
static uint64_t samples, started;
static bool strict;

void load_init(const struct vdev *d)
{
	device = d;
	strict = arg_u64("payload.strict", 0) != 0;
	ioapic_route(d->gsi, LOAD_VEC, apic_id());
	irq_off();
}

void load_push(struct load_queue *l, uint16_t head)
{
	struct vq *q = &l->q;

	q->avail->ring[q->avail->idx % q->size] = head;
	__atomic_store_n(&q->avail->idx, (uint16_t)(q->avail->idx + 1), __ATOMIC_RELEASE);
	if (l->eager)
		load_kick(l);
}

void load_kick(struct load_queue *l)
{
	uint16_t now = l->q.avail->idx, old = l->kicked_at;

	if (now == old)
		return;
	mb();
	l->kicked_at = now;
	if ((uint16_t)(now - *vq_avail_event(&l->q) - 1) >= (uint16_t)(now - old))
		return;
	vq_kick(&l->q);
	l->kicks++;
}

bool load_pop(struct load_queue *l, struct vq_used_elem *ret)
{
	struct vq *q = &l->q;

	if (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->used_seen)
		return false;
	*ret = q->used->ring[q->used_seen++ % q->size];
	if (l->eager)
		*vq_used_event(q) = q->used_seen;
	return true;
}

/* Interrupts are off but for the HLT, so none is missed between the last look and it. */
void load_sleep(struct load_queue *const *queues, unsigned count)
{
	uint32_t status;
	bool idle = true;

	for (unsigned i = 0; i < count; i++) {
		const struct vq *q = &queues[i]->q;

		*vq_used_event(q) = q->used_seen;
		mb();
		idle = idle && *(volatile uint16_t *)&q->used->idx == q->used_seen;
	}
	if (!idle)
		return;
	halt();
	status = vr_read(device, VR_INT_STATUS);
	if (status != 0)
		vr_write(device, VR_INT_ACK, status);
}

static unsigned class_of(uint64_t ticks)
{
	unsigned top;

	if (ticks < 2u << SUB_BITS)
		return (unsigned)ticks;
	top = 63u - (unsigned)__builtin_clzll(ticks);
	return ((top - SUB_BITS) << SUB_BITS) + (unsigned)(ticks >> (top - SUB_BITS));
}

/* The least that falls into a class. */
static uint64_t class_ticks(unsigned c)
{
	unsigned shift = (c >> SUB_BITS) - 1;

	return c < 2u << SUB_BITS ? c : (uint64_t)(c - (shift << SUB_BITS)) << shift;
}

static uint64_t percentile(unsigned percent)
{
	uint64_t rank = (samples * percent + 99) / 100, seen = 0;

	for (unsigned c = 0; c < CLASSES; c++)
		if ((seen += classes[c]) >= rank)
			return class_ticks(c);
	return 0;
}

void load_begin(const char *name)
{
	memset(classes, 0, sizeof(classes));
	samples = 0;
	name_now = name;
	irqs_before = irq_count(0, LOAD_VEC);
	print("BENCH begin %s\n", name);
	started = rdtsc();
}

bool load_goes_on(uint64_t end, uint64_t ops)
{
	return rdtsc() < end || (strict && ops < STRICT_OPS_MIN);
}

void load_sample(uint64_t ticks)
{
	classes[class_of(ticks)]++;
	samples++;
}

void load_end(const char *unit, uint64_t ops, uint64_t bytes, bool batch,
	struct load_queue *const *queues, unsigned count)
{
	uint64_t ticks = rdtsc() - started, kicks = 0;
	uint32_t irqs = irq_count(0, LOAD_VEC) - irqs_before;

	print("BENCH end %s ops=%lu unit=%s bytes=%lu", name_now, ops, unit, bytes);
	if (samples > 0)
		print(" tsc=%lu p50=%lu p99=%lu", ticks, percentile(50), percentile(99));
	for (unsigned i = 0; i < count; i++) {
		kicks += queues[i]->kicks;
		EXPECT(!batch || !strict || queues[i]->kicks < ops,
			"%s: %lu kicks of queue %u for %lu operations", name_now, queues[i]->kicks,
			queues[i]->q.index, ops);
		queues[i]->kicks = 0;
	}
	print(" irqs=%u kicks=%lu\n", irqs, kicks);
	EXPECT(!batch || !strict || irqs < ops, "%s: %u interrupts for %lu operations", name_now,
		irqs, ops);
}
