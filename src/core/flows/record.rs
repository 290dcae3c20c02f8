// SPDX-License-Identifier: GPL-2.0-or-later
//! A flow in 80 bytes, with IPv6 addresses and great counters kept aside.
//!
//! Sixty-four thousand flows have to fit into eight megabytes together with everything else. Most
//! flows are IPv4 and few carry four gigabytes; with addresses and counters in their general form a
//! flow would take more than twice as much.

use std::net::{IpAddr, Ipv6Addr};

use super::aside::{Aside, Carried};
use super::place::Place;
use super::{Flow, FlowState};
use crate::netlink::conntrack::entry::{Counters, Entry};
use crate::netlink::conntrack::tcp_state::TcpState;
use crate::netlink::conntrack::tuple::{Addresses, Tuple, IPPROTO_TCP, IPPROTO_UDP};

const V6: u8 = 1;
const NAT: u8 = 2;
const ACCOUNTED: u8 = 4;
const RATED: u8 = 8;
const UNCOUNTED: u8 = 16;
const ASSURED: u8 = 32;
const REPLIED: u8 = 64;
/// A helper or an adjustment of sequence numbers, either of which keeps it off the fast path.
const HELPED: u8 = 128;

/// On kernels that keep closed connections in the flowtable, a TCP flow that has carried nothing
/// for so long is taken for one of them; the kernel lets it go after 30 s.
const CLOSED_MS: u32 = 10_000;

/// A flow that takes the fast path is in hardware within milliseconds, if it ever is.
const SETTLED_MS: u32 = 1000;

/// Its own times lie at most so far back. A flow that is older is shown as one of 44 to 45 days: their
/// difference from now would begin at nothing again after 49.
const FAR_MS: u32 = 45 * DAY_MS;

/// They are moved by this, so that flows change places by age no more than once a day.
const DAY_MS: u32 = 24 * 60 * 60 * 1000;

/// No TCP state: another protocol, or offloaded.
const NO_TCP_STATE: u8 = 15;

/// In the lower half of the states beside the state: the counters are among the aside's greats.
const GREAT: u8 = 4;
/// The state itself.
const STATE: u8 = 3;

/// In place of a reply that is the original direction turned round, as without translation.
const INVERSE: u32 = u32::MAX;

/// A flow. Its own times are milliseconds since the daemon started, wrapping after 49 days; those that
/// come and go with calls do not wrap. [`Record::keep_near`] keeps their differences right.
#[derive(Debug)]
pub(super) struct Record {
    /// Packets and bytes that the original direction has carried so far, then those of the reply;
    /// with [`GREAT`] their place, and nothing else.
    carried: [u32; 4],
    /// IPv4 addresses: source and destination of the original direction, then of the reply. Of IPv6
    /// ones the places: the first of the original direction, the second of the reply or [`INVERSE`].
    addresses: [u32; 4],
    ports: [u16; 4],
    /// Bytes a second between the last two polls, once there were two.
    rate: [u32; 2],
    pub(super) id: u32,
    mark: u32,
    first_ms: u32,
    changed_ms: u32,
    /// When it was seen to have carried something last.
    pub(super) active_ms: u32,
    pub(super) zone: u16,
    pub(super) place: Place,
    protocol: u8,
    flags: u8,
    /// [`FlowState`] and [`GREAT`] in the lower half, the TCP state or [`NO_TCP_STATE`] in the upper.
    states: u8,
    /// Number of the poll that saw it last, wrapping.
    pub(super) poll: u8,
}

const _: () = assert!(size_of::<Record>() <= 80);
const _: () = assert!(FlowState::ALL.len() <= STATE as usize + 1);

impl Record {
    /// A flow seen for the first time.
    pub(super) fn new(entry: &Entry, aside: &mut Aside, now_ms: u64, poll: u8) -> Record {
        let hosts = [
            entry.orig.source(),
            entry.orig.destination(),
            entry.reply.source(),
            entry.reply.destination(),
        ];
        let (addresses, v6) = match hosts {
            [IpAddr::V4(a), IpAddr::V4(b), IpAddr::V4(c), IpAddr::V4(d)] => {
                ([a, b, c, d].map(u32::from), 0)
            }
            mixed => {
                let [a, b, c, d] = mixed.map(|address| match address {
                    IpAddr::V6(address) => address,
                    IpAddr::V4(address) => address.to_ipv6_mapped(),
                });
                let reply = if [c, d] == [b, a] { INVERSE } else { aside.sixes.keep([c, d]) };
                ([aside.sixes.keep([a, b]), reply, 0, 0], V6)
            }
        };
        let mut record = Record {
            carried: [0; 4],
            addresses,
            ports: [
                entry.orig.source_port,
                entry.orig.destination_port,
                entry.reply.source_port,
                entry.reply.destination_port,
            ],
            rate: [0; 2],
            id: entry.id,
            mark: 0,
            first_ms: wrapped(now_ms),
            changed_ms: wrapped(now_ms),
            active_ms: wrapped(now_ms),
            zone: entry.zone,
            place: Place::UNPLACED,
            protocol: entry.orig.protocol,
            flags: v6,
            states: FlowState::of(entry) as u8,
            poll,
        };
        record.refresh(entry, now_ms, poll);
        record
    }

