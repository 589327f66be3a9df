# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Every field of every body, with its bounds, before the start: §1.4. A row is BODY|RESULT: RESULT is
# "204", or what the fault must say. @ in a body stands for the test's folder.

# rows METHOD PATH <rows
rows() {
	local row given result
	while IFS= read -r row; do
		given=${row%|*} result=${row##*|}
		given=${given//@/$PWD}
		if [ "$result" = 204 ]; then
			ok "$1" "$2" "$given"
		else
			bad "$result" "$1" "$2" "$given"
		fi
	done
}

t_fields_of_boot_source() {
	start
	touch kernel initrd
	rows PUT /boot-source <<-'ROWS'
		{"kernel_image_path":"@/kernel"}|204
		{"kernel_image_path":"@/kernel","initrd_path":"@/initrd","boot_args":"a=b c"}|204
		{"kernel_image_path":"kernel","initrd_path":null,"boot_args":null}|204
		{"kernel_image_path":"@/kernel","boot_args":""}|204
		{}|missing field `kernel_image_path`
		{"initrd_path":"@/initrd"}|missing field `kernel_image_path`
		{"kernel_image_path":""}|kernel_image_path
		{"kernel_image_path":null}|invalid type
		{"kernel_image_path":5}|invalid type
		{"kernel_image_path":["@/kernel"]}|invalid type
		{"kernel_image_path":"@/absent"}|The kernel file cannot be opened
		{"kernel_image_path":"@/absent"}|No such file or directory (os error 2)
		{"kernel_image_path":"@/kernel","initrd_path":"@/absent"}|The initrd file cannot be opened
		{"kernel_image_path":"@/kernel","initrd_path":1}|invalid type
		{"kernel_image_path":"@/kernel","boot_args":1}|invalid type
		{"kernel_image_path":"@/kernel","x":1}|unknown field `x`
	ROWS
	bad boot_args PUT /boot-source \
		"{\"kernel_image_path\":\"kernel\",\"boot_args\":\"$(printf '%02049d' 0)\"}"
}

t_fields_of_machine_config() {
	start
	rows PUT /machine-config <<-'ROWS'
		{"vcpu_count":1,"mem_size_mib":128}|204
		{"vcpu_count":32,"mem_size_mib":1}|204
		{"vcpu_count":2,"mem_size_mib":128,"smt":true,"track_dirty_pages":true,"huge_pages":"2M"}|204
		{"vcpu_count":1,"mem_size_mib":128,"smt":true}|204
		{"vcpu_count":1,"mem_size_mib":128,"huge_pages":"Transparent"}|204
		{"vcpu_count":1,"mem_size_mib":128,"huge_pages":"None","cpu_template":"None"}|204
		{"vcpu_count":1,"mem_size_mib":128,"cpu_template":null}|204
		{}|missing field `vcpu_count`
		{"vcpu_count":1}|missing field `mem_size_mib`
		{"mem_size_mib":128}|missing field `vcpu_count`
		{"vcpu_count":0,"mem_size_mib":128}|vcpu_count
		{"vcpu_count":33,"mem_size_mib":128}|vcpu_count
		{"vcpu_count":-1,"mem_size_mib":128}|vcpu_count
		{"vcpu_count":1.5,"mem_size_mib":128}|invalid type
		{"vcpu_count":"1","mem_size_mib":128}|invalid type
		{"vcpu_count":true,"mem_size_mib":128}|invalid type
		{"vcpu_count":3,"mem_size_mib":128,"smt":true}|vcpu_count
		{"vcpu_count":1,"mem_size_mib":0}|mem_size_mib
		{"vcpu_count":1,"mem_size_mib":-1}|mem_size_mib
		{"vcpu_count":1,"mem_size_mib":"128"}|invalid type
		{"vcpu_count":1,"mem_size_mib":129,"huge_pages":"2M"}|mem_size_mib
		{"vcpu_count":1,"mem_size_mib":129,"huge_pages":"Transparent"}|mem_size_mib
		{"vcpu_count":1,"mem_size_mib":128,"smt":1}|invalid type
		{"vcpu_count":1,"mem_size_mib":128,"smt":"true"}|invalid type
		{"vcpu_count":1,"mem_size_mib":128,"cpu_template":"T3"}|unknown variant `T3`
		{"vcpu_count":1,"mem_size_mib":128,"huge_pages":"1G"}|unknown variant `1G`
		{"vcpu_count":1,"mem_size_mib":128,"x":1}|unknown field `x`
	ROWS
	rows PATCH /machine-config <<-'ROWS'
		{"vcpu_count":4}|204
		{"mem_size_mib":64}|204
		{"track_dirty_pages":false}|204
		{"smt":true}|204
		{"vcpu_count":3}|vcpu_count
		{"smt":false}|204
		{"huge_pages":"None"}|204
		{}|Empty PATCH request
		{"vcpu_count":null}|Empty PATCH request
		{"vcpu_count":33}|vcpu_count
		{"mem_size_mib":0}|mem_size_mib
		{"x":1}|unknown field `x`
	ROWS
	ok GET /machine-config
	[ "$body" = '{"vcpu_count":4,"mem_size_mib":64,"smt":false,"track_dirty_pages":false,"huge_pages":"None"}' ] ||
		fail "$body"
}

t_s12_8_missing_field_is_named_with_line_and_column() {
	start
	# shellcheck disable=SC2016 # backquotes of the text
	bad 'missing field `vcpu_count` at line 1 column 21' PUT /machine-config '{"mem_size_mib": 128}'
}

t_s12_8_numbers_past_64_bits_are_of_an_invalid_type() {
	start
	rows PUT /machine-config <<-'ROWS'
		{"vcpu_count":18446744073709551616,"mem_size_mib":128}|invalid type
		{"vcpu_count":1,"mem_size_mib":99999999999999999999999}|invalid type
	ROWS
}

t_s12_10_template_c3_is_accepted_before_the_start_and_deprecated() {
	start
	ok PUT /machine-config '{"vcpu_count":1,"mem_size_mib":128,"cpu_template":"C3"}'
	[ "$deprecated" = deprecated ]
	ok PUT /machine-config '{"vcpu_count":1,"mem_size_mib":128,"cpu_template":"None"}'
	[ "$deprecated" = deprecated ]
	ok PATCH /machine-config '{"cpu_template":"T2"}'
	[ "$deprecated" = deprecated ]
	ok PUT /machine-config '{"vcpu_count":1,"mem_size_mib":128}'
	[ "$deprecated" = - ]
	bad '' PUT /machine-config '{"vcpu_count":0,"mem_size_mib":128,"cpu_template":"C3"}'
	[ "$deprecated" = deprecated ] || fail "no Deprecation on the 400"
}

t_s12_10_deprecated_field_of_a_load_is_said_on_its_400() {
	start
	api PUT /snapshot/load '{"snapshot_path":"s","mem_file_path":"m"}'
	[ "$status $deprecated" = "400 deprecated" ] || fail "$status $deprecated $body"
}

t_fields_of_drives() {
	start
	truncate -s 1M disk other
	mkdir dir
	rows PUT /drives/d <<-'ROWS'
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false}|204
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":true,"partuuid":"x-1","is_read_only":true}|204
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"cache_type":"Writeback"}|204
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"cache_type":"Unsafe"}|204
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"io_engine":"Async"}|204
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"io_engine":"Sync"}|204
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"io_engine":null,"partuuid":null}|204
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"rate_limiter":{}}|204
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"rate_limiter":null}|204
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"rate_limiter":{"ops":{"size":1,"refill_time":1}}}|204
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"rate_limiter":{"bandwidth":{"size":1,"refill_time":1,"one_time_burst":5},"ops":null}}|204
		{}|missing field `drive_id`
		{"drive_id":"d","path_on_host":"@/disk"}|missing field `is_root_device`
		{"drive_id":"d","is_root_device":false}|path_on_host
		{"drive_id":"e","path_on_host":"@/disk","is_root_device":false}|does not match the id from the body
		{"drive_id":"","path_on_host":"@/disk","is_root_device":false}|drive_id
		{"drive_id":5,"path_on_host":"@/disk","is_root_device":false}|invalid type
		{"drive_id":"d","path_on_host":"@/absent","is_root_device":false}|No such file or directory (os error 2)
		{"drive_id":"d","path_on_host":"@/dir","is_root_device":false}|path_on_host
		{"drive_id":"d","path_on_host":"","is_root_device":false}|path_on_host
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":"no"}|invalid type
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"is_read_only":1}|invalid type
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"cache_type":"Fast"}|unknown variant `Fast`
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"io_engine":"Magic"}|unknown variant `Magic`
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"rate_limiter":{"x":1}}|unknown field `x`
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"rate_limiter":{"ops":{"size":1}}}|missing field `refill_time`
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"rate_limiter":{"ops":{"refill_time":1}}}|missing field `size`
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"rate_limiter":{"ops":{"size":-1,"refill_time":1}}}|size
		{"drive_id":"d","path_on_host":"@/disk","is_root_device":false,"x":1}|unknown field `x`
	ROWS
	ok PUT /drives/r '{"drive_id":"r","path_on_host":"disk","is_root_device":true}'
	bad 'A root block device already exists' \
		PUT /drives/s '{"drive_id":"s","path_on_host":"other","is_root_device":true}'
	bad '' PUT /drives/a-b '{"drive_id":"a-b","path_on_host":"disk","is_root_device":false}'
	bad '' PUT /drives/ '{"drive_id":"","path_on_host":"disk","is_root_device":false}'
}

