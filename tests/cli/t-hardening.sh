# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# What the linker and the compiler were asked for is in the programs that are installed, of every build
# beside build/mayfly: by readelf. docs/security.md lists it. $built comes from run.

# hardened PROGRAM: says what PROGRAM lacks, a word each; nothing if all is there.
hardened() {
	local program=$1 head segments dynamic symbols
	head=$(readelf -hW "$program") && segments=$(readelf -lW "$program") &&
		dynamic=$(readelf -dW "$program") && symbols=$(readelf -sW "$program") || return
	grep -q 'Type: *DYN' <<<"$head" || echo et-dyn
	! grep -q INTERP <<<"$segments" || echo no-interp
	! grep -q NEEDED <<<"$dynamic" || echo no-needed
	grep -q 'FLAGS_1.*\bPIE\b' <<<"$dynamic" || echo pie
	grep -q GNU_RELRO <<<"$segments" || echo relro
	grep -q 'FLAGS.*\bBIND_NOW\b' <<<"$dynamic" || echo bind-now
	! grep -q TEXTREL <<<"$dynamic" || echo no-textrel
	# Flags stand apart, as in "R E": nothing may be both written and executed.
	grep -q 'GNU_STACK .* RW  *0x' <<<"$segments" || echo stack
	! grep -q ' RWE ' <<<"$segments" || echo no-rwe
	# Of a stripped one the symbols do not tell.
	[ -n "$symbols" ] || return 0
	grep -q ' __stack_chk_fail$' <<<"$symbols" || echo stack-protector
	grep -q ' __snprintf_chk$' <<<"$symbols" || echo fortify
}

# marked FILE: what the objects of FILE, one or an archive of them, lack. In a program, libc's own checks
# stand for ours; and the linker leaves a mark out that one object lacks, as libc's do (docs/security.md).
marked() {
	local symbols notes count
	symbols=$(readelf -sW "$1") && notes=$(readelf -nW "$1") || return
	grep -q 'UND __stack_chk_fail$' <<<"$symbols" || echo stack-protector
	grep -q 'UND __snprintf_chk$' <<<"$symbols" || echo fortify
	count=$(grep -c '^File: ' <<<"$symbols") || count=1
	[ "$(grep -c 'feature: IBT, SHSTK' <<<"$notes")" -eq "$count" ] || echo control-flow
}

# all_hardened DIR
all_hardened() {
	local program objects lacks
	for program in mayfly-vmm mayfly-jailer mayfly; do
		[ -x "$1/$program" ] || skip "no $1/$program"
		lacks=$(hardened "$1/$program") || fail "readelf cannot read $1/$program"
		[ -z "$lacks" ] || fail "$1/$program lacks: ${lacks//$'\n'/ }"
	done
	for objects in libmayfly.a o/vmm/main.o o/cli/run_config.o; do
		[ -e "$1/$objects" ] || skip "no $1/$objects"
		lacks=$(marked "$1/$objects") || fail "readelf cannot read $1/$objects"
		[ -z "$lacks" ] || fail "$1/$objects lacks: ${lacks//$'\n'/ }"
	done
}

t_hardening_of_what_is_installed() {
	command -v readelf >/dev/null || skip "no readelf"
	all_hardened "$built"
}

t_hardening_of_what_clang_makes() {
	command -v readelf >/dev/null || skip "no readelf"
	all_hardened "$built/clang"
}

# Each row of `hardened`, by a program that lacks it.
t_hardening_is_missed_where_it_lacks() {
	local flags wanted row
	{ command -v readelf && command -v gcc; } >/dev/null || skip "no readelf or no gcc"
	cat >x.c <<-'EOF'
		#include <stdio.h>
		int main(int argc, char **argv) { return printf(argv[0], argc); }
	EOF
	# -nostdlib and a program without calls, where a libc would bring its own.
	echo 'void _start(void); void _start(void) { for (;;) ; }' >bare.c
	# A pointer in code, to be relocated there.
	printf '.data_1: .quad x\n.globl x\nx: .quad x\n' >text.s
	while IFS='|' read -r wanted flags; do
		# shellcheck disable=SC2086 # several flags
		gcc -w -o x $flags 2>gcc-said || fail "gcc $flags: $(cat gcc-said)"
		for row in $wanted; do
			hardened x | grep -qx "$row" || fail "$row is not missed with $flags"
		done
	done <<-'EOF'
		et-dyn pie|x.c -static
		no-interp no-needed|x.c -pie -fPIE
		relro|x.c -static-pie -fPIE -Wl,-z,norelro
		bind-now|x.c -pie -fPIE -Wl,-z,lazy
		no-textrel|-shared -fPIC -Wl,-z,notext text.s
		stack|x.c -static-pie -fPIE -Wl,-z,execstack
		no-rwe|bare.c -static -nostdlib -Wl,-N
		stack-protector fortify|bare.c -static-pie -fPIE -nostdlib
	EOF
}

t_hardening_of_objects_is_missed_where_they_lack() {
	local flags wanted
	{ command -v readelf && command -v gcc && command -v ar; } >/dev/null || skip "no binutils or no gcc"
	cat >x.c <<-'EOF'
		#include <stdio.h>
		int main(int argc, char **argv) { char b[99]; snprintf(b, argc, "%s", argv[0]); return puts(b); }
	EOF
	while IFS='|' read -r wanted flags; do
		# shellcheck disable=SC2086 # several flags
		gcc -w -c -o x.o -O2 $flags x.c 2>gcc-said || fail "gcc $flags: $(cat gcc-said)"
		equal "$(marked x.o | xargs)" "$wanted"
	done <<-'EOF'
		|-fstack-protector-strong -D_FORTIFY_SOURCE=3 -fcf-protection
		stack-protector|-fno-stack-protector -D_FORTIFY_SOURCE=3 -fcf-protection
		fortify|-fstack-protector-strong -U_FORTIFY_SOURCE -fcf-protection
		control-flow|-fstack-protector-strong -D_FORTIFY_SOURCE=3 -fcf-protection=none
	EOF
	cp x.o y.o
	gcc -w -c -o x.o -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=3 -fcf-protection x.c
	ar rc both.a x.o y.o
	equal "$(marked both.a)" control-flow
}
