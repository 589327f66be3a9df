# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# The second wall around files, ours.

t_landlock_keeps_the_api_below_its_directories() {
	mkdir in
	truncate -s 1M in/disk in/disk2 disk3
	start --landlock "$PWD/in"
	ok PUT /drives/d '{"drive_id":"d","path_on_host":"in/disk","is_root_device":false,"is_read_only":false}'
	ok PUT /boot-source "{\"kernel_image_path\":\"$tick\",\"boot_args\":\"x\"}"
	ok PUT /actions '{"action_type":"InstanceStart"}'
	ok PATCH /drives/d '{"drive_id":"d","path_on_host":"in/disk2"}'
	bad 'Permission denied' PATCH /drives/d '{"drive_id":"d","path_on_host":"disk3"}'
	ok PATCH /vm '{"state":"Paused"}'
	ok PUT /snapshot/create '{"snapshot_path":"in/s","mem_file_path":"in/m"}'
	bad 'Permission denied' PUT /snapshot/create '{"snapshot_path":"s","mem_file_path":"m"}'
	[ ! -e s ] && [ ! -e s.part ] && [ ! -e m ] || fail "$(ls)"
	ok PATCH /vm '{"state":"Resumed"}'
	await grep -q '^tick 3' out
}

t_landlock_is_off_unless_it_is_asked_for() {
	truncate -s 1M disk disk2
	start
	ok PUT /drives/d '{"drive_id":"d","path_on_host":"disk","is_root_device":false,"is_read_only":false}'
	ok PUT /boot-source "{\"kernel_image_path\":\"$tick\",\"boot_args\":\"x\"}"
	ok PUT /actions "{\"action_type\":\"InstanceStart\"}"
	ok PATCH /drives/d '{"drive_id":"d","path_on_host":"disk2"}'
}

t_landlock_refuses_a_directory_that_is_none() {
	start --landlock "$PWD/nowhere"
	ok PUT /boot-source "{\"kernel_image_path\":\"$tick\",\"boot_args\":\"x\"}"
	bad "landlock: cannot open the directory '$PWD/nowhere'" PUT /actions '{"action_type":"InstanceStart"}'
}
