# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2015,SC2034,SC2119,SC2120,SC2154 # variables and helpers are those of run
# What is refused, what fails, and what must be left when it does.

t_create_needs_a_paused_machine() {
	boot a
	bad 'must be Paused' a PUT /snapshot/create '{"snapshot_path":"s","mem_file_path":"m"}'
	[ ! -e s ] && [ ! -e m ] || fail "files were made"
	finish a
}

t_create_before_the_start() {
	launch a
	bad 'before starting' a PUT /snapshot/create '{"snapshot_path":"s","mem_file_path":"m"}'
}


t_load_after_configuration() {
	take
	launch b
	ok b PUT /machine-config '{"vcpu_count":1,"mem_size_mib":64}'
	bad 'not allowed after configuring boot-specific resources' b PUT /snapshot/load \
		'{"snapshot_path":"s","mem_file_path":"m"}'
	ok b GET /
}

t_load_into_a_running_machine() {
	boot a
	bad 'after starting' a PUT /snapshot/load '{"snapshot_path":"s","mem_file_path":"m"}'
	finish a
}

t_load_needs_one_memory() {
	launch a
	bad 'missing field: either `mem_backend` or `mem_file_path` is required' a PUT /snapshot/load '{"snapshot_path":"s"}'
	bad 'too many fields: either `mem_backend` or `mem_file_path` exclusively is required' a PUT /snapshot/load '{"snapshot_path":"s","mem_file_path":"m",
		"mem_backend":{"backend_type":"File","backend_path":"m"}}'
	ok a GET /
}

# dies TEXT FIELDS: the load is refused with TEXT, and then the process ends with status 1.
dies() {
	launch x
	bad "$1" x PUT /snapshot/load "{$2}"
	ends x 1
	has_error x
}
has_error() { grep -q 'Load snapshot error' "$1.log" || fail "the log says nothing"; }

t_failed_load_ends_the_process() {
	take
	dies 'No such file or directory (os error 2)' '"snapshot_path":"none","mem_file_path":"m"'
	: >empty
	dies 'too short' '"snapshot_path":"empty","mem_file_path":"m"'
	dies 'Load snapshot error: Failed to restore from snapshot: Failed to load guest memory: Error creating guest memory from file: Failed to load guest memory: No such file or directory (os error 2)' \
		'"snapshot_path":"s","mem_file_path":"none"'
	truncate -s 1M short
	dies 'memory file has 1048576 bytes' '"snapshot_path":"s","mem_file_path":"short"'
	head -c 100000 m >memory
	dies 'not a state file' '"snapshot_path":"memory","mem_file_path":"m"'
	dies 'larger than' '"snapshot_path":"m","mem_file_path":"m"'
	dies 'eth7 is not in the snapshot' '"snapshot_path":"s","mem_file_path":"m",
		"network_overrides":[{"iface_id":"eth7","host_dev_name":"tap0"}]'
	dies 'has no vsock' '"snapshot_path":"s","mem_file_path":"m","vsock_override":{"uds_path":"v"}'
	dies 'drive q is not in' '"snapshot_path":"s","mem_file_path":"m",
		"drive_overrides":[{"drive_id":"q","path_on_host":"x"}]'
	dies 'need the Uffd' '"snapshot_path":"s","mem_file_path":"m","huge_pages":"2M"'
}

t_damaged_state_is_refused() {
	local size at
	take
	size=$(stat -c %s s)
	for at in 0 31 32 63 64 $((size / 3)) $((size / 2)) $((size - 9)) $((size - 1)); do
		head -c "$at" s >part
		dies 'Failed to get snapshot state from file' '"snapshot_path":"part","mem_file_path":"m"'
	done
	cp s flip
	printf '\377' | dd of=flip bs=1 seek=$((size / 2)) conv=notrunc status=none
	cmp -s s flip && printf '\0' | dd of=flip bs=1 seek=$((size / 2)) conv=notrunc status=none
	dies 'checksum' '"snapshot_path":"flip","mem_file_path":"m"'
}

