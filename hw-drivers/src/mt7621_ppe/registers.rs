// SPDX-License-Identifier: GPL-2.0-or-later
//! Registers of the packet engine and of the frame engine around it, by their byte offset from
//! the frame engine's base (Linux 6.12 `mtk_ppe_regs.h`, `mtk_eth_soc.h`).

/// Seconds since power-on in 16 bits; entries keep 15 or 8 of them.
pub const TIMESTAMP: u32 = 0x0010;

/// Where frames of the two MACs go; bits 15:0 are four destinations.
pub const GDM_FORWARD: [u32; 2] = [0x0500, 0x1500];
/// The destinations in [`GDM_FORWARD`].
pub const GDM_FORWARD_MASK: u32 = 0xffff;
/// All frames go to the packet engine.
pub const GDM_TO_PPE: u32 = 0x4444;

/// Global configuration.
pub const GLO_CFG: u32 = 0x0e00;
/// The engine runs.
pub const GLO_CFG_EN: u32 = 1;

/// Configuration of the table.
pub const TB_CFG: u32 = 0x0e1c;
/// Size of the table, size of entries, what happens at a miss.
pub const TB_CFG_SHAPE: u32 = 0x003f;
/// 16384 entries of 80 bytes; a miss goes to the processor and builds an unbound entry.
pub const TB_CFG_16K_80B_BUILD: u32 = 4 | 1 << 3 | 3 << 4;
/// Mode of the hash.
pub const TB_CFG_HASH_MODE: u32 = 3 << 14;
/// The mode whose formula is known.
pub const TB_CFG_HASH_MODE_1: u32 = 1 << 14;

/// Physical address of the table.
pub const TB_BASE: u32 = 0x0e20;

/// Longest frames that leave with no tag (bits 13:0) and with one (29:16), bytes without FCS.
pub const VLAN_MTU0: u32 = 0x0f0c;
/// The length without a tag.
pub const VLAN_MTU0_UNTAGGED: u32 = 0x3fff;

/// Control of the cache of entries.
pub const CACHE_CTL: u32 = 0x0f20;
/// The cache is in use.
pub const CACHE_CTL_EN: u32 = 1;
/// Set and cleared again it empties the cache.
pub const CACHE_CTL_CLEAR: u32 = 1 << 9;

/// Account groups, 16 bytes each: bytes in 64 bits, packets, meter.
pub const ACCOUNT: u32 = 0x2000;
