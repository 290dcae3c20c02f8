// SPDX-License-Identifier: GPL-2.0-or-later
//! Why a flow takes the classic path: the ladder that the kernel and our rules walk, from the
//! first step on.

use std::net::IpAddr;

use super::flow_reason::FlowReason;
use super::flows::packed::Packed;
use super::flows::place::{End, Place};
use super::flows::{Flow, FlowState};
use crate::netlink::conntrack::tuple::{Tuple, IPPROTO_GRE, IPPROTO_TCP, IPPROTO_UDP};
use crate::netlink::xfrm::{Direction, Policy};

/// A classic flow that is ready and has carried nothing for longer than this waits for its next
/// packet; one that has is a riddle. Longer than the time between two lists for one who looks.
const SILENT_MS: u32 = 5_000;

/// A flow that somebody asks about. What is `None` may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Address of one end.
    pub source: Option<IpAddr>,
    /// Its port.
    pub source_port: Option<u16>,
    /// Address of the other end.
    pub destination: Option<IpAddr>,
    /// Its port.
    pub destination_port: Option<u16>,
    /// IP protocol number.
    pub protocol: Option<u8>,
}

impl Wanted {
    /// True when a direction of the flow, before or behind translation, is the one asked for.
    pub fn matches(&self, flow: &Packed<'_>) -> bool {
        let ports = flow.ports();
        let may_be = |wanted: Option<u16>| wanted.is_none_or(|wanted| ports.contains(&wanted));
        if !(may_be(self.source_port) && may_be(self.destination_port)) {
            return false; // as most: there is no need to look at addresses
        }
        let is = |tuple: &Tuple| {
            let port = |wanted: Option<u16>, port| {
                wanted.is_none_or(|wanted| tuple.icmp().is_none() && wanted == port)
            };
            self.source.is_none_or(|address| address == tuple.source())
                && self.destination.is_none_or(|address| address == tuple.destination())
                && port(self.source_port, tuple.source_port)
                && port(self.destination_port, tuple.destination_port)
                && self.protocol.is_none_or(|protocol| protocol == tuple.protocol)
        };
        let (orig, reply) = (flow.orig(), flow.reply());
        [orig, orig.inverse(), reply, reply.inverse()].iter().any(is)
    }
}

/// What is known apart from the flow itself.
pub trait Facts {
    /// Why nothing is offloaded; `None` while a flowtable of ours exists.
    fn nothing_offloaded(&self) -> Option<String>;
    /// Why no flowtable has the device that this end is behind.
    fn not_covered(&self, attachment: u16) -> Option<String>;
    /// The table whose flowtable has a flow, if it is offloaded.
    fn table(&self, flow: &Flow) -> Option<String>;
    /// Why the rules keep a flow on the classic path.
    fn ruled_out(&self, flow: &Flow) -> Option<(FlowReason, String)>;
    /// Seconds for which it is kept on the classic path.
    fn bypassed_s(&self, id: u32) -> Option<u32>;
    /// IPsec policies that transform packets.
    fn policies(&self) -> &[Policy];
    /// What shows that offloaded flows of this state take the classic path; `None` without evidence.
    fn leaking(&self, state: FlowState) -> Option<String>;
    /// The switch that has a flow, or could, and in words what it is at with it, or why it has not.
    fn switch(&self, id: u32) -> Option<(String, String)>;
}

/// The first step that a flow fails, with what belongs to it (may be empty). `None` for one that is
/// offloaded, and not in name only.
pub fn why_classic(flow: &Flow, facts: &dyn Facts) -> Option<(FlowReason, String)> {
    if flow.state != FlowState::Classic {
        return Some((FlowReason::InNameOnly, facts.leaking(flow.state)?));
    }
    let failed = FlowReason::ALL.into_iter().find_map(|step| {
        let detail = fails(step, flow, facts)?;
        Some((step, detail))
    });
    Some(failed.unwrap_or((FlowReason::Unknown, String::new())))
}

