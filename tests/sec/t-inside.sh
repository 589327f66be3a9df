# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# From inside the threads of a jailed monitor that misbehaves (inside.h).

sec=$(dirname "$vmm")/sec
inside=$sec/mayfly-vmm victim=$sec/victim

# inside ID ORDER... -- ARG...: a jail of the misbehaving monitor with a VM that boots and ends; ARG for the
# jailer. It must end well, and every attempt must have failed. Lines of /told are in ID.told.
inside() {
	local id=$1 status=0 v
	shift
	inside_start "$id" "$@"
	inside_ended "$pid"
	wait "$pid" || status=$?
	[ -z "$vm_elsewhere" ] || inside_ended "$(cat "$root/mayfly-vmm.pid")"
	tr -d '\0' <"$root/told" >"$id.told"
	[ "$(grep -c '^end$' "$id.told")" = 3 ] || fail "$(cat "$id.told" "$id.err" "$id.out")"
	if grep BROKEN "$id.told"; then fail "an attempt succeeded"; fi
	grep -aq '^PAYLOAD ok' "$id.out" || fail "$(cat "$id.out" "$id.err")"
	equal "$status" 0
	for v in "${victims[@]+"${victims[@]}"}"; do alive "$v" || fail "a victim of $id is dead"; done
	[ ! -e of_root ] || lacks of_root hit
}

# Thousands of processes, on a machine that may be slow.
inside_ended() { # PID
	for _ in $(seq 3000); do
		! gone "$1" || return 0
		sleep 0.02
	done
	fail "$1 does not end"
}

inside_start() {
	local id=$1 order=()
	# shellcheck disable=SC2034 # for jail
	local exec=$inside
	shift
	root=base/mayfly-vmm/$id/root vm_elsewhere=""
	mkdir -p "$root" base/mayfly-vmm/neighbour/root
	while [ "$1" != -- ]; do order+=("$1"); shift; done
	shift
	case " $* " in *' --new-pid-ns '*) vm_elsewhere=1 ;; esac
	printf '%s\n' "${order[@]}" >"$root/attack"
	cat victims >>"$root/attack" 2>/dev/null || true
	truncate -s 256K "$root/told"
	[ -e "$payloads/serial.elf" ] || fail "no payloads"
	truncate -s 1M "$root/disk"
	cp "$payloads/serial.elf" "$root/vmlinux"
	cp "$victim" "$root/suid"
	echo secret >base/mayfly-vmm/neighbour/root/secret
	printf '%s' '{"boot-source":{"kernel_image_path":"vmlinux"},"machine-config":{"vcpu_count":2,"mem_size_mib":32},' \
		'"drives":[{"drive_id":"d","path_on_host":"disk","is_root_device":false,"io_thread":true}]}' >"$root/vm.json"
	chown "$UID_OF_JAIL:$GID_OF_JAIL" "$root/told" "$root/disk"
	chmod 644 "$root/vm.json" "$root/attack" "$root/vmlinux"
	chmod 4755 "$root/suid"
	jail "$id" "$@" -- --no-api --config-file vm.json --level Error "${monitor[@]+"${monitor[@]}"}"
}

# Processes outside: one of root, one of the jail's user. Their numbers are in $victims, what to know of them
# in the file victims.
victims() {
	"$victim" >of_root &
	victims=($!)
	"$victim" -u "$UID_OF_JAIL" >of_user &
	victims+=($!)
	printf '%s\n' "${victims[@]}" >>pids
	until_true grep -q '^key' of_root
	until_true grep -q '^same' of_user
	cat of_root of_user >victims
}

# rows FILE: for the table of attacks. What the filter does, by thread where they differ; and what happens
# without it. The filter is a wall of every row in which it stops a thread.
rows() {
	awk -F '\t' '
	function join(t, mode, roles, r, i, n, seen, text, o, list) {
		n = split("vmm vcpu io", roles, " ")
		for (i = 1; i <= n; i++) {
			o = got[t, mode, roles[i]]
			if (!(o in seen)) list[++r] = o
			seen[o] = seen[o] (seen[o] == "" ? "" : " and ") roles[i]
		}
		if (r == 1) return list[1]
		for (i = 1; i <= r; i++) text = text (i > 1 ? ", " : "") seen[list[i]] " " list[i]
		return text
	}
	$1 == "end" { next }
	{
		if (!($5 in walls)) order[++count] = $5
		got[$5, $2, $1] = $6
		bare[$5] = bare[$5] || $2 == "bare"
		walls[$5] = $4
	}
	END {
		for (k = 1; k <= count; k++) {
			t = order[k]
			w = walls[t]
			w = w == "-" || w == "3" ? "3" : "3, " w
			printf "row\t%s\t%s\t%s%s\n", t, w, join(t, "filter"),
				bare[t] ? "; without the filter " join(t, "bare") : ""
		}
	}' "$1"
}

