/* SPDX-License-Identifier: Apache-2.0 */
/* vCPU state in and out of KVM. See vcpu_state.h; tables in vcpu_fields.c. */
#include "vmm/kvm/vcpu_state.h"

#include "vmm/base/check.h"

#include <asm/kvm_para.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSR_IA32_TSC          0x10u
#define MSR_IA32_TSC_DEADLINE 0x6e0u

union vcpu_msr_buf {
	struct kvm_msrs head;
	unsigned char bytes[sizeof(struct kvm_msrs) + VCPU_MSRS_MAX * sizeof(struct kvm_msr_entry)];
};

union vcpu_xsave_buf {
	struct kvm_xsave xsave;
	uint8_t bytes[VCPU_XSAVE_SIZE_MAX];
};

/* One ioctl of the long rows below, its name in the message. */
static int vcpu_ioctl(int fd, unsigned long request, void *arg, const char *name, struct err *e)
{
	int rc = ioctl(fd, request, arg);

	return rc >= 0 ? rc : err_set_os(e, -errno, "vCPU state: %s", name);
}

#define VCPU_IOCTL(fd, request, arg, e) vcpu_ioctl((fd), (request), (arg), #request, (e))

/* KVM_GET_MSRS stops at the first it does not give; that one is left out and the rest follow. */
static int vcpu_save_msrs(
	int fd, const uint32_t *indices, uint32_t count, struct vcpu_state *s, struct err *e)
{
	union vcpu_msr_buf buf;
	struct kvm_msr_entry *entries = buf.head.entries;

	s->msr_count = 0;
	for (uint32_t done = 0; done < count;) {
		uint32_t n = MIN(count - done, VCPU_MSRS_MAX);
		int got;

		memset(&buf.head, 0, sizeof(buf.head));
		buf.head.nmsrs = n;
		for (uint32_t i = 0; i < n; i++)
			entries[i] = (struct kvm_msr_entry){.index = indices[done + i]};
		got = VCPU_IOCTL(fd, KVM_GET_MSRS, &buf, e);
		if (got < 0)
			return got;
		if ((uint32_t)got > VCPU_MSRS_MAX - s->msr_count)
			return err_set(
				e, -E2BIG, "vCPU state: KVM has more than %u MSRs", VCPU_MSRS_MAX);
		for (uint32_t i = 0; i < (uint32_t)got; i++)
			s->msrs[s->msr_count++] = (struct vcpu_msr){
				.index = entries[i].index, .value = entries[i].data};
		done += (uint32_t)got < n ? (uint32_t)got + 1 : (uint32_t)got;
	}
	return 0;
}

/*
 * An armed deadline timer whose MSR already reads 0 has fired but is not delivered yet: the
 * vCPU's present TSC makes it fire again at once after the load.
 */
static void vcpu_fix_deadline(struct vcpu_state *s)
{
	uint64_t tsc = 0;

	for (uint32_t i = 0; i < s->msr_count; i++)
		if (s->msrs[i].index == MSR_IA32_TSC)
			tsc = s->msrs[i].value;
	for (uint32_t i = 0; i < s->msr_count; i++)
		if (s->msrs[i].index == MSR_IA32_TSC_DEADLINE && s->msrs[i].value == 0)
			s->msrs[i].value = tsc;
}

int vcpu_state_save(int fd, uint32_t xsave_size, const uint32_t *msr_indices, uint32_t msr_count,
	struct vcpu_state *ret, struct err *e)
{
	unsigned long get_xsave =
		xsave_size > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE;
	union vcpu_xsave_buf xsave;
	int rc;

	CHECK(xsave_size >= sizeof(struct kvm_xsave) && xsave_size <= VCPU_XSAVE_SIZE_MAX);
	memset(ret, 0, sizeof(*ret));
	memset(&xsave, 0, sizeof(xsave));
	/* MP state first: reading it makes KVM accept pending INIT and SIPI. */
	if ((rc = VCPU_IOCTL(fd, KVM_GET_MP_STATE, &ret->mp_state, e)) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_GET_REGS, &ret->regs, e)) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_GET_SREGS, &ret->sregs, e)) < 0 ||
		(rc = vcpu_ioctl(fd, get_xsave, &xsave, "KVM_GET_XSAVE2", e)) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_GET_XCRS, &ret->xcrs, e)) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_GET_DEBUGREGS, &ret->debugregs, e)) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_GET_LAPIC, &ret->lapic, e)) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_GET_VCPU_EVENTS, &ret->events, e)) < 0 ||
		(rc = vcpu_save_msrs(fd, msr_indices, msr_count, ret, e)) < 0)
		return rc;
	rc = ioctl(fd, KVM_GET_TSC_KHZ, 0);
	ret->tsc_khz = rc > 0 ? (uint32_t)rc : 0;
	ret->xsave_size = xsave_size;
	memcpy(ret->xsave, xsave.bytes, xsave_size);
	vcpu_fix_deadline(ret);
	return 0;
}

/*
 * To set these is to ask KVM for the wall clock anew, which it would tell from a kvm-clock that has
 * not been set yet. What the guest once asked for is in its memory, and goes with that.
 */
static bool vcpu_msr_acts(uint32_t index)
{
	return index == MSR_KVM_WALL_CLOCK || index == MSR_KVM_WALL_CLOCK_NEW;
}

static int vcpu_load_msrs(int fd, const struct vcpu_state *s, struct err *e)
{
	union vcpu_msr_buf buf;
	struct kvm_msr_entry *entries = buf.head.entries;
	int set;

	memset(&buf.head, 0, sizeof(buf.head));
	buf.head.nmsrs = 0;
	for (uint32_t i = 0; i < s->msr_count; i++)
		if (!vcpu_msr_acts(s->msrs[i].index))
			entries[buf.head.nmsrs++] = (struct kvm_msr_entry){
				.index = s->msrs[i].index, .data = s->msrs[i].value};
	set = VCPU_IOCTL(fd, KVM_SET_MSRS, &buf, e);
	if (set < 0)
		return set;
	if ((uint32_t)set < buf.head.nmsrs)
		return err_set(e, -EINVAL, "vCPU state: KVM refused MSR 0x%x = 0x%llx",
			entries[set].index, (unsigned long long)entries[set].data);
	return 0;
}

int vcpu_state_load(int fd, struct vcpu_state *s, struct err *e)
{
	int rc;

	if ((rc = VCPU_IOCTL(fd, KVM_SET_SREGS, &s->sregs, e)) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_SET_REGS, &s->regs, e)) < 0 ||
		/* A CPU without XSAVE has no XCRs, and KVM refuses to set none. */
		(rc = s->xcrs.nr_xcrs ? VCPU_IOCTL(fd, KVM_SET_XCRS, &s->xcrs, e) : 0) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_SET_XSAVE, s->xsave, e)) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_SET_DEBUGREGS, &s->debugregs, e)) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_SET_LAPIC, &s->lapic, e)) < 0 ||
		(rc = vcpu_load_msrs(fd, s, e)) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_SET_VCPU_EVENTS, &s->events, e)) < 0 ||
		(rc = VCPU_IOCTL(fd, KVM_SET_MP_STATE, &s->mp_state, e)) < 0)
		return rc;
	return 0;
}
