// SPDX-License-Identifier: GPL-2.0-or-later
//! Registers of the MT7530 by byte address (Linux `drivers/net/dsa/mt7530.h`; the ACL's functions
//! and the priorities' weights from MediaTek's `switch` tool).

/// MAC address or IP address of an address-table command, first word; write only.
pub const ATA1: u32 = 0x0074;
/// Second word: rest of the MAC address, IVL, FID, VLAN; write only.
pub const ATA2: u32 = 0x0078;
/// Address-table command.
pub const ATC: u32 = 0x0080;
/// What an address-table command has found: as [`ATA1`].
pub const TSRA1: u32 = 0x0084;
/// As [`ATA2`].
pub const TSRA2: u32 = 0x0088;
/// The rest of the entry: age, ports, status.
pub const ATRD: u32 = 0x008c;

/// The command runs.
pub const ATC_BUSY: u32 = 1 << 15;
/// The search is at its end.
pub const ATC_SEARCH_END: u32 = 1 << 14;
/// The search has found an entry.
pub const ATC_SEARCH_HIT: u32 = 1 << 13;
/// The entry asked for is not there.
pub const ATC_INVALID: u32 = 1 << 12;
/// Command: read the entry of a MAC address.
pub const ATC_READ_MAC: u32 = 0;
/// Command: find the first MAC address.
pub const ATC_SEARCH_START: u32 = 4;
/// Command: find the next one.
pub const ATC_SEARCH_NEXT: u32 = 5;

/// Command for VLANs and the ACL.
pub const VTCR: u32 = 0x0090;
/// First data word of such a command, written and read.
pub const VAWD1: u32 = 0x0094;
/// Second data word.
pub const VAWD2: u32 = 0x0098;

/// The command runs.
pub const VTCR_BUSY: u32 = 1 << 31;
/// There is no entry of this index.
pub const VTCR_INVALID: u32 = 1 << 16;

/// Weights of the sources of a frame's priority, the highest wins.
pub const WEIGHTS: u32 = 0x0044;
/// The six weights in [`WEIGHTS`], three bits each.
pub const WEIGHTS_MASK: u32 = 0x0077_7777;
/// The ACL's own.
pub const WEIGHTS_ACL: u32 = 7;

/// Port control of port 0; the others follow at [`PORT_STEP`].
pub const PCR: u32 = 0x2004;
/// The port's frames meet the ACL.
pub const PCR_ACL: u32 = 1 << 10;
/// From a port's registers to the next one's, also for the counters.
pub const PORT_STEP: u32 = 0x100;

/// Counters of port 0.
pub const MIB: u32 = 0x4000;
/// Control of the counters; bit 31 has them count.
pub const MIB_CCR: u32 = 0x4fe0;
/// They count.
pub const MIB_ENABLE: u32 = 1 << 31;

/// Straps; not zero once the chip is out of reset.
pub const TRAP: u32 = 0x7800;
/// Identification: 0x7530 and a revision.
pub const CREV: u32 = 0x7ffc;

/// The high half of [`CREV`].
pub const CHIP: u32 = 0x7530;

/// Ports: five sockets, a second MAC, the processor's.
pub const PORTS: u8 = 7;
