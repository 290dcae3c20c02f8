#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Called by the CI of a feed, beside the Makefile there: PKG_NAME and PKG_VERSION are set.
# shellcheck shell=dash

case "$PKG_NAME" in
flowtabled)
	flowtabled --version | grep -Fx "$PKG_VERSION" &&
		flowtable --version | grep -Fx "flowtable $PKG_VERSION"
	;;
prometheus-node-exporter-ucode-flowtabled)
	# A script for the exporter, with no program in it.
	;;
*)
	echo "untested package: $PKG_NAME" >&2
	exit 1
	;;
esac
