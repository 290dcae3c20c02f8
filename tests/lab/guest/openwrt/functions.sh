#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# Stands in for OpenWrt's /lib/functions.sh as far as a package's own scripts use it: opkg's call
# default_postinst and default_prerm with their own name, which is that of the package, apk's have the
# name in the variable pkgname. Each keeps its lists of files elsewhere.

# Name of the package whose script this is.
package_name() {
	echo "${pkgname:-$(basename "${1%.*}")}"
}

# Lines of the list of files of a package that start with a path.
package_files() {
	grep -hs "^$2" "/usr/lib/opkg/info/$1.list" "/lib/apk/packages/$1.list"
}

# default_postinst SCRIPT: user and group, first settings, services.
default_postinst() {
	local package script

	package=$(package_name "$1")
	add_group_and_user "$package"
	for script in $(package_files "$package" /etc/uci-defaults/); do
		# As there: in the folder, by the shell that installs, and only once.
		# shellcheck source=/dev/null
		(cd "$(dirname "$script")" && . "./${script##*/}") && rm -f "$script"
	done
	for script in $(package_files "$package" /etc/init.d/); do
		"$script" enable
		"$script" start
	done
}

# default_prerm SCRIPT: the services' end.
default_prerm() {
	local script

	for script in $(package_files "$(package_name "$1")" /etc/init.d/); do
		"$script" disable
		"$script" stop
	done
}

# Makes what opkg's control file has in Require-User, and apk's has a file for: words USER=UID:GROUP=GID.
add_group_and_user() {
	local package words word user group

	package=${1:-$pkgname}
	words=$(sed -n 's/^Require-User: *//p' "/usr/lib/opkg/info/$package.control" 2>/dev/null ||
		cat "/lib/apk/packages/$package.rusers" 2>/dev/null)
	for word in $words; do
		user=${word%%:*}
		group=${word#*:}
		grep -q "^${group%%=*}:" /etc/group ||
			echo "${group%%=*}:x:${group#*=}:" >>/etc/group
		grep -q "^${user%%=*}:" /etc/passwd ||
			echo "${user%%=*}:x:${user#*=}:${group#*=}:${user%%=*}:/var/run/${user%%=*}:/bin/false" >>/etc/passwd
	done
}