t_fields_of_vsock() {
	start
	touch file
	rows PUT /vsock <<-'ROWS'
		{"guest_cid":3,"uds_path":"@/v"}|204
		{"guest_cid":4294967294,"uds_path":"@/v"}|204
		{"guest_cid":3}|missing field `uds_path`
		{"uds_path":"@/v"}|missing field `guest_cid`
		{"guest_cid":2,"uds_path":"@/v"}|guest_cid
		{"guest_cid":0,"uds_path":"@/v"}|guest_cid
		{"guest_cid":4294967296,"uds_path":"@/v"}|guest_cid
		{"guest_cid":"3","uds_path":"@/v"}|invalid type
		{"guest_cid":3,"uds_path":7}|invalid type
		{"guest_cid":3,"uds_path":""}|uds_path
		{"guest_cid":3,"uds_path":"@/file"}|uds_path
		{"guest_cid":3,"uds_path":"@/v","x":1}|unknown field `x`
	ROWS
	ok PUT /vsock "{\"guest_cid\":3,\"uds_path\":\"$PWD/v\",\"vsock_id\":\"old\"}"
	[ "$deprecated" = deprecated ]
	ok GET /vm/config
	json '.vsock == {"guest_cid":3,"uds_path":"'"$PWD"'/v"}'
}

