# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Snapshots as the API's clients see them: §1.4, §4.2, §4.3, §12 lines 4, 23 and 25. That what is saved is
# also restored is for tests/snapshot.

# saved: leaves a state file s and a memory file m, and no monitor.
saved() {
	start
	boot
	ok PATCH /vm '{"state":"Paused"}'
	ok PUT /snapshot/create '{"snapshot_path":"s","mem_file_path":"m"}'
	kill "$pid"
	await is_gone "$pid"
	wait "$pid" || true
	hang_up
	rm -f api
}

t_fields_of_a_snapshot_to_create() {
	start
	boot
	bad 'Paused' PUT /snapshot/create '{"snapshot_path":"s","mem_file_path":"m"}'
	[ ! -e s ] && [ ! -e m ]
	ok PATCH /vm '{"state":"Paused"}'
	rows PUT /snapshot/create <<-'ROWS'
		{"snapshot_path":"s","mem_file_path":"m"}|204
		{"snapshot_path":"s","mem_file_path":"m","snapshot_type":"Full"}|204
		{"snapshot_path":"s2","mem_file_path":"m2","snapshot_type":"Diff"}|204
		{}|missing field `snapshot_path`
		{"mem_file_path":"m"}|missing field `snapshot_path`
		{"snapshot_path":"s","mem_file_path":5}|invalid type
		{"snapshot_path":"s","mem_file_path":"m","snapshot_type":"Half"}|unknown variant `Half`
		{"snapshot_path":"s","mem_file_path":"m","version":"1.0"}|unknown field `version`
		{"snapshot_path":"s","mem_file_path":"no/m"}|No such file or directory (os error 2)
		{"snapshot_path":"no/s","mem_file_path":"m"}|No such file or directory (os error 2)
		{"snapshot_path":"","mem_file_path":"m"}|snapshot_path
	ROWS
	# full length, and the state can still be resumed
	[ "$(stat -c %s m)" -eq 33554432 ] && [ "$(stat -c %s m2)" -eq 33554432 ]
	ok PATCH /vm '{"state":"Resumed"}'
	n=$(grep -c '^tick' out || true)
	await grep -q "^tick $((n + 5))" out
}

