// SPDX-License-Identifier: GPL-2.0-or-later
//! The closed list of reasons why a flow is not accelerated.
//!
//! The bus, the command line, the web page and the manual share it, like the list of reasons of
//! modes and devices. The order is that of the ladder: the first step that a flow fails is the
//! reason.

/// Why a flow's packets take the classic path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowReason {
    /// Nothing is offloaded at present.
    OffloadOff,
    /// One of its ends is this router.
    Local,
    /// Of a protocol that the kernel does not offload, or not this way.
    Protocol,
    /// Nobody has answered yet, or the TCP handshake is not complete.
    NotEstablished,
    /// The TCP connection is being closed.
    Closing,
    /// It has not yet carried packets both ways for long enough.
    NotAssured,
    /// It was handed back to the classic path and is kept there.
    Bypassed,
    /// One of its devices is in no flowtable.
    DeviceNotCovered,
    /// A rule of the configuration keeps it there.
    PolicyBypass,
    /// A rule lets it leave only after it has carried more.
    BelowThreshold,
    /// A conntrack helper has to see every packet, or TCP sequence numbers are adjusted.
    Helper,
    /// Its packets of both directions come out of IPsec tunnels.
    Ipsec,
    /// All is set; its next packet makes it an offloaded one.
    Idle,
    /// It is marked as offloaded, but its packets still cross the forward hook.
    InNameOnly,
    /// None of the above.
    Unknown,
}

impl FlowReason {
    /// Every reason, in the order of the ladder and of the manual.
    pub const ALL: [FlowReason; 15] = [
        FlowReason::OffloadOff,
        FlowReason::Local,
        FlowReason::Protocol,
        FlowReason::NotEstablished,
        FlowReason::Closing,
        FlowReason::NotAssured,
        FlowReason::Bypassed,
        FlowReason::DeviceNotCovered,
        FlowReason::PolicyBypass,
        FlowReason::BelowThreshold,
        FlowReason::Helper,
        FlowReason::Ipsec,
        FlowReason::Idle,
        FlowReason::InNameOnly,
        FlowReason::Unknown,
    ];

    /// The stable code for programs.
    pub fn code(self) -> &'static str {
        match self {
            FlowReason::OffloadOff => "offload_off",
            FlowReason::Local => "local",
            FlowReason::Protocol => "protocol",
            FlowReason::NotEstablished => "not_established",
            FlowReason::Closing => "closing",
            FlowReason::NotAssured => "not_assured",
            FlowReason::Bypassed => "bypassed",
            FlowReason::DeviceNotCovered => "device_not_covered",
            FlowReason::PolicyBypass => "policy_bypass",
            FlowReason::BelowThreshold => "below_threshold",
            FlowReason::Helper => "helper",
            FlowReason::Ipsec => "ipsec",
            FlowReason::Idle => "idle",
            FlowReason::InNameOnly => "in_name_only",
            FlowReason::Unknown => "unknown",
        }
    }

    /// One sentence for people, without a full stop.
    pub fn text(self) -> &'static str {
        match self {
            FlowReason::OffloadOff => "nothing is offloaded at present",
            FlowReason::Local => "one end is this router, and only forwarded packets are offloaded",
            FlowReason::Protocol => "only TCP, UDP and untranslated GRE are offloaded",
            FlowReason::NotEstablished => "the connection is not established yet",
            FlowReason::Closing => "the connection is being closed",
            FlowReason::NotAssured => "it has not carried packets both ways for long enough",
            FlowReason::Bypassed => "it was handed back to the classic path and is kept there",
            FlowReason::DeviceNotCovered => "one of its devices is in no flowtable",
            FlowReason::PolicyBypass => "a rule of /etc/config/flowtable keeps it there",
            FlowReason::BelowThreshold => "it has carried less than its rule asks for",
            FlowReason::Helper => "a conntrack helper has to see all of its packets",
            FlowReason::Ipsec => "its packets of both directions come out of IPsec",
            FlowReason::Idle => "it was silent; its next packet makes it offloaded",
            FlowReason::InNameOnly => "it is marked as offloaded, yet takes the classic path",
            FlowReason::Unknown => "nothing that is known stands in the way",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FlowReason;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_snake_case() {
        let codes: HashSet<_> = FlowReason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), FlowReason::ALL.len());
        for code in codes {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
    }
}
