/* SPDX-License-Identifier: Apache-2.0 */
/* TCP of the metadata service: segments by hand against one connection, time by hand too. */
#include "api/mmds/stack.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/mmds_peer.h"

#include <stdlib.h>
#include <string.h>

#define REPLY_SIZE 5000u

static struct stack *stack;
static struct metrics_mmds counters;
static struct peer p;
static char in[3 * REPLY_SIZE];

/* A request is a line; the reply is its bytes, repeated to REPLY_SIZE. 'x' in front: and close. */
static uint32_t serve(
	void *ctx, const uint8_t *bytes, uint32_t len, bool full, struct stack_reply *ret)
{
	const uint8_t *end = memchr(bytes, '\n', len);
	uint32_t count = end ? (uint32_t)(end - bytes) + 1 : len;

	(void)ctx;
	if (!end && !full)
		return 0;
	ret->text = malloc(REPLY_SIZE);
	ret->len = REPLY_SIZE;
	for (uint32_t i = 0; i < REPLY_SIZE; i++)
		ret->text[i] = (char)bytes[i % count];
	ret->close = !end || bytes[0] == 'x';
	return count;
}

static int setup(void **state)
{
	struct stack_config c = {.ip = PEER_MMDS_IP, .server = serve, .counters = &counters};

	(void)state;
	memset(&counters, 0, sizeof(counters));
	memcpy(c.mac, peer_mmds_mac, sizeof(c.mac));
	stack = calloc(1, sizeof(*stack));
	stack_init(stack, &c);
	p = (struct peer){.now_ns = CLOCK_NS_PER_S};
	peer_connect(&p, stack, 4000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stack_fini(stack);
	free(stack);
	assert_int_equal(counters.connections_created, counters.connections_destroyed);
	return 0;
}

static void ask(const char *text)
{
	peer_send(&p, FRAME_ACK | FRAME_PSH, text, (uint32_t)strlen(text));
}

static void assert_reply(const char *text, uint32_t at)
{
	for (uint32_t i = 0; i < REPLY_SIZE; i++)
		assert_int_equal(in[at + i], text[i % strlen(text)]);
}

static uint32_t read_all(void)
{
	return peer_read(&p, in, sizeof(in));
}

/* Lets time pass until the stack wants to send something of its own accord. */
static void wait_for_deadline(void)
{
	assert_true(stack_deadline_ns(stack) != UINT64_MAX);
	p.now_ns = stack_deadline_ns(stack);
}

static void a_request_is_answered_in_full_segments(void **state)
{
	(void)state;
	ask("abc\n");
	assert_true(peer_take(&p));
	assert_int_equal(p.got.len, 1400); /* the peer's MSS */
	assert_int_equal(p.got.ack, p.seq);
	for (uint32_t i = 1; i < 4; i++)
		assert_true(peer_take(&p));
	assert_int_equal(p.got.len, REPLY_SIZE - 3 * 1400);
	assert_true(p.got.flags & FRAME_PSH);
	assert_false(peer_take(&p));
}

static void requests_follow_each_other_on_one_connection(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		ask("abc\n");
		assert_int_equal(read_all(), REPLY_SIZE);
		assert_reply("abc\n", 0);
	}
	assert_int_equal(stack_deadline_ns(stack), UINT64_MAX);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	ask("a\nbb\nccc\n");
	assert_int_equal(read_all(), 3 * REPLY_SIZE);
	assert_reply("a\n", 0);
	assert_reply("bb\n", REPLY_SIZE);
	assert_reply("ccc\n", 2 * REPLY_SIZE);
}

static void a_request_may_come_byte_by_byte(void **state)
{
	static const char text[] = "letters\n";

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		peer_send(&p, FRAME_ACK, text + i, 1);
		if (i + 2 < sizeof(text)) {
			assert_true(peer_take(&p));
			assert_int_equal(p.got.ack, p.seq);
			assert_int_equal(p.got.window, TCP_RX_MAX - i - 1);
		}
	}
	assert_int_equal(read_all(), REPLY_SIZE);
	assert_reply(text, 0);
}

