# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2015,SC2034,SC2119,SC2120,SC2154 # variables and helpers are those of run
# Chains under load: the guest writes its disk and talks to the host by net and vsock all the time. What is
# under way with a monitor that ends is lost; all else must be right, and the talk must go on.

# echoes PATH...: sockets that give every byte back.
echoes() {
	local path
	command -v socat >/dev/null || skip "no socat"
	for path in "$@"; do
		socat UNIX-LISTEN:"$PWD/$path",fork EXEC:cat </dev/null >/dev/null 2>&1 &
		echo $! >>pids
	done
	for path in "$@"; do
		for _ in $(seq 500); do [ ! -S "$path" ] || break; sleep 0.02; done
		[ -S "$path" ] || fail "no socket $path"
	done
}

# A namespace with a tap and a peer that sends every frame back.
tap_echo() {
	[ "$(id -u)" = 0 ] || skip "no root"
	netns=mayfly-snapshot-$$-$RANDOM
	ip netns add "$netns" 2>/dev/null || skip "no network namespaces"
	trap 'ip netns del "$netns"' EXIT
	ip -n "$netns" tuntap add tap0 mode tap
	ip -n "$netns" link set tap0 up
	inside="ip netns exec $netns"
	$inside "$payloads/net_peer" serve tap0 >peer.log 2>&1 &
	echo $! >>pids
}

# more_of NAME WORD NUMBER: the guest gets beyond it.
more_of() {
	for _ in $(seq 100); do
		turns "$1" 1
		[ "$(number "$1" "$2")" -le "$3" ] || return 0
	done
	fail "$1: $2 stays at $(number "$1" "$2")"
}

all_devices() { # NET FIELD
	truncate -s 1M disk
	more=",\"vsock\":{\"guest_cid\":3,\"uds_path\":\"v\"},\"network-interfaces\":[{\"iface_id\":\"n\",\"guest_mac\":\"02:00:00:00:00:01\",$1}]"
	drive="{\"drive_id\":\"d\",\"path_on_host\":\"disk\",\"is_root_device\":false,\"is_read_only\":false,\"io_engine\":\"Async\"}"
}

# chain_under_load CPUS LENGTH: full and diff in turns, each generation in a process of its own.
# $over: more fields of the loads.
chain_under_load() {
	local i old frames bytes
	boot g0 "$(machine "$1" 64 true)" "$drive"
	for i in $(seq "$2"); do
		old=g$((i - 1))
		more_of "$old" frames 0
		more_of "$old" bytes 0
		pause "$old"
		if [ $((i % 2)) = 1 ]; then create "$old" s m; else create "$old" s m Diff; fi
		frames=$(number "$old" frames) bytes=$(number "$old" bytes)
		end "$old"
		load "g$i" s m "\"track_dirty_pages\":true${over:-}"
		more_of "g$i" frames "$frames"
		more_of "g$i" bytes "$bytes"
	done
	[ "$(number "g$2" connections)" -gt "$2" ] || fail "connections: $(number "g$2" connections)"
	finish "g$2"
}

t_chain_under_load_on_a_tap() {
	tap_echo
	echoes v_6000
	all_devices '"host_dev_name":"tap0"'
	chain_under_load 1 10
}

t_chain_under_load_by_a_socket() {
	echoes v_6000 net.sock other.sock
	all_devices '"passt_socket":"net.sock"'
	over=',"network_overrides":[{"iface_id":"n","passt_socket":"other.sock"}]' chain_under_load 2 6
}

# The same at moments as they come, without waiting for anything.
t_random_moments_under_load() {
	local i
	tap_echo
	echoes v_6000
	all_devices '"host_dev_name":"tap0"'
	boot g0 "$(machine 2 64 true)" "$drive"
	for i in $(seq 20); do
		sleep "0.0$((RANDOM % 90 + 10))"
		pause "g$((i - 1))"
		if [ $((i % 3)) = 1 ]; then create "g$((i - 1))" s m; else create "g$((i - 1))" s m Diff; fi
		end "g$((i - 1))"
		load "g$i" s m '"track_dirty_pages":true'
	done
	more_of g20 frames 0
	more_of g20 bytes 0
	finish g20
}
