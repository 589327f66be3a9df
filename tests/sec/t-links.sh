# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Links, FIFOs and other things laid in the way of the jailer.

# outside: a folder of the host and a file in it, to be led to; seen: what they and their surroundings look like.
outside() {
	mkdir -p outside/sub
	echo canary >outside/file
	chmod 640 outside/file
	seen >outside.before
}
seen() { find outside -printf '%p %y %m %U %G %s %T@\n' | sort; cat outside/file; }
untouched() { seen | cmp -s - outside.before || fail "outside: $(seen | diff outside.before -)"; }

# stumbles PATH WHAT...: with the thing that WHAT makes at PATH in the jail's folder, it ends soon, well or not; nothing
# outside is touched, and what it made is gone afterwards.
stumbles() {
	local path=$1 status=0 at
	shift
	rm -rf base
	at=base/probe/a/$path
	mkdir -p "$(dirname "$at")"
	"$@" "$at"
	find base -printf '%p %y %m %U %G %l\n' | sort >base.before
	jail a --daemonize
	finished "$pid" || status=$?
	if [ "$status" = 0 ]; then
		until_true test -e base/probe/a/root/told
		kill -KILL "$(cat base/probe/a/root/probe.pid)"
		until_true cleanup a 2>/dev/null
	else
		[ "$(wc -l <a.err)" = 1 ] || fail "$path, $*: $(cat a.err)"
		find base -printf '%p %y %m %U %G %l\n' | sort | cmp -s - base.before ||
			fail "$path, $*: it left $(find base -printf '%p %y %m %U %G %l\n' | sort | diff base.before -)"
	fi
	untouched
	echo "$path, $*: $status $(head -c 200 a.err)"
	ended=$((ended + 1))
	[ "$status" = 0 ] || refused=$((refused + 1))
}
symlink_to_folder() { ln -s "$PWD/outside" "$1"; }
symlink_to_file() { ln -s "$PWD/outside/file" "$1"; }
symlink_to_nothing() { ln -s "$PWD/outside/new" "$1"; }
hardlink() { ln outside/file "$1"; }

readonly jail_folders='root root/dev root/dev/net root/run'
readonly jail_files='root/dev/kvm root/dev/net/tun root/dev/urandom root/dev/userfaultfd root/probe root/probe.pid mayfly-jail'

t_links_in_place_of_folders() {
	local path ended=0 refused=0
	outside
	for path in $jail_folders; do
		stumbles "$path" symlink_to_folder
		stumbles "$path" symlink_to_nothing
	done
	equal "$refused" 8
	row "symbolic links in place of the folders of a jail, before its start" 5 "refused, nothing outside is touched"
}

t_links_in_place_of_files() {
	local path ended=0 refused=0
	outside
	for path in $jail_files; do
		stumbles "$path" symlink_to_file
		stumbles "$path" symlink_to_nothing
		stumbles "$path" hardlink
	done
	equal "$refused" 21
	row "symbolic and hard links in place of the files and devices of a jail, before its start" 5 "refused, nothing outside is touched"
}

t_fifos_and_folders_in_place_of_files() {
	local path ended=0 refused=0
	outside
	for path in $jail_folders $jail_files; do stumbles "$path" mkfifo; done
	for path in $jail_files; do stumbles "$path" mkdir; done
	[ "$refused" -ge 16 ] || fail "$refused of $ended were refused"
	row "FIFOs and folders in place of what is in a jail, before its start" 5 "refused at once, nothing outside is touched"
}

t_links_on_the_way_to_a_jail() {
	local status
	outside
	for place in base/probe base/probe/a; do
		rm -rf base
		mkdir -p "$(dirname $place)"
		ln -s "$PWD/outside" "$place"
		status=0
		jail a
		finished "$pid" || status=$?
		equal "$status" 1
		"$jailer" --cleanup a --exec-file probe --chroot-base-dir base 2>/dev/null || true
		"$jailer" --cleanup a --chroot-base-dir base 2>/dev/null || true
		[ -L "$place" ] || fail "$place is gone"
		untouched
	done
	row "symbolic links in place of the folders above a jail, at its start and its clean-up" 5 "refused, nothing outside is touched"
}

