# shellcheck shell=bash disable=SC2154,SC2016
# SPDX-License-Identifier: Apache-2.0
# Ending a VM from outside: politely, then not. A shell has its background jobs ignore SIGINT, so
# the command is started with its default action.

# A guest that powers off when asked, and one that hears but does nothing.
polite='say started; echo $$ >pid; hear >heard; say "ended poweroff"; exit 0'
deaf='say started; echo $$ >pid; hear >heard; hear >>heard; say "ended stopped"; exit 0'
hung='say started; echo $$ >pid; exec sleep 60'

# start SCRIPT OPTION...: in the background; leaves its process id in $job
start() {
	local script=$1
	shift
	FAKE_VMM=$script env --default-signal=INT,QUIT,HUP "$mayfly" run --vmm "$fake" \
		--kernel kernel "$@" >out 2>err &
	job=$!
	await pid
}

# ends WANTED: waits for $job
ended_with() {
	local got=0
	wait "$job" || got=$?
	[ "$got" -eq "$1" ] || fail "status $got, not $1: $(cat err)"
	! alive "$(cat pid)" || fail "the monitor is still there"
}

t_signal_powers_the_guest_off() {
	for pair in TERM=143 INT=130 HUP=129 QUIT=131; do
		rm -f pid
		start "$polite"
		kill "-${pair%=*}" "$job"
		ended_with "${pair#*=}"
		[ "$(cat heard)" = power-button ]
		has err 'asking the guest to power off, for at most 10.0 s'
		lacks err 'stopping the VM'
	done
}

t_guest_that_does_not_power_off_is_stopped() {
	start "$deaf" --stop-timeout 0.4
	kill "$job"
	ended_with 137
	[ "$(cat heard)" = $'power-button\nstop' ]
	has err 'the guest did not power off in time; stopping the VM'
}

t_second_signal_stops_at_once() {
	start "$deaf" --stop-timeout 60
	kill -INT "$job"
	await heard
	sleep 0.4
	kill -INT "$job"
	ended_with 137
	has err 'asked again; stopping the VM'
}

t_signal_sent_twice_in_a_row_is_one_request() {
	start 'say started; echo $$ >pid; hear >heard; sleep 0.3; say "ended poweroff"; exit 0'
	# Two numbers, since one that is pending does not become pending twice.
	kill -INT "$job"
	kill -TERM "$job"
	ended_with 130
	lacks err 'asked again'
}

t_stop_timeout_of_zero_stops_at_once() {
	start 'say started; echo $$ >pid; hear >heard; say "ended stopped"; exit 0' --stop-timeout 0
	kill "$job"
	ended_with 137
	[ "$(cat heard)" = stop ]
}

t_monitor_that_does_not_stop_is_killed() {
	start "$hung" --stop-timeout 0.1
	kill "$job"
	ended_with 137
	has err 'mayfly-vmm did not stop and was killed'
}

t_signal_before_the_start_stops_without_asking() {
	start 'echo $$ >pid; hear >heard; say "ended stopped"; exit 0'
	kill "$job"
	ended_with 143
	[ "$(cat heard)" = stop ]
}

t_end_other_than_power_off_keeps_its_status() {
	start 'say started; echo $$ >pid; hear >heard; say "ended panic"; exit 0'
	kill "$job"
	ended_with 66
	has err 'VM ended by panic'
}

# A terminal, timeout(1) and service managers signal every process of the group or service.
t_group_signal_leaves_the_asking_to_the_command() {
	FAKE_VMM=$polite setsid env --default-signal=INT "$mayfly" run --vmm "$fake" --kernel kernel \
		>out 2>err &
	job=$!
	await pid
	kill -TERM "-$(ps -o pgid= -p "$(cat pid)" | tr -d ' ')"
	ended_with 143
	[ "$(cat heard)" = power-button ]
}

t_ignored_signals_stay_ignored() {
	FAKE_VMM='say started; echo $$ >pid; sleep 0.5; say "ended poweroff"; exit 0' \
		env --ignore-signal=HUP "$mayfly" run --vmm "$fake" --kernel kernel >out 2>err &
	job=$!
	await pid
	kill -HUP "$job"
	ended_with 0
}

t_monitor_dies_with_the_command() {
	start "$hung"
	kill -KILL "$job"
	wait "$job" 2>/dev/null || true
	for _ in $(seq 100); do
		alive "$(cat pid)" || return 0
		sleep 0.02
	done
	kill -KILL "$(cat pid)"
	fail "the monitor outlived the command"
}
