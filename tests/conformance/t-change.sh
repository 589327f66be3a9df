# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Requests that fail change nothing: every endpoint, in every phase, with every broken body that
# broken.awk can make from the monitor's own table of endpoints.

# The state that a client can see.
seen() {
	local path
	now=""
	for path in / /vm/config /machine-config /mmds; do
		ok GET "$path"
		now="$now$body"
	done
}

# Every broken request, and after each endpoint's a look at what can be seen.
walk() {
	local before method path rest last="" count=0
	seen
	before=$now
	while read -r method path rest; do
		if [ "$method $path" != "$last" ]; then
			unchanged "$last" "$before"
			last="$method $path"
		fi
		api "$method" "$path" "$rest"
		[ "$status" = 400 ] || fail "$method $path ${rest:0:300} -> $status $body, not 400"
		case $body in
		'{"fault_message":"'?*'"}') ;;
		*) fail "$method $path ${rest:0:300}: not a fault: $body" ;;
		esac
		count=$((count + 1))
	done <broken
	unchanged "$last" "$before"
	[ "$count" -gt 300 ] || fail "only $count requests: has --describe-api changed?"
}

unchanged() {
	seen
	[ "$now" = "$2" ] || fail "$1 changed something: $2 -> $now"
}

prepare() {
	"$vmm" --describe-api | awk -f "$here/broken.awk" >broken
	truncate -s 1M disk
	start --level Off
	ok PUT /mmds '{"a":"b"}'
	ok PUT /drives/x1 "{\"drive_id\":\"x1\",\"path_on_host\":\"$PWD/disk\",\"is_root_device\":true}"
	ok PUT /vsock "{\"guest_cid\":5,\"uds_path\":\"$PWD/v\"}"
	ok PUT /entropy '{"rate_limiter":{"ops":{"size":7,"refill_time":9}}}'
	ok PUT /machine-config '{"vcpu_count":2,"mem_size_mib":32,"track_dirty_pages":true}'
	ok PUT /boot-source "{\"kernel_image_path\":\"$tick\",\"boot_args\":\"x\"}"
}

t_requests_that_fail_change_nothing_before_the_start() {
	prepare
	walk
	boot # and it still starts
	await grep -q '^tick 3' out
}

t_requests_that_fail_change_nothing_while_running_or_paused() {
	local before
	prepare
	# MMDS needs an interface once the VM runs
	sed -i '/ \/mmds /d' broken
	seen() {
		local path
		now=""
		for path in / /vm/config /machine-config; do
			ok GET "$path"
			now="$now$body"
		done
	}
	ok PUT /actions '{"action_type":"InstanceStart"}'
	walk
	ok PATCH /vm '{"state":"Paused"}'
	walk
	ok PATCH /vm '{"state":"Resumed"}'
	before=$(grep -c '^tick' out || true)
	await grep -q "^tick $((before + 5))" out
}

t_describe_api_has_every_endpoint_of_s1_3() {
	"$vmm" --describe-api | sed -n 's/^\([A-Z][A-Z]* [^ ]*\) \([a-z]*\) .*/\1 \2/p' | LC_ALL=C sort >got
	LC_ALL=C sort >wanted <<-'TABLE'
		GET / both
		GET /version both
		GET /vm/config both
		GET /metrics both
		PATCH /vm post
		PUT /actions both
		PUT /boot-source pre
		PUT /cpu-config pre
		GET /machine-config both
		PUT /machine-config pre
		PATCH /machine-config pre
		PUT /drives/{drive_id} pre
		PATCH /drives/{drive_id} post
		DELETE /drives/{drive_id} post
		PUT /pmem/{id} pre
		PATCH /pmem/{id} post
		DELETE /pmem/{id} post
		PUT /network-interfaces/{iface_id} pre
		PATCH /network-interfaces/{iface_id} post
		DELETE /network-interfaces/{iface_id} post
		PUT /vsock pre
		PUT /entropy pre
		PUT /serial pre
		PUT /logger pre
		PUT /metrics pre
		GET /mmds both
		PUT /mmds both
		PATCH /mmds both
		PUT /mmds/config pre
		PUT /balloon pre
		GET /balloon both
		PATCH /balloon post
		GET /balloon/statistics post
		PATCH /balloon/statistics post
		PATCH /balloon/hinting/start post
		GET /balloon/hinting/status post
		PATCH /balloon/hinting/stop post
		PUT /hotplug/memory pre
		PATCH /hotplug/memory post
		GET /hotplug/memory post
		PUT /snapshot/create post
		PUT /snapshot/fork post
		PUT /snapshot/load pre
	TABLE
	diff got wanted
}
