# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2015,SC2034,SC2119,SC2120,SC2154 # variables and helpers are those of run
# Chains: save, load in a new process, run, save again. The guest checks its memory all the time.

machine() { printf '"vcpu_count":%s,"mem_size_mib":%s,"track_dirty_pages":%s' "$1" "$2" "$3"; }

# chain CPUS MIB LENGTH: full snapshots, the generations in files of their own.
chain() {
	local i
	boot g0 "$(machine "$1" "$2" false)"
	for i in $(seq "$3"); do
		pause "g$((i - 1))"
		create "g$((i - 1))" "s$i" "m$i"
		end "g$((i - 1))"
		load "g$i" "s$i" "m$i"
		turns "g$i" 2
	done
	finish "g$3"
}

t_chain_of_ten_full() { chain 1 64 10; }
t_chain_two_cpus() { chain 2 64 4; }
t_chain_four_cpus() { chain 4 64 4; }
t_chain_memory_above_the_hole() { area=2 chain 2 4096 2; }

# The memory file is guest RAM's size, and the disk has only what is not zero.
t_memory_file_is_sparse() {
	boot a '"vcpu_count":1,"mem_size_mib":512'
	pause a
	create a s m
	[ "$(stat -c %s m)" = $((512 * 1024 * 1024)) ] || fail "size $(stat -c %s m)"
	[ "$(stat -c %b m)" -lt 65536 ] || fail "$(stat -c %b m) blocks on the disk"
	[ ! -e m.part ] && [ ! -e s.part ] || fail "files are left"
}

t_saved_machine_goes_on() {
	boot a
	pause a
	create a s m
	resume a
	turns a 3
	finish a
}

# Two machines of one snapshot at the same time, and a third after them: the files stay as they are.
t_one_snapshot_many_times() {
	local before
	boot a
	pause a
	create a s m
	end a
	before=$(cat s m | cksum)
	load b s m
	load c s m
	turns b 2
	turns c 2
	finish b
	finish c
	load d s m
	turns d 1
	finish d
	[ "$(cat s m | cksum)" = "$before" ] || fail "the files changed"
}

# Diffs into one file that is complete at any time. CPUS TRACK
diffs_in_place() {
	local i
	boot g0 "$(machine "$1" 64 "$2")"
	pause g0
	create g0 s0 m
	resume g0
	for i in $(seq 3); do
		turns g0 2
		pause g0
		create g0 "s$i" m Diff
		resume g0
	done
	end g0
	for i in $(seq 3); do
		load "l$i" s3 m "\"track_dirty_pages\":$2"
		turns "l$i" 2
		pause "l$i"
		create "l$i" s3 m Diff
		end "l$i"
	done
	load last s3 m
	turns last 2
	finish last
}

t_diffs_tracked() { diffs_in_place 1 true; }
t_diffs_tracked_four_cpus() { diffs_in_place 4 true; }
t_diffs_untracked() { diffs_in_place 1 false; }

# A diff by itself is full-length, has only what changed, and merges by copying its data.
t_diff_of_its_own() {
	boot a "$(machine 1 64 true)"
	pause a
	create a s m
	resume a
	turns a 1
	pause a
	create a s2 d Diff
	[ "$(stat -c %s d)" = "$(stat -c %s m)" ] || fail "size $(stat -c %s d)"
	end a
	"$tool" merge d m
	load b s2 m
	turns b 2
	finish b
}

# Full and diff, saved and loaded in turns, onto the file that is mapped.
t_chain_mixed() {
	local i
	boot g0 "$(machine 2 64 true)"
	pause g0
	create g0 s m
	for i in $(seq 9); do
		resume "g$((i - 1))"
		turns "g$((i - 1))" 1
		pause "g$((i - 1))"
		if [ $((i % 3)) = 0 ]; then
			create "g$((i - 1))" s m
		else
			create "g$((i - 1))" s m Diff
		fi
		end "g$((i - 1))"
		launch "g$i"
		ok "g$i" PUT /snapshot/load '{"snapshot_path":"s","mem_file_path":"m","enable_diff_snapshots":true}'
	done
	resume g9
	turns g9 2
	finish g9
}

# Under disk load, with both engines; the disk goes along.
disk() {
	truncate -s 1M disk
	boot g0 '"vcpu_count":1,"mem_size_mib":64' "{\"drive_id\":\"d\",\"path_on_host\":\"disk\",
		\"is_root_device\":false,\"is_read_only\":false,\"io_engine\":\"$1\"}"
	local i last=disk
	for i in 1 2 3 4 5 6; do
		pause "g$((i - 1))"
		create "g$((i - 1))" s m
		end "g$((i - 1))"
		cp "$last" "disk$i"
		last=disk$i
		load "g$i" s m "\"drive_overrides\":[{\"drive_id\":\"d\",\"path_on_host\":\"disk$i\"}]"
		turns "g$i" 2
	done
	finish g6
}
t_disk_sync() { disk Sync; }
t_disk_async() { disk Async; }

# A hundred moments, taken as they come.
t_random_moments() {
	local i
	boot g0 "$(machine 2 32 true)"
	for i in $(seq 100); do
		sleep "0.0$((RANDOM % 90 + 10))"
		pause g0
		if [ "$i" = 1 ]; then create g0 s m; else create g0 s m Diff; fi
		load "l$i" s m
		resume g0
		turns "l$i" 1
		end "l$i"
	done
	turns g0 1
	finish g0
}

# Since the start everything has changed: a first diff is all there is.
t_first_diff_is_whole() {
	local track
	for track in true false; do
		boot "a$track" "$(machine 2 64 "$track")"
		pause "a$track"
		create "a$track" s "m$track" Diff
		end "a$track"
		load "b$track" s "m$track"
		turns "b$track" 2
		finish "b$track"
	done
}

# A machine that was loaded and never resumed is saved again.
t_saved_without_having_run() {
	boot a
	pause a
	create a s m
	end a
	launch b
	ok b PUT /snapshot/load '{"snapshot_path":"s","mem_file_path":"m"}'
	create b s2 m2
	end b
	load c s2 m2
	turns c 2
	finish c
}

t_chain_six_gib() { area=2 chain 2 6144 2; }

# Seen from outside: a machine that did not run has the memory it was given, but for what names it anew
# (VMGenID, kvm-clock).
t_memory_is_the_same_from_outside() {
	local differ
	boot a "$(machine 2 64 false)"
	pause a
	create a s m
	end a
	launch b
	ok b PUT /snapshot/load '{"snapshot_path":"s","mem_file_path":"m"}'
	create b s2 m2
	end b
	differ=$(cmp -l m m2 | awk '{ print int(($1 - 1) / 4096) }' | sort -u | wc -l)
	[ "$differ" -le 4 ] || fail "$differ pages differ"
}
