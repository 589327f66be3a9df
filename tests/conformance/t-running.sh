# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# What may be done when, and updates of a running VM: §1.3, §11 "State", §12 lines 11, 13 and 14.

t_requests_of_the_time_before_the_start_are_refused_after_it() {
	local request
	truncate -s 1M disk
	start
	boot
	for _ in running paused; do
		while read -r request; do
			# shellcheck disable=SC2086 # method, path and body
			bad 'not supported after starting the microVM' $request
		done <<-REQUESTS
			PUT /actions {"action_type":"InstanceStart"}
			PUT /boot-source {"kernel_image_path":"$tick"}
			PUT /machine-config {"vcpu_count":1,"mem_size_mib":32}
			PATCH /machine-config {"vcpu_count":2}
			PUT /cpu-config {}
			PUT /drives/d {"drive_id":"d","path_on_host":"$PWD/disk","is_root_device":false}
			PUT /network-interfaces/n {"iface_id":"n","host_dev_name":"tap0"}
			PUT /vsock {"guest_cid":3,"uds_path":"$PWD/v"}
			PUT /entropy {}
			PUT /serial {"serial_out_path":"$PWD/serial"}
			PUT /logger {"level":"Debug"}
			PUT /metrics {"metrics_path":"$PWD/metrics"}
			PUT /balloon {"amount_mib":1,"deflate_on_oom":false}
			PUT /hotplug/memory {"total_size_mib":256}
			PUT /snapshot/load {"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"}}
		REQUESTS
		ok PATCH /vm '{"state":"Paused"}'
	done
}

t_s12_11_phase_is_checked_before_existence() {
	start
	while read -r request; do
		# shellcheck disable=SC2086
		bad 'not supported before starting the microVM' $request
	done <<-'REQUESTS'
		PATCH /vm {"state":"Paused"}
		PUT /actions {"action_type":"FlushMetrics"}
		PUT /actions {"action_type":"SendCtrlAltDel"}
		PATCH /drives/absent {"drive_id":"absent"}
		PATCH /network-interfaces/absent {"iface_id":"absent"}
		PATCH /pmem/absent {"id":"absent"}
		PATCH /balloon {"amount_mib":1}
		GET /balloon/statistics
		PATCH /balloon/statistics {"stats_polling_interval_s":1}
		GET /hotplug/memory
		PATCH /hotplug/memory {"requested_size_mib":0}
		PUT /snapshot/create {"snapshot_path":"s","mem_file_path":"m"}
		PUT /snapshot/fork {"socket_path":"absent/s"}
		DELETE /drives/absent
		DELETE /network-interfaces/absent
		DELETE /pmem/absent
	REQUESTS
}

t_s12_14_drive_patch() {
	truncate -s 1M disk
	truncate -s 2M other
	start
	boot "PUT /drives/d {\"drive_id\":\"d\",\"path_on_host\":\"$PWD/disk\",\"is_root_device\":false}"
	ok PATCH /drives/d "{\"drive_id\":\"d\",\"path_on_host\":\"$PWD/other\"}"
	ok GET /vm/config
	json ".drives[0].path_on_host == \"$PWD/other\""
	bad "Error manipulating the backing file: No such file or directory (os error 2) $PWD/absent" \
		PATCH /drives/d "{\"drive_id\":\"d\",\"path_on_host\":\"$PWD/absent\"}"
	ok GET /vm/config
	json ".drives[0].path_on_host == \"$PWD/other\""
	bad '' PATCH /drives/e '{"drive_id":"e"}'
	bad 'does not match the id from the body' PATCH /drives/d '{"drive_id":"e"}'
	truncate -s 4M other
	ok PATCH /drives/d '{"drive_id":"d"}'
}

t_s11_state_config_shows_patched_limits_and_none_for_0_and_0() {
	truncate -s 1M disk
	start
	boot "PUT /drives/d {\"drive_id\":\"d\",\"path_on_host\":\"$PWD/disk\",\"is_root_device\":false}"
	ok PATCH /drives/d '{"drive_id":"d","rate_limiter":{"bandwidth":{"size":100,"refill_time":7}}}'
	ok GET /vm/config
	json '.drives[0].rate_limiter ==
		{"bandwidth":{"size":100,"refill_time":7,"one_time_burst":null},"ops":null}'
	ok PATCH /drives/d '{"drive_id":"d","rate_limiter":{"ops":{"size":5,"refill_time":5,"one_time_burst":6}}}'
	ok GET /vm/config
	json '.drives[0].rate_limiter.bandwidth.size == 100
		and .drives[0].rate_limiter.ops == {"size":5,"refill_time":5,"one_time_burst":6}'
	ok PATCH /drives/d '{"drive_id":"d","rate_limiter":{"ops":{"size":0,"refill_time":0},
		"bandwidth":{"size":0,"refill_time":0}}}'
	ok GET /vm/config
	json '.drives[0].rate_limiter == null'
}

