#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Called by the CI of a feed in a system where the package is installed: test.sh PACKAGE VERSION.
# shellcheck shell=dash

# fail MESSAGE
fail() {
	echo "FAIL: $1"
	exit 1
}

daemon() {
	for file in /etc/init.d/flowtabled /usr/sbin/flowtabled; do
		[ -x "$file" ] || fail "$file cannot be run"
	done
	[ "$(readlink /usr/bin/flowtable)" = ../sbin/flowtabled ] || fail 'flowtable is not the daemon'
	for file in capabilities/flowtabled.json config/flowtable; do
		[ -s "/etc/$file" ] || fail "no /etc/$file"
	done
	# ubusd reads no list that others may write to.
	case "$(ls -l /usr/share/acl.d/flowtabled.json)" in
	-rw-r--r--*) ;;
	*) fail 'access list for the bus is missing or can be written to' ;;
	esac

	# The configuration as installed, with a firewall and a network to go with it.
	dir=$(mktemp -d)
	cp /etc/config/flowtable "$dir/"
	cat >"$dir/network" <<-'END'
		config interface 'wan'
			option device 'eth0'
	END
	cat >"$dir/firewall" <<-'END'
		config defaults
			option flow_offloading '1'

		config zone
			option name 'wan'
			list network 'wan'
			option masq '1'
	END
	flowtabled --check --config-dir "$dir" --save-dir "$dir/none" | tee "$dir/plan"
	grep -F 'requested: software' "$dir/plan" || fail 'the configuration is not read'
	grep -F 'device eth0' "$dir/plan" || fail 'the device of the zone is not found'

	sed -i "s/option counter '1'/option counter 'maybe'/" "$dir/flowtable"
	flowtabled --check --config-dir "$dir" --save-dir "$dir/none" 2>&1
	[ "$?" = 3 ] || fail 'a fault of the configuration passes'

	# Nobody on the bus is told from no bus.
	flowtable --ubus-socket "$dir/none" status
	[ "$?" = 3 ] || fail 'no bus, and nobody notices'
	rm -r "$dir"
}

case "$1" in
flowtabled)
	daemon
	;;
prometheus-node-exporter-ucode-flowtabled)
	[ -s /usr/share/ucode/node-exporter/lib/flowtabled.uc ] || fail 'no collector'
	;;
*)
	fail "untested package: $1"
	;;
esac
