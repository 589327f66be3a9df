/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any accesses to the UART's registers, mixed with input, onto an output that takes nothing: the
 * state must stay one that a load would accept, and an interrupt pending must have been raised.
 */
#include "vmm/base/cleanup.h"
#include "vmm/legacy/uart.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void step(struct uart *u, uint8_t what, uint8_t value)
{
	uint8_t wide[8] = {value, value, value, value, value, value, value, value};
	uint64_t reg = what & 7;
	uint32_t width = (what & 8) && reg <= 4 ? 4 : 1;

	switch (what >> 5) {
	case 0:
	case 1:
	case 2:
		uart_bus_ops.write(u, reg, wide, width);
		break;
	case 3:
	case 4:
		uart_bus_ops.read(u, reg, wide, width);
		break;
	case 5:
		(void)uart_receive(u, wide, sizeof(wide));
		break;
	default:
		(void)uart_flush(u);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct uart u;
	static int full[2] = {-1, -1};
	struct irq_line irq = {.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	char junk[4096] = {0};

	if (full[0] < 0 && pipe2(full, O_NONBLOCK | O_CLOEXEC) < 0)
		abort();
	while (write(full[1], junk, sizeof(junk)) > 0)
		;
	uart_init(&u, &irq, full[1], -1);
	for (size_t i = 0; i + 1 < size; i += 2) {
		step(&u, data[i], data[i + 1]);
		if (field_table_check(&uart_state_table, &u.st, NULL) < 0)
			abort();
	}
	uart_fini(&u);
	irq_line_fini(&irq);
	return 0;
}
