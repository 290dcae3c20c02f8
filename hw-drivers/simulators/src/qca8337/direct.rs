// SPDX-License-Identifier: GPL-2.0-or-later
//! The tables that are plain registers, as the chip looks into them: interfaces, public
//! addresses, PPPoE sessions, the range of private addresses.
//!
//! Most have a copy for each stage that needs them. Each question here reads the copy of its own
//! stage, so that copies that disagree show in the frames.

use super::napt::{bits, halves};
use super::options::{Model, PORTS};
use super::registers::{self as reg, Registers};
use hw_drivers::flow::Mac;

const INTERFACES: u32 = 8;
const PUBLIC_ADDRESSES: u32 = 16;
const SESSIONS: u32 = 16;

/// An interface as the egress stage has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Egress {
    pub(super) mac: Mac,
    pub(super) vid_low: u16,
}

/// Whether an interface routes frames to `mac` in the VLAN `vid` (lookup copy).
pub(super) fn routes(registers: &Registers, mac: Mac, vid: u16, v6: bool) -> bool {
    (0..INTERFACES).any(|index| {
        let at = reg::INTERFACE_LOOKUP + 16 * index;
        let [w0, w1, w2] = [0, 4, 8].map(|offset| registers.get(at + offset));
        let high = bits(w2, 0, 8) << 4 | bits(w1, 28, 4);
        let range = bits(w1, 16, 12)..=high;
        let enabled = bits(w2, if v6 { 9 } else { 8 }, 1) == 1;
        enabled && mac == mac_of(w0, w1) && range.contains(&u32::from(vid))
    })
}

/// An interface for a frame that leaves (edit copy).
pub(super) fn egress(registers: &Registers, interface: u16) -> Egress {
    let at = reg::INTERFACE_EDIT + 16 * u32::from(interface & 7);
    let (w0, w1) = (registers.get(at), registers.get(at + 4));
    Egress { mac: mac_of(w0, w1), vid_low: halves(w1).0 & 0xfff }
}

fn mac_of(w0: u32, w1: u32) -> Mac {
    let [c, d, e, f] = w0.to_be_bytes();
    let [_, _, a, b] = w1.to_be_bytes();
    Mac([a, b, c, d, e, f])
}

/// Whether packets to this address are for the engine (lookup copy).
pub(super) fn is_public(registers: &Registers, address: u32) -> bool {
    (0..PUBLIC_ADDRESSES).any(|index| {
        let at = reg::PUBLIC_LOOKUP + 16 * index;
        registers.get(at) == address && registers.has(at + 4, 1)
    })
}

/// Whether the engine knows this address by this number (offload copy).
pub(super) fn public_is(registers: &Registers, model: Model, index: u8, address: u32) -> bool {
    let (addresses, _) = reg::public_offload(model);
    public_valid(registers, model, index)
        && registers.get(addresses + 4 * u32::from(index)) == address
}

/// Whether the engine has a public address of this number (offload copy).
pub(super) fn public_valid(registers: &Registers, model: Model, index: u8) -> bool {
    let (_, valid) = reg::public_offload(model);
    registers.has(valid, 1 << u32::from(index))
}

/// The public address of this number, for a packet that leaves (edit copy).
pub(super) fn public_for_egress(registers: &Registers, index: u8) -> u32 {
    registers.get(reg::PUBLIC_EDIT + 16 * u32::from(index))
}

/// Whether the header of a frame in this session is taken off (removal side).
pub(super) fn removes_session(registers: &Registers, session: u16) -> bool {
    let enabled = registers.has(reg::FRAME_ACK_CTL1, reg::PPPOE_EN)
        && registers.has(reg::PKT_CTRL, reg::RTD_PPPOE_EN);
    enabled
        && (0..SESSIONS).any(|index| {
            let word = registers.get(reg::PPPOE_REMOVE + 4 * index);
            bits(word, 16, 2) == 1 && halves(word).1 == session
        })
}

