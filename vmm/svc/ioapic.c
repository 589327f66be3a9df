/* SPDX-License-Identifier: Apache-2.0 */
/* The I/O APIC. See ioapic.h. Registers: Intel 82093AA data sheet, 3.0. */
#include "vmm/svc/ioapic.h"

#include "vmm/base/log.h"

#include <errno.h>
#include <string.h>

#define IOAPIC_REGSEL      0x00
#define IOAPIC_WINDOW      0x10
#define IOAPIC_INDEX_ID    0x00
#define IOAPIC_INDEX_VER   0x01
#define IOAPIC_INDEX_ARB   0x02
#define IOAPIC_INDEX_TABLE 0x10
#define IOAPIC_VERSION     0x11u

#define RTE_VECTOR          0xffull
#define RTE_DELIVERY_SHIFT  8
#define RTE_DELIVERY        (7ull << RTE_DELIVERY_SHIFT)
#define RTE_DELIVERY_EXTINT 7u
#define RTE_DEST_LOGICAL    (1ull << 11)
#define RTE_STATUS          (1ull << 12) /* read-only */
#define RTE_REMOTE_IRR      (1ull << 14) /* read-only */
#define RTE_LEVEL           (1ull << 15)
#define RTE_MASKED          (1ull << 16)
#define RTE_DEST_SHIFT      56
#define RTE_WRITABLE        (0xff0000000001afffull & ~(RTE_STATUS | RTE_REMOTE_IRR))

#define MSI_ADDRESS      0xfee00000u
#define MSI_DEST_SHIFT   12
#define MSI_DEST_LOGICAL (1u << 2)
#define MSI_DATA_ASSERT  (1u << 14)
#define MSI_DATA_LEVEL   (1u << 15)

static int ioapic_state_check(const void *state, struct err *e)
{
	const struct ioapic_state *s = state;

	for (uint32_t pin = 0; pin < LAYOUT_GSI_COUNT; pin++)
		if (s->redirection[pin] & ~RTE_WRITABLE)
			return err_set(e, -EINVAL,
				"ioapic.redirection[%u]: 0x%llx has reserved bits", pin,
				(unsigned long long)s->redirection[pin]);
	return 0;
}

static const struct field ioapic_state_fields[] = {
	FIELD_ARRAY(1, 1, struct ioapic_state, redirection, 0),
	FIELD(2, 1, struct ioapic_state, id, 0x0f),
	FIELD(3, 1, struct ioapic_state, select, 0xff),
};
const struct field_table ioapic_state_table =
	FIELD_TABLE("ioapic", struct ioapic_state, ioapic_state_fields, ioapic_state_check);

void ioapic_init(struct ioapic *a, ioapic_route_fn route, void *route_ctx)
{
	memset(a, 0, sizeof(*a));
	(void)pthread_mutex_init(&a->lock, NULL);
	a->route = route;
	a->route_ctx = route_ctx;
	for (uint32_t pin = 0; pin < LAYOUT_GSI_COUNT; pin++)
		a->st.redirection[pin] = RTE_MASKED;
}

void ioapic_fini(struct ioapic *a)
{
	(void)pthread_mutex_destroy(&a->lock);
}

/* A pin that delivers nothing: masked, or ExtINT, which would need a PIC. */
static bool rte_is_silent(uint64_t rte)
{
	return (rte & RTE_MASKED) ||
	       (rte & RTE_DELIVERY) >> RTE_DELIVERY_SHIFT == RTE_DELIVERY_EXTINT;
}

static struct kvm_irq_routing_entry rte_route(uint32_t pin, uint64_t rte)
{
	struct kvm_irq_routing_entry r = {.gsi = pin, .type = KVM_IRQ_ROUTING_MSI};

	r.u.msi.address_lo = MSI_ADDRESS | (uint32_t)(rte >> RTE_DEST_SHIFT) << MSI_DEST_SHIFT |
			     (rte & RTE_DEST_LOGICAL ? MSI_DEST_LOGICAL : 0);
	r.u.msi.data = (uint32_t)(rte & (RTE_VECTOR | RTE_DELIVERY)) | MSI_DATA_ASSERT |
		       (rte & RTE_LEVEL ? MSI_DATA_LEVEL : 0);
	return r;
}

