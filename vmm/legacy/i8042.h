/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of an i8042 keyboard controller as a kernel needs to find one with a keyboard that can
 * do one thing, Ctrl-Alt-Del, and to reset the machine through it (command 0xFE).
 *
 * Threads: registers on vCPU threads, the keys on the main thread, under one mutex.
 */
#pragma once

#include "vmm/base/field.h"
#include "vmm/legacy/power.h"
#include "vmm/svc/irq.h"

#include <pthread.h>

struct i8042_state {
	uint8_t control; /* the command byte in the controller's RAM */
	uint8_t output_port;
	uint8_t pending; /* the command whose data byte is awaited, or 0 */
	uint8_t data_count;
	uint8_t data[4];   /* output buffer, oldest first */
	uint8_t keys_left; /* bytes of Ctrl-Alt-Del still to be delivered */
};
extern const struct field_table i8042_state_table;

struct i8042_counters { /* Firecracker's group "i8042" */
	uint64_t error_count, missed_read_count, missed_write_count, read_count, reset_count,
		write_count;
};

struct i8042 {
	struct i8042_state st;
	struct i8042_counters counters;
	pthread_mutex_t lock;
	const struct irq_line *irq; /* borrowed, or NULL */
	vm_end_fn end;
	void *end_ctx; /* borrowed */
};

extern const struct bus_ops i8042_data_bus_ops; /* port 0x60; dev is a struct i8042 */
extern const struct bus_ops i8042_cmd_bus_ops;  /* port 0x64; likewise */

void i8042_init(struct i8042 *k, const struct irq_line *irq, vm_end_fn end, void *end_ctx);

/*
 * Presses and releases Ctrl-Alt-Del. False: the guest has no driver for the keyboard, or the last
 * time is still on its way. Main thread.
 */
bool i8042_ctrl_alt_del(struct i8042 *k);
/* Takes over a saved state, which its table has checked. Main thread. */
void i8042_load(struct i8042 *k, const struct i8042_state *s);
void i8042_fini(struct i8042 *k);
