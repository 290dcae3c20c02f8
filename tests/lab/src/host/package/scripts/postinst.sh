#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run by opkg after the files are there: user, uci-defaults, enable and start, all done by the
# router's own functions. On a build machine that makes an image there may be none of them yet.
[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
# shellcheck source=/dev/null
. "${IPKG_INSTROOT}/lib/functions.sh"
default_postinst "$0" "$@"
