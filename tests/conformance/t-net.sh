# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Network interfaces, with taps in a network namespace of the monitor's own: §1.4, §12 lines 12 and 13.

# start_net [SETUP]: as start, where the taps tap0 and tap1 are there, and after the commands of SETUP.
start_net() {
	[ "$(id -u)" -eq 0 ] || skip "making a tap needs root"
	[ -w /dev/net/tun ] || skip "/dev/net/tun is missing"
	unshare -n bash -c "ip tuntap add tap0 mode tap && ip tuntap add tap1 mode tap && ${1:-:} &&
		exec \"\$@\"" \
		bash "$vmm" --api-sock api >out 2>err </dev/null &
	pid=$!
	echo "$pid" >>pids
	talk
}

t_fields_of_network_interfaces() {
	start_net
	rows PUT /network-interfaces/n <<-'ROWS'
		{"iface_id":"n","host_dev_name":"tap0"}|204
		{"iface_id":"n","host_dev_name":"tap0","guest_mac":"02:00:00:00:00:01"}|204
		{"iface_id":"n","host_dev_name":"tap0","guest_mac":null,"mtu":null}|204
		{"iface_id":"n","host_dev_name":"tap0","mtu":68}|204
		{"iface_id":"n","host_dev_name":"tap0","mtu":65535}|204
		{"iface_id":"n","host_dev_name":"tap0","rx_rate_limiter":{},"tx_rate_limiter":null}|204
		{"iface_id":"n","host_dev_name":"tap0","tx_rate_limiter":{"bandwidth":{"size":1,"refill_time":1}}}|204
		{}|missing field `iface_id`
		{"iface_id":"n"}|missing field `host_dev_name`
		{"iface_id":"m","host_dev_name":"tap0"}|does not match the id from the body
		{"iface_id":"n","host_dev_name":""}|host_dev_name
		{"iface_id":"n","host_dev_name":5}|invalid type
		{"iface_id":"n","host_dev_name":"a-name-that-is-too-long"}|a-name-that-is-too-long
		{"iface_id":"n","host_dev_name":"tap0","guest_mac":"02:00:00:00:00"}|guest_mac
		{"iface_id":"n","host_dev_name":"tap0","guest_mac":"02:00:00:00:00:zz"}|guest_mac
		{"iface_id":"n","host_dev_name":"tap0","mtu":67}|mtu
		{"iface_id":"n","host_dev_name":"tap0","mtu":65536}|mtu
		{"iface_id":"n","host_dev_name":"tap0","mtu":"1500"}|invalid type
		{"iface_id":"n","host_dev_name":"tap0","rx_rate_limiter":{"x":1}}|unknown field `x`
		{"iface_id":"n","host_dev_name":"tap0","x":1}|unknown field `x`
	ROWS
}

t_s12_12_same_interface_with_the_same_tap_works_and_a_held_tap_fails() {
	start_net
	ok PUT /network-interfaces/a '{"iface_id":"a","host_dev_name":"tap0"}'
	ok PUT /network-interfaces/a '{"iface_id":"a","host_dev_name":"tap0","mtu":1400}'
	bad tap0 PUT /network-interfaces/b '{"iface_id":"b","host_dev_name":"tap0"}'
	ok PUT /network-interfaces/b '{"iface_id":"b","host_dev_name":"tap1"}'
	bad tap1 PUT /network-interfaces/a '{"iface_id":"a","host_dev_name":"tap1"}'
	ok GET /vm/config
	json '[."network-interfaces"[] | [.iface_id, .host_dev_name, .mtu]] == [["a","tap0",1400],["b","tap1",null]]'
	boot
	bad '' PATCH /network-interfaces/c '{"iface_id":"c"}'
}

t_interfaces_must_have_different_macs() {
	start_net
	ok PUT /network-interfaces/a '{"iface_id":"a","host_dev_name":"tap0","guest_mac":"02:00:00:00:00:aa"}'
	bad 'already in use' PUT /network-interfaces/b \
		'{"iface_id":"b","host_dev_name":"tap1","guest_mac":"02:00:00:00:00:AA"}'
	ok PUT /network-interfaces/a '{"iface_id":"a","host_dev_name":"tap0","guest_mac":"02:00:00:00:00:aa"}'
}

