/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a driver to give buffers again, without a kick for each of them.
 *
 * A device that is short of buffers asks for a kick. A driver that looks after each buffer whether
 * one is wanted would kick for each until the device has enough. So the device asks for the kick
 * only when some more buffers are there (VIRTIO_F_EVENT_IDX). How many is learnt: it starts with
 * one, and up to doubles whenever the driver turns out to have given more by the time we look, up to a
 * quarter of the queue. A driver may always give fewer and then wait for us; so a timer runs
 * while more than one is asked for, and when it has ticked twice in one wait, what is there must do
 * and it all starts with one again.
 *
 * Threads: the device's owner, with the device's lock held.
 */
#pragma once

#include "virtio/rate_limiter.h"
#include "virtio/queue.h"

#define REFILL_TICK_NS 1000000ull

/* Of one queue. Zeroed: the driver has not shown anything yet. */
struct refill {
	uint16_t ahead; /* buffers to ask for; 0 stands for 1 */
	bool waiting;
	bool ticked; /* the timer has run out once in this wait */
};

/*
 * All that the driver gave is taken, and the device needs more, at most `most` buffers. True: they
 * are there; false: a kick or the timer will come.
 */
bool refill_wait(struct refill *r, struct vq *q, struct rate_timer *timer, uint16_t most) MUST_USE;

/* The device looks at the queue again, for whatever reason; before it takes a buffer. */
void refill_seen(struct refill *r, const struct vq *q);

/* The timer has run out. True: the wait is over, look at the queue. */
bool refill_tick(struct refill *r, struct rate_timer *timer) MUST_USE;
