/* SPDX-License-Identifier: Apache-2.0 */
/* What every evil driver case has in common. */
#include "virtio.h"

#define EVIL_QUEUE 16

static void check_entropy(bool first)
{
	static struct vq q;
	struct vdev *rng = vdev_find(VIRTIO_ID_RNG, 0);

	if (rng == NULL)
		return;
	if (first)
		vdev_start(rng, &q, 0, EVIL_QUEUE);
	rng_check(&q);
}

static void run(const char *name, evil_fn act, uint64_t arg, bool must_break)
{
	static bool started;
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);
	struct patience p = patience_s(1);
	struct vq q;

	print("case %s\n", name);
	check_entropy(!started);
	started = true;
	vdev_start(d, &q, VF_INDIRECT, EVIL_QUEUE);
	blk_check_pattern(&q, 0, 1);
	vr_write(d, VR_INT_ACK, VQ_INT_USED | VQ_INT_CONFIG);

	act(&q, arg);
	while (must_break && (vdev_status(d) & VS_NEEDS_RESET) == 0)
		EXPECT(patient(&p), "%s: the device does not ask for a reset, status 0x%x", name,
			vdev_status(d));
	if (must_break) {
		while ((vr_read(d, VR_INT_STATUS) & VQ_INT_CONFIG) == 0)
			EXPECT(patient(&p), "%s: NEEDS_RESET without a configuration interrupt",
				name);
		vq_kick(&q); /* a broken device must ignore this */
	}
	check_entropy(false);

	vdev_start(d, &q, VF_INDIRECT, EVIL_QUEUE);
	EXPECT(vr_read(d, VR_INT_STATUS) == 0, "%s: an interrupt is pending after reset", name);
	blk_check_pattern(&q, 8, 2);
}

void evil_case(const char *name, evil_fn act, uint64_t arg)
{
	run(name, act, arg, true);
}

void odd_case(const char *name, evil_fn act, uint64_t arg)
{
	run(name, act, arg, false);
}
