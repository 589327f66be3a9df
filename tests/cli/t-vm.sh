# shellcheck shell=bash disable=SC2154,SC2016
# SPDX-License-Identifier: Apache-2.0
# The commands for VMs that run: how they are found, asked, and stopped. Monitors that have not
# started a VM need no KVM; fake-vmm stands in where only `mayfly run` matters.

# until_true COMMAND...: waits up to 10 s for it to succeed.
until_true() {
	local n
	for n in $(seq 500); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.02
	done
	fail "not within $((n / 50)) s: $*"
}

# monitor NAME: a real one in the runtime directory, waiting to be configured; its pid in $pid.
monitor() {
	[ -x "$real_vmm" ] || skip "no mayfly-vmm"
	mkdir -p -m 700 "$XDG_RUNTIME_DIR/mayfly"
	"$real_vmm" --api-sock "$XDG_RUNTIME_DIR/mayfly/$1.sock" --id "$1" --log-path "$1.log" &
	pid=$!
	trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
	until_true "$mayfly" api --vm "$XDG_RUNTIME_DIR/mayfly/$1.sock" GET /version
}

# fake_run NAME SCRIPT OPTION...: `mayfly run` in the background; its pid in $pid.
fake_run() {
	local name=$1 script=$2
	shift 2
	FAKE_VMM=$script "$mayfly" run --vmm "$fake" --kernel kernel --name "$name" "$@" >"$name.out" 2>"$name.err" &
	pid=$!
	trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT
	until_true listed "$name"
	until_true grep -qs '^started' "$name.said"
}

listed() { "$mayfly" ps -q | grep -qx "$1"; }

t_ps_of_nothing_is_empty() {
	status_of 0 "$mayfly" ps
	[ "$(wc -l <out)" -eq 1 ]
	status_of 0 "$mayfly" ps -o json
	[ "$(jq length out)" -eq 0 ]
	status_of 0 "$mayfly" ps -q
	empty out
}

t_ps_lists_monitors_by_name() {
	monitor beta
	monitor alpha
	status_of 0 "$mayfly" ps -o json
	jq -e 'map(.name) == ["alpha", "beta"] and all(.state == "Not started") and
		all(.vcpu_count == 1)' out
	jq -e ".[0].pid == $pid" out
	status_of 0 "$mayfly" ps
	has out '^alpha +[0-9]+ Not started +1 +128 '
}

t_ps_lists_what_run_started() {
	fake_run one 'say started; hear; say "ended poweroff"; exit 0'
	status_of 0 "$mayfly" ps -o json
	jq -e '.[0] | .name == "one" and .state == "unknown"' out
	kill -TERM "$pid"
	wait "$pid" || [ $? -eq 143 ]
	[ -z "$(ls "$XDG_RUNTIME_DIR/mayfly")" ] || fail "$(ls "$XDG_RUNTIME_DIR/mayfly")"
}

t_vm_has_a_name_without_asking() {
	run_fake 'say started; exec sleep 60' 2>err &
	trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT
	until_true listed 'run-[0-9]*'
}

t_name_that_is_taken_is_refused() {
	fake_run one 'say started; exec sleep 60'
	status_of 1 run_fake 'exit 0' --name one
	has err "a VM named 'one' runs already, as process [0-9]+"
	listed one
}

t_name_of_a_monitor_started_by_hand_is_refused() {
	monitor one
	status_of 1 run_fake 'exit 0' --name one
	has err "a VM named 'one' runs already, as process $pid"
	listed one
}

t_name_must_be_an_instance_id() {
	for name in '' a/b 'a b' a_b "$(printf 'x%.0s' $(seq 65))"; do
		status_of 2 run_fake 'exit 0' --name "$name"
		has err "must be 1 to 64 letters, digits or -"
	done
}

t_entry_of_a_killed_run_is_removed() {
	fake_run one 'say started; exec sleep 60'
	kill -9 "$pid"
	wait "$pid" || true
	until_true sh -c "! '$mayfly' ps -q | grep -q ."
	[ -z "$(ls "$XDG_RUNTIME_DIR/mayfly")" ] || fail "$(ls "$XDG_RUNTIME_DIR/mayfly")"
}

