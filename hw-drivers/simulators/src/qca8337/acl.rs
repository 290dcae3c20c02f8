// SPDX-License-Identifier: GPL-2.0-or-later
//! The classifier's rules, as far as routing needs them: IPv4 rules of one entry each. Of several
//! that match, that with the lowest index counts. Chained rules and other types match nothing, and
//! policers only count, they do not limit.

use super::napt::{bits, halves, small};
use super::registers::{self as reg, Registers};

/// Rules of the table.
const RULES: u32 = 96;

/// RULE_TYPE of IPv4 rules.
const IPV4: u32 = 2;

/// RULE_VALID of a rule that is start and end.
const WHOLE: u32 = 3;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) port: u8,
    pub(super) source: u32,
    pub(super) destination: u32,
    pub(super) protocol: u8,
    pub(super) dscp: u8,
    /// Source and destination port, of a packet that has them.
    pub(super) ports: Option<(u16, u16)>,
    /// TCP flags in the wire order.
    pub(super) flags: u8,
}

/// FORCE_L3_MODE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum L3Mode {
    None,
    Snat,
    Dnat,
}

/// FWD_CMD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Forward,
    Copy,
    Redirect,
    Drop,
}

/// What a rule wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) next_hop: Option<u8>,
    pub(super) mode: L3Mode,
    pub(super) command: Command,
    pub(super) policer: Option<u8>,
}

impl Verdict {
    /// Without a rule.
    pub(super) const NONE: Verdict =
        Verdict { next_hop: None, mode: L3Mode::None, command: Command::Forward, policer: None };
}

/// What the rules want done with a packet.
pub(super) fn classify(registers: &Registers, fields: &Fields) -> Verdict {
    if !registers.has(reg::MOD_ENABLE, reg::ACL_EN) {
        return Verdict::NONE;
    }
    match (0..RULES).find(|rule| matches(registers, *rule, fields)) {
        Some(rule) => verdict(registers, rule),
        None => Verdict::NONE,
    }
}

fn matches(registers: &Registers, rule: u32, fields: &Fields) -> bool {
    let value = [0, 1, 2, 3, 4].map(|n| registers.get(reg::ACL_VALUE + 0x20 * rule + 4 * n));
    let mask = [0, 1, 2, 3, 4].map(|n| registers.get(reg::ACL_MASK + 0x20 * rule + 4 * n));
    let ([v0, v1, v2, v3, v4], [m0, m1, m2, m3, m4]) = (value, mask);
    if bits(m4, 0, 3) != IPV4 || bits(m4, 6, 2) != WHOLE || bits(v4, u32::from(fields.port), 1) == 0
    {
        return false;
    }
    let (source, destination) = fields.ports.unwrap_or((0, 0));
    let low = u32::from(fields.dscp) << 8 | u32::from(fields.protocol);
    let flags = u32::from(fields.flags & 0x3f) << 24;
    let inside = (fields.destination ^ v0) & m0 == 0
        && (fields.source ^ v1) & m1 == 0
        && (low ^ v2) & m2 & 0xffff == 0
        && (flags ^ v3) & m3 & 0x3f00_0000 == 0
        && port_matches(destination, halves(v2).0, halves(m2).0, bits(m3, 17, 1) == 1)
        && port_matches(source, halves(v3).1, halves(m3).1, bits(m3, 16, 1) == 1);
    // The ports that a rule is for are no part of what RULE_INV turns round: the rule for the
    // default route, "not to the LAN", would be one for frames from the WAN then.
    inside != (bits(v4, 7, 1) == 1)
}

fn port_matches(port: u16, value: u16, mask: u16, masked: bool) -> bool {
    if masked {
        (port ^ value) & mask == 0
    } else {
        (value..=mask).contains(&port)
    }
}

