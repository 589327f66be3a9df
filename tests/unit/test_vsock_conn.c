/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vsock connection without sockets: every packet in every state, credit where its counters
 * wrap, and a random walk beside a model that counts without wrapping.
 */
#include "virtio/vsock_conn.h"

#include "tests/unit/lib/cm.h"

#include <string.h>

#define CID 9u

static struct vsock_hdr packet(enum vsock_op op)
{
	return (struct vsock_hdr){
		.src_cid = CID,
		.dst_cid = VSOCK_CID_HOST,
		.src_port = 1,
		.dst_port = 2,
		.type = VSOCK_TYPE_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = 1000,
	};
}

static struct vsock_hdr sent(struct vsock_conn *c, enum vsock_op op, uint32_t len)
{
	struct vsock_hdr h;

	assert_int_equal(vsock_conn_next(c, len > 0), op);
	vsock_conn_build(c, op, len, CID, &h);
	assert_int_equal(h.op, op);
	assert_int_equal(h.buf_alloc, VSOCK_BUFFER_SIZE);
	assert_int_equal(h.fwd_cnt, c->fwd_cnt);
	assert_int_equal(h.src_port, c->local_port);
	assert_int_equal(h.dst_port, c->peer_port);
	return h;
}

static struct vsock_conn live(void)
{
	struct vsock_hdr h = packet(VSOCK_OP_REQUEST);
	struct vsock_conn c;

	vsock_conn_open_guest(&c, &h);
	(void)sent(&c, VSOCK_OP_RESPONSE, 0);
	return c;
}

static struct vsock_conn requested(bool request_sent)
{
	struct vsock_conn c;

	vsock_conn_open_host(&c, 2, 1);
	if (request_sent)
		(void)sent(&c, VSOCK_OP_REQUEST, 0);
	return c;
}

static void every_packet_in_every_state_has_its_answer(void **state)
{
	enum { N = 0, OPEN = VSOCK_DO_OPEN, DATA = VSOCK_DO_DATA, SHUT = VSOCK_DO_SHUT };
	enum { RESET = VSOCK_DO_RESET, GONE = VSOCK_DO_FORGET };
	/* INVALID REQUEST RESPONSE RST SHUTDOWN RW UPDATE CREDIT_REQUEST 8 */
	static const unsigned want[4][9] = {
		{RESET, RESET, RESET, GONE, RESET, RESET, RESET, RESET, RESET}, /* to be asked */
		{RESET, RESET, OPEN, GONE, RESET, RESET, RESET, RESET, RESET},  /* asked */
		{RESET, RESET, RESET, GONE, SHUT, DATA, N, N, RESET},           /* live */
		{N, N, N, GONE, N, N, N, N, N},                                 /* reset */
	};

	(void)state;
	for (unsigned s = 0; s < 4; s++) {
		for (unsigned op = 0; op < 9; op++) {
			struct vsock_conn c = s < 2 ? requested(s == 1) : live();
			struct vsock_hdr h = packet((enum vsock_op)op);

			if (s == 3)
				vsock_conn_reset(&c);
			h.flags = VSOCK_SHUTDOWN_SEND;
			if (vsock_conn_recv(&c, &h) != want[s][op])
				fail_msg("state %u, op %u", s, op);
		}
	}
}

static void unknown_ops_of_all_sixteen_bits_are_harmless(void **state)
{
	(void)state;
	for (unsigned op = 8; op <= UINT16_MAX; op++) {
		struct vsock_conn c = live();
		struct vsock_hdr h = packet(VSOCK_OP_RW);

		h.op = (uint16_t)op;
		assert_int_equal(vsock_conn_recv(&c, &h), VSOCK_DO_RESET);
	}
}

static void shutdown_flags_add_up_and_unknown_ones_mean_nothing(void **state)
{
	struct vsock_conn c = live();
	struct vsock_hdr h = packet(VSOCK_OP_SHUTDOWN);

	(void)state;
	h.flags = 0xfffffffc;
	assert_int_equal(vsock_conn_recv(&c, &h), 0);
	h.flags = VSOCK_SHUTDOWN_RCV;
	assert_int_equal(vsock_conn_recv(&c, &h), VSOCK_DO_SHUT);
	assert_int_equal(vsock_conn_recv(&c, &h), 0);
	h.flags = VSOCK_SHUTDOWN_SEND;
	assert_int_equal(vsock_conn_recv(&c, &h), VSOCK_DO_SHUT);
	assert_int_equal(c.guest_shut, VSOCK_SHUTDOWN_BOTH);
	h = packet(VSOCK_OP_RW);
	assert_int_equal(vsock_conn_recv(&c, &h), VSOCK_DO_RESET);
}

