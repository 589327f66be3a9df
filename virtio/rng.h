/* SPDX-License-Identifier: Apache-2.0 */
/* virtio entropy (virtio 1.2 §5.4): host randomness by getrandom(2), at most 64 KiB a request. */
#pragma once

#include "virtio/device.h"

#define RNG_REQUEST_SIZE_MAX 0x10000u

struct rng_counters {
	uint64_t activate_fails, entropy_event_fails, entropy_event_count, entropy_bytes,
		host_rng_fails;
};

int rng_create(struct gmem *mem, struct virtio_dev **ret, struct err *e) MUST_USE;
const struct rng_counters *rng_counters_get(const struct virtio_dev *d);
