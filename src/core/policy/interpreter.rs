// SPDX-License-Identifier: GPL-2.0-or-later
//! As much of the kernel's nf_tables as our chains use, to see what compiled rules do.

use std::net::IpAddr;

use super::chain::{Built, CHAIN_DECIDE, CHAIN_SEEN, CHAIN_TAKE};
use crate::netlink::nftables::set::ifname_key;
use crate::netlink::nftables::{
    CtKey, Direction, Expression, MetaKey, Operator, Register, Set, Verdict, NFPROTO_IPV4,
    NFPROTO_IPV6,
};

/// One packet of a connection at the forward hook.
#[derive(Debug, Clone)]
pub struct Packet {
    pub direction: Direction,
    /// Source of each direction's tuple.
    pub source: [(IpAddr, u16); 2],
    pub protocol: u8,
    pub mark: u32,
    pub dscp: u8,
    /// Devices of the original direction.
    pub devices: [String; 2],
    pub packets: u64,
    pub bytes: u64,
}

/// True when a packet comes to the chain that offloads.
pub fn offloads(built: &Built, packet: &Packet) -> bool {
    let mut chain = CHAIN_DECIDE.to_owned();
    // Every goto leads on, so there are fewer than chains.
    for _ in 0..=built.chains.len() {
        assert!(built.chains.iter().any(|entry| entry.name == chain), "no chain {chain}");
        match walk(built, &chain, packet) {
            Some(next) if next == CHAIN_TAKE => return true,
            Some(next) if next == CHAIN_SEEN => return false,
            Some(next) => chain = next,
            None => return false,
        }
    }
    panic!("the chains go in a circle");
}

/// The chain that a packet goes to from this one; `None` when it is accepted here.
fn walk(built: &Built, chain: &str, packet: &Packet) -> Option<String> {
    for rule in built.rules.iter().filter(|rule| rule.chain == chain) {
        let mut registers = [0xee; 64];
        for expression in &rule.expressions {
            match expression {
                Expression::Verdict(Verdict::Accept) => return None,
                Expression::Verdict(Verdict::Goto(chain)) => return Some(chain.clone()),
                condition => {
                    if !step(condition, &mut registers, &built.sets, packet) {
                        break;
                    }
                }
            }
        }
    }
    None
}

/// False ends the rule.
fn step(expression: &Expression, registers: &mut [u8; 64], sets: &[Set], packet: &Packet) -> bool {
    let v4 = packet.source[0].0.is_ipv4();
    let at = |register: &Register| {
        (0..16).find(|word| Register::behind(word * 4) == *register).unwrap() * 4
    };
    let mut store = |register: &Register, bytes: &[u8]| {
        let start = at(register);
        registers[start..start + bytes.len().next_multiple_of(4)].fill(0);
        registers[start..start + bytes.len()].copy_from_slice(bytes);
    };
    match expression {
        Expression::Meta(key, register) => {
            let [mut input, mut output] = packet.devices.clone();
            if packet.direction == Direction::Reply {
                std::mem::swap(&mut input, &mut output);
            }
            match key {
                MetaKey::InputName => store(register, &ifname_key(&input).unwrap()),
                MetaKey::OutputName => store(register, &ifname_key(&output).unwrap()),
                MetaKey::L4Proto => store(register, &[packet.protocol]),
                MetaKey::NfProto => {
                    store(register, &[if v4 { NFPROTO_IPV4 } else { NFPROTO_IPV6 }])
                }
                MetaKey::Other(_) => panic!("{expression:?}"),
            }
        }
        Expression::Ct(key, direction, register) => {
            let source = direction.map(|direction| packet.source[usize::from(direction.number())]);
            match (key, source) {
                (CtKey::Direction, None) => store(register, &[packet.direction.number()]),
                (CtKey::Mark, None) => store(register, &packet.mark.to_ne_bytes()),
                (CtKey::Packets, None) => store(register, &packet.packets.to_ne_bytes()),
                (CtKey::Bytes, None) => store(register, &packet.bytes.to_ne_bytes()),
                (CtKey::SourcePort, Some((_, port))) => store(register, &port.to_be_bytes()),
                (CtKey::SourceV4, Some((IpAddr::V4(ip), _))) => store(register, &ip.octets()),
                (CtKey::SourceV6, Some((IpAddr::V6(ip), _))) => store(register, &ip.octets()),
                (CtKey::SourceV4 | CtKey::SourceV6, Some(_)) => return false,
                _ => panic!("{expression:?}"),
            }
        }
        Expression::Network { offset, length, register } => {
            // ECN and the flow label are there too, and must not matter.
            let header = match v4 {
                true => vec![0x45, packet.dscp << 2 | 1],
                false => (0x6000 | u16::from(packet.dscp) << 6 | 0x2f).to_be_bytes().to_vec(),
            };
            let start = *offset as usize;
            store(register, &header[start..start + *length as usize]);
        }
        Expression::HostToNetwork { register, length } => {
            let start = at(register);
            if cfg!(target_endian = "little") {
                registers[start..start + *length as usize].reverse();
            }
        }
        Expression::Bitwise { register, mask, xor } => {
            let start = at(register);
            for (byte, (mask, xor)) in registers[start..].iter_mut().zip(mask.iter().zip(xor)) {
                *byte = *byte & mask ^ xor;
            }
        }
        Expression::Cmp { operator, value } => {
            let loaded = &registers[..value.len()];
            return match operator {
                Operator::Equal => loaded == value.as_slice(),
                Operator::NotEqual => loaded != value.as_slice(),
                Operator::Less => loaded < value.as_slice(),
                Operator::Other(_) => panic!("{expression:?}"),
            };
        }
        Expression::Lookup { set, inverted } => {
            let set = sets.iter().find(|entry| entry.name == *set).expect("the set");
            return is_in(set, registers) != *inverted;
        }
        other => panic!("{other:?}"),
    }
    true
}

/// The kernel refuses ranges that overlap, so at most one may match.
fn is_in(set: &Set, registers: &[u8; 64]) -> bool {
    let length = set.key_type.length();
    if set.fields.is_empty() {
        return set.elements.contains_key(&registers[..length]);
    }
    assert!(set.fields.len() >= 2, "the kernel takes no other");
    let holds = |key: &Vec<u8>| {
        let (low, high) = key.split_at(length);
        assert_eq!(high.len(), length);
        let mut start = 0;
        set.fields.iter().all(|field| {
            let part = start..start + *field as usize;
            start += (*field as usize).next_multiple_of(4);
            let value = &registers[part.clone()];
            low[part.clone()] <= *value && *value <= high[part]
        })
    };
    let matching = set.elements.keys().filter(|key| holds(key)).count();
    assert!(matching <= 1, "{set:?}");
    matching == 1
}