static int ioapic_hand_over(struct ioapic *a)
{
	struct kvm_irq_routing_entry routes[LAYOUT_GSI_COUNT];
	uint32_t count = 0;
	int rc;

	for (uint32_t pin = 0; pin < LAYOUT_GSI_COUNT; pin++)
		if (!rte_is_silent(a->st.redirection[pin]))
			routes[count++] = rte_route(pin, a->st.redirection[pin]);
	rc = a->route(a->route_ctx, routes, count);
	a->route_count++;
	if (rc < 0) {
		a->route_fails++;
		log_guest(LOG_ERROR, "ioapic: KVM refused the interrupt routes: %s", strerror(-rc));
	}
	return rc;
}

int ioapic_sync_routes(struct ioapic *a)
{
	int rc;

	(void)pthread_mutex_lock(&a->lock);
	rc = ioapic_hand_over(a);
	(void)pthread_mutex_unlock(&a->lock);
	return rc;
}

static void ioapic_write_entry(struct ioapic *a, uint32_t index, uint32_t value)
{
	uint32_t pin = (index - IOAPIC_INDEX_TABLE) / 2;
	uint32_t shift = (index & 1) * 32;
	uint64_t old = a->st.redirection[pin];
	uint64_t rte = (old & ~(0xffffffffull << shift)) | (uint64_t)value << shift;

	rte &= RTE_WRITABLE;
	a->st.redirection[pin] = rte;
	/* Guests write most entries while masked; only a change of what is delivered costs a call. */
	if (rte != old && !(rte_is_silent(rte) && rte_is_silent(old)))
		(void)ioapic_hand_over(a);
}

static uint32_t ioapic_read_window(const struct ioapic *a)
{
	uint32_t index = a->st.select;

	switch (index) {
	case IOAPIC_INDEX_ID:
	case IOAPIC_INDEX_ARB:
		return a->st.id << 24;
	case IOAPIC_INDEX_VER:
		return IOAPIC_VERSION | (LAYOUT_GSI_COUNT - 1) << 16;
	default:
		if (index < IOAPIC_INDEX_TABLE ||
			index >= IOAPIC_INDEX_TABLE + 2 * LAYOUT_GSI_COUNT)
			return 0;
		return (uint32_t)(a->st.redirection[(index - IOAPIC_INDEX_TABLE) / 2] >>
				  (index & 1) * 32);
	}
}

static void ioapic_write_window(struct ioapic *a, uint32_t value)
{
	uint32_t index = a->st.select;

	if (index == IOAPIC_INDEX_ID)
		a->st.id = value >> 24 & 0x0f;
	else if (index >= IOAPIC_INDEX_TABLE && index < IOAPIC_INDEX_TABLE + 2 * LAYOUT_GSI_COUNT)
		ioapic_write_entry(a, index, value);
}

static void ioapic_read(void *dev, uint64_t off, void *data, uint32_t len)
{
	struct ioapic *a = dev;
	uint32_t value = 0;

	(void)pthread_mutex_lock(&a->lock);
	if (off == IOAPIC_REGSEL)
		value = a->st.select;
	else if (off == IOAPIC_WINDOW)
		value = ioapic_read_window(a);
	(void)pthread_mutex_unlock(&a->lock);
	memset(data, 0, len);
	memcpy(data, &value, MIN(len, sizeof(value)));
}

/* Registers are 32 bits wide; narrower writes to the window would tear an entry: ignored. */
static void ioapic_write(void *dev, uint64_t off, const void *data, uint32_t len)
{
	struct ioapic *a = dev;
	uint32_t value = 0;

	memcpy(&value, data, MIN(len, sizeof(value)));
	(void)pthread_mutex_lock(&a->lock);
	if (off == IOAPIC_REGSEL)
		a->st.select = value & 0xff;
	else if (off == IOAPIC_WINDOW && len == sizeof(value))
		ioapic_write_window(a, value);
	(void)pthread_mutex_unlock(&a->lock);
}

const struct bus_ops ioapic_bus_ops = {.read = ioapic_read, .write = ioapic_write};
