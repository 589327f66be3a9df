# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Cgroups: version 1 on this host; of version 2 what it has. t2_* run where version 2 is alone.

t_cgroup_v1_values_are_written_and_the_process_is_in() {
	local pids cpuset
	pids=$(hierarchy pids) cpuset=$(hierarchy cpuset)
	[ -n "$pids" ] && [ -n "$cpuset" ] || skip "no cgroup of version 1"
	jailed a --parent-cgroup "$parent/b" --cgroup pids.max=17 --cgroup cpuset.mems=0 \
		--cgroup cpuset.cpus=0
	equal "$(cat "$pids/$parent/b/a/pids.max")" 17
	equal "$(cat "$cpuset/$parent/b/a/cpuset.cpus")" 0
	equal "$(cat "$pids/$parent/b/a/tasks")" "$vm"
	equal "$(cat "$cpuset/$parent/b/a/tasks")" "$vm"
	# The parents have what theirs have: without it the jail could have nothing.
	equal "$(cat "$cpuset/$parent/cpuset.cpus")" "$(cat "$cpuset/cpuset.cpus")"
	has "/proc/$vm/status" '^Cpus_allowed_list:	0$'
	stop a
	[ ! -e "$pids/$parent" ] && [ ! -e "$cpuset/$parent" ]
}

t_cgroup_v1_cpus_alone_are_enough() {
	[ -n "$(hierarchy cpuset)" ] || skip "no cgroup of version 1"
	jailed a --parent-cgroup "$parent" --cgroup cpuset.cpus=0
	equal "$(cat "$(hierarchy cpuset)/$parent/a/tasks")" "$vm"
	stop a
}

t_cgroup_parent_is_the_exec_files_name() {
	local exec=$PWD/$parent
	[ -n "$(hierarchy pids)" ] || skip "no cgroup of version 1"
	cp "$probe" "$exec"
	jailed a --cgroup pids.max=17
	equal "$(cat "$(hierarchy pids)/$parent/a/tasks")" "$vm"
}

t_cgroup_limits_the_processes() {
	[ -n "$(hierarchy pids)" ] || skip "no cgroup of version 1"
	jailed a --parent-cgroup "$parent" --cgroup pids.max=5 -- pids 50
	equal "$(cat base/probe/a/root/bred)" 4
	"$jailer" --cleanup a --chroot-base-dir base 2>err && fail "removed while it runs"
	has err 'the VM of jail a runs'
}

t_cgroup_that_others_use_stays() {
	local pids
	pids=$(hierarchy pids)
	[ -n "$pids" ] || skip "no cgroup of version 1"
	mkdir -p "$pids/$parent/a"
	sleep 1000 &
	local other=$!
	echo "$other" >>pids
	echo "$other" >"$pids/$parent/a/tasks"
	refused 'is there already, with processes in it' a --parent-cgroup "$parent" --cgroup pids.max=5
	equal "$(cat "$pids/$parent/a/tasks")" "$other"
	kill -KILL "$other"
	until_true gone "$other"
	# An empty one is taken, and is not ours to remove.
	jailed a --parent-cgroup "$parent" --cgroup pids.max=5
	stop a
	[ -d "$pids/$parent/a" ]
}

t_cgroup_that_cannot_be_removed_is_left_to_the_cleanup() {
	local pids status=0
	pids=$(hierarchy pids)
	[ -n "$pids" ] || skip "no cgroup of version 1"
	mkdir -p "$pids/$parent/from"
	echo "$BASHPID" >"$pids/$parent/from/tasks"
	FAULT_STOP=mknodat FAULT_NAME=capng_apply with=$tests/mayfly-jailer jail a --parent-cgroup "$parent/b" \
		--cgroup pids.max=9
	until_true stopped "$pid"
	mkdir "$pids/$parent/b/a/sub"
	kill -CONT "$pid"
	# It goes back where it came from, and waits there for the undoer.
	until_true grep -q "/$parent/from\$" "/proc/$pid/cgroup"
	finished "$pid" || status=$?
	equal "$status" 1
	has a.err "not everything was undone: run mayfly-jailer --cleanup a --chroot-base-dir $PWD/base$"
	[ -e base/probe/a/mayfly-jail ]
	cleanup a 2>err && fail "it says that all is removed"
	has err "cannot remove the cgroup $parent/b/a"
	rmdir "$pids/$parent/b/a/sub"
	cleanup a
	[ ! -e base/probe ] && [ ! -e "$pids/$parent/b" ]
}

t_cgroup_v2_of_a_hybrid_host() {
	local at
	at=$(unified)
	grep -qw hugetlb "$at/cgroup.controllers" 2>/dev/null || skip "no hugetlb in version 2 here"
	jailed a --cgroup-version 2 --parent-cgroup "$parent" --cgroup hugetlb.2MB.max=4194304
	equal "$(cat "$at/$parent/a/hugetlb.2MB.max")" 4194304
	equal "$(cat "$at/$parent/a/cgroup.procs")" "$vm"
	stop a
	[ ! -e "$at/$parent" ]
}

