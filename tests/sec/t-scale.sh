# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: Apache-2.0
# Hostile guests at scale: a hundred jailed VMs, each with an evil driver that begins again and again,
# beside a neighbour that must go on answering. docs/benchmarks.md has how fast it does (bench/run --only hostile).

# How many, how long before the neighbour is asked, and how often it is; 0 for no limits (bench/hostile).
readonly HOSTILE=${HOSTILE:-100} HOSTILE_S=${HOSTILE_S:-8} HOSTILE_ASKS=${HOSTILE_ASKS:-300} HOSTILE_LIMITS=${HOSTILE_LIMITS:-1}
readonly EVIL=(evil_loop evil_index_jump evil_indirect evil_address evil_ring_address evil_queue_size evil_status
	evil_blk evil_reset_midflight evil_blk_clear evil_vsock evil_net needs_reset_then_recover blk_bounds)
readonly SCALE_UID=65000

# config ID DEVICES CMDLINE: the folder and the files of a jail, with this configuration.
config() {
	root=base/mayfly-vmm/$1/root
	mkdir -p "$root"
	printf '{"boot-source":{"kernel_image_path":"vmlinux","boot_args":"%s"},
		"machine-config":{"vcpu_count":1,"mem_size_mib":16}%s,"entropy":{}}' "$3" "$2" >"$root/vm.json"
}

# scale_jail ID NUMBER ARG...: a VM with a user of its own; $pid.
scale_jail() {
	local id=$1 uid=$((SCALE_UID + $2))
	shift 2
	chown -R "$uid:$uid" "base/mayfly-vmm/$id/root"
	"$jailer" --id "$id" --exec-file "$vmm" --uid "$uid" --gid "$uid" --chroot-base-dir base "$@" \
		-- --config-file vm.json --no-api --level Warning >"$id.out" 2>"$id.err" </dev/null &
	pid=$!
	echo "$pid" >>pids
}

neighbour() {
	config neighbour ',"vsock":{"guest_cid":3,"uds_path":"v"}' 'payload.conns=1000000 payload.patience=100 payload.halt=1'
	ln "$payloads/vsock_echo.elf" "$root/vmlinux" 2>/dev/null || cp "$payloads/vsock_echo.elf" "$root/vmlinux"
	answering=$root/v
	scale_jail neighbour 0 --new-net-ns "$@"
	neighbour=$pid
	until_true test -S "$answering"
}

# ask TIMES FILE: what it says of its round trips.
ask() { timeout 120 "$payloads/vsock-tool" ping "hybrid:$answering:5000" "$1" >"$2" || fail "the neighbour: $(cat "$2")"; }

# What an operator gives each: a hundredth of a CPU. Where there is no such controller, nothing.
limits() {
	limits=()
	[ "$HOSTILE_LIMITS" -eq 1 ] || return 0
	if [ -n "$(hierarchy cpu)" ]; then
		limits=(--cgroup cpu.cfs_period_us=100000 --cgroup cpu.cfs_quota_us=1000)
	elif grep -qs '\bcpu\b' /sys/fs/cgroup/cgroup.controllers; then
		limits=(--cgroup-version 2 --cgroup 'cpu.max=1000 100000')
	fi
}

# hostile NUMBER ARG...: one more of them.
hostile() {
	local id=h$1 payload=${EVIL[$1 % ${#EVIL[@]}]} devices net=(--new-net-ns) ns=mayfly-sec-$$-$1
	local drives='"drives":[' drive
	for drive in a b; do
		drives+='{"drive_id":"'$drive'","path_on_host":"'$drive'","is_root_device":false},'
	done
	devices=,${drives%,}]
	[ "$payload" != evil_vsock ] || devices+=',"vsock":{"guest_cid":3,"uds_path":"v"}'
	if [ "$payload" = evil_net ]; then
		devices+=',"network-interfaces":[{"iface_id":"n","guest_mac":"02:00:00:00:00:01","host_dev_name":"tap0"}]'
		echo "$ns" >>netns
		ip netns add "$ns"
		ip -n "$ns" tuntap add tap0 mode tap user "$((SCALE_UID + $1))"
		ip -n "$ns" addr add 10.11.12.1/24 dev tap0
		ip -n "$ns" link set tap0 up
		net=(--netns "/run/netns/$ns")
	fi
	config "$id" "$devices" 'payload.repeat=1 payload.patience=100'
	"$payloads/pattern" 1048576 >"$root/a"
	cp "$root/a" "$root/b"
	ln "$payloads/$payload.elf" "$root/vmlinux" 2>/dev/null || cp "$payloads/$payload.elf" "$root/vmlinux"
	if [ "$payload" = evil_vsock ]; then
		"$payloads/vsock-tool" echo "unix:$root/v_6000" >/dev/null 2>&1 &
		echo $! >>pids
		until_true test -S "$root/v_6000"
		chmod 777 "$root/v_6000"
	fi
	scale_jail "$id" "$1" "${net[@]}" "${@:2}"
	hostile+=("$pid")
}

scale_netns_gone() {
	local ns
	[ -e netns ] || return 0
	while read -r ns; do ip netns del "$ns" 2>/dev/null || true; done <netns
}

# ended PID...: how many of them have.
ended() { echo $(($# - $(ps -o stat= -p "$(IFS=,; echo "$*")" | grep -cv '^Z'))); }
all_ended() { [ "$(ended "$@")" -eq $# ]; }

# Who has not begun: the fastest has done all its attacks by then, the slowest needs minutes.
attackless() {
	local n
	for n in $(seq "$HOSTILE"); do
		[ "$(grep -acE -m 1 '^(case|PAYLOAD again)' "h$n.out")" -ge 1 ] || echo "$n"
	done
}
all_attack() { [ -z "$(attackless)" ]; }

t_hundred_hostile_guests_beside_a_neighbour() {
	local n hostile=()
	trap scale_netns_gone EXIT
	limits
	neighbour
	ask "$HOSTILE_ASKS" alone
	for n in $(seq "$HOSTILE"); do hostile "$n" "${limits[@]}"; done
	sleep "$HOSTILE_S"
	ask "$HOSTILE_ASKS" beside
	for _ in $(seq 45); do
		! all_attack || break
		sleep 2
	done
	all_attack || fail "not at it: $(attackless | while read -r n; do tail -qn 1 "h$n.out"; done | sort | uniq -c)"
	! grep -a '^PAYLOAD fail' h*.out || fail "an attack did not get the answer that it must have"
	[ "$(ended "${hostile[@]}" "$neighbour")" -eq 0 ] || fail "some are gone: $(tail -qn 1 ./*.err)"
	! grep -l 'bad syscall' ./*.out ./*.err || fail "a filter was hit"
	kill -TERM "${hostile[@]}" "$neighbour"
	until_true all_ended "${hostile[@]}" "$neighbour"
	for n in $(seq "$HOSTILE"); do cleanup_one "h$n"; done
	cleanup_one neighbour
	[ ! -e base/mayfly-vmm ] || fail "$(find base) is left"
	printf '# neighbour alone: %s; beside: %s\n' "$(cat alone)" "$(cat beside)"
	row "$HOSTILE jailed guests with evil drivers at once, each attack again and again" "2, 7" \
		"no monitor ends, no filter is hit, a neighbour answers each time, nothing is left"
}
cleanup_one() { "$jailer" --cleanup "$1" --exec-file "$vmm" --chroot-base-dir base; }
