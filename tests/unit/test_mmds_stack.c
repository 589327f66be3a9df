/* SPDX-License-Identifier: Apache-2.0 */
/* The host at the metadata address: ARP, refusals, many connections, and a bad network. */
#include "api/mmds/stack.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/fail.h"
#include "tests/unit/lib/mmds_peer.h"

#include <stdlib.h>
#include <string.h>

static struct stack *stack;
static struct metrics_mmds counters;
static struct peer p;
static uint8_t frame[FRAME_HEAD_MAX + TCP_MSS_OURS];
static uint32_t reply_size;

/* A request is a line; the reply is made of its bytes. */
static uint32_t serve(
	void *ctx, const uint8_t *bytes, uint32_t len, bool full, struct stack_reply *ret)
{
	const uint8_t *end = memchr(bytes, '\n', len);
	uint32_t count = end ? (uint32_t)(end - bytes) + 1 : len;

	(void)ctx;
	if (!end && !full)
		return 0;
	ret->text = malloc(reply_size);
	ret->len = reply_size;
	for (uint32_t i = 0; i < reply_size; i++)
		ret->text[i] = (char)bytes[i % count];
	return count;
}

static int setup(void **state)
{
	struct stack_config c = {.ip = PEER_MMDS_IP, .server = serve, .counters = &counters};

	(void)state;
	fail_reset();
	memset(&counters, 0, sizeof(counters));
	memcpy(c.mac, peer_mmds_mac, sizeof(c.mac));
	stack = calloc(1, sizeof(*stack));
	stack_init(stack, &c);
	p = (struct peer){.stack = stack, .now_ns = CLOCK_NS_PER_S, .port = 1, .window = 20000};
	reply_size = 10;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stack_fini(stack);
	free(stack);
	fail_reset();
	assert_int_equal(counters.connections_created, counters.connections_destroyed);
	return 0;
}

static void ask_arp(void)
{
	struct frame_arp a = {.src_mac = {2, 0, 0, 0, 0, 1}, .src_ip = PEER_IP};
	size_t len;

	a.dst_ip = PEER_MMDS_IP;
	len = frame_build_arp(&a, frame);
	stack_input(stack, frame, len, false, p.now_ns);
}

static void arp_is_answered_a_few_times_at_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3 * STACK_ARPS_MAX; i++)
		ask_arp();
	for (unsigned i = 0; i < STACK_ARPS_MAX; i++) {
		assert_int_equal(stack_output(stack, frame, p.now_ns), 42);
		assert_int_equal(frame[21], 2);
		assert_memory_equal(frame, peer_mac, 6);
		assert_memory_equal(frame + 22, peer_mmds_mac, 6);
	}
	assert_int_equal(stack_output(stack, frame, p.now_ns), 0);
	assert_int_equal(counters.rx_count, 3 * STACK_ARPS_MAX);
	assert_int_equal(counters.tx_frames, STACK_ARPS_MAX);
	assert_int_equal(counters.tx_bytes, 42 * STACK_ARPS_MAX);
}

static void a_segment_of_no_connection_is_refused(void **state)
{
	(void)state;
	p.ack = 1234;
	peer_send(&p, FRAME_ACK, "abc", 3);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_RST);
	assert_int_equal(p.got.seq, 1234);
	peer_send(&p, FRAME_FIN, "abc", 3); /* without ACK */
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_RST | FRAME_ACK);
	assert_int_equal(p.got.ack, p.seq);
	peer_send(&p, FRAME_RST, NULL, 0); /* a refusal is not refused */
	assert_false(peer_take(&p));
	assert_int_equal(counters.rx_accepted_unusual, 3);
}

static void other_ports_are_refused_from_where_they_are(void **state)
{
	struct frame_tcp s = peer_segment(&p, FRAME_SYN, NULL, 0);

	(void)state;
	s.dst_port = 8080;
	peer_put(&p, &s);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_RST | FRAME_ACK);
	assert_int_equal(p.got.src_port, 8080);
}

static void refusals_are_bounded(void **state)
{
	unsigned count = 0;

	(void)state;
	for (unsigned i = 0; i < 5 * STACK_RESETS_MAX; i++)
		peer_send(&p, FRAME_ACK, NULL, 0);
	while (peer_take(&p))
		count++;
	assert_int_equal(count, STACK_RESETS_MAX);
}