/// A watched flow that sends more than one packet of so many by the classic path is offloaded in
/// name only.
const NOTABLE_PART: u64 = 10;

/// Whether what a flow leaked while it was watched, of what it carried, is more than the packets
/// that fall out of every fast path; `None` when it carried too little to tell.
pub fn is_in_name_only(leaked: u64, carried: u64) -> Option<bool> {
    (carried >= NOTABLE_PART).then_some(leaked.saturating_mul(NOTABLE_PART) > carried)
}

/// The steps that a flow passes, up to the first that it fails.
pub fn passed(flow: &Flow, facts: &dyn Facts) -> Vec<FlowReason> {
    let steps = FlowReason::ALL.into_iter().take_while(|step| *step != FlowReason::Idle);
    steps
        .take_while(|step| flow.state != FlowState::Classic || fails(*step, flow, facts).is_none())
        .collect()
}

/// What makes a flow fail a step of the ladder; `None` when it passes.
fn fails(step: FlowReason, flow: &Flow, facts: &dyn Facts) -> Option<String> {
    let plain = |failed: bool| failed.then(String::new);
    let ruled_out = || {
        let (_, detail) = facts.ruled_out(flow).filter(|(reason, _)| *reason == step)?;
        Some(detail)
    };
    match step {
        FlowReason::OffloadOff => facts.nothing_offloaded(),
        FlowReason::Local => plain(is_local(flow.place)),
        FlowReason::Protocol => refused_protocol(flow),
        FlowReason::NotEstablished => match flow.tcp_state.filter(|state| state.is_opening()) {
            Some(state) => Some(state.to_string()),
            None => plain(!flow.replied),
        },
        FlowReason::Closing => flow.tcp_state.filter(|s| s.is_closing()).map(|s| s.to_string()),
        FlowReason::NotAssured => plain(!flow.assured),
        FlowReason::Bypassed => {
            facts.bypassed_s(flow.id).map(|seconds| format!("for {seconds} s more"))
        }
        FlowReason::DeviceNotCovered => {
            let ends = [flow.place.opener(), flow.place.answerer()];
            let ends = ends.into_iter().filter_map(End::attachment);
            ends.into_iter().find_map(|end| facts.not_covered(end)).or_else(ruled_out)
        }
        FlowReason::PolicyBypass | FlowReason::BelowThreshold => ruled_out(),
        FlowReason::Helper => plain(flow.helped),
        FlowReason::Ipsec => plain(is_decrypted_both_ways(flow, facts.policies())),
        // Where nobody counts, silence cannot be seen.
        FlowReason::Idle => plain(flow.sent.is_some() && flow.quiet_ms >= SILENT_MS),
        // The one is about offloaded flows, the other is what remains.
        FlowReason::InNameOnly | FlowReason::Unknown => None,
    }
}

fn is_local(place: Place) -> bool {
    place.opener() == End::Router || place.answerer() == End::Router
}

/// The flow's protocol when the kernel does not offload it. Of GRE it takes version 0, which has no
/// key in conntrack, and only where nothing is translated (`nft_flow_offload_eval`).
fn refused_protocol(flow: &Flow) -> Option<String> {
    let orig = &flow.orig;
    match orig.protocol {
        IPPROTO_TCP | IPPROTO_UDP => None,
        IPPROTO_GRE if orig.source_port != 0 || orig.destination_port != 0 => {
            Some("gre of version 1".into())
        }
        IPPROTO_GRE if flow.reply != orig.inverse() => Some("gre, translated".into()),
        IPPROTO_GRE => None,
        number => Some(orig.protocol_name().map_or_else(|| number.to_string(), str::to_owned)),
    }
}