t_name_of_a_killed_run_is_free_at_once() {
	fake_run one 'say started; echo $$ >vmm-pid; exec sleep 60'
	await vmm-pid
	kill -9 "$pid"
	wait "$pid" || true
	until_true sh -c "! kill -0 $(cat vmm-pid)"
	status_of 0 run_fake 'say started; say "ended poweroff"; exit 0' --name one
	equal "$(ls "$XDG_RUNTIME_DIR/mayfly")" ""
}

# A later process may have got the pid of an entry: its start time is another.
t_entry_whose_pid_was_used_again_is_removed() {
	fake_run one 'say started; exec sleep 60'
	jq '.monitor.start_time += 1' "$XDG_RUNTIME_DIR/mayfly/one.json" >changed
	mv changed "$XDG_RUNTIME_DIR/mayfly/two.json"
	status_of 0 "$mayfly" ps -q
	[ "$(cat out)" = one ]
	[ ! -e "$XDG_RUNTIME_DIR/mayfly/two.json" ]
}

t_strange_files_in_the_directory_are_left_alone() {
	mkdir -m 700 "$XDG_RUNTIME_DIR/mayfly"
	for f in junk.json empty.json no.sock 'odd name.json' note.txt; do
		echo '{"name": [' >"$XDG_RUNTIME_DIR/mayfly/$f"
	done
	: >"$XDG_RUNTIME_DIR/mayfly/empty.json"
	status_of 0 "$mayfly" ps -q
	empty out
	[ "$(find "$XDG_RUNTIME_DIR/mayfly" -type f | wc -l)" -eq 5 ]
}

t_directory_that_others_can_write_is_refused() {
	mkdir "$XDG_RUNTIME_DIR/mayfly"
	chmod 777 "$XDG_RUNTIME_DIR/mayfly"
	status_of 1 "$mayfly" ps
	has err 'writable by nobody else'
	status_of 1 run_fake 'exit 0' --name one
	status_of 0 run_fake 'say started; say "ended poweroff"; exit 0'
	has err "'mayfly ps' will not show this VM"
}

t_without_a_directory_run_serves_no_api() {
	XDG_RUNTIME_DIR=/proc status_of 0 run_fake 'echo "$api"; say "ended poweroff"; exit 0'
	[ "$(cat out)" = none ]
	has err "cannot make /proc/mayfly"
}

t_api_sends_requests() {
	monitor one
	status_of 0 "$mayfly" api GET /version
	jq -e .firecracker_version out
	status_of 0 "$mayfly" api -i PUT /machine-config '{"vcpu_count": 2, "mem_size_mib": 77}'
	[ "$(cat out)" = 204 ]
	echo '{"vcpu_count": 3}' >body
	status_of 0 "$mayfly" api --vm one PATCH /machine-config - <body
	status_of 0 "$mayfly" api --vm "$XDG_RUNTIME_DIR/mayfly/one.sock" GET /machine-config
	jq -e '.vcpu_count == 3 and .mem_size_mib == 77' out
}

t_api_shows_what_the_monitor_refuses() {
	monitor one
	status_of 1 "$mayfly" api PUT /machine-config '{"vcpu_count": 99, "mem_size_mib": 77}'
	jq -e .fault_message out
	has err '^mayfly api: the monitor answered 400: .*vcpu_count'
}

t_api_refuses_wrong_words() {
	status_of 2 "$mayfly" api GET
	status_of 2 "$mayfly" api GET version
	status_of 2 "$mayfly" api 'GET /' /version
	status_of 2 "$mayfly" api GET $'/a\r\nX: y'
	status_of 2 "$mayfly" api GET / '{}' more
}

t_commands_say_which_vm_is_missing() {
	for command in inspect pause resume stop logs stats "api GET /"; do
		# shellcheck disable=SC2086
		status_of 1 "$mayfly" $command
		has err "no VM runs"
	done
	for command in inspect pause resume stop logs stats; do
		status_of 1 "$mayfly" "$command" nobody
		has err "no VM named 'nobody' runs"
		status_of 1 "$mayfly" "$command" ./nobody.sock
		has err 'nobody serves the socket ./nobody.sock'
	done
}

t_commands_ask_which_of_several_vms() {
	monitor one
	monitor two
	status_of 1 "$mayfly" inspect
	has err '2 VMs run: say which'
	status_of 0 "$mayfly" inspect -o json two
	jq -e '.name == "two" and .instance.id == "two" and .config."machine-config".vcpu_count == 1' out
}

