# SPDX-License-Identifier: Apache-2.0
# From `mayfly-vmm --describe-api`, requests that must all be refused: for every endpoint bodies that
# are no bodies, and for every field of every body what its type and bounds forbid. One a line:
# METHOD PATH BODY.

function say(body) {
	print method, path, body
}

# The body's required fields with good values, but not `without`, and `extra` with them.
function with_required(without, extra, i, text) {
	text = extra
	for (i = 1; i <= count; i++)
		if (required[i] && name[i] !~ /[.\[]/ && name[i] != without)
			text = text (text == "" ? "" : ",") "\"" name[i] "\":" good[i]
	return "{" text "}"
}

# A field by its path (a.b, or a[].b for the elements of a list) with a value.
function nested(field, value, parts, n, i, text) {
	n = split(field, parts, ".")
	text = value
	for (i = n; i >= 1; i--) {
		if (parts[i] ~ /\[\]$/)
			text = "\"" substr(parts[i], 1, length(parts[i]) - 2) "\":[" text "]"
		else
			text = "\"" parts[i] "\":" text
		if (i > 1)
			text = "{" text "}"
	}
	return text
}

function top(field) {
	sub(/[.\[].*/, "", field)
	return field
}

function break_field(i, value) {
	say(with_required(top(name[i]), nested(name[i], value)))
}

function above(max) {
	if (max == "18446744073709551615")
		return "18446744073709551616"
	if (max == "9223372036854775807")
		return "9223372036854775808"
	return sprintf("%.0f", max + 1)
}

function long_text(n, text) {
	text = "x"
	while (length(text) < n)
		text = text text
	return substr(text, 1, n)
}

function break_by_type(i, bounds) {
	split(range[i], bounds, /\.\./)
	if (type[i] == "integer") {
		break_field(i, "\"1\"")
		break_field(i, "1.5")
		break_field(i, "true")
		break_field(i, sprintf("%.0f", bounds[1] - 1))
		break_field(i, above(bounds[2]))
	} else if (type[i] == "string" || type[i] == "id") {
		break_field(i, "5")
		break_field(i, "{}")
		if (bounds[1] == 1)
			break_field(i, "\"\"")
		if (bounds[2] > 0)
			break_field(i, "\"" long_text(bounds[2] + 1) "\"")
	} else if (type[i] == "boolean") {
		break_field(i, "5")
		break_field(i, "\"true\"")
	} else if (type[i] == "enum") {
		break_field(i, "\"NoSuchName\"")
		break_field(i, "5")
	} else if (type[i] == "array" || type[i] == "object") {
		break_field(i, "5")
		break_field(i, type[i] == "array" ? "{}" : "[]")
	}
	if (!nullable[i])
		break_field(i, "null")
	if (required[i] && name[i] !~ /[.\[]/)
		say(with_required(name[i], ""))
}

function finish(i) {
	if (!method)
		return
	if (kind == "no-body") {
		say("{}")
		return
	}
	say("{")
	say("[]")
	say("5")
	say("\"text\"")
	say("{\"a\":1}}")
	say("not JSON at all")
	if (kind == "body")
		say("")
	if (path !~ /^\/mmds$/)
		say(with_required("", "\"no_such_field\":1"))
	for (i = 1; i <= count; i++)
		if (type[i] != "later")
			break_by_type(i)
}

/^[A-Z]/ {
	finish()
	method = $1
	path = $2
	kind = $4
	sub(/\{[a-z_]*\}/, "x1", path)
	count = 0
	next
}

{
	i = ++count
	name[i] = $1
	type[i] = $2
	range[i] = $3 ~ /\.\./ ? $3 : ""
	required[i] = / required/
	nullable[i] = / nullable/
	good[i] = "\"x1\""
	if (type[i] == "integer")
		good[i] = substr(range[i], 1, index(range[i], "..") - 1)
	else if (type[i] == "boolean")
		good[i] = "true"
	else if (type[i] == "enum")
		good[i] = "\"" substr($3, 1, index($3 ",", ",") - 1) "\""
	else if (type[i] == "array")
		good[i] = "[]"
	else if (type[i] == "object")
		good[i] = "{}"
}

END { finish() }
