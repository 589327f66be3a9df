# SPDX-License-Identifier: Apache-2.0
# Completion for bash, from the option tables (README.md).
BEGIN {
	FS = "\t"
	print "# SPDX-License-Identifier: Apache-2.0"
	print "# bash completion for mayfly, mayfly-vmm and mayfly-jailer; made by tools/man/bash.awk."
}

# The shell's words for a list of completion words.
function reply(words) {
	if (words == "@file")
		return "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")"
	if (words == "@vm")
		return "mapfile -t COMPREPLY < <(compgen -W \"$(mayfly ps -q 2>/dev/null)\" -- \"$cur\")"
	if (sub(/ @file$/, "", words))
		return "mapfile -t COMPREPLY < <(compgen -f -W '" words "' -- \"$cur\")"
	return "mapfile -t COMPREPLY < <(compgen -W '" words "' -- \"$cur\")"
}

$1 == "command" {
	commands[++count] = $2
	arguments[$2] = $5
	if ($2 !~ /^mayfly-/)
		all = all " " $2
}

$1 == "option" {
	options[$2] = options[$2] " --" $3 ($4 != "" ? " -" $4 : "")
	if ($5 != "")
		values[$2] = values[$2] "\t\t--" $3 ($4 != "" ? " | -" $4 : "") ") " ($6 != "" ? reply($6) : ":") "; return ;;\n"
}

END {
	print "_mayfly_words() {"
	print "\tlocal command=$1 cur=$2 prev=$3"
	print "\tcase $command in"
	for (i = 1; i <= count; i++) {
		c = commands[i]
		printf "\t%s)\n", c
		if (values[c] != "")
			printf "\t\tcase $prev in\n%s\t\tesac\n", values[c]
		printf "\t\tcase $cur in\n\t\t-*) %s ;;\n", reply(substr(options[c], 2))
		if (arguments[c] != "")
			printf "\t\t*) %s ;;\n", reply(arguments[c])
		print "\t\tesac\n\t\t;;"
	}
	print "\tesac"
	print "}"
	print "_mayfly() {"
	print "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}"
	print "\tCOMPREPLY=()"
	print "\tif [ \"$COMP_CWORD\" -eq 1 ]; then"
	printf "\t\t%s\n", reply(substr(all, 2) " help --help --version")
	print "\telif [ \"${COMP_WORDS[1]}\" = help ]; then"
	printf "\t\t%s\n", reply(substr(all, 2))
	print "\telse"
	print "\t\t_mayfly_words \"${COMP_WORDS[1]}\" \"$cur\" \"$prev\""
	print "\tfi"
	print "}"
	print "_mayfly_program() {"
	print "\tCOMPREPLY=()"
	print "\t_mayfly_words \"${COMP_WORDS[0]##*/}\" \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\""
	print "}"
	print "complete -o filenames -F _mayfly mayfly"
	print "complete -o filenames -F _mayfly_program mayfly-vmm mayfly-jailer"
}