t_pause_passes_on_what_the_monitor_says() {
	monitor one
	status_of 1 "$mayfly" pause one
	has err '^mayfly pause: one: the monitor answered 400: '
}

t_stats_once_shows_totals() {
	monitor one
	status_of 0 "$mayfly" stats --once -o json
	jq -e '.[0] | .name == "one" and .rss_kib > 0 and .exits == 0 and has("net_tx_bytes")' out
	status_of 0 "$mayfly" stats --once one
	has out '^NAME +CPU S'
	has out '^one +[0-9.]+ +[0-9.]+ +0'
	status_of 2 "$mayfly" stats -o json
	status_of 2 "$mayfly" stats -i 0
}

t_stats_end_with_the_vm() {
	monitor one
	"$mayfly" stats -i 1 >live 2>live.err &
	job=$!
	await live
	kill "$pid"
	wait "$job"
	has live '^one '
	has live.err 'one: one has ended'
}

t_stop_presses_the_power_button() {
	fake_run one 'say started; hear >heard; say "ended poweroff"; exit 0'
	status_of 0 "$mayfly" stop one
	[ "$(cat heard)" = power-button ]
	wait "$pid" || [ $? -eq 143 ]
	! listed one
}

t_stop_by_force_does_not_ask() {
	fake_run one 'say started; hear >heard; say "ended stopped"; exit 0'
	status_of 0 "$mayfly" stop --force one
	[ "$(cat heard)" = stop ]
	wait "$pid" || [ $? -eq 137 ]
}

t_stop_says_when_it_takes_too_long() {
	fake_run one 'say started; exec sleep 60' --stop-timeout 60
	status_of 1 "$mayfly" stop -t 1 one
	has err 'one: has not ended within 1 s; --force stops it at once'
	status_of 0 "$mayfly" stop --force one
	! listed one
}

t_stop_kills_a_bare_monitor_by_force() {
	monitor one
	status_of 0 "$mayfly" stop --force one
	wait "$pid" || [ $? -eq 137 ]
	! listed one
}

t_logs_are_those_of_the_monitor() {
	fake_run one 'log first; say started; hear >/dev/null; log second; say "ended poweroff"; exit 0'
	until_true grep -q first one.err
	status_of 0 "$mayfly" logs one
	[ "$(cat out)" = first ]
	"$mayfly" logs -f one >followed &
	job=$!
	await followed
	kill -TERM "$pid"
	wait "$job"
	[ "$(cat followed)" = $'first\nsecond' ] || fail "$(cat followed)"
}

t_logs_are_found_where_they_were_sent() {
	fake_run one 'log elsewhere; say started; exec sleep 60' --log-path here.log
	await here.log
	status_of 0 "$mayfly" logs
	[ "$(cat out)" = elsewhere ]
	[ ! -e "$XDG_RUNTIME_DIR/mayfly/one.log" ]
	monitor two
	status_of 1 "$mayfly" logs two
	has err 'two: where its monitor logs is known only'
}

# The payload waits for input, but not for ever: on a slow machine it is started again.
pause_real() {
	alive "$pid" || {
		"$mayfly" run --vmm "$real_vmm" --kernel "$payload_dir/serial.elf" --memory 64M \
			--name real --cmdline payload.rx=5000 --stop-timeout 0.3 <>input >console 2>run.err &
		pid=$!
	}
	"$mayfly" pause real
}

t_real_vm_is_paused_inspected_and_stopped() {
	need serial
	mkfifo input
	pid=0
	trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
	until_true pause_real
	status_of 0 "$mayfly" pause real
	status_of 0 "$mayfly" ps -o json
	jq -e '.[0] | .state == "Paused" and .mem_size_mib == 64' out
	status_of 0 "$mayfly" inspect real
	jq -e '.instance.state == "Paused" and .config.drives == []' out
	status_of 0 "$mayfly" stats --once -o json
	jq -e '.[0] | .exits >= 0 and .cpu_ms >= 0' out
	status_of 0 "$mayfly" stop real
	wait "$pid" || [ $? -eq 137 ]
	equal "$(ls "$XDG_RUNTIME_DIR/mayfly")" ""
}

t_ps_does_not_hang_with_a_monitor() {
	monitor one
	kill -STOP "$pid"
	status_of 0 "$mayfly" ps -o json
	kill -CONT "$pid"
	jq -e '.[0].state == "unknown"' out
	status_of 0 "$mayfly" ps
	has out '^one .* Not started'
}
