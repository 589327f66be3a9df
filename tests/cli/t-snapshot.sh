# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# `mayfly snapshot`: on real snapshots of a payload guest, which then go on from what it has made.

# snap_api SOCKET METHOD PATH [BODY]
snap_api() { "$mayfly" api --vm "$PWD/$1" "$2" "$3" ${4:+"$4"} >api.out 2>&1 || fail "$*: $(cat api.out)"; }

# snap_take: snapshots s and m, then a diff sd and d of a turn later, then in full s2 and m2; the
# guest has not run between the last two.
snap_take() {
	local pid
	[ -w /dev/kvm ] || skip "/dev/kvm cannot be opened"
	[ -x "$real_vmm" ] || skip "no mayfly-vmm"
	[ -r "$payload_dir/snap_chain.elf" ] || skip "no payloads"
	mkfifo in
	: >a.out
	cat >c.json <<-END
		{"boot-source":{"kernel_image_path":"$payload_dir/snap_chain.elf",
		"boot_args":"payload.area=4"},"machine-config":{"vcpu_count":1,"mem_size_mib":64,
		"track_dirty_pages":true},"drives":[],"entropy":{}}
	END
	"$real_vmm" --api-sock a.api --id a --config-file c.json <>in >a.out 2>a.err &
	pid=$!
	trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT
	snap_turns a.out 2
	snap_api a.api PATCH /vm '{"state":"Paused"}'
	snap_api a.api PUT /snapshot/create '{"snapshot_path":"s","mem_file_path":"m"}'
	snap_api a.api PATCH /vm '{"state":"Resumed"}'
	snap_turns a.out 2
	snap_api a.api PATCH /vm '{"state":"Paused"}'
	snap_api a.api PUT /snapshot/create '{"snapshot_path":"sd","mem_file_path":"d","snapshot_type":"Diff"}'
	snap_api a.api PUT /snapshot/create '{"snapshot_path":"s2","mem_file_path":"m2"}'
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
}

# snap_turns FILE N: until the guest has printed N more lines
snap_turns() {
	local want
	want=$(($(grep -ac '^turn ' "$1" || true) + $2))
	for _ in $(seq 500); do
		[ "$(grep -ac '^turn ' "$1" || true)" -lt "$want" ] || return 0
		sleep 0.02
	done
	fail "the guest stands still: $(tail -n 3 a.out a.err)"
}

# snap_goes_on STATE MEMORY: a VM loaded from these finds its memory as it was
snap_goes_on() {
	local pid n status=0
	rm -f in2
	mkfifo in2
	: >b.out
	"$real_vmm" --no-api --restore "$1" --memory "$2" <>in2 >b.out 2>b.err &
	pid=$!
	snap_turns b.out 2
	printf q >in2
	for n in $(seq 500); do
		alive "$pid" || break
		sleep 0.02
	done
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" || status=$?
	grep -aq '^PAYLOAD ok' b.out || fail "$1 $2: $status, after $n: $(tail -n 3 b.out b.err)"
}

# flip FILE OFFSET: its bits turned over
flip() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	# shellcheck disable=SC2059 # an octal escape
	printf "\\$(printf %03o $((byte ^ 255)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

nothing_left() {
	local f
	for f in u.s u.m u.s.part u.m.part; do [ ! -e "$f" ] || fail "$1 has left $f"; done
}

t_snapshot_refuses_bad_command_lines() {
	status_of 2 "$mayfly" snapshot
	has err 'missing: create, show, verify, diff, merge, pack or unpack'
	status_of 2 "$mayfly" snapshot paint
	has err "'paint': must be create, show"
	status_of 2 "$mayfly" snapshot show
	status_of 2 "$mayfly" snapshot show a b
	status_of 2 "$mayfly" snapshot diff a b c
	status_of 2 "$mayfly" snapshot diff a b c d e
	status_of 2 "$mayfly" snapshot pack a b
	has err '-o FILE is missing'
	status_of 2 "$mayfly" snapshot unpack a
	has err '-d DIR, or -s STATE and -m MEMORY'
	status_of 2 "$mayfly" snapshot unpack a -s x
	status_of 2 "$mayfly" snapshot unpack a -d x -s x
	status_of 2 "$mayfly" snapshot unpack a -s x -m x
	has err 'a file each'
	status_of 1 "$mayfly" snapshot show nowhere
	has err 'No such file'
	status_of 2 "$mayfly" snapshot diff nowhere nowhere
	status_of 1 "$mayfly" snapshot merge kernel .
	has err 'not a regular file'
	mkfifo pipe
	status_of 1 "$mayfly" snapshot unpack pipe -d .
	has err 'not a regular file'
}

