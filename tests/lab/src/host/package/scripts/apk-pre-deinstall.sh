#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run by apk before the files go.
[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
# shellcheck source=/dev/null
. "${IPKG_INSTROOT}/lib/functions.sh"
export root="${IPKG_INSTROOT}"
export pkgname="@NAME@"
default_prerm
# @OWN@
