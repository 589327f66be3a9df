# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Start, command line and end: §12 lines 1 to 6, §11 "Readiness" and "State".

t_s12_1_version_line_by_the_name_of_firecracker() {
	ln -s "$vmm" firecracker
	./firecracker --version >version
	head -n 1 version | grep -Eq '^Firecracker v[0-9]+\.[0-9]+\.[0-9]+$' || fail "$(cat version)"
	"$vmm" --version | head -n 1 | grep -Eq '^mayfly-vmm v[0-9]+\.[0-9]+\.[0-9]+$'
	start
	ok GET /version
	[ "$body" = "{\"firecracker_version\":\"$(sed -n 's/^Firecracker v//p' version)\"}" ]
}

t_s12_2_without_arguments_it_serves_the_default_socket() {
	[ -w /run ] || skip "/run is not writable"
	[ ! -e /run/firecracker.socket ] || skip "/run/firecracker.socket is in use"
	launch
	ln -s /run/firecracker.socket api
	talk
	ok GET /
	json '.state == "Not started" and .id == "anonymous-instance"'
	rm /run/firecracker.socket
}

t_s12_2_socket_in_use_is_an_error_with_status_1_also_at_level_warn() {
	local got=0
	start
	ok GET /
	"$vmm" --api-sock "$PWD/api" --level Warning >second 2>second.err </dev/null || got=$?
	[ "$got" -eq 1 ] || fail "status $got"
	has second "Failed to open the API socket at: $PWD/api\. Check that it is not already used\."
	ok GET /
}

t_s12_2_file_at_the_path_is_an_error_and_left_alone() {
	local got=0
	echo precious >api
	"$vmm" --api-sock api >out 2>err </dev/null || got=$?
	[ "$got" -eq 1 ]
	has out 'Failed to open the API socket at: api\. Check that it is not already used\.'
	[ "$(cat api)" = precious ]
}

t_socket_of_a_dead_process_is_replaced() {
	start
	ok GET /
	kill -KILL "$pid"
	await is_gone "$pid"
	[ -S api ]
	start
	ok GET /
}

t_s11_state_sockets_stay_behind() {
	start
	boot "PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$PWD/v\"}"
	[ -S v ]
	kill -TERM "$pid"
	await is_gone "$pid"
	[ -S api ] && [ -S v ]
}

t_s12_27_socket_has_mode_0755() {
	start
	ok GET /
	[ "$(stat -c %a api)" = 755 ]
	umask 077
	launch --api-sock api2
	await test -S api2
	await test "$(stat -c %a api2)" = 755
}

t_s12_3_log_says_running_and_served() {
	start
	ok GET /
	head -n 1 out | grep -q 'Running Firecracker v' || fail "$(head -n 1 out)"
	await grep -q 'API server started\.' out
}

t_s12_3_guest_reset_ends_with_status_0() {
	start
	ok PUT /boot-source "{\"kernel_image_path\":\"$brief\"}"
	ok PUT /actions '{"action_type":"InstanceStart"}'
	ends 0
	has out 'Firecracker exiting successfully\. exit_code=0'
}

t_s12_3_serial_is_served_as_soon_as_the_socket_is() {
	start
	ok PUT /serial "{\"serial_out_path\":\"$PWD/serial\"}"
	boot
	await grep -q '^tick 3' serial
}

t_s11_readiness_machine_config_is_200_before_anything_is_configured() {
	start
	ok GET /machine-config
	json '.vcpu_count == 1 and .mem_size_mib == 128 and .smt == false and .track_dirty_pages == false
		and .huge_pages == "None" and (has("cpu_template") | not)'
}

t_s11_readiness_sigterm_ends_it_by_its_default_action() {
	start
	boot
	kill -TERM "$pid"
	ends 143
}