    /// Takes over everything but the counters.
    pub(super) fn refresh(&mut self, entry: &Entry, now_ms: u64, poll: u8) {
        let state = FlowState::of(entry);
        if state != self.state() {
            self.changed_ms = wrapped(now_ms);
        }
        self.keep_near(now_ms);
        // The kernel has ten states; one that it adds later is none that we know.
        let tcp_state = entry.tcp_state.map_or(NO_TCP_STATE, TcpState::number).min(NO_TCP_STATE);
        self.states = state as u8 | self.states & GREAT | tcp_state << 4;
        self.mark = entry.mark;
        self.set(NAT, entry.src_nat() || entry.dst_nat());
        self.set(ASSURED, entry.is_assured());
        self.set(REPLIED, entry.seen_reply());
        self.set(HELPED, entry.has_helper || entry.has_seq_adj);
        self.poll = poll;
    }

    /// Bytes a second of both directions between the last two polls, also where what it has carried
    /// in all is not known.
    pub(super) fn measured_rate(&self) -> Option<u64> {
        let known = ACCOUNTED | RATED;
        let [orig, reply] = self.rate;
        (self.flags & known == known).then_some(u64::from(orig) + u64::from(reply))
    }

    pub(super) fn protocol(&self) -> u8 {
        self.protocol
    }

    pub(super) fn age_ms(&self, now_ms: u64) -> u32 {
        wrapped(now_ms).wrapping_sub(self.first_ms)
    }

    fn settled_ms(&self, now_ms: u64) -> u32 {
        wrapped(now_ms).wrapping_sub(self.changed_ms)
    }

    fn quiet_ms(&self, now_ms: u64) -> u32 {
        wrapped(now_ms).wrapping_sub(self.active_ms)
    }

    /// Moves times that would soon be so far back that they look new. Every list does this, and
    /// while there are flows there is a list every twenty seconds.
    fn keep_near(&mut self, now_ms: u64) {
        for then in [&mut self.first_ms, &mut self.changed_ms, &mut self.active_ms] {
            if wrapped(now_ms).wrapping_sub(*then) > FAR_MS {
                *then = then.wrapping_add(DAY_MS);
            }
        }
    }

