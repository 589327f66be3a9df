# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2015,SC2034,SC2119,SC2120,SC2154 # variables and helpers are those of run
# What a load can be asked for, and what is seen of it.

t_load_waits_to_be_resumed() {
	take
	launch b
	ok b PUT /snapshot/load '{"snapshot_path":"s","mem_file_path":"m"}'
	ok b GET /
	case $body in *'"id":"b"'*'"Paused"'*) ;; *) fail "$body" ;; esac
	[ ! -s b.out ] || fail "the guest runs"
	resume b
	turns b 1
	ok b GET /vm/config
	case $body in *'"mem_size_mib":64'*) ;; *) fail "$body" ;; esac
	finish b
}

t_restore_by_the_command_line() {
	take
	launch b --restore s --memory m
	turns b 2
	finish b
	launch c --restore s --memory m --paused --clock-realtime
	ok c GET /
	case $body in *Paused*) ;; *) fail "$body" ;; esac
	resume c
	turns c 1
	finish c
	rm -f d.api
	"$vmm" --no-api --restore s --memory none >d.out 2>&1 && fail "it ran"
	grep -q 'No such file' d.out || fail "$(cat d.out)"
}

# own_pages NAME: how many pages of the memory file m a monitor has copied
own_pages() {
	local p
	eval "p=\$pid_$1"
	awk '/^[0-9a-f]+-/ { guest = $6 ~ /\/m$/ } guest && /^Private_Dirty:/ { n += $2 / 4 } END { print n }' \
		"/proc/$p/smaps"
}

# The pages of a diff are there before the guest runs, with what the memory file has.
t_prefetch() {
	local plain pages
	take
	load b s m
	turns b 2
	pause b
	create b ds dm Diff
	end b
	pages=$(($(stat -c %b dm) / 8 - 8)) # but for what the file system needs itself
	[ "$pages" -gt 100 ] || fail "$pages"
	launch c --restore s --memory m --paused
	ok c GET /
	plain=$(own_pages c)
	end c
	launch d --restore s --memory m --prefetch dm --paused
	ok d GET /
	[ "$(own_pages d)" -ge "$pages" ] && [ "$plain" -lt $((pages / 2)) ] ||
		fail "$pages in the diff, $plain without it, $(own_pages d) with it"
	resume d
	turns d 2
	finish d
	load e s m '"prefetch_path":"dm"'
	turns e 2
	finish e
	# nothing to bring, and in the last page only
	truncate -s 64M none
	launch f --restore s --memory m --prefetch none
	turns f 1
	finish f
	truncate -s $((64 * 1048576 - 1)) last
	printf x >>last
	launch g --restore s --memory m --prefetch last
	turns g 1
	finish g
}

t_what_is_no_file_is_refused_at_once() {
	local what
	take
	mkfifo fifo
	for what in fifo . /dev/null; do
		launch b
		bad 'neither a regular file nor' b PUT /snapshot/load \
			'{"snapshot_path":"'$what'","mem_file_path":"m"}'
		ends b 1
		launch c
		bad 'neither a regular file nor' c PUT /snapshot/load \
			'{"snapshot_path":"s","mem_file_path":"'$what'"}'
		ends c 1
	done
	launch d
	# A kernel that was a file when it was named.
	cp "$payloads/snap_chain.elf" k
	ok d PUT /boot-source '{"kernel_image_path":"'$PWD/k'"}'
	mv fifo k
	bad 'neither a regular file nor' d PUT /actions '{"action_type":"InstanceStart"}'
	end d
}

t_prefetch_refuses() {
	local file
	take
	truncate -s 63M short
	truncate -s 65M long
	head -c 64M /dev/urandom >full
	mkfifo fifo
	while read -r file text; do
		launch b --restore s --memory m --prefetch "$file"
		ends b 1
		grep -q "prefetch_path $file: $text" b.log || fail "$file: $(cat b.log)"
	done <<-END
		absent No such file
		short 66060288 bytes, the VM's memory has 67108864
		long 68157440 bytes
		full it has no hole
		fifo 0 bytes
		. [0-9]* bytes
	END
	launch c
	bad 'prefetch_path needs a memory file' c PUT /snapshot/load '{"snapshot_path":"s","prefetch_path":"d",
		"mem_backend":{"backend_type":"Uffd","backend_path":"u"}}'
	end c
}

