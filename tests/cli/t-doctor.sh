# shellcheck shell=bash disable=SC2154,SC2016
# SPDX-License-Identifier: Apache-2.0
# `mayfly doctor`: its two formats agree, its status follows from them, and a host without KVM is
# told what to do.

# The status that the JSON on file $1 calls for.
doctor_status() { jq 'if .can_run_vms then 0 else 1 end' "$1"; }

doctor_json() {
	"$mayfly" doctor -o json >./json || true
	jq -e . json >/dev/null || fail "not JSON: $(cat json)"
}

t_doctor_json_has_its_keys() {
	doctor_json
	jq -e 'keys == ["can_run_stock_kernels", "can_run_vms", "checks", "kvm_kind", "schema", "version"]
		and .schema == 1 and (.kvm_kind | IN("hardware", "page-table", "emulated", "none"))' json
	jq -e '.checks | all(keys == ["group", "id", "remedy", "text", "value", "verdict"])' json
	jq -e '.checks | all(.verdict | IN("ok", "warn", "fail"))' json
	jq -e '.checks | (map(.id) | unique | length) == length' json
}

t_doctor_gives_every_trouble_a_remedy() {
	doctor_json
	jq -r '.checks[] | select(.verdict != "ok" and .remedy == null) | .id' json >bare
	# Without any KVM, what to do about it is said once.
	[ "$(jq -r .kvm_kind json)" = none ] || empty bare
}

t_doctor_can_run_vms_unless_a_check_fails() {
	doctor_json
	jq -e '.can_run_vms == (.checks | all(.verdict != "fail"))' json
	status_of "$(doctor_status json)" "$mayfly" doctor
	status_of "$(doctor_status json)" "$mayfly" doctor -o json
}

t_doctor_text_says_the_same_as_json() {
	doctor_json
	"$mayfly" doctor >text || true
	# Measured figures differ from run to run.
	jq -r '.checks[] | .verdict + " " + .id' json | sort >a
	sed -n 's/^  \([a-z]*\) *\([A-Za-z0-9_-]*\): .*/\1 \2/p' text | sort >b
	diff a b
	has text "^$(jq -r '[.checks[] | select(.verdict == "ok")] | length' json) ok, "
}

t_doctor_names_every_capability_of_the_table() {
	doctor_json
	[ "$(jq -r .kvm_kind json)" != none ] || skip "no KVM"
	grep -oE '(NEED|WANT)\(KVM_CAP_[A-Z0-9_]+' "$top/vmm/kvm/caps.c" | sed 's/.*(//' | sort >a
	jq -r '.checks[] | select(.group == "capability") | .id' json | sort >b
	diff a b
}

t_doctor_checks_what_was_asked_for() {
	local id
	doctor_json
	for id in kvm kvm-kind nx-huge-pages kernel cgroup-v1 cgroup-v2 tun userfaultfd io-uring \
		huge-pages transparent-huge-pages memfd user-namespaces landlock seccomp vhost-net \
		memory limit-nofile limit-memlock limit-as smt ksm swap cpu-flaws; do
		[ "$(jq -r .kvm_kind json)" != none ] || [[ $id != kvm-* && $id != nx-* ]] || continue
		jq -e --arg id "$id" '.checks | any(.id == $id)' json >/dev/null || fail "no $id"
	done
}

# host_says CHECK VERDICT FILE TEXT: the check's verdict on a host whose FILE says TEXT.
host_says() {
	local line
	[ -e "$3" ] || { echo "# this kernel has no $3" && return 0; }
	printf '%s\n' "$4" >fixture
	# shellcheck disable=SC2016 # of the inner shell
	line=$(unshare -m sh -c 'mount --bind fixture "$1" && exec "$2" doctor --check "$3"' sh \
		"$3" "$mayfly" "$1") || true
	case $line in "$2: "*) ;; *) fail "$3 says '$4': $line" ;; esac
}