t_s11_state_net_limits_are_patched_and_shown() {
	start_net
	boot 'PUT /network-interfaces/n {"iface_id":"n","host_dev_name":"tap0"}'
	ok PATCH /network-interfaces/n \
		'{"iface_id":"n","rx_rate_limiter":{"bandwidth":{"size":100,"refill_time":7}}}'
	ok PATCH /network-interfaces/n '{"iface_id":"n","tx_rate_limiter":{"ops":{"size":3,"refill_time":4}}}'
	ok GET /vm/config
	json '."network-interfaces"[0] == {"iface_id":"n","host_dev_name":"tap0","guest_mac":null,"mtu":null,
		"rx_rate_limiter":{"bandwidth":{"size":100,"refill_time":7,"one_time_burst":null},"ops":null},
		"tx_rate_limiter":{"bandwidth":null,"ops":{"size":3,"refill_time":4,"one_time_burst":null}}}'
	ok PATCH /network-interfaces/n \
		'{"iface_id":"n","rx_rate_limiter":{"bandwidth":{"size":0,"refill_time":0}}}'
	ok GET /vm/config
	json '."network-interfaces"[0].rx_rate_limiter == null'
}

t_fields_of_mmds_config() {
	start_net
	ok PUT /network-interfaces/n '{"iface_id":"n","host_dev_name":"tap0"}'
	rows PUT /mmds/config <<-'ROWS'
		{"network_interfaces":["n"]}|204
		{"network_interfaces":["n"],"version":"V2","ipv4_address":"169.254.1.0","imds_compat":true}|204
		{"network_interfaces":["n"],"version":"V2","ipv4_address":"169.254.254.255"}|204
		{"network_interfaces":[]}|network_interfaces
		{"network_interfaces":["n","m"]}|network_interfaces
		{"network_interfaces":[5]}|network_interfaces
		{"network_interfaces":["n"],"ipv4_address":"169.254.0.255"}|ipv4_address
		{"network_interfaces":["n"],"ipv4_address":"169.254.255.0"}|ipv4_address
		{"network_interfaces":["n"],"ipv4_address":"10.0.0.1"}|ipv4_address
		{"network_interfaces":["n"],"ipv4_address":"x"}|ipv4_address
		{"network_interfaces":["n"],"imds_compat":1}|invalid type
	ROWS
	ok PUT /mmds/config '{"network_interfaces":["n"],"version":"V1"}'
	[ "$deprecated" = deprecated ] || fail "V1 sets no Deprecation header"
	ok PUT /mmds/config '{"network_interfaces":["n"],"version":"V2"}'
	[ "$deprecated" = - ]
	ok GET /vm/config
	json '."mmds-config" == {"version":"V2","network_interfaces":["n"],"ipv4_address":null,
		"imds_compat":false}'
	boot
	bad 'not supported after starting' PUT /mmds/config '{"network_interfaces":["n"]}'
	ok PUT /mmds '{"a":"b"}'
	ok PATCH /mmds '{"c":"d"}'
	ok GET /mmds
	json '. == {"a":"b","c":"d"}'
}

t_s12_19_net_aggregate_is_the_sum_of_the_interfaces() {
	local tick=$payloads/net_ping.elf total
	start_net 'ip addr add 10.11.12.1/24 dev tap0 && ip link set tap0 up'
	ok PUT /metrics "{\"metrics_path\":\"$PWD/metrics\"}"
	args="payload.first=1 payload.last=1" boot \
		'PUT /network-interfaces/a {"iface_id":"a","host_dev_name":"tap0","guest_mac":"02:00:00:00:00:01"}' \
		'PUT /network-interfaces/b {"iface_id":"b","host_dev_name":"tap1","guest_mac":"02:00:00:00:00:02"}'
	ends 0
	total=$(jq -s 'map([.net, .net_a, .net_b] | map(del(.tap_write_agg.min_us, .tap_write_agg.max_us))) | {
		sums: (map(.[0].tx_packets_count) | add), a: (map(.[1].tx_packets_count) | add),
		equal: all(.[0] as $n | .[1] as $a | .[2] as $b | $n | keys | all(. as $k |
			if $k == "tap_write_agg" then $n[$k].sum_us == $a[$k].sum_us + $b[$k].sum_us
			else $n[$k] == $a[$k] + $b[$k] end))}' metrics)
	json '.sums > 0 and .sums == .a and .equal' "$total"
	json '.net.tap_write_agg | .min_us == 0 and .max_us == 0' "$(tail -n 1 metrics)"
}
