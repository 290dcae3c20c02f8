#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Flows, packets and bytes by the path that they take, for collectd's plugin exec; flowtabled.conf
# has the other half. What the daemon does not know, and all while it does not run, is not told.

host=${COLLECTD_HOSTNAME:-$(cat /proc/sys/kernel/hostname)}
# collectd gives it with decimals.
interval=${COLLECTD_INTERVAL:-30}
interval=${interval%%.*}
[ "$interval" -gt 0 ] || interval=1

# part KEY: the object behind a key of the JSON on standard input, its braces away. The objects
# asked for hold numbers only, or objects of such.
part() {
	sed -n 's/.*"'"$1"'":{\(\([^{}]*{[^{}]*}\)*[^{}]*\)}.*/\1/p'
}

# number KEY: the number behind a key.
number() {
	sed -n 's/.*"'"$1"'":\([0-9][0-9]*\).*/\1/p'
}

# put NAME TYPE VALUE
put() {
	[ -z "$3" ] || echo "PUTVAL \"$host/flowtabled-$1/$2\" interval=$interval N:$3"
}

while :; do
	flows=$(flowtable status --json 2>/dev/null | part flows)
	# Without samples, which would have the same keys.
	totals=$(flowtable history --points 0 --json 2>/dev/null | part totals)
	for state in classic software hardware; do
		put "$state" current_connections "$(echo "$flows" | number "$state")"
		carried=$(echo "$totals" | part "$state")
		put "$state" packets "$(echo "$carried" | number packets)"
		put "$state" total_bytes "$(echo "$carried" | number bytes)"
	done
	sleep "$interval"
done