t_s11_state_not_started_running_paused() {
	start
	ok GET /
	json '.app_name == "Firecracker" and .id == "anonymous-instance" and .state == "Not started"
		and (.vmm_version | test("^[0-9]+\\.[0-9]+\\.[0-9]+$"))'
	boot
	ok GET /
	json '.state == "Running"'
	ok PATCH /vm '{"state":"Paused"}'
	ok PATCH /vm '{"state":"Paused"}'
	ok GET /
	json '.state == "Paused"'
	ok PATCH /vm '{"state":"Resumed"}'
	ok PATCH /vm '{"state":"Resumed"}'
	ok GET /
	json '.state == "Running"'
}

t_pause_stops_the_guest_and_resume_lets_it_go_on() {
	local before
	start
	boot
	await grep -q '^tick 3' out
	ok PATCH /vm '{"state":"Paused"}'
	before=$(grep -c '^tick' out || true)
	sleep 0.3
	[ "$(grep -c '^tick' out)" -eq "$before" ] || fail "the guest goes on while it is paused"
	ok PATCH /vm '{"state":"Resumed"}'
	await grep -q "^tick $((before + 5))" out
}

t_s11_readiness_failed_instance_start_leaves_it_running() {
	start
	bad 'Cannot start microvm without kernel configuration' PUT /actions '{"action_type":"InstanceStart"}'
	ok GET /
	json '.state == "Not started"'
	boot
	ok GET /
	json '.state == "Running"'
}

t_s12_9_absurd_memory_is_accepted_fails_at_the_start_and_can_be_corrected() {
	start
	ok PUT /boot-source "{\"kernel_image_path\":\"$tick\"}"
	ok PATCH /machine-config '{"mem_size_mib":9223372036854775807}'
	bad 'Invalid Memory Configuration: Cannot create mmap region' \
		PUT /actions '{"action_type":"InstanceStart"}'
	ok PATCH /machine-config '{"mem_size_mib":32}'
	ok PUT /actions '{"action_type":"InstanceStart"}'
	await grep -q '^tick 3' out
}

t_s12_9_guest_of_256_mib_starts_under_1_gb_of_address_space() {
	(
		ulimit -v 1048576
		launch --api-sock api
	)
	pid=$(tail -n 1 pids)
	talk
	ok PUT /boot-source "{\"kernel_image_path\":\"$tick\"}"
	ok PUT /machine-config '{"vcpu_count":1,"mem_size_mib":256}'
	ok PUT /actions '{"action_type":"InstanceStart"}'
	await grep -q '^tick 3' out
}

t_id_is_the_one_of_the_command_line() {
	start --id My-VM-1
	ok GET /
	json '.id == "My-VM-1"'
	has out '\[My-VM-1:'
	for id in '' 'a b' 'a/b' "$(printf '%065d' 0)"; do
		got=0
		"$vmm" --id "$id" --api-sock other >id.out 2>&1 </dev/null || got=$?
		[ "$got" -ne 0 ] || fail "id '$id' was accepted"
	done
}

config_file() {
	cat >vm.json <<-JSON
		{"boot-source": {"kernel_image_path": "$tick", "initrd_path": null, "boot_args": "one two"},
		 "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 32},
		 "balloon_device": {"x": 1}, "vsock_device": null, "cpu-config": null, "mmds-config": null}
	JSON
}

t_s12_5_config_file_boots_and_is_given_back() {
	config_file
	start --config-file vm.json
	ok GET /
	json '.state == "Running"'
	ok GET /vm/config
	json '."boot-source".boot_args == "one two" and ."boot-source".initrd_path == null
		and .drives == [] and ."network-interfaces" == [] and .vsock == null and .balloon == null
		and .entropy == null and .logger == null and .metrics == null and ."mmds-config" == null
		and ."cpu-config" == null and .pmem == [] and ."memory-hotplug" == null'
	bad 'not supported after starting' PUT /actions '{"action_type":"InstanceStart"}'
}

t_no_api_serves_no_socket() {
	config_file
	launch --config-file vm.json --no-api --api-sock api
	await grep -q '^tick 3' out
	[ ! -e api ]
}

t_bad_config_file_ends_with_status_152() {
	echo '{"boot-source": 1}' >vm.json
	launch --config-file vm.json --api-sock api
	ends 152
}

t_unknown_option_ends_with_status_153() {
	launch --no-such-option
	ends 153
}
