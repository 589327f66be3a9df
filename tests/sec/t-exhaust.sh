# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: Apache-2.0
# Those who take all there is: descriptors by connections that are held, and a memory file that is cut off under a
# clone.

# exhausted_jail ARG...: a jailed monitor with a VM that answers over vsock, and an API.
exhausted_jail() {
	local exec=$vmm
	root=base/mayfly-vmm/a/root
	mkdir -p "$root"
	cp "$payloads/vsock_echo.elf" "$root/vmlinux"
	chmod 644 "$root/vmlinux"
	jail a "$@" -- --api-sock /run/api.socket --level Warning
	until_true test -S "$root/run/api.socket"
	printf '%s\n' 'PUT /machine-config {"vcpu_count":1,"mem_size_mib":32}' \
		'PUT /boot-source {"kernel_image_path":"vmlinux","boot_args":"payload.conns=100000 payload.patience=100 payload.halt=1"}' \
		'PUT /vsock {"guest_cid":3,"uds_path":"v"}' 'PUT /actions {"action_type":"InstanceStart"}' |
		"$client" talk "$root/run/api.socket" >answers
	equal "$(grep -c '^204' answers)" 4
	answers
}

# answers: both the VM and the API do.
answers() {
	timeout 20 "$payloads/vsock-tool" ping "hybrid:$root/v:5000" 3 >ping || fail "the VM does not answer: $(cat ping)"
	equal "$(printf 'GET /\n' | timeout 20 "$client" talk "$root/run/api.socket" | cut -c1-3)" 200
}

# ticks: of CPU time that the monitor has used.
ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }

# held SOCKET COUNT: that many connections are asked for; the VM goes on meanwhile, the monitor does not spin, and when
# they are given back all is as before.
held() {
	local before
	mkfifo stay
	"$top/build/sec/hold" "$1" "$2" <stay >held &
	holder=$!
	echo "$holder" >>pids
	exec 8>stay
	until_true test -s held
	[ "$(cat held)" -gt 0 ] || fail "not one connection"
	alive "$pid" || fail "the monitor is gone: $(tail -n 3 a.out a.err)"
	before=$(ticks)
	sleep 1
	[ $(($(ticks) - before)) -lt 30 ] || fail "the monitor spins: $(($(ticks) - before)) ticks in a second"
	"$3"
	exec 8>&-
	finished "$holder"
	rm stay held
	until_true eval '(answers) >/dev/null 2>&1'
}

# Of one socket the other must not suffer.
vm_answers() { timeout 20 "$payloads/vsock-tool" ping "hybrid:$root/v:5000" 3 >ping || fail "the VM does not answer: $(cat ping)"; }
api_answers() { equal "$(printf 'GET /\n' | timeout 20 "$client" talk "$root/run/api.socket" | cut -c1-3)" 200; }

none_left() { [ "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" -ge 47 ] || fail "$(find "/proc/$pid/fd" | wc -l) descriptors are open"; }

t_api_connections_that_are_held() {
	exhausted_jail
	held "$root/run/api.socket" 3000 vm_answers
	row "API client opens 3,000 connections and holds them" 2 "the VM goes on, the monitor sleeps, and serves again afterwards"
}

t_vsock_connections_that_are_held() {
	exhausted_jail
	held "$root/v" 3000 api_answers
	row "host process opens 3,000 connections to the vsock socket and says nothing" 2 "the API answers, the monitor sleeps, and serves again afterwards"
}

t_descriptors_that_are_used_up() {
	exhausted_jail --resource-limit no-file=48
	held "$root/v" 200 none_left
	held "$root/run/api.socket" 200 true
	row "connections to a monitor with only 48 descriptors, until there are none left" "2, 7" "the monitor sleeps, lives, and serves again afterwards"
}

# The rest of the file is gone, and with it pages that the guest has not touched yet.
t_memory_file_that_is_cut_off() {
	local status=0
	exhausted_jail
	printf '%s\n' 'PATCH /vm {"state":"Paused"}' 'PUT /snapshot/create {"snapshot_path":"s","mem_file_path":"m"}' |
		"$client" talk "$root/run/api.socket" >answers
	equal "$(grep -c '^204' answers)" 2
	kill "$pid"
	finished "$pid" || true
	cp "$root/s" "$root/m" .
	cleanup a
	rm -rf base/mayfly-vmm
	root=base/mayfly-vmm/b/root
	mkdir -p "$root"
	cp s m "$root/"
	chown "$UID_OF_JAIL:$GID_OF_JAIL" "$root/s" "$root/m"
	exec=$vmm jail b -- --api-sock /run/api.socket --level Warning
	until_true test -S "$root/run/api.socket"
	printf '%s\n' 'PUT /snapshot/load {"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"}}' |
		"$client" talk "$root/run/api.socket" >answers
	equal "$(grep -c '^204' answers)" 1
	truncate -s 0 "$root/m"
	printf '%s\n' 'PATCH /vm {"state":"Resumed"}' | timeout 20 "$client" talk "$root/run/api.socket" >answers 2>&1 || true
	finished "$pid" || status=$?
	# By SIGBUS in the monitor, or by what KVM says of the page.
	case $status in
	149)
		has b.out 'was the memory file of the snapshot cut off'
		has b.out 'intercepting signal 7'
		;;
	4) has b.out 'KVM' ;;
	*) fail "status $status: $(cat b.out b.err)" ;;
	esac
	row "the memory file of a loaded clone is cut off" 2 "the clone's monitor ends with an error and says why"
}
