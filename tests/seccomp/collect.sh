#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What seccomp/collect accepts and what it refuses, one case per line of TAP.
set -eu
cd "$(dirname "$0")/../.."

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
count=0
failed=0

# result OK NAME: one line of TAP.
result() {
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		sed 's/^/# /' "$dir/out" "$dir/err"
		failed=1
	fi
}

# accepts NAME INPUT EXPECTED: the fragment is EXPECTED, apart from the #line directives.
accepts() {
	local rc=0

	printf '%b\n' "$2" >"$dir/in.c"
	seccomp/collect "$dir/in.c" >"$dir/out" 2>"$dir/err" || rc=1
	[ "$(grep -v '^#line' "$dir/out" | sed "s|$dir/||")" = "$3" ] || rc=1
	result $rc "$1"
}

# refuses NAME INPUT MESSAGE [SUFFIX]: status 1 and MESSAGE with a file and a line.
refuses() {
	local rc=0 file="$dir/in${4:-.c}"

	printf '%b\n' "$2" >"$file"
	seccomp/collect "$file" >"$dir/out" 2>"$dir/err" && rc=1
	grep -q "^$file:[0-9]*: #syscalls: $3" "$dir/err" || rc=1
	result $rc "$1"
}

accepts "a plain call" '/* #syscalls:vcpu read */' \
	'RULE(VCPU, read, "read", "in.c", 0)'
accepts "several calls, in the middle of a comment" '/*\n * text\n *\n * #syscalls:io read write\n */' \
	'RULE(IO, read, "read", "in.c", 0)
RULE(IO, write, "write", "in.c", 0)'
accepts "several roles" '// #syscalls:main,io read' \
	'RULE(MAIN, read, "read", "in.c", 0)
RULE(IO, read, "read", "in.c", 0)'
accepts "all roles" '/* #syscalls:* read */' \
	'RULE(MAIN, read, "read", "in.c", 0)
RULE(VCPU, read, "read", "in.c", 0)
RULE(IO, read, "read", "in.c", 0)'
accepts "each kind of condition" \
	'/* #syscalls:main ioctl:1=KVM_RUN mmap:2&~PROT_EXEC,3&MAP_TYPE=MAP_PRIVATE */' \
	'RULE(MAIN, ioctl, "ioctl:1=KVM_RUN", "in.c", 1, EQUAL(1, KVM_RUN))
RULE(MAIN, mmap, "mmap:2&~PROT_EXEC,3&MAP_TYPE=MAP_PRIVATE", "in.c", 2, NONE(2, PROT_EXEC), MASKED(3, MAP_TYPE, MAP_PRIVATE))'
accepts "expressions and zero" '/* #syscalls:main futex:1=A|B x:0=0 y:1&~(A|B) */' \
	'RULE(MAIN, futex, "futex:1=A|B", "in.c", 1, EQUAL(1, A|B))
RULE(MAIN, x, "x:0=0", "in.c", 1, EQUAL(0, 0))
RULE(MAIN, y, "y:1&~(A|B)", "in.c", 1, NONE(1, (A|B)))'
accepts "the same rule twice counts once" '/* #syscalls:main read */\n/* #syscalls:* read */' \
	'RULE(MAIN, read, "read", "in.c", 0)
RULE(VCPU, read, "read", "in.c", 0)
RULE(IO, read, "read", "in.c", 0)'
accepts "a file without rules" 'int x;' ''

refuses "an unknown role" '/* #syscalls:cpu read */' 'no such role: cpu'
refuses "a role and nothing else" '/* #syscalls:main */' 'no system call after main'
refuses "a colon and nothing else" '/* #syscalls:main ioctl: */' 'no condition after the colon'
refuses "prose after the calls" '/* #syscalls:main read. */' 'not a system call: read.'
refuses "a typed number" '/* #syscalls:main ioctl:1=0xae80 */' 'not a condition: 1=0xae80'
refuses "a typed number in an expression" '/* #syscalls:main ioctl:1=A|4 */' 'not a condition'
refuses "a seventh argument" '/* #syscalls:main ioctl:6=A */' 'not a condition'
refuses "a mask without a value" '/* #syscalls:main ioctl:1&A */' 'not a condition'
refuses "with and without a condition in one role" \
	'/* #syscalls:main ioctl */\n/* #syscalls:* ioctl:1=KVM_RUN */' \
	'role main has ioctl both with and without a condition (see .*in.c:1)'
refuses "text before the rules" '/* needs #syscalls:main read */' 'must be the first thing'
refuses "code before the rules" 'int x; /* #syscalls:main read */' 'must be the first thing'
refuses "a libc rule without a reason" 'main read' 'no reason' .rules

# What only the compiler can tell: it names the line of the comment.
printf '/* #syscalls:main %s */\n' ioctl:1=KVM_NO_SUCH_THING nosuchcall >"$dir/in.c"
seccomp/collect "$dir/in.c" >"$dir/rules.inc" 2>"$dir/out"
rc=0
gcc -std=c11 -D_GNU_SOURCE -I. -I"$dir" -fsyntax-only seccomp/gen.c 2>"$dir/err" && rc=1
grep -q "in.c:1:.*KVM_NO_SUCH_THING" "$dir/err" || rc=1
grep -q "nosuchcall. undeclared" "$dir/err" || rc=1
grep -q "in.c:2:.*in expansion" "$dir/err" || rc=1
result $rc "unknown names are compile errors at the line of the comment"

echo "1..$count"
exit $failed
