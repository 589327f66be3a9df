# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# CPU templates: the named and the custom one, checked at the start, and what a guest sees.

machine_is() { ok GET /machine-config && json "$1"; }

# A named template that is not for the CPU this runs on.
foreign_template() {
	if grep -q '^vendor_id.*GenuineIntel' /proc/cpuinfo; then echo T2A; else echo T2; fi
}

t_s12_10_templates_take_each_others_place() {
	local m='"vcpu_count":1,"mem_size_mib":32'
	start
	ok PUT /machine-config "{$m,\"cpu_template\":\"T2\"}"
	machine_is '.cpu_template == "T2"'
	ok PUT /machine-config "{$m}"
	machine_is '.cpu_template == "T2"'
	ok PUT /cpu-config '{}'
	machine_is 'has("cpu_template") | not'
	ok GET /vm/config
	json '."cpu-config" == null'
	ok PATCH /machine-config '{"cpu_template":"C3"}'
	machine_is '.cpu_template == "C3"'
	bad 'bitmap' PUT /cpu-config '{"msr_modifiers":[{"addr":"0x10a","bitmap":"0b2"}]}'
	machine_is '.cpu_template == "C3"'
	ok PATCH /machine-config '{"cpu_template":"None"}'
	machine_is 'has("cpu_template") | not'
}

t_s12_10_template_of_another_cpu_fails_at_the_start() {
	start
	ok PUT /boot-source "{\"kernel_image_path\":\"$tick\"}"
	ok PUT /machine-config \
		"{\"vcpu_count\":1,\"mem_size_mib\":32,\"cpu_template\":\"$(foreign_template)\"}"
	bad 'CPU vendor mismatched between actual CPU and CPU template.' \
		PUT /actions '{"action_type":"InstanceStart"}'
	ok GET /
	json '.state == "Not started"'
	ok PATCH /machine-config '{"cpu_template":"V1N1"}'
	bad 'V1N1' PUT /actions '{"action_type":"InstanceStart"}'
	ok PATCH /machine-config '{"cpu_template":"None"}'
	ok PUT /actions '{"action_type":"InstanceStart"}'
}

t_custom_template_that_kvm_cannot_do_fails_at_the_start() {
	start
	ok PUT /boot-source "{\"kernel_image_path\":\"$tick\"}"
	ok PUT /cpu-config '{"cpuid_modifiers":[{"leaf":"0x1","subleaf":"0x77","flags":0,"modifiers":[]}]}'
	bad 'Leaf: 1, Subleaf: 77' PUT /actions '{"action_type":"InstanceStart"}'
	ok PUT /cpu-config '{"msr_modifiers":[{"addr":"0x99999","bitmap":"0b1"}]}'
	bad 'Register Address: 99999' PUT /actions '{"action_type":"InstanceStart"}'
	ok PUT /cpu-config '{"kvm_capabilities":["54321"]}'
	bad 'Missing KVM capabilities: 0xd431' PUT /actions '{"action_type":"InstanceStart"}'
	ok PUT /cpu-config '{}'
	ok PUT /actions '{"action_type":"InstanceStart"}'
	bad '' PUT /cpu-config '{}'
}

t_guest_sees_the_custom_template() {
	start --log-path log # its lines would come in between the guest's
	ok PUT /boot-source \
		"{\"kernel_image_path\":\"$payloads/cpu_template.elf\",\"boot_args\":\"payload.first=1 payload.last=1\"}"
	ok PUT /machine-config '{"vcpu_count":2,"mem_size_mib":32}'
	ok PUT /cpu-config "$(jq -c . "$top/tests/payload/cpu/custom.json")"
	ok PUT /actions '{"action_type":"InstanceStart"}'
	await is_gone "$pid"
	has out 'PAYLOAD ok'
}
