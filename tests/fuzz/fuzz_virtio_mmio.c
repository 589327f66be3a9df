/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Register accesses of any offset, width and value, mixed with kicks, writes to guest memory, and
 * saving and loading the device at any moment: what a device saves it must take back unchanged.
 */
#include "tests/fuzz/virtio_target.h"
#include "virtio/mmio.h"
#include "virtio/rng.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct op {
	uint8_t what;
	uint8_t width;
	uint16_t off;
	uint64_t value;
} __attribute__((packed));

static void save_and_load(struct virtio_mmio *t)
{
	struct virtio_mmio_state m0, m1;
	struct virtio_dev_state d0, d1;
	struct err e;

	virtio_dev_save(t->dev, &d0);
	virtio_mmio_save(t, &m0);
	TARGET_REQUIRE(virtio_dev_load(t->dev, &d0, &e) == 0);
	TARGET_REQUIRE(virtio_mmio_load(t, &m0, &e) == 0);
	virtio_dev_save(t->dev, &d1);
	virtio_mmio_save(t, &m1);
	TARGET_REQUIRE(memcmp(&d0, &d1, sizeof(d0)) == 0 && memcmp(&m0, &m1, sizeof(m0)) == 0);
}

static void run(struct virtio_mmio *t, struct op op)
{
	uint32_t width = 1u << (op.width & 3);
	uint64_t off = op.off & (0x1000u - width), value = op.value;

	if (op.what % 8 < 4)
		virtio_mmio_bus_ops.write(t, off, &value, width);
	else if (op.what % 8 == 4)
		virtio_mmio_bus_ops.read(t, off, &value, width);
	else if (op.what % 8 == 5)
		virtio_mmio_kicked(t, 0);
	else if (op.what % 8 == 6)
		memcpy(target_ram + op.off % (TARGET_RAM_SIZE - 8), &value, sizeof(value));
	else
		save_and_load(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct virtio_mmio t;
	struct virtio_dev *d = NULL;
	uint32_t zero = 0;
	struct op op;

	target_fill(data, 0);
	if (!t.dev)
		TARGET_REQUIRE(rng_create(&target_mem, &(struct rng_config){0}, &d, NULL) == 0 &&
			       virtio_mmio_init(&t, d, NULL) == 0);
	for (; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
		memcpy(&op, data, sizeof(op));
		run(&t, op);
	}
	virtio_mmio_bus_ops.write(&t, 0x70, &zero, sizeof(zero));
	return 0;
}
