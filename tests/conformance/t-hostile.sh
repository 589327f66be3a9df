# shellcheck shell=bash disable=SC2154,SC2317
# SPDX-License-Identifier: Apache-2.0
# Clients that nobody wants, while a VM runs that counts on its serial port: it must get on, the monitor
# must live and not grow, and the next honest client be served.

# Lines that the guest has counted in the time of a command, and that time in ms.
progress_of() {
	local began=${EPOCHREALTIME/./} before
	before=$(grep -c '^tick' out || true)
	"$@"
	ticks=$(($(grep -c '^tick' out) - before))
	took_ms=$(((${EPOCHREALTIME/./} - began) / 1000))
}

rss_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }

survives() { # WHAT
	local rss_before calm calm_ms
	start --level Off --http-api-max-payload-size 60000
	boot
	await grep -q '^tick 5' out
	progress_of sleep 0.5
	calm=$ticks calm_ms=$took_ms rss_before=$(rss_kib)
	progress_of timeout 120 "$client" flood "$PWD/api" "$1"
	echo "calm: $calm lines in $calm_ms ms; under attack: $ticks in $took_ms ms"
	# The attacker and the monitor's main thread share two CPUs with the guest: a tenth of its calm
	# pace is enough to show that nothing waits for a client.
	[ $((ticks * calm_ms * 10)) -ge $((calm * (took_ms - 200))) ] || fail "the guest does not get on"
	kill -0 "$pid" 2>/dev/null || fail "the monitor is gone: $(tail -n 3 out)"
	ok GET /
	json '.state == "Running"'
	[ "$(rss_kib)" -lt $((rss_before + 2048)) ] || fail "grew from $rss_before to $(rss_kib) KiB"
	# no descriptor is left open
	fds_are_closed() { [ "$(find "/proc/$pid/fd" -lname 'socket:*' | wc -l)" -le 3 ]; }
	await fds_are_closed
}

t_hostile_10000_connections() { survives connections; }
t_hostile_binary_noise() { survives binary; }
t_hostile_huge_requests() { survives huge; }
t_hostile_pipelined_requests() { survives pipelined; }
t_hostile_clients_that_do_not_read() { survives deaf; }
t_hostile_slow_clients() { survives slow; }

t_slow_client_does_not_delay_another() {
	local began took slow
	start
	ok GET /
	exec {slow}> >(exec "$client" raw "$PWD/api" 1 >slow.out 2>&1)
	printf 'PUT /machine-config HTTP/1.1\r\nContent-Le' >&"$slow"
	for _ in 1 2 3 4 5; do
		began=${EPOCHREALTIME/./}
		ok GET /vm/config
		took=$((${EPOCHREALTIME/./} - began))
		[ "$took" -lt 5000000 ] || fail "an answer took $took us"
	done
	exec {slow}>&-
}

t_half_a_request_is_answered_408_while_a_vm_runs() {
	start
	boot
	printf 'PUT /machine-config HTTP/1.1\r\nContent-Le' |
		timeout 60 "$client" raw "$PWD/api" end >got || fail "$(cat got)"
	has got '^HTTP/1.1 408 '
	has got '^Connection: close'
	ok GET /
}