static void an_acknowledgement_of_the_wrong_syn_is_refused(void **state)
{
	(void)state;
	peer_send(&p, FRAME_SYN, NULL, 0);
	p.ack = 99; /* a guess, before our SYN went out */
	peer_send(&p, FRAME_ACK, NULL, 0);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_RST);
	assert_int_equal(p.got.seq, 99);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_SYN | FRAME_ACK);
}

static void a_syn_that_comes_again_is_answered_again(void **state)
{
	uint32_t iss;

	(void)state;
	peer_send(&p, FRAME_SYN, NULL, 0);
	assert_true(peer_take(&p));
	iss = p.got.seq;
	assert_false(peer_take(&p));
	p.seq--;
	peer_send(&p, FRAME_SYN, NULL, 0);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_SYN | FRAME_ACK);
	assert_int_equal(p.got.seq, iss);
	assert_int_equal(counters.connections_created, 1);
	/* Another SYN: its sender is told, so that it can give the old one up. */
	p.seq = 5555;
	peer_send(&p, FRAME_SYN, NULL, 0);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_ACK);
	p.seq = p.got.ack;
	peer_send(&p, FRAME_RST, NULL, 0);
	assert_int_equal(counters.connections_destroyed, 1);
}

static void a_lost_answer_to_syn_comes_again(void **state)
{
	(void)state;
	peer_send(&p, FRAME_SYN, NULL, 0);
	assert_true(peer_take(&p));
	p.now_ns = stack_deadline_ns(stack);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_SYN | FRAME_ACK);
}

static void sequence_numbers_differ(void **state)
{
	uint32_t first;

	(void)state;
	peer_send(&p, FRAME_SYN, NULL, 0);
	assert_true(peer_take(&p));
	first = p.got.seq;
	p.port++;
	peer_send(&p, FRAME_SYN, NULL, 0);
	assert_true(peer_take(&p));
	assert_int_not_equal(p.got.seq, first);
}

static void without_random_numbers_there_is_no_connection(void **state)
{
	(void)state;
	fail_nth(FAIL_GETRANDOM, 1, 5);
	peer_send(&p, FRAME_SYN, NULL, 0);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_RST | FRAME_ACK);
	assert_int_equal(counters.connections_created, 0);
}

static void all_connections_at_once_are_served(void **state)
{
	static struct peer peers[STACK_CONNS_MAX];
	char text[16];

	(void)state;
	for (uint16_t i = 0; i < STACK_CONNS_MAX; i++)
		peer_connect(&peers[i], stack, (uint16_t)(100 + i));
	for (unsigned i = 0; i < STACK_CONNS_MAX; i++) {
		peer_send(&peers[i], FRAME_ACK, "q\n", 2);
		assert_int_equal(peer_read(&peers[i], text, sizeof(text)), 10);
		assert_memory_equal(text, "q\nq\nq\n", 6);
	}
	assert_int_equal(counters.connections_created, STACK_CONNS_MAX);
}

static void one_more_is_refused_until_another_stands_still(void **state)
{
	static struct peer peers[STACK_CONNS_MAX + 1];
	struct peer *last = &peers[STACK_CONNS_MAX];
	char text[16];

	(void)state;
	for (uint16_t i = 0; i < STACK_CONNS_MAX; i++) {
		peers[i].now_ns = p.now_ns;
		peer_connect(&peers[i], stack, (uint16_t)(100 + i));
	}
	p.port = 99;
	p.now_ns += STACK_IDLE_NS - 1;
	peer_send(&p, FRAME_SYN, NULL, 0);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_RST | FRAME_ACK);
	p.now_ns -= STACK_IDLE_NS - 1;

	/* All but number 3 have stood still since; number 0 for longest. */
	for (unsigned i = 1; i < STACK_CONNS_MAX; i++) {
		peers[i].now_ns += i == 3 ? STACK_IDLE_NS : 1;
		peer_send(&peers[i], FRAME_ACK, "q\n", 2);
		assert_int_equal(peer_read(&peers[i], text, sizeof(text)), 10);
	}
	last->now_ns = p.now_ns + STACK_IDLE_NS;
	peer_connect(last, stack, 200);
	assert_int_equal(counters.connections_destroyed, 1);
	peer_send(&peers[0], FRAME_ACK, "q\n", 2);
	assert_true(peer_take(&peers[0]));
	assert_int_equal(peers[0].got.flags, FRAME_RST);
	peer_send(&peers[3], FRAME_ACK, "q\n", 2);
	assert_int_equal(peer_read(&peers[3], text, sizeof(text)), 10);
}

