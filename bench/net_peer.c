/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the network benchmark and its floor.
 *
 *   net_peer serve IFACE      obeys frames of type 0x88b5 that come in by the interface: byte 14 is
 *                             0: nothing; 1: it is sent back as it is; 2: as many frames as the 16 bits at 16 say are
 *                             sent, of 60 bytes, or of 64054 to be segmented if byte 15 is not 0
 *   net_peer floor IFACE MS   the streams of tests/payload/bench_net.c by plain system calls on the tap,
 *                             against a `serve` on it, without a VM; prints rows (README.md)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PEER_TYPE    0x88b5u
#define PEER_SMALL   60u
#define PEER_SEGMENT 64054u
#define PEER_HEAD    sizeof(struct virtio_net_hdr)    /* of packet sockets */
#define PEER_TAP     sizeof(struct virtio_net_hdr_v1) /* of taps */
#define PEER_NS      1000000000ull

enum { PEER_DROP, PEER_ECHO, PEER_SEND };

static unsigned char small_frame[PEER_TAP + PEER_SMALL], segment[PEER_TAP + PEER_SEGMENT];
static unsigned char in[PEER_TAP + 65550];

static _Noreturn void peer_die(const char *what)
{
	(void)fprintf(stderr, "net_peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Both frames, each behind room for a tap's header; nobody has the address they go to. */
static void peer_make_frames(void)
{
	struct virtio_net_hdr h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = 54,
		.gso_size = 1448,
		.csum_start = 34,
		.csum_offset = 16};
	unsigned char *f = small_frame + PEER_TAP;

	memset(f, 0xff, 6);
	f[6] = 2;
	f[12] = PEER_TYPE >> 8;
	f[13] = PEER_TYPE & 0xff;
	memcpy(segment, &h, sizeof(h));
	f = segment + PEER_TAP;
	f[0] = f[6] = 2;
	f[5] = 0x77;
	f[12] = 8;
	f[14] = 0x45;
	f[16] = (PEER_SEGMENT - 14) >> 8;
	f[17] = (PEER_SEGMENT - 14) & 0xff;
	f[22] = 64;
	f[23] = 6;
	f[46] = 5 << 4;
	f[47] = 0x10;
}

/* The protocol is told apart from the frame: segmentation wants to know it. */
static void peer_send(int fd, struct sockaddr_ll *to, const unsigned char *head,
	const unsigned char *f, size_t len, uint16_t protocol)
{
	struct iovec iov[] = {{(void *)(uintptr_t)head, PEER_HEAD}, {(void *)(uintptr_t)f, len}};
	const struct msghdr m = {
		.msg_name = to, .msg_namelen = sizeof(*to), .msg_iov = iov, .msg_iovlen = 2};

	to->sll_protocol = htons(protocol);
	while (sendmsg(fd, &m, 0) < 0)
		if (errno != ENOBUFS && errno != EINTR && errno != EAGAIN)
			peer_die("send");
}

/* A flood of frames that ask for nothing would leave no room for those that do. */
static void peer_ignore_drops(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PEER_DROP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog filter = {.len = 4, .filter = code};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		peer_die("filter");
}

static int peer_serve(const char *iface)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET,
		.sll_protocol = htons(PEER_TYPE),
		.sll_ifindex = (int)if_nametoindex(iface)};
	int one = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	const unsigned char *f = in + PEER_HEAD;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
		bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		peer_die(iface);
	peer_ignore_drops(fd);
	for (;;) {
		ssize_t n = recv(fd, in, sizeof(in), 0);
		uint16_t count;

		if (n < (ssize_t)(PEER_HEAD + PEER_SMALL))
			continue;
		if (f[14] == PEER_ECHO)
			peer_send(fd, &a, small_frame, f, (size_t)n - PEER_HEAD, PEER_TYPE);
		if (f[14] != PEER_SEND)
			continue;
		memcpy(&count, f + 16, sizeof(count));
		for (; count > 0; count--)
			if (f[15])
				peer_send(fd, &a, segment, segment + PEER_TAP, PEER_SEGMENT,
					ETH_P_IP);
			else
				peer_send(fd, &a, small_frame, small_frame + PEER_TAP, PEER_SMALL,
					PEER_TYPE);
	}
}

static uint64_t peer_clock(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * PEER_NS + (uint64_t)ts.tv_nsec;
}

