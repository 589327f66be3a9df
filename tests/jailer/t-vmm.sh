# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# The real monitor in a jail.

t_a_jailed_monitor_boots_a_guest() {
	local status=0 root=base/mayfly-vmm/a/root exec=$vmm
	mkdir -p "$root"
	cp "$payloads/serial.elf" "$root/vmlinux"
	chmod 644 "$root/vmlinux"
	jail a -- --api-sock /run/api.socket --level Off
	until_true test -S "$root/run/api.socket"
	equal "$(stat -c '%a %u' "$root/run/api.socket")" "755 $UID_OF_JAIL"
	printf '%s\n' 'PUT /boot-source {"kernel_image_path":"vmlinux"}' \
		'PUT /actions {"action_type":"InstanceStart"}' |
		"$client" talk "$root/run/api.socket" >answers || fail "$(cat a.err a.out)"
	equal "$(grep -c '^204' answers)" 2
	finished "$pid" || status=$?
	grep -aq '^PAYLOAD ok' a.out || fail "$(cat a.out)"
	equal "$status" 0
	cleanup a
	[ ! -e base/mayfly-vmm ]
}

t_a_jailed_monitor_with_few_files_knows_those_that_are_passed() {
	local status=0 exec=$vmm
	exec 150</dev/null
	jail a --resource-limit no-file=100 --pass-fd 150 -- --api-sock fd:150 --level Off
	finished "$pid" || status=$?
	equal "$status" 1
	grep -q 'is no socket' a.out a.err || fail "$(cat a.out a.err)"
	cleanup a
}
