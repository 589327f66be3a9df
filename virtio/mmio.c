/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over MMIO, version 2. See mmio.h; register numbers from virtio 1.2 §4.2.2.
 *
 * Registers are used by vCPU threads, several at once if the driver likes. All but the two of the
 * interrupt take the device's lock; those are one atomic word, because every interrupt reads and
 * writes them and must not wait for a batch of requests to end.
 */
#include "virtio/mmio.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#define MMIO_MAGIC   0x74726976u /* "virt" */
#define MMIO_VERSION 2u
#define MMIO_VENDOR  0x6c66796du /* "myfl" */

enum {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE_ID = 0x008,
	REG_VENDOR_ID = 0x00c,
	REG_DEVICE_FEATURES = 0x010,
	REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_NUM_MAX = 0x034,
	REG_QUEUE_NUM = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_QUEUE_NOTIFY = VIRTIO_MMIO_REG_QUEUE_NOTIFY,
	REG_INTERRUPT_STATUS = 0x060,
	REG_INTERRUPT_ACK = 0x064,
	REG_STATUS = 0x070,
	REG_QUEUE_DESC_LOW = 0x080,
	REG_QUEUE_DESC_HIGH = 0x084,
	REG_QUEUE_DRIVER_LOW = 0x090,
	REG_QUEUE_DRIVER_HIGH = 0x094,
	REG_QUEUE_DEVICE_LOW = 0x0a0,
	REG_QUEUE_DEVICE_HIGH = 0x0a4,
	REG_SHM_LEN_LOW = 0x0b0,
	REG_SHM_LEN_HIGH = 0x0b4,
	REG_SHM_BASE_LOW = 0x0b8,
	REG_SHM_BASE_HIGH = 0x0bc,
	REG_CONFIG_GENERATION = 0x0fc,
	REG_CONFIG = 0x100,
};

#define MMIO_INTERRUPT_QUEUE  1u
#define MMIO_INTERRUPT_CONFIG 2u

static const struct field virtio_mmio_state_fields[] = {
	FIELD(1, 1, struct virtio_mmio_state, queue_sel, 0),
	FIELD(2, 1, struct virtio_mmio_state, device_features_sel, 0),
	FIELD(3, 1, struct virtio_mmio_state, driver_features_sel, 0),
	FIELD(4, 1, struct virtio_mmio_state, interrupt_status,
		MMIO_INTERRUPT_QUEUE | MMIO_INTERRUPT_CONFIG),
};
const struct field_table virtio_mmio_state_table =
	FIELD_TABLE("virtio-mmio", struct virtio_mmio_state, virtio_mmio_state_fields, NULL);

/*
 * The only failure is a full counter (nobody reads, and 2^64 kicks are pending): nothing is lost.
 * #syscalls:* write
 */
static void mmio_eventfd_raise(int fd)
{
	static const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		log_guest(
			LOG_WARN, "virtio-mmio: an event could not be raised: %s", strerror(errno));
}

/* Status first: the driver reads it when the edge arrives. With the lock held. */
static void mmio_interrupt(struct virtio_mmio *t, uint32_t bit)
{
	counter_add(
		bit == MMIO_INTERRUPT_CONFIG ? &t->counters.config_updates : &t->counters.triggers,
		1);
	__atomic_fetch_or(&t->st.interrupt_status, bit, __ATOMIC_SEQ_CST);
	mmio_eventfd_raise(t->irq_fd);
}

static void mmio_queue_interrupt(struct virtio_dev *d, uint16_t q)
{
	(void)q;
	mmio_interrupt(d->transport_ctx, MMIO_INTERRUPT_QUEUE);
}

static void mmio_config_interrupt(struct virtio_dev *d)
{
	mmio_interrupt(d->transport_ctx, MMIO_INTERRUPT_CONFIG);
}

static void mmio_kick(struct virtio_dev *d, uint16_t q)
{
	struct virtio_mmio *t = d->transport_ctx;

	mmio_eventfd_raise(t->kick_fd[q]);
}

static const struct virtio_transport_ops virtio_mmio_transport_ops = {
	.queue_interrupt = mmio_queue_interrupt,
	.config_interrupt = mmio_config_interrupt,
	.kick = mmio_kick,
};

/* The selected queue, or NULL. With the lock held. */
static struct vq *mmio_queue(struct virtio_mmio *t)
{
	return t->st.queue_sel < t->dev->queue_count ? &t->dev->vqs[t->st.queue_sel] : NULL;
}

