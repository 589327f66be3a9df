/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for buffers. See refill.h. */
#include "virtio/refill.h"

bool refill_wait(struct refill *r, struct vq *q, struct rate_timer *timer, uint16_t most)
{
	uint16_t count = q->event_idx ? MAX(MIN(r->ahead, most), 1) : 1;

	if (vq_kicks_on_after(q, count))
		return true;
	if (!r->waiting) {
		r->waiting = true;
		r->ticked = false;
	}
	if (count > 1 && !__atomic_load_n(&timer->armed, __ATOMIC_RELAXED))
		rate_timer_arm(timer, REFILL_TICK_NS);
	return false;
}

void refill_seen(struct refill *r, const struct vq *q)
{
	uint16_t ahead = MAX(r->ahead, 1), given = vq_available(q);

	if (!r->waiting)
		return;
	r->waiting = false;
	if (given > ahead)
		r->ahead = (uint16_t)MIN(MIN(2 * ahead, given), MAX(q->st.size / 4, 1));
}

bool refill_tick(struct refill *r, struct rate_timer *timer)
{
	if (!r->waiting)
		return false;
	if (!r->ticked) {
		r->ticked = true;
		rate_timer_arm(timer, REFILL_TICK_NS);
		return false;
	}
	r->waiting = false;
	r->ahead = 1;
	return true;
}