    fn set(&mut self, flag: u8, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    /// It has carried something since it was seen last.
    pub(super) fn set_active(&mut self, now_ms: u64) {
        self.active_ms = wrapped(now_ms);
    }

    /// The counters are known, or are not.
    pub(super) fn set_accounted(&mut self, accounted: bool) {
        self.set(ACCOUNTED, accounted);
    }

    /// Bytes a second of both directions.
    pub(super) fn set_rate(&mut self, rate: [u32; 2]) {
        self.rate = rate;
        self.flags |= RATED;
    }

    /// It was offloaded where nobody counts, so what it carried is not known any more.
    pub(super) fn set_uncounted(&mut self) {
        self.flags |= UNCOUNTED;
    }

    fn is_accounted(&self) -> bool {
        self.flags & (ACCOUNTED | UNCOUNTED) == ACCOUNTED
    }

    /// What the original and the reply direction have carried so far.
    pub(super) fn carried(&self, aside: &Aside) -> Carried {
        let [sent_packets, sent, received_packets, received] = self.carried;
        if self.states & GREAT != 0 {
            return aside.greats.get(sent_packets).unwrap_or_default();
        }
        let counters =
            |packets: u32, bytes: u32| Counters { packets: packets.into(), bytes: bytes.into() };
        [counters(sent_packets, sent), counters(received_packets, received)]
    }

    /// The same, as of now.
    pub(super) fn set_carried(&mut self, carried: Carried, aside: &mut Aside) {
        let [sent, received] = carried;
        let all = [sent.packets, sent.bytes, received.packets, received.bytes];
        let [place, ..] = self.carried;
        let was_great = self.states & GREAT != 0;
        if all.iter().all(|count| *count <= u64::from(u32::MAX)) {
            if was_great {
                aside.greats.release(place);
                self.states &= !GREAT;
            }
            self.carried = all.map(|count| count as u32);
        } else if was_great {
            aside.greats.set(place, carried);
        } else {
            self.carried = [aside.greats.keep(carried), 0, 0, 0];
            self.states |= GREAT;
        }
    }

    /// Gives back what is kept aside; the record is gone after this.
    pub(super) fn release(&self, aside: &mut Aside) {
        let [orig, reply, ..] = self.addresses;
        if self.flags & V6 != 0 {
            aside.sixes.release(orig);
            if reply != INVERSE {
                aside.sixes.release(reply);
            }
        }
        if self.states & GREAT != 0 {
            let [place, ..] = self.carried;
            aside.greats.release(place);
        }
    }

    pub(super) fn state(&self) -> FlowState {
        let number = usize::from(self.states & STATE);
        FlowState::ALL.get(number).copied().unwrap_or(FlowState::Classic)
    }

    /// The original direction, which with the zone is the flow's key.
    pub(super) fn orig(&self, aside: &Aside) -> Tuple {
        let [source, destination, ..] = self.addresses;
        let [source_port, destination_port, ..] = self.ports;
        let addresses = match self.flags & V6 {
            0 => fours(source, destination),
            _ => sixes(source, aside),
        };
        Tuple { addresses, protocol: self.protocol, source_port, destination_port }
    }

    /// The reply direction.
    pub(super) fn reply(&self, aside: &Aside) -> Tuple {
        let [_, place, source, destination] = self.addresses;
        let [_, _, source_port, destination_port] = self.ports;
        let addresses = match (self.flags & V6, place) {
            (0, _) => fours(source, destination),
            (_, INVERSE) => self.orig(aside).inverse().addresses,
            _ => sixes(place, aside),
        };
        Tuple { addresses, protocol: self.protocol, source_port, destination_port }
    }

    /// Ports of the original direction, then of the reply, or what [`Tuple`] has in their place.
    pub(super) fn ports(&self) -> [u16; 4] {
        self.ports
    }

    /// This is its key. Compared part by part, for a list asks it once per flow.
    pub(super) fn is(&self, orig: &Tuple, zone: u16, aside: &Aside) -> bool {
        let [source_port, destination_port, ..] = self.ports;
        let [first, second, ..] = self.addresses;
        source_port == orig.source_port
            && destination_port == orig.destination_port
            && self.protocol == orig.protocol
            && self.zone == zone
            && match orig.addresses {
                Addresses::V4 { source, destination } => {
                    self.flags & V6 == 0
                        && first == u32::from(source)
                        && second == u32::from(destination)
                }
                Addresses::V6 { source, destination } => {
                    self.flags & V6 != 0 && aside.sixes.get(first) == Some([source, destination])
                }
            }
    }

    fn tcp_state(&self) -> Option<TcpState> {
        Some(self.states >> 4).filter(|number| *number != NO_TCP_STATE).map(TcpState::from)
    }

    /// It is being closed: by its TCP state, or where the kernel hides that, by its silence.
    pub(super) fn is_closing(&self, now_ms: u64, keeps_closed: bool) -> bool {
        match self.tcp_state() {
            Some(state) => state.is_closing(),
            None => {
                self.protocol == IPPROTO_TCP
                    && keeps_closed
                    && self.state() != FlowState::Classic
                    && self.is_accounted()
                    && self.quiet_ms(now_ms) >= CLOSED_MS
            }
        }
    }

    /// It is offloaded, and has been carrying packets in software only for some time. Drivers take
    /// TCP and UDP: that GRE stays in software says nothing.
    pub(super) fn is_kept_from_hardware(&self, now_ms: u64, keeps_closed: bool) -> bool {
        let settled_ms = self.settled_ms(now_ms);
        self.state() == FlowState::Software
            && matches!(self.protocol, IPPROTO_TCP | IPPROTO_UDP)
            && settled_ms >= SETTLED_MS
            && !self.is_closing(now_ms, keeps_closed)
            && (!self.is_accounted() || self.quiet_ms(now_ms) < settled_ms)
    }

    /// What both directions have carried; `None` when it is not known.
    pub(super) fn known(&self, aside: &Aside) -> Option<Carried> {
        self.is_accounted().then(|| self.carried(aside))
    }

    /// Bytes a second of both directions; `None` when not known, or seen only once.
    pub(super) fn rate(&self) -> Option<(u32, u32)> {
        let [up, down] = self.rate;
        (self.is_accounted() && self.flags & RATED != 0).then_some((up, down))
    }

    /// When it was first seen.
    pub(super) fn first_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.age_ms(now_ms).into())
    }

    /// The flow as it is shown.
    pub(super) fn show(&self, aside: &Aside, now_ms: u64, keeps_closed: bool) -> Flow {
        let [sent, received] = self.known(aside).map_or([None; 2], |known| known.map(Some));
        Flow {
            orig: self.orig(aside),
            reply: self.reply(aside),
            zone: self.zone,
            mark: self.mark,
            id: self.id,
            state: self.state(),
            switched: false,
            nat: self.flags & NAT != 0,
            assured: self.flags & ASSURED != 0,
            replied: self.flags & REPLIED != 0,
            helped: self.flags & HELPED != 0,
            tcp_state: self.tcp_state(),
            closing: self.is_closing(now_ms, keeps_closed),
            sent,
            received,
            rate: self.rate(),
            first_ms: self.first_ms(now_ms),
            age_ms: self.age_ms(now_ms),
            state_age_ms: self.settled_ms(now_ms),
            quiet_ms: self.quiet_ms(now_ms),
            place: self.place,
        }
    }
}

fn fours(source: u32, destination: u32) -> Addresses {
    Addresses::V4 { source: source.into(), destination: destination.into() }
}

fn sixes(place: u32, aside: &Aside) -> Addresses {
    let kept = aside.sixes.get(place);
    let [source, destination] = kept.unwrap_or([Ipv6Addr::UNSPECIFIED; 2]);
    Addresses::V6 { source, destination }
}

/// As records have it.
pub(super) fn wrapped(now_ms: u64) -> u32 {
    now_ms as u32
}
