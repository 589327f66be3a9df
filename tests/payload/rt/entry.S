/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry by PVH (32-bit, ebx = hvm_start_info) and by the Linux 64-bit protocol (rsi = zero page),
 * the switch to CPL 3, interrupt and exception stubs, the start of application processors.
 *
 * Where KVM emulates CPL 0, each instruction here costs a quarter of a microsecond and odd
 * instructions are missing, so CPL 0 does the least possible: tables are assembled in place, and
 * what must be computed (IDT, task state segments, mappings above 4 GiB) is filled in by C code at
 * CPL 3, to which every page is mapped.
 */
#include "layout.h"

#define CR0_BITS	0x80000021	/* PG NE PE */
#define CR4_PAE		0x20
#define MSR_EFER	0xc0000080
#define EFER_LME	0x100

#ifdef PAYLOAD_PVH_NOTE
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18			/* name size, value size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long pvh_entry
#endif

	.section .text.entry, "ax"
	.code32
	.globl pvh_entry
pvh_entry:
	cld
	movl	%ebx, %edi
	movl	$BOOT_KIND_PVH, %esi
	lgdtl	rt_gdtr
	movl	$bsp_long, %ebp
enter_long:
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$MSR_EFER, %ecx
	movl	$EFER_LME, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$CR0_BITS, %eax
	movl	%eax, %cr0
	ljmp	$SEL_KCODE, $in_long

	.code64
in_long:
	jmp	*%rbp

	.globl linux64_entry
linux64_entry:
	cld
	cli
	movq	%rsi, %rdi
	movl	$BOOT_KIND_LINUX64, %esi
	lgdtq	rt_gdtr
	movl	$pml4, %eax
	movq	%rax, %cr3
bsp_long:
	movl	$rt_tss, %eax
	movw	%ax, rt_gdt + SEL_TSS + 2
	shrl	$16, %eax
	movb	%al, rt_gdt + SEL_TSS + 4
	movb	%ah, rt_gdt + SEL_TSS + 7
	movl	$rt_percpu + PC_SIZE, %eax
	movl	%eax, rt_tss + 4
	movw	$TSS_SIZE * RT_CPU_MAX, rt_tss + 102
	movl	$SEL_TSS, %ebx
	movl	$rt_start, %ebp
	movl	$rt_user_stacks + PC_SIZE * 4, %edx

/* ebx = TSS selector, ebp = CPL 3 function, edx = its stack, eax = CPL 0 stack. */
to_user:
	movl	%eax, %esp
	lidt	rt_idtr
	movl	$SEL_KDATA, %eax
	movl	%eax, %ss
	movl	$SEL_UDATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	ltr	%bx
	subl	$8, %edx
	pushq	$SEL_UDATA
	pushq	%rdx
	pushq	$RT_RFLAGS
	pushq	$SEL_UCODE
	pushq	%rbp
	iretq

/* An application processor, in 32-bit protected mode; ap_mailbox holds what to_user needs. */
	.code32
ap32:
	movl	$SEL_KDATA, %eax
	movl	%eax, %ds
	movl	$ap_long, %ebp
	jmp	enter_long
	.code64
ap_long:
	movl	ap_mailbox, %edi
	movl	ap_mailbox + 4, %ebx
	movl	ap_mailbox + 8, %ebp
	movl	ap_mailbox + 12, %edx
	movl	ap_mailbox + 16, %eax
	jmp	to_user

	.globl ap_mailbox
	.data
	.balign 8
ap_mailbox:
	.fill	6, 4, 0

/* Copied to TRAMPOLINE by C code. Real mode, cs = TRAMPOLINE >> 4. */
	.section .rodata
	.globl trampoline, trampoline_end
	.code16
trampoline:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	TRAMPOLINE + (2f - trampoline)
	movl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$SEL_KCODE32, $ap32
	.balign 4
2:	.word	rt_gdt_end - rt_gdt - 1
	.long	rt_gdt
trampoline_end:
	.code64

/*
 * kcall(fn, a, b, c): calls fn(a, b, c, frame) at CPL 0 with interrupts off. The way in is the ud2: it is
 * an exit or a plain exception everywhere, while int n and syscall are not delivered where KVM
 * emulates CPL 0. The handler knows this ud2 by its address; any other is an error.
 */
	.text
	.globl kcall
kcall:
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
kcall_ud2:
	ud2
	ret
