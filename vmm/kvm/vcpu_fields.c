/* SPDX-License-Identifier: Apache-2.0 */
/* State tables of a vCPU: KVM's own structs, member by member. See vcpu_state.h. */
#include "vmm/kvm/vcpu_state.h"

#include <errno.h>

#define REG(id, member) FIELD(id, 1, struct kvm_regs, member, 0)
static const struct field regs_fields[] = {
	REG(1, rax),
	REG(2, rbx),
	REG(3, rcx),
	REG(4, rdx),
	REG(5, rsi),
	REG(6, rdi),
	REG(7, rsp),
	REG(8, rbp),
	REG(9, r8),
	REG(10, r9),
	REG(11, r10),
	REG(12, r11),
	REG(13, r12),
	REG(14, r13),
	REG(15, r14),
	REG(16, r15),
	REG(17, rip),
	REG(18, rflags),
};
static const struct field_table regs_table =
	FIELD_TABLE("regs", struct kvm_regs, regs_fields, NULL);

#define SEG(id, member) FIELD(id, 1, struct kvm_segment, member, 0)
static const struct field segment_fields[] = {
	SEG(1, base),
	SEG(2, limit),
	SEG(3, selector),
	SEG(4, type),
	SEG(5, present),
	SEG(6, dpl),
	SEG(7, db),
	SEG(8, s),
	SEG(9, l),
	SEG(10, g),
	SEG(11, avl),
	SEG(12, unusable),
	SEG(13, padding),
};
static const struct field_table segment_table =
	FIELD_TABLE("segment", struct kvm_segment, segment_fields, NULL);

static const struct field dtable_fields[] = {
	FIELD(1, 1, struct kvm_dtable, base, 0),
	FIELD(2, 1, struct kvm_dtable, limit, 0),
	FIELD_ARRAY(3, 1, struct kvm_dtable, padding, 0),
};
static const struct field_table dtable_table =
	FIELD_TABLE("dtable", struct kvm_dtable, dtable_fields, NULL);

#define SREG(id, member) FIELD(id, 1, struct kvm_sregs, member, 0)
#define SSEG(id, member) FIELD_STRUCT(id, 1, struct kvm_sregs, member, &segment_table)
static const struct field sregs_fields[] = {
	SSEG(1, cs),
	SSEG(2, ds),
	SSEG(3, es),
	SSEG(4, fs),
	SSEG(5, gs),
	SSEG(6, ss),
	SSEG(7, tr),
	SSEG(8, ldt),
	FIELD_STRUCT(9, 1, struct kvm_sregs, gdt, &dtable_table),
	FIELD_STRUCT(10, 1, struct kvm_sregs, idt, &dtable_table),
	SREG(11, cr0),
	SREG(12, cr2),
	SREG(13, cr3),
	SREG(14, cr4),
	SREG(15, cr8),
	SREG(16, efer),
	SREG(17, apic_base),
	FIELD_ARRAY(18, 1, struct kvm_sregs, interrupt_bitmap, 0),
};
static const struct field_table sregs_table =
	FIELD_TABLE("sregs", struct kvm_sregs, sregs_fields, NULL);

static const struct field debugregs_fields[] = {
	FIELD_ARRAY(1, 1, struct kvm_debugregs, db, 0),
	FIELD(2, 1, struct kvm_debugregs, dr6, 0),
	FIELD(3, 1, struct kvm_debugregs, dr7, 0),
	FIELD(4, 1, struct kvm_debugregs, flags, 0),
	FIELD_ARRAY(5, 1, struct kvm_debugregs, reserved, 0),
};
static const struct field_table debugregs_table =
	FIELD_TABLE("debugregs", struct kvm_debugregs, debugregs_fields, NULL);

#define EVENT(id, member) FIELD(id, 1, struct kvm_vcpu_events, member, 0)
static const struct field events_fields[] = {
	EVENT(1, exception.injected),
	EVENT(2, exception.nr),
	EVENT(3, exception.has_error_code),
	EVENT(4, exception.pending),
	EVENT(5, exception.error_code),
	EVENT(6, interrupt.injected),
	EVENT(7, interrupt.nr),
	EVENT(8, interrupt.soft),
	EVENT(9, interrupt.shadow),
	EVENT(10, nmi.injected),
	EVENT(11, nmi.pending),
	EVENT(12, nmi.masked),
	EVENT(13, nmi.pad),
	EVENT(14, sipi_vector),
	EVENT(15, flags),
	EVENT(16, smi.smm),
	EVENT(17, smi.pending),
	EVENT(18, smi.smm_inside_nmi),
	EVENT(19, smi.latched_init),
	EVENT(20, triple_fault.pending),
	FIELD_ARRAY(21, 1, struct kvm_vcpu_events, reserved, 0),
	EVENT(22, exception_has_payload),
	EVENT(23, exception_payload),
};
static const struct field_table events_table =
	FIELD_TABLE("events", struct kvm_vcpu_events, events_fields, NULL);

