# SPDX-License-Identifier: Apache-2.0
#
# Prints what api/openapi.yaml says of each endpoint and each field of its body, in the words of
# `mayfly-vmm --describe-api`, one line each. The YAML is the simple kind that the file is written
# in: two blanks a level, one key a line. Anything else ends it with an error.

function unquote(s) {
	if (s ~ /^".*"$/)
		s = substr(s, 2, length(s) - 2)
	return s
}

function fail(what) {
	print FILENAME ":" FNR ": " what | "cat >&2"
	failed = 1
	exit 1
}

# The text of a list in brackets, without blanks and quotes.
function list(s) {
	gsub(/[][" ]/, "", s)
	return s
}

/^ *(#|$)/ { next }
# Lists of objects are parameters and servers, which the table does not have.
{
	match($0, /^ */)
	indent = RLENGTH
	if (/^ *- / || (in_list && indent > list_indent)) {
		list_indent = in_list ? list_indent : indent
		in_list = 1
		next
	}
	in_list = 0
	line = substr($0, indent + 1)
	if (indent % 2)
		fail("an odd number of blanks")
	depth = indent / 2
	if (line !~ /^("[^"]*"|[^ ":]+):( |$)/)
		fail("not `key: value`")
	match(line, /:( |$)/)
	key = unquote(substr(line, 1, RSTART - 1))
	text = substr(line, RSTART + 2)
	if (depth > 0 && !(depth in at))
		fail("too deep")
	for (d in at)
		if (d + 0 > depth)
			delete at[d]
	node = depth ? at[depth] SUBSEP key : key
	at[depth + 1] = node
	if (node in value)
		fail("twice: " key)
	value[node] = unquote(text)
	raw[node] = text
	parent = depth ? at[depth] : ""
	children[parent] = children[parent] (children[parent] == "" ? "" : "\n") key
}

function schema_of(node,    ref) {
	ref = value[node, "$ref"]
	if (ref == "")
		return node
	sub(/.*\//, "", ref)
	node = "components" SUBSEP "schemas" SUBSEP ref
	if (!(node in value))
		fail("no schema " ref)
	used[ref] = 1
	return node
}

function range(word, low, high) {
	return word " " low ".." high
}

function type_of(node,    t) {
	t = value[node, "type"]
	if (value[node, "x-later"] == "true")
		return "later"
	if ((node, "enum") in raw)
		return "enum " list(raw[node, "enum"])
	if (t == "string" && (node, "maxLength") in value)
		return range((node, "pattern") in value ? "id" : "string", value[node, "minLength"],
			value[node, "maxLength"])
	if (t == "integer")
		return range(t, value[node, "minimum"], value[node, "maximum"])
	if (t == "array" && (node, "maxItems") in value)
		return range(t, 0, value[node, "maxItems"])
	if (t == "array")
		return "array of " value[node, "items", "type"]
	if (t == "object" && (node, "additionalProperties", "type") in value)
		return "object of " value[node, "additionalProperties", "type"]
	return t
}

function fields(node, before,    names, n, i) {
	n = split(children[node SUBSEP "properties"], names, "\n")
	for (i = 1; i <= n; i++)
		field(node, names[i], before)
}

function field(node, name, before,    p, items, text, required) {
	p = schema_of(node SUBSEP "properties" SUBSEP name)
	text = before name " " type_of(p)
	items = (p, "items", "$ref") in value ? schema_of(p SUBSEP "items") : ""
	if (value[p, "additionalProperties"] == "true" ||
			(items != "" && value[items, "additionalProperties"] == "true"))
		text = text " open"
	required = "," list(raw[node, "required"]) ","
	if (index(required, "," name ","))
		text = text " required"
	if (value[p, "nullable"] == "true" && value[p, "x-later"] != "true")
		text = text " nullable"
	if (value[p, "deprecated"] == "true")
		text = text " deprecated"
	print text
	if (items != "")
		fields(items, before name "[].")
	else if ((p, "properties") in value)
		fields(p, before name ".")
}

function endpoint(path, method,    node, body, text, kind, later) {
	node = "paths" SUBSEP path SUBSEP method
	body = node SUBSEP "requestBody"
	text = toupper(method) " " path
	kind = !(body in value) ? "no-body" : value[body, "required"] == "true" ? "body" : "body-optional"
	later = (node, "x-later") in value ? " later: " value[node, "x-later"] : ""
	print text " " value[node, "x-phase"] " " kind later
	if (body in value)
		fields(schema_of(body SUBSEP "content" SUBSEP "application/json" SUBSEP "schema"),
			text ": ")
}

END {
	if (failed)
		exit 1
	path_count = split(children["paths"], paths, "\n")
	for (i = 1; i <= path_count; i++) {
		method_count = split(children["paths" SUBSEP paths[i]], methods, "\n")
		for (k = 1; k <= method_count; k++)
			if (methods[k] != "parameters")
				endpoint(paths[i], methods[k])
	}
}
