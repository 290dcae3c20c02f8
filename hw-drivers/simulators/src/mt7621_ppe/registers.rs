// SPDX-License-Identifier: GPL-2.0-or-later
//! Registers of the frame engine that the packet engine depends on (sheet, sections 1 to 3), by
//! their byte offset from the frame engine's base.

use std::collections::BTreeMap;

/// Seconds, 16 bits.
pub const TIME: u32 = 0x10;
/// Where frames of the two MACs go.
pub const GDM: [u32; 2] = [0x500, 0x1500];
pub const GLO_CFG: u32 = 0xe00;
pub const FLOW_CFG: u32 = 0xe04;
pub const TB_CFG: u32 = 0xe1c;
pub const TB_BASE: u32 = 0xe20;
pub const BIND_RATE: u32 = 0xe28;
pub const UNBIND_AGE: u32 = 0xe38;
pub const BIND_AGE0: u32 = 0xe3c;
pub const BIND_AGE1: u32 = 0xe40;
pub const VLAN_MTU0: u32 = 0xf0c;
pub const VLAN_MTU1: u32 = 0xf10;
pub const CACHE_CTL: u32 = 0xf20;
/// Account groups, 16 bytes each.
pub const ACCOUNT: u32 = 0x2000;
pub const ACCOUNT_END: u32 = 0x2400;

/// Frames of the MAC carry the switch's tag.
pub const GDM_SPECIAL_TAG: u32 = 1 << 24;
pub const EN: u32 = 1;
pub const DROP_BAD_L4: u32 = 1 << 2;
pub const DROP_BAD_IP: u32 = 1 << 3;
pub const DROP_TTL_0: u32 = 1 << 4;
pub const CACHE_EN: u32 = 1;
pub const CACHE_CLEAR: u32 = 1 << 9;
pub const V6_THREE: u32 = 1 << 8;
pub const V6_FIVE: u32 = 1 << 9;
pub const V4_THREE: u32 = 1 << 12;
pub const V4_FIVE: u32 = 1 << 13;
/// Ageing of types of entries in TB_CFG.
pub const AGE_NON_L4: u32 = 1 << 7;
pub const AGE_UNBOUND: u32 = 1 << 8;
pub const AGE_TCP: u32 = 1 << 9;
pub const AGE_UDP: u32 = 1 << 10;
pub const AGE_FIN: u32 = 1 << 11;

/// What each register holds; those that were never written hold 0.
#[derive(Debug, Clone, Default)]
pub struct Registers(BTreeMap<u32, u32>);

impl Registers {
    pub fn get(&self, at: u32) -> u32 {
        self.0.get(&at).copied().unwrap_or(0)
    }

    pub fn set(&mut self, at: u32, value: u32) {
        self.0.insert(at, value);
    }

    /// Where frames of one kind of destination go: a nibble of the MAC's forward register.
    pub fn forward(&self, gdm: u32, nibble: u32) -> u32 {
        self.get(gdm) >> (4 * nibble) & 0xf
    }

    /// As Linux 6.12 sets the engine up (sheet, sections 3.1 and 6).
    pub fn as_kernel(&mut self, table: u32, special_tag: bool) {
        let tag = if special_tag { GDM_SPECIAL_TAG } else { 0 };
        self.set(GDM[0], 0x4444 | tag);
        self.set(GDM[1], 0x4444);
        self.set(TB_BASE, table);
        self.set(TB_CFG, 0x0001_4fbc);
        self.set(0xe08, u32::MAX);
        self.set(CACHE_CTL, CACHE_EN);
        self.set(FLOW_CFG, 0x0002_77c0);
        self.set(UNBIND_AGE, 1000 << 16 | 3);
        self.set(BIND_AGE0, 1 << 16 | 12);
        self.set(BIND_AGE1, 1 << 16 | 7);
        self.set(BIND_RATE, 1 << 16 | 30);
        self.set(VLAN_MTU0, (14 + 1500 + 4) << 16 | (14 + 1500));
        self.set(VLAN_MTU1, (14 + 1500 + 12) << 16 | (14 + 1500 + 8));
        self.set(GLO_CFG, 0x20d);
    }
}
