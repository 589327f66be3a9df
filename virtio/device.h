/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every virtio device is (virtio 1.2 §2): status machine, features, queues, an interrupt to
 * raise. Devices know this header and nothing of MMIO or PCI; a transport drives a device through
 * the functions below and gives it an interrupt through struct virtio_transport_ops.
 *
 * Threads. The device belongs to the thread that runs its notify (the main thread; later maybe
 * an I/O thread). vCPU threads reach it through the transport's registers. One mutex per device
 * serialises both: register accesses are rare and short, while the alternative, handing each
 * access over to the owner and waiting, costs two context switches per access and can dead-lock
 * with pausing. It is taken once per batch of requests, never per request; the interrupt status
 * register, read on every interrupt, is atomic and outside the lock. ops are called with it held.
 */
#pragma once

#include "vmm/base/field.h"
#include "virtio/queue.h"

#include <pthread.h>

#define VIRTIO_QUEUES_MAX 8u

/*
 * Requests that one notification may serve. What is left is taken up in the next turn of the event
 * loop, so that one busy device delays the others, the API and a pause only so long.
 */
#define VIRTIO_BATCH_MAX 64u

/* Device status bits, virtio 1.2 §2.1. */
#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER      2u
#define VIRTIO_STATUS_DRIVER_OK   4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_NEEDS_RESET 64u
#define VIRTIO_STATUS_FAILED      128u

struct virtio_dev;

/* One per device class; static const, never changes. */
struct virtio_ops {
	const char *name;     /* "block" */
	uint32_t device_id;   /* virtio 1.2 §5 */
	uint16_t queue_count; /* default; an instance may have fewer or more, see virtio_dev_init */
	uint16_t queue_size_max;
	const struct field_table
		*state;       /* of the struct that virtio_dev.state points to, or NULL */
	uint32_t config_size; /* bytes of device configuration space */
	/* The driver said DRIVER_OK; queues are enabled. 0, or -errno: the device is then broken. */
	int (*activate)(struct virtio_dev *d);
	/* The driver kicked queue q. Never called before activate or after reset. */
	void (*notify)(struct virtio_dev *d, uint16_t q);
	/*
	 * The driver stops queue q of a live device: nothing of it in flight afterwards. On the
	 * vCPU's thread. May be NULL: never any.
	 */
	void (*queue_stop)(struct virtio_dev *d, uint16_t q);
	/* Forget the driver: nothing in flight afterwards, guest RAM no longer touched. */
	void (*reset)(struct virtio_dev *d);
	/* Finish or park what is in flight, so that state is complete. May be NULL: never any. */
	void (*drain)(struct virtio_dev *d);
	/* Copies [off, off+len) of configuration space; the range is inside config_size. */
	void (*config_read)(struct virtio_dev *d, uint32_t off, void *data, uint32_t len);
	/* NULL: writes are ignored. */
	void (*config_write)(struct virtio_dev *d, uint32_t off, const void *data, uint32_t len);
	/*
	 * Adopts a saved state that ops->state has already checked, or refuses it. NULL: whatever
	 * passes the table is copied over d->state. The device is quiescent.
	 */
	int (*load)(struct virtio_dev *d, const void *state, struct err *e);
	/* Frees the instance and what it owns; the device is not attached to a transport any more. */
	void (*destroy)(struct virtio_dev *d);
};

struct virtio_transport_ops {
	/* Makes the driver look at queue q. Any thread that holds the device's lock. */
	void (*queue_interrupt)(struct virtio_dev *d, uint16_t q);
	/* Makes the driver look at status and configuration. Likewise. */
	void (*config_interrupt)(struct virtio_dev *d);
	/* Makes the owner thread call virtio_dev_notify for queue q in its next turn. Likewise. */
	void (*kick)(struct virtio_dev *d, uint16_t q);
};

struct virtio_dev_state {
	uint64_t driver_features;
	uint32_t status;
	uint32_t config_generation;
	uint32_t queue_count;
	uint32_t reserved; /* zero */
	struct vq_state vqs[VIRTIO_QUEUES_MAX];
};
extern const struct field_table virtio_dev_state_table;

struct virtio_counters {
	uint64_t broken_count; /* times the driver broke the rules */
	uint64_t reset_count;
	uint64_t interrupt_count;
};