t_s12_13_config_has_these_keys_and_nulls() {
	truncate -s 1M disk
	start
	ok GET /vm/config
	json 'keys == ["balloon","boot-source","cpu-config","drives","entropy","logger","machine-config",
		"memory-hotplug","metrics","mmds-config","network-interfaces","pmem","vsock"]'
	json '.balloon == null and .drives == [] and .logger == null and .metrics == null and .pmem == []
		and (."machine-config" | has("cpu_template") | not)'
	ok PUT /logger '{"level":"Debug"}'
	ok PUT /metrics "{\"metrics_path\":\"$PWD/metrics\"}"
	ok PUT /machine-config '{"vcpu_count":1,"mem_size_mib":128,"cpu_template":"C3"}'
	ok PUT /drives/d "{\"drive_id\":\"d\",\"path_on_host\":\"$PWD/disk\",\"is_root_device\":false,
		\"rate_limiter\":{\"ops\":{\"size\":1,\"refill_time\":1}}}"
	ok GET /vm/config
	json '.logger == null and .metrics == null and ."machine-config".cpu_template == "C3"'
	json '.drives[0] == {"drive_id":"d","path_on_host":"'"$PWD"'/disk","is_root_device":false,
		"partuuid":null,"is_read_only":false,"cache_type":"Unsafe","io_engine":"Sync","socket":null,
		"rate_limiter":{"bandwidth":null,"ops":{"size":1,"refill_time":1,"one_time_burst":null}}}'
	ok PUT /machine-config '{"vcpu_count":1,"mem_size_mib":128,"cpu_template":"None"}'
	ok GET /machine-config
	json 'has("cpu_template") | not'
}

t_s12_16_too_many_devices_fail_at_the_start_not_at_the_put() {
	local i
	truncate -s 1M disk
	start
	for i in $(seq 0 24); do
		ok PUT "/drives/d$i" "{\"drive_id\":\"d$i\",\"path_on_host\":\"$PWD/disk\",\"is_root_device\":false,
			\"is_read_only\":true}"
	done
	ok PUT /boot-source "{\"kernel_image_path\":\"$tick\"}"
	bad 'Could not allocate GSI: The requested resource is not available.' \
		PUT /actions '{"action_type":"InstanceStart"}'
	ok GET /
	json '.state == "Not started"'
}

t_drives_keep_the_order_of_their_puts_with_the_root_first() {
	local i
	truncate -s 1M disk
	start
	for i in a b c; do
		ok PUT "/drives/$i" "{\"drive_id\":\"$i\",\"path_on_host\":\"$PWD/disk\",\"is_root_device\":false}"
	done
	ok PUT /drives/r "{\"drive_id\":\"r\",\"path_on_host\":\"$PWD/disk\",\"is_root_device\":true}"
	ok PUT /drives/b "{\"drive_id\":\"b\",\"path_on_host\":\"$PWD/disk\",\"is_root_device\":false}"
	ok GET /vm/config
	json '[.drives[].drive_id] == ["r","a","b","c"]'
}

t_ctrl_alt_del_is_taken_while_running() {
	start
	boot
	ok PUT /actions '{"action_type":"SendCtrlAltDel"}'
	ok GET /
}

t_s12_22_every_thread_has_its_filter_after_the_start() {
	local t
	start
	boot
	await grep -q '^tick 1' out
	for t in /proc/"$pid"/task/*; do
		grep -q '^Seccomp:[[:space:]]*2$' "$t/status" || fail "$(head -n 1 "$t/status") has no filter"
	done
	[ "$(find /proc/"$pid"/task -maxdepth 1 -mindepth 1 | wc -l)" -ge 2 ]
	kill -0 "$pid"
}

# Mappings that are smaller than the guest's memory.
t_s12_20_resident_memory_beyond_the_guest_is_within_5_mib() {
	local kib
	start
	boot "PUT /vsock {\"guest_cid\":3,\"uds_path\":\"$PWD/v\"}"
	await grep -q '^tick 5' out
	for _ in $(seq 200); do
		ok GET /vm/config
	done
	kib=$(awk '/^[0-9a-f]+-[0-9a-f]+ /{ size = 0 } /^Size:/{ size = $2 } /^Rss:/{
		if (size < 32 * 1024) sum += $2 } END { print sum }' "/proc/$pid/smaps")
	echo "resident beyond the guest's memory: $kib KiB"
	[ "$kib" -le 5120 ] || fail "$kib KiB"
}

# The best of some tries: the machine may be busy with something else.
t_s11_readiness_calls_answer_within_500_ms() {
	local began took best path
	start
	for path in /machine-config / /vm/config /version; do
		best=1000000000
		for _ in 1 2 3 4 5; do
			began=${EPOCHREALTIME/./}
			ok GET "$path"
			took=$((${EPOCHREALTIME/./} - began))
			[ "$took" -ge "$best" ] || best=$took
		done
		[ "$best" -lt 500000 ] || fail "GET $path took $best us"
	done
}
