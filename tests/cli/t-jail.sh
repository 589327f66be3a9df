# shellcheck shell=bash disable=SC2154,SC2016
# SPDX-License-Identifier: Apache-2.0
# `mayfly run --jail`, with the real jailer and monitor.

need_jail() {
	need "$@"
	[ "$(id -u)" -eq 0 ] || skip "not root"
	mkdir -p jails
}

jail_payload() {
	local name=$1
	shift
	run_payload "$name" --jail --jail-dir jails "$@"
}

# jail_stays NAME OPTION...: a VM in a jail, in the background, that waits for input; the pid of `mayfly run`
# in $runner, the monitor's in $vm.
jail_stays() {
	local name=$1
	shift
	need_jail serial
	mkfifo "$name.in"
	"$mayfly" run --vmm "$real_vmm" --kernel "$payload_dir/serial.elf" --memory 64M --name "$name" --jail \
		--jail-dir jails --cmdline payload.rx=5000 --stop-timeout 0.2 "$@" <"$name.in" >"$name.out" 2>"$name.err" &
	runner=$!
	exec 9>"$name.in"
	trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT
	await "$name.out"
	vm=$("$mayfly" ps -o json | jq --arg n "$name" '.[] | select(.name == $n) | .pid')
	alive "$vm" || fail "ps says that the monitor is $vm"
}

jails_gone() { [ -z "$(ls -A jails)" ]; }
dead() { ! alive "$1"; }
janitor_of() { pgrep -P "$1" -x mayfly-janitor; }

t_jail_runs_a_guest_and_is_gone() {
	need_jail poweroff_acpi reset_acpi triple_fault
	while read -r name status; do
		status_of "$status" jail_payload "$name" </dev/null
		has out 'PAYLOAD ok'
		jails_gone || fail "$(find jails)"
	done <<-'END'
		poweroff_acpi 0
		reset_acpi 64
		triple_fault 67
	END
}

t_jail_gives_drives_and_initrd() {
	local sum
	need_jail ring_basic blk_readonly boot_pvh
	"$payload_dir/pattern" 1048576 >disk
	chmod 600 disk
	cp disk before
	touch -d 2001-01-01 disk
	status_of 65 jail_payload blk_readonly --drive disk:ro --drive before --no-entropy </dev/null
	has out 'PAYLOAD ok'
	[ "$(date -r disk +%Y)" = 2001 ] || fail "the disk was written"
	status_of 65 jail_payload ring_basic --drive disk --no-entropy --cmdline payload.flush=0 </dev/null
	has out 'PAYLOAD ok' # it reads and writes, and puts back what was there
	[ "$(date -r disk +%Y)" != 2001 ] || fail "nothing was written"
	sum=$(cksum <disk)
	status_of 65 jail_payload boot_pvh --initrd disk </dev/null \
		--cmdline-replace --cmdline "payload.first=1 payload.cpus=1 payload.mem=64M \
payload.initrd_cksum=${sum% *} payload.initrd_size=${sum#* } payload.last=1"
	has out 'PAYLOAD ok'
}

t_jail_holds_the_monitor() {
	local ns uid
	jail_stays one
	uid=$(awk '$1 == "Uid:" { print $2 }' "/proc/$vm/status")
	[ "$uid" -eq $((0x70000000 + runner)) ] || fail "its user is $uid"
	has "/proc/$vm/status" '^CapEff:[[:space:]]*0+$'
	has "/proc/$vm/status" '^CapBnd:[[:space:]]*0+$'
	has "/proc/$vm/status" '^NoNewPrivs:[[:space:]]*1$'
	has "/proc/$vm/status" '^Seccomp:[[:space:]]*2$'
	has "/proc/$vm/status" '^NSpid:[[:space:]]*[0-9]+[[:space:]]+1$'
	for ns in mnt pid net ipc uts; do
		[ "$(readlink "/proc/$vm/ns/$ns")" != "$(readlink "/proc/$$/ns/$ns")" ] || fail "it is in our $ns"
	done
	equal "$(cd "/proc/$vm/root" && find . -maxdepth 1 -printf '%f ' | tr ' ' '\n' | sort | xargs)" \
		". dev mayfly-vmm mayfly-vmm.pid run"
	"$mayfly" inspect one >inspected
	has inspected one
	"$mayfly" pause one && "$mayfly" resume one
	"$mayfly" stop one
	wait "$runner" || [ $? -eq 137 ] || fail "$(cat one.err)"
	jails_gone || fail "$(find jails)"
	[ -z "$(ls "$XDG_RUNTIME_DIR/mayfly")" ] || fail "$(ls "$XDG_RUNTIME_DIR/mayfly")"
}

