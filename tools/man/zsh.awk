# SPDX-License-Identifier: Apache-2.0
# Completion for zsh, from the option tables (README.md).
BEGIN {
	FS = "\t"
	quote = "'\\''"
	print "#compdef mayfly mayfly-vmm mayfly-jailer"
	print "# SPDX-License-Identifier: Apache-2.0"
	print "# zsh completion for mayfly, mayfly-vmm and mayfly-jailer; made by tools/man/zsh.awk."
}

# Text inside single quotes, and inside the brackets and colons of _arguments.
function text(s) {
	gsub(/\\n/, " ", s)
	gsub(/'/, quote, s)
	gsub(/[\[\]:]/, "\\\\&", s)
	return s
}

function action(words) {
	if (words == "@file")
		return "_files"
	if (words == "@vm")
		return "_mayfly_vms"
	if (sub(/ @file$/, "", words))
		return "{compadd -- " words "; _files}"
	return words == "" ? "" : "(" words ")"
}

$1 == "command" {
	commands[++count] = $2
	if ($2 !~ /^mayfly-/)
		summaries[$2] = $3
	arguments[$2] = $5
}

# Options may be repeated (*): some of them are meant to be.
$1 == "option" {
	value = $5 == "" ? "" : ":" text($5) ":" action($6)
	options[$2] = options[$2] " \\\n\t\t\t'*--" $3 ($5 == "" ? "" : "=") "[" text($7) "]" value "'"
	if ($4 != "")
		options[$2] = options[$2] " \\\n\t\t\t'*-" $4 "[" text($7) "]" value "'"
}

END {
	print "_mayfly_vms() {\n\tcompadd -- ${(f)\"$(mayfly ps -q 2>/dev/null)\"}\n}"
	print "_mayfly_words() {\n\tcase $1 in"
	for (i = 1; i <= count; i++) {
		c = commands[i]
		printf "\t%s)\n\t\t_arguments%s%s\n\t\t;;\n", c, options[c], arguments[c] == "" ? "" : " \\\n\t\t\t'*::argument:" action(arguments[c]) "'"
	}
	print "\tesac\n}"
	print "_mayfly() {\n\tlocal -a commands\n\tcommands=("
	for (i = 1; i <= count; i++)
		if (commands[i] in summaries)
			printf "\t\t'%s:%s'\n", commands[i], text(summaries[commands[i]])
	print "\t\t'help:Say how a command is used'\n\t)"
	print "\tif [[ $service == mayfly-* ]]; then\n\t\t_mayfly_words $service"
	print "\telif (( CURRENT == 2 )); then\n\t\t_describe command commands"
	print "\telse\n\t\tlocal command=$words[2]\n\t\tshift words\n\t\t(( CURRENT-- ))"
	print "\t\t_mayfly_words $command\n\tfi\n}"
	print "_mayfly \"$@\""
}
