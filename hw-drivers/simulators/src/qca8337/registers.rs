// SPDX-License-Identifier: GPL-2.0-or-later
//! Register addresses, and the registers that only keep what is written to them.

use super::options::{Model, Options};
use std::collections::BTreeMap;

pub(super) const MASK_CTL: u32 = 0x0000;
pub(super) const SOFT_RST: u32 = 1 << 31;
pub(super) const MOD_ENABLE: u32 = 0x0030;
pub(super) const MIB_EN: u32 = 1 << 0;
pub(super) const ACL_EN: u32 = 1 << 1;
pub(super) const L3_EN: u32 = 1 << 2;
pub(super) const MDIO_MASTER: u32 = 0x003c;
pub(super) const MDIO_MASTER_EN: u32 = 1 << 30;
pub(super) const FRAME_ACK_CTL1: u32 = 0x0214;
pub(super) const PPPOE_EN: u32 = 1 << 25;

pub(super) const PORT_VLAN0: u32 = 0x0420;
pub(super) const PORT_VLAN1: u32 = 0x0424;
pub(super) const VLAN_TRANS: u32 = 0x0418;
pub(super) const NET_ISO: u32 = 1 << 0;
pub(super) const EG_FLTR_BYPASS_EN: u32 = 1 << 1;
/// AR8327's base of private addresses has the place that VLAN_TRANS has on QCA8337.
pub(super) const PRIVATE_BASE: u32 = 0x0418;
pub(super) const BASEADDR_SEL: u32 = 1 << 28;
pub(super) const PRIVATE_BASE_COPY: u32 = 0x0e5c;
pub(super) const PRVIP_ADDR: u32 = 0x0470;
pub(super) const PRVIP_MASK: u32 = 0x0474;

pub(super) const FORWARD_CTL0: u32 = 0x0620;
pub(super) const NAT_NOT_FOUND_DROP: u32 = 1 << 17;
pub(super) const CPU_PORT_EN: u32 = 1 << 10;
pub(super) const FORWARD_CTL1: u32 = 0x0624;
pub(super) const PORT_LOOKUP_CTL: u32 = 0x0660;
pub(super) const PORT_LEARN: u32 = 1 << 20;
pub(super) const POLICER_COUNTS: u32 = 0x09f0;
pub(super) const POLICER_BYTES: u32 = 0x09f4;
pub(super) const POLICER_RESET: u32 = 0x09f8;
pub(super) const PKT_CTRL: u32 = 0x0c00;
pub(super) const RTD_PPPOE_EN: u32 = 1 << 0;
pub(super) const ROUTER_DEFV: u32 = 0x0c70;
pub(super) const ROUTER_EG: u32 = 0x0c80;

pub(super) const ROUTER_CTRL: u32 = 0x0e00;
pub(super) const ROUTER_EN: u32 = 1 << 0;
pub(super) const ARP_AGE_MODE: u32 = 1 << 1;
pub(super) const ROUTER_PTCTRL2: u32 = 0x0e0c;
pub(super) const LEARN_BITS: u32 = 0x7f7f;
pub(super) const NAT_CTRL: u32 = 0x0e38;
pub(super) const NAPT_EN: u32 = 1 << 0;
pub(super) const NAT_EN: u32 = 1 << 1;
pub(super) const NAPT_OVERRIDE: u32 = 1 << 4;
pub(super) const NAPT_USED_COUNT: u32 = 0x0e44;
pub(super) const COMMAND: u32 = 0x0e58;

pub(super) const INTERFACE_EDIT: u32 = 0x2000;
pub(super) const PUBLIC_EDIT: u32 = 0x2100;
pub(super) const PPPOE_INSERT: u32 = 0x2200;
pub(super) const POLICER_COUNTER: u32 = 0x1_c000;
pub(super) const COUNTERS: u32 = 0x2_b000;
pub(super) const COUNTERS_END: u32 = 0x2_b080;
pub(super) const ACL_VALUE: u32 = 0x5_8000;
pub(super) const ACL_MASK: u32 = 0x5_9000;
pub(super) const ACL_RESULT: u32 = 0x5_a000;
pub(super) const INTERFACE_LOOKUP: u32 = 0x5_a900;
pub(super) const PUBLIC_LOOKUP: u32 = 0x5_aa00;
pub(super) const PPPOE_REMOVE: u32 = 0x5_f000;

/// The registers of a table's data words, by model.
pub(super) fn data_words(model: Model) -> (u32, u32) {
    match model {
        Model::Qca8337 => (0x0e80, 7),
        Model::Ar8327 => (0x0e48, 4),
    }
}

/// Offload copy of the public addresses and the bitmap of the valid ones, by model.
pub(super) fn public_offload(model: Model) -> (u32, u32) {
    match model {
        Model::Qca8337 => (0x2_f000, 0x2_f040),
        Model::Ar8327 => (0x2_a000, 0x2_a040),
    }
}

/// Words that keep what is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Registers {
    words: BTreeMap<u32, u32>,
}

impl Registers {
    /// After power-on and what the kernel's driver does next: frames get to the processor and
    /// nowhere else.
    pub(super) fn powered_on(options: &Options) -> Registers {
        let mut registers = Registers::default();
        registers.bring_up(options);
        registers
    }

    /// What the kernel's driver does when it is bound: layer 2, and only MIB counters enabled.
    /// Tables and the rest stay.
    pub(super) fn bring_up(&mut self, options: &Options) {
        self.set(MOD_ENABLE, MIB_EN);
        self.set(FORWARD_CTL0, CPU_PORT_EN | 0xf << 4);
        self.set(FORWARD_CTL1, 0x0101_0101);
        let ports = options.layer2.pvid.iter().zip(&options.layer2.members);
        for ((pvid, members), port) in ports.zip(0..) {
            let pvid = u32::from(*pvid);
            self.set(PORT_VLAN0 + 8 * port, pvid << 16 | pvid);
            self.set(PORT_VLAN1 + 8 * port, 1 << 12);
            let lookup = PORT_LOOKUP_CTL + 12 * port;
            self.set(lookup, u32::from(*members) | 4 << 16);
            let half = 16 * (port & 1);
            let default = ROUTER_DEFV + 4 * (port >> 1);
            self.set(default, self.get(default) & !(0xffff << half) | pvid << half);
        }
    }

    pub(super) fn get(&self, register: u32) -> u32 {
        self.words.get(&register).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, register: u32, value: u32) {
        self.words.insert(register, value);
    }

    /// Whether all of these bits are set.
    pub(super) fn has(&self, register: u32, bits: u32) -> bool {
        self.get(register) & bits == bits
    }
}
