# shellcheck shell=bash disable=SC2154,SC2016
# SPDX-License-Identifier: Apache-2.0
# `mayfly run` with the real monitor and small payload guests on /dev/kvm: the two sides of the
# supervisor protocol must fit together, not only each fit fake-vmm.

# need NAME...: skips unless these payloads can be run
need() {
	local name
	[ -x "$real_vmm" ] || skip "no mayfly-vmm"
	[ -w /dev/kvm ] || skip "no /dev/kvm"
	for name; do
		[ -r "$payload_dir/$name.elf" ] || skip "no payload $name"
	done
}

run_payload() {
	local name=$1
	shift
	"$mayfly" run --vmm "$real_vmm" --kernel "$payload_dir/$name.elf" --memory 64M "$@"
}

t_real_ends_have_their_status() {
	need poweroff_acpi reset_acpi reset_i8042 pvpanic triple_fault
	while read -r name status; do
		status_of "$status" run_payload "$name" </dev/null
	done <<-'END'
		poweroff_acpi 0
		reset_acpi 64
		reset_i8042 65
		pvpanic 66
		triple_fault 67
	END
}

t_real_monitor_refuses_its_configuration_once() {
	need poweroff_acpi
	status_of 1 run_payload poweroff_acpi --memory 1
	[ "$(wc -l <err)" -eq 2 ] || fail "$(cat err)"
	has err 'exited with status 152 before the VM ran: bad configuration'
}

t_real_timeline_grows() {
	need poweroff_acpi
	status_of 0 run_payload poweroff_acpi --timeline
	has err '^process start +0\.000'
	for point in 'vm created' 'first instruction' exit; do
		has err "^$point +[0-9]+\.[0-9]{3} +[0-9]+\.[0-9]{3}\$"
	done
}

# The payload waits for input that does not come, and knows nothing of a power button.
t_real_guest_that_does_not_listen_is_stopped() {
	local job got=0
	need serial
	mkfifo input
	# Not by run_payload: the job would be its subshell.
	"$mayfly" run --vmm "$real_vmm" --kernel "$payload_dir/serial.elf" --memory 64M \
		--cmdline payload.rx=5000 --stop-timeout 0.3 <>input >out 2>err &
	job=$!
	await out
	kill -TERM "$job"
	wait "$job" || got=$?
	[ "$got" -eq 137 ] || fail "status $got: $(cat out err)"
	has err 'did not power off in time; stopping the VM'
	has err 'VM ended by stopped'
	lacks err killed
}
