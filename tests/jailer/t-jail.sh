# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# What a jail is: its files, and what a process in it sees and can do.

t_folders_and_files_have_their_modes_and_owners() {
	local u=$UID_OF_JAIL g=$GID_OF_JAIL uffd
	jailed a
	uffd=$(awk '$2 == "userfaultfd" { printf "%x", $1 }' /proc/misc)
	{
		echo "base/probe 755 0 0 0,0"
		echo "base/probe/a 755 0 0 0,0"
		echo "base/probe/a/mayfly-jail 600 0 0 0,0"
		for d in "" /dev /dev/net /run; do echo "base/probe/a/root$d 700 $u $g 0,0"; done
		echo "base/probe/a/root/dev/kvm 600 $u $g a,e8"
		echo "base/probe/a/root/dev/net/tun 600 $u $g a,c8"
		echo "base/probe/a/root/dev/urandom 600 $u $g 1,9"
		[ -z "$uffd" ] || echo "base/probe/a/root/dev/userfaultfd 600 $u $g a,$uffd"
		echo "base/probe/a/root/probe 755 $u $g 0,0"
		echo "base/probe/a/root/probe.pid 644 0 0 0,0"
		echo "base/probe/a/root/told 644 $u $g 0,0"
	} | sort >wanted
	find base/probe -exec stat -c '%n %a %u %g %t,%T' {} + | sort >got
	diff wanted got || fail "see above"
	cmp "$probe" base/probe/a/root/probe
	[ "$(stat -c %i "$probe")" != "$(stat -c %i base/probe/a/root/probe)" ]
	equal "$(cat base/probe/a/root/probe.pid)" "$pid"
	equal "$(wc -c <base/probe/a/root/probe.pid)" "${#pid}"
	stop a
	[ ! -e base/probe ]
}

t_the_process_has_no_privilege() {
	jailed a
	has a.told '^caps 00 00 00 0 0$'
	has a.told '^no_new_privs 1$'
	has a.told "^uid $UID_OF_JAIL $UID_OF_JAIL $UID_OF_JAIL$"
	has a.told "^gid $GID_OF_JAIL $GID_OF_JAIL $GID_OF_JAIL$"
	has a.told '^groups 0$'
	for try in mount mknod setuid chroot; do has a.told "^$try fails$"; done
	has a.told '^kvm opens$'
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		has "/proc/$vm/status" "^$set:	0000000000000000$"
	done
	has "/proc/$vm/status" '^NoNewPrivs:	1$'
}

t_uid_0_holds_no_capability_either() {
	mkdir base
	jailed a --uid 0 --gid 0
	has a.told '^uid 0 0 0$'
	has a.told '^caps 00 00 00 0 0$'
	for try in mount mknod chroot; do has a.told "^$try fails$"; done
}

t_the_process_sees_only_its_root() {
	jailed a
	grep '^in /' a.told | sort >got
	{
		printf 'in / %s\n' dev probe probe.pid run
		printf 'in /dev %s\n' kvm net urandom
		! grep -q userfaultfd /proc/misc || echo 'in /dev userfaultfd'
		echo 'in /dev/net tun'
	} | sort >wanted
	diff wanted got
	has a.told '^parent same$'
	# Its mounts: the root, and nothing else.
	equal "$(wc -l <"/proc/$vm/mountinfo")" 1
	has "/proc/$vm/mountinfo" ' / [a-z,]*nosuid'
	# None is left in the host.
	lacks /proc/self/mountinfo "$PWD"
}

t_nothing_of_the_starter_is_inherited() {
	export SECRET=1
	umask 077
	trap '' PIPE
	exec 7</etc/hostname 9>secret
	jailed a
	exec 7<&- 9>&-
	trap - PIPE
	lacks a.told '^env '
	has a.told '^fds 0 1 2$'
	has a.told '^umask 022$'
	has "/proc/$vm/status" '^SigIgn:	0000000000000000$'
	has "/proc/$vm/status" '^SigBlk:	0000000000000000$'
	[ -z "$(ps -o pid= --ppid "$vm")" ] || fail "it has a child"
}

t_passed_descriptors_stay_open() {
	exec 7</etc/hostname 9>/dev/null
	jailed a --pass-fd 9 --pass-fd=7 --pass-fd 9
	stop a
	has a.told '^fds 0 1 2 7 9$'
	jailed b --pass-fd 7 --new-pid-ns
	stop b
	has b.told '^fds 0 1 2 7$'
	jailed c
	has c.told '^fds 0 1 2$'
	exec 7<&- 9>&-
	refused '--pass-fd: descriptor 7: Bad file descriptor' d --pass-fd 7
	for fd in 2 256 -1 x ''; do
		refused "Invalid descriptor: $fd; --pass-fd is a number from 3 to 255" d --pass-fd "$fd"
	done
}

t_closed_standard_files_are_filled() {
	mkdir base
	"$jailer" --id a --exec-file "$probe" --uid 1 --gid 1 --chroot-base-dir base <&- >&- 2>&- &
	echo $! >>pids
	until_true test -e base/probe/a/root/told
	has base/probe/a/root/told '^fds 0 1 2$'
	has base/probe/a/root/told '^null 2$'
}