t_inside_no_thread_makes_a_call_without_a_rule() {
	victims=()
	inside a 'sets calls' -- --new-net-ns
	equal "$(grep -c held a.told)" 12
	rows a.told
}

t_inside_no_thread_gives_a_call_other_arguments() {
	victims=()
	inside a 'sets arguments' -- --new-net-ns
	[ "$(grep -c 'held.*SIGSYS' a.told)" -ge 100 ]
	rows a.told
}

# The starter has a key in its session, which nobody in the jail may see.
t_inside_the_jail_holds_with_and_without_filters() {
	local monitor=(--landlock off) before
	# shellcheck disable=SC2034 # for jail
	local with=$PWD/keyed
	printf '#!/bin/sh\nexec %s -k %s "$@"\n' "$victim" "$jailer" >keyed
	chmod 755 keyed
	before=$(sha256sum <"$inside")
	victims
	inside a 'sets jail' -- --new-net-ns --new-pid-ns
	equal "$(grep -v '^end$' a.told | cut -f 5 | sort | uniq -c | awk '$1 != 6 && !/chmod of/')" ""
	equal "$(sha256sum <"$inside")" "$before"
	equal "$(head -c 9 "$root/mayfly-vmm")" "#!/bin/sh"
	rows a.told
}

t_inside_the_jail_holds_in_a_user_namespace() {
	local monitor=(--landlock off)
	victims
	inside a 'sets jail' -- --new-net-ns --new-user-ns
}

t_inside_a_fork_bomb_stays_within_its_cgroup() {
	local monitor=(--landlock off)
	victims=()
	inside a 'sets forks' -- --cgroup pids.max=50 --parent-cgroup "$parent"
	rows a.told
}

t_inside_processes_are_out_of_sight_in_a_namespace() {
	local monitor=(--landlock off)
	victims
	inside a 'sets processes same-user' 'label with --new-pid-ns' -- --new-net-ns --new-pid-ns
	rows a.told
}

t_inside_processes_of_other_users_are_out_of_reach() {
	local monitor=(--landlock off)
	victims
	inside a 'sets processes' -- --new-net-ns
	sed -i 's/	5, 6	/	6	/' a.told # they are in sight
	rows a.told
}

t_inside_landlock_holds_in_the_jail() {
	victims
	inside a 'sets landlock' --
	rows a.told
}

# itself ROLE KIND: the thread itself makes the call, not a child of it.
itself() { # ROLE KIND STATUS
	local status=0 victims=()
	inside_start "$1$2" "itself $1 $2" --
	finished "$pid" || status=$?
	equal "$status" "$3"
	! grep -aq '^PAYLOAD ok' "$1$2.out" || fail "the VM ran on"
}

t_inside_a_forbidden_call_of_a_thread_ends_the_vm() {
	local role
	for role in main vcpu io; do
		itself "$role" call 148
		grep -aqE "$(case $role in main) echo main ;; vcpu) echo 'fc_vcpu [01]' ;; io) echo fc_io 0 ;; esac).*Shutting down VM after intercepting a bad syscall \(165\)" \
			"${role}call.out" || fail "$role: $(cat "${role}call.out")"
		itself "$role" i386 159
	done
	row "mount by the thread itself, not by a child of it" 3 "the monitor ends: status 148, a line in its log"
	row "an i386 call by the thread itself" 3 "the kernel ends the monitor by SIGSYS"
}

t2_inside_the_jail_holds_on_debians_kernel() {
	local monitor=(--landlock off)
	victims
	inside a 'sets jail' -- --new-net-ns --new-pid-ns --cgroup-version 2 --cgroup pids.max=50 \
		--parent-cgroup "$parent"
}

t2_inside_a_fork_bomb_stays_within_its_cgroup() {
	local monitor=(--landlock off)
	victims=()
	inside a 'sets forks' 'label cgroup version 2' -- --cgroup-version 2 --cgroup pids.max=50 --parent-cgroup "$parent"
	rows a.told
}