t_snapshot_shows_and_verifies() {
	snap_take
	status_of 0 "$mayfly" snapshot show s
	"$real_vmm" --describe-snapshot s | diff - out
	status_of 0 "$mayfly" snapshot show --json s
	has out '"mem_size": 67108864'
	has out '"name": "vcpu"'
	has out '"kernel_image_path": '
	status_of 0 "$mayfly" snapshot verify s m
	has out '^good: [0-9]+ sections, [0-9]+ pages'
	truncate -s -4096 m
	status_of 1 "$mayfly" snapshot verify s m
	has err 'm: 67104768 bytes, but the state file is of a VM with 67108864'
	truncate -s -1 m
	status_of 1 "$mayfly" snapshot verify s m
	has err 'whole pages'
	status_of 1 "$mayfly" snapshot verify s /dev/zero
	has err 'not a regular file'
	flip s 5000
	status_of 1 "$mayfly" snapshot verify s
	has err 'the checksum is wrong'
	status_of 1 "$mayfly" snapshot show --json s
	empty out
}

t_snapshot_diff_names_what_differs() {
	snap_take
	status_of 0 "$mayfly" snapshot diff s s m m
	has out '^no difference$'
	status_of 1 "$mayfly" snapshot diff s s2
	has out '^clock\[0\].clock_ns: 0x[0-9a-f]+, 0x[0-9a-f]+$'
	has out '^vcpu\[0\]\.'
	lacks out '^memory'
	status_of 1 "$mayfly" snapshot diff s s2 m m2
	has out '^memory at 0x[0-9a-f]+: [0-9]+ page'
	cp --sparse=always m changed
	printf x | dd of=changed bs=1 seek=$((4096 * 5000)) conv=notrunc status=none
	printf x | dd of=changed bs=1 seek=$((4096 * 5001 + 7)) conv=notrunc status=none
	# eight bytes: the guest has written there, and might have written one of them
	printf changed. | dd of=changed bs=1 seek=$((67108856)) conv=notrunc status=none
	status_of 1 "$mayfly" snapshot diff --memory m changed
	equal "$(cat out)" "memory at 0x1388000: 2 pages
memory at 0x3fff000: 1 page
0 fields, 3 pages differ"
	status_of 1 "$mayfly" snapshot diff --memory --json changed m
	has out '"pages": 3'
	has out '"page": 5000'
	truncate -s +4096 changed
	status_of 2 "$mayfly" snapshot diff --memory m changed
	status_of 2 "$mayfly" snapshot diff m s
	has err 'm'
}

t_snapshot_merge_makes_a_full_one() {
	snap_take
	cmp -s m m2 && fail "the diff has nothing in it"
	cp --sparse=always m old
	status_of 0 "$mayfly" snapshot merge m d -o new
	cmp new m2
	cmp m old
	equal "$(stat -c %a new)" 600
	[ "$(stat -c %b new)" -le $(($(stat -c %b m2) + 64)) ] || fail "it has lost its holes"
	snap_goes_on s2 new
	status_of 0 "$mayfly" snapshot merge m d
	cmp m m2
	status_of 0 "$mayfly" snapshot merge m d
	cmp m m2
	status_of 1 "$mayfly" snapshot merge m m
	has err 'the same file'
	truncate -s +4096 d
	status_of 1 "$mayfly" snapshot merge m d
	has err 'a diff of another VM'
	cmp m m2
	head -c 67108864 /dev/zero >full
	status_of 1 "$mayfly" snapshot merge m full
	has err 'full has no holes'
	cmp m m2
}