t_s12_12_vsock_can_be_put_again_with_the_same_path() {
	start
	ok PUT /vsock "{\"guest_cid\":3,\"uds_path\":\"$PWD/v\"}"
	ok PUT /vsock "{\"guest_cid\":4,\"uds_path\":\"$PWD/v\"}"
	boot
	[ -S v ]
}

t_fields_of_entropy_and_serial() {
	start
	rows PUT /entropy <<-'ROWS'
		{}|204
		{"rate_limiter":null}|204
		{"rate_limiter":{"bandwidth":{"size":1000,"refill_time":100}}}|204
		{"rate_limiter":{"bandwidth":{"size":"1","refill_time":100}}}|invalid type
		{"rate_limiter":5}|invalid type
		{"x":1}|unknown field `x`
	ROWS
	rows PUT /serial <<-'ROWS'
		{"serial_out_path":"@/serial"}|204
		{"serial_out_path":"@/serial","rate_limiter":{"size":1000,"refill_time":100,"one_time_burst":1}}|204
		{}|204
		{"serial_out_path":"@/absent/serial"}|serial_out_path
		{"serial_out_path":5}|invalid type
		{"rate_limiter":{"bandwidth":{"size":1,"refill_time":1}}}|missing field `size`
		{"x":1}|unknown field `x`
	ROWS
}

