/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measured load on virtio queues, driven as an operating system's driver does it: kicks only where
 * the device asks for them (EVENT_IDX), interrupts, HLT while nothing is to be done, interrupt
 * status read and acknowledged. What is measured goes between two lines, for bench/guest.c.
 */
#pragma once

#include "virtio.h"

#define LOAD_VEC 0x45

/* A queue and what was known of it at the last look whether to kick. */
struct load_queue {
	struct vq q;
	uint16_t kicked_at;
	uint64_t kicks;
	bool eager; /* the driver does nothing itself to save kicks and interrupts */
};

/* Interrupts are off from now on, but for load_sleep. */
void load_init(const struct vdev *d);
/* A descriptor chain becomes available; told by load_kick, or at once if eager. */
void load_push(struct load_queue *l, uint16_t head);
/* Kicks if the device asks for it, virtio 1.2 §2.7.10.1. */
void load_kick(struct load_queue *l);
/* The next used element without waiting. */
bool load_pop(struct load_queue *l, struct vq_used_elem *ret);
/* HLT until an interrupt, unless one of these queues has a used element. */
void load_sleep(struct load_queue *const *queues, unsigned count);

void load_begin(const char *name);
/*
 * More is to be done: until the TSC is at end and, with payload.strict=1, until there were enough operations to
 * judge by, however slow the machine.
 */
bool load_goes_on(uint64_t end, uint64_t ops);
/* The time of one operation, for the percentiles. */
void load_sample(uint64_t ticks);
/*
 * Says what was done since load_begin on these queues. With payload.strict=1 and a batch, fails if
 * there was an interrupt or a kick of one queue per operation, or more.
 */
void load_end(const char *unit, uint64_t ops, uint64_t bytes, bool batch,
	struct load_queue *const *queues, unsigned count);
