// SPDX-License-Identifier: GPL-2.0-or-later
//! The tables that are written directly: interfaces, public addresses, PPPoE sessions and the rule
//! that leads to the gateway. Here are their words and the order that they are written in, which
//! makes an entry live with its last word.

use super::registers::*;
use super::Model;
use crate::flow::Mac;
use std::net::Ipv4Addr;

/// A write of a register.
pub type Write = (u32, u32);

/// The router's own address in a VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// Its address.
    pub router: Mac,
    /// The VLAN; the chip could do with one entry for several in a row.
    pub vlan: u16,
}

impl Interface {
    fn words(&self) -> [u32; 3] {
        let Mac([a, b, c, d, e, f]) = self.router;
        let vlan = u32::from(self.vlan);
        let word1 = (vlan & 0xf) << 28 | (vlan & 0xfff) << 16 | u32::from_be_bytes([0, 0, a, b]);
        [u32::from_be_bytes([c, d, e, f]), word1, IP4_ROUTE | vlan >> 4 & 0xff]
    }

    /// Makes it entry `index`.
    pub fn on(&self, index: u8) -> [Write; 6] {
        let [word0, word1, word2] = self.words();
        let (edit, lookup) = (at(INTERFACE_EDIT, 16, index), at(INTERFACE_LOOKUP, 16, index));
        [
            (lookup + 8, 0),
            (edit, word0),
            (edit + 4, word1),
            (lookup, word0),
            (lookup + 4, word1),
            (lookup + 8, word2),
        ]
    }

    /// What is looked up then.
    pub fn expected(&self, index: u8) -> [Write; 3] {
        let [word0, word1, word2] = self.words();
        let lookup = at(INTERFACE_LOOKUP, 16, index);
        [(lookup, word0), (lookup + 4, word1), (lookup + 8, word2)]
    }

    /// Takes entry `index` away.
    pub fn off(index: u8) -> Write {
        (at(INTERFACE_LOOKUP, 16, index) + 8, 0)
    }
}

/// Makes `address` the public address `index`; between the second and the third write its bit in
/// [`public_bitmap`] is to be set.
pub fn public_on(model: Model, index: u8, address: Ipv4Addr) -> [Write; 4] {
    let (address, lookup) = (u32::from(address), at(PUBLIC_LOOKUP, 16, index));
    [
        (at(PUBLIC_EDIT, 16, index), address),
        (at(public_offload(model), 4, index), address),
        (lookup, address),
        (lookup + 4, 1),
    ]
}

/// Takes the public address `index` away from the lookup, which its bit in [`public_bitmap`] is to
/// follow.
pub fn public_off(index: u8) -> Write {
    (at(PUBLIC_LOOKUP, 16, index) + 4, 0)
}

/// Makes session `id` entry `index`.
pub fn session_on(index: u8, id: u16) -> [Write; 2] {
    let id = u32::from(id);
    [(at(SESSION_INSERT, 16, index), id), (at(SESSION_REMOVE, 4, index), SESSION_VALID | id)]
}

/// Takes session `index` away.
pub fn session_off(index: u8) -> Write {
    (at(SESSION_REMOVE, 4, index), 0)
}

/// The way out of the LAN: what comes in by its ports and is for none of its addresses goes to the
/// gateway, as the table of hosts knows no prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The LAN.
    pub network: u32,
    /// Its mask.
    pub mask: u32,
    /// Its ports, a bit each.
    pub ports: u8,
    /// The gateway's index among the hosts, 7 bits.
    pub gateway: u16,
    /// Such a packet has to find a flow.
    pub force: bool,
}

const RULE_INV: u32 = 1 << 7;
const RULE_WHOLE: u32 = 0b11 << 6;
const RULE_IPV4: u32 = 2;
const PORTS_NOT_COMPARED: u32 = 0b11 << 16;
const ARP_PTR_EN: u32 = 1 << 16;
const FORCE_SNAT: u32 = 1 << 14;

