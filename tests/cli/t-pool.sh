# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# `mayfly pool`: what it does not take, and what it says where nothing is served.

# pool_refuses REGEX ARGUMENT...: status 2 and the reason
pool_refuses() {
	local regex=$1
	shift
	status_of 2 "$mayfly" pool "$@"
	empty out
	has err "$regex"
}

t_pool_refuses_wrong_command_lines() {
	pool_refuses 'missing: serve, status, take, end or stop'
	pool_refuses "'fly': must be serve, status, take, end or stop" fly
	pool_refuses "unknown option '--siez'" serve --siez 1
	pool_refuses 'serve takes no arguments' serve --state s --memory m more
	pool_refuses 'end takes the ids of clones' end
	pool_refuses 'serve needs --state FILE and --memory FILE' serve --state s
	pool_refuses "--max '2': must be at least --size, 3" serve --state s --memory m --size 3 --max 2
	pool_refuses 'absent.*No such file' serve --state absent --memory m
}

t_pool_refuses_wrong_values() {
	local v
	for v in 0 -1 '' x 4097 1x 99999999999999999999; do
		pool_refuses "--size '$v': must be a number from 1 to 4096" serve --size "$v"
		pool_refuses "--max '$v': must be a number from 1 to 4096" serve --max "$v"
	done
	for v in -1 601 x ''; do
		pool_refuses "--wait '$v': must be a number from 0 to 600" take --wait "$v"
	done
	for v in 0M -1M 1 1K 1MB '' M 1048577G 99999999999999999999M; do
		pool_refuses "--memory-max '$v': must be" serve --memory-max "$v"
	done
	for v in d d= =x '' "$(head -c 65 /dev/zero | tr '\0' d)=x"; do
		pool_refuses "--drive '$v': must be ID=PATTERN" serve --drive "$v"
		pool_refuses "--net '$v': must be ID=PATTERN" serve --net "$v"
	done
	pool_refuses "--vsock '': must be PATTERN" serve --vsock ''
	for v in '{' '}' '{}' 'a{name}' '{id' 'id}'; do
		pool_refuses 'in braces there must be id, slot or dir' serve --vsock "$v"
		pool_refuses 'in braces there must be id, slot or dir' serve --console "$v"
		pool_refuses 'in braces there must be id, slot or dir' serve --drive "d=$v"
	done
	v=$(head -c 4096 /dev/zero | tr '\0' x)
	pool_refuses 'the path is too long' serve --console "$v"
	local many=()
	for v in $(seq 33); do many+=(--net "n$v=tap$v"); done
	pool_refuses 'at most 32 overrides' serve "${many[@]}"
}

t_pool_that_is_not_served_is_an_error() {
	local action
	for action in status take 'end c0' stop; do
		# shellcheck disable=SC2086 # words
		status_of 1 "$mayfly" pool $action
		has err "no pool is served on $XDG_RUNTIME_DIR/mayfly/default.pool"
	done
	status_of 1 "$mayfly" pool status --socket "$(head -c 90 /dev/zero | tr '\0' s)"
	has err 'must have at most'
	status_of 1 "$mayfly" pool status --socket ''
	has err 'the path is empty'
	: >file
	status_of 1 "$mayfly" pool status --socket file
	has err 'no pool is served'
}
