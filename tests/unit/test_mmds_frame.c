/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the metadata service: what is taken, what is refused, and checksums by known bytes. */
#include "api/mmds/frame.h"

#include "tests/unit/lib/cm.h"

#include <errno.h>
#include <string.h>

#define IP 0xa9fea9feu

/* A SYN as Linux sends it: with MSS, SACK, timestamps and window scale. */
static const uint8_t syn[] = {0x06, 0x01, 0x23, 0x45, 0x67, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00,
	0x01, 0x08, 0x00, /* IP */
	0x45, 0x00, 0x00, 0x3c, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x00, 0x00, 0x0a, 0x00, 0x00,
	0x02, 0xa9, 0xfe, 0xa9, 0xfe, /* TCP */
	0xc0, 0x01, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00, 0x00, 0xa0, 0x02, 0xfa,
	0xf0, 0x00, 0x00, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0x00, 0x00,
	0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x07};

static uint8_t buf[4096];
static struct frame f;

/* The IPv4 header that textbooks compute the checksum of: 0xb861. */
static const uint8_t known_ip[] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8,
	0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};

/* Sums as a reader would: 16 bits at a time, carries put back at once. */
static uint16_t plain_sum(const uint8_t *p, size_t len, uint16_t from)
{
	uint32_t sum = from;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* The checksums of a frame whose IPv4 header has 20 bytes, written into it. */
static void seal(uint8_t *frame, size_t len)
{
	uint8_t pseudo[12] = {0};
	uint16_t sum;

	frame[24] = frame[25] = 0;
	sum = (uint16_t)~plain_sum(frame + 14, 20, 0);
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
	memcpy(pseudo, frame + 26, 8);
	pseudo[9] = 6;
	pseudo[10] = (uint8_t)((len - 34) >> 8);
	pseudo[11] = (uint8_t)(len - 34);
	frame[50] = frame[51] = 0;
	sum = (uint16_t)~plain_sum(frame + 34, len - 34, plain_sum(pseudo, sizeof(pseudo), 0));
	frame[50] = (uint8_t)(sum >> 8);
	frame[51] = (uint8_t)sum;
}

static int setup(void **state)
{
	(void)state;
	memset(buf, 0, sizeof(buf));
	memcpy(buf, syn, sizeof(syn));
	seal(buf, sizeof(syn));
	return 0;
}

static enum frame_kind kind(size_t len)
{
	/* A copy of exactly that length: a sanitizer sees what is read beyond it. */
	uint8_t *exact = test_malloc(len);

	memcpy(exact, buf, len);
	frame_parse(exact, len, IP, false, &f);
	test_free(exact);
	return f.kind;
}

static void a_linux_syn_is_understood(void **state)
{
	(void)state;
	assert_int_equal(kind(sizeof(syn)), FRAME_KIND_TCP);
	assert_int_equal(f.tcp.flags, FRAME_SYN);
	assert_int_equal(f.tcp.src_ip, 0x0a000002);
	assert_int_equal(f.tcp.src_port, 0xc001);
	assert_int_equal(f.tcp.dst_port, 80);
	assert_int_equal(f.tcp.seq, 0x01020304);
	assert_int_equal(f.tcp.window, 0xfaf0);
	assert_int_equal(f.tcp.mss, 1460);
	assert_int_equal(f.tcp.len, 0);
	assert_memory_equal(f.tcp.src_mac, syn + 6, 6);
}

static void the_known_checksum_is_found(void **state)
{
	(void)state;
	assert_int_equal(plain_sum(known_ip, sizeof(known_ip), 0), 0xffff);
	/* And ours agrees with it: the header is good, so what follows is judged. */
	memcpy(buf + 14, known_ip, sizeof(known_ip));
	frame_parse(buf, 14 + 0x73, 0xc0a800c7, false, &f);
	assert_int_equal(f.kind, FRAME_KIND_OTHER);
	buf[14 + 5] ^= 1;
	frame_parse(buf, 14 + 0x73, 0xc0a800c7, false, &f);
	assert_int_equal(f.kind, FRAME_KIND_BAD);
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	for (size_t len = 14; len < sizeof(syn); len++)
		assert_int_equal(kind(len), len < 34 ? FRAME_KIND_ALIEN : FRAME_KIND_BAD);
}

static void padding_behind_the_packet_is_not_data(void **state)
{
	(void)state;
	assert_int_equal(kind(sizeof(syn) + 6), FRAME_KIND_TCP);
	assert_int_equal(f.tcp.len, 0);
}

static void each_broken_bit_of_a_packet_is_found(void **state)
{
	(void)state;
	for (size_t i = 14; i < sizeof(syn); i++) {
		for (int bit = 0; bit < 8; bit++) {
			buf[i] ^= (uint8_t)(1 << bit);
			assert_int_not_equal(kind(sizeof(syn)), FRAME_KIND_TCP);
			buf[i] ^= (uint8_t)(1 << bit);
		}
	}
}

static void a_partial_checksum_is_taken_only_if_the_driver_says_so(void **state)
{
	(void)state;
	buf[50] ^= 0x55;
	assert_int_equal(kind(sizeof(syn)), FRAME_KIND_BAD);
	frame_parse(buf, sizeof(syn), IP, true, &f);
	assert_int_equal(f.kind, FRAME_KIND_TCP);
}

static void header_lengths_are_checked(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {
		{14, 0x44}, {14, 0x4f}, {14, 0x65}, {17, 0x3d}, {17, 0x13}, {46, 0x40}, {46, 0xb0}};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		(void)setup(NULL);
		buf[bad[i].at] = bad[i].value;
		seal(buf, sizeof(syn));
		assert_int_equal(kind(sizeof(syn)), FRAME_KIND_BAD);
	}
}