t_fields_of_logger_and_metrics() {
	start
	rows PUT /logger <<-'ROWS'
		{"log_path":"@/log","level":"Debug","show_level":true,"show_log_origin":true,"module":"api"}|204
		{"level":"warning"}|204
		{"level":"ERROR"}|204
		{"level":"Trace"}|204
		{"level":"Off"}|204
		{"module":null,"show_level":false}|204
		{"level":"Info"}|204
		{"level":"Loud"}|level
		{"level":5}|invalid type
		{"show_level":"yes"}|invalid type
		{"log_path":"@/absent/log"}|log_path
		{"x":1}|unknown field `x`
	ROWS
	rows PUT /metrics <<-'ROWS'
		{}|missing field `metrics_path`
		{"metrics_path":5}|invalid type
		{"metrics_path":"@/absent/metrics"}|metrics_path
		{"metrics_path":"@/metrics","emit_id":"x"}|invalid type
		{"metrics_path":"@/metrics","properties":["x"]}|invalid type
		{"metrics_path":"@/metrics","x":1}|unknown field `x`
		{"metrics_path":"@/metrics","emit_id":true,"properties":{"a":"b"}}|204
		{"metrics_path":"@/metrics"}|Reinitialization of metrics not allowed
	ROWS
}

t_fields_of_actions_and_vm() {
	start
	# shellcheck disable=SC2016 # backquotes of the text
	rows PUT /actions <<-'ROWS'
		{}|missing field `action_type`
		{"action_type":"Explode"}|unknown variant `Explode`
		{"action_type":5}|invalid type
		{"action_type":"InstanceStart","x":1}|unknown field `x`
	ROWS
	boot
	rows PATCH /vm <<-'ROWS'
		{}|missing field `state`
		{"state":"Running"}|unknown variant `Running`
		{"state":null}|invalid type
		{"state":"Paused","x":1}|unknown field `x`
		{"state":"Paused"}|204
	ROWS
}

t_fields_of_cpu_config() {
	start
	rows PUT /cpu-config <<-'ROWS'
		{}|204
		{"kvm_capabilities":["171","!172"]}|204
		{"cpuid_modifiers":[{"leaf":"0x1","subleaf":"0x0","flags":0,"modifiers":[{"register":"eax","bitmap":"0bx00100xxx1xxxxxxxxxxxxxxxxxxxxx1"}]}]}|204
		{"msr_modifiers":[{"addr":"0x10a","bitmap":"0b0"}]}|204
		{"cpuid_modifiers":5}|cpuid_modifiers
		{"cpuid_modifiers":[{"leaf":"0x1","subleaf":"0x0","flags":0,"modifiers":[{"register":"exx","bitmap":"0b1"}]}]}|exx
		{"cpuid_modifiers":[{"leaf":"0x1","subleaf":"0x0","flags":0,"modifiers":[{"register":"eax","bitmap":"0b2"}]}]}|bitmap
		{"msr_modifiers":[{"addr":"z","bitmap":"0b0"}]}|addr
		{"x":1}|unknown field `x`
	ROWS
}