t_jail_gives_only_the_files_named() {
	truncate -s 1M disk
	exec 7</etc/hostname
	jail_stays one --drive disk:ro
	exec 7<&-
	find "/proc/$vm/fd" -lname '/*' -printf '%l\n' | sort -u >files
	lacks files hostname
	grep -v -e '/dev/kvm$' -e '/proc' -e "$PWD/disk" -e "$PWD/one" -e '^/memfd:' -e serial.elf files >others || true
	empty others
}

t_jail_user_is_as_asked() {
	jail_stays one --jail-user 64701:64702
	has "/proc/$vm/status" '^Uid:[[:space:]]*64701[[:space:]]+64701[[:space:]]+64701'
	has "/proc/$vm/status" '^Gid:[[:space:]]*64702[[:space:]]+64702[[:space:]]+64702'
}

t_jail_log_goes_where_asked() {
	need_jail poweroff_acpi
	echo first >log
	status_of 0 jail_payload poweroff_acpi --log-level Info --log-path log </dev/null
	has log '^first$'
	has log 'Vmm is stopping'
	status_of 0 jail_payload poweroff_acpi --log-level Info </dev/null
	has err 'Vmm is stopping'
}

t_jail_is_removed_when_run_is_killed() {
	jail_stays one
	kill -9 "$runner"
	until_true dead "$vm"
	until_true jails_gone
}

# A monitor that a guest has taken over need not heed the end of its supervisor.
t_jail_is_removed_when_the_monitor_does_not_stop() {
	jail_stays one
	kill -STOP "$vm"
	kill -9 "$runner"
	until_true dead "$vm"
	until_true jails_gone
}

t_jail_that_all_left_is_removed_by_the_next_run() {
	local janitor
	jail_stays one
	janitor=$(janitor_of "$runner")
	kill -9 "$janitor" "$runner"
	until_true dead "$vm"
	[ -e jails/mayfly-vmm/one ]
	status_of 65 jail_payload serial </dev/null
	jails_gone || fail "$(find jails)"
}

t_jail_of_another_run_is_left_alone() {
	jail_stays one
	status_of 65 jail_payload serial </dev/null
	alive "$vm"
	[ -e jails/mayfly-vmm/one/root ]
}

t_jail_needs_root() {
	need_jail serial
	chmod 755 . jails
	# The programs may lie where only root gets.
	cp "$mayfly" "$(dirname "$mayfly")/mayfly-jailer" "$real_vmm" "$payload_dir/serial.elf" .
	chmod 755 .. ./mayfly* serial.elf
	status_of 1 setpriv --reuid 65534 --clear-groups env XDG_RUNTIME_DIR=/nonexistent ./mayfly run --jail \
		--jail-dir jails --kernel serial.elf
	has err 'only root can make a jail'
	jails_gone
}

t_jail_that_cannot_be_made_says_why() {
	need_jail serial
	status_of 1 jail_payload serial --jail-cgroup nonsense
	has err 'mayfly-jailer: .*nonsense'
	has err 'mayfly run: there is no jail'
	status_of 1 jail_payload serial --jail-dir nowhere
	has err 'nowhere'
	status_of 1 jail_payload serial --jailer nowhere
	has err "--jailer 'nowhere' cannot be run"
	jails_gone || fail "$(find jails)"
	[ -z "$(ls "$XDG_RUNTIME_DIR/mayfly")" ]
}

t_jail_options_are_checked() {
	for user in '' x 1: :1 1:2:3 4294967295 -1 '1 '; do
		status_of 2 run_fake 'exit 0' --jail --jail-user "$user"
		has err "jail-user '$user': must be UID or UID:GID"
	done
	status_of 2 run_fake 'exit 0' --jail-user 1
	has err 'need --jail$'
	# shellcheck disable=SC2046
	status_of 2 run_fake 'exit 0' --jail $(printf -- '--jail-cgroup a.b=%d ' $(seq 17))
	has err "jail-cgroup 'a.b=17': there are at most 16"
}

t_jail_leaves_ctrl_c_to_run() {
	need_jail serial
	command -v script >/dev/null || skip "no script(1)"
	cat >inner <<-END
		'$mayfly' run --vmm '$real_vmm' --kernel '$payload_dir/serial.elf' --memory 64M --cmdline payload.rx=5000 \
			--jail --jail-dir jails --stop-timeout 0.2 2>err
		echo \$? >status
	END
	{
		await out >&2
		printf '\003'
		await status >&2
	} | timeout 30 script -qec "exec bash inner" /dev/null >out
	has err 'asking the guest to power off'
	equal "$(cat status)" 137
	jails_gone
}