static void replies_under_way_are_bounded_and_the_others_wait(void **state)
{
	static struct peer peers[STACK_CONNS_MAX];
	uint32_t got[STACK_CONNS_MAX] = {0};
	size_t pending = 0;

	(void)state;
	reply_size = 100000;
	for (uint16_t i = 0; i < STACK_CONNS_MAX; i++) {
		peer_connect(&peers[i], stack, (uint16_t)(100 + i));
		peers[i].window = 0;
	}
	for (unsigned i = 0; i < STACK_CONNS_MAX; i++)
		peer_send(&peers[i], FRAME_ACK, "q\n", 2);
	for (unsigned i = 0; i < STACK_CONNS_MAX; i++)
		pending += stack->conns[i].tcp.tx_len;
	assert_true(pending > STACK_PENDING_MAX && pending <= STACK_PENDING_MAX + reply_size);
	while (peer_take(&p)) { /* acknowledgements */
	}
	/* As some take theirs, all get one. */
	for (unsigned i = 0; i < STACK_CONNS_MAX; i++) {
		peers[i].window = 60000;
		peer_send(&peers[i], FRAME_ACK, NULL, 0);
	}
	while (peer_take(&p)) {
		struct peer *q = &peers[p.got.dst_port - 100];

		assert_int_equal(p.got.seq, q->ack);
		got[p.got.dst_port - 100] += p.got.len;
		q->ack += p.got.len;
		if (p.got.len > 0)
			peer_send(q, FRAME_ACK, NULL, 0);
	}
	for (unsigned i = 0; i < STACK_CONNS_MAX; i++)
		assert_int_equal(got[i], reply_size);
}

static void what_is_not_tcp_is_swallowed(void **state)
{
	struct frame_tcp s = peer_segment(&p, FRAME_SYN, NULL, 0);
	size_t len = frame_build_tcp(&s, frame);

	(void)state;
	frame[23] = 17; /* and the checksum with it */
	frame[25] = (uint8_t)(frame[25] - 11);
	stack_input(stack, frame, len, false, p.now_ns);
	assert_int_equal(counters.rx_accepted_unusual, 1);
	frame[24] ^= 1;
	stack_input(stack, frame, len, false, p.now_ns);
	assert_int_equal(counters.rx_accepted_err, 1);
	assert_false(peer_take(&p));
}

/* ---- a bad network ---- */

#define WIRE_MAX 64u

struct wire {
	unsigned count;
	struct {
		size_t len;
		uint8_t bytes[FRAME_HEAD_MAX + TCP_MSS_OURS];
	} frames[WIRE_MAX];
};

static uint32_t seed;

