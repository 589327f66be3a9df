# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2015,SC2034,SC2119,SC2120,SC2154 # variables and helpers are those of run
# Live fork: the guest checks all of its memory all the time, so that it says "PAYLOAD fail" as soon
# as it sees a page of another VM.

# fork NAME [N [MORE FIELDS]]: NAME is offered on NAME.fork to N children.
fork() { ok "$1" PUT /snapshot/fork "{\"socket_path\":\"$1.fork\",\"children\":${2:-1}${3:+,$3}}"; }
# child NAME PARENT: a monitor that goes on from there.
child() { launch "$1" --fork-from "$2.fork"; }
gone() {
	for _ in $(seq 200); do [ -e "$1" ] || return 0; sleep 0.02; done
	fail "$1 is still there"
}

t_fork_one_child() {
	boot a
	"$tool" offer a.fork nothing & # what a process that is gone has left
	for _ in $(seq 100); do [ ! -S a.fork ] || break; sleep 0.02; done
	kill -KILL $!
	wait $! || true
	[ -S a.fork ]
	fork a
	[ "$(stat -c %a a.fork)" = 600 ] || fail "$(stat -c %a a.fork)"
	child b a
	turns b 2
	gone a.fork
	turns a 2
	finish b
	finish a
}

t_fork_of_many_vcpus_and_many_children() {
	local n i
	for n in 2 4; do
		boot a "\"vcpu_count\":$n,\"mem_size_mib\":128"
		fork a 8
		for i in 1 2 3 4 5 6 7 8; do child "b$i" a; done
		for i in 1 2 3 4 5 6 7 8; do turns "b$i" 1; done
		gone a.fork
		finish b3
		end b5
		for i in 1 2 4 6 7 8; do finish "b$i"; done
		turns a 1
		finish a
		rm -f ./*.in
	done
}

# More forks than there may be layers, so that they are merged, too. Old generations leave nothing.
t_fork_again_and_again() {
	local i before after
	boot a
	for i in $(seq 16); do
		fork a
		child b a
		turns b 1
		if [ "$i" = 2 ]; then before=$(memfd_kib a); fi
		[ $((i % 5)) != 0 ] || turns a 1
		finish b
	done
	after=$(memfd_kib a)
	[ "$after" -lt $((before * 20)) ] || fail "memory of the parent's memfds: $before, then $after KiB"
	finish a
}
# memfd_kib NAME: what all memfds of a monitor take.
memfd_kib() {
	local p f sum=0
	eval "p=\$pid_$1"
	for f in /proc/"$p"/fd/*; do
		case $(readlink "$f") in */memfd:*) sum=$((sum + $(stat -Lc %b "$f") / 2)) ;; esac
	done
	echo "$sum"
}

t_fork_of_a_fork() {
	boot a
	fork a
	child b a
	turns b 1
	fork b
	child c b
	turns c 1
	end a # nobody needs the parent
	fork c
	child d c
	turns d 1
	finish b
	turns d 1
	finish c
	turns d 1
	finish d
}

t_fork_while_paused_and_of_a_loaded_vm() {
	take
	load b s m
	turns b 1
	pause b
	fork b
	ok b GET /
	case $body in *Paused*) ;; *) fail "$body" ;; esac
	launch c
	ok c PUT /snapshot/load '{"fork_from":"b.fork"}'
	resume b
	turns b 1
	ok c GET /
	case $body in *Paused*) ;; *) fail "$body" ;; esac
	resume c
	turns c 1
	finish b
	finish c
}

# What a child or a parent of forks saves is all that it has.
t_fork_is_saved_and_loaded() {
	local n
	boot a
	fork a
	child b a
	turns b 1
	fork b
	child c b
	turns c 1
	for n in a b c; do
		pause "$n"
		create "$n" "$n.s" "$n.m"
		create "$n" "$n.s2" "$n.m2" Diff
		end "$n"
		load "${n}1" "$n.s" "$n.m"
		turns "${n}1" 1
		finish "${n}1"
		load "${n}2" "$n.s2" "$n.m2"
		turns "${n}2" 1
		finish "${n}2"
	done
}

# A child has no file of its own yet: its first diff has everything, also with a list of changed pages.
t_fork_that_tracks_pages_saves_a_whole_diff() {
	boot a
	fork a
	launch b
	ok b PUT /snapshot/load '{"fork_from":"a.fork","track_dirty_pages":true,"resume_vm":true}'
	end a
	turns b 1
	pause b
	create b s m Diff
	resume b
	turns b 1
	pause b
	create b s2 m Diff
	end b
	load c s2 m
	turns c 1
	finish c
}

# The memory file that a VM was loaded from is what its forks go on from, too.
t_fork_keeps_its_base() {
	local n
	take
	load a s m
	turns a 1
	fork a
	child b a
	pause b
	pause a
	for n in a b; do
		bad 'forks of this VM have it mapped' "$n" PUT /snapshot/create \
			'{"snapshot_path":"s2","mem_file_path":"m","snapshot_type":"Diff"}'
	done
	create a s2 m2 Diff
	"$mayfly" snapshot merge m m2 -o m3
	resume b
	turns b 1
	finish b
	end a
	load c s2 m3
	turns c 1
	finish c
}

