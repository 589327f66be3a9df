# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Man pages and completion are made of the option tables: every command and option is in all.

# tables: the tables of all programs, in the file tables
tables() {
	[ -x "$real_vmm" ] || skip "no mayfly-vmm"
	"$mayfly" --describe-options >tables
	"$real_vmm" --describe-options >>tables
	"$built/mayfly-jailer" --describe-options >>tables
}

# page COMMAND: the man page's text, hyphens as they are typed
page() {
	local name=mayfly-$1
	[[ $1 != mayfly-* ]] || name=$1
	sed 's/\\-/-/g; s/\\f[BRI]//g' "$built/man/$name.1"
}

# each_option FUNCTION: calls it with command, long name and letter of every option.
each_option() {
	local kind command name letter rest
	while IFS=$'\t' read -r kind command name letter rest; do
		[ "$kind" = option ] || continue
		# read takes tabs next to each other for one: an empty letter is gone.
		[ "${#letter}" -eq 1 ] || letter=""
		"$1" "$command" "$name" "$letter"
	done < <(sed 's/\t\t/\t-\t/g' tables)
}

in_help() {
	local help
	if [[ $1 = mayfly-* ]]; then
		help=$("$built/$1" --help)
	else
		help=$("$mayfly" help "$1")
	fi
	grep -qE -- "(^|[ ,])--$2( |\$)" <<<"$help" || fail "the help of $1 lacks --$2"
}

in_page() { page "$1" | grep -qE -- "(^|, )--$2( |\$)" || fail "the page of $1 lacks --$2"; }

t_describe_lists_every_command() {
	tables
	"$mayfly" help | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on && $1 != "help" { print $1 }' >commands
	[ -s commands ]
	while read -r c; do
		has tables "^command	$c	"
	done <commands
}

t_every_option_is_in_help_and_man_page() {
	tables
	[ -d "$built/man" ] || skip "no man pages"
	each_option in_help
	each_option in_page
}

t_every_option_is_completed_by_bash() {
	tables
	[ -r "$built/completion/mayfly.bash" ] || skip "no completion"
	# shellcheck disable=SC1091
	. "$built/completion/mayfly.bash"
	completed() {
		if [[ $1 = mayfly-* ]]; then
			COMP_WORDS=("$1" "--$2") COMP_CWORD=1
			_mayfly_program
		else
			COMP_WORDS=(mayfly "$1" "--$2") COMP_CWORD=2
			_mayfly
		fi
		[[ " ${COMPREPLY[*]} " == *" --$2 "* ]] || fail "bash does not complete $1 --$2"
	}
	each_option completed
	COMP_WORDS=(mayfly "") COMP_CWORD=1
	_mayfly
	[[ " ${COMPREPLY[*]} " == *" run "*" doctor "* ]]
	COMP_WORDS=(mayfly doctor -o j) COMP_CWORD=3
	_mayfly
	[ "${COMPREPLY[*]}" = json ]
}

t_every_option_is_completed_by_zsh() {
	tables
	[ -r "$built/completion/_mayfly" ] || skip "no completion"
	in_zsh() {
		awk -v c="$1" '$0 == "\t" c ")" { on = 1; next } /;;/ { on = 0 } on' \
			"$built/completion/_mayfly" | grep -qE -- "'\\*--$2=?\\[" ||
			fail "zsh does not complete $1 --$2"
	}
	each_option in_zsh
	! command -v zsh >/dev/null || zsh -n "$built/completion/_mayfly"
}

t_man_pages_are_well_formed() {
	[ -d "$built/man" ] || skip "no man pages"
	command -v groff >/dev/null || skip "no groff"
	for p in "$built"/man/*.1; do
		groff -man -Tutf8 -ww -z "$p" >>warnings 2>&1
	done
	empty warnings
}