static void lost_replies_come_again_later_and_later(void **state)
{
	uint64_t last = p.now_ns, wait = 0;

	(void)state;
	ask("abc\n");
	for (unsigned i = 0; i <= TCP_TRIES_MAX; i++) {
		while (peer_take(&p)) { /* lost */
			assert_int_equal(p.got.flags & FRAME_RST, 0);
		}
		wait_for_deadline();
		assert_true(p.now_ns - last >= wait);
		wait = p.now_ns - last;
		last = p.now_ns;
	}
	assert_int_equal(wait, TCP_RTO_NS << TCP_BACKOFF_MAX);
	assert_true(peer_take(&p));
	assert_true(p.got.flags & FRAME_RST);
	assert_false(peer_take(&p));
	assert_int_equal(stack_deadline_ns(stack), UINT64_MAX);
}

static void the_tail_comes_again_after_a_hole(void **state)
{
	(void)state;
	ask("abc\n");
	assert_true(peer_take(&p));
	memcpy(in, p.got.data, p.got.len);
	p.ack += p.got.len;
	while (peer_take(&p)) { /* the rest is lost */
	}
	peer_send(&p, FRAME_ACK, NULL, 0);
	assert_false(peer_take(&p));
	wait_for_deadline();
	assert_int_equal(peer_read(&p, in + 1400, sizeof(in) - 1400), REPLY_SIZE - 1400);
	assert_reply("abc\n", 0);
}

static void data_out_of_order_waits_for_the_hole(void **state)
{
	struct frame_tcp second;

	(void)state;
	p.seq += 2;
	second = peer_segment(&p, FRAME_ACK, "c\n", 2);
	peer_put(&p, &second);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.ack, p.seq - 2); /* a duplicate acknowledgement */
	p.seq -= 2;
	ask("ab");
	peer_put(&p, &second);
	assert_int_equal(read_all(), REPLY_SIZE);
	assert_reply("abc\n", 0);
}

static void duplicates_and_overlaps_are_trimmed(void **state)
{
	struct frame_tcp s = peer_segment(&p, FRAME_ACK, "abcd", 4);

	(void)state;
	peer_put(&p, &s);
	peer_put(&p, &s); /* whole */
	s = peer_segment(&p, FRAME_ACK, "abcdef\n", 7);
	peer_put(&p, &s); /* its front */
	p.seq += 7;
	peer_put(&p, &s);
	assert_int_equal(read_all(), REPLY_SIZE);
	assert_reply("abcdef\n", 0);
}

static void what_is_beyond_the_window_is_cut_off(void **state)
{
	static char text[TCP_RX_MAX + 100];
	struct frame_tcp s;

	(void)state;
	memset(text, 'z', sizeof(text));
	s = peer_segment(&p, FRAME_ACK, text, sizeof(text));
	peer_put(&p, &s);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.ack, p.seq + TCP_RX_MAX);
	/* So many bytes without an end are an error: a reply, and the end of the connection. */
	p.seq += TCP_RX_MAX;
	while (!(p.got.flags & FRAME_FIN))
		assert_true(peer_take(&p));
}

static void a_small_window_is_respected(void **state)
{
	(void)state;
	p.window = 700;
	ask("abc\n");
	assert_true(peer_take(&p));
	assert_int_equal(p.got.len, 700);
	assert_false(peer_take(&p));
	memcpy(in, p.got.data, 700);
	p.ack += 700;
	p.window = 20000;
	peer_send(&p, FRAME_ACK, NULL, 0);
	assert_int_equal(peer_read(&p, in + 700, sizeof(in) - 700), REPLY_SIZE - 700);
	assert_reply("abc\n", 0);
}