t_doctor_isolation_is_what_the_host_says() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	unshare -m true 2>/dev/null || skip "no mount namespaces"
	host_says smt warn /sys/devices/system/cpu/smt/active 1
	host_says smt ok /sys/devices/system/cpu/smt/active 0
	host_says ksm warn /sys/kernel/mm/ksm/run 1
	host_says ksm ok /sys/kernel/mm/ksm/run 0
	host_says ksm ok /sys/kernel/mm/ksm/run 2
	host_says swap warn /proc/swaps $'Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2'
	host_says swap warn /proc/swaps $'Filename Type Size Used Priority\n/swapfile file 1 0 -2'
	host_says swap ok /proc/swaps $'Filename Type Size Used Priority\n/dev/zram0 partition 1 0 -2'
	host_says swap ok /proc/swaps 'Filename Type Size Used Priority'
}

# Each line alone, in the place of the whole folder.
t_doctor_knows_what_kernels_say_of_flaws() {
	local dir=/sys/devices/system/cpu/vulnerabilities verdict text line
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	unshare -m true 2>/dev/null || skip "no mount namespaces"
	[ -d "$dir" ] || skip "this kernel has no $dir"
	mkdir flaws
	while IFS=: read -r verdict text; do
		printf '%s\n' "$text" >flaws/some_flaw
		# shellcheck disable=SC2016 # of the inner shell
		line=$(unshare -m sh -c 'mount --bind flaws "$1" && exec "$2" doctor --check cpu-flaws' sh \
			"$dir" "$mayfly") || true
		case $line in "$verdict: "*) ;; *) fail "'$text': $line" ;; esac
		[ "$verdict" = ok ] || case $line in *some_flaw*) ;; *) fail "no name: $line" ;; esac
	done <<-END
		ok:Not affected
		ok:Mitigation: Clear CPU buffers; SMT vulnerable
		ok:Mitigation: PTI
		warn:Vulnerable
		warn:Vulnerable: Clear CPU buffers attempted, no microcode; SMT vulnerable
		warn:KVM: Vulnerable
		warn:Mitigation: PTE Inversion; VMX: vulnerable
		warn:Mitigation: Enhanced IBRS; IBPB: conditional; BHI: Vulnerable
		warn:Unknown: No mitigations
	END
}

t_doctor_check_is_one_line_and_a_status() {
	local wanted
	doctor_json
	wanted=$(jq '.checks[] | select(.id == "stock-kernel") | if .verdict == "ok" then 0 else 1 end' json)
	status_of "$wanted" "$mayfly" doctor --check stock-kernel
	[ "$(wc -l <out)" -eq 1 ]
	has out '^(ok|warn|fail): '
	jq -e ".can_run_stock_kernels == ($wanted == 0)" json
	status_of 0 "$mayfly" doctor --check kernel
	has out "^ok: Linux $(uname -r)"
}

t_doctor_refuses_wrong_options() {
	status_of 2 "$mayfly" doctor -o xml
	has err "-o 'xml': must be text or json"
	status_of 2 "$mayfly" doctor --check absent
	has err "there is no such check"
	status_of 2 "$mayfly" doctor stray
	status_of 2 "$mayfly" doctor -o
	has err "option '-o' needs a value"
}

t_doctor_without_kvm_says_what_to_do() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	unshare -m true 2>/dev/null || skip "no mount namespaces"
	cp "$mayfly" mayfly
	cat >inner <<-'END'
		mount -t tmpfs none /dev
		./mayfly doctor -o json >json; echo $? >status
		./mayfly doctor --check stock-kernel >one; echo $? >one-status
	END
	unshare -m bash inner
	[ "$(cat status)" -eq 1 ] && [ "$(cat one-status)" -eq 1 ]
	jq -e '.kvm_kind == "none" and .can_run_vms == false and .can_run_stock_kernels == false' json
	jq -e '.checks[0] | .id == "kvm" and .verdict == "fail" and (.remedy | test("modprobe"))' json
	has one '^fail: no VM runs here'
}

t_doctor_without_permission_says_what_to_do() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	[ -c /dev/kvm ] || skip "no /dev/kvm"
	command -v setpriv >/dev/null || skip "no setpriv"
	setpriv --reuid 65534 --clear-groups test ! -w /dev/kvm || skip "everybody may open /dev/kvm"
	cp "$mayfly" mayfly
	chmod 755 . .. mayfly
	status_of 1 setpriv --reuid 65534 --clear-groups ./mayfly doctor -o json
	jq -e '.checks[0] | .verdict == "fail" and (.text | test("no permission")) and
		(.remedy | test("usermod -aG kvm"))' out
}
