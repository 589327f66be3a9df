# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Log, metrics, signals: §11 "Fifos and files", §12 lines 17 to 21.

line='^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9} '

t_s12_17_log_lines_have_this_form() {
	start --log-path log --level Debug --show-level --show-log-origin --id vm-1
	ok GET /
	bad '' GET /nowhere
	[ -s log ]
	! grep -Evq "$line\[vm-1:main:(ERROR|WARN|INFO|DEBUG|TRACE):[a-z_]+/[a-z_/]+\.c:[0-9]+\] ." log ||
		fail "$(grep -Ev "$line\[vm-1:main:" log)"
	launch --api-sock api2 --id vm-2
	await grep -q 'API server started' out
	has out "$line\[vm-2:main\] Running"
}

t_s12_18_requests_are_logged_in_pairs_and_mmds_bodies_never() {
	start --level Debug
	ok PUT /machine-config '{"vcpu_count":1,"mem_size_mib":128}'
	ok PUT /mmds '{"secret":"hunter2"}'
	ok PATCH /mmds '{"more":"hunter3"}'
	bad '' PUT /machine-config '{"vcpu_count":0,"mem_size_mib":128}'
	has out 'The API server received a Put request on "/machine-config" with body "\{"vcpu_count":1,'
	has out 'The API server received a Put request on "/mmds"\.'
	lacks out 'hunter'
	has out 'Total previous API call duration: [0-9]+ us\.'
	has out 'Received Error\. Status code: 400 Bad Request\. Message: '
	[ "$(grep -c 'The API server received' out)" -eq "$(grep -c 'Total previous API call' out)" ]
}

t_log_line_cannot_be_forged_by_a_body() {
	start
	# a newline within the body would begin a line of its own
	printf 'PUT /machine-config HTTP/1.1\r\nContent-Length: 12\r\n\r\n{\n"forged":1}' |
		"$client" raw "$PWD/api" 1 >got
	has got '^HTTP/1.1 400'
	! grep -Evq "$line" out || fail "$(grep -Ev "$line" out)"
}

t_s12_19_metrics_file_has_a_line_after_the_start_one_a_flush_and_one_at_exit() {
	truncate -s 1M disk
	start
	ok PUT /metrics "{\"metrics_path\":\"$PWD/metrics\"}"
	[ "$(wc -l <metrics)" -eq 0 ]
	boot "PUT /drives/d0 {\"drive_id\":\"d0\",\"path_on_host\":\"$PWD/disk\",\"is_root_device\":false}"
	[ "$(wc -l <metrics)" -eq 1 ] || fail "$(wc -l <metrics) lines after the start"
	ok PUT /actions '{"action_type":"FlushMetrics"}'
	[ "$(wc -l <metrics)" -eq 2 ] || fail "$(wc -l <metrics) lines after the flush"
	json 'has("block") and has("block_d0") and .block.read_count == .block_d0.read_count
		and has("api_server") and has("put_api_requests") and has("utc_timestamp_ms")' "$(tail -n 1 metrics)"
	kill -HUP "$pid"
	ends 156
	[ "$(wc -l <metrics)" -eq 3 ] || fail "$(wc -l <metrics) lines at the end"
	while read -r l; do
		json 'type == "object"' "$l"
	done <metrics
}

t_s1_1_deprecated_calls_and_requests_are_counted() {
	start
	ok PUT /metrics "{\"metrics_path\":\"$PWD/metrics\",\"emit_id\":true,\"properties\":{\"a\":\"b\"}}"
	ok PUT /vsock "{\"guest_cid\":3,\"uds_path\":\"$PWD/v\",\"vsock_id\":\"x\"}"
	bad '' PUT /vsock '{"guest_cid":1}'
	boot
	ok GET /
	json '.deprecated_api.deprecated_http_api_calls == 1 and .put_api_requests.vsock_count == 2
		and .put_api_requests.vsock_fails == 1 and .id == "anonymous-instance"
		and .properties == {"a":"b"}' "$(head -n 1 metrics)"
}

t_get_metrics_is_prometheus_text() {
	start
	boot
	raw 1 'GET /metrics HTTP/1.1\r\n\r\n' >got
	has got '^HTTP/1.1 200 '
	has got '^Content-Type: text/plain; version=0\.0\.4.$'
	has got '^# TYPE [a-z_]+ (counter|gauge|histogram)$'
}

t_s11_fifos_log_and_metrics_may_be_fifos_without_a_reader() {
	mkfifo log metrics
	start --log-path "$PWD/log" --metrics-path "$PWD/metrics"
	boot
	ok PUT /actions '{"action_type":"FlushMetrics"}'
	timeout 10 head -n 1 log | grep -Eq "$line"
	json 'type == "object"' "$(timeout 10 head -n 1 metrics)"
}

t_s11_fifos_files_are_made_if_they_do_not_exist() {
	start
	ok PUT /logger "{\"log_path\":\"$PWD/log\"}"
	ok PUT /metrics "{\"metrics_path\":\"$PWD/metrics\"}"
	[ -f log ] && [ -f metrics ]
	boot
	[ -s log ] && [ -s metrics ]
}

t_s11_state_logger_may_come_again_and_metrics_not() {
	start
	ok PUT /logger "{\"log_path\":\"$PWD/log1\"}"
	ok PUT /logger "{\"log_path\":\"$PWD/log2\"}"
	ok GET /
	has log2 'received a Get request'
	lacks log1 'received a Get request'
	ok PUT /metrics "{\"metrics_path\":\"$PWD/metrics\"}"
	bad 'Reinitialization of metrics not allowed' PUT /metrics "{\"metrics_path\":\"$PWD/metrics2\"}"
	[ ! -e metrics2 ]
}

t_metrics_path_of_the_command_line_excludes_the_put() {
	start --metrics-path metrics
	bad 'Reinitialization of metrics not allowed' PUT /metrics "{\"metrics_path\":\"$PWD/other\"}"
}

t_s12_21_fatal_signals_are_logged_counted_and_end_with_their_status() {
	local pair
	for pair in BUS=149 SEGV=150 XFSZ=151 XCPU=154 HUP=156 ILL=157; do
		rm -f api metrics
		start --metrics-path metrics
		boot
		kill "-${pair%=*}" "$pid"
		ends "${pair#*=}"
		has out "Shutting down VM after intercepting signal $(kill -l "${pair%=*}"), code "
		json "[.signals | to_entries[] | .value] | add == 1" "$(tail -n 1 metrics)"
		hang_up
	done
}

t_s12_21_sigpipe_is_logged_and_the_vm_goes_on() {
	start --metrics-path metrics
	boot
	kill -PIPE "$pid"
	await grep -q 'Received signal 13' out
	ok PUT /actions '{"action_type":"FlushMetrics"}'
	json '.signals.sigpipe == 1' "$(tail -n 1 metrics)"
	await grep -q '^tick 5' out
}

t_s12_21_real_time_signal_from_outside_is_harmless() {
	local n
	start
	boot
	kill -RTMIN "$pid"
	n=$(grep -c '^tick' out) || true
	await grep -q "^tick $((n + 5))" out
	ok GET /
}

t_log_format_json_makes_every_line_an_object() {
	start --log-format json --level Debug --id vm-3
	bad '' PUT /machine-config '{"vcpu_count":"a\"b"}'
	boot
	kill -HUP "$pid"
	ends 156
	# The guest's console is on standard output too.
	grep '^{' out >lines
	jq -es 'length > 5 and all(.id == "vm-3" and (.timestamp | endswith("Z")) and .line > 0) and
		any(.level == "ERROR") and any(.message | startswith("Shutting down VM"))' lines >/dev/null ||
		fail "$(cat lines)"
}

# strace turns one call of the monitor into another, before its filter sees it.
t_s12_22_filtered_call_is_logged_counted_and_ends_the_process() {
	command -v strace >/dev/null || fail "no strace: tools/deps"
	start --metrics-path metrics
	boot
	for task in "/proc/$pid/task/"*; do
		has "$task/status" '^Seccomp:[[:space:]]2$'
	done
	strace -qq -o trace -e inject=epoll_wait:retval=0:syscall=getpgrp -p "$pid" &
	echo $! >>pids
	ends 148
	has out 'Shutting down VM after intercepting a bad syscall \(111\)'
	json '.seccomp.num_faults == 1' "$(tail -n 1 metrics)"
}