t_state_file_is_described() {
	take
	"$vmm" --describe-snapshot s >said 2>err
	[ ! -s err ] || fail "$(cat err)"
	[ "$(head -n 1 said)" = "$("$vmm" --snapshot-version)" ] || fail "$(head -n 1 said)"
	grep -q '^memory 64 MiB$' said || fail "$(cat said)"
	! "$vmm" --describe-snapshot m >said 2>&1 || fail "$(cat said)"
}

t_texts_of_a_state_file_are_no_commands_for_a_terminal() {
	take
	LC_ALL=C sed 's/payload\.area/payl\x1b[2Jarea/' s >evil
	! cmp -s s evil || fail "nothing was replaced"
	"$tool" seal evil
	"$vmm" --describe-snapshot evil >said
	grep -q 'payl?\[2Jarea' said || fail "$(cat -v said)"
	! LC_ALL=C grep -q '[^ -~]' said || fail "$(cat -v said)"
}

# A file that may be a diff keeps its data: a hole in it would mean "not changed".
t_diff_onto_an_unknown_file() {
	local before
	boot a '"vcpu_count":1,"mem_size_mib":64,"track_dirty_pages":true'
	pause a
	create a s m
	resume a
	turns a 2
	pause a
	head -c 64M /dev/zero | tr '\0' x >d
	sync d
	before=$(stat -c %b d)
	ok a GET /
	create a s2 d Diff
	grep -q ' [1-9][0-9]* of zeroes' a.log || fail "no page has become zero: $(tail -n 1 a.log)"
	[ "$(stat -c %b d)" -ge "$before" ] || fail "$before blocks, then $(stat -c %b d)"
	end a
}

t_one_name_for_both_files() {
	local pair
	take
	load a s m
	pause a
	cksum s m >before
	ln s link
	ln m m.part
	for pair in 's s' 's ./s' 'link s' 'm.part m' 's s.part' 'new new'; do
		# shellcheck disable=SC2086 # two words
		set -- $pair
		bad 'must be two files' a PUT /snapshot/create \
			"{\"snapshot_path\":\"$1\",\"mem_file_path\":\"$2\"}"
	done
	cksum s m | cmp - before
	[ ! -e new ] && [ ! -e new.part ] || fail "something new is there"
	end a
}

t_metrics_have_the_times() {
	boot a '"vcpu_count":1,"mem_size_mib":64,"track_dirty_pages":true'
	pause a
	create a s m
	create a s m Diff
	ok a GET /metrics
	case $body in *create_snapshot*) ;; *) fail "no create_snapshot in the metrics" ;; esac
	end a
}

# A clone's generation: every load draws another id, and saves it in its own snapshot.
t_identity_changes() {
	local at
	take
	load b s m
	pause b
	create b s2 m2
	at=$((0xff000))
	! cmp -s -n 16 -i "$at" m m2 || fail "two machines have one VMGenID"
	at=$((0xfe000))
	! cmp -s -n 4096 -i "$at" m m2 || fail "VMClock did not change"
	end b
}

t_vsock_path_is_another() {
	more=",\"vsock\":{\"guest_cid\":3,\"uds_path\":\"$PWD/v\"}" take
	rm -f v
	load b s m "\"vsock_override\":{\"uds_path\":\"w\"}"
	[ -S w ] && [ ! -e v ] || fail "$(ls)"
	turns b 1
	finish b
}

# ---- memory by userfaultfd ----

handler() {
	rm -f "$1.sock"
	"$tool" uffd "$1.sock" m "${2:-}" >"$1.said" 2>&1 &
	echo $! >>pids
	for _ in $(seq 500); do [ ! -S "$1.sock" ] || return 0; sleep 0.02; done
	fail "no handler"
}
load_uffd() {
	launch "$1"
	ok "$1" PUT /snapshot/load "{\"snapshot_path\":\"s\",\"resume_vm\":true,
		\"mem_backend\":{\"backend_type\":\"Uffd\",\"backend_path\":\"$1.sock\"}${2:+,$2}}"
}