static void the_hosts_end_is_told_once_for_each_direction(void **state)
{
	struct vsock_conn c = live();

	(void)state;
	vsock_conn_host_shut(&c, VSOCK_SHUTDOWN_SEND);
	assert_int_equal(sent(&c, VSOCK_OP_SHUTDOWN, 0).flags, VSOCK_SHUTDOWN_SEND);
	assert_int_equal(vsock_conn_next(&c, true), VSOCK_OP_INVALID);
	vsock_conn_host_shut(&c, VSOCK_SHUTDOWN_SEND);
	assert_int_equal(vsock_conn_next(&c, false), VSOCK_OP_INVALID);
	vsock_conn_host_shut(&c, VSOCK_SHUTDOWN_RCV);
	assert_int_equal(sent(&c, VSOCK_OP_SHUTDOWN, 0).flags, VSOCK_SHUTDOWN_BOTH);
	assert_int_equal(vsock_conn_next(&c, true), VSOCK_OP_INVALID);
}

static void credit_survives_the_wrap_of_its_counters(void **state)
{
	struct vsock_conn c = live();
	struct vsock_hdr h = packet(VSOCK_OP_CREDIT_UPDATE);

	(void)state;
	c.rx_cnt = UINT32_MAX - 99; /* 100 bytes before the wrap */
	h.fwd_cnt = c.rx_cnt;
	assert_int_equal(vsock_conn_recv(&c, &h), 0);
	assert_int_equal(vsock_conn_credit(&c), 1000);
	(void)sent(&c, VSOCK_OP_RW, 600);
	assert_int_equal(c.rx_cnt, 500);
	assert_int_equal(vsock_conn_credit(&c), 400);
	(void)sent(&c, VSOCK_OP_RW, 400);
	assert_int_equal(vsock_conn_credit(&c), 0);
	h.fwd_cnt = 0; /* the guest took 100 of the 1000 */
	assert_int_equal(vsock_conn_recv(&c, &h), 0);
	assert_int_equal(vsock_conn_credit(&c), 100);
}

static void a_shrinking_or_lying_buffer_gives_no_credit(void **state)
{
	struct vsock_conn c = live();
	struct vsock_hdr h = packet(VSOCK_OP_CREDIT_UPDATE);

	(void)state;
	(void)sent(&c, VSOCK_OP_RW, 800);
	h.buf_alloc = 500; /* less than is under way */
	assert_int_equal(vsock_conn_recv(&c, &h), 0);
	assert_int_equal(vsock_conn_credit(&c), 0);
	h.buf_alloc = UINT32_MAX - 100;
	h.fwd_cnt = 900; /* more than was sent */
	assert_int_equal(vsock_conn_recv(&c, &h), 0);
	assert_int_equal(vsock_conn_credit(&c), 0);
	h.fwd_cnt = 800;
	assert_int_equal(vsock_conn_recv(&c, &h), 0);
	assert_int_equal(vsock_conn_credit(&c), UINT32_MAX - 100);
}

static void the_guest_may_fill_our_buffer_and_not_a_byte_more(void **state)
{
	struct vsock_conn c = live();
	struct vsock_hdr h = packet(VSOCK_OP_RW);

	(void)state;
	c.tx_cnt = c.fwd_cnt = c.fwd_cnt_told = UINT32_MAX - 10;
	h.len = VSOCK_BUFFER_SIZE;
	assert_int_equal(vsock_conn_recv(&c, &h), VSOCK_DO_DATA);
	h.len = 1;
	assert_int_equal(vsock_conn_recv(&c, &h), VSOCK_DO_RESET);
	vsock_conn_forwarded(&c, 1);
	h.len = 2;
	assert_int_equal(vsock_conn_recv(&c, &h), VSOCK_DO_RESET);
	h.len = UINT32_MAX;
	assert_int_equal(vsock_conn_recv(&c, &h), VSOCK_DO_RESET);
	h.len = 1;
	assert_int_equal(vsock_conn_recv(&c, &h), VSOCK_DO_DATA);
}

static void a_request_for_credit_is_answered(void **state)
{
	struct vsock_conn c = live();
	struct vsock_hdr h = packet(VSOCK_OP_CREDIT_REQUEST);

	(void)state;
	assert_int_equal(vsock_conn_recv(&c, &h), 0);
	(void)sent(&c, VSOCK_OP_CREDIT_UPDATE, 0);
	assert_int_equal(vsock_conn_next(&c, false), VSOCK_OP_INVALID);
	/* Data that goes out first says it as well. */
	assert_int_equal(vsock_conn_recv(&c, &h), 0);
	(void)sent(&c, VSOCK_OP_RW, 1);
	assert_int_equal(vsock_conn_next(&c, false), VSOCK_OP_INVALID);
}