static void options_of_ip_are_passed_over(void **state)
{
	(void)state;
	memmove(buf + 38, buf + 34, 40);
	memset(buf + 34, 1, 4);
	buf[14] = 0x46;
	buf[17] = 0x40;
	buf[24] = buf[25] = 0;
	uint16_t sum = (uint16_t)~plain_sum(buf + 14, 24, 0);

	buf[24] = (uint8_t)(sum >> 8);
	buf[25] = (uint8_t)sum;
	assert_int_equal(kind(sizeof(syn) + 4), FRAME_KIND_TCP);
	assert_int_equal(f.tcp.mss, 1460);
}

static void odd_options_of_tcp_end_the_search_only(void **state)
{
	static const uint8_t odd[][4] = {{2, 0, 5, 0xb4}, {2, 1, 5, 0xb4}, {2, 30, 5, 0xb4},
		{0, 2, 4, 5}, {2, 3, 5, 1}, {1, 1, 1, 2}, {8, 22, 0, 0}};

	(void)state;
	for (size_t i = 0; i < NELEM(odd); i++) {
		(void)setup(NULL);
		memset(buf + 54, 1, 20);
		memcpy(buf + 70, odd[i], 4);
		seal(buf, sizeof(syn));
		assert_int_equal(kind(sizeof(syn)), FRAME_KIND_TCP);
		assert_int_equal(f.tcp.mss, 0);
	}
}

static void fragments_and_other_protocols_are_set_aside(void **state)
{
	(void)state;
	buf[20] = 0x20; /* more to come */
	seal(buf, sizeof(syn));
	assert_int_equal(kind(sizeof(syn)), FRAME_KIND_OTHER);
	buf[20] = 0x00;
	buf[21] = 0x01; /* an offset */
	seal(buf, sizeof(syn));
	assert_int_equal(kind(sizeof(syn)), FRAME_KIND_OTHER);
	buf[21] = 0;
	buf[23] = 17;
	seal(buf, sizeof(syn));
	assert_int_equal(kind(sizeof(syn)), FRAME_KIND_OTHER);
}

static void addresses_that_cannot_be_answered_are_refused(void **state)
{
	static const uint32_t bad[] = {IP, 0xffffffff, 0xe0000001, 0xf0000000, 0, 0x00ffffff};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		for (int k = 0; k < 4; k++)
			buf[26 + k] = (uint8_t)(bad[i] >> (24 - 8 * k));
		seal(buf, sizeof(syn));
		assert_int_equal(kind(sizeof(syn)), FRAME_KIND_BAD);
	}
}

static void only_the_one_address_is_ours(void **state)
{
	(void)state;
	assert_true(frame_is_for(buf, 34, IP));
	assert_false(frame_is_for(buf, 33, IP));
	assert_false(frame_is_for(buf, 34, IP + 1));
	buf[12] = 0x86;
	buf[13] = 0xdd;
	assert_false(frame_is_for(buf, sizeof(syn), IP));
	buf[12] = 0x81; /* a VLAN tag */
	buf[13] = 0;
	assert_false(frame_is_for(buf, sizeof(syn), IP));
}