static const struct field xcr_fields[] = {
	FIELD(1, 1, struct kvm_xcr, xcr, 0),
	FIELD(2, 1, struct kvm_xcr, reserved, 0),
	FIELD(3, 1, struct kvm_xcr, value, 0),
};
static const struct field_table xcr_table = FIELD_TABLE("xcr", struct kvm_xcr, xcr_fields, NULL);

static const struct field xcrs_fields[] = {
	FIELD(1, 1, struct kvm_xcrs, nr_xcrs, KVM_MAX_XCRS),
	FIELD(2, 1, struct kvm_xcrs, flags, 0),
	FIELD_STRUCT_ARRAY(3, 1, struct kvm_xcrs, xcrs, &xcr_table),
	FIELD_ARRAY(4, 1, struct kvm_xcrs, padding, 0),
};
static const struct field_table xcrs_table =
	FIELD_TABLE("xcrs", struct kvm_xcrs, xcrs_fields, NULL);

/* KVM declares the register page as char; its bytes are described as such by hand. */
static const struct field lapic_fields[] = {
	{.name = "regs",
		.id = 1,
		.since = 1,
		.type = FIELD_TYPE_U8,
		.offset = 0,
		.size = 1,
		.count = KVM_APIC_REG_SIZE},
};
static const struct field_table lapic_table =
	FIELD_TABLE("lapic", struct kvm_lapic_state, lapic_fields, NULL);

static const struct field mp_state_fields[] = {FIELD(1, 1, struct kvm_mp_state, mp_state, 0)};
static const struct field_table mp_state_table =
	FIELD_TABLE("mp_state", struct kvm_mp_state, mp_state_fields, NULL);

static const struct field msr_fields[] = {
	FIELD(1, 1, struct vcpu_msr, index, 0),
	FIELD(2, 1, struct vcpu_msr, reserved, 0),
	FIELD(3, 1, struct vcpu_msr, value, 0),
};
static const struct field_table msr_table = FIELD_TABLE("msr", struct vcpu_msr, msr_fields, NULL);

static int vcpu_state_check(const void *state, struct err *e)
{
	const struct vcpu_state *s = state;

	if (s->xsave_size < sizeof(struct kvm_xsave))
		return err_set(e, -EINVAL, "vcpu.xsave_size is %u; the least is %zu", s->xsave_size,
			sizeof(struct kvm_xsave));
	return 0;
}

static const struct field vcpu_fields[] = {
	FIELD_STRUCT(1, 1, struct vcpu_state, regs, &regs_table),
	FIELD_STRUCT(2, 1, struct vcpu_state, sregs, &sregs_table),
	FIELD_STRUCT(3, 1, struct vcpu_state, debugregs, &debugregs_table),
	FIELD_STRUCT(4, 1, struct vcpu_state, events, &events_table),
	FIELD_STRUCT(5, 1, struct vcpu_state, xcrs, &xcrs_table),
	FIELD_STRUCT(6, 1, struct vcpu_state, lapic, &lapic_table),
	FIELD_STRUCT(7, 1, struct vcpu_state, mp_state, &mp_state_table),
	FIELD(8, 1, struct vcpu_state, tsc_khz, 0),
	FIELD(9, 1, struct vcpu_state, xsave_size, VCPU_XSAVE_SIZE_MAX),
	FIELD(10, 1, struct vcpu_state, msr_count, VCPU_MSRS_MAX),
	FIELD_STRUCT_ARRAY(11, 1, struct vcpu_state, msrs, &msr_table),
	FIELD_ARRAY(12, 1, struct vcpu_state, xsave, 0),
};
const struct field_table vcpu_state_table =
	FIELD_TABLE("vcpu", struct vcpu_state, vcpu_fields, vcpu_state_check);
