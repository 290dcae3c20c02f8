#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A new page: menus and modules that LuCI remembers are out of date, and rpcd has to read the
# access list. Not for a root file system that is only being built.
if [ -z "${IPKG_INSTROOT}" ]; then
	rm -f /tmp/luci-indexcache /tmp/luci-indexcache.*
	rm -rf /tmp/luci-modulecache/
	killall -HUP rpcd 2>/dev/null
fi
exit 0
