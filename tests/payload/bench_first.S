/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shortest guest with a sign of life, for measurements: one byte 'M' on the serial port, then
 * a reset by the i8042, or by a triple fault where there is none. The bytes mean the same in 32-bit
 * and in 64-bit mode, so one entry serves both protocols.
 */
#ifdef PAYLOAD_PVH_NOTE
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18
	.asciz "Xen"
	.long linux64_entry
#endif
	.section .text.entry, "ax"
	.globl linux64_entry
linux64_entry:
	movw	$0x3f8, %dx
	movb	$'M', %al
	outb	%al, %dx
	movb	$0xfe, %al
	outb	%al, $0x64
	movl	$none, %eax
	lidt	(%rax)
	ud2
none:	.quad	0, 0
	.section .note.GNU-stack, "", @progbits