/// The session that a frame is put into (insertion side), if routed frames are.
pub(super) fn inserts_session(registers: &Registers, index: u8) -> Option<u16> {
    let word = registers.get(reg::PPPOE_INSERT + 16 * u32::from(index));
    registers.has(reg::PKT_CTRL, reg::RTD_PPPOE_EN).then_some(halves(word).1)
}

/// Whether an address is one of the private ones.
pub(super) fn is_private(registers: &Registers, model: Model, address: u32) -> bool {
    match model {
        Model::Qca8337 => {
            let mask = registers.get(reg::PRVIP_MASK);
            address & mask == registers.get(reg::PRVIP_ADDR) & mask
        }
        Model::Ar8327 => {
            let base = registers.get(reg::PRIVATE_BASE);
            base_of(address, base & reg::BASEADDR_SEL != 0) == bits(base, 0, 20)
        }
    }
}

/// A private address as entries have it.
pub(super) fn stored(registers: &Registers, model: Model, address: u32) -> u32 {
    match model {
        Model::Qca8337 => address,
        Model::Ar8327 if registers.has(reg::PRIVATE_BASE, reg::BASEADDR_SEL) => {
            bits(address, 16, 4) << 8 | bits(address, 0, 8)
        }
        Model::Ar8327 => bits(address, 0, 12),
    }
}

/// The private address that an entry means, for a packet that leaves (copy of the base).
pub(super) fn whole(registers: &Registers, model: Model, stored: u32) -> u32 {
    let base = bits(registers.get(reg::PRIVATE_BASE_COPY), 0, 20);
    match model {
        Model::Qca8337 => stored,
        Model::Ar8327 if registers.has(reg::PRIVATE_BASE, reg::BASEADDR_SEL) => {
            bits(base, 8, 12) << 20
                | bits(stored, 8, 4) << 16
                | bits(base, 0, 8) << 8
                | bits(stored, 0, 8)
        }
        Model::Ar8327 => base << 12 | bits(stored, 0, 12),
    }
}

fn base_of(address: u32, comb: bool) -> u32 {
    if comb {
        bits(address, 20, 12) << 8 | bits(address, 8, 8)
    } else {
        address >> 12
    }
}

/// VLAN of an untagged frame that comes in.
pub(super) fn pvid(registers: &Registers, port: u8) -> u16 {
    halves(registers.get(reg::PORT_VLAN0 + 8 * u32::from(port))).0 & 0xfff
}

/// Ports that frames from this one may leave by.
pub(super) fn members(registers: &Registers, port: u8) -> u8 {
    let [low, ..] = registers.get(reg::PORT_LOOKUP_CTL + 12 * u32::from(port)).to_le_bytes();
    low & 0x7f
}

/// What happens to the tag of a frame that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tagging {
    /// As the frame came, tagged or not, in its new VLAN.
    Unmodified,
    Untagged,
    Tagged,
    /// The tag that the frame came with, if any, as it was.
    Untouched,
}

impl Tagging {
    fn of(code: u32) -> Tagging {
        match code & 3 {
            0 => Tagging::Unmodified,
            1 => Tagging::Untagged,
            2 => Tagging::Tagged,
            _ => Tagging::Untouched,
        }
    }

    /// Of routed frames.
    pub(super) fn routed(registers: &Registers, port: u8) -> Tagging {
        Tagging::of(registers.get(reg::ROUTER_EG) >> (4 * u32::from(port)))
    }

    /// Of bridged frames.
    pub(super) fn bridged(registers: &Registers, port: u8) -> Tagging {
        Tagging::of(registers.get(reg::PORT_VLAN1 + 8 * u32::from(port)) >> 12)
    }
}

