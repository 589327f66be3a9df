/* SPDX-License-Identifier: Apache-2.0 */
/* VMClock. See vmclock.h. */
#include "vmm/legacy/vmclock.h"

#include "vmm/base/layout.h"

#include <errno.h>

#define VMCLOCK_MAGIC           0x4b4c4356u /* "VCLK" */
#define VMCLOCK_VERSION         1
#define VMCLOCK_COUNTER_INVALID 0xff
#define VMCLOCK_TIME_TAI        1
#define VMCLOCK_STATUS_UNKNOWN  0

#define VMCLOCK_FLAG_VM_GEN_COUNTER_PRESENT (1ull << 7)
#define VMCLOCK_FLAG_NOTIFICATION_PRESENT   (1ull << 8)

/* The start of the page, as the specification lays it out; the rest is zero. */
struct vmclock_page {
	uint32_t magic;
	uint32_t size;
	uint16_t version;
	uint8_t counter_id;
	uint8_t time_type;
	uint32_t seq_count;
	uint64_t disruption_marker;
	uint64_t flags;
	uint16_t pad;
	uint8_t clock_status;
	uint8_t leap_second_smearing_hint;
	int16_t tai_offset_sec;
	uint8_t leap_indicator;
	uint8_t counter_period_shift;
	uint64_t counter_value;
	uint64_t counter_period_frac_sec;
	uint64_t counter_period_esterror_rate_frac_sec;
	uint64_t counter_period_maxerror_rate_frac_sec;
	uint64_t time_sec;
	uint64_t time_frac_sec;
	uint64_t time_esterror_nanosec;
	uint64_t time_maxerror_nanosec;
	uint64_t vm_generation_count;
};
_Static_assert(offsetof(struct vmclock_page, seq_count) == 0x0c &&
		       offsetof(struct vmclock_page, clock_status) == 0x22 &&
		       offsetof(struct vmclock_page, counter_value) == 0x28 &&
		       offsetof(struct vmclock_page, vm_generation_count) == 0x68,
	"as specified");

static const struct field vmclock_state_fields[] = {
	FIELD(1, 1, struct vmclock_state, disruption_marker, 0),
	FIELD(2, 1, struct vmclock_state, vm_generation_count, 0),
	FIELD(3, 1, struct vmclock_state, seq_count, 0),
	FIELD(4, 1, struct vmclock_state, reserved, 0),
};

static int vmclock_state_check(const void *state, struct err *e)
{
	const struct vmclock_state *s = state;

	if (s->reserved != 0 || s->seq_count % 2 != 0)
		return err_set(e, -EINVAL, "vmclock was saved in the middle of a change");
	return 0;
}

const struct field_table vmclock_state_table =
	FIELD_TABLE("vmclock", struct vmclock_state, vmclock_state_fields, vmclock_state_check);

static int vmclock_write(const struct vmclock *c, struct gmem *m)
{
	const struct vmclock_page page = {
		.magic = VMCLOCK_MAGIC,
		.size = LAYOUT_VMCLOCK_SIZE,
		.version = VMCLOCK_VERSION,
		.counter_id = VMCLOCK_COUNTER_INVALID,
		.time_type = VMCLOCK_TIME_TAI,
		.seq_count = c->st.seq_count,
		.disruption_marker = c->st.disruption_marker,
		.flags = VMCLOCK_FLAG_VM_GEN_COUNTER_PRESENT | VMCLOCK_FLAG_NOTIFICATION_PRESENT,
		.clock_status = VMCLOCK_STATUS_UNKNOWN,
		.vm_generation_count = c->st.vm_generation_count,
	};

	return gmem_write(m, GPA(LAYOUT_VMCLOCK), &page, sizeof(page));
}

/* On its own, and in order: x86 keeps stores in order, and the helper has a compiler barrier. */
static int vmclock_write_seq(const struct vmclock *c, struct gmem *m)
{
	gpa_t at = GPA(LAYOUT_VMCLOCK + offsetof(struct vmclock_page, seq_count));

	return gmem_write(m, at, &c->st.seq_count, sizeof(c->st.seq_count));
}

int vmclock_init(struct vmclock *c, struct gmem *m, struct err *e)
{
	int rc;

	*c = (struct vmclock){.irq.fd = -1};
	rc = vmclock_write(c, m);
	if (rc < 0)
		return err_set(e, rc, "machine-config.mem_size_mib: too small for the first MiB");
	return irq_line_init(&c->irq, e);
}

void vmclock_fini(struct vmclock *c)
{
	irq_line_fini(&c->irq);
}

int vmclock_disrupt(struct vmclock *c, struct gmem *m)
{
	int rc;

	c->st.seq_count++; /* odd: readers wait */
	rc = vmclock_write_seq(c, m);
	if (rc < 0)
		return rc;
	c->st.disruption_marker++;
	c->st.vm_generation_count++;
	rc = vmclock_write(c, m);
	if (rc < 0)
		return rc;
	c->st.seq_count++;
	rc = vmclock_write_seq(c, m);
	if (rc < 0)
		return rc;
	irq_line_raise(&c->irq);
	return 0;
}
