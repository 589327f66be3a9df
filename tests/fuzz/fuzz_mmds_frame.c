/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest of the metadata service that sends what it likes: frames of any bytes, and segments whose
 * numbers are near those that the service last sent, so that connections come about. What comes
 * back is sound, bounded, and never without end.
 * Input: records of 8 bytes: operation (see target_record), port, flags, seq and ack (signed distances), window / 256,
 * length, milliseconds / 16 to let pass; behind each as many bytes as its length says.
 */
#include "tests/fuzz/virtio_target.h"

#include "api/mmds/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IP 0xa9fea9feu

static struct answerer answers = {.version = 1};
static uint64_t now_ns;
static uint32_t seq[256], ack[256]; /* of each port: what to send next */

static uint32_t target_serve(
	void *ctx, const uint8_t *bytes, uint32_t len, bool full, struct stack_reply *ret)
{
	uint32_t taken = answer(ctx, bytes, len, full, now_ns, ret);

	TARGET_REQUIRE(taken <= len && (!full || taken > 0));
	return taken;
}

/* Takes everything, and remembers the numbers. */
static void target_drain(struct stack *s)
{
	uint8_t *buf = malloc(FRAME_HEAD_MAX + TCP_MSS_OURS);
	struct frame f;
	size_t len;

	for (int i = 0; (len = stack_output(s, buf, now_ns)) > 0; i++) {
		TARGET_REQUIRE(i < 4096 && len <= FRAME_HEAD_MAX + TCP_MSS_OURS);
		if (len == FRAME_ETH_SIZE + FRAME_ARP_SIZE)
			continue;
		frame_parse(buf, len,
			(uint32_t)buf[30] << 24 | (uint32_t)buf[31] << 16 | (uint32_t)buf[32] << 8 |
				buf[33],
			false, &f);
		TARGET_REQUIRE(f.kind == FRAME_KIND_TCP && f.tcp.src_ip == IP);
		seq[f.tcp.dst_port & 255] = f.tcp.ack;
		ack[f.tcp.dst_port & 255] =
			f.tcp.seq + f.tcp.len + ((f.tcp.flags & FRAME_SYN) ? 1 : 0);
	}
	free(buf);
}

/* Makes the checksum of an IPv4 header right, so that what stands behind it is looked at. */
static void target_seal(uint8_t *frame, size_t len)
{
	size_t head = (frame[14] & 15u) * 4u;
	uint32_t sum = 0;

	if (head < FRAME_IP_SIZE || FRAME_ETH_SIZE + head > len)
		return;
	frame[24] = frame[25] = 0;
	for (size_t i = FRAME_ETH_SIZE; i < FRAME_ETH_SIZE + head; i++)
		sum += i % 2 ? frame[i] : (uint32_t)frame[i] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
}

static void target_record(struct stack *s, const uint8_t *r, uint8_t *bytes)
{
	struct frame_tcp t = {.src_ip = 0x0a000002,
		.dst_ip = IP,
		.src_port = r[1],
		.dst_port = STACK_PORT,
		.flags = r[2] & 0x1f,
		.data = bytes,
		.len = r[6],
		.mss = (uint16_t)(r[0] & 2 ? 4u * r[1] : 0),
		.window = (uint16_t)(r[5] << 8)};
	uint8_t buf[FRAME_HEAD_MAX + 256];

	now_ns += r[7] * 16 * CLOCK_NS_PER_MS;
	if (r[6] >= FRAME_ETH_SIZE + FRAME_IP_SIZE && (r[0] & 16))
		target_seal(bytes, r[6]);
	t.seq = seq[r[1]] + (uint32_t)(int8_t)r[3];
	t.ack = ack[r[1]] + (uint32_t)(int8_t)r[4];
	if (!(r[0] & 1))
		stack_input(s, buf, frame_build_tcp(&t, buf), r[0] & 4, now_ns);
	else if (r[6] >= FRAME_ETH_SIZE)
		stack_input(s, bytes, r[6], r[0] & 4, now_ns);
	if (!(r[0] & 8))
		target_drain(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char text[] = "{\"a\":{\"b\":\"text\",\"c\":[1,2]},\"d\":\"e\"}";
	static struct metrics_mmds counters;
	static struct tokens tokens;
	static struct store store;
	struct stack_config c = {
		.ip = IP, .server = target_serve, .ctx = &answers, .counters = &counters};
	struct stack *s = calloc(1, sizeof(*s));
	struct err e;

	if (!store.root) {
		store_init(&store, 1000);
		TARGET_REQUIRE(store_put(&store, text, sizeof(text) - 1, &e) == 0);
	}
	memset(seq, 0, sizeof(seq));
	memset(ack, 0, sizeof(ack));
	answers.store = &store;
	answers.tokens = &tokens;
	answers.counters = &counters;
	answers.version = size % 2 ? 1 : 2;
	stack_init(s, &c);
	while (size >= 8 && size - 8 >= data[6]) {
		size_t len = 8u + data[6];
		uint8_t *exact = malloc(data[6] + 1u); /* the sanitizer sees an access beyond it */

		memcpy(exact, data + 8, data[6]);
		target_record(s, data, exact);
		free(exact);
		data += len;
		size -= len;
	}
	stack_fini(s);
	free(s);
	TARGET_REQUIRE(counters.connections_created == counters.connections_destroyed);
	return 0;
}
