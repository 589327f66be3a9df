# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: Apache-2.0
# A client of a jailed monitor's API that owns a folder in the jail, and exchanges files there between
# the monitor's look at them and their use.

a_kernel() { cp "$payloads/serial.elf" "$1"; }

# What a monitor that was killed leaves: a socket without a listener, to be replaced.
a_stale_socket() {
	"$vmm" --api-sock "$1" >/dev/null 2>&1 &
	until_true test -S "$1"
	kill -KILL $!
	finished $! || true
}

# swapped_jail [MAKE]: a jailed monitor without a VM; in its folder /files, `good`, which MAKE makes, takes turns
# with all that is no good. The canary lies outside.
swapped_jail() {
	local exec=$vmm at
	root=base/mayfly-vmm/a/root
	at=$root/files
	mkdir -p "$at"
	echo canary >canary
	chmod 666 canary
	"${1:-a_kernel}" "$at/good"
	ln -s "$PWD/canary" "$at/link"
	ln -s ../../../../../../../../../../../.."$PWD"/canary "$at/dots"
	mkfifo "$at/fifo"
	mkdir "$at/folder"
	truncate -s 100 "$at/short"
	chown -Rh "$UID_OF_JAIL:$GID_OF_JAIL" "$at"
	jail a -- --api-sock /run/api.socket --level Off
	until_true test -S "$root/run/api.socket"
	(cd "$at" && exec "$top/build/sec/swap" good link dots fifo folder short) 2>swap.err &
	swap=$!
	echo "$swap" >>pids
}

# swapped REQUEST ROW [MAKE]: two hundred times, and again until some are refused; each has an answer, and
# nothing outside is touched.
swapped() {
	local before
	swapped_jail "${@:3}"
	before=$(stat -c '%s %Y %Z %i' canary)
	for _ in $(seq 100); do
		for _ in $(seq 200); do printf '%s\n' "$1"; done |
			timeout 60 "$client" talk "$root/run/api.socket" >answers || fail "no answer: $(tail -n 1 answers)"
		equal "$(wc -l <answers)" 200
		if grep -q '^400' answers; then break; fi
	done
	grep -q '^400' answers || fail "never was another file in the place"
	alive "$swap" || fail "the swapping ended: $(cat swap.err)"
	alive "$pid" || fail "the monitor is gone: $(cat a.err)"
	equal "$(printf 'GET /\n' | "$client" talk "$root/run/api.socket" | cut -c1-3)" 200
	equal "$(stat -c '%s %Y %Z %i' canary) $(cat canary)" "$before canary"
	row "$2" 2 "each of 200 requests is answered, the file outside is untouched, the monitor lives"
}

t_swapped_drive() {
	swapped 'PUT /drives/d {"drive_id":"d","path_on_host":"/files/good","is_root_device":false}' \
		"API client exchanges a drive's file with links out of the jail, a FIFO, a folder and a short file"
}

t_swapped_kernel() {
	swapped 'PUT /boot-source {"kernel_image_path":"/files/good"}' \
		"API client exchanges the kernel's file with links out of the jail, a FIFO, a folder and a short file"
}

t_swapped_log() {
	swapped 'PUT /logger {"log_path":"/files/good"}' \
		"API client exchanges the log's file with links out of the jail, a FIFO, a folder and a short file"
}

t_swapped_vsock() {
	swapped 'PUT /vsock {"guest_cid":3,"uds_path":"/files/good"}' \
		"API client exchanges the vsock device's stale socket with links out of the jail, a FIFO, a folder and a file" \
		a_stale_socket
}

# A monitor takes one metrics file, so one request each.
t_swapped_metrics() {
	for _ in $(seq 10); do
		swapped_jail
		printf '%s\n' 'PUT /metrics {"metrics_path":"/files/good"}' 'GET /' |
			timeout 20 "$client" talk "$root/run/api.socket" >answers || fail "no answer"
		equal "$(tail -n 1 answers | cut -c1-3)" 200
		equal "$(cat canary)" canary
		kill "$swap" "$pid"
		finished "$swap" || true
		finished "$pid" || true
		cleanup a
		rm -rf base
	done
	row "API client exchanges the metrics file with links out of the jail, a FIFO, a folder and a short file" 2 \
		"each of ten monitors answers and lives, the file outside is untouched"
}

# A load that fails ends the monitor, as clients know it: with an answer, an error, and nothing else.
t_snapshot_files_that_are_none() {
	local bad status
	for bad in link dots fifo folder short; do
		status=0
		swapped_jail
		kill "$swap"
		finished "$swap" || true
		printf '%s\n' 'PUT /snapshot/load {"snapshot_path":"/files/'$bad'","mem_backend":{"backend_type":"File",
			"backend_path":"/files/'$bad'"}}' | tr -d '\n\t' | cat - <(echo) |
			timeout 20 "$client" talk "$root/run/api.socket" >answers || fail "$bad: no answer"
		equal "$(cut -c1-3 answers)" 400
		finished "$pid" || status=$?
		equal "$status" 1
		equal "$(cat canary)" canary
		cleanup a
		rm -rf base
	done
	row "API client loads a snapshot from links out of the jail, a FIFO, a folder and a short file" "2, 5" \
		"refused each time, the monitor ends with an error, the file outside is untouched"
}

t_links_out_of_the_jail_lead_nowhere() {
	local to
	swapped_jail
	kill "$swap"
	finished "$swap" || true
	for to in /files/link /files/dots; do
		printf '%s\n' 'PUT /drives/d {"drive_id":"d","path_on_host":"'$to'","is_root_device":false}' \
			'PUT /boot-source {"kernel_image_path":"'$to'"}' 'PUT /logger {"log_path":"'$to'"}' \
			'PUT /metrics {"metrics_path":"'$to'"}'
	done | "$client" talk "$root/run/api.socket" >answers
	equal "$(grep -c '^400' answers)" 8
	equal "$(cat canary)" canary
	row "API client names links out of the jail as drive, kernel, log and metrics file" 5 "refused, the file outside is untouched"
}
