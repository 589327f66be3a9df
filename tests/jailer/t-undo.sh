# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Whatever fails, and whenever it is killed, nothing is left; --cleanup.

# world: everything a jail could leave: files, cgroups, mounts, processes.
world() {
	find base -printf '%p %M %u %g\n' | sort
	# shellcheck disable=SC2046 # mount points
	find $(awk '$0 ~ / - cgroup2? / { print $5 }' /proc/self/mountinfo) -type d -path "*/$parent*" | sort
	grep -F "$PWD" /proc/self/mountinfo || true
	pgrep -a -f -- "--id a --exec-file [^ ]*probe.*$parent" || true
}
same_world() { world >after; cmp -s before after; }

# runs: the monitor got to run in the jail a. Ends it.
runs() {
	[ -e base/probe/a/root/told ] || [ -e base/probe/a/root/seen ] || return 1
	until_true test -e base/probe/a/root/told
	vm=$(cat base/probe/a/root/probe.pid)
	kill -KILL "$vm"
	until_true gone "$vm"
}

# call: the name of the call that failed or at which the process was killed. called: there was one.
call() { tr -d '\0' <call; }
called() { [ -s call ] && [ -n "$(call)" ]; }

# fail_each ARG...: every call that the jailer makes, or one in $step of them, fails once, each in a run of its own.
fail_each() {
	local n=0 status with=$tests/mayfly-jailer seen=0
	mkdir -p base
	world >before
	for n in $(seq 1 "${step:-1}" 1000); do
		status=0
		rm -f call
		FAULT_FAIL=$n FAULT_LOG=$PWD/call jail a --daemonize --new-pid-ns "$@"
		finished "$pid" || status=$?
		if [ "$status" = 0 ]; then
			until_true runs
			cleanup a
		elif [ "$status" = 1 ]; then
			seen=$((seen + 1))
			[ "$(wc -l <a.err)" -ge 1 ] || fail "call $n ($(call)): no message"
			# That nobody could tell how it went is said, and what to do.
			if grep -q 'run mayfly-jailer --cleanup a --chroot-base-dir ' a.err; then
				until_true runs
				cleanup a
			fi
		else
			fail "call $n ($(call)): status $status"
		fi
		same_world || fail "call $n ($(call)) left, with $(cat a.err): $(diff before after)"
		called || break
	done
	! called || fail "never through"
	echo "$n calls, $seen failures"
	[ "$seen" -gt $((60 / ${step:-1})) ]
}

t_every_call_that_fails_leaves_nothing() {
	fail_each --parent-cgroup "$parent/b" --cgroup pids.max=9 --cgroup cpuset.cpus=0 --new-user-ns
}

# kill_each FIRST JUDGE: the process is killed at every fourth call, from FIRST on; what it then looks like is up
# to JUDGE.
kill_each() {
	local first=$1 judge=$2 n with=$tests/mayfly-jailer killed=0
	shift 2
	mkdir -p base
	world >before
	for n in $(seq "$first" 4 1000); do
		rm -f call
		FAULT_KILL=$n FAULT_LOG=$PWD/call jail a --parent-cgroup "$parent/b" --cgroup pids.max=9 "$@"
		until_true eval "called || test -e base/probe/a/root/told"
		called || break
		# There is no "after" where the monitor runs.
		[ -z "${FAULT_AFTER:-}" ] || [ "$(call)" != execve ] || break
		until_true gone "$pid"
		wait "$pid" 2>/dev/null || true
		killed=$((killed + 1))
		"$judge" "$n"
	done
	until_true runs
	cleanup a
	same_world || fail "$(diff before after)"
	echo "$killed kills"
	[ "$killed" -gt 40 ]
}

# The undoer is alone now, and takes its time. At the exec itself it takes the monitor for started.
undone() {
	if [ "$(call)" = execve ]; then cleanup a; fi
	for _ in $(seq 500); do
		! same_world || return 0
		sleep 0.02
	done
	fail "killed at call $1 ($(call)): left $(diff before after)"
}

