/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550A. See uart.h. Register and bit names: PC16550D data sheet. */
#include "vmm/legacy/uart.h"

#include "vmm/base/layout.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { UART_DATA, UART_IER, UART_IIR_FCR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCR };

#define IER_RX            0x01
#define IER_THR_EMPTY     0x02
#define IER_LINE          0x04
#define IER_MASK          0x0f
#define IIR_NONE          0x01
#define IIR_THR_EMPTY     0x02
#define IIR_RX            0x04
#define IIR_LINE          0x06
#define IIR_TIMEOUT       0x0c
#define IIR_FIFO          0xc0
#define FCR_ENABLE        0x01
#define FCR_CLEAR_RX      0x02
#define FCR_CLEAR_TX      0x04
#define FCR_KEPT          0xc9
#define LCR_DLAB          0x80
#define MCR_MASK          0x1f
#define MCR_OUT2          0x08
#define MCR_LOOP          0x10
#define LSR_READY         0x01
#define LSR_OVERRUN       0x02
#define LSR_ERRORS        0x1e
#define LSR_THR_EMPTY     0x20
#define LSR_IDLE          0x40
#define MSR_CTS_DSR_DCD   0xb0
#define UART_DIVISOR_9600 12

static int uart_state_check(const void *state, struct err *e)
{
	const struct uart_state *s = state;

	if (((s->lsr & LSR_READY) != 0) != (s->rx_count > 0))
		return err_set(e, -EINVAL, "uart.lsr: data-ready bit disagrees with rx_count %u",
			s->rx_count);
	return 0;
}

static const struct field uart_state_fields[] = {
	FIELD(1, 1, struct uart_state, ier, IER_MASK),
	FIELD(2, 1, struct uart_state, fcr, 0),
	FIELD(3, 1, struct uart_state, lcr, 0),
	FIELD(4, 1, struct uart_state, mcr, MCR_MASK),
	FIELD(5, 1, struct uart_state, lsr, 0),
	FIELD(6, 1, struct uart_state, msr, 0),
	FIELD(7, 1, struct uart_state, scr, 0),
	FIELD(8, 1, struct uart_state, dll, 0),
	FIELD(9, 1, struct uart_state, dlm, 0),
	FIELD(10, 1, struct uart_state, thr_empty_pending, 1),
	FIELD(11, 1, struct uart_state, timeout_pending, 1),
	FIELD(12, 1, struct uart_state, rx_count, UART_FIFO_SIZE),
	FIELD_ARRAY(13, 1, struct uart_state, rx, 0),
	FIELD_ARRAY(14, 1, struct uart_state, reserved, 0),
};
const struct field_table uart_state_table =
	FIELD_TABLE("uart", struct uart_state, uart_state_fields, uart_state_check);

void uart_init(struct uart *u, const struct irq_line *irq, int out_fd, int kick_fd)
{
	memset(&u->st, 0, sizeof(u->st));
	memset(&u->counters, 0, sizeof(u->counters));
	(void)pthread_mutex_init(&u->lock, NULL);
	u->irq = irq;
	u->out_fd = out_fd;
	u->kick_fd = kick_fd;
	u->rx_wanted = false;
	u->asserted = false;
	u->tx_head = u->tx_count = 0;
	u->st.lcr = 3; /* 8 data bits */
	u->st.lsr = LSR_THR_EMPTY | LSR_IDLE;
	u->st.msr = MSR_CTS_DSR_DCD;
	u->st.dll = UART_DIVISOR_9600;
}

void uart_fini(struct uart *u)
{
	(void)pthread_mutex_destroy(&u->lock);
}

/* Receiver bytes that make an interrupt without waiting (FCR bits 7:6). */
static uint8_t uart_trigger(const struct uart *u)
{
	static const uint8_t levels[] = {1, 4, 8, 14};

	return u->st.fcr & FCR_ENABLE ? levels[u->st.fcr >> 6] : 1;
}

/* The highest-priority pending interrupt as IIR shows it. */
static uint8_t uart_pending(const struct uart *u)
{
	if ((u->st.ier & IER_LINE) && (u->st.lsr & LSR_ERRORS))
		return IIR_LINE;
	if ((u->st.ier & IER_RX) && u->st.rx_count >= uart_trigger(u))
		return IIR_RX;
	if ((u->st.ier & IER_RX) && u->st.rx_count > 0 && u->st.timeout_pending)
		return IIR_TIMEOUT;
	if ((u->st.ier & IER_THR_EMPTY) && u->st.thr_empty_pending)
		return IIR_THR_EMPTY;
	return IIR_NONE;
}

/*
 * The pin is an edge: signalled when the line goes up, and again when a new cause joins while it
 * is up, since a driver may have read IIR before that cause was there.
 */