# A page that has become zero since is a change, not a hole.
t_snapshot_merge_clears_pages() {
	truncate -s 64K diff
	head -c 64K /dev/urandom >base
	head -c 4096 /dev/zero | dd of=diff bs=4096 seek=3 conv=notrunc status=none
	cp base want
	head -c 4096 /dev/zero | dd of=want bs=4096 seek=3 conv=notrunc status=none
	status_of 0 "$mayfly" snapshot merge base diff -o new
	cmp new want
	status_of 0 "$mayfly" snapshot merge base diff
	cmp base want
}

t_snapshot_merge_on_a_full_disk() {
	truncate -s 4M diff
	head -c 1M /dev/urandom | dd of=diff bs=1M seek=2 conv=notrunc status=none
	truncate -s 4M base
	printf old >new
	(ulimit -f 1024; trap '' XFSZ; status_of 1 "$mayfly" snapshot merge base diff -o new)
	equal "$(cat new)" old
	[ ! -e new.part ] || fail "it left a file"
	cp --sparse=always diff want
	(ulimit -f 2560; trap '' XFSZ; status_of 1 "$mayfly" snapshot merge base diff)
	has err 'merged in part: merge again'
	cmp -s base want && fail "there was room"
	status_of 0 "$mayfly" snapshot merge base diff
	cmp base want
}

t_snapshot_pack_and_unpack() {
	snap_take
	status_of 0 "$mayfly" snapshot pack s m -o p
	equal "$(stat -c %a p)" 600
	[ "$(stat -c %s p)" -lt $(($(stat -c %b m) * 512)) ] || fail "it is not smaller"
	(umask 000; status_of 0 "$mayfly" snapshot unpack p -s u.s -m u.m)
	cmp s u.s
	cmp m u.m
	equal "$(stat -c %a u.s u.m)" "600
600"
	[ "$(stat -c %b u.m)" -le $(($(stat -c %b m) + 64)) ] || fail "it has lost its holes"
	snap_goes_on u.s u.m
	mkdir dir
	status_of 0 "$mayfly" snapshot unpack -d dir p
	cmp s dir/vm.state
	cmp m dir/vm.mem
	status_of 1 "$mayfly" snapshot unpack p -d nowhere
	# one file by two names
	echo kept >one
	status_of 1 "$mayfly" snapshot unpack p -s one -m ./one
	has err 'a file each'
	equal "$(cat one)" kept
	[ ! -e one.part ]
	truncate -s +4096 m
	status_of 1 "$mayfly" snapshot pack s m -o p2
	has err 'the memory file has 67112960 bytes'
	flip s 5000
	status_of 1 "$mayfly" snapshot pack s u.m -o p2
	has err 'the checksum is wrong'
	[ ! -e p2 ] || fail "it made p2"
}

t_snapshot_unpack_refuses_damaged_archives() {
	local size n at
	snap_take
	"$mayfly" snapshot pack s m -o p
	size=$(stat -c %s p)
	for n in $(seq 0 40); do
		at=$((n < 20 ? n * 4 : (size - 1) * (n - 19) / 22))
		head -c "$at" p >bad
		status_of 1 "$mayfly" snapshot unpack bad -s u.s -m u.m
		nothing_left "the first $at bytes"
		cp p bad
		flip bad "$at"
		status_of 1 "$mayfly" snapshot unpack bad -s u.s -m u.m
		nothing_left "byte $at"
	done
	head -c $((size - 1)) p >bad
	status_of 1 "$mayfly" snapshot unpack bad -s u.s -m u.m
	nothing_left "one byte less"
	(cat p; echo) >bad
	status_of 1 "$mayfly" snapshot unpack bad -s u.s -m u.m
	nothing_left "one byte more"
	echo old >u.s
	status_of 1 "$mayfly" snapshot unpack bad -s u.s -m u.m
	equal "$(cat u.s)" old
}

# le64 NUMBER: as an archive has it
le64() {
	local n=$1 i
	# shellcheck disable=SC2059 # octal escapes
	for i in 0 1 2 3 4 5 6 7; do printf "\\$(printf %03o $((n >> (8 * i) & 255)))"; done
}