static uint32_t mmio_features_word(const struct virtio_mmio *t)
{
	uint32_t word = t->st.device_features_sel;

	return word < 2 ? (uint32_t)(t->dev->features >> (word * 32)) : 0;
}

/* With the lock held. */
static uint32_t mmio_read_locked(struct virtio_mmio *t, uint64_t off)
{
	const struct vq *q = mmio_queue(t);

	switch (off) {
	case REG_MAGIC:
		return MMIO_MAGIC;
	case REG_VERSION:
		return MMIO_VERSION;
	case REG_DEVICE_ID:
		return t->dev->ops->device_id;
	case REG_VENDOR_ID:
		return MMIO_VENDOR;
	case REG_DEVICE_FEATURES:
		return mmio_features_word(t);
	case REG_QUEUE_NUM_MAX:
		return q ? q->size_max : 0;
	case REG_QUEUE_READY:
		return q ? q->st.ready : 0;
	case REG_STATUS:
		return t->dev->status;
	case REG_SHM_LEN_LOW: /* no shared memory region, whatever is selected: all ones */
	case REG_SHM_LEN_HIGH:
	case REG_SHM_BASE_LOW:
	case REG_SHM_BASE_HIGH:
		return UINT32_MAX;
	case REG_CONFIG_GENERATION:
		return t->dev->config_generation;
	default:
		return 0;
	}
}

static void mmio_read(void *dev, uint64_t off, void *data, uint32_t len)
{
	struct virtio_mmio *t = dev;
	uint32_t value;

	if (off >= REG_CONFIG) {
		virtio_dev_config_read(t->dev, off - REG_CONFIG, data, len);
		return;
	}
	if (len != sizeof(value)) {
		memset(data, 0, len);
		return;
	}
	if (off == REG_INTERRUPT_STATUS) {
		value = __atomic_load_n(&t->st.interrupt_status, __ATOMIC_SEQ_CST);
	} else {
		virtio_dev_lock(t->dev);
		value = mmio_read_locked(t, off);
		virtio_dev_unlock(t->dev);
	}
	memcpy(data, &value, sizeof(value));
}

static void mmio_set_half(uint64_t *at, bool high, uint32_t value)
{
	*at = high ? (*at & UINT32_MAX) | (uint64_t)value << 32
		   : (*at & ~(uint64_t)UINT32_MAX) | value;
}

/* Set-up of the selected queue; ignored at any other time than set-up. With the lock held. */
static void mmio_write_queue(struct virtio_mmio *t, uint64_t off, uint32_t value)
{
	struct vq *q = virtio_dev_queue_setup(t->dev, t->st.queue_sel);

	if (off == REG_QUEUE_READY && value == 0) { /* a queue may be stopped at any time */
		virtio_dev_queue_stop(t->dev, t->st.queue_sel);
		return;
	}
	if (!q) {
		log_guest(LOG_WARN,
			"virtio-mmio: %s: write of %#x to queue register %#llx out of turn; "
			"ignored",
			t->dev->id, value, (unsigned long long)off);
		return;
	}
	switch (off) {
	case REG_QUEUE_NUM: /* 0 stands for a size that is not possible: refused at DRIVER_OK */
		q->st.size = value <= q->size_max && !(value & (value - 1)) ? (uint16_t)value : 0;
		break;
	case REG_QUEUE_READY:
		q->st.ready = 1;
		break;
	case REG_QUEUE_DESC_LOW:
	case REG_QUEUE_DESC_HIGH:
		mmio_set_half(&q->st.desc, off == REG_QUEUE_DESC_HIGH, value);
		break;
	case REG_QUEUE_DRIVER_LOW:
	case REG_QUEUE_DRIVER_HIGH:
		mmio_set_half(&q->st.avail, off == REG_QUEUE_DRIVER_HIGH, value);
		break;
	default: /* REG_QUEUE_DEVICE_LOW, REG_QUEUE_DEVICE_HIGH */
		mmio_set_half(&q->st.used, off == REG_QUEUE_DEVICE_HIGH, value);
		break;
	}
}

