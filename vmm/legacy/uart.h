/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A (National Semiconductor PC16550D): the guest's console on COM1. Output goes straight
 * to a file descriptor; what that does not take at once waits in a ring and is written when it
 * does, and what the ring cannot hold is dropped and counted, so that a reader who went away
 * never stops the guest. Input comes from the owner by uart_receive.
 *
 * Threads: registers on vCPU threads, input and the ring's writing on the main thread; one mutex.
 * The port moves a byte per access, so the lock is noise beside the exit that carried it.
 */
#pragma once

#include "vmm/base/field.h"
#include "vmm/svc/bus.h"
#include "vmm/svc/irq.h"

#include <pthread.h>

#define UART_PORT_COUNT   8u
#define UART_FIFO_SIZE    64u /* of the receiver; the part has 16, more lose less */
#define UART_TX_RING_SIZE 65536u

struct uart_state {
	uint8_t ier, fcr, lcr, mcr, lsr, msr, scr, dll, dlm;
	uint8_t thr_empty_pending; /* a transmit interrupt is due */
	uint8_t timeout_pending;   /* a receive interrupt below the trigger level is due */
	uint8_t rx_count;
	uint8_t rx[UART_FIFO_SIZE];
	uint8_t reserved[4]; /* zero */
};
extern const struct field_table uart_state_table;

struct uart_counters { /* Firecracker's group "uart" */
	uint64_t error_count, flush_count, missed_read_count, missed_write_count;
	uint64_t read_count, write_count, rate_limiter_dropped_bytes;
};

struct uart {
	struct uart_state st;
	struct uart_counters counters;
	pthread_mutex_t lock;
	const struct irq_line *irq; /* borrowed */
	int out_fd; /* borrowed; non-blocking or a regular file; -1: output is dropped */
	bool (*admit)(void *ctx);   /* asked for each byte of output, under the lock; NULL: yes */
	void *admit_ctx;            /* borrowed */
	bool asserted;              /* an interrupt is pending that was already signalled */
	uint32_t tx_head, tx_count; /* the ring of output that out_fd did not take yet */
	uint8_t tx_ring[UART_TX_RING_SIZE];
	bool rx_wanted; /* the owner found the receiver full and waits for room */
	int kick_fd;    /* borrowed eventfd or -1: the ring has output, or there is room */
};

extern const struct bus_ops uart_bus_ops; /* dev is a struct uart */

void uart_init(struct uart *u, const struct irq_line *irq, int out_fd, int kick_fd);
void uart_fini(struct uart *u);

/* How many bytes the receiver takes now; if none, kick_fd tells when to ask again. Main thread. */
uint32_t uart_receive_room(struct uart *u);
/* Gives the receiver len bytes; returns how many it took. Main thread. */
uint32_t uart_receive(struct uart *u, const uint8_t *data, uint32_t len);

/* Takes over a saved state, which its table has checked, and raises what is pending. Main thread. */
void uart_load(struct uart *u, const struct uart_state *s);

/* Writes what is in the ring. True if it is empty afterwards. Main thread. */
bool uart_flush(struct uart *u);
