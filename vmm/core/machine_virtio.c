/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's virtio devices: made from the configuration, given their places. See machine_virtio.h. */
#include "vmm/core/machine_virtio.h"

#include "virtio/blk.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/core/metrics_sources.h"

#include <errno.h>
#include <stdlib.h>

/* A queue is in lasting use with this many kicks, or with one that comes so long after its first. */
#define MACHINE_SLOW_KICKS_MAX 64
#define MACHINE_SLOW_NS_MAX    (100 * CLOCK_NS_PER_MS)

static bool machine_kick_lasts(struct machine_kick *k)
{
	uint64_t now = clock_mono_ns();

	if (k->slow_count++ == 0)
		k->first_ns = now;
	return k->slow_count == MACHINE_SLOW_KICKS_MAX || now - k->first_ns >= MACHINE_SLOW_NS_MAX;
}

/*
 * A queue gets its ioeventfd once it is in lasting use; until then its kicks come by an exit of the vCPU,
 * some microseconds slower each. A VM that ends soon after an ioeventfd was made waits for a grace
 * period of the kernel, some 15 ms: more than a short-lived VM takes in all, and a sixth of the age
 * that a VM with an ioeventfd has. Also on I/O threads.
 */
static void machine_on_kick(void *ctx, uint32_t events)
{
	struct machine_kick *k = ctx;
	struct err e = {0};

	(void)events;
	if (!k->fast && machine_kick_lasts(k)) {
		k->fast = true;
		if (kvm_vm_add_ioeventfd(
			    &k->owner->machine->vm, k->notify, k->queue, k->source.fd, &e) < 0)
			log_warn("%s: its kicks stay slow: %s", k->owner->dev->id, e.msg);
	}
	virtio_mmio_kicked(&k->owner->mmio, k->queue);
}

/* Takes dev over, also on failure. Its place on the bus follows from the order of calls. */
static int machine_attach(struct machine *m, struct virtio_dev *dev, struct err *e)
{
	struct machine_virtio *v = &m->virtio[m->virtio_count];
	int rc;

	if (m->virtio_count == LAYOUT_VIRTIO_COUNT_MAX) {
		dev->ops->destroy(dev);
		return err_set(e, -ENOSPC,
			"Could not allocate GSI: The requested resource is not available.: "
			"%u virtio devices are the most",
			LAYOUT_VIRTIO_COUNT_MAX);
	}
	rc = virtio_mmio_init(&v->mmio, dev, e);
	if (rc < 0) {
		dev->ops->destroy(dev);
		return rc;
	}
	v->machine = m;
	v->dev = dev;
	v->loop = &m->loop;
	rc = bus_add(&m->mmio, LAYOUT_VIRTIO_MMIO + m->virtio_count * LAYOUT_VIRTIO_MMIO_SIZE,
		LAYOUT_VIRTIO_MMIO_SIZE, &virtio_mmio_bus_ops, &v->mmio, e);
	m->virtio_count++;
	return rc;
}

static void machine_on_io_end(void *ctx, enum vm_end end)
{
	machine_end(ctx, end);
}

/* A loop with a thread of its own. */
static int machine_add_io_thread(struct machine *m, struct loop **ret, struct err *e)
{
	struct io_thread *t;
	int rc;

	if (m->io_thread_count == LAYOUT_VIRTIO_COUNT_MAX)
		return err_set(e, -ENOSPC, "more drives than places for them");
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set_os(e, -ENOMEM, "I/O thread");
	rc = io_thread_init(t, m->io_thread_count, e);
	if (rc < 0) {
		free(t);
		return rc;
	}
	t->seccomp = m->seccomp;
	t->landlock = &m->landlock;
	t->end = machine_on_io_end;
	t->end_ctx = m;
	m->io_threads[m->io_thread_count++] = t;
	*ret = &t->loop;
	return 0;
}

static int machine_add_drive(struct machine *m, const struct vm_drive_config *d, struct err *e)
{
	struct blk_config bc = {
		.drive_id = d->drive_id,
		.path = d->path_on_host,
		.fd = -1,
		.read_only = d->is_read_only,
		.writeback = d->writeback,
		.direct = d->direct,
		.async = d->async,
		.queues = (uint16_t)d->queues,
		.limiter = d->has_rate_limiter ? &d->rate_limiter : NULL,
		.loop = &m->loop,
	};
	struct virtio_dev *dev;
	int rc;

	if (d->io_thread && (rc = machine_add_io_thread(m, &bc.loop, e)) < 0)
		return rc;
	rc = blk_create(&m->mem, &bc, &dev, e);
	if (rc < 0)
		return err_wrap(e, "drives.%s", d->drive_id);
	rc = machine_attach(m, dev, e);
	if (rc < 0)
		return rc;
	m->virtio[m->virtio_count - 1].loop = bc.loop;
	return metrics_add_blk(m->metrics, d->drive_id, blk_counters_get(dev), e);
}

