# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2015,SC2034,SC2119,SC2120,SC2154 # variables and helpers are those of run
# State files of released versions, in images/: a later monitor must load them. Their machine has every device;
# memory is left out (a file of zeroes is loaded), so it does not run.

overrides='"drive_overrides":[{"drive_id":"root","path_on_host":"root"},{"drive_id":"data","path_on_host":"data"}],
	"network_overrides":[{"iface_id":"eth0","passt_socket":"net.sock"}],"vsock_override":{"uds_path":"v"}'

outside() { # what the machine of an image needs of its host
	truncate -s 1M root data
	echoes net.sock
	truncate -s 128M zeroes
}

# load_image NAME STATE [FORCE]: paused, with a memory of zeroes. Leaves the API's answer in $status and $body.
load_image() {
	launch "$1"
	api "$1" PUT /snapshot/load \
		"{\"snapshot_path\":\"$2\",\"mem_file_path\":\"zeroes\",\"force\":${3:-false},$overrides}"
}

# The configuration as the API tells it, without paths and what only this load gave.
config_of() {
	ok "$1" GET /vm/config
	jq -S 'del(.. | .path_on_host?, .uds_path?, .passt_socket?, .logger?, .metrics?)' <<<"$body"
}

# With IMAGE_OUT=PREFIX the state file and its configuration become an image: see images/README.md.
t_image_of_this_version() {
	outside
	more=',"vsock":{"guest_cid":3,"uds_path":"v"},
		"network-interfaces":[{"iface_id":"eth0","guest_mac":"02:00:00:00:00:01","passt_socket":"net.sock"}],
		"mmds-config":{"network_interfaces":["eth0"],"version":"V2"}'
	cp "$payloads/snap_chain.elf" guest.elf # an image names no place of the machine it is made on
	payloads=. kernel=guest area=1 boot a "$(machine 2 128 false)" '
		{"drive_id":"data","path_on_host":"data","is_root_device":false,"is_read_only":false,"io_engine":"Async",
		 "cache_type":"Writeback","rate_limiter":{"ops":{"size":100000,"refill_time":100}}},
		{"drive_id":"root","path_on_host":"root","is_root_device":false,"is_read_only":true}'
	pause a
	create a s m
	config_of a >config.json
	end a
	load_image b s
	[ "$status" = 204 ] || fail "$status $body"
	config_of b | diff config.json - || fail "the configuration is another"
	[ -z "${IMAGE_OUT:-}" ] || { cp s "$IMAGE_OUT.state"; cp config.json "$IMAGE_OUT.json"; }
}

t_images_of_released_versions_load() {
	local image n=0
	outside
	for image in "$here"/images/*.state; do
		n=$((n + 1))
		"$(dirname "$vmm")/mayfly" snapshot verify "$image" || fail "$image"
		load_image "i$n" "$image"
		if [ "$status" = 400 ] && [[ $body == *--force* ]]; then
			echo "$image is of another CPU: $body"
			load_image "f$n" "$image" true
			[ "$status" = 204 ] || fail "$image, by force: $status $body"
			config_of "f$n" >now.json
		else
			[ "$status" = 204 ] || fail "$image: $status $body"
			config_of "i$n" >now.json
		fi
		jq -e --slurpfile old "${image%.state}.json" 'contains($old[0])' now.json >/dev/null ||
			fail "$image: $(diff "${image%.state}.json" now.json)"
	done
	[ "$n" -gt 0 ] || fail "there are no images"
}