# Where nothing can be written the machine goes on, old files stay, and the next diff is complete.
t_failed_diff_loses_nothing() {
	local before
	boot a '"vcpu_count":2,"mem_size_mib":64,"track_dirty_pages":true'
	pause a
	create a s m
	resume a
	turns a 2
	pause a
	before=$(cat s m | cksum)
	bad 'No such file' a PUT /snapshot/create \
		'{"snapshot_path":"s","mem_file_path":"no/such/m","snapshot_type":"Diff"}'
	bad 'No such file' a PUT /snapshot/create \
		'{"snapshot_path":"no/such/s","mem_file_path":"m","snapshot_type":"Diff"}'
	[ "$(cat s m | cksum)" = "$before" ] || fail "the files changed"
	resume a
	turns a 1
	pause a
	create a s m Diff
	end a
	load b s m
	turns b 2
	finish b
}

# A file system of 2 MiB: at first there is no room for the memory, then none for the state.
t_full_disk() {
	local room before
	mkdir small
	boot a '"vcpu_count":1,"mem_size_mib":64,"track_dirty_pages":true'
	mount -t tmpfs -o size=2M none small 2>/dev/null || skip "no mount"
	# shellcheck disable=SC2064 # now
	trap "umount '$PWD/small'" EXIT
	pause a
	create a s m
	resume a
	turns a 1
	pause a
	before=$(cat s m | cksum)
	bad 'No space left on device' a PUT /snapshot/create \
		'{"snapshot_path":"s","mem_file_path":"small/m"}'
	[ -z "$(ls small)" ] || fail "left: $(ls small)"
	for room in 2048 1024 8 4 0; do
		rm -f small/*
		head -c $((2048 * 1024 - room * 1024)) /dev/zero >small/fill
		bad 'No space left on device' a PUT /snapshot/create \
			'{"snapshot_path":"small/s","mem_file_path":"small/m","snapshot_type":"Diff"}'
		[ "$(ls small)" = fill ] || fail "left: $(ls small)"
	done
	[ "$(cat s m | cksum)" = "$before" ] || fail "the files changed"
	create a s m Diff
	resume a
	turns a 1
	end a
	load b s m
	turns b 2
	finish b
}

# The saver is killed after a random time: the old files load, whatever was being written.
t_killed_saver() {
	local i before
	area=16 boot a '"vcpu_count":1,"mem_size_mib":64'
	pause a
	create a s m
	before=$(cat s m | cksum)
	for i in $(seq 12); do
		load "k$i" s m
		turns "k$i" 1
		pause "k$i"
		mkdir "d$i"
		cp s "d$i/s"
		cp --sparse=always m "d$i/m"
		printf 'PUT /snapshot/create {"snapshot_path":"d%s/s","mem_file_path":"d%s/m"}\n' "$i" "$i" |
			"$client" talk "$PWD/k$i.api" >/dev/null 2>&1 &
		sleep "0.00$((i * 8 % 100))"
		end "k$i"
		wait $! 2>/dev/null || true
		load "l$i" "d$i/s" "d$i/m"
		turns "l$i" 1
		end "l$i"
		rm -rf "d$i"
	done
	[ "$(cat s m | cksum)" = "$before" ] || fail "the files changed"
	resume a
	finish a
}

# inject NAME WHAT N: as in strace, to the Nth call that writes, of the monitor's main thread.
writers=pwrite64,write,ftruncate,fallocate,fsync,rename
inject() {
	local p
	eval "p=\$pid_$1"
	strace -qq -o "$1.trace" -p "$p" -e trace="$writers" -e inject="$writers:$2:when=$3" 2>"$1.attached" &
	tracer=$!
	echo "$tracer" >>pids
	for _ in $(seq 250); do
		! grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$p/status" || return 0
		alive "$tracer" || return 1
		sleep 0.02
	done
	return 1
}
injected() { grep -q INJECTED "$1.trace" || ! tail -n 1 "$1.trace" | grep -q '= '; }

# Every call that writes fails once, as on a full disk: a full snapshot, and a diff by itself.
# Without filters: strace makes a call fail by calling number -1 instead.
t_every_write_fails() {
	local n type before saved=0 flags=--no-seccomp
	command -v strace >/dev/null || skip "no strace"
	area=1 boot a '"vcpu_count":1,"mem_size_mib":16,"track_dirty_pages":true'
	pause a
	create a s m
	before=$(cat s m | cksum)
	for type in Full Diff; do
		for n in $(seq 1 200); do
			inject a error=ENOSPC "$n" || skip "no ptrace: $(cat a.attached)"
			api a PUT /snapshot/create \
				"{\"snapshot_path\":\"s\",\"mem_file_path\":\"m.$type\",\"snapshot_type\":\"$type\"}"
			kill "$tracer"
			wait "$tracer" 2>/dev/null || true
			[ "$status" != 204 ] || break
			[ "$(cat s m | cksum)" = "$before" ] || fail "$type, write $n: the files changed"
			[ ! -e "m.$type.part" ] && [ ! -e s.part ] || fail "$type, write $n: $(ls)"
		done
		[ "$status" = 204 ] && [ "$n" -gt 4 ] || fail "$type: $n: $status $body"
		before=$(cat s m | cksum)
		saved=$((saved + n))
		resume a
		turns a 1
		pause a
	done
	create a s m Diff
	end a
	echo "$saved writes failed"
}

# The saver dies at every such call, and the old files load.
t_killed_at_every_write() {
	local n before
	command -v strace >/dev/null || skip "no strace"
	area=1 boot a '"vcpu_count":1,"mem_size_mib":16'
	pause a
	create a s m
	end a
	before=$(cat s m | cksum)
	for n in $(seq 1 60); do
		cp s s.new && cp --sparse=always m m.new
		launch k
		ok k PUT /snapshot/load '{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"},"resume_vm":true}'
		turns k 1
		pause k
		inject k signal=KILL "$n" || skip "no ptrace: $(cat k.attached)"
		printf 'PUT /snapshot/create {"snapshot_path":"s.new","mem_file_path":"m.new"}\n' |
			"$client" talk "$PWD/k.api" >said 2>&1 || true
		kill "$tracer" 2>/dev/null || true
		wait "$tracer" 2>/dev/null || true
		end k
		! grep -q '^204' said || break
		"$vmm" --describe-snapshot s.new >/dev/null || fail "write $n: a damaged state file"
		cmp -s m m.new || [ -e s.new.part ] || fail "write $n: the memory file changed too early"
		rm -f ./*.new.part
	done
	grep -q '^204' said && [ "$n" -gt 4 ] || fail "$n: $(cat said)"
	[ "$(cat s m | cksum)" = "$before" ] || fail "the files changed"
	load l s.new m.new
	turns l 1
	finish l
	echo "killed $((n - 1)) times"
}

# State files with a few bytes changed: each is refused, or makes a guest that does what it likes; the
# monitor never dies of it. $MUTATIONS: how many.
t_mutated_state_harms_the_guest_only() {
	local i got refused=0 n=${MUTATIONS:-40}
	truncate -s 1M disk
	boot base '"vcpu_count":2,"mem_size_mib":32' '{"drive_id":"d","path_on_host":"disk","is_root_device":false}'
	pause base
	create base s m
	end base
	for i in $(seq "$n"); do
		"$tool" mutate s "$i" bad
		got=0
		timeout -s KILL 1.5 "$vmm" --no-api --restore bad --memory m --log-path log >out 2>err </dev/null || got=$?
		case $got in
		1) refused=$((refused + 1)) ;;
		0 | 3 | 4 | 137) ;; # the guest ended, or broke, or goes on
		*) fail "seed $i: status $got: $(tail -n 5 err log)" ;;
		esac
		! grep -q 'AddressSanitizer\|runtime error\|CHECK' err log || fail "seed $i: $(grep -m 3 -A 8 'Sanitizer\|runtime error\|CHECK' err log)"
	done
	echo "$refused of $n refused"
}
