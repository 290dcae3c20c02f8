// SPDX-License-Identifier: GPL-2.0-or-later
//! What conntrack would hold at an instant of a simulated day: lists of entries, and ends. Packets
//! that a switch forwards are not in its counters.

use super::clients::Opened;
use super::random::scramble;
use super::traffic::Traffic;
use flowtabled::netlink::conntrack::entry::{Counters, Entry};
use flowtabled::netlink::conntrack::status::{
    IPS_ASSURED, IPS_OFFLOAD, IPS_SEEN_REPLY, IPS_SRC_NAT,
};
use flowtabled::netlink::conntrack::tuple::{IPPROTO_TCP, IPPROTO_UDP};
use flowtabled::netlink::conntrack::{TcpState, Tuple};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The address that the clients' IPv4 connections leave with.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// The router's own towards the clients.
pub const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// nf_conntrack_tcp_timeout_time_wait.
const TIME_WAIT_MS: u64 = 120_000;
/// nf_conntrack_udp_timeout and nf_conntrack_udp_timeout_stream, as OpenWrt sets them.
const UDP_MS: u64 = 60_000;
const UDP_STREAM_MS: u64 = 180_000;
/// Bytes of an average packet, for counters.
const PACKET: u64 = 100;

/// Bytes by the path that they took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paths {
    /// The ordinary one.
    pub classic: u64,
    /// The kernel's flowtable.
    pub software: u64,
    /// A switch.
    pub hardware: u64,
}

/// A connection that has begun and is in conntrack.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    /// Conntrack's id.
    pub id: u32,
    /// What it carries.
    pub traffic: Traffic,
    client: u32,
    /// Both sides have said that it ends.
    closed: bool,
    /// What a switch has carried, and what of that would have been classic.
    switched: [u64; 2],
    switched_classic: u64,
    /// A switch has it since it had carried this.
    entered: Option<([u64; 2], u64)>,
}

impl Live {
    /// A switch forwards it.
    pub fn is_switched(&self) -> bool {
        self.entered.is_some()
    }

    /// It is in the flowtable, whether or not a switch has it too.
    pub fn is_offloaded(&self, at_ms: u64) -> bool {
        !self.closed && self.traffic.is_offloaded(at_ms)
    }

    fn settle(&mut self, at_ms: u64) {
        let Some((bytes, classic)) = self.entered.take() else { return };
        let now = self.traffic.carried(at_ms);
        for ((sum, now), then) in self.switched.iter_mut().zip(now).zip(bytes) {
            *sum += now - then;
        }
        self.switched_classic += self.traffic.classic(at_ms) - classic;
    }

    fn paths(&self, at_ms: u64) -> Paths {
        let hardware = self.switched.iter().sum();
        // A packet that ends a silence counts at once, and its bytes as they come.
        let rest = self.traffic.total(at_ms) - hardware;
        let classic = (self.traffic.classic(at_ms) - self.switched_classic).min(rest);
        Paths { classic, software: rest - classic, hardware }
    }

    /// The entry as a list names it, but for what is carried by a switch just now.
    pub fn entry(&self, at_ms: u64) -> Entry {
        let mut bytes = self.entered.map_or_else(|| self.traffic.carried(at_ms), |(then, _)| then);
        for (sum, switched) in bytes.iter_mut().zip(self.switched) {
            *sum -= switched;
        }
        let [orig, reply] =
            bytes.map(|bytes| Some(Counters { packets: bytes.div_ceil(PACKET), bytes }));
        let offloaded = self.is_offloaded(at_ms);
        let mut status = IPS_SEEN_REPLY;
        for (bit, on) in [
            (IPS_ASSURED, self.traffic.is_assured(at_ms)),
            (IPS_OFFLOAD, offloaded),
            (IPS_SRC_NAT, !self.is_six()),
        ] {
            status |= if on { bit } else { 0 };
        }
        let state = if self.closed { TcpState::TimeWait } else { TcpState::Established };
        let tcp = self.traffic.protocol == IPPROTO_TCP && !offloaded;
        let (to_server, to_client) = self.tuples();
        Entry {
            orig: to_server,
            reply: to_client,
            status,
            mark: 0,
            zone: 0,
            id: self.id,
            timeout_s: (!offloaded).then_some(100),
            tcp_state: tcp.then_some(state),
            counters_orig: orig,
            counters_reply: reply,
            start_ns: None,
            stop_ns: None,
            has_helper: false,
            has_seq_adj: false,
            has_master: false,
        }
    }

    /// A fifth is IPv6.
    fn is_six(&self) -> bool {
        self.id.is_multiple_of(5)
    }

    fn tuples(&self) -> (Tuple, Tuple) {
        let protocol = self.traffic.protocol;
        // No two have the same, for no two have the same id.
        let port = 1024 + (scramble(self.id) % 60_000) as u16;
        let [client, server] = [self.client + 2, self.id];
        if self.is_six() {
            let client = Ipv6Addr::from(0xfd00 << 112 | u128::from(client)).into();
            let server = Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(server)).into();
            let orig = tuple(protocol, (client, port), (server, 443));
            return (orig, orig.inverse());
        }
        let client = Ipv4Addr::from(u32::from(INSIDE) - 1 + client).into();
        // Outside of the clients' network.
        let server = Ipv4Addr::from(server | 0x8000_0000).into();
        let far = (server, if self.id >> 31 == 0 { 443 } else { 80 });
        (tuple(protocol, (client, port), far), tuple(protocol, far, (OUTSIDE.into(), port)))
    }
}

fn tuple(protocol: u8, from: (std::net::IpAddr, u16), to: (std::net::IpAddr, u16)) -> Tuple {
    Tuple::new(protocol, from, to).unwrap_or_else(|| unreachable!("both are of one family"))
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Closes,
    Ends,
}

