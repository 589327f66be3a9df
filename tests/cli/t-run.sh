# shellcheck shell=bash disable=SC2154,SC2016
# SPDX-License-Identifier: Apache-2.0
# What `mayfly run` gives the monitor, and what it makes of how the monitor ends. The scripts in
# single quotes are for fake-vmm.

t_config_holds_the_options() {
	: >>initrd
	echo i >initrd
	cp kernel a
	cp kernel b:ro
	status_of 0 run_fake 'cat "$config" >config; say "ended poweroff"; exit 0' --initrd initrd \
		--root a --drive b:ro:ro --drive kernel:rw --cpus 3 --memory 2G --no-entropy
	jq -e '."boot-source" | .kernel_image_path == "kernel" and .initrd_path == "initrd"' config
	jq -e '."machine-config" == {vcpu_count: 3, mem_size_mib: 2048}' config
	jq -e '.drives | map([.drive_id, .path_on_host, .is_root_device, .is_read_only]) ==
		[["vda", "a", true, false], ["vdb", "b:ro", false, true],
		["vdc", "kernel", false, false]]' config
	jq -e 'has("entropy") | not' config
}

t_config_has_defaults() {
	status_of 0 run_fake 'cat "$config" >config; say "ended poweroff"; exit 0'
	jq -e '."machine-config" == {vcpu_count: 1, mem_size_mib: 256}' config
	jq -e '.drives == [] and .entropy == {} and (."boot-source" | has("initrd_path") | not)' config
}

t_memory_has_units() {
	for pair in 64=64 64M=64 64mib=64 2G=2048 2GiB=2048; do
		status_of 0 run_fake 'cat "$config" >config; say "ended poweroff"; exit 0' \
			--memory "${pair%=*}"
		jq -e ".\"machine-config\".mem_size_mib == ${pair#*=}" config
	done
}

t_cmdline_is_appended_or_replaces() {
	local dump='jq -r ".\"boot-source\".boot_args" <"$config"; say "ended poweroff"; exit 0'
	status_of 0 run_fake "$dump"
	cp out default
	has default '^console=ttyS0 .*panic=-1.* reboot=acpi'
	status_of 0 run_fake "$dump" --cmdline 'a="b c"'
	[ "$(cat out)" = "$(cat default) a=\"b c\"" ]
	status_of 0 run_fake "$dump" --cmdline only --cmdline-replace
	[ "$(cat out)" = only ]
}

t_cmdline_of_invalid_utf8_is_an_error() {
	status_of 1 run_fake 'exit 0' --cmdline $'\xff'
	has err 'not valid UTF-8'
}

t_monitor_gets_only_the_fds_it_needs() {
	exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
	status_of 0 run_fake 'ls -l /proc/$$/fd >fds; say "ended poweroff"; exit 0'
	# From 10 on they are bash's own.
	[ "$(awk 'NF > 2 && $9 < 10' fds | wc -l)" -eq 6 ] || fail "$(cat fds)"
	has fds 'memfd:mayfly-config'
}

t_console_is_standard_input_and_output() {
	status_of 0 run_fake 'read -r line; echo "guest got $line"; say "ended poweroff"; exit 0' \
		<<<"a word"
	[ "$(cat out)" = "guest got a word" ]
	empty err
}

t_closed_standard_fds_are_no_trouble() {
	FAKE_VMM='for fd in 0 1 2; do readlink /proc/$$/fd/$fd >>fds; done; say "ended poweroff"; exit 0' \
		"$mayfly" run --vmm "$fake" --kernel kernel <&- >&- 2>&-
	[ "$(uniq fds)" = /dev/null ] || fail "$(cat fds)"
}

# SIGHUP, SIGINT, SIGQUIT and SIGTERM, which the command takes for both.
t_monitor_has_four_signals_blocked() {
	# All bash does to the mask is to take SIGCHLD out.
	status_of 1 run_fake 'exec grep SigBlk /proc/self/status >blocked'
	has blocked '0*4007$'
}

t_log_goes_to_standard_error() {
	status_of 0 run_fake 'log one; log two; say "ended poweroff"; exit 0'
	empty out
	[ "$(cat err)" = $'one\ntwo' ]
}

t_log_does_not_overwrite_a_file_on_standard_error() {
	echo before >log
	run_fake 'log one; say "ended panic"; exit 0' 2>>log || [ $? -eq 66 ]
	[ "$(sed -n 1p log)" = before ] && [ "$(sed -n 2p log)" = one ]
	has log 'VM ended by panic'
}

t_log_goes_to_a_file_if_asked() {
	status_of 0 run_fake 'log "$level $id"; say "ended poweroff"; exit 0' --log-path log \
		--log-level Debug
	empty err
	has log '^Debug run-[0-9]+$'
}

