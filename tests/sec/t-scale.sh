# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: Apache-2.0
# Hostile guests at scale: a hundred jailed VMs, each with an evil driver that begins again and again,
# beside a neighbour that must go on answering. docs/benchmarks.md has how fast it does (bench/run --only hostile).

# How many, how long before the neighbour is asked, and how often it is; 0 for no limits (bench/hostile).
readonly HOSTILE=${HOSTILE:-100} HOSTILE_S=${HOSTILE_S:-8} HOSTILE_ASKS=${HOSTILE_ASKS:-300} HOSTILE_LIMITS=${HOSTILE_LIMITS:-1}
readonly EVIL=(evil_loop evil_index_jump evil_indirect evil_address evil_ring_address evil_queue_size evil_status
	evil_blk evil_reset_midflight evil_blk_clear evil_vsock evil_net needs_reset_then_recover blk_bounds)
readonly SCALE_UID=65000

# config ID DEVICES CMDLINE [MIB]: the folder and the files of a jail, with this configuration.
config() {
	root=base/mayfly-vmm/$1/root
	mkdir -p "$root"
	printf '{"boot-source":{"kernel_image_path":"vmlinux","boot_args":"%s"},
		"machine-config":{"vcpu_count":1,"mem_size_mib":%d}%s,"entropy":{}}' "$3" "${4:-16}" "$2" >"$root/vm.json"
}

# scale_jail ID NUMBER ARG...: a VM with a user of its own; $pid.
scale_jail() {
	local id=$1 uid=$((SCALE_UID + $2))
	shift 2
	chown -R "$uid:$uid" "base/mayfly-vmm/$id/root"
	"$jailer" --id "$id" --exec-file "$vmm" --uid "$uid" --gid "$uid" --chroot-base-dir base \
		--parent-cgroup "$parent" "$@" \
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
	# Without limits an answer takes a thousand times longer.
	ask "$((${#limits[@]} ? HOSTILE_ASKS : 30))" beside
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

# over_limit ID CGROUP-ARG...: a jailed guest that writes to all of its 128 MiB again and again; $pid.
over_limit() {
	local id=$1
	shift
	config "$id" '' 'payload.fill=100 payload.churn=1' 128
	cp "$payloads/bench_snap.elf" "$root/vmlinux"
	scale_jail "$id" 1 --new-net-ns "$@"
}

# ticks PID: of CPU time, 100 to a second.
ticks_of() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

# beyond VERSION MEMORY-ARG... -- CPU-ARG...: what a guest gets that wants more memory, and more CPU time, than its cgroup has.
beyond() {
	local version=$1 memory=() greedy status=0 began before
	shift
	while [ "$1" != -- ]; do memory+=("$1"); shift; done
	shift
	neighbour
	over_limit memory "${memory[@]}"
	greedy=$pid
	ask 50 during
	for _ in $(seq 300); do
		! gone "$greedy" || break
		sleep 0.2
	done
	wait "$greedy" || status=$?
	equal "$status" 137
	ask 50 after
	alive "$neighbour"
	cleanup_one memory
	row "guest uses more memory than its cgroup has (cgroup version $version)" 7 "the kernel ends its own monitor; a neighbour answers throughout"

	over_limit cpu "$@"
	greedy=$pid
	sleep 1
	before=$(ticks_of "$greedy") began=$(date +%s%N)
	ask 50 during
	sleep 4
	# A tenth of a CPU; twice that is allowed for how time is counted.
	[ $((($(ticks_of "$greedy") - before) * 1000 / (($(date +%s%N) - began) / 10000000))) -le 200 ] ||
		fail "it got $(($(ticks_of "$greedy") - before)) ticks in $((($(date +%s%N) - began) / 10000000))"
	alive "$greedy"
	alive "$neighbour"
	kill -KILL "$greedy" "$neighbour"
	until_true all_ended "$greedy" "$neighbour"
	cleanup_one cpu
	cleanup_one neighbour
	row "guest spins on a tenth of a CPU (cgroup version $version)" 7 "it gets no more; a neighbour answers throughout"
}

t_more_memory_and_time_than_the_cgroup_has() {
	[ -n "$(hierarchy memory)" ] && [ -n "$(hierarchy cpu)" ] || skip "no memory or cpu controller of version 1"
	beyond 1 --cgroup memory.limit_in_bytes=50331648 -- --cgroup cpu.cfs_period_us=100000 --cgroup cpu.cfs_quota_us=10000
}

t2_more_memory_and_time_than_the_cgroup_has() {
	beyond 2 --cgroup-version 2 --cgroup memory.max=50331648 --cgroup memory.swap.max=0 -- \
		--cgroup-version 2 --cgroup 'cpu.max=10000 100000'
}