/// Packets that have been decrypted make no flow an offloaded one; those of the other direction do,
/// unless they have been decrypted too. Addresses are those at the forward hook: before the source
/// and behind the destination is translated.
fn is_decrypted_both_ways(flow: &Flow, policies: &[Policy]) -> bool {
    let opener = (flow.orig.source(), flow.orig.source_port);
    let answerer = (flow.reply.source(), flow.reply.source_port);
    // The first that matches decides; it may exempt packets from later ones. Policies of single
    // devices and marks are for packets that nothing here tells apart.
    let decrypted = |from, to| {
        let mut forward = policies.iter().filter(|policy| {
            policy.direction == Direction::Forward
                && policy.if_id == 0
                && policy.interface.is_none()
                && policy.mark == (0, 0)
        });
        let first = forward.find(|policy| policy.matches(from, to, flow.orig.protocol));
        first.is_some_and(|policy| policy.transforms)
    };
    decrypted(opener, answerer) && decrypted(answerer, opener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::table::tests::{entry, table_of};
    use crate::netlink::conntrack::status::{IPS_ASSURED, IPS_OFFLOAD, IPS_SEEN_REPLY};
    use crate::netlink::conntrack::tcp_state::TcpState;

    /// Everything stands ready, but for what a test changes.
    #[derive(Default)]
    struct Ready {
        off: bool,
        uncovered: bool,
        bypassed: bool,
        leaking: bool,
        ruled_out: Option<FlowReason>,
    }

    impl Facts for Ready {
        fn nothing_offloaded(&self) -> Option<String> {
            self.off.then(|| "the switch is off".into())
        }
        fn not_covered(&self, attachment: u16) -> Option<String> {
            self.uncovered.then(|| format!("device {attachment}"))
        }
        fn table(&self, _flow: &Flow) -> Option<String> {
            None
        }
        fn ruled_out(&self, _flow: &Flow) -> Option<(FlowReason, String)> {
            self.ruled_out.map(|reason| (reason, "rule 'x'".into()))
        }
        fn bypassed_s(&self, _id: u32) -> Option<u32> {
            self.bypassed.then_some(42)
        }
        fn policies(&self) -> &[Policy] {
            &[]
        }
        fn leaking(&self, _state: FlowState) -> Option<String> {
            self.leaking.then(|| "it leaks".into())
        }

        fn switch(&self, _: u32) -> Option<(String, String)> {
            None
        }
    }

    fn flow() -> Flow {
        let mut entry = entry(1, 100);
        entry.tcp_state = Some(TcpState::Established);
        let place = Place::new(End::Attached(1), End::Attached(2), None);
        Flow { place, ..table_of(&[entry]).flows(60_000).next().unwrap() }
    }

    fn code(flow: &Flow, facts: &Ready) -> &'static str {
        why_classic(flow, facts).map_or("offloaded", |(reason, _)| reason.code())
    }

    #[test]
    fn the_first_step_that_fails_is_the_reason() {
        // Each line breaks one more step, from the last to the first.
        let mut flow = flow();
        let mut facts = Ready::default();
        flow.quiet_ms = 0;
        assert_eq!(code(&flow, &facts), "unknown");
        flow.quiet_ms = SILENT_MS;
        assert_eq!(code(&flow, &facts), "idle");
        flow.sent = None;
        assert_eq!(code(&flow, &facts), "unknown", "nobody counts, so nobody knows of silence");
        flow.helped = true;
        assert_eq!(code(&flow, &facts), "helper");
        facts.ruled_out = Some(FlowReason::BelowThreshold);
        assert_eq!(code(&flow, &facts), "below_threshold");
        facts.ruled_out = Some(FlowReason::PolicyBypass);
        assert_eq!(why_classic(&flow, &facts).unwrap().1, "rule 'x'");
        assert_eq!(code(&flow, &facts), "policy_bypass");
        facts.ruled_out = Some(FlowReason::DeviceNotCovered);
        assert_eq!(why_classic(&flow, &facts).unwrap().1, "rule 'x'");
        facts.uncovered = true;
        let reason = why_classic(&flow, &facts).unwrap();
        assert_eq!(reason, (FlowReason::DeviceNotCovered, "device 1".into()));
        facts.bypassed = true;
        assert_eq!(code(&flow, &facts), "bypassed");
        flow.assured = false;
        assert_eq!(code(&flow, &facts), "not_assured");
        flow.tcp_state = Some(TcpState::TimeWait);
        assert_eq!(why_classic(&flow, &facts).unwrap().1, "TIME_WAIT");
        flow.replied = false;
        assert_eq!(code(&flow, &facts), "not_established");
        flow.tcp_state = Some(TcpState::SynSent);
        assert_eq!(why_classic(&flow, &facts).unwrap().1, "SYN_SENT");
        flow.orig.protocol = 132;
        assert_eq!(why_classic(&flow, &facts).unwrap().1, "sctp");
        flow.place = Place::new(End::Attached(1), End::Router, None);
        assert_eq!(code(&flow, &facts), "local");
        facts.off = true;
        assert_eq!(code(&flow, &facts), "offload_off");
        flow.state = FlowState::Software;
        assert_eq!(code(&flow, &facts), "offloaded");
        facts.leaking = true;
        assert_eq!(code(&flow, &facts), "in_name_only");
    }

    #[test]
    fn gre_is_offloaded_as_far_as_the_kernel_does() {
        let mut flow = flow();
        let detail = |flow: &Flow| fails(FlowReason::Protocol, flow, &Ready::default());
        flow.orig = Tuple { source_port: 0, destination_port: 0, protocol: 47, ..flow.orig };
        flow.reply = flow.orig.inverse();
        assert_eq!(detail(&flow), None);
        flow.orig.destination_port = 7;
        flow.reply = flow.orig.inverse();
        assert_eq!(detail(&flow).unwrap(), "gre of version 1");
        flow.orig.destination_port = 0;
        assert_eq!(detail(&flow).unwrap(), "gre, translated");
    }

    #[test]
    fn steps_passed_end_where_one_fails() {
        let mut flow = flow();
        flow.helped = true;
        let steps = passed(&flow, &Ready::default());
        assert_eq!(steps.last(), Some(&FlowReason::BelowThreshold));
        assert_eq!(steps.len(), 10);
        flow.state = FlowState::Hardware;
        assert_eq!(passed(&flow, &Ready::default()).last(), Some(&FlowReason::Ipsec));
    }

    #[test]
    fn a_flow_is_found_by_any_of_its_tuples() {
        let table = table_of(&[entry(1, 100)]);
        let flow = table.packed(1000).next().unwrap();
        let wanted = |source: &str, port, destination: &str| Wanted {
            source: source.parse().ok(),
            source_port: port,
            destination: destination.parse().ok(),
            destination_port: None,
            protocol: Some(6),
        };
        assert!(wanted("192.168.1.1", Some(40_001), "203.0.113.2").matches(&flow));
        assert!(wanted("203.0.113.2", Some(80), "192.168.1.1").matches(&flow));
        assert!(wanted("203.0.113.1", Some(40_001), "203.0.113.2").matches(&flow), "translated");
        assert!(wanted("203.0.113.2", None, "").matches(&flow));
        assert!(!wanted("192.168.1.1", Some(80), "203.0.113.2").matches(&flow));
        assert!(!wanted("192.168.1.9", None, "").matches(&flow));
        let udp = Wanted { protocol: Some(17), ..Wanted::default() };
        assert!(!udp.matches(&flow));
    }

    #[test]
    fn a_flow_of_the_kernel_passes_the_bits_on() {
        let bits = |status| {
            let one = crate::netlink::conntrack::entry::Entry { status, ..entry(1, 0) };
            let flow = table_of(&[one]).flows(0).next().unwrap();
            (flow.replied, flow.assured, flow.state)
        };
        assert_eq!(bits(0), (false, false, FlowState::Classic));
        assert_eq!(bits(IPS_SEEN_REPLY), (true, false, FlowState::Classic));
        let all = IPS_SEEN_REPLY | IPS_ASSURED | IPS_OFFLOAD;
        assert_eq!(bits(all), (true, true, FlowState::Software));
    }
}