static uint32_t dice(uint32_t sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

/* Loses one in six, doubles one in eight. */
static void wire_put(struct wire *w, const uint8_t *bytes, size_t len)
{
	unsigned copies = dice(6) == 0 ? 0 : dice(8) == 0 ? 2 : 1;

	for (; copies > 0 && w->count < WIRE_MAX; copies--) {
		w->frames[w->count].len = len;
		memcpy(w->frames[w->count++].bytes, bytes, len);
	}
}

/* Any of the first four, so that they overtake each other. */
static size_t wire_take(struct wire *w, uint8_t *bytes)
{
	unsigned i = w->count ? dice(MIN(w->count, 4)) : 0;
	size_t len;

	if (w->count == 0)
		return 0;
	len = w->frames[i].len;
	memcpy(bytes, w->frames[i].bytes, len);
	w->count--;
	memmove(&w->frames[i], &w->frames[i + 1], (w->count - i) * sizeof(w->frames[0]));
	return len;
}

/* A guest that sends its request until it is acknowledged, and takes what comes in order. */
struct guest {
	struct peer p;
	uint32_t start, acked, sent; /* of SYN, request and FIN */
	uint32_t got;
	bool open, done;
	char text[40000];
};

static struct wire up, down;

static void guest_send(struct guest *g, uint8_t flags, uint32_t seq, const char *data, uint32_t len)
{
	struct frame_tcp s;

	g->p.seq = seq;
	g->p.window = (uint16_t)(1 + dice(5000));
	s = peer_segment(&g->p, flags, data, len);
	len += (flags & (FRAME_SYN | FRAME_FIN)) ? 1 : 0;
	g->sent = MAX(g->sent, seq + len - g->start);
	wire_put(&up, frame, frame_build_tcp(&s, frame));
}

static void guest_receive(struct guest *g, const struct frame_tcp *t)
{
	assert_int_equal(t->flags & FRAME_RST, 0);
	if (!g->open && (t->flags & FRAME_SYN)) {
		g->open = true;
		g->p.ack = t->seq + 1;
	}
	if (!g->open)
		return;
	if (t->ack - g->start <= 40)
		g->acked = MAX(g->acked, t->ack - g->start);
	if (t->seq == g->p.ack && t->len > 0) {
		memcpy(g->text + g->got, t->data, t->len);
		g->got += t->len;
		g->p.ack += t->len;
	}
	if (t->seq + t->len == g->p.ack && (t->flags & FRAME_FIN) && !g->done) {
		g->p.ack++;
		g->done = true;
	}
	guest_send(g, FRAME_ACK, g->start + g->sent, NULL, 0);
}

/* What it has to say is said again and again, in pieces of any size. */
static void guest_act(struct guest *g, const char *request, uint32_t len)
{
	uint32_t sent = g->acked == 0 ? 0 : g->acked - 1, part = 1 + dice(9);

	if (!g->open)
		guest_send(g, FRAME_SYN, g->start, NULL, 0);
	else if (sent < len)
		guest_send(
			g, FRAME_ACK, g->start + 1 + sent, request + sent, MIN(part, len - sent));
	else
		guest_send(g, FRAME_ACK | FRAME_FIN, g->start + 1 + len, NULL, 0);
}

static void converse(struct guest *g)
{
	static const char request[] = "thirty letters and a new line\n";
	struct frame f;
	size_t len;

	for (unsigned turn = 0; turn < 20000 && !g->done; turn++) {
		p.now_ns += 20 * CLOCK_NS_PER_MS;
		if (dice(4) == 0)
			guest_act(g, request, sizeof(request) - 1);
		while ((len = stack_output(stack, frame, p.now_ns)) > 0)
			wire_put(&down, frame, len);
		if ((len = wire_take(&up, frame)) > 0)
			stack_input(stack, frame, len, false, p.now_ns);
		if ((len = wire_take(&down, frame)) > 0) {
			frame_parse(frame, len, PEER_IP, false, &f);
			assert_int_equal(f.kind, FRAME_KIND_TCP);
			/* Not what an earlier guest was not there to hear the end of. */
			if (f.tcp.dst_port == g->p.port)
				guest_receive(g, &f.tcp);
		}
	}
	assert_true(g->done);
	assert_int_equal(g->got, reply_size);
	for (uint32_t i = 0; i < g->got; i++)
		assert_int_equal(g->text[i], request[i % (sizeof(request) - 1)]);
}

static void a_conversation_survives_loss_disorder_and_doubles(void **state)
{
	static struct guest g;

	(void)state;
	reply_size = 30000;
	for (uint32_t run = 0; run < 40; run++) {
		seed = run;
		up.count = down.count = 0;
		memset(&g, 0, sizeof(g));
		g.p = (struct peer){.stack = stack, .port = (uint16_t)(1000 + run), .window = 3000};
		g.start = 0xfffffff0u + run;
		converse(&g);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(arp_is_answered_a_few_times_at_once),
		T(a_segment_of_no_connection_is_refused),
		T(other_ports_are_refused_from_where_they_are),
		T(refusals_are_bounded),
		T(an_acknowledgement_of_the_wrong_syn_is_refused),
		T(a_syn_that_comes_again_is_answered_again),
		T(a_lost_answer_to_syn_comes_again),
		T(sequence_numbers_differ),
		T(without_random_numbers_there_is_no_connection),
		T(all_connections_at_once_are_served),
		T(one_more_is_refused_until_another_stands_still),
		T(replies_under_way_are_bounded_and_the_others_wait),
		T(what_is_not_tcp_is_swallowed),
		T(a_conversation_survives_loss_disorder_and_doubles),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("mmds_stack", tests, NULL, NULL);
}