static int peer_open_tap(const char *iface)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), size = (int)PEER_TAP;

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", iface);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 ||
		ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) < 0)
		peer_die(iface);
	return fd;
}

static void floor_ask(int fd, unsigned op, bool segments, uint16_t count)
{
	unsigned char *f = small_frame + PEER_TAP;

	f[14] = (unsigned char)op;
	f[15] = segments;
	memcpy(f + 16, &count, sizeof(count));
	if (write(fd, small_frame, sizeof(small_frame)) < 0)
		peer_die("ask");
}

/* Waits for a frame and takes it. False if none comes. */
static bool floor_take(int fd, int patience_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (read(fd, in, sizeof(in)) < 0)
		if (errno != EAGAIN || poll(&p, 1, patience_ms) <= 0)
			return false;
	return true;
}

struct floor {
	const char *name, *unit;
	uint64_t until, start, start_cpu, ops, bytes;
};

static void floor_begin(struct floor *f, uint64_t ms)
{
	f->start = peer_clock(CLOCK_MONOTONIC);
	f->start_cpu = peer_clock(CLOCK_PROCESS_CPUTIME_ID);
	f->until = f->start + ms * 1000000u;
}

static void floor_end(const struct floor *f)
{
	double s = (double)(peer_clock(CLOCK_MONOTONIC) - f->start) / 1e9, ops = (double)f->ops;
	double cpu = (double)(peer_clock(CLOCK_PROCESS_CPUTIME_ID) - f->start_cpu) / 1e3;
	double value = strcmp(f->unit, "us") == 0     ? s * 1e6 / ops
		       : strcmp(f->unit, "MB/s") == 0 ? (double)f->bytes / 1e6 / s
						      : ops / s;

	printf("{\"bench\":\"net_%s\",\"program\":\"floor syscalls\",\"value\":%.2f,"
	       "\"unit\":\"%s\",\"cpu_us_per_op\":%.3f}\n",
		f->name, value, f->unit, cpu / ops);
}

static void floor_tx(int fd, uint64_t ms, bool segments)
{
	struct floor f = {
		.name = segments ? "tx_64k" : "tx", .unit = segments ? "MB/s" : "packets/s"};

	floor_begin(&f, ms);
	small_frame[PEER_TAP + 14] = PEER_DROP;
	for (; peer_clock(CLOCK_MONOTONIC) < f.until; f.ops++)
		if (write(fd, segments ? segment : small_frame,
			    segments ? sizeof(segment) : sizeof(small_frame)) < 0)
			peer_die("write");
	f.bytes = f.ops * PEER_SEGMENT;
	floor_end(&f);
}

static void floor_rx(int fd, uint64_t ms, bool segments)
{
	struct floor f = {
		.name = segments ? "rx_64k" : "rx", .unit = segments ? "MB/s" : "packets/s"};
	uint64_t asked = 0;
	const uint64_t group = segments ? 8 : 64;

	floor_begin(&f, ms);
	for (; asked < 4 * group; asked += group)
		floor_ask(fd, PEER_SEND, segments, (uint16_t)group);
	for (; f.ops < asked; f.ops++) {
		if (!floor_take(fd, 5000))
			peer_die("frames are missing");
		if (asked - f.ops <= 3 * group && peer_clock(CLOCK_MONOTONIC) < f.until) {
			floor_ask(fd, PEER_SEND, segments, (uint16_t)group);
			asked += group;
		}
	}
	f.bytes = f.ops * PEER_SEGMENT;
	floor_end(&f);
}

static int peer_floor(const char *iface, uint64_t ms)
{
	int fd = peer_open_tap(iface);

	do { /* what is sent before the link is seen to be up is lost */
		floor_ask(fd, PEER_ECHO, false, 0);
	} while (!floor_take(fd, 200));
	floor_tx(fd, ms, false);
	floor_rx(fd, ms, false);
	floor_tx(fd, ms, true);
	floor_rx(fd, ms, true);
	return 0;
}

int main(int argc, char **argv)
{
	peer_make_frames();
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return peer_serve(argv[2]);
	if (argc == 4 && strcmp(argv[1], "floor") == 0)
		return peer_floor(argv[2], strtoull(argv[3], NULL, 10));
	(void)fprintf(stderr, "usage: net_peer serve IFACE | floor IFACE MS\n");
	return 2;
}