fn verdict(registers: &Registers, rule: u32) -> Verdict {
    let at = reg::ACL_RESULT + 0x10 * rule;
    let (w1, w2) = (registers.get(at + 4), registers.get(at + 8));
    Verdict {
        next_hop: (bits(w1, 16, 1) == 1).then_some(small(w1, 17, 7)),
        mode: match bits(w1, 14, 2) {
            1 => L3Mode::Snat,
            2 => L3Mode::Dnat,
            _ => L3Mode::None,
        },
        command: match bits(w2, 6, 3) {
            1 => Command::Copy,
            3 => Command::Redirect,
            7 => Command::Drop,
            _ => Command::Forward,
        },
        policer: (bits(w2, 14, 1) == 1).then_some(small(w2, 9, 5)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields = Fields {
        port: 2,
        source: 0xc0a8_0102,
        destination: 0xcb00_7109,
        protocol: 6,
        dscp: 0,
        ports: Some((40000, 443)),
        flags: 0x10,
    };

    fn rule(registers: &mut Registers, rule: u32, value: [u32; 5], mask: [u32; 5]) {
        for (n, (value, mask)) in (0..).zip(value.into_iter().zip(mask)) {
            registers.set(reg::ACL_VALUE + 0x20 * rule + 4 * n, value);
            registers.set(reg::ACL_MASK + 0x20 * rule + 4 * n, mask);
        }
        registers.set(reg::ACL_RESULT + 0x10 * rule + 4, 1 << 16 | (10 + rule) << 17 | 1 << 14);
    }

    fn enabled() -> Registers {
        let mut registers = Registers::default();
        registers.set(reg::MOD_ENABLE, reg::ACL_EN);
        registers
    }

    const ANY_PORT: u32 = 3 << 16;
    const LIVE: u32 = 3 << 6 | 2;

    /// The rule that the vendor installs: not to the LAN, from LAN ports.
    #[test]
    fn default_route() {
        let mut registers = enabled();
        let value = [0xc0a8_0100, 0, 0, 0, 0x80 | 0x1e];
        rule(&mut registers, 95, value, [0xffff_ff00, 0, 0, ANY_PORT, LIVE]);
        let hop = |fields| classify(&registers, &fields).next_hop;
        assert_eq!(hop(FIELDS), Some(105));
        assert_eq!(classify(&registers, &FIELDS).mode, L3Mode::Snat);
        assert_eq!(hop(Fields { destination: 0xc0a8_01ff, ..FIELDS }), None);
        assert_eq!(hop(Fields { port: 5, ..FIELDS }), None);
        registers.set(reg::MOD_ENABLE, 0);
        assert_eq!(classify(&registers, &FIELDS), Verdict::NONE);
    }

    #[test]
    fn ports_by_mask_or_range_and_the_lowest_rule() {
        let mut registers = enabled();
        // Destination port 400 to 500, UDP or TCP.
        rule(&mut registers, 4, [0, 0, 400 << 16, 0, 0x7f], [0, 0, 500 << 16, 1 << 16, LIVE]);
        // Source port 0x9c40 (40000) by mask.
        let value = [0, 0, 0, 0x9c00, 0x7f];
        rule(&mut registers, 3, value, [0, 0, 0, ANY_PORT | 0xff00, LIVE]);
        let hop = |ports, protocol| {
            let fields = Fields { ports: Some(ports), protocol, ..FIELDS };
            classify(&registers, &fields).next_hop
        };
        assert_eq!(hop((1, 400), 6), Some(14));
        assert_eq!(hop((1, 500), 17), Some(14));
        assert_eq!(hop((1, 501), 6), None);
        assert_eq!(hop((40000, 443), 6), Some(13));
        assert_eq!(hop((1, 399), 6), None);
    }

    #[test]
    fn sources() {
        let mut registers = enabled();
        let value = [0, 0xc0a8_0100, 0, 0, 0x7f];
        rule(&mut registers, 0, value, [0, 0xffff_ff00, 0, ANY_PORT, LIVE]);
        assert_eq!(classify(&registers, &FIELDS).next_hop, Some(10));
        let other = Fields { source: 0xc0a8_0202, ..FIELDS };
        assert_eq!(classify(&registers, &other), Verdict::NONE);
    }

    #[test]
    fn flags_protocol_and_dead_rules() {
        let mut registers = enabled();
        let value = [0, 0, 6, 0x0200_0000, 0x7f];
        let mask = [0, 0, 0xff, ANY_PORT | 0x0200_0000, LIVE];
        rule(&mut registers, 0, value, mask);
        assert_eq!(classify(&registers, &FIELDS), Verdict::NONE);
        let syn = Fields { flags: 2, ..FIELDS };
        assert_eq!(classify(&registers, &syn).next_hop, Some(10));
        assert_eq!(classify(&registers, &Fields { protocol: 17, ..syn }), Verdict::NONE);
        for dead in [LIVE & !7, 2, 2 << 6 | 2, 3 << 6 | 1] {
            registers.set(reg::ACL_MASK + 16, dead);
            assert_eq!(classify(&registers, &syn), Verdict::NONE, "{dead:#x}");
        }
    }

    #[test]
    fn results_are_taken_apart() {
        let mut registers = enabled();
        rule(&mut registers, 0, [0, 0, 0, 0, 0x7f], [0, 0, 0, ANY_PORT, LIVE]);
        registers.set(reg::ACL_RESULT + 4, 0x7f << 17 | 2 << 14);
        registers.set(reg::ACL_RESULT + 8, 1 << 14 | 31 << 9 | 7 << 6);
        let expected = Verdict {
            next_hop: None,
            mode: L3Mode::Dnat,
            command: Command::Drop,
            policer: Some(31),
        };
        assert_eq!(classify(&registers, &FIELDS), expected);
    }
}