/// Whether there is such a port.
pub(super) fn exists(port: u8) -> bool {
    usize::from(port) < PORTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: Mac = Mac([2, 0, 0, 0xaa, 0xbb, 0xcc]);

    #[test]
    fn an_interface_is_mac_range_and_family() {
        let mut registers = Registers::default();
        let at = reg::INTERFACE_LOOKUP + 16 * 7;
        // VLANs 0x101 to 0x234, IPv4.
        registers.set(at, 0x00aa_bbcc);
        registers.set(at + 4, 0x4101_0200);
        assert!(!routes(&registers, MAC, 0x101, false));
        registers.set(at + 8, 1 << 8 | 0x23);
        let routes = |mac, vid, v6| routes(&registers, mac, vid, v6);
        assert!(routes(MAC, 0x101, false) && routes(MAC, 0x234, false));
        assert!(!routes(MAC, 0x100, false) && !routes(MAC, 0x235, false));
        assert!(!routes(MAC, 0x101, true) && !routes(Mac([2; 6]), 0x101, false));
    }

    #[test]
    fn each_stage_has_its_copy_of_a_public_address() {
        let mut registers = Registers::default();
        registers.set(reg::PUBLIC_LOOKUP + 16 * 3, 11);
        assert!(!is_public(&registers, 11));
        registers.set(reg::PUBLIC_LOOKUP + 16 * 3 + 4, 1);
        registers.set(0x2_f00c, 12);
        registers.set(0x2130, 13);
        assert!(is_public(&registers, 11));
        assert!(!public_is(&registers, Model::Qca8337, 3, 12));
        registers.set(0x2_f040, 8);
        assert!(public_is(&registers, Model::Qca8337, 3, 12));
        assert!(!public_is(&registers, Model::Ar8327, 3, 12));
        assert_eq!(public_for_egress(&registers, 3), 13);
    }

    #[test]
    fn sessions_want_both_switches() {
        let mut registers = Registers::default();
        registers.set(reg::PPPOE_REMOVE + 4 * 15, 1 << 16 | 0x1234);
        registers.set(reg::PPPOE_INSERT + 16 * 15, 0x1234);
        registers.set(reg::FRAME_ACK_CTL1, reg::PPPOE_EN);
        assert!(!removes_session(&registers, 0x1234));
        assert_eq!(inserts_session(&registers, 15), None);
        registers.set(reg::PKT_CTRL, reg::RTD_PPPOE_EN);
        assert!(removes_session(&registers, 0x1234) && !removes_session(&registers, 0));
        assert_eq!(inserts_session(&registers, 15), Some(0x1234));
        registers.set(reg::FRAME_ACK_CTL1, 0);
        assert!(!removes_session(&registers, 0x1234));
    }

    #[test]
    fn tagging_has_two_bits_for_each_port() {
        let mut registers = Registers::default();
        registers.set(reg::ROUTER_EG, 2 << 20 | 1);
        assert_eq!(Tagging::routed(&registers, 5), Tagging::Tagged);
        assert_eq!(Tagging::routed(&registers, 0), Tagging::Untagged);
        assert_eq!(Tagging::routed(&registers, 4), Tagging::Unmodified);
        registers.set(reg::PORT_VLAN1 + 8 * 4, 3 << 12);
        assert_eq!(Tagging::bridged(&registers, 4), Tagging::Untouched);
    }

    #[test]
    fn twelve_bits_are_completed_from_the_copy_of_the_base() {
        let mut registers = Registers::default();
        let (model, lan) = (Model::Ar8327, 0xc0a8_1234);
        registers.set(reg::PRIVATE_BASE, 0xc0a81);
        assert!(is_private(&registers, model, lan) && !is_private(&registers, model, 0xc0a8_2234));
        assert_eq!(whole(&registers, model, stored(&registers, model, lan)), 0x234);
        registers.set(reg::PRIVATE_BASE_COPY, 0xc0a81);
        assert_eq!(whole(&registers, model, stored(&registers, model, lan)), lan);
    }

    proptest! {
        /// Of both ways to cut an address, what is private comes back whole.
        #[test]
        fn private_addresses_come_back(address in any::<u32>(), comb in any::<bool>()) {
            let (mut registers, model) = (Registers::default(), Model::Ar8327);
            let base = base_of(address, comb);
            registers.set(reg::PRIVATE_BASE, base | if comb { reg::BASEADDR_SEL } else { 0 });
            registers.set(reg::PRIVATE_BASE_COPY, base);
            prop_assert!(is_private(&registers, model, address));
            let cut = stored(&registers, model, address);
            prop_assert!(cut < 1 << 12);
            prop_assert_eq!(whole(&registers, model, cut), address);
        }
    }
}
