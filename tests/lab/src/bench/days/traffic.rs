// SPDX-License-Identifier: GPL-2.0-or-later
//! What one connection carries over time: when it begins, in which rhythm it talks, how much, how
//! long it is silent before it ends, and which of its bytes the kernel has to forward itself.
//!
//! Bytes at an instant are a function of that instant alone, so replays need no state per packet,
//! and differences add up to the whole exactly.

use flowtabled::netlink::conntrack::tuple::IPPROTO_TCP;

/// Bytes of one connection, and milliseconds of a few days, have a product of 64 bits up to here.
pub const BYTES_MAX: u64 = 1 << 35;
/// The flowtable lets go of what has been silent for so long (nf_flowtable_tcp_timeout and
/// nf_flowtable_udp_timeout, 30 s).
const SILENT_MS: u64 = 30_000;
/// UDP counts as assured two seconds after it began (nf_conntrack_proto_udp.c).
const ASSURED_MS: u64 = 2000;
/// The handshake: three packets with options.
const HANDSHAKE: u64 = 180;
/// The packet that brings a silent flow back takes the classic path.
const PACKET: u64 = 1500;

/// What a connection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A question and an answer, as DNS has them.
    Lookup,
    /// A connection of a page or of a program's calls.
    Web,
    /// Video, a segment at a time.
    Video,
    /// A call with pictures.
    Call,
    /// A call without.
    Voice,
    /// A game.
    Game,
    /// A download or a backup.
    Bulk,
    /// One of many that file sharing keeps.
    Peer,
    /// Silent but for a sign of life now and then.
    Push,
}

/// One connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// What it is about.
    pub kind: Kind,
    /// IPPROTO_TCP or IPPROTO_UDP.
    pub protocol: u8,
    /// When its first packet comes, in milliseconds of simulated time.
    pub begins_ms: u64,
    /// From the first packet to the last.
    pub talks_ms: u64,
    /// From the last packet to the end of the connection, or to conntrack's time-out.
    pub lingers_ms: u64,
    /// It talks for the first part of each period.
    pub period_ms: u64,
    /// That part.
    pub busy_ms: u64,
    /// Bytes from the client, and to it.
    pub bytes: [u64; 2],
}

impl Traffic {
    /// Bytes of both directions up to an instant.
    pub fn carried(&self, at_ms: u64) -> [u64; 2] {
        let Some(age) = at_ms.checked_sub(self.begins_ms) else { return [0; 2] };
        if age >= self.talks_ms {
            return self.bytes;
        }
        let (busy, all) = (self.busy(age), self.busy(self.talks_ms).max(1));
        self.bytes.map(|bytes| bytes * busy / all)
    }

    /// The same, added up.
    pub fn total(&self, at_ms: u64) -> u64 {
        let [sent, received] = self.carried(at_ms);
        sent + received
    }

    /// Bytes of an average packet, acknowledgements among them.
    pub fn packet(&self) -> u64 {
        match self.kind {
            Kind::Push => 120,
            Kind::Lookup | Kind::Game => 150,
            Kind::Voice => 200,
            Kind::Peer => 700,
            Kind::Web | Kind::Video | Kind::Call | Kind::Bulk => 950,
        }
    }

    /// All that it will ever carry.
    pub fn size(&self) -> u64 {
        let [sent, received] = self.bytes;
        sent + received
    }

    fn busy(&self, age: u64) -> u64 {
        let period = self.period_ms.max(1);
        (age / period) * self.busy_ms + (age % period).min(self.busy_ms)
    }

    /// Bytes of both directions that take the classic path even when nothing is in the way of
    /// offloading: until the connection is assured, and the packet that brings it back from silence.
    pub fn classic(&self, at_ms: u64) -> u64 {
        let total = self.total(at_ms);
        let opening = match self.protocol {
            IPPROTO_TCP => HANDSHAKE,
            _ => self.total(self.begins_ms + ASSURED_MS),
        };
        let returns = match self.period_ms.saturating_sub(self.busy_ms) >= SILENT_MS {
            true => at_ms.saturating_sub(self.begins_ms).min(self.talks_ms) / self.period_ms,
            false => 0,
        };
        let periods = (self.talks_ms / self.period_ms.max(1)).max(1);
        total.min(opening + returns * PACKET.min(self.size() / periods))
    }

    /// When a packet was seen last; before the first one the beginning.
    pub fn last_packet_ms(&self, at_ms: u64) -> u64 {
        let age = at_ms.saturating_sub(self.begins_ms).min(self.talks_ms);
        let period = self.period_ms.max(1);
        self.begins_ms + (age / period) * period + (age % period).min(self.busy_ms)
    }

    /// When its last packet comes.
    pub fn talked_ms(&self) -> u64 {
        self.begins_ms + self.talks_ms
    }

    /// Packets have been seen both ways for long enough.
    pub fn is_assured(&self, at_ms: u64) -> bool {
        match self.protocol {
            IPPROTO_TCP => true,
            _ => self.talks_ms > ASSURED_MS && at_ms >= self.begins_ms + ASSURED_MS,
        }
    }

    /// It is in the kernel's flowtable, as long as it has not been closed.
    pub fn is_offloaded(&self, at_ms: u64) -> bool {
        self.is_assured(at_ms) && at_ms.saturating_sub(self.last_packet_ms(at_ms)) < SILENT_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowtabled::netlink::conntrack::tuple::IPPROTO_UDP;

    fn video() -> Traffic {
        Traffic {
            kind: Kind::Video,
            protocol: IPPROTO_TCP,
            begins_ms: 1000,
            talks_ms: 25_000,
            lingers_ms: 0,
            period_ms: 10_000,
            busy_ms: 2000,
            bytes: [600, 60_000],
        }
    }

    #[test]
    fn bytes_come_in_its_rhythm_and_are_all_there_at_the_end() {
        let at = |ms| video().carried(ms);
        assert_eq!((at(999), at(1000), at(2000)), ([0; 2], [0; 2], [100, 10_000]));
        assert_eq!((at(3000), at(10_999)), ([200, 20_000], [200, 20_000]), "silent");
        assert_eq!([at(23_000), at(26_000), at(1 << 40)], [[600, 60_000]; 3]);
        assert_eq!((video().last_packet_ms(8000), video().last_packet_ms(11_500)), (3000, 11_500));
        let huge = Traffic { bytes: [0, BYTES_MAX], talks_ms: 86_400_000, ..video() };
        assert!(huge.carried(86_400_000)[1] <= BYTES_MAX);
    }

    #[test]
    fn the_opening_is_classic_and_so_is_what_ends_a_silence() {
        assert_eq!((video().classic(2000), video().classic(30_000)), (HANDSHAKE, HANDSHAKE));
        let udp = Traffic { protocol: IPPROTO_UDP, ..video() };
        assert_eq!(udp.classic(30_000), udp.total(3000));
        assert!(!udp.is_assured(2999) && udp.is_assured(3000));
        let push = Traffic { talks_ms: 200_000, period_ms: 50_000, busy_ms: 100, ..video() };
        let each = PACKET.min(push.size() / 4);
        assert_eq!(push.classic(1000 + 120_000), HANDSHAKE + 2 * each);
        assert!(push.is_offloaded(1000 + 20_000) && !push.is_offloaded(1000 + 40_000));
        let question = Traffic { talks_ms: 30, ..udp };
        assert_eq!(question.classic(1 << 40), question.size(), "never assured");
        assert!(!question.is_offloaded(1030));
    }
}
