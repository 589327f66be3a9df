# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# A VM of `mayfly run` is saved, restored and forked by commands alone. The guest says "ready" when it has
# started, and "MA" once it finds that its machine is another.

# vm NAME OPTION...: a VM in the background, once it has said something.
vm() {
	export XDG_RUNTIME_DIR=$PWD/run
	mkdir -p run
	"$mayfly" run --vmm "$real_vmm" --name "$@" </dev/null >"$1.out" 2>"$1.err" &
	for _ in $(seq 500); do
		[ ! -s "$1.out" ] || return 0
		sleep 0.02
	done
	fail "$1 is silent: $(cat "$1.err")"
}
first_vm() {
	need bench_snap
	vm a --kernel "$payload_dir/bench_snap.elf" --memory 64M --cmdline payload.fill=4
	equal "$(cat a.out)" ready
}
all_end() {
	status_of 0 "$mayfly" stop --force "$@"
	wait
}

t_restore_goes_on_from_a_saved_vm() {
	first_vm
	status_of 0 "$mayfly" snapshot create a --state-file s --memory-file m
	empty out
	equal "$(stat -c %a s m | xargs)" '600 600'
	status_of 0 "$mayfly" ps
	has out '^a +[0-9]+ Running'
	vm b --restore s --restore-memory m
	vm c --restore s --restore-memory m --clock-realtime
	equal "$(cat b.out c.out)" MAMA
	status_of 0 "$mayfly" ps
	has out '^b +[0-9]+ Running +1 +64'
	status_of 0 "$mayfly" snapshot create b --diff -s s2 -m m2
	status_of 0 "$mayfly" snapshot verify s2 m2
	all_end a b c
}

t_restore_of_a_paused_vm_leaves_it_paused() {
	first_vm
	status_of 0 "$mayfly" pause a
	status_of 0 "$mayfly" snapshot create -s "$PWD/s" -m m
	status_of 0 "$mayfly" ps
	has out '^a +[0-9]+ Paused'
	all_end a
}

t_restore_fork_of_a_vm_that_runs() {
	first_vm
	vm b --fork-of a
	vm c --fork-of a
	equal "$(cat b.out c.out)" MAMA
	"$mayfly" run --vmm "$real_vmm" --name d --fork-of b </dev/null >d.out 2>d.err & # it says no more
	for _ in $(seq 500); do
		status_of 0 "$mayfly" ps
		if grep -q '^d .*Running' out; then break; fi
		sleep 0.02
	done
	equal "$(grep -c Running out)" 4
	equal "$(find run -name '*fork*')" ''
	all_end a b c d
}

t_restore_failures_leave_the_vm_running() {
	first_vm
	status_of 1 "$mayfly" snapshot create a -s nowhere/s -m m
	has err '^mayfly snapshot: a: the monitor answered 400: .*nowhere/s'
	status_of 1 "$mayfly" snapshot create b -s s -m m
	has err 'b'
	status_of 1 "$mayfly" run --vmm "$real_vmm" --name c --fork-of b
	has err "b"
	status_of 0 "$mayfly" ps
	has out '^a +[0-9]+ Running'
	echo no snapshot >s
	echo no memory >m
	status_of 1 "$mayfly" run --vmm "$real_vmm" --name c --restore s --restore-memory m
	has err 's: the state file is too short'
	all_end a
}

t_restore_usage() {
	echo x >f
	status_of 2 "$mayfly" run --restore f
	has err '--restore and --restore-memory need each other'
	status_of 2 "$mayfly" run --kernel f --fork-of a
	has err 'give only one'
	status_of 2 "$mayfly" run
	has err '--kernel PATH is needed, or --restore, or --fork-of'
	status_of 2 "$mayfly" run --fork-of a --cpus 1
	has err 'leave out --initrd, --root, --drive, --cpus'
	status_of 2 "$mayfly" run --fork-of a --jail
	has err '--jail: not with --restore or --fork-of'
	status_of 2 "$mayfly" run --kernel f --clock-realtime
	has err '--clock-realtime needs --restore or --fork-of'
	status_of 2 "$mayfly" run --restore nothing --restore-memory f
	has err "--restore 'nothing': No such file"
	status_of 2 "$mayfly" snapshot create a -s f
	has err 'create needs --state-file and --memory-file'
}