t_fork_refuses() {
	boot a '"vcpu_count":1,"mem_size_mib":64'
	bad 'missing field' a PUT /snapshot/fork '{}'
	bad 'children' a PUT /snapshot/fork '{"socket_path":"x","children":0}'
	bad 'children' a PUT /snapshot/fork '{"socket_path":"x","children":10001}'
	bad 'timeout_ms' a PUT /snapshot/fork '{"socket_path":"x","timeout_ms":0}'
	bad 'No such file' a PUT /snapshot/fork '{"socket_path":"no/such/x"}'
	: >file
	bad 'is no socket' a PUT /snapshot/fork '{"socket_path":"file"}'
	turns a 1
	fork a 2 '"timeout_ms":300'
	bad 'still offered on a.fork to 2 more' a PUT /snapshot/fork '{"socket_path":"y"}'
	gone a.fork
	launch b --fork-from a.fork
	ends b 1
	grep -q 'fork_from a.fork: cannot connect' b.log || fail "$(cat b.log)"
	launch c
	bad 'leave them out' c PUT /snapshot/load '{"fork_from":"x","snapshot_path":"s"}'
	end c
	fork a
	child d a
	turns d 1
	finish d
	finish a
}

# Peers that connect and do nothing, or send what nobody asked for, hold nobody up.
t_fork_with_hostile_peers() {
	local i
	boot a
	fork a 6
	for i in 1 2 3; do "$tool" hang a.fork & done
	for i in 1 2; do "$tool" shout a.fork & done
	sleep 0.3
	turns a 1
	child b a
	turns b 1
	gone a.fork
	finish b
	finish a
	# and the other way round: what a child is given is no fork
	for i in nothing junk magic nofds badfds; do
		"$tool" offer bad.fork "$i" &
		for _ in $(seq 100); do [ ! -S bad.fork ] || break; sleep 0.02; done
		launch c --fork-from bad.fork
		ends c 1
		grep -q 'fork_from bad.fork' c.log || fail "$i: $(cat c.log c.err)"
		rm -f bad.fork
	done
}

t_fork_needs_disks_of_its_own() {
	truncate -s 1M disk
	boot a '"vcpu_count":1,"mem_size_mib":64' \
		'{"drive_id":"d","path_on_host":"disk","is_root_device":false,"is_read_only":false}'
	fork a 2
	child b a
	ends b 1
	grep -q 'drive d is writable and the parent goes on with disk' b.log || fail "$(cat b.log)"
	pause a
	cp disk copy
	resume a
	launch c
	ok c PUT /snapshot/load '{"fork_from":"a.fork","resume_vm":true,
		"drive_overrides":[{"drive_id":"d","path_on_host":"copy"}]}'
	turns c 1
	finish c
	finish a
}

# Disks as they are at the fork: each child finds on its copy what its memory knows to be there.
t_fork_clones_disks() {
	local n
	[ "$(id -u)" = 0 ] || skip "no root: no file system with reflinks can be mounted"
	truncate -s 400M fs.img
	mkfs.xfs -q fs.img
	mkdir fs
	mount -o loop fs.img fs
	trap 'umount -l fs' EXIT
	truncate -s 1M fs/disk
	boot a '"vcpu_count":1,"mem_size_mib":64' '{"drive_id":"d","path_on_host":"fs/disk",
		"is_root_device":false,"is_read_only":false,"io_engine":"Async"}'
	bad 'drive_clones[0]: there is no drive e' a PUT /snapshot/fork \
		'{"socket_path":"a.fork","drive_clones":[{"drive_id":"e","path":"fs/c1"}]}'
	: >fs/old
	bad 'File exists' a PUT /snapshot/fork '{"socket_path":"a.fork","drive_clones":[
		{"drive_id":"d","path":"fs/c1"},{"drive_id":"d","path":"fs/old"}]}'
	bad 'cannot share the blocks' a PUT /snapshot/fork '{"socket_path":"a.fork","drive_clones":[
		{"drive_id":"d","path":"fs/c1"},{"drive_id":"d","path":"elsewhere"}]}'
	[ ! -e fs/c1 ] && [ -e fs/old ] && [ ! -e elsewhere ] && [ ! -e a.fork ] || fail "$(ls . fs)"
	turns a 1
	fork a 2 '"drive_clones":[{"drive_id":"d","path":"fs/c1"},{"drive_id":"d","path":"fs/c2"}]'
	turns a 2
	for n in 1 2; do
		launch "b$n"
		ok "b$n" PUT /snapshot/load "{\"fork_from\":\"a.fork\",\"resume_vm\":true,
			\"drive_overrides\":[{\"drive_id\":\"d\",\"path_on_host\":\"fs/c$n\"}]}"
		turns "b$n" 1
	done
	for n in a b1 b2; do finish "$n"; done
	[ "$(stat -c %a fs/c1)" = 600 ] || fail "$(stat -c %a fs/c1)"
}