t_fields_of_a_snapshot_to_load() {
	saved
	start
	rows PUT /snapshot/load <<-'ROWS'
		{}|missing field `snapshot_path`
		{"snapshot_path":"s"}|mem_backend
		{"snapshot_path":"s","mem_file_path":"m","mem_backend":{"backend_type":"File","backend_path":"m"}}|mem_backend
		{"snapshot_path":"s","mem_backend":{"backend_type":"Disk","backend_path":"m"}}|unknown variant `Disk`
		{"snapshot_path":"s","mem_backend":{"backend_type":"File"}}|missing field `backend_path`
		{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"},"x":1}|unknown field `x`
		{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"},"resume_vm":1}|invalid type
		{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"},"huge_pages":"3M"}|unknown variant `3M`
		{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"},"network_overrides":[{"iface_id":"a"}]}|host_dev_name
	ROWS
	# A body that is refused leaves the process as it was.
	ok PUT /snapshot/load '{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"},"resume_vm":true}'
	ok GET /
	json '.state == "Running"'
	await grep -q '^tick' out
	bad 'not supported after starting' PUT /snapshot/load '{"snapshot_path":"s","mem_file_path":"m"}'
}

t_snapshot_is_loaded_into_a_new_process_only() {
	saved
	start
	ok PUT /machine-config '{"vcpu_count":1,"mem_size_mib":128}'
	bad 'Loading a microVM snapshot not allowed after configuring boot-specific resources' \
		PUT /snapshot/load '{"snapshot_path":"s","mem_file_path":"m"}'
	ok GET /
	json '.state == "Not started"'
}

t_s12_4_describe_snapshot_prints_on_stdout_only() {
	saved
	"$vmm" --describe-snapshot s >said 2>errors
	[ -s said ] && [ ! -s errors ]
	"$vmm" --snapshot-version >version
	[ "$(head -n 1 said)" = "$(head -n 1 version)" ]
}

# refused TEXT SED...: a load of the files, once damaged, answers TEXT and ends the process with status 1.
refused() {
	local text=$1
	start
	bad "$text" PUT /snapshot/load '{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"}}'
	ends 1
	hang_up
	rm -f api
}

t_s12_23_failed_load_answers_with_all_causes_and_ends_the_process() {
	saved
	mv m m.kept
	refused 'Load snapshot error: Failed to restore from snapshot: Failed to load guest memory: Error creating guest memory from file: Failed to load guest memory: No such file or directory (os error 2)'
	head -c 4096 m.kept >m
	refused 'm'
	mv m.kept m
	mv s s.kept
	refused 'No such file or directory (os error 2)'
	: >s
	refused 'too short'
	head -c 100 s.kept >s
	refused 'Load snapshot error'
	mv s.kept s
	start
	ok PUT /snapshot/load '{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"}}'
}

t_s11_state_pause_and_create_have_latencies() {
	start --metrics-path metrics
	boot
	ok PATCH /vm '{"state":"Paused"}'
	ok PUT /snapshot/create '{"snapshot_path":"s","mem_file_path":"m"}'
	ok PUT /snapshot/create '{"snapshot_path":"s","mem_file_path":"m","snapshot_type":"Diff"}'
	ok PATCH /vm '{"state":"Resumed"}'
	ok PUT /actions '{"action_type":"FlushMetrics"}'
	json '.latencies_us | .pause_vm > 0 and .resume_vm > 0 and .full_create_snapshot > 0
		and .diff_create_snapshot > 0 and .vmm_full_create_snapshot > 0' "$(tail -n 1 metrics)"
}

t_restore_phases_are_on_the_page_of_metrics() {
	local phase
	saved
	start --metrics-path metrics
	ok PUT /snapshot/load '{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"}}'
	raw 1 'GET /metrics HTTP/1.1\r\n\r\n' >got
	for phase in state_file memory vcpus devices; do
		has got "^mayfly_restore_${phase}_seconds_count 1"
		has got "^mayfly_restore_${phase}_seconds_sum [0-9.e-]*[1-9]"
	done
	json 'has("restore") | not' "$(tail -n 1 metrics)"
}

t_fields_of_a_fork() {
	start
	bad 'not supported before starting' PUT /snapshot/fork '{"socket_path":"f"}'
	boot
	rows PUT /snapshot/fork <<-'ROWS'
		{}|missing field `socket_path`
		{"socket_path":""}|socket_path
		{"socket_path":5}|invalid type
		{"socket_path":"no/f"}|socket_path
		{"socket_path":"f","children":0}|children
		{"socket_path":"f","children":10001}|children
		{"socket_path":"f","children":"2"}|invalid type
		{"socket_path":"f","timeout_ms":0}|timeout_ms
		{"socket_path":"f","x":1}|unknown field `x`
		{"socket_path":"f","drive_clones":{}}|invalid type
		{"socket_path":"f","drive_clones":[7]}|drive_clones
		{"socket_path":"f","drive_clones":[{"path":"p"}]}|missing field `drive_id`
		{"socket_path":"f","drive_clones":[{"drive_id":"d"}]}|missing field `path`
		{"socket_path":"f","drive_clones":[{"drive_id":"d","path":""}]}|path
		{"socket_path":"f","drive_clones":[{"drive_id":"d","path":"p","x":1}]}|unknown field `x`
		{"socket_path":"f","drive_clones":[{"drive_id":"none","path":"p"}]}|drive_clones[0]: there is no drive none
	ROWS
	body='{"socket_path":"f","drive_clones":['$(printf '{"drive_id":"d","path":"p"},%.0s' $(seq 200))
	bad 'drive_clones' PUT /snapshot/fork "${body%,}]}"
	[ ! -e f ] && [ ! -e p ]
	ok PUT /snapshot/fork '{"socket_path":"f","children":1,"timeout_ms":300}'
	[ "$(stat -c '%F %a' f)" = "socket 600" ]
	ok GET /
	json '.state == "Running"'
	await test ! -e f
	# a load from a fork names nothing else
	hang_up
	rm -f api
	start
	rows PUT /snapshot/load <<-'ROWS'
		{"fork_from":"f","snapshot_path":"s","resume_vm":true}|fork_from
		{"fork_from":"f","mem_backend":{"backend_type":"File","backend_path":"m"}}|fork_from
		{"fork_from":""}|fork_from
		{"fork_from":"f","prefetch_path":"d"}|prefetch_path needs a memory file
		{"snapshot_path":"s","mem_file_path":"m","prefetch_path":""}|prefetch_path
		{"fork_from":5}|invalid type
	ROWS
}