static void a_closed_window_is_probed_for_as_long_as_the_peer_lives(void **state)
{
	(void)state;
	p.window = 0;
	ask("abc\n");
	assert_true(peer_take(&p));
	assert_int_equal(p.got.len, 0);
	for (unsigned i = 0; i < 3 * TCP_TRIES_MAX; i++) {
		wait_for_deadline();
		assert_true(peer_take(&p));
		assert_int_equal(p.got.len, 1);
		assert_int_equal(p.got.seq, p.ack);
		assert_false(peer_take(&p));
		peer_send(&p, FRAME_ACK, NULL, 0); /* alive, and still no room */
		assert_false(peer_take(&p));
	}
	p.window = 20000;
	peer_send(&p, FRAME_ACK, NULL, 0);
	assert_int_equal(read_all(), REPLY_SIZE); /* without waiting */
	assert_reply("abc\n", 0);
}

static void a_closed_window_and_silence_end_the_connection(void **state)
{
	(void)state;
	p.window = 0;
	ask("abc\n");
	assert_true(peer_take(&p));
	for (unsigned i = 0; i <= TCP_TRIES_MAX; i++) {
		wait_for_deadline();
		assert_true(peer_take(&p));
	}
	assert_true(p.got.flags & FRAME_RST);
	assert_int_equal(counters.connections_destroyed, 1);
}

static void an_old_acknowledgement_does_not_shrink_the_window(void **state)
{
	struct frame_tcp old = peer_segment(&p, FRAME_ACK, NULL, 0);

	(void)state;
	old.window = 0;
	ask("abc\n");
	assert_true(peer_take(&p));
	p.ack += p.got.len;
	peer_send(&p, FRAME_ACK, NULL, 0);
	peer_put(&p, &old);
	assert_true(peer_take(&p));
	assert_true(p.got.len > 0);
}

static void the_newest_word_about_the_window_counts(void **state)
{
	struct frame_tcp ahead = peer_segment(&p, FRAME_ACK, "x", 1);

	(void)state;
	ahead.seq += 50; /* it overtook another one, which had the old window */
	ahead.window = 0;
	peer_put(&p, &ahead);
	ask("abc\n");
	assert_true(peer_take(&p));
	assert_int_equal(p.got.len, 0);
	assert_false(peer_take(&p));
}

static void an_acknowledgement_of_what_was_never_sent_changes_nothing(void **state)
{
	(void)state;
	p.ack += 100000;
	ask("abc\n");
	assert_true(peer_take(&p));
	assert_int_equal(p.got.len, 0);
	p.ack -= 100000;
	p.seq -= 4;
	ask("abc\n");
	assert_int_equal(read_all(), REPLY_SIZE);
}

static void a_reset_must_hit_exactly(void **state)
{
	struct frame_tcp rst = peer_segment(&p, FRAME_RST, NULL, 0);

	(void)state;
	rst.seq += 5;
	peer_put(&p, &rst); /* within the window: somebody guesses */
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_ACK);
	rst.seq += 100000;
	peer_put(&p, &rst);
	assert_false(peer_take(&p));
	assert_int_equal(counters.connections_destroyed, 0);
	rst.seq = p.seq;
	peer_put(&p, &rst);
	assert_int_equal(counters.connections_destroyed, 1);
	assert_false(peer_take(&p));
}

static void the_guest_closes_first(void **state)
{
	(void)state;
	peer_send(&p, FRAME_ACK | FRAME_FIN, NULL, 0);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_ACK | FRAME_FIN);
	assert_int_equal(p.got.ack, p.seq);
	p.ack++;
	peer_send(&p, FRAME_ACK, NULL, 0);
	assert_int_equal(counters.connections_destroyed, 1);
	assert_false(peer_take(&p));
}

static void a_half_closed_guest_still_gets_its_reply(void **state)
{
	(void)state;
	peer_send(&p, FRAME_ACK | FRAME_FIN, "abc\n", 4);
	assert_int_equal(read_all(), REPLY_SIZE);
	assert_reply("abc\n", 0);
	assert_int_equal(counters.connections_destroyed, 1);
}