# What the monitor, as the owner of its root, can lay there while it runs.
t_links_before_a_cleanup() {
	local path
	outside
	for path in $jail_folders $jail_files; do
		case $path in root | mayfly-jail) continue ;; esac
		jailed a
		kill -KILL "$vm"
		until_true gone "$vm"
		rm -rf "base/probe/a/$path"
		ln -s "$PWD/outside" "base/probe/a/$path"
		ln -s "$PWD/outside" base/probe/a/root/more
		ln outside/file base/probe/a/root/hard
		cleanup a
		[ ! -e base/probe ] || fail "$path: $(find base)"
		untouched
	done
	row "symbolic and hard links all over a jail, before its clean-up" 5 "removed themselves, nothing outside is touched"
}

t_folders_that_change_into_links_during_starts() {
	local ok=0 no=0 status n swap=$PWD/swap
	outside
	cp "$top/build/sec/swap" swap
	chmod 755 . swap
	for n in $(seq 60); do
		rm -rf base
		mkdir -p base/probe/a/root
		# In turns, what becomes a link is dev, run, or dev/net.
		case $((n % 3)) in
		0) way=dev ;;
		1) way=run ;;
		2) way=dev/net; mkdir base/probe/a/root/dev ;;
		esac
		mkdir "base/probe/a/root/$way"
		ln -s "$PWD/outside" base/probe/a/root/link
		chown -Rh "$UID_OF_JAIL:$GID_OF_JAIL" base/probe/a/root
		setpriv --reuid "$UID_OF_JAIL" --regid "$GID_OF_JAIL" --clear-groups \
			"$swap" "base/probe/a/root/$way" base/probe/a/root/link 2>/dev/null &
		flipper=$!
		echo "$flipper" >>pids
		status=0
		jail a --daemonize
		finished "$pid" || status=$?
		if [ "$status" = 0 ]; then
			ok=$((ok + 1))
			until_true test -s base/probe/a/root/probe.pid
			kill -KILL "$(cat base/probe/a/root/probe.pid)"
			until_true cleanup a 2>/dev/null
			[ ! -e base/probe ] || fail "$(find base)"
		else
			no=$((no + 1))
		fi
		kill -KILL "$flipper" 2>/dev/null || true
		wait "$flipper" 2>/dev/null || true
		untouched
	done
	echo "$ok started, $no refused"
	[ "$ok" -gt 0 ] && [ "$no" -gt 0 ]
	row "a process of the jail's user exchanges folders of the jail and links out of it, during 60 starts and clean-ups" 5 \
		"nothing outside is touched"
}

# made_node: the jailer is stopped when the first node is made and is still root's.
made_node() {
	rm -rf base
	mkdir -p base/probe/a/root
	ln outside/file base/probe/a/root/link
	chown "$UID_OF_JAIL:$GID_OF_JAIL" base/probe/a/root
	seen >outside.before
	FAULT_STOP=mknodat with=$tests/mayfly-jailer jail a
	until_true stopped "$pid"
	[ -c base/probe/a/root/dev/net/tun ]
}

t_hard_links_over_new_devices() {
	local node=base/probe/a/root/dev/net/tun status=0
	outside
	chmod 755 .
	made_node
	setpriv --reuid "$UID_OF_JAIL" --regid "$GID_OF_JAIL" --clear-groups \
		mv -f base/probe/a/root/link "$node" 2>/dev/null && fail "the folder is not root's alone"
	kill -CONT "$pid"
	until_true test -e base/probe/a/root/told
	untouched
	equal "$(stat -c '%F %U %a' "$node")" "character special file $(stat -c %U base/probe/a/root) 600"
	kill -KILL "$pid"
	until_true gone "$pid"
	cleanup a
	# Even if somebody who may does it.
	seen >outside.before
	made_node
	mv -f base/probe/a/root/link "$node"
	kill -CONT "$pid"
	finished "$pid" || status=$?
	equal "$status" 1
	has a.err 'dev/net/tun was replaced meanwhile'
	equal "$(stat -c '%U %a' outside/file)" "root 640"
	row "a hard link to the host's file is renamed onto a device that the jailer has just made" 5 \
		"the jail's user cannot reach its folder; from root it is refused, and the file stays root's"
}
