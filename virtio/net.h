/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio network device (virtio 1.2 §5.1): frames between the guest and a back end, which is a tap
 * interface of the host or the socket of an external passt. See docs/net.md for what it offers.
 *
 * Queues: 2n receives for pair n, 2n + 1 transmits; behind the last pair, or behind the first if
 * the driver takes only one, the control queue. A device of one pair has no control queue.
 */
#pragma once

#include "virtio/device.h"
#include "virtio/net_divert.h"
#include "virtio/rate_limiter.h"
#include "vmm/base/latency.h"

#define NET_MAC_SIZE  6u
#define NET_PAIRS_MAX 3u /* with the control queue they make up VIRTIO_QUEUES_MAX */
#define NET_MTU_MIN   68u
#define NET_MTU_MAX   65535u

/* Exactly one of host_dev_name, tap_fds and passt_socket is set. */
struct net_config {
	const char *iface_id;      /* copied */
	const char *host_dev_name; /* a tap interface; made if it does not exist */
	const int *tap_fds;        /* one open tap for each pair; taken over on success */
	const char *passt_socket;  /* path of a Unix socket on which passt listens */
	const uint8_t *guest_mac;  /* NET_MAC_SIZE bytes, or NULL: the driver chooses */
	uint16_t mtu;              /* 0: not offered */
	uint16_t queue_pairs;      /* 1 .. NET_PAIRS_MAX */
	const struct rate_limiter_config *rx_rate_limiter; /* host to guest; NULL: no limit */
	const struct rate_limiter_config *tx_rate_limiter;
	struct net_diverter *diverter; /* taken over on success; NULL: none */
};

/* What survives a snapshot beyond virtio_dev_state. */
struct net_state {
	uint8_t mac[NET_MAC_SIZE]; /* zero if there is none */
	uint16_t mtu;
	uint16_t active_pairs; /* 1 .. NET_PAIRS_MAX */
	uint8_t has_mac;
	uint8_t reserved[5]; /* zero */
	struct rate_limiter_state rx_limit;
	struct rate_limiter_state tx_limit;
};
extern const struct field_table net_state_table;

/* Firecracker's metrics group "net", but for the last; written under the device's lock. */
struct net_counters {
	uint64_t activate_fails, cfg_fails, no_rx_avail_buffer, no_tx_avail_buffer, event_fails;
	uint64_t rx_queue_event_count, rx_event_rate_limiter_count, rx_rate_limiter_throttled;
	uint64_t rx_tap_event_count, rx_bytes_count, rx_packets_count, rx_fails, rx_count;
	uint64_t tap_read_fails, tap_write_fails;
	struct latency tap_write_agg;
	uint64_t tx_bytes_count, tx_malformed_frames, tx_fails, tx_count, tx_packets_count;
	uint64_t tx_queue_event_count, tx_rate_limiter_event_count, tx_rate_limiter_throttled;
	uint64_t tx_spoofed_mac_count, tx_remaining_reqs_count;
	uint64_t link_down_count; /* the back end went away */
};

struct net_backend;

/*
 * Opens the back end and makes the device. The caller owns *ret and frees it by ops->destroy. Its
 * back end is watched on loop, by the thread that notifies the device.
 */
int net_create(struct gmem *mem, struct loop *loop, const struct net_config *c,
	struct virtio_dev **ret, struct err *e) MUST_USE;

/* The same over a back end that is there already; it is taken over on success. */
int net_create_on(struct gmem *mem, struct loop *loop, const struct net_config *c,
	struct net_backend *b, struct virtio_dev **ret, struct err *e) MUST_USE;

/* New limits while the guest runs; NULL leaves a direction as it is. Owner thread. */
void net_set_limits(struct virtio_dev *d, const struct rate_limiter_config *rx,
	const struct rate_limiter_config *tx);

const struct net_counters *net_counters_get(const struct virtio_dev *d);

/* "aa:bb:cc:dd:ee:ff", any case. 0 or -EINVAL. */
int net_mac_parse(const char *text, uint8_t ret_mac[NET_MAC_SIZE]) MUST_USE;
