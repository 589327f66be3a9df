# shellcheck shell=bash disable=SC2154,SC2094,SC2317
# SPDX-License-Identifier: Apache-2.0
# The protocol: §1.2, §11 "HTTP", §12 line 7.

no_content='HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n'
put_machine='Content-Length: 35\r\n\r\n{"vcpu_count":1,"mem_size_mib":128}'

# same GOT FORMAT: byte for byte
same() {
	# shellcheck disable=SC2059
	printf "$2" >wanted
	printf '%s' "$1" >got
	cmp -s wanted got || fail "got $(od -c got | head -n 20), wanted $(od -c wanted | head -n 20)"
}

t_s11_http_no_content_is_these_66_bytes_and_no_content_length() {
	start
	raw 1 "PUT /machine-config HTTP/1.1\r\n$put_machine" >got
	# shellcheck disable=SC2059
	printf "$no_content" | cmp - got
	[ "$(wc -c <got)" -eq 66 ]
}

t_s11_http_get_has_length_and_type_json_and_no_chunks() {
	start
	raw 1 'GET /version HTTP/1.1\r\n\r\n' >got
	has got '^HTTP/1.1 200 .$'
	has got '^Content-Type: application/json.$'
	has got '^Content-Length: [0-9]+.$'
	lacks got 'Transfer-Encoding'
}

t_s11_http_whole_answer_comes_with_one_read() {
	start
	for path in / /version /vm/config /machine-config /nowhere; do
		printf 'GET %s HTTP/1.1\r\n\r\n' "$path" | "$client" reads "$PWD/api" >reads
		[ "$(wc -l <reads)" -eq 1 ] || fail "$path: $(cat reads)"
		[ $(($(cat reads) % 64)) -ne 0 ] || fail "$path: a multiple of 64 bytes"
	done
	printf 'PUT /vsock HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}' | "$client" reads "$PWD/api" >reads
	[ "$(wc -l <reads)" -eq 1 ]
}

t_s11_http_no_answer_is_a_multiple_of_64_bytes() {
	local id
	launch --api-sock api --id a
	talk
	# /nowhere...: the fault's text grows by one byte each time
	for id in $(seq 1 140); do
		printf 'GET /%0*d HTTP/1.1\r\n\r\n' "$id" 0
	done | "$client" raw "$PWD/api" 140 >got
	awk -v RS='HTTP/1.1' 'NR > 1 && (length($0) + 8) % 64 == 0 { bad = 1 } END { exit bad }' got
}

t_s11_http_1_0_without_host_is_answered_as_1_1_and_keeps_the_connection() {
	start
	raw 3 'GET /version HTTP/1.0\r\n\r\nGET /version HTTP/1.0\r\n\r\nGET /version HTTP/1.0\r\n\r\n' >got
	[ "$(grep -ao 'HTTP/1.1 200 ' got | wc -l)" -eq 3 ]
	[ "$(grep -ac '^Connection: keep-alive' got)" -eq 3 ]
}

t_s11_http_connection_close_changes_nothing() {
	start
	raw 2 'GET / HTTP/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n' >got
	[ "$(grep -ac '^Connection: keep-alive' got)" -eq 2 ]
}

t_s11_http_accept_encoding_gzip_and_missing_content_type_are_fine() {
	start
	raw 1 "PUT /machine-config HTTP/1.1\r\nAccept-Encoding: gzip\r\n$put_machine" >got
	has got '^HTTP/1.1 204 '
}

t_s1_2_absolute_and_origin_form_name_the_same() {
	start
	same "$(raw 1 'GET http://localhost/version HTTP/1.1\r\n\r\n')" \
		"$(raw 1 'GET /version HTTP/1.1\r\n\r\n' | sed 's/%/%%/g')"
	raw 1 'GET /version?x=y HTTP/1.1\r\n\r\n' | grep -aq '^HTTP/1.1 200 '
}

t_s1_2_methods_are_four_and_case_sensitive() {
	start
	for method in POST HEAD OPTIONS TRACE get Put; do
		raw 1 "$method / HTTP/1.1\r\n\r\n" >got
		has got '^HTTP/1.1 400 '
		has got '\{ "error": "Invalid HTTP Method: Unsupported HTTP method\.\\nAll previous'
	done
}

t_s1_2_faults_of_the_protocol_have_error_and_are_valid_json() {
	start
	for request in 'GET / HTTP/3.0\r\n\r\n' 'nonsense\r\n\r\n' '\x01\xff"\\\r\n\r\n' \
		'GET / HTTP/1.1\r\nTransfer-Encoding: "\\\r\n\r\n' \
		'PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n' \
		'PUT / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n' \
		'PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n' \
		'GET / HTTP/1.1\r\nAccept-Encoding: identity;q=0\r\n\r\n'; do
		raw 1 "$request" >got
		has got '^HTTP/1.1 400 '
		tail -n 1 got | jq -e '.error | endswith("\nAll previous unanswered requests will be dropped.")' \
			>/dev/null || fail "$request: $(cat got)"
	done
}