static int machine_add_net(struct machine *m, uint32_t index, struct err *e)
{
	const struct vm_net_config *c = &m->config->nets[index];
	struct net_backend **tap = m->taps ? &m->taps[index] : NULL;
	uint8_t mac[NET_MAC_SIZE];
	struct net_config nc = {
		.iface_id = c->iface_id,
		.host_dev_name = c->host_dev_name,
		.passt_socket = c->passt_socket,
		.mtu = (uint16_t)c->mtu,
		.queue_pairs = (uint16_t)c->queue_pairs,
		.rx_rate_limiter = c->has_rx_rate_limiter ? &c->rx_rate_limiter : NULL,
		.tx_rate_limiter = c->has_tx_rate_limiter ? &c->tx_rate_limiter : NULL,
	};
	struct virtio_dev *dev;
	int rc = 0;

	if (m->open_diverter)
		rc = m->open_diverter(m->diverter_ctx, c->iface_id, &m->loop, &nc.diverter, e);
	if (rc < 0)
		return rc;
	if (c->guest_mac && net_mac_parse(c->guest_mac, mac) == 0)
		nc.guest_mac = mac;
	rc = tap && *tap ? net_create_on(&m->mem, &m->loop, &nc, *tap, &dev, e)
			 : net_create(&m->mem, &m->loop, &nc, &dev, e);
	if (rc < 0) {
		if (nc.diverter)
			nc.diverter->ops->close(nc.diverter);
		return rc;
	}
	if (tap)
		*tap = NULL;
	rc = machine_attach(m, dev, e);
	return rc < 0 ? rc : metrics_add_net(m->metrics, c->iface_id, net_counters_get(dev), e);
}

static int machine_add_vsock(struct machine *m, struct err *e)
{
	const struct vsock_config vc = {
		.guest_cid = m->config->vsock_guest_cid,
		.uds_path = m->config->vsock_uds_path,
	};
	struct virtio_dev *dev;
	int rc = vsock_create(&m->mem, &m->loop, &vc, &dev, e);

	if (rc < 0)
		return rc;
	rc = machine_attach(m, dev, e);
	return rc < 0 ? rc : metrics_add_vsock(m->metrics, vsock_counters_get(dev), e);
}

/*
 * The device list, in the order of the bus: the root drive, the other drives, network
 * interfaces, vsock, entropy.
 */
int machine_init_virtio(struct machine *m, struct err *e)
{
	const struct vm_config *c = m->config;
	struct virtio_dev *dev;
	int rc;

	for (int root = 1; root >= 0; root--) {
		for (uint32_t i = 0; i < c->drive_count; i++) {
			if (c->drives[i].is_root_device != (root == 1))
				continue;
			rc = machine_add_drive(m, &c->drives[i], e);
			if (rc < 0)
				return rc;
		}
	}
	for (uint32_t i = 0; i < c->net_count; i++)
		if ((rc = machine_add_net(m, i, e)) < 0)
			return rc;
	if (c->has_vsock && (rc = machine_add_vsock(m, e)) < 0)
		return rc;
	if (!c->has_entropy)
		return 0;
	rc = rng_create(&m->mem,
		&(struct rng_config){
			.limiter = c->has_entropy_limiter ? &c->entropy_limiter : NULL,
			.loop = &m->loop,
		},
		&dev, e);
	if (rc < 0)
		return rc;
	rc = machine_attach(m, dev, e);
	return rc < 0 ? rc : metrics_add_rng(m->metrics, rng_counters_get(dev), e);
}

int machine_wire_virtio(struct machine *m, uint32_t index, struct err *e)
{
	struct machine_virtio *v = &m->virtio[index];
	gpa_t notify = GPA(LAYOUT_VIRTIO_MMIO + index * LAYOUT_VIRTIO_MMIO_SIZE +
			   VIRTIO_MMIO_REG_QUEUE_NOTIFY);
	int rc = kvm_vm_add_irqfd(&m->vm, LAYOUT_GSI_VIRTIO + index, v->mmio.irq_fd, e);

	for (uint16_t q = 0; rc == 0 && q < v->dev->queue_count; q++) {
		struct machine_kick *k = &v->kicks[q];

		*k = (struct machine_kick){.owner = v, .queue = q, .notify = notify};
		k->source = (struct loop_source){
			.fd = v->mmio.kick_fd[q], .fn = machine_on_kick, .ctx = k};
		if ((rc = loop_add(v->loop, &k->source, EPOLLIN | (uint32_t)EPOLLET)) < 0)
			return err_set_os(e, rc, "cannot watch a queue of %s", v->dev->id);
	}
	return rc;
}
