# shellcheck shell=bash disable=SC2154,SC2016
# SPDX-License-Identifier: Apache-2.0
# The terminal, given by script(1): raw while the VM runs, as before whatever happened.

# on_tty FAKE-SCRIPT TYPED-WHEN-STARTED OPTION...: leaves stty's word in before, during and after,
# and the status in status. The script must write `during`. `exec`: ^C reaches every process of the
# terminal, and the shell that script(1) starts, which is $SHELL or sh, may end by it.
on_tty() {
	local script=$1 typed=$2
	shift 2
	command -v script >/dev/null || skip "no script(1)"
	cat >inner <<-END
		stty -a >before
		'$mayfly' run --vmm '$fake' --kernel kernel $* 2>err
		echo \$? >status
		stty -a >after
	END
	{
		await during >&2
		# shellcheck disable=SC2059
		printf "$typed"
		await status >&2
	} | FAKE_VMM=$script timeout 30 script -qec "exec bash inner" /dev/null >out
	cmp before after || fail "the terminal is not as before"
}

t_terminal_is_raw_for_the_guest() {
	on_tty 'stty -a >during; say started; say "ended poweroff"; exit 0' ''
	equal "$(cat status)" 0
	for mode in -icanon -echo -icrnl -ixon isig opost 'susp = <undef>' 'quit = <undef>'; do
		has during "(^|[ ;])$mode"
	done
	has before '[ ;]icanon'
}

t_terminal_is_restored_after_a_crash() {
	on_tty 'stty -a >during; say started; kill -SEGV $$' ''
	equal "$(cat status)" 1
}

t_terminal_is_restored_after_a_failed_start() {
	on_tty 'stty -a >during; exit 152' ''
	equal "$(cat status)" 1
}

t_terminal_is_restored_after_a_forced_stop() {
	on_tty 'say started; trap "" TERM; stty -a >during; sleep 60' '\003' --stop-timeout 0.1
	equal "$(cat status)" 137
	has err 'did not stop and was killed'
}

t_ctrl_c_powers_the_guest_off() {
	on_tty 'say started; stty -a >during; hear >heard; say "ended poweroff"; exit 0' '\003'
	equal "$(cat status)" 130
	equal "$(cat heard)" power-button
}

t_other_keys_are_the_guests() {
	on_tty 'say started; stty -a >during; dd bs=1 count=5 status=none | od -An -tx1 >typed
		say "ended poweroff"; exit 0' '\004\032\034\021\r'
	equal "$(cat status)" 0
	[ "$(tr -d ' \n' <typed)" = 041a1c110d ] || fail "$(cat typed)"
}

# Reading the terminal from the background would stop the whole job.
t_background_job_leaves_the_terminal_alone() {
	command -v script >/dev/null || skip "no script(1)"
	cat >inner <<-END
		set -m
		stty -a >before
		'$mayfly' run --vmm '$fake' --kernel kernel 2>err &
		wait \$!
		echo \$? >status
		stty -a >after
	END
	FAKE_VMM='say started; cat >typed; say "ended poweroff"; exit 0' \
		timeout 20 script -qec "exec bash inner" /dev/null </dev/null >out
	cmp before after
	equal "$(cat status)" 0
	empty typed
}
