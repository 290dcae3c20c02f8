#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run by opkg before the files go: disable and stop.
[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
# shellcheck source=/dev/null
. "${IPKG_INSTROOT}/lib/functions.sh"
default_prerm "$0" "$@"
