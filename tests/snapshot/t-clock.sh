# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables and helpers are those of run
# The guest's clocks across a snapshot, by a guest that tells kvm-clock's time when it is asked.

readonly CLOCK_NEAR_NS=10000000

# ask NAME: sets wall and mono to what the guest's clocks say, and t0 and t1 to the host's before and after.
# A question that took long, on a busy machine, is asked again.
ask() {
	local before line
	for _ in $(seq 50); do
		before=$(grep -ac '^clock ' "$1.out") || true
		t0=$(date +%s%N)
		printf c >"$1.in"
		for _ in $(seq 2000); do
			line=$(grep -a '^clock .* end' "$1.out" | sed -n "$((before + 1))p")
			[ -z "$line" ] || break
			sleep 0.002
		done
		t1=$(date +%s%N)
		[ -n "$line" ] || fail "$1 does not tell the time: $(tail -n 3 "$1.out" "$1.err")"
		read -r _ wall mono _ <<<"$line"
		[ $((t1 - t0)) -gt 100000000 ] || return 0
	done
	fail "no answer within 100 ms in 50 questions"
}

# near WHAT NS: the wall clock is that much off the host's, within 10 ms.
near() {
	[ "$wall" -ge $((t0 + $2 - CLOCK_NEAR_NS)) ] && [ "$wall" -le $((t1 + $2 + CLOCK_NEAR_NS)) ] ||
		fail "$1: the guest says $wall, the host $t0 to $t1: $((wall - t0 - $2)) ns off"
}

clock_saved() {
	launch a --config-file <(printf '{"boot-source":{"kernel_image_path":"%s"},"machine-config":%s,"drives":[]}' \
		"$payloads/clock.elf" '{"vcpu_count":1,"mem_size_mib":64}')
	for _ in $(seq 500); do
		! grep -aq '^ready' a.out || break
		sleep 0.02
	done
	ask a
	near "before" 0
	pause a
	sleep 1
	resume a
	ask a
	mono_saved=$mono
	pause a
	create a s m
	end a
}

# A clone that is saved before it ran has the time at which it was saved, and when that was.
t_clone_that_never_ran_keeps_the_wall_clock() {
	clock_saved
	launch b --restore s --memory m --paused
	ok b GET /
	create b s2 m2
	end b
	load c s2 m2 '"clock_realtime":true'
	ask c
	[ "$mono" -ge "$mono_saved" ] || fail "monotonic time went from $mono_saved to $mono"
	finish c
}

t_wall_clock_is_right_within_10_ms_when_asked_for() {
	local slept
	clock_saved
	near "after a pause" 0
	slept=$(date +%s%N)
	sleep 2
	load b s m '"clock_realtime":true'
	ask b
	near "after the load" 0
	# What is monotonic went on as the wall clock did, and not a moment more.
	[ "$mono" -ge $((mono_saved + 2000000000)) ] && [ "$mono" -le $((mono_saved + t1 - slept + 200000000)) ] ||
		fail "monotonic time went from $mono_saved to $mono in $((t1 - slept)) ns"
	sleep 0.5
	ask b
	near "later" 0
	finish b
}

t_clocks_go_on_from_where_they_stood_unless_asked() {
	local stood
	clock_saved
	stood=$t0
	sleep 2
	load b s m
	ask b
	[ "$mono" -ge "$mono_saved" ] && [ "$mono" -le $((mono_saved + 1000000000)) ] ||
		fail "monotonic time went from $mono_saved to $mono"
	[ "$wall" -le $((stood + 1000000000)) ] || fail "the wall clock jumped: $wall, stood at $stood"
	finish b
}
