/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a virtio device that all classes share. See device.h.
 *
 *	status         the driver may                         next
 *	0              set ACKNOWLEDGE                        acknowledged
 *	acknowledged   set DRIVER                             negotiating
 *	negotiating    accept features, set FEATURES_OK       set up, if the features are possible
 *	set up         fill in queues, set DRIVER_OK          live, or broken if a queue is bad
 *	live           kick                                   broken, by any broken rule
 *	broken         write 0                                0 (as from every state)
 *
 * A write that asks for a step out of order changes nothing; several steps in one write are taken
 * one after the other.
 */
#include "virtio/device.h"

#include "virtio/feature.h"
#include "vmm/base/check.h"
#include "vmm/base/log.h"

#include <errno.h>

#define VIRTIO_STATUS_KNOWN                                                                        \
	(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK |              \
		VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_FAILED)

static const struct field virtio_dev_state_fields[] = {
	FIELD(1, 1, struct virtio_dev_state, driver_features, 0),
	FIELD(2, 1, struct virtio_dev_state, status, VIRTIO_STATUS_KNOWN),
	FIELD(3, 1, struct virtio_dev_state, config_generation, 0),
	FIELD(4, 1, struct virtio_dev_state, queue_count, VIRTIO_QUEUES_MAX),
	FIELD(5, 1, struct virtio_dev_state, reserved, 0),
	FIELD_STRUCT_ARRAY(6, 1, struct virtio_dev_state, vqs, &vq_state_table),
};

static int virtio_dev_state_check(const void *state, struct err *e)
{
	static const struct vq_state unused;
	const struct virtio_dev_state *s = state;

	if (s->reserved != 0)
		return err_set(e, -EINVAL, "virtio.reserved is not zero");
	if (s->status & ~VIRTIO_STATUS_KNOWN)
		return err_set(e, -EINVAL, "virtio.status is %#x, with unknown bits", s->status);
	if ((s->status & VIRTIO_STATUS_DRIVER_OK) && !(s->status & VIRTIO_STATUS_FEATURES_OK))
		return err_set(
			e, -EINVAL, "virtio.status is %#x, live without features", s->status);
	for (uint32_t i = s->queue_count; i < VIRTIO_QUEUES_MAX; i++)
		if (memcmp(&s->vqs[i], &unused, sizeof(unused)) != 0)
			return err_set(e, -EINVAL, "virtio.vqs[%u] is set, beyond queue_count, %u",
				i, s->queue_count);
	return 0;
}

const struct field_table virtio_dev_state_table = FIELD_TABLE(
	"virtio", struct virtio_dev_state, virtio_dev_state_fields, virtio_dev_state_check);

void virtio_dev_init(struct virtio_dev *d, const struct virtio_ops *ops, const char *id,
	struct gmem *mem, uint64_t features, uint16_t queue_count)
{
	int rc;

	CHECK(queue_count > 0 && queue_count <= VIRTIO_QUEUES_MAX);
	*d = (struct virtio_dev){
		.ops = ops,
		.id = id,
		.mem = mem,
		.queue_count = queue_count,
		.features = features | 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_EVENT_IDX |
			    1ULL << VIRTIO_F_INDIRECT_DESC,
	};
	for (uint16_t i = 0; i < queue_count; i++)
		vq_init(&d->vqs[i], mem, ops->queue_size_max);
	rc = pthread_mutex_init(&d->lock, NULL);
	CHECK(rc == 0); /* with default attributes it cannot fail */
}

void virtio_dev_fini(struct virtio_dev *d)
{
	if (d->ops)
		(void)pthread_mutex_destroy(&d->lock);
	*d = (struct virtio_dev){0};
}

void virtio_dev_broken(struct virtio_dev *d, const char *why)
{
	if (!d->broken_logged)
		log_guest(LOG_WARN, "%s device %s needs a reset: %s", d->ops->name, d->id, why);
	d->broken_logged = true;
	counter_add(&d->counters.broken_count, 1);
	d->status |= VIRTIO_STATUS_NEEDS_RESET;
	/* virtio 1.2 §2.1.2: only a running driver is told. */
	if ((d->status & VIRTIO_STATUS_DRIVER_OK) && d->transport)
		d->transport->config_interrupt(d);
}

void virtio_dev_signal(struct virtio_dev *d, uint16_t q)
{
	if (!vq_need_irq(&d->vqs[q]) || !d->transport)
		return;
	counter_add(&d->counters.interrupt_count, 1);
	d->transport->queue_interrupt(d, q);
}

void virtio_dev_config_changed(struct virtio_dev *d)
{
	d->config_generation++;
	if ((d->status & VIRTIO_STATUS_DRIVER_OK) && d->transport)
		d->transport->config_interrupt(d);
}

