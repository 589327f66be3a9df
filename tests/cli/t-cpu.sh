# shellcheck shell=bash disable=SC2154,SC2016
# SPDX-License-Identifier: Apache-2.0
# `mayfly cpu`: templates shown, dumped, verified on this host's KVM, compared.

cpu_need_kvm() { [ -w /dev/kvm ] || skip "/dev/kvm cannot be opened"; }

# cpu_template REGISTER BITMAP: a template that changes a register of leaf 1
cpu_template() {
	printf '{"cpuid_modifiers":[{"leaf":"0x1","subleaf":"0x0","flags":0,"modifiers":[{"register":"%s","bitmap":"%s"}]}]}' "$@"
}

t_cpu_shows_named_templates_as_kept() {
	local name
	for name in C3 T2 T2S T2CL T2A; do
		"$mayfly" cpu show "$name" | diff "$top/tests/golden/cpu-template-$name.json" -
	done
	status_of 2 "$mayfly" cpu show V1N1
	has err 'V1N1: it is for Arm'
}

t_cpu_refuses_bad_command_lines() {
	status_of 2 "$mayfly" cpu
	has err 'missing: dump, show, verify or compare'
	status_of 2 "$mayfly" cpu paint
	has err "'paint': must be dump, show, verify or compare"
	status_of 2 "$mayfly" cpu show
	has err 'show takes one argument'
	status_of 2 "$mayfly" cpu compare T2
	status_of 2 "$mayfly" cpu dump T2
	status_of 2 "$mayfly" cpu verify
	has err '--template is missing'
	status_of 2 "$mayfly" cpu verify --template T2 -o yaml
	status_of 2 "$mayfly" cpu show nowhere.json
	has err 'nowhere.json'
	status_of 0 "$mayfly" cpu --help
	has out 'verify'
	status_of 0 "$mayfly" cpu dump --help
}

t_cpu_names_what_is_wrong_in_a_template() {
	cpu_template ebx 0b12 >t.json
	status_of 2 "$mayfly" cpu verify --template t.json
	has err 't.json: cpuid_modifiers\[0\].modifiers\[0\].bitmap: Failed to parse string \[0b12\]'
	echo '{"cpuid_modifiers":' >t.json
	status_of 2 "$mayfly" cpu compare t.json T2
	has err 't.json: .* at line 2'
}

t_cpu_verify_accepts_what_holds() {
	cpu_need_kvm
	cpu_template eax 0bxxxx_00000000_0011_xx_00_0110_1111_0010 >t.json
	status_of 0 "$mayfly" cpu verify --template t.json
	has out 'every bit of the template holds'
	"$mayfly" cpu verify -t t.json -o json | jq -e '. == {schema: 1, equal: true, differences: []}'
}

# The hypervisor bit is every guest's, whatever the template says.
t_cpu_verify_names_bits_that_do_not_hold() {
	cpu_need_kvm
	cpu_template ecx 0b0xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx >t.json
	status_of 1 "$mayfly" cpu verify --template t.json
	has out '^cpuid 0x1 0x0 ecx: template 0, guest 1: bits 31 \(hypervisor\)$'
	status_of 1 "$mayfly" cpu verify --template t.json -o json
	jq -e '.equal == false and (.differences | length) == 1' out
	jq -e '.differences[0].bits == [{bit: 31, name: "hypervisor"}]' out
	jq -e '.differences[0].template == "0b0" + "x" * 31' out
}

t_cpu_verify_says_what_the_host_lacks() {
	cpu_need_kvm
	echo '{"cpuid_modifiers":[{"leaf":"0x1","subleaf":"0x77","flags":0,"modifiers":[]}]}' >t.json
	status_of 1 "$mayfly" cpu verify --template t.json
	has err 'not supported by KVM: Leaf: 1, Subleaf: 77'
	echo '{"kvm_capabilities":["54321"]}' >t.json
	status_of 1 "$mayfly" cpu verify --template t.json
	has err 'has no capability 54321'
}

t_cpu_dump_is_a_template_of_this_host() {
	cpu_need_kvm
	"$mayfly" cpu dump >a.json
	jq -e '.cpuid_modifiers | map(select(.leaf == "0x1")) | length == 1' a.json
	jq -e '.cpuid_modifiers | all(.modifiers | map(.register) == ["eax", "ebx", "ecx", "edx"])' a.json
	jq -e '.msr_modifiers | all(.bitmap | test("^0b[01]{64}$"))' a.json
	# What KVM gave it also takes, and gives again.
	status_of 0 "$mayfly" cpu verify --template a.json
	status_of 0 "$mayfly" cpu compare a.json a.json
	has out '^no difference$'
	"$mayfly" cpu dump -o text >dumped
	has dumped '^cpuid 0x00000001 0x00:( [0-9a-f]{8}){4}$'
}

t_cpu_dump_shows_the_effect_of_a_template() {
	cpu_need_kvm
	cpu_template eax 0bxxxx_00000000_0011_xx_00_0110_1111_0010 >t.json
	"$mayfly" cpu dump -o text -t t.json >dumped
	has dumped '^cpuid 0x00000001 0x00: 000306f2 '
}

t_cpu_compare_names_bits() {
	status_of 1 "$mayfly" cpu compare T2 T2CL
	has out '^cpuid 0x80000001 0x0 ecx: A x, B 0: bits 6 \(sse4a\) 7 \(misalignsse\)$'
	has out '^msr 0x10a: only in B$'
	status_of 1 "$mayfly" cpu compare -o json T2CL T2
	jq -e '.differences | any(. == {field: "msr 0x10a", A: "present", B: null})' out
}

t_cpu_compare_names_versions_of_fingerprints() {
	cpu_need_kvm
	"$mayfly" cpu dump --fingerprint >a.json
	jq -e 'keys == ["bios_revision", "bios_version", "guest_cpu_config", "kernel_version",
		"mayfly_version", "microcode_version"]' a.json
	jq '.kernel_version = "1.2.3"' a.json >b.json
	status_of 1 "$mayfly" cpu compare a.json b.json
	has out "^kernel_version: A $(uname -r), B 1.2.3$"
	[ "$(wc -l <out)" -eq 1 ] || fail "more than one line"
}