static void an_arp_request_is_answered_by_its_mirror(void **state)
{
	struct frame_arp ask = {.src_mac = {2, 0, 0, 0, 0, 1}, .src_ip = 0x0a000002, .dst_ip = IP};
	static const uint8_t want[] = {0x02, 0, 0, 0, 0, 1, 6, 1, 0x23, 0x45, 0x67, 1, 8, 6, 0, 1,
		8, 0, 6, 4, 0, 2, 6, 1, 0x23, 0x45, 0x67, 1, 169, 254, 169, 254, 2, 0, 0, 0, 0, 1,
		10, 0, 0, 2};
	struct frame_arp reply = {.src_mac = {6, 1, 0x23, 0x45, 0x67, 1}, .reply = true};

	(void)state;
	assert_int_equal(frame_build_arp(&ask, buf), 42);
	assert_memory_equal(buf, "\xff\xff\xff\xff\xff\xff", 6);
	assert_int_equal(kind(42), FRAME_KIND_ARP);
	assert_int_equal(f.arp.src_ip, ask.src_ip);
	reply.src_ip = f.arp.dst_ip;
	reply.dst_ip = f.arp.src_ip;
	memcpy(reply.dst_mac, f.arp.src_mac, 6);
	assert_int_equal(frame_build_arp(&reply, buf), 42);
	assert_memory_equal(buf, want, 42);
	assert_int_equal(kind(42), FRAME_KIND_ALIEN); /* a reply asks for nothing */
}

static void arp_of_other_kinds_is_refused(void **state)
{
	struct frame_arp ask = {.src_ip = 0x0a000002, .dst_ip = IP};

	(void)state;
	for (size_t i = 14; i < 20; i++) {
		(void)frame_build_arp(&ask, buf);
		buf[i] ^= 2;
		assert_int_equal(kind(42), FRAME_KIND_BAD);
	}
	(void)frame_build_arp(&ask, buf);
	assert_int_equal(kind(41), FRAME_KIND_ALIEN);
}

static void what_is_built_has_good_checksums(void **state)
{
	struct frame_tcp s = {.src_ip = IP,
		.dst_ip = 0x0a000002,
		.src_port = 80,
		.dst_port = 1,
		.seq = 0xffffffff,
		.flags = FRAME_ACK | FRAME_PSH,
		.mss = 1460,
		.data = (const uint8_t *)"odd",
		.len = 3};
	uint8_t pseudo[12] = {0};
	size_t len;

	(void)state;
	len = frame_build_tcp(&s, buf);
	assert_int_equal(len, 14 + 20 + 24 + 3);
	assert_int_equal(buf[22], FRAME_TTL);
	assert_int_equal(plain_sum(buf + 14, 20, 0), 0xffff);
	memcpy(pseudo, buf + 26, 8);
	pseudo[9] = 6;
	pseudo[11] = 27;
	assert_int_equal(plain_sum(buf + 34, 27, plain_sum(pseudo, 12, 0)), 0xffff);
}

static void addresses_are_dotted_decimal(void **state)
{
	static const char *const bad[] = {
		"", "1.2.3", "1.2.3.256", "1.2.3.4 ", "0x7f.1.1.1", "::1"};
	uint32_t ip = 0;

	(void)state;
	assert_int_equal(frame_ip_parse("169.254.169.254", &ip), 0);
	assert_int_equal(ip, IP);
	for (size_t i = 0; i < NELEM(bad); i++)
		assert_int_equal(frame_ip_parse(bad[i], &ip), -EINVAL);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_linux_syn_is_understood),
		T(the_known_checksum_is_found),
		T(every_truncation_is_refused),
		T(padding_behind_the_packet_is_not_data),
		T(each_broken_bit_of_a_packet_is_found),
		T(a_partial_checksum_is_taken_only_if_the_driver_says_so),
		T(header_lengths_are_checked),
		T(options_of_ip_are_passed_over),
		T(odd_options_of_tcp_end_the_search_only),
		T(fragments_and_other_protocols_are_set_aside),
		T(addresses_that_cannot_be_answered_are_refused),
		T(only_the_one_address_is_ours),
		T(an_arp_request_is_answered_by_its_mirror),
		T(arp_of_other_kinds_is_refused),
		T(what_is_built_has_good_checksums),
		T(addresses_are_dotted_decimal),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("mmds_frame", tests, NULL, NULL);
}