# Nobody is there to undo.
cleaned() {
	cleanup a || fail "killed at call $1 ($(call)): cleanup fails"
	cleanup a
	for _ in $(seq 500); do
		! same_world || return 0
		sleep 0.02
	done
	fail "killed at call $1 ($(call)): cleanup left $(diff before after)"
}

t_killed_before_a_call_leaves_nothing() { kill_each 1 undone; }
t_killed_after_a_call_leaves_nothing() { FAULT_AFTER=1 kill_each 2 undone; }
t_killed_with_the_undoer_is_cleaned_up() { FAULT_KILL_ALL=1 kill_each 3 cleaned; }
t_killed_after_with_the_undoer_is_cleaned_up() { FAULT_AFTER=1 FAULT_KILL_ALL=1 kill_each 4 cleaned; }

t_undo_leaves_what_was_there() {
	mkdir -p base/probe/a/root/dev
	echo kernel >base/probe/a/root/vmlinux
	chmod 750 base/probe/a/root
	chown 5:6 base/probe/a/root/dev
	FAULT_NAME=capng_apply with=$tests/mayfly-jailer refused 'os error 5' a
	equal "$(cat base/probe/a/root/vmlinux)" kernel
}

t_cleanup_can_be_repeated() {
	mkdir base
	cleanup a
	jailed a
	stop a
	cleanup a
	"$jailer" --cleanup a --chroot-base-dir no/such/folder
}

t_cleanup_refuses_while_the_vm_lives() {
	jailed a --daemonize --new-pid-ns
	cleanup a 2>err && fail "removed"
	has err "the VM of jail a runs, as process $vm; end it first"
	[ -e base/probe/a/root/probe ]
	stop a
}

t_cleanup_does_not_believe_the_pid_file() {
	jailed a
	rm base/probe/a/root/probe.pid
	echo 1 >base/probe/a/root/probe.pid
	cleanup a 2>err && fail "removed"
	has err "runs, as process $vm"
	stop a
	lacks err 'process 1;'
}

t_cleanup_takes_only_what_has_a_record() {
	mkdir -p base/probe/a/root
	echo mine >base/probe/a/root/file
	cleanup a 2>err && fail "removed"
	has err 'has no mayfly-jail'
	equal "$(cat base/probe/a/root/file)" mine
	printf 'mayfly-jail 1\ncgroup ../../x\n' >base/probe/a/mayfly-jail
	chmod 600 base/probe/a/mayfly-jail
	cleanup a 2>err && fail "removed"
	has err 'line 2 of it'
	printf 'mayfly-jail 1\n' >base/probe/a/mayfly-jail
	chown 5 base/probe/a/mayfly-jail
	cleanup a 2>err && fail "removed"
	has err 'not a file of ours'
	[ -e base/probe/a/root/file ]
}

t_cleanup_follows_no_link_and_no_mount() {
	mkdir out
	echo mine >out/file
	jailed a
	ln -s "$PWD/out" base/probe/a/root/link
	ln out/file base/probe/a/root/hard
	mkdir base/probe/a/root/mnt
	kill -KILL "$vm"
	until_true gone "$vm"
	mount --bind out base/probe/a/root/mnt
	cleanup a 2>err && { umount base/probe/a/root/mnt; fail removed; }
	umount base/probe/a/root/mnt
	has err 'unmount it first'
	equal "$(cat out/file)" mine
	cleanup a
	equal "$(cat out/file)" mine
	[ ! -e base/probe ]
}

t_cleanup_removes_folders_of_any_depth() {
	jailed a -- deep 3000
	stop a
	[ ! -e base/probe ]
}

t_cleanup_by_exec_file_takes_only_that() {
	cp "$probe" other
	jailed a
	local first=$vm
	exec=$PWD/other jailed a
	kill -KILL "$vm" "$first"
	until_true gone "$vm"
	until_true gone "$first"
	"$jailer" --cleanup a --exec-file /x/other --chroot-base-dir base
	[ ! -e base/other ] && [ -e base/probe/a ]
	cleanup a
	[ ! -e base/probe ]
}