struct virtio_dev {
	const struct virtio_ops *ops;
	const char *id;    /* owned by the instance; names the device in messages */
	void *state;       /* the instance's own x_state, described by ops->state */
	uint64_t features; /* offered; VERSION_1, EVENT_IDX, INDIRECT_DESC are added by init */
	uint64_t driver_features; /* accepted so far */
	uint32_t status;
	uint32_t config_generation;
	uint16_t queue_count;
	bool activated;
	bool broken_logged;
	struct vq vqs[VIRTIO_QUEUES_MAX];
	struct gmem *mem; /* borrowed */
	pthread_mutex_t lock;
	const struct virtio_transport_ops *transport; /* borrowed; NULL until attached */
	void *transport_ctx;                          /* borrowed: the transport's instance */
	struct virtio_counters counters;
};

/* #syscalls:* futex:1=FUTEX_WAIT_PRIVATE futex:1=FUTEX_WAKE_PRIVATE */
static inline void virtio_dev_lock(struct virtio_dev *d)
{
	(void)pthread_mutex_lock(&d->lock);
}

static inline void virtio_dev_unlock(struct virtio_dev *d)
{
	(void)pthread_mutex_unlock(&d->lock);
}

/* Base part of an instance. features: the class's own bits. id is borrowed from the instance. */
void virtio_dev_init(struct virtio_dev *d, const struct virtio_ops *ops, const char *id,
	struct gmem *mem, uint64_t features, uint16_t queue_count);
void virtio_dev_fini(struct virtio_dev *d);

/* True if the driver accepted feature bit number `bit`. */
static inline bool virtio_has(const struct virtio_dev *d, unsigned bit)
{
	return (d->driver_features >> bit) & 1;
}

/*
 * The driver broke the rules: sets DEVICE_NEEDS_RESET, counts, logs one rate-limited line,
 * raises a configuration interrupt if the driver was running. No queue is looked at again until
 * reset. With the lock held.
 */
void virtio_dev_broken(struct virtio_dev *d, const char *why);

/* Interrupts the driver for queue q if it wants to be (vq_need_irq). With the lock held. */
void virtio_dev_signal(struct virtio_dev *d, uint16_t q);

/*
 * What an ops->notify of the plain kind does: takes requests from queue q, up to VIRTIO_BATCH_MAX of
 * them, gives each to fn (which pushes it before it returns), asks for the next kick, and interrupts
 * the driver at most once, at the end. c is room for one request, of the instance. Returns how many
 * were served. With the lock held.
 */
uint32_t virtio_dev_serve(struct virtio_dev *d, uint16_t q, struct chain *c,
	void (*fn)(struct virtio_dev *d, struct vq *q, struct chain *c));

/* Configuration space changed: new generation, configuration interrupt. With the lock held. */
void virtio_dev_config_changed(struct virtio_dev *d);

/* For transports; each takes the lock itself. */

/*
 * Queue number q while the driver may set it up (after FEATURES_OK, before DRIVER_OK, not ready
 * yet), else NULL. With the lock held.
 */
struct vq *virtio_dev_queue_setup(struct virtio_dev *d, uint32_t q);

/* The driver wrote 0 to the queue's ready register. With the lock held. */
void virtio_dev_queue_stop(struct virtio_dev *d, uint32_t q);

/* The driver wrote the status register (virtio 1.2 §3.1.1): negotiates, activates, resets. */
void virtio_dev_write_status(struct virtio_dev *d, uint32_t status);
/* Word 0 or 1 of the features the driver accepts; ignored outside negotiation. */
void virtio_dev_write_features(struct virtio_dev *d, uint32_t word, uint32_t bits);
/* The queue was kicked. Main thread (or the device's I/O thread). Unknown queues are ignored. */
void virtio_dev_notify(struct virtio_dev *d, uint16_t q);
void virtio_dev_config_read(struct virtio_dev *d, uint64_t off, void *data, uint32_t len);
void virtio_dev_config_write(struct virtio_dev *d, uint64_t off, const void *data, uint32_t len);

/*
 * Snapshot seam: common state, both ways. The device is quiescent (paused and drained). A load
 * that fails leaves the device as it was, unless activation itself failed: then it is reset.
 */
void virtio_dev_save(struct virtio_dev *d, struct virtio_dev_state *ret);
int virtio_dev_load(struct virtio_dev *d, const struct virtio_dev_state *s, struct err *e) MUST_USE;
