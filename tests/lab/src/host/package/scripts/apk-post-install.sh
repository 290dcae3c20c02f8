#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run by apk after the files are there. Beside opkg's script, the functions are told the package's
# name, and the user is made here.
[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
# shellcheck source=/dev/null
. "${IPKG_INSTROOT}/lib/functions.sh"
export root="${IPKG_INSTROOT}"
export pkgname="@NAME@"
add_group_and_user
default_postinst
# @OWN@