t_s1_2_line_of_1024_bytes_is_read_and_one_of_1025_refused() {
	local fits long
	start
	fits=$(printf '%0*d' 1007 0) long=0$fits
	raw 1 "GET /?$fits HTTP/1.1\r\n\r\n" >got
	has got '^HTTP/1.1 200 '
	raw 1 "GET /?$long HTTP/1.1\r\n\r\n" >got
	has got '^HTTP/1.1 400 '
	has got 'more than 1024 bytes'
	fits=$(printf '%0*d' 1019 0)
	raw 1 "GET / HTTP/1.1\r\nA: $fits\r\n\r\n" >got
	has got '^HTTP/1.1 200 '
	raw 1 "GET / HTTP/1.1\r\nA: 0$fits\r\n\r\n" >got
	has got '^HTTP/1.1 400 '
}

t_s12_7_oversize_request_is_answered_from_its_content_length_alone() {
	start
	raw 1 'PUT /mmds HTTP/1.1\r\nContent-Length: 51201\r\n\r\n' >got
	has got '"error": "Request payload with size 51201 is larger than the limit of 51200 allowed by server\.'
	has got '^HTTP/1.1 400 '
}

t_s1_2_payload_limit_can_be_set() {
	start --http-api-max-payload-size 250
	raw 1 'PUT /mmds/config HTTP/1.1\r\nContent-Length: 260\r\n\r\nsome body' >got
	has got '"Request payload with size 260 is larger than the limit of 250 allowed by server\.'
	raw 1 "PUT /machine-config HTTP/1.1\r\n$put_machine" | grep -aq '^HTTP/1.1 204 '
}

t_s1_2_expect_100_continue_is_honoured() {
	start
	"$client" patient "$PWD/api" "$(printf 'PUT /machine-config HTTP/1.1\r\nExpect: 100-continue\r\n%b' \
		"$put_machine")" >got
	has got '^HTTP/1.1 100 '
	has got '^HTTP/1.1 204 '
}

t_s1_2_curl_drives_it() {
	local big
	command -v curl >/dev/null || skip "curl is not installed"
	start
	curl -sS -i --unix-socket api -X PUT http://localhost/machine-config \
		-d '{"vcpu_count":2,"mem_size_mib":128}' >got
	has got '^HTTP/1.1 204 '
	curl -sS --unix-socket api http://localhost/machine-config -o one \
		--next --unix-socket api http://localhost/version -o two
	json '.vcpu_count == 2' "$(cat one)"
	json 'has("firecracker_version")' "$(cat two)"
	big="{\"x\":\"$(printf '%045000d' 0)\"}"
	[ "$(curl -sS --unix-socket api -X PUT -H 'Expect: 100-continue' http://localhost/mmds -d "$big" \
		-o got -w '%{http_code}')" = 204 ] || fail "$(cat got)"
}

t_s1_2_eleventh_connection_gets_503() {
	local i fds=()
	launch --api-sock api
	await test -S api
	for i in 1 2 3 4 5 6 7 8 9 10; do
		exec {fd}> >(exec "$client" raw "$PWD/api" 1 >"held$i" 2>&1)
		fds+=("$fd")
	done
	connections_are_10() { [ "$(find "/proc/$pid/fd" -lname 'socket:*' | wc -l)" -eq 11 ]; }
	await connections_are_10 # and the listening one
	"$client" raw "$PWD/api" end </dev/null >got
	has got '^HTTP/1.1 503 '
	has got '^\{ "error": "Too many open connections" \}$'
	for i in "${fds[@]}"; do
		printf 'GET /version HTTP/1.1\r\n\r\n' >&"$i"
		exec {i}>&-
	done
	for i in 1 2 3 4 5 6 7 8 9 10; do
		await grep -aq '^HTTP/1.1 200 ' "held$i"
	done
}

t_s12_11_method_that_a_path_does_not_have_is_said() {
	start
	for path in /boot-source /logger /metrics /vsock /entropy /serial /cpu-config /actions; do
		bad 'Invalid request method' PATCH "$path" '{"a":1}'
	done
	for path in /boot-source /logger /actions /drives/x /vsock; do
		bad 'Invalid request method' GET "$path"
	done
	bad 'Invalid request method' GET /nowhere
	bad 'Invalid request method' GET /machine-config/x
	bad 'Invalid request method' DELETE /machine-config
	bad 'Invalid request method' PUT / '{}'
}

t_s1_2_get_must_not_have_a_body_and_put_must_have_one() {
	start
	for path in / /version /vm/config /machine-config /mmds; do
		bad 'GET request cannot have a body' GET "$path" '{}'
	done
	for path in /boot-source /machine-config /drives/a /network-interfaces/a /vsock /entropy /serial \
		/logger /metrics /actions /cpu-config /mmds /mmds/config; do
		bad 'Empty PUT request' PUT "$path"
	done
	bad 'Empty PATCH request' PATCH /machine-config
	bad 'Empty PATCH request' PATCH /vm
}
