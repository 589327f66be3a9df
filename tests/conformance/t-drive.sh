# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Changing drives of a VM that runs, with the system-call filters on: each kind of drive and each kind
# of file goes another way through the host.

# Lends a block device over the file disk; prints its path.
lend_disk() {
	[ "$(id -u)" -eq 0 ] || skip "only root can make a block device"
	losetup --find --show disk 2>/dev/null || skip "no loop device"
}

# All changes of one drive ID.
change_drive() {
	local path
	for path in "$PWD/other" "$loop" "$PWD/disk"; do
		ok PATCH "/drives/$1" "{\"drive_id\":\"$1\",\"path_on_host\":\"$path\"}"
	done
	for path in /nowhere "$PWD"; do
		bad "Error manipulating the backing file: " \
			PATCH "/drives/$1" "{\"drive_id\":\"$1\",\"path_on_host\":\"$path\"}"
	done
	bad "is neither a regular file nor a block device" \
		PATCH "/drives/$1" "{\"drive_id\":\"$1\",\"path_on_host\":\"/dev/null\"}"
	ok PATCH "/drives/$1" "{\"drive_id\":\"$1\"}"
	ok PATCH "/drives/$1" "{\"drive_id\":\"$1\",\"rate_limiter\":{\"ops\":{\"size\":1,\"refill_time\":100}}}"
}

t_drives_of_every_kind_are_changed_under_the_filter() {
	local kind id
	local -A kinds=([sync]='"io_engine":"Sync"' [async]='"io_engine":"Async"' [queues]='"queues":4')
	truncate -s 1M disk
	truncate -s 2M other
	loop=$(lend_disk) || { echo "$loop"; exit "$SKIPPED"; }
	# shellcheck disable=SC2064 # now
	trap "losetup --detach $loop; clean" EXIT
	start
	for id in "${!kinds[@]}"; do
		kind=${kinds[$id]}
		ok PUT "/drives/$id" "{\"drive_id\":\"$id\",\"path_on_host\":\"$loop\",\"is_root_device\":false,$kind}"
		ok PUT "/drives/${id}_direct" "{\"drive_id\":\"${id}_direct\",\"path_on_host\":\"$loop\",
			\"is_root_device\":false,\"direct\":true,$kind}"
	done
	boot
	for id in "${!kinds[@]}"; do change_drive "$id"; done
	# On a file system without direct I/O a change is refused, which is no matter of the filter.
	for id in "${!kinds[@]}"; do
		ok PATCH "/drives/${id}_direct" "{\"drive_id\":\"${id}_direct\",\"path_on_host\":\"$loop\"}"
		api PATCH "/drives/${id}_direct" "{\"drive_id\":\"${id}_direct\",\"path_on_host\":\"$PWD/other\"}"
	done
	ok GET /
	json '.state == "Running"'
}