t_cgroup_errors() {
	refused 'Invalid format for cgroups: x' a --cgroup x
	refused 'Invalid format for cgroups: pids.max=' a --cgroup pids.max=
	refused 'Cgroup invalid file: pids.max/..' a --cgroup pids.max/..=1
	refused 'Cgroup invalid file: pids..max' a --cgroup pids..max=1
	refused 'Cgroup invalid file: pids' a --cgroup pids=1
	refused 'Hierarchy not found: ' a --cgroup nothing.max=1
	refused '3 is an invalid cgroup version specifier' a --cgroup-version 3
	for bad in /a a/ a//b .. a/../b . ''; do
		refused 'ath' a --parent-cgroup "$bad"
	done
	long=$(printf %0256d 0)
	for bad in "$long" "a/$long" "$long/a"; do
		refused 'has 256 characters; shorten it to at most 255' a --parent-cgroup "$bad" --cgroup pids.max=5
	done
	[ -z "$(hierarchy pids)" ] || {
		jailed b --parent-cgroup "$parent/${long%0}" --cgroup pids.max=5
		stop b
		[ ! -e "$(hierarchy pids)/$parent" ]
		refused 'Failed to write many to pids.max' a --parent-cgroup "$parent" --cgroup pids.max=many
		refused 'Failed to write 3 to pids.nope' a --parent-cgroup "$parent" --cgroup pids.max=3 --cgroup pids.nope=3
		[ ! -e "$(hierarchy pids)/$parent" ]
	}
	[ -z "$(unified)" ] || refused 'Controller nothing is unavailable' a --cgroup-version 2 --cgroup nothing.max=1
}

t2_values_are_written_and_the_process_is_in() {
	local at
	at=$(unified)/$parent/b/a
	jailed a --cgroup-version 2 --parent-cgroup "$parent/b" --cgroup "cpu.max=20000 100000" \
		--cgroup memory.max=67108864 --cgroup pids.max=9 --cgroup io.weight=50 --cgroup cpuset.cpus=0
	equal "$(cat "$at/cpu.max")" "20000 100000"
	equal "$(cat "$at/memory.max")" 67108864
	equal "$(cat "$at/pids.max")" 9
	equal "$(cat "$at/io.weight")" "default 50"
	equal "$(cat "$at/cpuset.cpus")" 0
	equal "$(cat "$at/cgroup.procs")" "$vm"
	equal "$(cut -d: -f3 "/proc/$vm/cgroup")" "/$parent/b/a"
	stop a
	[ ! -e "$(unified)/$parent" ]
}

t2_limits_hold() {
	jailed a --cgroup-version 2 --parent-cgroup "$parent" --cgroup pids.max=5 -- pids 50
	equal "$(cat base/probe/a/root/bred)" 4
	local status=0
	jail b --cgroup-version 2 --parent-cgroup "$parent" --cgroup memory.max=33554432 -- memory 200
	finished "$pid" || status=$?
	equal "$status" 137
	has "$(unified)/$parent/b/memory.events" '^oom_kill 1$'
	cleanup b
	[ ! -e "$(unified)/$parent/b" ]
}

t2_io_of_a_device_is_limited() {
	local dev at
	at=$(unified)/$parent/a
	truncate -s 1M disk
	loop=$(losetup --find --show disk) || skip "no loop device"
	trap 'losetup --detach "$loop"' EXIT
	dev=$(lsblk -no MAJ:MIN "$loop" | tr -d ' ')
	jailed a --cgroup-version 2 --parent-cgroup "$parent" --cgroup "io.max=$dev rbps=1048576"
	has "$at/io.max" "^$dev rbps=1048576 "
	stop a
}

t2_a_parent_alone_is_joined() {
	local at
	at=$(unified)/$parent
	mkdir "$at"
	jailed a --cgroup-version 2 --parent-cgroup "$parent"
	equal "$(cat "$at/cgroup.procs")" "$vm"
	stop a
	# One that is not there is left out.
	rmdir "$at"
	jailed b --cgroup-version 2 --parent-cgroup "$parent"
	[ ! -e "$at" ]
	equal "$(cut -d: -f3 "/proc/$vm/cgroup")" "$(cut -d: -f3 /proc/self/cgroup)"
}

t2_no_room_for_a_child_is_said() {
	local at
	at=$(unified)/$parent
	mkdir "$at"
	sleep 1000 &
	echo $! >>pids
	echo $! >"$at/cgroup.procs"
	refused 'a parent has processes of its own' a --cgroup-version 2 --parent-cgroup "$parent" \
		--cgroup memory.max=33554432
	[ -z "$(find "$at" -mindepth 1 -type d)" ]
}

# The root of a cgroup namespace takes no process if it has controllers switched on.
t2_failure_in_a_cgroup_namespace_leaves_nothing() {
	local at status=0
	at=$(unified)/$parent
	mkdir -p base "$at/from"
	echo +pids >"$(unified)/cgroup.subtree_control"
	(
		echo "$BASHPID" >"$at/cgroup.procs"
		# shellcheck disable=SC2016 # of the inner shell
		FAULT_NAME=capng_apply exec unshare --cgroup --mount bash -euc '
			umount "$1"
			mount -t cgroup2 none "$1"
			echo $$ >"$1/from/cgroup.procs"
			shift
			exec "$@"' - "$(unified)" "$tests/mayfly-jailer" --id a --exec-file "$probe" \
			--uid "$UID_OF_JAIL" --gid "$GID_OF_JAIL" --chroot-base-dir base \
			--cgroup-version 2 --parent-cgroup b --cgroup pids.max=9
	) 2>err || status=$?
	equal "$status" 1
	has err 'os error 5'
	lacks err 'not everything was undone'
	[ ! -e "$at/b" ] && [ ! -e base/probe ]
}

# A sample: an emulated CPU is slow. Each single call has its turn on cgroup version 1.
t2_calls_that_fail_leave_no_cgroup() {
	step=12 fail_each --cgroup-version 2 --parent-cgroup "$parent/b" --cgroup pids.max=9 --cgroup memory.max=64M
}
