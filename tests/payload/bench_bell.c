/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest of bench/bell_floor.c, which is no monitor: round trips through a doorbell at the place of
 * a virtio device's, without queues. The host answers in a struct of ours whose address it is told.
 *
 *   payload.ms=N  length of each measurement, if the TSC runs at 3 GHz (1000)
 */
#include "rt/load.h"

#define BELL_BASE 0xc0001000u
#define BELL_TELL 0xff0u /* written once: where the struct is */

static struct {
	volatile uint32_t answered;
	volatile uint32_t asleep; /* the answer that is slept for */
} bell __attribute__((aligned(64)));

static struct vdev device = {.base = BELL_BASE};
static uint32_t asked;

static void wait_asleep(void)
{
	uint32_t status;

	bell.asleep = asked;
	mb();
	if (bell.answered == asked)
		return;
	halt();
	status = vr_read(&device, VR_INT_STATUS);
	if (status != 0)
		vr_write(&device, VR_INT_ACK, status);
}

static void round_trips(const char *name, bool sleeps)
{
	uint64_t span = arg_u64("payload.ms", 1000) * 3000000, end, count = 0;

	load_begin(name);
	end = rdtsc() + span;
	for (; rdtsc() < end; count++) {
		uint64_t start = rdtsc();

		asked++;
		mmio_write32(BELL_BASE + VR_QUEUE_NOTIFY, 0);
		while (bell.answered != asked)
			if (sleeps)
				wait_asleep();
		load_sample(rdtsc() - start);
	}
	load_end("us", count, 0, false, NULL, 0);
}

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	load_init(&device);
	mmio_write32(BELL_BASE + BELL_TELL, (uint32_t)(uint64_t)&bell);
	round_trips("roundtrip", false);
	round_trips("roundtrip_irq", true);
	return 0;
}
