// SPDX-License-Identifier: GPL-2.0-or-later
//! The state of a TCP connection as conntrack sees it from the middle.
//!
//! Source: include/uapi/linux/netfilter/nf_conntrack_tcp.h.

use std::fmt;

/// TCP_CONNTRACK_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpState {
    /// Nothing seen yet.
    None,
    /// SYN seen.
    SynSent,
    /// SYN and ACK seen.
    SynRecv,
    /// The handshake is complete.
    Established,
    /// FIN seen.
    FinWait,
    /// FIN acknowledged.
    CloseWait,
    /// FIN seen from both.
    LastAck,
    /// Both closed; late packets may come.
    TimeWait,
    /// Closed by RST, or after `TimeWait`.
    Close,
    /// SYN seen from both.
    SynSent2,
    /// A number that no kernel used when this was written.
    Other(u8),
}

const BY_NUMBER: [(TcpState, &str); 10] = [
    (TcpState::None, "NONE"),
    (TcpState::SynSent, "SYN_SENT"),
    (TcpState::SynRecv, "SYN_RECV"),
    (TcpState::Established, "ESTABLISHED"),
    (TcpState::FinWait, "FIN_WAIT"),
    (TcpState::CloseWait, "CLOSE_WAIT"),
    (TcpState::LastAck, "LAST_ACK"),
    (TcpState::TimeWait, "TIME_WAIT"),
    (TcpState::Close, "CLOSE"),
    (TcpState::SynSent2, "SYN_SENT2"),
];

impl TcpState {
    /// The kernel's number.
    pub fn number(self) -> u8 {
        match self {
            TcpState::Other(number) => number,
            known => BY_NUMBER.iter().position(|(state, _)| *state == known).unwrap_or(0) as u8,
        }
    }
}

impl TcpState {
    /// The handshake is not complete.
    pub fn is_opening(self) -> bool {
        use TcpState::{None, SynRecv, SynSent, SynSent2};
        matches!(self, None | SynSent | SynRecv | SynSent2)
    }

    /// A FIN or RST has been seen.
    pub fn is_closing(self) -> bool {
        use TcpState::{Close, CloseWait, FinWait, LastAck, TimeWait};
        matches!(self, FinWait | CloseWait | LastAck | TimeWait | Close)
    }
}

impl From<u8> for TcpState {
    #[inline]
    fn from(number: u8) -> TcpState {
        match BY_NUMBER.get(usize::from(number)) {
            Some((state, _)) => *state,
            None => TcpState::Other(number),
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match BY_NUMBER.get(usize::from(self.number())) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "state {}", self.number()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_survives() {
        for number in 0..=u8::MAX {
            assert_eq!(TcpState::from(number).number(), number);
        }
        assert_eq!(TcpState::from(3), TcpState::Established);
        assert_eq!(TcpState::from(9).to_string(), "SYN_SENT2");
        assert_eq!(TcpState::from(77).to_string(), "state 77");
    }
}