# packed HEADER BODY [ZSTD-OPTION]: an archive, but for its checksum
packed() {
	cat "$1"
	zstd -q -c ${3:+"$3"} "$2"
	le64 0
}

t_snapshot_unpack_is_bounded_by_what_the_header_says() {
	snap_take
	command -v zstd >/dev/null || skip "no zstd"
	{ printf MFLYPAK1; le64 1; le64 "$(stat -c %s s)"; le64 67108864; } >header
	# A run as long as the memory, and then no end of more.
	{ cat s; le64 0; le64 67108864; head -c 1G /dev/zero; } >body
	packed header body >bad
	[ "$(stat -c %s bad)" -lt 100000 ] || fail "it is no bomb"
	status_of 1 "$mayfly" snapshot unpack bad -s u.s -m u.m
	has err 'a run of 0 bytes at 0 of the memory cannot be right'
	nothing_left "a long body"
	rm body
	{ cat s; le64 67104768; le64 8192; } >body
	packed header body >bad
	status_of 1 "$mayfly" snapshot unpack bad -s u.s -m u.m
	has err 'a run of 8192 bytes at 67104768'
	nothing_left "a run beyond the end"
	{ cat s; head -c 64M /dev/urandom; } >body
	packed header body --long=26 >bad
	status_of 1 "$mayfly" snapshot unpack bad -s u.s -m u.m
	has err 'requires too much memory'
	# The state file says how much memory there is.
	{ printf MFLYPAK1; le64 1; le64 "$(stat -c %s s)"; le64 $((1 << 37)); } >header
	packed header s >bad
	status_of 1 "$mayfly" snapshot unpack bad -s u.s -m u.m
	has err 'has 137438953472 bytes, but the state file is of a VM with 67108864'
	nothing_left "another size"
}

# killed_after SECONDS ARG...: kill -9
killed_after() {
	local pid wait=$1
	shift
	"$mayfly" snapshot "$@" 2>/dev/null &
	pid=$!
	sleep "$wait"
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

# old_or FILE WHOLE: nothing in between
old_or() { [ "$(head -c 4 "$1")" = old ] || cmp "$1" "$2"; }

t_snapshot_killed_leaves_the_old_or_the_new() {
	local i at killed=0
	snap_take
	head -c 32M /dev/urandom | dd of=m bs=1M seek=8 conv=notrunc status=none
	truncate -s 64M diff
	head -c 48M /dev/urandom | dd of=diff bs=1M seek=1 conv=notrunc status=none
	cp --sparse=always m base
	"$mayfly" snapshot merge m diff -o want
	"$mayfly" snapshot pack s m -o whole
	for i in $(seq 0 11); do
		at=$(printf '0.%03d' $((2 + i * i)))
		echo old >new
		echo old >u.s
		echo old >u.m
		killed_after "$at" merge base diff -o new
		old_or new want
		killed_after "$at" pack s m -o new
		killed_after "$at" unpack whole -s u.s -m u.m
		old_or u.m m
		old_or u.s s
		[ ! -e u.m.part ] || killed=$((killed + 1))
		cp --sparse=always m base
		killed_after "$at" merge base diff
		"$mayfly" snapshot merge base diff
		cmp base want
	done
	[ "$killed" -gt 0 ] || fail "none was killed in time"
	status_of 0 "$mayfly" snapshot unpack whole -s u.s -m u.m
	cmp u.m m
	[ ! -e u.m.part ] || fail "the part of a killed one is still there"
}

t_snapshot_pack_on_a_full_disk() {
	snap_take
	echo old >p
	(ulimit -f 4; trap '' XFSZ; status_of 1 "$mayfly" snapshot pack s m -o p)
	has err 'cannot write p.part'
	equal "$(cat p)" old
	[ ! -e p.part ] || fail "it left a file"
	"$mayfly" snapshot pack s m -o p
	(ulimit -f 1024; trap '' XFSZ; status_of 1 "$mayfly" snapshot unpack p -s u.s -m u.m)
	nothing_left "a full disk"
}