t_fields_of_mmds() {
	start
	ok GET /mmds
	[ "$body" = '{}' ]
	bad '' PATCH /mmds '{"a":1}'
	rows PUT /mmds <<-'ROWS'
		{"a":{"b":"c"}}|204
		{}|204
		[1]|not valid json
		"text"|not valid json
		5|not valid json
		{"a":|not valid json
	ROWS
	ok PUT /mmds '{"a":{"b":"c","d":"e"}}'
	ok PATCH /mmds '{"a":{"b":null,"f":"g"}}'
	ok GET /mmds
	json '. == {"a":{"d":"e","f":"g"}}'
	rows PUT /mmds/config <<-'ROWS'
		{}|missing field `network_interfaces`
		{"network_interfaces":["absent"]}|network_interfaces
		{"network_interfaces":"eth0"}|invalid type
		{"network_interfaces":["absent"],"version":"V3"}|unknown variant `V3`
		{"network_interfaces":["absent"],"x":1}|unknown field `x`
	ROWS
}

t_s12_6_metadata_limit_is_the_payload_limit_and_over_it_is_413() {
	start --http-api-max-payload-size 1000
	ok PUT /mmds "{\"a\":\"$(printf '%0600d' 0)\"}"
	api PATCH /mmds "{\"b\":\"$(printf '%0600d' 0)\"}"
	[ "$status" = 413 ] || fail "$status $body"
	json 'has("fault_message")'
	ok GET /mmds
	json '(has("b") | not) and (.a | length) == 600'
}

t_s12_6_metadata_errors_end_the_process() {
	echo '{"a":' >bad.json
	printf '{"a":"%0600d"}' 0 >big.json
	launch --api-sock api --metadata bad.json
	await is_gone "$pid"
	has out 'MMDS error: metadata provided not valid json'
	launch --api-sock api --metadata big.json --mmds-size-limit 500
	await is_gone "$pid"
	has out "Populating MMDS from file failed: The MMDS patch request doesn't fit\."
	echo '{"a":"b"}' >good.json
	start --metadata good.json
	ok GET /mmds
	[ "$body" = '{"a":"b"}' ]
}

t_later_subjects_say_so_by_name() {
	start
	bad pmem PUT /pmem/p '{"id":"p","path_on_host":"x"}'
	bad balloon PUT /balloon '{"amount_mib":1,"deflate_on_oom":false}'
	bad balloon GET /balloon
	bad 'memory hotplug' PUT /hotplug/memory '{"total_size_mib":256}'
	# their bodies are checked all the same
	# shellcheck disable=SC2016 # backquotes of the text
	rows PUT /balloon <<-'ROWS'
		{}|missing field `amount_mib`
		{"amount_mib":1}|missing field `deflate_on_oom`
		{"amount_mib":4294967296,"deflate_on_oom":false}|amount_mib
		{"amount_mib":1,"deflate_on_oom":false,"stats_polling_interval_s":65536}|stats_polling_interval_s
		{"amount_mib":1,"deflate_on_oom":1}|invalid type
		{"amount_mib":1,"deflate_on_oom":false,"x":1}|unknown field `x`
	ROWS
	rows PUT /pmem/p <<-'ROWS'
		{"id":"p"}|missing field `path_on_host`
		{"id":"q","path_on_host":"x"}|does not match the id from the body
		{"id":"p","path_on_host":"x","root_device":1}|invalid type
	ROWS
	rows PUT /hotplug/memory <<-'ROWS'
		{}|missing field `total_size_mib`
		{"total_size_mib":64}|total_size_mib
		{"total_size_mib":256,"block_size_mib":1}|block_size_mib
		{"total_size_mib":256,"slot_size_mib":64}|slot_size_mib
	ROWS
	boot
	bad balloon PATCH /balloon '{"amount_mib":1}'
	bad balloon GET /balloon/statistics
	bad balloon PATCH /balloon/statistics '{"stats_polling_interval_s":1}'
	bad balloon PATCH /balloon/hinting/start
	bad balloon PATCH /balloon/hinting/start '{"acknowledge_on_stop":true}'
	bad balloon GET /balloon/hinting/status
	bad balloon PATCH /balloon/hinting/stop
	bad 'memory hotplug' PATCH /hotplug/memory '{"requested_size_mib":0}'
	bad 'memory hotplug' GET /hotplug/memory
	bad pmem PATCH /pmem/p '{"id":"p"}'
	bad pmem DELETE /pmem/p
	bad PCI DELETE /drives/d
	bad PCI DELETE /network-interfaces/n
	ok PATCH /vm '{"state":"Paused"}'
	ok PUT /snapshot/create '{"snapshot_path":"s","mem_file_path":"m"}'
}