uint32_t virtio_dev_serve(struct virtio_dev *d, uint16_t q, struct chain *c,
	void (*fn)(struct virtio_dev *d, struct vq *q, struct chain *c))
{
	struct vq *vq = &d->vqs[q];
	const char *why = NULL;
	uint32_t served = 0, turns;
	int rc = 0;

	vq_kicks_off(vq);
	for (turns = 0; turns < VIRTIO_BATCH_MAX; turns++) {
		rc = vq_pop(vq, c, &why);
		if (rc < 0 || (rc == 0 && !vq_kicks_on(vq)))
			break;
		if (rc > 0) {
			fn(d, vq, c);
			served++;
		} else {
			vq_kicks_off(vq); /* more came in just before the kicks were on */
		}
	}
	if (served > 0)
		virtio_dev_signal(d, q);
	if (rc < 0)
		virtio_dev_broken(d, why);
	else if (turns == VIRTIO_BATCH_MAX && d->transport)
		d->transport->kick(d, q); /* kicks are still off: nobody else would call us */
	return served;
}

static void virtio_dev_reset(struct virtio_dev *d)
{
	if (d->activated)
		d->ops->reset(d);
	for (uint16_t i = 0; i < d->queue_count; i++)
		vq_reset(&d->vqs[i]);
	d->activated = false;
	d->broken_logged = false;
	d->driver_features = 0;
	d->status = 0;
}

static bool virtio_dev_features_possible(const struct virtio_dev *d, uint64_t accepted)
{
	return !(accepted & ~d->features) && ((accepted >> VIRTIO_F_VERSION_1) & 1);
}

static void virtio_dev_activate(struct virtio_dev *d)
{
	d->status |= VIRTIO_STATUS_DRIVER_OK;
	for (uint16_t i = 0; i < d->queue_count; i++) {
		int rc = d->vqs[i].st.ready ? vq_enable(&d->vqs[i], d->driver_features) : 0;

		if (rc < 0) {
			virtio_dev_broken(d,
				rc == -EFAULT
					? "a ring lies outside guest memory"
					: "a queue's size or the alignment of its rings is wrong");
			return;
		}
	}
	if (d->ops->activate(d) < 0)
		virtio_dev_broken(d, "it could not be activated");
	else
		d->activated = true;
}

/* One step up the ladder. False if it is out of order or refused. */
static bool virtio_dev_step(struct virtio_dev *d, uint32_t bit)
{
	switch (bit) {
	case VIRTIO_STATUS_ACKNOWLEDGE:
		break;
	case VIRTIO_STATUS_DRIVER:
		if (!(d->status & VIRTIO_STATUS_ACKNOWLEDGE))
			return false;
		break;
	case VIRTIO_STATUS_FEATURES_OK:
		if (!(d->status & VIRTIO_STATUS_DRIVER) ||
			!virtio_dev_features_possible(d, d->driver_features))
			return false;
		break;
	case VIRTIO_STATUS_DRIVER_OK:
		if (!(d->status & VIRTIO_STATUS_FEATURES_OK) ||
			(d->status & VIRTIO_STATUS_NEEDS_RESET))
			return false;
		virtio_dev_activate(d);
		break;
	default: /* FAILED: the driver gave up; only a reset leads on */
		break;
	}
	d->status |= bit;
	return true;
}

static void virtio_dev_advance(struct virtio_dev *d, uint32_t status)
{
	static const uint32_t ladder[] = {VIRTIO_STATUS_ACKNOWLEDGE, VIRTIO_STATUS_DRIVER,
		VIRTIO_STATUS_FEATURES_OK, VIRTIO_STATUS_DRIVER_OK, VIRTIO_STATUS_FAILED};
	uint32_t ours = VIRTIO_STATUS_NEEDS_RESET;

	if (d->status & ~status & ~ours) { /* virtio 1.2 §2.1.1: bits are only ever added */
		log_guest(LOG_WARN, "%s device %s: status %#x after %#x clears bits; ignored",
			d->ops->name, d->id, status, d->status);
		return;
	}
	for (size_t i = 0; i < NELEM(ladder); i++) {
		if (!(status & ~d->status & ladder[i]))
			continue;
		if (!virtio_dev_step(d, ladder[i])) {
			log_guest(LOG_WARN,
				"%s device %s: status bit %#x refused, status %#x, features %#llx",
				d->ops->name, d->id, ladder[i], d->status,
				(unsigned long long)d->driver_features);
			return;
		}
	}
}

void virtio_dev_write_status(struct virtio_dev *d, uint32_t status)
{
	virtio_dev_lock(d);
	if (status == 0) {
		virtio_dev_reset(d);
		counter_add(&d->counters.reset_count, 1);
	} else {
		virtio_dev_advance(d, status);
	}
	virtio_dev_unlock(d);
}

