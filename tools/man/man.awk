# SPDX-License-Identifier: Apache-2.0
# One man page per command of the option tables (README.md), into the folder `out`, and one of all
# of them, mayfly.1. Variables: out, version, date.
BEGIN {
	FS = "\t"
}

# Text as roff: nothing in it is a request, an escape or a hyphen to break at.
function roff(s) {
	gsub(/\\n/, "\001", s)
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	gsub(/\001\001/, "\n.PP\n", s)
	gsub(/\001/, "\n.br\n", s)
	gsub(/\n'/, "\n\\\\\\&'", s)
	return s
}

function head(page, summary) {
	file = out "/" page ".1"
	printf ".TH %s 1 \"%s\" \"mayfly %s\" \"mayfly\"\n", toupper(page), date, version >file
	printf ".SH NAME\n%s \\- %s\n", roff(page), roff(tolower(substr(summary, 1, 1)) substr(summary, 2)) >file
}

function end_page() {
	if (file == "")
		return
	if (notes != "")
		printf ".SH NOTES\n%s\n", roff(notes) >file
	printf ".SH SEE ALSO\n%s\n", page == "mayfly-vmm" ? ".BR mayfly (1)" : ".BR mayfly (1),\n.BR mayfly\\-vmm (1)" >file
	close(file)
	file = ""
}

$1 == "command" {
	end_page()
	page = $2 == "mayfly-vmm" ? $2 : "mayfly-" $2
	head(page, $3)
	printf ".SH SYNOPSIS\n.B %s\n%s\n", roff($2 == "mayfly-vmm" ? $2 : "mayfly " $2), roff($4) >file
	printf ".SH DESCRIPTION\n%s\n.SH OPTIONS\n", roff($6) >file
	notes = $7
	if ($2 != "mayfly-vmm") {
		names[++count] = $2
		summaries[count] = $3
	}
}

$1 == "group" {
	printf ".SS %s\n", roff($3) >file
}

$1 == "option" {
	printf ".TP\n%s\\fB%s\\fR%s\n%s\n", $4 == "" ? "" : "\\fB\\-" $4 "\\fR, ", roff("--" $3), $5 == "" ? "" : " \\fI" roff($5) "\\fR", roff($7) >file
}

END {
	end_page()
	head("mayfly", "Run virtual machines in about the time of a process")
	printf ".SH SYNOPSIS\n.B mayfly\n.I COMMAND\n[OPTION]...\n.SH COMMANDS\n" >file
	for (i = 1; i <= count; i++)
		printf ".TP\n.BR mayfly\\-%s (1)\n%s\n", names[i], roff(summaries[i]) >file
	printf ".TP\n.BI \"mayfly help \" COMMAND\nSay how a command is used\n" >file
	printf ".TP\n.B mayfly \\-\\-version\nPrint the version\n" >file
	printf ".TP\n.B mayfly \\-\\-describe\\-options\nPrint the tables that this page is made of\n" >file
	printf ".SH FILES\n.TP\n.I $XDG_RUNTIME_DIR/mayfly\n" >file
	printf "The runtime directory, which knows the VMs that run; /run/mayfly without that variable.\n" >file
	printf ".SH SEE ALSO\n.BR mayfly\\-vmm (1)\n" >file
}