# name, status of mayfly-vmm, status of mayfly run: the contract, written once more
ends() {
	cat <<-'END'
		poweroff 0 0
		reboot 0 64
		reset 0 65
		panic 0 66
		triple-fault 3 67
		internal-error 4 68
		stopped 0 69
	END
}

t_each_end_has_its_status_and_line() {
	while read -r name vmm status; do
		status_of "$status" run_fake "say started; say 'ended $name'; exit $vmm"
		if [ "$name" = poweroff ]; then
			empty err
		else
			has err "^mayfly run: VM ended by $name: "
			[ "$(wc -l <err)" -eq 1 ]
		fi
	done < <(ends)
}

t_each_end_is_documented() {
	while read -r name vmm status; do
		grep -Eq "^\| \`$name\` .*\| $vmm \| $status \|" "$top/docs/exit-status.md" ||
			fail "docs/exit-status.md lacks $name, $vmm, $status"
	done < <(ends)
}

t_unknown_messages_are_ignored() {
	status_of 0 run_fake 'say started; say "shiny new"; say panicked; say "ended poweroff"; exit 0'
	empty err
}

t_monitor_that_crashes_is_reported() {
	status_of 1 run_fake 'say started; kill -SEGV $$'
	has err 'mayfly-vmm was killed by signal 11 \(Segmentation fault\) while the VM ran'
	status_of 1 run_fake 'kill -KILL $$'
	has err 'killed by signal 9 \(Killed\) before the VM ran'
}

t_monitor_that_fails_is_reported() {
	status_of 1 run_fake 'log "mem_size_mib: too much"; exit 152'
	has err '^mem_size_mib: too much$'
	has err 'exited with status 152 before the VM ran: bad configuration'
	status_of 1 run_fake 'say started; exit 148'
	has err 'status 148 while the VM ran: it made a system call'
	status_of 1 run_fake 'say started; exit 0'
	has err 'exited with status 0 while the VM ran'
	status_of 1 run_fake 'say started; say "ended"; exit 0'
}

t_monitor_that_crashes_after_the_end_is_an_error() {
	status_of 1 run_fake 'say started; say "ended poweroff"; kill -ABRT $$'
	has err 'killed by signal 6 \(Aborted\) after its VM had ended'
	status_of 1 run_fake 'say started; say "ended poweroff"; exit 3'
	has err 'exited with status 3 after its VM had ended, not 0'
}

t_monitor_that_hangs_after_the_end_is_killed() {
	status_of 1 run_fake 'say started; say "ended reboot"; echo $$ >pid; exec sleep 60'
	has err 'did not exit after its VM had ended, and was killed'
	! alive "$(cat pid)"
}

t_monitor_that_hangs_up_is_killed() {
	status_of 1 run_fake 'say started; hush; exec sleep 60'
	has err 'closed its socket but did not exit; it was killed'
}

t_monitor_that_is_missing_is_named() {
	status_of 1 "$mayfly" run --kernel kernel --vmm ./absent
	has err "--vmm './absent' cannot be run: No such file"
	printf 'junk' >junk
	chmod +x junk
	status_of 1 "$mayfly" run --kernel kernel --vmm ./junk
	has err 'cannot run ./junk: Exec format error'
	cp "$mayfly" mayfly
	PATH=/nowhere status_of 1 ./mayfly run --kernel kernel
	has err 'neither beside this program nor in PATH'
}

t_monitor_is_found_beside_the_command_then_in_path() {
	cp "$mayfly" mayfly
	mkdir bin
	printf '#!/bin/sh\necho from path\nexit 1\n' >bin/mayfly-vmm
	chmod +x bin/mayfly-vmm
	PATH=/nowhere::$PWD/bin:$PATH status_of 1 ./mayfly run --kernel kernel
	has out 'from path'
	printf '#!/bin/sh\necho from beside\nexit 1\n' >mayfly-vmm
	chmod +x mayfly-vmm
	PATH=$PWD/bin:$PATH status_of 1 ./mayfly run --kernel kernel
	has out 'from beside'
}

t_timeline_is_a_table_on_standard_error() {
	status_of 64 run_fake 'say started
		say "timeline process_start=0 vm_created=1200 first_instruction=2450 kernel_entry=- init=90000 exit=100001"
		say "ended reboot"; exit 0' --timeline
	empty out
	has err '^process start +0\.000 +0\.000$'
	has err '^first instruction +2\.450 +1\.250$'
	has err '^kernel entry +- +-$'
	has err '^init +90\.000 +87\.550$'
	has err '^exit +100\.001 +10\.001$'
	status_of 0 run_fake 'say "ended poweroff"; exit 0' --timeline
	has err 'the monitor has sent no timeline'
}