/* What both ends know, in counters that never wrap. */
struct model {
	uint64_t to_guest, guest_took, guest_told; /* host to guest */
	uint64_t from_guest, forwarded;            /* guest to host */
	uint64_t guest_knows;                      /* of forwarded */
	uint32_t buf_alloc;
};

static uint32_t lcg(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33);
}

static void walk_guest(struct vsock_conn *c, struct model *m, uint64_t *seed)
{
	struct vsock_hdr h = packet(lcg(seed) % 2 ? VSOCK_OP_RW : VSOCK_OP_CREDIT_UPDATE);
	uint64_t room = VSOCK_BUFFER_SIZE - (m->from_guest - m->guest_knows);

	m->guest_took += lcg(seed) % (m->to_guest - m->guest_took + 1);
	m->guest_told = m->guest_took;
	h.fwd_cnt = (uint32_t)(m->guest_took + UINT32_MAX - 5000);
	h.buf_alloc = m->buf_alloc;
	if (h.op == VSOCK_OP_RW)
		h.len = lcg(seed) % (uint32_t)(MIN(room, 70000u) + 1);
	/* A guest that keeps to what it was told is never refused. */
	assert_int_equal(vsock_conn_recv(c, &h), h.op == VSOCK_OP_RW ? VSOCK_DO_DATA : 0);
	m->from_guest += h.len;
}

static void walk_host(struct vsock_conn *c, struct model *m, uint64_t *seed)
{
	bool readable = lcg(seed) % 4 != 0;
	enum vsock_op op = vsock_conn_next(c, readable);
	uint64_t credit = m->buf_alloc - (m->to_guest - m->guest_told);
	uint32_t len = 0;
	struct vsock_hdr h;

	assert_int_equal(vsock_conn_credit(c), credit);
	assert_int_equal(op == VSOCK_OP_RW, readable && credit > 0);
	if (op == VSOCK_OP_INVALID)
		return;
	if (op == VSOCK_OP_RW)
		len = 1 + lcg(seed) % (uint32_t)credit;
	vsock_conn_build(c, op, len, CID, &h);
	m->to_guest += len;
	m->guest_knows = m->forwarded;
}

static void a_random_walk_agrees_with_counters_that_never_wrap(void **state)
{
	uint64_t seed = 4711;

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct model m = {.buf_alloc = 1 + lcg(&seed) % 300000};
		struct vsock_conn c = live();

		c.rx_cnt = c.peer_fwd_cnt = UINT32_MAX - 5000;
		c.tx_cnt = c.fwd_cnt = c.fwd_cnt_told = UINT32_MAX - 7000;
		c.peer_buf_alloc = m.buf_alloc;
		for (int i = 0; i < 20000; i++) {
			uint32_t len;

			switch (lcg(&seed) % 3) {
			case 0:
				walk_guest(&c, &m, &seed);
				break;
			case 1:
				walk_host(&c, &m, &seed);
				break;
			default:
				len = lcg(&seed) % (uint32_t)(m.from_guest - m.forwarded + 1);
				vsock_conn_forwarded(&c, len);
				m.forwarded += len;
				/* The guest is never left to wait for credit that we have. */
				if (m.forwarded != m.guest_knows &&
					m.from_guest - m.guest_knows > VSOCK_BUFFER_SIZE / 2)
					assert_int_not_equal(
						vsock_conn_next(&c, false), VSOCK_OP_INVALID);
				break;
			}
			assert_int_equal(
				(uint32_t)(c.tx_cnt - c.fwd_cnt), m.from_guest - m.forwarded);
		}
		assert_true(m.to_guest > 100000 || m.buf_alloc < 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_packet_in_every_state_has_its_answer),
		cmocka_unit_test(unknown_ops_of_all_sixteen_bits_are_harmless),
		cmocka_unit_test(shutdown_flags_add_up_and_unknown_ones_mean_nothing),
		cmocka_unit_test(the_hosts_end_is_told_once_for_each_direction),
		cmocka_unit_test(credit_survives_the_wrap_of_its_counters),
		cmocka_unit_test(a_shrinking_or_lying_buffer_gives_no_credit),
		cmocka_unit_test(the_guest_may_fill_our_buffer_and_not_a_byte_more),
		cmocka_unit_test(a_request_for_credit_is_answered),
		cmocka_unit_test(a_random_walk_agrees_with_counters_that_never_wrap),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("vsock_conn", tests, NULL, NULL);
}