static void uart_update_irq(struct uart *u, bool new_cause)
{
	bool pending = uart_pending(u) != IIR_NONE;

	if (pending && (!u->asserted || new_cause))
		irq_line_raise(u->irq);
	u->asserted = pending;
}

static bool uart_rx_push(struct uart *u, uint8_t byte)
{
	uint8_t room = u->st.fcr & FCR_ENABLE ? UART_FIFO_SIZE : 1;

	if (u->st.rx_count >= room) {
		u->st.lsr |= LSR_OVERRUN;
		return false;
	}
	u->st.rx[u->st.rx_count++] = byte;
	u->st.lsr |= LSR_READY;
	u->st.timeout_pending = 1; /* no byte follows within the time-out: the sender is a host */
	return true;
}

/* #syscalls:* write */
static void uart_kick_owner(const struct uart *u)
{
	uint64_t one = 1;

	if (u->kick_fd >= 0)
		(void)!write(u->kick_fd, &one, sizeof(one));
}

static uint8_t uart_rx_pop(struct uart *u)
{
	uint8_t byte;

	if (u->st.rx_count == 0) {
		counter_add(&u->counters.missed_read_count, 1);
		return 0;
	}
	byte = u->st.rx[0];
	u->st.rx_count--;
	memmove(u->st.rx, u->st.rx + 1, u->st.rx_count);
	u->st.rx[u->st.rx_count] = 0;
	if (u->st.rx_count == 0) {
		u->st.lsr &= (uint8_t)~LSR_READY;
		u->st.timeout_pending = 0;
		if (u->rx_wanted)
			uart_kick_owner(u);
		u->rx_wanted = false;
	}
	counter_add(&u->counters.read_count, 1);
	return byte;
}

static void uart_rx_clear(struct uart *u)
{
	u->st.rx_count = 0;
	memset(u->st.rx, 0, sizeof(u->st.rx));
	u->st.lsr &= (uint8_t)~LSR_READY;
	u->st.timeout_pending = 0;
}

static void uart_ring_put(struct uart *u, uint8_t byte)
{
	if (u->tx_count == UART_TX_RING_SIZE) {
		counter_add(&u->counters.missed_write_count, 1);
		return;
	}
	u->tx_ring[(u->tx_head + u->tx_count) % UART_TX_RING_SIZE] = byte;
	u->tx_count++;
	if (u->tx_count == 1)
		uart_kick_owner(u);
}

/* #syscalls:* write */
static void uart_transmit(struct uart *u, uint8_t byte)
{
	counter_add(&u->counters.write_count, 1);
	if (u->out_fd < 0)
		return;
	if (u->admit && !u->admit(u->admit_ctx)) {
		counter_add(&u->counters.rate_limiter_dropped_bytes, 1);
		return;
	}
	if (u->tx_count > 0) {
		uart_ring_put(u, byte);
		return;
	}
	if (write(u->out_fd, &byte, 1) == 1)
		return;
	if (errno == EAGAIN || errno == EINTR)
		uart_ring_put(u, byte);
	else
		counter_add(&u->counters.error_count, 1);
}

static void uart_write_data(struct uart *u, uint8_t byte)
{
	if (u->st.lcr & LCR_DLAB) {
		u->st.dll = byte;
		return;
	}
	if (u->st.mcr & MCR_LOOP)
		(void)uart_rx_push(u, byte);
	else
		uart_transmit(u, byte);
	/* Sent at once: the holding register is empty again, which is an event of its own. */
	u->st.thr_empty_pending = 1;
	uart_update_irq(u, true);
}

static void uart_write_fcr(struct uart *u, uint8_t value)
{
	if ((value ^ u->st.fcr) & FCR_ENABLE || value & FCR_CLEAR_RX)
		uart_rx_clear(u);
	if (value & FCR_CLEAR_TX)
		u->st.thr_empty_pending = 1;
	u->st.fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
	uart_update_irq(u, false);
}

static void uart_write_ier(struct uart *u, uint8_t value)
{
	if (u->st.lcr & LCR_DLAB) {
		u->st.dlm = value;
		return;
	}
	/* Enabling the transmit interrupt while the register is empty makes one at once. */
	if ((value & IER_THR_EMPTY) && !(u->st.ier & IER_THR_EMPTY))
		u->st.thr_empty_pending = 1;
	u->st.ier = value & IER_MASK;
	uart_update_irq(u, true);
}

static uint8_t uart_read_iir(struct uart *u)
{
	uint8_t iir = uart_pending(u);

	if (iir == IIR_THR_EMPTY)
		u->st.thr_empty_pending = 0;
	uart_update_irq(u, false);
	return (uint8_t)(iir | (u->st.fcr & FCR_ENABLE ? IIR_FIFO : 0));
}