t_arguments_are_passed_on() {
	jailed a -- --api-sock x "two words" "" --id b
	sed -n 's/^arg //p' a.told | sed -E 's/^[0-9]{2,}$/N/' >got
	printf '%s\n' /probe --id a --start-time-us N --start-time-cpu-us N --parent-cpu-time-us N \
		--api-sock x "two words" "" --id b | sed -E 's/^[0-9]+$/N/' >wanted
	sed -i -E 's/^[0-9]+$/N/' got
	diff wanted got
}

t_namespaces_are_its_own() {
	jailed a
	for ns in mnt ipc uts; do
		[ "$(readlink "/proc/$vm/ns/$ns")" != "$(readlink "/proc/self/ns/$ns")" ] || fail "$ns"
	done
	for ns in net pid user; do
		equal "$(readlink "/proc/$vm/ns/$ns")" "$(readlink "/proc/self/ns/$ns")"
	done
	has a.told '^host a$'
	equal "$vm" "$pid"
	equal "$(cat "/proc/$vm/comm")" probe
}

t_new_net_ns_is_empty() {
	jailed a --new-net-ns
	[ "$(readlink "/proc/$vm/ns/net")" != "$(readlink /proc/self/ns/net)" ]
	equal "$(grep -c : "/proc/$vm/net/dev")" 1
}

t_new_user_ns_knows_one_user() {
	jailed a --new-user-ns
	[ "$(readlink "/proc/$vm/ns/user")" != "$(readlink /proc/self/ns/user)" ]
	equal "$(tr -s ' ' <"/proc/$vm/uid_map")" " $UID_OF_JAIL $UID_OF_JAIL 1"
	equal "$(tr -s ' ' <"/proc/$vm/gid_map")" " $GID_OF_JAIL $GID_OF_JAIL 1"
	equal "$(cat "/proc/$vm/setgroups")" deny
	has a.told '^caps 00 00 00 0 0$'
	has a.told "^uid $UID_OF_JAIL "
	has a.told '^kvm opens$'
}

t_netns_is_joined() {
	unshare --net sleep 1000 &
	local other=$!
	echo "$other" >>pids
	until_true eval '[ "$(readlink /proc/'$other'/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
	touch ns
	mount --bind "/proc/$other/ns/net" ns
	jailed a --netns ns || { umount ns; fail netns; }
	umount ns
	equal "$(readlink "/proc/$vm/ns/net")" "$(readlink "/proc/$other/ns/net")"
}

t_daemonize_lets_the_terminal_go() {
	local status=0
	jailed a --daemonize
	finished "$pid" || status=$?
	equal "$status" 0
	[ "$vm" != "$pid" ]
	for fd in 0 1 2; do
		has a.told "^null $fd$"
		equal "$(readlink "/proc/$vm/fd/$fd")" /dev/null
	done
	has a.told '^fds 0 1 2$'
	[ "$(ps -o sid= -p "$vm" | tr -d ' ')" != "$(ps -o sid= -p $$ | tr -d ' ')" ]
	kill -TERM "$vm"
	until_true gone "$vm"
	cleanup a
}

t_new_pid_ns_has_it_as_process_1() {
	local status=0
	jailed a --new-pid-ns
	finished "$pid" || status=$?
	equal "$status" 0
	has a.told '^pid 1$'
	has "/proc/$vm/status" "^NSpid:	$vm	1$"
	[ "$vm" != "$pid" ]
	stop a
}

t_daemon_in_a_pid_ns() {
	jailed a --new-pid-ns --daemonize
	finished "$pid"
	has a.told '^pid 1$'
	has a.told '^null 2$'
	equal "$(cat "/proc/$vm/comm")" probe
	stop a
}

t_limits_are_set() {
	jailed a
	has a.told '^no-file 2048 2048$'
	jailed b --resource-limit no-file=100 --resource-limit fsize=250000000
	has b.told '^no-file 100 100$'
	has b.told '^fsize 250000000 250000000$'
}

t_exit_status_is_the_monitors() {
	local status=0
	jail a -- exit 7
	finished "$pid" || status=$?
	equal "$status" 7
	# The jail stays, with what the monitor left in it.
	[ -e base/probe/a/root/seen ]
	cleanup a
	[ ! -e base/probe ]
}

t_many_start_at_once() {
	local pids_of=() n exec=$PWD/$parent
	cp "$probe" "$exec"
	for n in $(seq 20); do
		jail "j$n" --daemonize --cgroup pids.max=50
		pids_of+=("$pid")
	done
	for n in "${pids_of[@]}"; do finished "$n" || fail "$(cat ./*.err)"; done
	for n in $(seq 20); do cat "base/$parent/j$n/root/$parent.pid"; echo; done >all
	cat all >>pids
	equal "$(sort -u all | wc -l)" 20
	xargs kill -KILL <all
	for n in $(cat all); do until_true gone "$n"; done
	for n in $(seq 20); do cleanup "j$n" & done
	wait
	[ -z "$(ls base)" ] || fail "$(find base)"
	[ ! -e "$(hierarchy pids)/$parent" ]
}

t_a_root_with_files_is_accepted() {
	mkdir -p base/probe/a/root/dev
	echo kernel >base/probe/a/root/vmlinux
	jailed a
	has a.told '^in / vmlinux$'
	equal "$(cat base/probe/a/root/vmlinux)" kernel
}