/// A connection that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// As the event tells it.
    pub entry: Entry,
    /// Which paths its bytes have taken.
    pub paths: Paths,
    /// What it was.
    pub traffic: Traffic,
}

/// All connections at an instant.
#[derive(Debug, Default)]
pub struct Connections {
    /// In the order of the list, with gaps that later ones fill.
    slots: Vec<Option<Live>>,
    free: Vec<usize>,
    places: BTreeMap<u32, usize>,
    changes: BinaryHeap<Reverse<(u64, usize, u32, Change)>>,
    begun: u32,
}

impl Connections {
    /// A connection begins; its id.
    pub fn begin(&mut self, opened: &Opened) -> u32 {
        let id = scramble(self.begun);
        self.begun += 1;
        let Opened { client, traffic } = *opened;
        let live = Live {
            id,
            traffic,
            client,
            closed: false,
            switched: [0; 2],
            switched_classic: 0,
            entered: None,
        };
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(live);
        }
        self.places.insert(id, slot);
        let (talked, lingers) = (traffic.talked_ms(), traffic.lingers_ms);
        let ends_ms = match traffic.protocol {
            IPPROTO_TCP => {
                let closes_ms = talked + lingers;
                self.changes.push(Reverse((closes_ms, slot, id, Change::Closes)));
                closes_ms + TIME_WAIT_MS
            }
            IPPROTO_UDP if traffic.is_assured(talked) => talked + UDP_STREAM_MS,
            _ => talked + UDP_MS,
        };
        self.changes.push(Reverse((ends_ms, slot, id, Change::Ends)));
        id
    }

    /// When something happens next.
    pub fn next_change_ms(&self) -> Option<u64> {
        self.changes.peek().map(|Reverse((at_ms, ..))| *at_ms)
    }

    /// What happens next; the connection if it has ended with that.
    pub fn change(&mut self) -> Option<Ended> {
        let Reverse((at_ms, slot, id, change)) = self.changes.pop()?;
        let place = self.slots.get_mut(slot)?;
        match change {
            Change::Closes => {
                if let Some(live) = place {
                    live.closed = true;
                }
                None
            }
            Change::Ends => {
                let mut live = place.take()?;
                live.settle(at_ms);
                live.closed = true;
                self.places.remove(&id);
                self.free.push(slot);
                let (entry, paths) = (live.entry(at_ms), live.paths(at_ms));
                Some(Ended { entry, paths, traffic: live.traffic })
            }
        }
    }

    /// Those that are there, in the order of a list.
    pub fn iter(&self) -> impl Iterator<Item = &Live> {
        self.slots.iter().flatten()
    }

    /// Number of connections.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The connection with this id.
    pub fn get(&self, id: u32) -> Option<&Live> {
        self.slots.get(*self.places.get(&id)?)?.as_ref()
    }

    /// A switch forwards it from now on.
    pub fn enter(&mut self, id: u32, at_ms: u64) {
        if let Some(live) = self.get_mut(id) {
            live.entered = Some((live.traffic.carried(at_ms), live.traffic.classic(at_ms)));
        }
    }

    /// A switch forwards it no more.
    pub fn leave(&mut self, id: u32, at_ms: u64) {
        if let Some(live) = self.get_mut(id) {
            live.settle(at_ms);
        }
    }

    fn get_mut(&mut self, id: u32) -> Option<&mut Live> {
        self.slots.get_mut(*self.places.get(&id)?)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::super::traffic::Kind;
    use super::*;

    fn opened(protocol: u8) -> Opened {
        let (bytes, talks_ms) = ([1000, 100_000], 10_000);
        let traffic = Traffic {
            kind: Kind::Bulk,
            protocol,
            begins_ms: 0,
            talks_ms,
            lingers_ms: 5000,
            period_ms: talks_ms,
            busy_ms: talks_ms,
            bytes,
        };
        Opened { client: 0, traffic }
    }

    #[test]
    fn bytes_of_a_switch_are_in_no_counter_and_in_one_path() {
        let mut connections = Connections::default();
        let id = connections.begin(&opened(IPPROTO_TCP));
        connections.enter(id, 2000);
        let reply = |connections: &Connections, at_ms| {
            connections.get(id).unwrap().entry(at_ms).counters_reply.unwrap().bytes
        };
        assert_eq!(reply(&connections, 5000), 20_000);
        connections.leave(id, 6000);
        assert_eq!(reply(&connections, 8000), 40_000);
        assert_eq!(connections.next_change_ms(), Some(15_000));
        assert!(connections.change().is_none() && !connections.is_empty());
        let last = connections.get(id).unwrap().entry(15_000);
        assert_eq!((last.tcp_state, last.is_offloaded()), (Some(TcpState::TimeWait), false));
        assert_eq!(connections.next_change_ms(), Some(135_000));
        let ended = connections.change().unwrap();
        let Paths { classic, software, hardware } = ended.paths;
        assert_eq!((classic, hardware), (180, 40_400));
        assert_eq!(classic + software + hardware, 101_000);
        assert!(connections.is_empty() && connections.next_change_ms().is_none());
    }

    #[test]
    fn no_two_connections_look_alike() {
        let mut connections = Connections::default();
        for number in 0..50_000 {
            let protocol = if number % 2 == 0 { IPPROTO_TCP } else { IPPROTO_UDP };
            connections.begin(&opened(protocol));
        }
        let tuples: std::collections::BTreeSet<Tuple> =
            connections.iter().map(|live| live.entry(0).orig).collect();
        assert_eq!(tuples.len(), 50_000);
    }
}
