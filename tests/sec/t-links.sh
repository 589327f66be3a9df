# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Links laid in the way of the jailer.

t_a_link_in_place_of_the_root_is_refused() {
	mkdir -p base/probe/a outside
	ln -s "$PWD/outside" base/probe/a/root
	local before status=0
	before=$(stat -c '%a %u %g' outside; find outside)
	jail a
	finished "$pid" || status=$?
	equal "$status" 1
	equal "$(stat -c '%a %u %g' outside; find outside)" "$before"
	row "symbolic link to a folder of the host in place of the jail's root" 5 "$(sed 's/^[^:]*: //' a.err)"
}
