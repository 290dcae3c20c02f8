// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes on netlink sockets and back.
