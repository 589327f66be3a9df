/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio entropy (virtio 1.2 §5.4): host randomness by getrandom(2), at most 64 KiB a request, as
 * fast as the rate limiter lets it.
 */
#pragma once

#include "virtio/device.h"
#include "virtio/rate_limiter.h"

#define RNG_REQUEST_SIZE_MAX 0x10000u

struct rng_config {
	const struct rate_limiter_config *limiter; /* borrowed for the call, or NULL */
	struct loop *loop; /* borrowed, outlives the device; NULL: the timer never fires */
};

struct rng_state {
	struct rate_limiter_state limiter;
};
extern const struct field_table rng_state_table;

struct rng_counters {
	uint64_t activate_fails, entropy_event_fails, entropy_event_count, entropy_bytes,
		host_rng_fails, entropy_rate_limiter_throttled, rate_limiter_event_count;
};

int rng_create(struct gmem *mem, const struct rng_config *c, struct virtio_dev **ret,
	struct err *e) MUST_USE;
const struct rng_counters *rng_counters_get(const struct virtio_dev *d);

/* While the VM runs. Owner thread. */
void rng_update_limiter(struct virtio_dev *d, const struct rate_limiter_config *c);