/* In loop-back the modem outputs come back as inputs. */
static uint8_t uart_read_msr(const struct uart *u)
{
	uint8_t m = u->st.mcr;

	if (!(m & MCR_LOOP))
		return u->st.msr;
	return (uint8_t)((m & 0x02) << 3 | (m & 0x01) << 5 | (m & 0x04) << 4 | (m & 0x08) << 4);
}

static uint8_t uart_read_register(struct uart *u, uint64_t reg)
{
	uint8_t value;

	switch (reg) {
	case UART_DATA:
		if (u->st.lcr & LCR_DLAB)
			return u->st.dll;
		value = uart_rx_pop(u);
		uart_update_irq(u, false);
		return value;
	case UART_IER:
		return u->st.lcr & LCR_DLAB ? u->st.dlm : u->st.ier;
	case UART_IIR_FCR:
		return uart_read_iir(u);
	case UART_LCR:
		return u->st.lcr;
	case UART_MCR:
		return u->st.mcr;
	case UART_LSR:
		value = u->st.lsr;
		u->st.lsr &= (uint8_t)~LSR_ERRORS;
		uart_update_irq(u, false);
		return value;
	case UART_MSR:
		return uart_read_msr(u);
	default:
		return u->st.scr;
	}
}

static void uart_write_register(struct uart *u, uint64_t reg, uint8_t value)
{
	switch (reg) {
	case UART_DATA:
		uart_write_data(u, value);
		break;
	case UART_IER:
		uart_write_ier(u, value);
		break;
	case UART_IIR_FCR:
		uart_write_fcr(u, value);
		break;
	case UART_LCR:
		u->st.lcr = value;
		break;
	case UART_MCR:
		u->st.mcr = value & MCR_MASK;
		break;
	case UART_SCR:
		u->st.scr = value;
		break;
	default: /* line and modem status are read-only */
		break;
	}
}

/* Registers are one byte; a wider access is that many accesses in a row, as on the ISA bus. */
static void uart_read(void *dev, uint64_t off, void *data, uint32_t len)
{
	struct uart *u = dev;

	(void)pthread_mutex_lock(&u->lock);
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)data)[i] = uart_read_register(u, off + i);
	(void)pthread_mutex_unlock(&u->lock);
}

static void uart_write(void *dev, uint64_t off, const void *data, uint32_t len)
{
	struct uart *u = dev;

	(void)pthread_mutex_lock(&u->lock);
	for (uint32_t i = 0; i < len; i++)
		uart_write_register(u, off + i, ((const uint8_t *)data)[i]);
	(void)pthread_mutex_unlock(&u->lock);
}

const struct bus_ops uart_bus_ops = {.read = uart_read, .write = uart_write};

uint32_t uart_receive_room(struct uart *u)
{
	uint32_t room;

	(void)pthread_mutex_lock(&u->lock);
	room = (u->st.fcr & FCR_ENABLE ? UART_FIFO_SIZE : 1u);
	room = room > u->st.rx_count ? room - u->st.rx_count : 0;
	if (u->st.mcr & MCR_LOOP)
		room = 0; /* the line is disconnected */
	u->rx_wanted = room == 0;
	(void)pthread_mutex_unlock(&u->lock);
	return room;
}

uint32_t uart_receive(struct uart *u, const uint8_t *data, uint32_t len)
{
	uint32_t taken = 0, room = uart_receive_room(u);

	(void)pthread_mutex_lock(&u->lock);
	while (taken < MIN(len, room) && uart_rx_push(u, data[taken]))
		taken++;
	if (taken > 0)
		uart_update_irq(u, true);
	(void)pthread_mutex_unlock(&u->lock);
	return taken;
}

/* #syscalls:main write */
bool uart_flush(struct uart *u)
{
	bool empty;

	(void)pthread_mutex_lock(&u->lock);
	while (u->tx_count > 0) {
		uint32_t run = MIN(u->tx_count, UART_TX_RING_SIZE - u->tx_head);
		ssize_t n = write(u->out_fd, u->tx_ring + u->tx_head, run);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) { /* the reader is gone for good */
			counter_add(&u->counters.error_count, 1);
			n = run;
		}
		u->tx_head = (u->tx_head + (uint32_t)n) % UART_TX_RING_SIZE;
		u->tx_count -= (uint32_t)n;
	}
	counter_add(&u->counters.flush_count, 1);
	empty = u->tx_count == 0;
	(void)pthread_mutex_unlock(&u->lock);
	return empty;
}

/* A cause that was pending may have been told before, but once too often does no harm. */
void uart_load(struct uart *u, const struct uart_state *s)
{
	(void)pthread_mutex_lock(&u->lock);
	u->st = *s;
	uart_update_irq(u, true);
	(void)pthread_mutex_unlock(&u->lock);
}
