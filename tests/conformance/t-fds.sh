# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Descriptors in the place of paths, ours: from whoever started the monitor, or from a launcher.

# launched SPEC... -- ARG...: the monitor, started by the launcher, its API on ./api.
launched() {
	local specs=()
	while [ "$1" != -- ]; do specs+=("$1"); shift; done
	shift
	"$(dirname "$client")/launcher" "${specs[@]}" api=listen:api -- \
		"$vmm" --fds-from fd:3 --api-sock fd:api "$@" >out 2>err </dev/null &
	pid=$!
	echo "$pid" >>pids
	talk
}

# The monitor opens nothing: not even /dev/kvm, and as root's launcher starts it, it is nobody.
t_launcher_keeps_all_privilege() {
	truncate -s 1M disk
	chmod 600 disk
	launched kvm=rw:/dev/kvm kernel=ro:"$tick" disk=rw:disk vsock=listen:v --
	await [ -S v ]
	ok PUT /boot-source '{"kernel_image_path":"fd:kernel","boot_args":"x"}'
	ok PUT /drives/d '{"drive_id":"d","path_on_host":"fd:disk","is_root_device":false,"is_read_only":false}'
	ok PUT /vsock '{"guest_cid":3,"uds_path":"fd:vsock"}'
	ok PUT /actions '{"action_type":"InstanceStart"}'
	await grep -q '^tick 3' out
	ok GET /vm/config
	json '.drives[0].path_on_host == "fd:disk" and .vsock.uds_path == "fd:vsock"'
	if [ "$(id -u)" = 0 ]; then
		[ "$(ps -o uid= --ppid "$pid" | tr -d ' ')" = 65534 ] || fail "$(ps -o uid,args --ppid "$pid")"
	fi
}

t_launcher_passes_a_tap_and_a_passt_socket() {
	[ "$(id -u)" = 0 ] || skip "no root: no tap can be made"
	command -v socat >/dev/null || skip "no socat"
	netns=mayfly-fds-$$
	ip netns add "$netns" || skip "no network namespaces"
	trap 'ip netns del "$netns"; clean' EXIT
	ip -n "$netns" tuntap add tap0 mode tap
	socat UNIX-LISTEN:passt.sock EXEC:cat </dev/null >/dev/null 2>&1 &
	echo $! >>pids
	await [ -S passt.sock ]
	(
		exec ip netns exec "$netns" "$(dirname "$client")/launcher" kvm=rw:/dev/kvm kernel=ro:"$tick" \
			t=tap:tap0 p=connect:passt.sock api=listen:api -- "$vmm" --fds-from fd:3 --api-sock fd:api
	) >out 2>err </dev/null &
	echo $! >>pids
	talk
	ok PUT /boot-source '{"kernel_image_path":"fd:kernel","boot_args":"x"}'
	ok PUT /network-interfaces/a '{"iface_id":"a","host_dev_name":"fd:t"}'
	ok PUT /network-interfaces/b '{"iface_id":"b","passt_socket":"fd:p"}'
	bad 'no descriptor of that name' PUT /network-interfaces/c '{"iface_id":"c","host_dev_name":"fd:u"}'
	ok PUT /actions '{"action_type":"InstanceStart"}'
	await grep -q '^tick 3' out
}

t_inherited_descriptors_have_numbers() {
	truncate -s 1M disk
	start 7<>disk 8<disk
	ok PUT /boot-source "{\"kernel_image_path\":\"$tick\",\"boot_args\":\"x\"}"
	ok PUT /drives/d '{"drive_id":"d","path_on_host":"fd:7","is_root_device":false,"is_read_only":false}'
	bad 'is not open for reading and writing' PUT /drives/e \
		'{"drive_id":"e","path_on_host":"fd:8","is_root_device":false,"is_read_only":false}'
	ok PUT /drives/e '{"drive_id":"e","path_on_host":"fd:8","is_root_device":false,"is_read_only":true}'
	ok PUT /actions '{"action_type":"InstanceStart"}'
	await grep -q '^tick 3' out
	ok PATCH /drives/d '{"drive_id":"d","path_on_host":"fd:7"}'
}

# What the monitor has opened itself cannot be named, nor what nobody passed.
t_own_descriptors_cannot_be_named() {
	local fd
	start
	ok PUT /boot-source "{\"kernel_image_path\":\"$tick\",\"boot_args\":\"x\"}"
	for fd in /proc/"$pid"/fd/*; do
		case $(readlink "$fd") in pipe:* | "$PWD"/* | /dev/null) continue ;; esac # the shell's
		fd=${fd##*/}
		bad 'no descriptor of that name was passed' PUT /drives/d \
			"{\"drive_id\":\"d\",\"path_on_host\":\"fd:$fd\",\"is_root_device\":false,\"is_read_only\":true}"
	done
	for fd in '' -1 +3 03x 4294967299 kvm 256; do
		bad 'no descriptor of that name was passed' PUT /boot-source "{\"kernel_image_path\":\"fd:$fd\"}"
	done
}

t_launcher_that_sends_nonsense_is_refused() {
	local what
	for what in '1x' 'a b' "$(printf 'a%.0s' {1..40})"; do
		"$(dirname "$client")/launcher" "$what"=ro:/dev/null -- "$vmm" --fds-from fd:3 --no-api \
			--config-file none >out 2>&1 </dev/null && fail "'$what' was taken"
		has out 'fds-from: name 0 is not of 1 to 31 letters'
	done
	"$(dirname "$client")/launcher" a=ro:/dev/null a=ro:/dev/null -- "$vmm" --fds-from fd:3 --no-api \
		--config-file none >out 2>&1 </dev/null && fail "a name twice"
	has out 'the name a comes twice'
	status=0
	"$vmm" --fds-from nowhere --no-api --config-file none >out 2>&1 </dev/null || status=$?
	[ "$status" = 152 ] || fail "$status"
	has out "fds-from: cannot connect to 'nowhere'"
	"$vmm" --fds-from fd:5 --no-api --config-file none >out 2>&1 </dev/null 5<out && fail "a file"
	has out "is no socket"
}