static void a_fin_that_comes_too_early_waits_for_the_data(void **state)
{
	struct frame_tcp fin;

	(void)state;
	p.seq += 4;
	fin = peer_segment(&p, FRAME_ACK | FRAME_FIN, NULL, 0);
	peer_put(&p, &fin);
	p.seq -= 4;
	ask("abc\n");
	peer_put(&p, &fin);
	p.seq++;
	assert_int_equal(read_all(), REPLY_SIZE);
	assert_int_equal(counters.connections_destroyed, 1);
}

static void half_a_request_and_fin_are_answered_too(void **state)
{
	(void)state;
	peer_send(&p, FRAME_ACK | FRAME_FIN, "ab", 2);
	assert_int_equal(read_all(), REPLY_SIZE);
	assert_reply("ab", 0);
	assert_int_equal(counters.connections_destroyed, 1);
}

static void we_close_first_and_the_guest_takes_its_time(void **state)
{
	uint32_t count;

	(void)state;
	ask("xyz\n");
	count = read_all();
	assert_int_equal(count, REPLY_SIZE);
	assert_true(p.got.flags & FRAME_FIN);
	ask("more\n"); /* nobody listens, but the window stays open */
	assert_true(peer_take(&p));
	assert_int_equal(p.got.window, TCP_RX_MAX);
	assert_int_equal(p.got.ack, p.seq);
	assert_false(peer_take(&p));
	peer_send(&p, FRAME_ACK | FRAME_FIN, NULL, 0);
	assert_int_equal(counters.connections_destroyed, 1);
}

static void a_lost_fin_comes_again(void **state)
{
	(void)state;
	peer_send(&p, FRAME_ACK | FRAME_FIN, NULL, 0);
	assert_true(peer_take(&p)); /* lost */
	wait_for_deadline();
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_ACK | FRAME_FIN);
	p.ack++;
	peer_send(&p, FRAME_ACK, NULL, 0);
	assert_int_equal(counters.connections_destroyed, 1);
}

static void a_syn_within_a_connection_is_challenged(void **state)
{
	(void)state;
	p.seq += 77777;
	peer_send(&p, FRAME_SYN, NULL, 0);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.flags, FRAME_ACK);
	/* A guest that has forgotten the connection answers RST, and begins anew. */
	p.seq = p.got.ack;
	peer_send(&p, FRAME_RST, NULL, 0);
	peer_connect(&p, stack, 4000);
	ask("abc\n");
	assert_int_equal(read_all(), REPLY_SIZE);
}

static void a_keep_alive_is_answered(void **state)
{
	(void)state;
	p.seq--;
	peer_send(&p, FRAME_ACK, NULL, 0);
	assert_true(peer_take(&p));
	assert_int_equal(p.got.ack, p.seq + 1);
	assert_false(peer_take(&p));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_request_is_answered_in_full_segments),
		T(requests_follow_each_other_on_one_connection),
		T(pipelined_requests_are_answered_in_order),
		T(a_request_may_come_byte_by_byte),
		T(lost_replies_come_again_later_and_later),
		T(the_tail_comes_again_after_a_hole),
		T(data_out_of_order_waits_for_the_hole),
		T(duplicates_and_overlaps_are_trimmed),
		T(what_is_beyond_the_window_is_cut_off),
		T(a_small_window_is_respected),
		T(a_closed_window_is_probed_for_as_long_as_the_peer_lives),
		T(a_closed_window_and_silence_end_the_connection),
		T(an_old_acknowledgement_does_not_shrink_the_window),
		T(the_newest_word_about_the_window_counts),
		T(an_acknowledgement_of_what_was_never_sent_changes_nothing),
		T(a_reset_must_hit_exactly),
		T(the_guest_closes_first),
		T(a_half_closed_guest_still_gets_its_reply),
		T(a_fin_that_comes_too_early_waits_for_the_data),
		T(half_a_request_and_fin_are_answered_too),
		T(we_close_first_and_the_guest_takes_its_time),
		T(a_lost_fin_comes_again),
		T(a_syn_within_a_connection_is_challenged),
		T(a_keep_alive_is_answered),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("mmds_tcp", tests, NULL, NULL);
}