void virtio_dev_write_features(struct virtio_dev *d, uint32_t word, uint32_t bits)
{
	virtio_dev_lock(d);
	if (word < 2 && (d->status & VIRTIO_STATUS_DRIVER) &&
		!(d->status & VIRTIO_STATUS_FEATURES_OK)) {
		unsigned shift = word * 32;

		d->driver_features &= ~((uint64_t)UINT32_MAX << shift);
		d->driver_features |= (uint64_t)bits << shift;
	}
	virtio_dev_unlock(d);
}

struct vq *virtio_dev_queue_setup(struct virtio_dev *d, uint32_t q)
{
	if (q >= d->queue_count || d->vqs[q].st.ready || !(d->status & VIRTIO_STATUS_FEATURES_OK) ||
		(d->status & VIRTIO_STATUS_DRIVER_OK))
		return NULL;
	return &d->vqs[q];
}

void virtio_dev_queue_stop(struct virtio_dev *d, uint32_t q)
{
	if (q >= d->queue_count)
		return;
	if (d->activated && d->vqs[q].desc && d->ops->queue_stop)
		d->ops->queue_stop(d, (uint16_t)q);
	vq_disable(&d->vqs[q]);
}

void virtio_dev_notify(struct virtio_dev *d, uint16_t q)
{
	virtio_dev_lock(d);
	if (d->activated && !(d->status & VIRTIO_STATUS_NEEDS_RESET) && q < d->queue_count &&
		d->vqs[q].desc)
		d->ops->notify(d, q);
	virtio_dev_unlock(d);
}

void virtio_dev_config_read(struct virtio_dev *d, uint64_t off, void *data, uint32_t len)
{
	memset(data, 0, len);
	if (off >= d->ops->config_size)
		return;
	virtio_dev_lock(d);
	d->ops->config_read(d, (uint32_t)off, data, MIN(len, d->ops->config_size - (uint32_t)off));
	virtio_dev_unlock(d);
}

void virtio_dev_config_write(struct virtio_dev *d, uint64_t off, const void *data, uint32_t len)
{
	if (!d->ops->config_write || !in_range(off, len, d->ops->config_size))
		return;
	virtio_dev_lock(d);
	d->ops->config_write(d, (uint32_t)off, data, len);
	virtio_dev_unlock(d);
}

void virtio_dev_save(struct virtio_dev *d, struct virtio_dev_state *ret)
{
	virtio_dev_lock(d);
	*ret = (struct virtio_dev_state){
		.driver_features = d->driver_features,
		.status = d->status,
		.config_generation = d->config_generation,
		.queue_count = d->queue_count,
	};
	for (uint16_t i = 0; i < d->queue_count; i++)
		ret->vqs[i] = d->vqs[i].st;
	virtio_dev_unlock(d);
}

/* What only this instance knows: its features, its queues, and where guest memory is. */
static int virtio_dev_state_fits(
	struct virtio_dev *d, const struct virtio_dev_state *s, struct err *e)
{
	if (s->queue_count != d->queue_count)
		return err_set(e, -EINVAL, "%s: %u queues were saved, there are %u", d->id,
			s->queue_count, d->queue_count);
	if ((s->status & VIRTIO_STATUS_FEATURES_OK) &&
		!virtio_dev_features_possible(d, s->driver_features))
		return err_set(e, -EINVAL, "%s: features %#llx were in use, %#llx are possible",
			d->id, (unsigned long long)s->driver_features,
			(unsigned long long)d->features);
	for (uint16_t i = 0; i < d->queue_count; i++) {
		struct vq q = {.mem = d->mem, .size_max = d->vqs[i].size_max, .st = s->vqs[i]};

		if ((s->status & VIRTIO_STATUS_DRIVER_OK) && q.st.ready &&
			!(s->status & VIRTIO_STATUS_NEEDS_RESET) &&
			vq_enable(&q, s->driver_features) < 0)
			return err_set(e, -EINVAL,
				"%s: the rings of queue %u are not in guest memory", d->id, i);
	}
	return 0;
}

int virtio_dev_load(struct virtio_dev *d, const struct virtio_dev_state *s, struct err *e)
{
	int rc = field_table_check(&virtio_dev_state_table, s, e);

	if (rc < 0)
		return rc;
	virtio_dev_lock(d);
	rc = virtio_dev_state_fits(d, s, e);
	if (rc < 0)
		goto out;
	virtio_dev_reset(d);
	d->driver_features = s->driver_features;
	d->config_generation = s->config_generation;
	for (uint16_t i = 0; i < d->queue_count; i++)
		d->vqs[i].st = s->vqs[i];
	d->status = s->status;
	if ((s->status & VIRTIO_STATUS_DRIVER_OK) && !(s->status & VIRTIO_STATUS_NEEDS_RESET))
		virtio_dev_activate(d);
	if (d->status != s->status) {
		virtio_dev_reset(d);
		rc = err_set(e, -EIO, "%s: the device could not be activated", d->id);
	}
out:
	virtio_dev_unlock(d);
	return rc;
}