impl Rule {
    /// What rule `index` holds then: result, values, masks, of which the last makes it live.
    pub fn expected(&self, index: u8) -> [Write; 13] {
        let result = at(RULE_RESULT, 0x10, index);
        let (value, mask) = (at(RULE_VALUE, 0x20, index), at(RULE_MASK, 0x20, index));
        let force = if self.force { FORCE_SNAT } else { 0 };
        let way = (u32::from(self.gateway) & 0x7f) << 17 | ARP_PTR_EN | force;
        [
            (result, 0),
            (result + 4, way),
            (result + 8, 0),
            (value, self.network),
            (value + 4, 0),
            (value + 8, 0),
            (value + 12, 0),
            (value + 16, RULE_INV | u32::from(self.ports) & 0x7f),
            (mask, self.mask),
            (mask + 4, 0),
            (mask + 8, 0),
            (mask + 12, PORTS_NOT_COMPARED),
            (mask + 16, RULE_WHOLE | RULE_IPV4),
        ]
    }

    /// Makes it rule `index`, which is off meanwhile.
    pub fn on(&self, index: u8) -> impl Iterator<Item = Write> {
        std::iter::once(Rule::off(index)).chain(self.expected(index))
    }

    /// Switches rule `index` off.
    pub fn off(index: u8) -> Write {
        (at(RULE_MASK, 0x20, index) + 16, 0)
    }
}

/// Bits of [`ROUTER_EG`] for a port: to clear, to set.
pub fn egress(port: u8, tagged: bool) -> [u32; 2] {
    let shift = u32::from(port.min(6)) * 4;
    [0b11 << shift, if tagged { 2 } else { 1 } << shift]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: Interface =
        Interface { router: Mac([0x02, 0x11, 0x22, 0x33, 0x44, 0x55]), vlan: 0xabc };

    #[test]
    fn interface_words_and_order() {
        let expected = [
            (0x5_a938, 0),
            (0x2030, 0x2233_4455),
            (0x2034, 0xcabc_0211),
            (0x5_a930, 0x2233_4455),
            (0x5_a934, 0xcabc_0211),
            (0x5_a938, 0x1ab),
        ];
        assert_eq!(LAN.on(3), expected);
        assert_eq!(LAN.expected(3), expected[3..]);
        assert_eq!(Interface::off(7), (0x5_a978, 0));
    }

    #[test]
    fn public_addresses_are_looked_up_last() {
        let address = Ipv4Addr::new(198, 51, 100, 1);
        let on = |model| public_on(model, 2, address).map(|(at, _)| at);
        assert_eq!(on(Model::Qca8337), [0x2120, 0x2_f008, 0x5_aa20, 0x5_aa24]);
        assert_eq!(on(Model::Ar8327), [0x2120, 0x2_a008, 0x5_aa20, 0x5_aa24]);
        assert_eq!(public_off(15), (0x5_aaf4, 0));
    }

    #[test]
    fn sessions_are_on_both_tables() {
        assert_eq!(session_on(1, 0x1234), [(0x2210, 0x1234), (0x5_f004, 0x1_1234)]);
    }

    /// 192.168.1.0/24 inverted, from ports 1 to 4, to host 5.
    #[test]
    fn rule_words_and_order() {
        let rule = Rule {
            network: 0xc0a8_0100,
            mask: 0xffff_ff00,
            ports: 0b1_1110,
            gateway: 5,
            force: true,
        };
        let on: Vec<_> = rule.on(2).collect();
        assert_eq!(on.first(), Some(&(0x5_9050, 0)));
        assert_eq!(on[1..4], [(0x5_a020, 0), (0x5_a024, 0x000b_4000), (0x5_a028, 0)]);
        assert_eq!((on[4], on[8]), ((0x5_8040, 0xc0a8_0100), (0x5_8050, 0x9e)));
        assert_eq!((on[9], on[12]), ((0x5_9040, 0xffff_ff00), (0x5_904c, 0x3_0000)));
        assert_eq!(on.last(), Some(&(0x5_9050, 0xc2)));
    }

    #[test]
    fn egress_modes_are_four_bits_apart() {
        assert_eq!(egress(0, false), [3, 1]);
        assert_eq!(egress(6, true), [3 << 24, 2 << 24]);
    }
}
