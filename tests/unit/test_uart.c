/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550A: registers, interrupts, and a reader of its output that is slow or gone. */
#include "tests/unit/lib/cm.h"
#include "vmm/base/cleanup.h"
#include "vmm/legacy/uart.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct uart uart;
static struct irq_line irq;
static int kick_fd, out[2];

static int set_up(void **state)
{
	(void)state;
	irq.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(pipe2(out, O_NONBLOCK | O_CLOEXEC), 0);
	uart_init(&uart, &irq, out[1], kick_fd);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	uart_fini(&uart);
	fd_close(&irq.fd);
	fd_close(&kick_fd);
	fd_close(&out[0]);
	fd_close(&out[1]);
	return 0;
}

static uint8_t in(uint64_t reg)
{
	uint8_t v;

	uart_bus_ops.read(&uart, reg, &v, 1);
	return v;
}

static void put(uint64_t reg, uint8_t v)
{
	uart_bus_ops.write(&uart, reg, &v, 1);
}

static uint64_t count_of(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
}

static void output_appears_at_once_and_the_holding_register_stays_empty(void **state)
{
	char c = 0;

	(void)state;
	put(DATA, 'x');
	assert_int_equal(read(out[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	assert_int_equal(in(LSR), 0x60);
}

static void enabling_the_transmit_interrupt_raises_it(void **state)
{
	(void)state;
	assert_int_equal(count_of(irq.fd), 0);
	put(IER, 2);
	assert_int_equal(count_of(irq.fd), 1);
	assert_int_equal(in(IIR), 0x02);
	assert_int_equal(in(IIR), 0x01); /* reading it took it back */
	put(DATA, 'y');
	assert_int_equal(count_of(irq.fd), 1);
}

static void input_is_read_in_order_and_interrupts(void **state)
{
	(void)state;
	put(IIR, 0x01);
	put(IER, 1);
	assert_int_equal(uart_receive(&uart, (const uint8_t *)"abc", 3), 3);
	assert_int_equal(count_of(irq.fd), 1);
	assert_int_equal(in(IIR), 0xc4);
	assert_int_equal(in(LSR)&1, 1);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(in(DATA), 'b');
	assert_int_equal(in(DATA), 'c');
	assert_int_equal(in(LSR)&1, 0);
	assert_int_equal(in(IIR), 0xc1);
}

static void input_below_the_trigger_level_comes_as_a_timeout(void **state)
{
	(void)state;
	put(IIR, 0xc1); /* trigger at 14 bytes */
	put(IER, 1);
	assert_int_equal(uart_receive(&uart, (const uint8_t *)"a", 1), 1);
	assert_int_equal(count_of(irq.fd), 1);
	assert_int_equal(in(IIR), 0xcc);
}

static void full_receiver_takes_no_more_and_asks_again_when_empty(void **state)
{
	uint8_t many[UART_FIFO_SIZE + 10];

	(void)state;
	memset(many, 'z', sizeof(many));
	put(IIR, 0x01);
	assert_int_equal(uart_receive(&uart, many, sizeof(many)), UART_FIFO_SIZE);
	assert_int_equal(uart_receive_room(&uart), 0);
	assert_int_equal(count_of(kick_fd), 0);
	for (uint32_t i = 0; i < UART_FIFO_SIZE; i++)
		assert_int_equal(in(DATA), 'z');
	assert_int_equal(count_of(kick_fd), 1);
	assert_int_equal(uart_receive_room(&uart), UART_FIFO_SIZE);
}

static void without_fifo_there_is_room_for_one_byte(void **state)
{
	(void)state;
	assert_int_equal(uart_receive(&uart, (const uint8_t *)"ab", 2), 1);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(in(DATA), 0);
	assert_int_equal(uart.counters.missed_read_count, 1);
}

static void clearing_the_fifo_drops_input(void **state)
{
	(void)state;
	put(IIR, 0x01);
	assert_int_equal(uart_receive(&uart, (const uint8_t *)"abc", 3), 3);
	put(IIR, 0x03);
	assert_int_equal(in(LSR)&1, 0);
}

static void divisor_latch_hides_data_and_interrupt_enable(void **state)
{
	char c;

	(void)state;
	put(LCR, 0x80);
	put(DATA, 0x01);
	put(IER, 0x02);
	assert_int_equal(in(DATA), 0x01);
	assert_int_equal(in(IER), 0x02);
	put(LCR, 0x03);
	assert_int_equal(in(IER), 0);
	assert_int_equal(read(out[0], &c, 1), -1);
}

static void loopback_turns_output_into_input(void **state)
{
	char c;

	(void)state;
	put(IIR, 1);
	put(MCR, 0x1f);
	assert_int_equal(in(MSR), 0xf0);
	put(DATA, 'q');
	assert_int_equal(in(DATA), 'q');
	assert_int_equal(read(out[0], &c, 1), -1);
	for (uint32_t i = 0; i <= UART_FIFO_SIZE; i++)
		put(DATA, (uint8_t)i);
	assert_int_equal(in(LSR)&0x02, 0x02); /* overrun, */
	assert_int_equal(in(LSR)&0x02, 0);    /* until read */
	assert_int_equal(uart_receive_room(&uart), 0);
}

static void scratch_register_keeps_its_byte(void **state)
{
	(void)state;
	put(SCR, 0xa5);
	assert_int_equal(in(SCR), 0xa5);
}

static void slow_reader_gets_everything_in_order(void **state)
{
	static uint8_t drain[300000];
	uint32_t sent = 0;
	size_t got = 0;

	(void)state;
	while (uart.tx_count < 1000)
		put(DATA, (uint8_t)(sent++ * 7));
	assert_int_equal(count_of(kick_fd), 1);
	assert_false(uart_flush(&uart));
	while (got < sent) {
		ssize_t n = read(out[0], drain + got, sizeof(drain) - got);

		if (n > 0)
			got += (size_t)n;
		(void)uart_flush(&uart);
	}
	assert_int_equal(got, sent);
	for (uint32_t i = 0; i < sent; i++)
		assert_int_equal(drain[i], (uint8_t)(i * 7));
}

static void output_past_the_ring_is_dropped_and_counted(void **state)
{
	(void)state;
	while (uart.tx_count < UART_TX_RING_SIZE)
		put(DATA, 'a');
	assert_int_equal(uart.counters.missed_write_count, 0);
	put(DATA, 'b');
	assert_int_equal(uart.counters.missed_write_count, 1);
	assert_int_equal(uart.tx_count, UART_TX_RING_SIZE);
}

static void reader_that_is_gone_stops_nothing(void **state)
{
	(void)state;
	while (uart.tx_count < 10)
		put(DATA, 'a');
	(void)signal(SIGPIPE, SIG_IGN);
	fd_close(&out[0]);
	assert_true(uart_flush(&uart));
	put(DATA, 'b');
	assert_int_equal(uart.tx_count, 0);
	assert_true(uart.counters.error_count >= 2);
}

static void wide_access_is_a_row_of_bytes(void **state)
{
	uint32_t v = 0;

	(void)state;
	put(SCR, 0x77);
	uart_bus_ops.read(&uart, 4, &v, 4);
	assert_int_equal(v >> 24, 0x77);
}

static void saved_state_must_agree_with_itself(void **state)
{
	struct uart_state s = uart.st;
	struct err e = {0};

	(void)state;
	assert_int_equal(field_table_check(&uart_state_table, &s, &e), 0);
	s.rx_count = UART_FIFO_SIZE + 1;
	assert_true(field_table_check(&uart_state_table, &s, &e) < 0);
	s.rx_count = 1;
	assert_true(field_table_check(&uart_state_table, &s, &e) < 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(output_appears_at_once_and_the_holding_register_stays_empty),
		TEST(enabling_the_transmit_interrupt_raises_it),
		TEST(input_is_read_in_order_and_interrupts),
		TEST(input_below_the_trigger_level_comes_as_a_timeout),
		TEST(full_receiver_takes_no_more_and_asks_again_when_empty),
		TEST(without_fifo_there_is_room_for_one_byte),
		TEST(clearing_the_fifo_drops_input),
		TEST(divisor_latch_hides_data_and_interrupt_enable),
		TEST(loopback_turns_output_into_input),
		TEST(scratch_register_keeps_its_byte),
		TEST(slow_reader_gets_everything_in_order),
		TEST(output_past_the_ring_is_dropped_and_counted),
		TEST(reader_that_is_gone_stops_nothing),
		TEST(wide_access_is_a_row_of_bytes),
		TEST(saved_state_must_agree_with_itself),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
