/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tap back end on real taps, in a network namespace of this process. Skipped where that takes
 * a privilege that we do not have.
 */
#include "virtio/net_backend.h"

#include "tests/unit/lib/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HDR NET_HEADER_SIZE

static bool possible;

static int open_tap(const struct net_config *c, struct net_backend **ret, struct err *e)
{
	struct net_config named = *c;

	named.iface_id = "eth0";
	named.queue_pairs = c->queue_pairs ? c->queue_pairs : 1;
	return net_tap_open(&named, ret, e);
}

static struct net_backend *tap0(uint16_t pairs)
{
	struct net_backend *b = NULL;
	struct err e = {0};
	int rc = open_tap(
		&(struct net_config){.host_dev_name = "tap0", .queue_pairs = pairs}, &b, &e);

	if (rc < 0)
		fail_msg("%s", e.msg);
	return b;
}

static void set_up(const char *name)
{
	struct ifreq r = {.ifr_flags = IFF_UP | IFF_NOARP};
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	memcpy(r.ifr_name, name, strlen(name));
	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &r), 0);
	(void)close(s);
}

#define NEED_TAP()                                                                                 \
	do {                                                                                       \
		(void)state;                                                                       \
		if (!possible)                                                                     \
			skip();                                                                    \
	} while (0)

static void a_tap_is_made_and_its_offloads_are_found(void **state)
{
	struct net_backend *b;

	NEED_TAP();
	b = tap0(1);
	assert_int_equal(b->offloads & (NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6),
		NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6);
	assert_int_equal(b->ops->set_offloads(b, b->offloads), 0);
	assert_int_equal(b->ops->set_offloads(b, NET_OFFLOAD_CSUM), 0);
	assert_int_equal(b->ops->set_offloads(b, 0), 0);
	b->ops->close(b);
}

static void frames_reach_the_host_once_the_tap_is_up(void **state)
{
	unsigned char out[HDR + 60] = {0};
	struct iovec iov = {out, sizeof(out)};
	struct net_backend *b;

	NEED_TAP();
	b = tap0(1);
	assert_int_equal(b->ops->send(b, 0, &iov, 1), -EIO);
	assert_false(net_backend_lost(-EIO));
	set_up("tap0");
	assert_int_equal(b->ops->send(b, 0, &iov, 1), 0);
	out[0] = 1; /* a checksum past the end: the kernel judges too */
	out[6] = 0xff;
	assert_int_equal(b->ops->send(b, 0, &iov, 1), -EINVAL);
	b->ops->close(b);
}

/* The kernel itself sends: IPv6 announces the interface when it comes up. */
static void the_hosts_frames_come_with_a_header_of_twelve_bytes(void **state)
{
	unsigned char in[2048];
	struct iovec iov = {in, sizeof(in)};
	struct pollfd p = {.events = POLLIN};
	struct net_backend *b;
	ssize_t n;

	NEED_TAP();
	b = tap0(1);
	assert_int_equal(b->ops->receive(b, 0, &iov, 1), -EAGAIN);
	set_up("tap0");
	p.fd = b->fds[0];
	if (poll(&p, 1, 3000) == 1) {
		n = b->ops->receive(b, 0, &iov, 1);
		assert_true(n >= (ssize_t)(HDR + NET_ETH_SIZE));
		assert_int_equal(in[HDR], 0x33); /* multicast of IPv6 */
		assert_int_equal(in[HDR + 12], 0x86);
	}
	b->ops->close(b);
}

static void pairs_are_attached_and_detached(void **state)
{
	struct net_backend *b;

	NEED_TAP();
	b = tap0(3);
	for (int turn = 0; turn < 2; turn++) {
		assert_int_equal(b->ops->set_pairs(b, 1), 0);
		assert_int_equal(b->ops->set_pairs(b, 3), 0);
		assert_int_equal(b->ops->set_pairs(b, 2), 0);
	}
	b->ops->close(b);
}

static void a_tap_with_many_queues_is_taken_with_one(void **state)
{
	struct ifreq r = {.ifr_name = "many0",
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE};
	struct net_backend *b;
	struct err e = {0};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	NEED_TAP();
	assert_int_equal(ioctl(fd, TUNSETIFF, &r), 0);
	assert_int_equal(open_tap(&(struct net_config){.host_dev_name = "many0"}, &b, &e), 0);
	b->ops->close(b);
	(void)close(fd);
}

static void a_held_tap_is_refused_by_name(void **state)
{
	struct net_backend *b, *other;
	struct err e = {0};

	NEED_TAP();
	b = tap0(1);
	assert_int_equal(
		open_tap(&(struct net_config){.host_dev_name = "tap0"}, &other, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "tap0"));
	assert_non_null(strstr(e.msg, "(os error 16)"));
	b->ops->close(b);
}

static void an_opened_tap_is_adopted_or_left_alone(void **state)
{
	struct ifreq r = {.ifr_name = "own0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int plain = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct net_backend *b;
	struct err e = {0};

	NEED_TAP();
	assert_int_equal(ioctl(fd, TUNSETIFF, &r), 0);
	assert_true(open_tap(&(struct net_config){.tap_fds = &plain}, &b, &e) < 0);
	assert_true(fcntl(plain, F_GETFD) >= 0);
	assert_int_equal(open_tap(&(struct net_config){.tap_fds = &fd}, &b, &e), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	b->ops->close(b);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	(void)close(plain);
}

static void names_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "tap%d", "a/b", "a b", "sixteen-bytes-xx", "a:b", "lo"};
	struct net_backend *b;
	struct err e = {0};

	NEED_TAP();
	for (size_t i = 0; i < NELEM(bad); i++)
		assert_true(open_tap(&(struct net_config){.host_dev_name = bad[i]}, &b, &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tap_is_made_and_its_offloads_are_found),
		cmocka_unit_test(frames_reach_the_host_once_the_tap_is_up),
		cmocka_unit_test(the_hosts_frames_come_with_a_header_of_twelve_bytes),
		cmocka_unit_test(pairs_are_attached_and_detached),
		cmocka_unit_test(a_tap_with_many_queues_is_taken_with_one),
		cmocka_unit_test(a_held_tap_is_refused_by_name),
		cmocka_unit_test(an_opened_tap_is_adopted_or_left_alone),
		cmocka_unit_test(names_that_are_none_are_refused),
	};

	possible = access("/dev/net/tun", R_OK | W_OK) == 0 && unshare(CLONE_NEWNET) == 0;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("net_tap", tests, NULL, NULL);
}
