# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2015,SC2034,SC2119,SC2120,SC2154 # variables and helpers are those of run
# `mayfly pool`: clones that wait, are handed out, and leave nothing behind. The guest is that of the
# other tests; what each clone prints is in ID.out.

# serve [OPTION]...: a pool on the socket p, of the snapshot s and m; its pid in $pool.
serve() {
	"$mayfly" pool serve -s p --state s --memory m --console '{id}.out' --vmm "$vmm" "$@" \
		>/dev/null 2>>pool.err &
	pool=$!
	echo "$pool" >>pids
	for _ in $(seq 500); do ! pool status >/dev/null || return 0; sleep 0.02; done
	fail "no pool: $(cat pool.err client.err)"
}
pool() { # ACTION [ARGUMENT]...
	local action=$1
	shift
	"$mayfly" pool "$action" -s p "$@" 2>client.err
}
# status FIELD: a number, or a text without its quotes
status() { pool status -j | sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p"; }
# until_is FIELD VALUE: waits for it
until_is() {
	local n
	for n in $(seq 500); do [ "$(status "$1")" != "$2" ] || return 0; sleep 0.02; done
	fail "$1 is $(status "$1"), not $2 ($n): $(pool status) $(cat pool.err client.err)"
}
# pids_of STATE: of the clones in that state
pids_of() { pool status -j | tr '{' '\n' | sed -n "s/.*\"pid\":\\([0-9]*\\),\"state\":\"$1\".*/\\1/p"; }
# vanishes PID...: all end
vanishes() {
	local n p
	for p in "$@"; do
		for n in $(seq 500); do alive "$p" || continue 2; sleep 0.02; done
		fail "process $p lives on ($n)"
	done
}
# take_one [OPTION]...: sets id and sock
take_one() {
	read -r id sock < <(pool take "$@") || fail "no clone: $(cat client.err pool.err)"
}
# pool_ask METHOD PATH [BODY]: of the pool; sets status and body as api does
pool_ask() { ln -sf p pool.api; api pool "$@"; }

t_pool_hands_out_clones_that_run() {
	local one
	take
	serve --size 3
	until_is ready 3
	[ "$(stat -c %a p)" = 700 ] && [ "$(stat -c %a p.d)" = 700 ] || fail "$(ls -la)"
	grep -qa turn c0.out && fail 'it has run before it was taken' || true
	take_one
	[ "$id" = c0 ] || fail "$id"
	turns "$id" 2
	one=$id
	take_one
	[ "$id" != "$one" ] || fail 'the same one twice'
	turns "$id" 2
	turns "$one" 1
	until_is ready 3
	[ "$(status taken)" = 2 ] && [ "$(status handed_out)" = 2 ] || fail "$(pool status -j)"
	pool end "$id"
	until_is taken 1
	gone "p.d/$id"
	turns "$one" 1
	pool end nobody && fail 'ended what is not there' || grep -q "no clone 'nobody'" client.err
	pool end c3 && fail 'ended one that waits' || grep -q "no clone 'c3'" client.err
	pool stop
	wait "$pool"
	[ ! -e p ] && [ ! -e p.d ] || fail "$(ls)"
	! grep -qa 'PAYLOAD fail' ./*.out
}

t_pool_hands_out_paused_clones() {
	local state
	take
	serve --size 1
	take_one --paused
	[ ! -s "$id.out" ] || fail "$(cat "$id.out")"
	ln -s "$sock" "$id.api"
	ok "$id" GET /
	case $body in *Paused*) ;; *) fail "$body" ;; esac
	resume "$id"
	turns "$id" 2
}

# A clone that is leased ends with its client, however that ends.
t_pool_leases_end_with_the_client() {
	local client_pid
	take
	serve --size 2
	until_is ready 2
	# shellcheck disable=SC2016 # for the shell that is run
	"$mayfly" pool take -s p -- sh -c 'echo "$MAYFLY_ID $MAYFLY_API_SOCK" >got; exec sleep 600' &
	client_pid=$!
	echo "$client_pid" >>pids
	until_is taken 1
	for _ in $(seq 500); do [ ! -s got ] || break; sleep 0.02; done
	read -r id sock <got
	[ -S "$sock" ] || fail "$sock"
	turns "$id" 2
	local p
	p=$(pids_of taken)
	kill -KILL $client_pid
	vanishes "$p"
	until_is taken 0
	until_is ready 2
}
t_pool_replaces_clones_that_die() {
	local p q
	take
	serve --size 2
	until_is ready 2
	p=$(pids_of ready | head -n 1)
	kill -KILL "$p"
	vanishes "$p"
	for _ in $(seq 500); do [ "$(status deaths)" = 0 ] || break; sleep 0.02; done
	until_is ready 2
	q=$(pids_of ready)
	case " $q " in *"$p"*) fail "$p is still there" ;; esac
	# one that was told to go on, and cannot
	for p in $q; do kill -STOP "$p"; done
	pool take -w 30 >got &
	q=$!
	until_is taken 1
	for p in $(pids_of resuming); do kill -KILL "$p"; done
	for p in $(pids_of ready); do kill -CONT "$p" 2>/dev/null || true; done
	wait "$q" || fail "$(cat client.err pool.err)"
	read -r id sock <got
	turns "$id" 2
	kill -KILL "$(pids_of taken)"
	until_is taken 0
	gone "p.d/$id"
}

t_pool_that_is_killed_leaves_nothing() {
	local p
	take
	serve --size 3
	until_is ready 3
	take_one
	turns "$id" 1
	until_is ready 3 # one in the place of the taken one
	p="$(pids_of ready) $(pids_of taken)"
	[ "$(echo "$p" | wc -w)" -ge 4 ] || fail "$p"
	kill -KILL "$pool"
	# shellcheck disable=SC2086 # words
	vanishes $p
	ln -s /etc p.d/link
	mkdir -p p.d/c77/x && touch p.d/c77/x/y
	serve --size 1
	until_is ready 1
	[ "$(ls p.d)" = c0 ] || fail "$(ls p.d)"
	[ -e /etc/passwd ] || fail 'it followed a link'
	kill -TERM "$pool"
	wait "$pool"
	[ ! -e p ] && [ ! -e p.d ] || fail "$(ls)"
}

t_pool_socket_is_one_pools() {
	take
	serve --size 1
	until_is ready 1
	! "$mayfly" pool serve -s p --state s --memory m --vmm "$vmm" 2>second.err || fail 'two pools'
	grep -q 'another pool has' second.err || fail "$(cat second.err)"
	until_is ready 1
	pool stop
	wait "$pool"
}

t_pool_take_waits_until_a_time_out() {
	take
	serve --size 1 --max 1
	take_one
	! pool take -w 0 || fail 'a second one'
	grep -q 'as many clones are alive as --max allows' client.err || fail "$(cat client.err)"
	pool take -w 60 >got &
	until_is waiting 1
	pool end "$id"
	wait $! || fail "$(cat client.err)"
	read -r id sock <got
	turns "$id" 1
	pool take -w 60 &
	until_is waiting 1
	pool stop
	! wait $! || fail 'a clone of a pool that ends'
	wait "$pool"
}

t_pool_drains() {
	take
	serve --size 2
	until_is ready 2
	take_one
	pool stop --drain
	until_is ready 0
	! pool take || fail 'a clone of a pool that ends'
	grep -q 'is being stopped' client.err || fail "$(cat client.err)"
	turns "$id" 1
	pool end "$id"
	wait "$pool"
	[ ! -e p ] || fail "$(ls)"
}

t_pool_of_a_damaged_snapshot() {
	local n before
	take
	cp s good
	serve --size 2
	until_is ready 2
	head -c 100 good >bad
	mv bad s
	take_one
	for n in $(seq 500); do [ "$(status failures)" -lt 3 ] || break; sleep 0.02; done
	[ "$(status failures)" -ge 3 ] || fail "$(pool status -j)"
	case $(status hindrance) in *'cannot be started'*'restore from snapshot'*) ;; *) fail "$(pool status)" ;; esac
	[ "$(status retry_in_ms)" -le 30000 ]
	turns "$id" 1
	take_one # the one that is left
	! pool take -w 0 || fail 'a clone out of a damaged file'
	grep -q 'restore from snapshot' client.err || fail "$(cat client.err)"
	before=$(status failures)
	[ "$before" -lt 12 ] || fail "$before attempts: a busy loop"
	[ "$(grep -c 'cannot be started' pool.err)" = 1 ] || fail "$(cat pool.err)"
	mv good s
	until_is ready 2
	! pool status | grep "not refilled" || fail "$(pool status)"
	# and from the beginning
	pool stop
	wait "$pool"
	head -c 100 s >bad
	n=0
	"$mayfly" pool serve -s p --state bad --memory m --vmm "$vmm" 2>err || n=$?
	[ "$n" = 2 ] && grep -q bad err || fail "$n: $(cat err)"
	truncate -s 1M short
	n=0
	"$mayfly" pool serve -s p --state s --memory short --vmm "$vmm" 2>err || n=$?
	[ "$n" = 2 ] && grep -q 'short has 1048576 bytes' err || fail "$n: $(cat err)"
}

t_pool_keeps_to_its_memory() {
	take
	serve --size 40 --memory-max 4M
	for _ in $(seq 500); do case $(status hindrance) in *memory-max*) break ;; esac; sleep 0.02; done
	case $(status hindrance) in *memory-max*) ;; *) fail "$(pool status)" ;; esac
	until_is starting 0
	[ "$(status ready)" -ge 1 ] && [ "$(status ready)" -lt 40 ] || fail "$(pool status)"
	# the guest writes to 4 MiB as soon as it goes on
	take_one
	turns "$id" 8
	for _ in $(seq 500); do [ "$(status memory_bytes)" -le 4194304 ] || break; sleep 0.02; done
	! pool take -w 0 || fail 'one more over the limit'
	grep -q 'memory-max' client.err || fail "$(cat client.err)"
	pool end "$id"
	take_one -w 60
	turns "$id" 1
}

t_pool_gives_disks_and_sockets_of_their_own() {
	local i n
	truncate -s 1M disk
	take '"vcpu_count":1,"mem_size_mib":64' \
		'{"drive_id":"d","path_on_host":"disk","is_root_device":false,"is_read_only":false}'
	n=0
	"$mayfly" pool serve -s p --state s --memory m --vmm "$vmm" 2>err || n=$?
	[ "$n" = 2 ] && grep -q 'writable drive d cannot be shared.*--drive d=PATTERN' err || fail "$n: $(cat err)"
	for i in 0 1 2; do cp disk "disk.$i"; done
	serve --size 2 --max 3 --drive 'd=disk.{slot}'
	until_is ready 2
	take_one
	turns "$id" 1
	take_one
	turns "$id" 1
	until_is ready 1
	for i in $(pids_of taken) $(pids_of ready); do
		readlink /proc/"$i"/fd/* | grep '/disk\.'
	done | sort -u >open
	[ "$(wc -l <open)" = 3 ] || fail "$(cat open)"
}

t_pool_with_hostile_clients() {
	local i p got
	take
	serve --size 2
	until_is ready 2
	printf 'garbage\r\n\r\n' | "$client" raw "$PWD/p" 1 >out 2>err || fail "$(cat err)"
	head -n 1 out | grep -q '^HTTP/1.1 400' || fail "$(cat out)"
	printf 'PUT /pool/take HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n' |
		"$client" raw "$PWD/p" 1 >out 2>err || fail "$(cat err)"
	head -n 1 out | grep -q '^HTTP/1.1 4[01]' || fail "$(cat out)"
	for got in '[]' '{' '{"resume":1}' '{"wait_ms":-1}' '{"wait_ms":600001}' '{"x":true}' \
		'{"lease":true,"lease":true}' '{"wait_ms":99999999999999999999}' '"' 'null'; do
		pool_ask PUT /pool/take "$got"
		[ "$status" = 400 ] || fail "$got -> $status $body"
	done
	pool_ask PUT /pool/end '{}'
	[ "$status" = 400 ] || fail "$status $body"
	pool_ask PUT /pool/stop '{"drain":"x"}'
	[ "$status" = 400 ] || fail "$status $body"
	pool_ask GET /etc/passwd
	[ "$status" = 404 ] || fail "$status $body"
	pool_ask PUT /pool/end '{"id":"../c0"}'
	[ "$status" = 404 ] || fail "$status $body"
	# many that say half a word and stay
	for i in $(seq 100); do
		{ printf 'PUT /pool/take HT'; sleep 600; } | socat - UNIX-CONNECT:p >/dev/null 2>&1 &
		p="${p:-} $!"
		echo "$!" >>pids
	done
	take_one -w 20
	turns "$id" 1
	until_is ready 2
	[ "$(status taken)" = 1 ] || fail "$(pool status)"
	# shellcheck disable=SC2086 # words
	kill $p 2>/dev/null || true
	for i in binary pipelined slow huge deaf; do "$client" flood "$PWD/p" "$i" >/dev/null 2>&1 || true; done
	# takes whose client does not wait for the answer
	for i in $(seq 20); do
		printf 'PUT /pool/take HTTP/1.1\r\nContent-Length: 0\r\n\r\n' |
			timeout 0.02 socat -u - UNIX-CONNECT:p >/dev/null 2>&1 || true
	done
	until_is taken 1
	until_is ready 2
	turns "$id" 1
	alive "$pool" || fail "$(cat pool.err)"
}