t_uffd() {
	take
	handler b
	load_uffd b
	turns b 2
	grep -Eq '^\[\{"base_host_virt_addr":[0-9]+,"size":67108864,"offset":0,"page_size":4096,"page_size_kib":4096\}\]$' \
		b.said || fail "$(cat b.said)"
	pause b
	create b s2 m2
	resume b
	turns b 1
	finish b
	load c s2 m2
	turns c 1
	finish c
}

t_uffd_diff() {
	take
	handler b
	load_uffd b '"track_dirty_pages":true'
	turns b 2
	pause b
	create b s m Diff
	end b
	load c s m
	turns c 2
	finish c
}

t_uffd_without_a_handler() {
	take
	launch b
	bad 'cannot connect to the handler' b PUT /snapshot/load '{"snapshot_path":"s",
		"mem_backend":{"backend_type":"Uffd","backend_path":"none"}}'
	ends b 1
}

# The guest waits for ever; the monitor does not fail, and ends when it is told to.
t_uffd_handler_dies() {
	take
	handler b die
	launch b
	api b PUT /snapshot/load '{"snapshot_path":"s","resume_vm":true,
		"mem_backend":{"backend_type":"Uffd","backend_path":"b.sock"}}'
	sleep 1
	if [ "$status" = 204 ]; then
		# shellcheck disable=SC2154 # set by launch
		alive "$pid_b" || fail "it ended: $(tail -n 3 b.log)"
		kill -TERM "$pid_b"
		ends b 143
	fi
	end b
}

# Wrong pages harm the guest, nobody else.
t_uffd_handler_lies() {
	take
	handler b lie
	launch b
	api b PUT /snapshot/load '{"snapshot_path":"s","resume_vm":true,
		"mem_backend":{"backend_type":"Uffd","backend_path":"b.sock"}}' || true
	sleep 1
	grep -aq 'bad syscall\|Shutting down VM after intercepting signal' b.log && fail "$(tail -n 3 b.log)"
	end b
}

# Pages of 2 MiB: from a VM that has them, and for one that had not.
t_uffd_huge_pages() {
	[ "$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages)" -ge 32 ] ||
		skip "it needs 32 free huge pages of 2 MiB"
	take '"vcpu_count":1,"mem_size_mib":32,"huge_pages":"2M"'
	handler b
	load_uffd b
	turns b 2
	grep -q '"page_size":2097152,"page_size_kib":2097152' b.said || fail "$(cat b.said)"
	pause b
	create b s m2
	end b
	load c s m2 '"huge_pages":"None"'
	turns c 1
	finish c
}

t_other_tap_and_mac() {
	local tap=mfs$((BASHPID % 100000))
	ip tuntap add "${tap}a" mode tap 2>/dev/null && ip tuntap add "${tap}b" mode tap || skip "no tap"
	# shellcheck disable=SC2064 # now
	trap "ip link del '${tap}a'; ip link del '${tap}b'" EXIT
	more=",\"network-interfaces\":[{\"iface_id\":\"n\",\"host_dev_name\":\"${tap}a\",
		\"guest_mac\":\"02:00:00:00:00:01\"}]" take
	load b s m "\"network_overrides\":[{\"iface_id\":\"n\",\"host_dev_name\":\"${tap}b\",
		\"guest_mac\":\"02:00:00:00:00:02\"}]"
	grep -q "iff:.*${tap}b" "/proc/$pid/fdinfo/"* || fail "the other tap is not open"
	ok b GET /vm/config
	case $body in *"${tap}b"*02:00:00:00:00:02*) ;; *02:00:00:00:00:02*"${tap}b"*) ;; *) fail "$body" ;; esac
	turns b 1
	finish b
}

# Both files as descriptors that are open already; a second VM uses the same.
t_load_from_descriptors() {
	local n
	take
	for n in b c; do
		launch "$n" 7<s 8<m
		ok "$n" PUT /snapshot/load '{"snapshot_path":"fd:7","resume_vm":true,
			"mem_backend":{"backend_type":"File","backend_path":"fd:8"}}'
		turns "$n" 1
	done
	launch d
	api d PUT /snapshot/load '{"snapshot_path":"fd:7","mem_file_path":"fd:8"}'
	case $status$body in 400*'no descriptor of that name'*) ;; *) fail "$status $body" ;; esac
	finish b
	finish c
}