exc_ud:
	cmpq	$kcall_ud2, (%rsp)
	jne	1f
	addq	$2, (%rsp)
	movq	%rsp, %rcx
	call	*%rax
	iretq
1:	pushq	$0
	pushq	$6
	jmp	exc_common

/* Vectors 32 to 255: count, tell the local APIC, return. */
irq_common:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	movq	24(%rsp), %rcx
	movzbl	%cl, %ecx
	movq	%rsp, %rax
	andq	$-PC_SIZE, %rax
	incl	PC_IRQ_COUNT(%rax, %rcx, 4)
	cmpl	$0, PC_X2APIC(%rax)
	jne	1f
	movl	$0xfee000b0, %ecx
	movl	$0, (%rcx)
	jmp	2f
1:	movl	$0x80b, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr
2:	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$8, %rsp
	iretq

/* Vectors 0 to 31: go on at CPL 3 in rt_exception(vector, error, rip, cr2). */
exc_common:
	popq	%rdi
	popq	%rsi
	movq	(%rsp), %rdx
	movq	%cr2, %rcx
	movq	$rt_exception, (%rsp)
	movq	$SEL_UCODE, 8(%rsp)
	movq	$RT_RFLAGS, 16(%rsp)
	movq	$rt_exception_stack + 4096 - 8, 24(%rsp)
	movq	$SEL_UDATA, 32(%rsp)
	iretq

	.globl rt_exc_stubs, rt_irq_stubs
	.balign 16
rt_exc_stubs:
	.set	vec, 0
	.rept	32
	.balign	16
	.if	vec == 6
	jmp	exc_ud
	.endif
	.if	!(vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21)
	pushq	$0
	.endif
	pushq	$vec
	jmp	exc_common
	.set	vec, vec + 1
	.endr
	.balign 16
rt_irq_stubs:
	.rept	224
	.balign	16
	pushq	$vec
	jmp	irq_common
	.set	vec, vec + 1
	.endr

	.data
	.balign 16
	.globl rt_gdt
rt_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* SEL_KCODE32 */
	.quad	0x00af9b000000ffff	/* SEL_KCODE */
	.quad	0x00cf93000000ffff	/* SEL_KDATA */
	.quad	0x00cff3000000ffff	/* SEL_UDATA */
	.quad	0x00affb000000ffff	/* SEL_UCODE */
	.rept	RT_CPU_MAX		/* task state segments: limit and type, base comes later */
	.quad	0x0000890000000000 + TSS_SIZE * RT_CPU_MAX + TSS_BITMAP_SIZE - 1, 0
	.endr
rt_gdt_end:
	.balign 16
	.word	0, 0, 0
rt_gdtr:
	.word	rt_gdt_end - rt_gdt - 1
	.quad	rt_gdt
	.balign 16
	.word	0, 0, 0
rt_idtr:
	.word	4095
	.quad	rt_idt

/*
 * Identity map of 4 GiB by 2 MiB pages, open to CPL 3; the top GiB, where the devices are, is
 * uncached. Mappings above 4 GiB go into the free entries of pdpt.
 */
#define PTE_TABLE	0x07		/* user, writable, present */
#define PTE_RAM		0xe7		/* 2 MiB page, dirty, accessed, user, writable, present */
#define PTE_DEVICE	0xff		/* the same, uncached */
	.balign 4096
	.globl pml4, pdpt
pml4:
	.quad	pdpt + PTE_TABLE
	.fill	511, 8, 0
pdpt:
	.quad	pd + PTE_TABLE, pd + 4096 + PTE_TABLE
	.quad	pd + 8192 + PTE_TABLE, pd + 12288 + PTE_TABLE
	.fill	508, 8, 0
pd:
	.set	page, 0
	.rept	1536
	.quad	page + PTE_RAM
	.set	page, page + 0x200000
	.endr
	.rept	512
	.quad	page + PTE_DEVICE
	.set	page, page + 0x200000
	.endr

	.bss
	.balign 4096
	.globl rt_percpu, rt_user_stacks, rt_exception_stack, rt_tss, rt_idt
rt_percpu:
	.skip	PC_SIZE * RT_CPU_MAX
rt_user_stacks:
	.skip	PC_SIZE * 4 * RT_CPU_MAX
rt_exception_stack:
	.skip	4096
rt_idt:
	.skip	4096
rt_tss:				/* one for each CPU, then their common I/O bitmap */
	.skip	TSS_SIZE * RT_CPU_MAX + TSS_BITMAP_SIZE
	.section .note.GNU-stack, "", @progbits