/* With the lock held. */
static void mmio_write_locked(struct virtio_mmio *t, uint64_t off, uint32_t value)
{
	switch (off) {
	case REG_DEVICE_FEATURES_SEL:
		t->st.device_features_sel = value;
		break;
	case REG_DRIVER_FEATURES_SEL:
		t->st.driver_features_sel = value;
		break;
	case REG_QUEUE_SEL:
		t->st.queue_sel = value;
		break;
	case REG_QUEUE_NOTIFY: /* only where KVM does not take the kick itself */
		if (value < t->dev->queue_count)
			mmio_eventfd_raise(t->kick_fd[value]);
		break;
	case REG_QUEUE_NUM:
	case REG_QUEUE_READY:
	case REG_QUEUE_DESC_LOW:
	case REG_QUEUE_DESC_HIGH:
	case REG_QUEUE_DRIVER_LOW:
	case REG_QUEUE_DRIVER_HIGH:
	case REG_QUEUE_DEVICE_LOW:
	case REG_QUEUE_DEVICE_HIGH:
		mmio_write_queue(t, off, value);
		break;
	default:
		break;
	}
}

static void mmio_write_status(struct virtio_mmio *t, uint32_t value)
{
	virtio_dev_write_status(t->dev, value);
	if (value != 0)
		return;
	virtio_dev_lock(t->dev);
	t->st.queue_sel = t->st.device_features_sel = t->st.driver_features_sel = 0;
	virtio_dev_unlock(t->dev);
	/* The device is reset by now and raises nothing more. */
	__atomic_store_n(&t->st.interrupt_status, 0, __ATOMIC_SEQ_CST);
}

static void mmio_write(void *dev, uint64_t off, const void *data, uint32_t len)
{
	struct virtio_mmio *t = dev;
	uint32_t value, word;

	if (off >= REG_CONFIG) {
		virtio_dev_config_write(t->dev, off - REG_CONFIG, data, len);
		return;
	}
	if (len != sizeof(value))
		return;
	memcpy(&value, data, sizeof(value));
	switch (off) {
	case REG_INTERRUPT_ACK:
		__atomic_fetch_and(&t->st.interrupt_status, ~value, __ATOMIC_SEQ_CST);
		break;
	case REG_STATUS:
		mmio_write_status(t, value);
		break;
	case REG_DRIVER_FEATURES:
		virtio_dev_lock(t->dev);
		word = t->st.driver_features_sel;
		virtio_dev_unlock(t->dev);
		virtio_dev_write_features(t->dev, word, value);
		break;
	default:
		virtio_dev_lock(t->dev);
		mmio_write_locked(t, off, value);
		virtio_dev_unlock(t->dev);
	}
}

const struct bus_ops virtio_mmio_bus_ops = {.read = mmio_read, .write = mmio_write};

int virtio_mmio_init(struct virtio_mmio *t, struct virtio_dev *dev, struct err *e)
{
	int rc;

	*t = (struct virtio_mmio){.dev = dev};
	memset(t->kick_fd, 0xff, sizeof(t->kick_fd));
	t->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->irq_fd < 0)
		goto err_fini;
	for (uint16_t i = 0; i < dev->queue_count; i++) {
		t->kick_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (t->kick_fd[i] < 0)
			goto err_fini;
	}
	dev->transport = &virtio_mmio_transport_ops;
	dev->transport_ctx = t;
	return 0;

err_fini:
	rc = err_set_os(e, -errno, "Cannot create an event fd for device %s", dev->id);
	virtio_mmio_fini(t);
	return rc;
}

void virtio_mmio_fini(struct virtio_mmio *t)
{
	if (!t->dev) /* zeroed: its fds are not 0 but none */
		return;
	if (t->dev->transport_ctx == t) {
		t->dev->transport = NULL;
		t->dev->transport_ctx = NULL;
	}
	fd_close(&t->irq_fd);
	for (uint32_t i = 0; i < VIRTIO_QUEUES_MAX; i++)
		fd_close(&t->kick_fd[i]);
	*t = (struct virtio_mmio){0};
}

void virtio_mmio_kicked(struct virtio_mmio *t, uint16_t q)
{
	virtio_dev_notify(t->dev, q);
}

void virtio_mmio_save(const struct virtio_mmio *t, struct virtio_mmio_state *ret)
{
	*ret = t->st;
}

int virtio_mmio_load(struct virtio_mmio *t, const struct virtio_mmio_state *s, struct err *e)
{
	int rc = field_table_check(&virtio_mmio_state_table, s, e);

	if (rc < 0)
		return rc;
	t->st = *s;
	for (uint16_t i = 0; i < t->dev->queue_count; i++)
		mmio_eventfd_raise(t->kick_fd[i]);
	return 0;
}
