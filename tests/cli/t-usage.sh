# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# The command line: help, and every way to get it wrong. $mayfly comes from run.

t_no_command_is_a_usage_error() {
	status_of 2 "$mayfly"
	empty out
	has err '^Usage: mayfly COMMAND'
}

t_unknown_command_is_a_usage_error() {
	status_of 2 "$mayfly" fly
	has err "unknown command 'fly'"
	status_of 2 "$mayfly" help fly
}

t_help_is_on_standard_output() {
	for words in help --help -h "help run" "run --help" "run -h" "help doctor" "doctor --help"; do
		# shellcheck disable=SC2086
		status_of 0 "$mayfly" $words
		empty err
		has out '^Usage: mayfly'
	done
}

t_help_of_run_names_every_exit_status() {
	status_of 0 "$mayfly" help run
	for status in 0 1 2 64 65 66 67 68 69 130 143 137; do
		has out "(^|[^0-9])$status([^0-9]|\$)"
	done
}

t_version_is_printed() {
	status_of 0 "$mayfly" --version
	has out '^mayfly [0-9]+\.[0-9]+'
}

t_full_disk_is_an_error() {
	[ -w /dev/full ] || skip "no /dev/full"
	local command
	for command in "help run" --version doctor "doctor -o json" "doctor --check kernel"; do
		# shellcheck disable=SC2086
		! "$mayfly" $command >/dev/full 2>err || fail "$command succeeded"
		has err 'cannot write'
	done
}

# refuses REGEX OPTION...: status 2, the reason on standard error, nothing started
refuses() {
	local regex=$1
	shift
	status_of 2 run_fake 'echo started' "$@"
	empty out
	has err "$regex"
	has err "Try 'mayfly help run'"
}

t_run_refuses_wrong_options() {
	refuses "unknown option '--kernal'" --kernal x
	refuses "unknown option '-x'" -x
	refuses "option '--cpus' needs a value" --cpus
	refuses "option '--timeline=yes' takes no value" --timeline=yes
	refuses "'stray': every argument" stray
	refuses "--cmdline-replace needs --cmdline" --cmdline-replace
	status_of 2 "$mayfly" run
	has err '--kernel PATH is needed'
}

t_run_refuses_wrong_numbers() {
	for n in 0 33 -1 '' 2x 99999999999999999999; do
		refuses "--cpus '$n': must be a number from 1 to 32" --cpus "$n"
	done
	for n in 0 -1 M 1.5G 12K '' ' 5' 99999999999G; do
		refuses "--memory '$n': must be" --memory "$n"
	done
	for n in -1 x 1.55 1. 99999999; do
		refuses "--stop-timeout '$n': must be seconds" --stop-timeout "$n"
	done
	refuses "--log-level 'Loud': must be Off, Error" --log-level Loud
}

t_run_refuses_wrong_files() {
	: >nothing
	refuses "--initrd 'absent': No such file" --initrd absent
	refuses "--kernel '/': must be a regular file" --kernel /
	refuses "--kernel 'nothing': the file is empty" --kernel nothing
	refuses "--drive 'absent': No such file" --drive absent:ro
	refuses "--drive '/dev/null': must be a regular file or a block device" --drive /dev/null
	refuses "--drive ':ro': the path is empty" --drive :ro
	refuses "only one root drive" --root kernel --root kernel
	refuses "must come before --drive" --drive kernel --root kernel
}

t_run_refuses_too_many_drives() {
	local args=()
	for n in $(seq 17); do
		args+=(--drive kernel:ro)
	done
	refuses '17 drives and the entropy device' "${args[@]}"
	refuses 'at most 17 drives' "${args[@]}" --drive kernel:ro
	status_of 0 run_fake 'say "ended poweroff"; exit 0' "${args[@]}" --no-entropy
}

t_run_refuses_a_long_cmdline() {
	local text
	text=$(head -c 2047 /dev/zero | tr '\0' x)
	refuses 'the command line has 2[0-9]+ bytes, the most is 2047' --cmdline "$text"
	status_of 0 run_fake 'say "ended poweroff"; exit 0' --cmdline-replace --cmdline "$text"
	refuses 'the command line has 2048 bytes' --cmdline-replace --cmdline "x$text"
}

t_run_refuses_an_unwritable_drive() {
	chmod a=r kernel
	if [ "$(id -u)" -eq 0 ]; then
		command -v setpriv >/dev/null || skip "no setpriv"
		chmod 755 . ..
		setpriv --reuid 65534 --clear-groups test -x "$mayfly" ||
			skip "the command cannot be reached by another user"
		status_of 2 setpriv --reuid 65534 --clear-groups "$mayfly" run --kernel kernel \
			--drive kernel
	else
		status_of 2 run_fake exit --drive kernel
	fi
	has err "--drive 'kernel': Permission denied; append ':ro'"
}
