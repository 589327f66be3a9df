# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# The command line of mayfly-vmm: every flag, its bounds, and what is said about it. What the process
# does with the API is tests/conformance's. $real_vmm comes from run.

# vmm STATUS TEXT ARG...: ends so, and says so in its log or on standard error.
vmm() {
	local status=$1 text=$2
	shift 2
	[ -x "$real_vmm" ] || skip "no mayfly-vmm"
	status_of "$status" "$real_vmm" "$@" </dev/null
	cat out err >said
	has said "$text"
}

t_vmm_help_is_grouped_and_names_every_flag() {
	local flag
	vmm 0 '^Usage: mayfly-vmm' --help
	for flag in api-sock id config-file metadata no-api enable-pci boot-timer seccomp-filter seccomp-log seccomp-record no-seccomp \
		log-path level module show-level show-log-origin log-format metrics-path \
		http-api-max-payload-size mmds-size-limit start-time-us start-time-cpu-us parent-cpu-time-us \
		version snapshot-version describe-snapshot describe-api describe-state describe-seccomp help; do
		[ "$(grep -Ec "^  --$flag( [A-Z]+)?  " out)" -eq 1 ] || fail "--$flag: $(cat out)"
	done
	[ "$(grep -c '^[A-Z].*:$' out)" -eq 6 ] || fail "groups: $(cat out)"
	has out '^Exit status: '
	empty err
}

t_vmm_version_is_one_line() {
	vmm 0 '^mayfly-vmm v[0-9]+\.[0-9]+\.[0-9]+$' --version
	[ "$(wc -l <out)" -eq 1 ]
	ln -s "$real_vmm" firecracker
	status_of 0 ./firecracker --version
	has out '^Firecracker v1\.[0-9]+\.[0-9]+$'
	has out '^mayfly-vmm v'
}

t_vmm_bad_arguments_have_status_153() {
	vmm 153 "Found argument '--fly' which wasn't expected" --fly
	vmm 153 "Found argument 'fly' which wasn't expected" fly
	vmm 153 "The argument '--id' requires a value" --id
	vmm 153 'Invalid instance ID' --id ''
	vmm 153 'Invalid instance ID' --id a_b
	vmm 153 'Invalid instance ID' --id "$(printf '%065d' 0)"
	vmm 153 '--no-api takes no value' --no-api=1
	vmm 153 "argument '--config-file' is required" --no-api
	vmm 153 '"Loud" is not one of' --level Loud
	vmm 153 '"xml" is not text or json' --log-format xml
}

t_vmm_numbers_have_bounds() {
	for flag in http-api-max-payload-size mmds-size-limit; do
		vmm 153 "--$flag: 0 is not a number from 1 to 4294967295" "--$flag" 0
		vmm 153 "--$flag: \"4294967296\" is not a number" "--$flag" 4294967296
		vmm 153 "--$flag: \"-1\" is not a number" "--$flag" -1
		vmm 153 "--$flag: \"1k\" is not a number" "--$flag" 1k
		vmm 0 '^mayfly-vmm' "--$flag" 4294967295 --version
	done
	for flag in start-time-us start-time-cpu-us parent-cpu-time-us; do
		vmm 153 "--$flag: \"x\" is not a number" "--$flag" x
		vmm 0 '^mayfly-vmm' "--$flag=18446744073709551615" --version
	done
}

t_vmm_api_socket_that_is_passed_must_listen() {
	vmm 1 "api-sock: 'fd:55': no descriptor of that name" --api-sock fd:55
	vmm 1 "is no socket" --api-sock fd:5 5</dev/null
	(ulimit -n 64 && vmm 1 "is no socket" --api-sock fd:5 5</dev/null)
}

# Also such as are above the limit, which was lowered when they were open.
t_vmm_descriptors_are_passed_with_a_low_limit_of_files() {
	(
		ulimit -n 200
		vmm 1 "is no socket" --api-sock fd:5 5</dev/null
		exec 150</dev/null
		ulimit -n 100
		vmm 1 "is no socket" --api-sock fd:150
		vmm 1 "'fd:55': no descriptor of that name" --api-sock fd:55
	)
}

t_vmm_what_no_release_has_is_refused_by_name() {
	vmm 153 '--enable-pci: not supported by this version' --enable-pci
	vmm 153 "The argument '--describe-snapshot' requires a value" --describe-snapshot
}

t_vmm_snapshot_flags() {
	vmm 0 '^v1\.[0-9]+\.0$' --snapshot-version
	vmm 1 'cannot open none: No such file' --describe-snapshot none
	vmm 153 '--restore: exactly one of --memory and --memory-handler' --restore s
	vmm 153 '--restore: exactly one of' --restore s --memory m --memory-handler h
	vmm 153 'they need --restore' --memory m
	vmm 153 'prefetch: it needs --restore and --memory' --restore s --memory-handler h --prefetch d
	vmm 153 'nobody could resume it' --no-api --restore s --memory m --paused
	vmm 153 '--fork-from: --restore and --config-file cannot be with it' --fork-from s --config-file c
	vmm 153 'they need --restore or --fork-from' --clock-realtime
	vmm 1 'fork_from none: cannot connect: No such file' --no-api --fork-from none
	vmm 1 'Load snapshot error: Failed to restore from snapshot: .*No such file' --no-api --restore none --memory m
}

t_vmm_bad_configuration_has_status_152() {
	echo '{"boot-source":{"kernel_image_path":"kernel"},"machine-config":{"vcpu_count":33,"mem_size_mib":1}}' >c
	vmm 152 'c: machine-config\.vcpu_count: 33 is out of range; it must be 1 to 32' --config-file c --no-api
	vmm 152 'cannot open nope|nope: No such file' --config-file nope --no-api
	vmm 152 'log_path' --log-path /nowhere/l
	vmm 152 'metrics_path' --metrics-path /nowhere/m
}

t_vmm_metadata_that_cannot_be_used_ends_it() {
	echo '{' >bad
	vmm 152 'MMDS error: metadata provided not valid json' --metadata bad --api-sock s
	echo '{"a":"0123456789"}' >large
	vmm 152 "Populating MMDS from file failed: The MMDS patch request doesn't fit\." \
		--metadata large --mmds-size-limit 10 --api-sock s
	vmm 152 "Populating MMDS from file failed" --metadata large --http-api-max-payload-size 10 --api-sock s
}

t_vmm_description_of_the_api_has_every_method() {
	vmm 0 '^PUT /actions both body$' --describe-api
	for method in GET PUT PATCH DELETE; do has out "^$method /"; done
	has out '^  vcpu_count integer 1\.\.32 required$'
}
