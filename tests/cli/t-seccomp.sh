# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# `mayfly seccomp`, and the monitor with what it makes.

# guest ARG...: the first benchmark's guest, which ends at once, with these options of the monitor.
guest() {
	[ -x "$real_vmm" ] || skip "no mayfly-vmm"
	[ -w /dev/kvm ] || skip "no /dev/kvm"
	printf '{"boot-source":{"kernel_image_path":"%s"},"machine-config":{"vcpu_count":1,"mem_size_mib":32}}' \
		"$payload_dir/bench_first.elf" >c
	"$real_vmm" --no-api --config-file c --log-path log "$@" >out 2>err </dev/null
}

# without THREAD CALL: the built-in filters, but for one call, in the file f.
without() {
	"$mayfly" seccomp list --json | jq --arg t "$1" --arg c "$2" \
		'.[$t].filter |= map(select(.syscall != $c))' >f.json
	"$mayfly" seccomp compile f.json -o f
}

t_seccomp_list_has_every_thread() {
	status_of 0 "$mayfly" seccomp list
	for thread in vmm vcpu io; do has out "^$thread +exit_group "; done
	has out '^vcpu ioctl:1=KVM_RUN +vmm/core/vcpu.c$'
	[ "$(wc -l <out)" -eq "$("$real_vmm" --describe-seccomp | wc -l)" ]
	status_of 0 "$mayfly" seccomp list --json
	jq -e '.vcpu.default_action == "trap" and any(.vcpu.filter[]; .syscall == "ioctl" and
		.args == [{index: 1, type: "dword", op: "eq", val: 44672}])' out >/dev/null
}

t_seccomp_compiled_list_runs_a_guest() {
	"$mayfly" seccomp list --json | status_of 0 "$mayfly" seccomp compile - -o f
	empty err
	guest --seccomp-filter f || fail "status $?: $(cat log err)"
	has log 'seccomp: the filters of f are used'
}

t_seccomp_filter_without_a_needed_call_ends_the_guest() {
	local got=0
	without vcpu ioctl
	guest --seccomp-filter f || got=$?
	equal "$got" 148
	has log '\[anonymous-instance:fc_vcpu 0\] Shutting down VM after intercepting a bad syscall \(16\)'
}

t_seccomp_log_reports_and_goes_on() {
	without vcpu ioctl
	guest --seccomp-filter f --seccomp-log || fail "status $?: $(cat log err)"
	has log 'seccomp: vcpu: call 16 \(.*0xae80, .*\) is denied; made all the same'
	lacks log 'bad syscall'
}

t_seccomp_record_says_what_was_used() {
	guest --seccomp-record r || fail "status $?: $(cat log err)"
	status_of 0 "$mayfly" seccomp list --used r
	has out '^used +vcpu ioctl:1=KVM_RUN '
	has out '^unused +vmm +accept4'
	lacks out '^undeclared'
	"$mayfly" seccomp list --used r --json >used.json
	jq -e 'all(.vmm.filter[]; .syscall != "accept4")' used.json >/dev/null
	# A second run adds; a file of something else is refused.
	guest --seccomp-record r
	echo x >other
	if guest --seccomp-record other; then fail "recorded into another file"; fi
	has log 'other is no record of this build; remove it'
	status_of 2 "$mayfly" seccomp list --used other
}

t_seccomp_bad_filter_file_has_status_1() {
	[ -x "$real_vmm" ] || skip "no mayfly-vmm"
	echo '{}' >f
	status_of 1 "$real_vmm" --no-api --config-file c --seccomp-filter f
	has out 'Seccomp error: Filter deserialization failed: f: it is no filter of mayfly'
	status_of 1 "$real_vmm" --no-api --config-file c --seccomp-filter none
	has out 'Seccomp error: Filter deserialization failed: cannot open none'
	status_of 153 "$real_vmm" --seccomp-filter f --no-seccomp
	has err "'--seccomp-filter' cannot be used with it"
	status_of 153 "$real_vmm" --seccomp-filter f --seccomp-record r
	has err "leave '--seccomp-filter' out"
}

t_seccomp_wrong_command_lines() {
	status_of 2 "$mayfly" seccomp
	has err 'missing: compile or list'
	status_of 2 "$mayfly" seccomp fly
	has err "'fly': must be compile or list"
	status_of 2 "$mayfly" seccomp compile -o f
	has err 'compile takes one argument'
	status_of 2 "$mayfly" seccomp compile f.json
	has err 'compile: -o FILE is missing'
	status_of 2 "$mayfly" seccomp compile f.json -o f --json
	has err 'options of list'
	status_of 2 "$mayfly" seccomp list -o f
	has err '-o is an option of compile'
	status_of 2 "$mayfly" seccomp list f
	has err 'list takes no arguments'
	status_of 2 "$mayfly" seccomp compile none -o f
	has err 'cannot open none'
	echo '{"vmm":{"default_action":"trap","filter_action":"allow","filter":[{"syscall":"fly"}]}}' >bad.json
	status_of 2 "$mayfly" seccomp compile bad.json -o f
	has err "bad.json: vmm.filter\\[0\\].syscall: 'fly' is no system call of x86-64"
	"$mayfly" seccomp list --json >good.json
	status_of 1 "$mayfly" seccomp compile good.json -o /nowhere/f
	has err 'cannot write /nowhere/f'
}

# The monitor itself, on a terminal of its own: the state it found is put back under the filter.
t_vmm_on_a_terminal_restores_it_under_the_filter() {
	[ -x "$real_vmm" ] || skip "no mayfly-vmm"
	[ -w /dev/kvm ] || skip "no /dev/kvm"
	command -v script >/dev/null || skip "no script(1)"
	printf '{"boot-source":{"kernel_image_path":"%s"},"machine-config":{"vcpu_count":1,"mem_size_mib":32}}' \
		"$payload_dir/bench_first.elf" >c
	cat >inner <<-END
		stty -a >before
		'$real_vmm' --no-api --config-file c --log-path log
		echo \$? >status
		stty -a >after
	END
	script -qec "exec bash inner" /dev/null >out </dev/null
	equal "$(cat status)" 0
	lacks log 'bad syscall'
	cmp before after
}
