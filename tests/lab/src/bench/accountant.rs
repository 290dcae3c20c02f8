// SPDX-License-Identifier: GPL-2.0-or-later
//! A peer that accounts as nlbwmon does, OpenWrt's bandwidth monitor, which no Debian package has.
//!
//! It keeps no flows: the kernel sets the counters back as it lists them, so what a flow says is new.
//! Of each flow all attributes are sorted by type and read, the client is the end within the local
//! networks, its MAC address comes from a tree of neighbours, and the counters are added to the record
//! of client, MAC address, protocol and port in another tree. nlbwmon asks the kernel for all
//! neighbours again at each flow; that is left out on request, for it dwarfs the rest.

use crate::error::{Context, Error, Result};
use flowtabled::netlink::ext_ack::{NLMSG_DONE, NLMSG_ERROR};
use flowtabled::netlink::message::{request, Messages};
use flowtabled::netlink::nftables::NETLINK_NETFILTER;
use flowtabled::netlink::route::NETLINK_ROUTE;
use flowtabled::netlink::socket::Socket;
use std::collections::{BTreeMap, BTreeSet};

/// NFNL_SUBSYS_CTNETLINK and IPCTNL_MSG_CT_GET_CTRZERO.
const GET_AND_ZERO: u16 = 1 << 8 | 3;
const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
/// NLM_F_REQUEST and NLM_F_DUMP.
const DUMP: u16 = 0x301;
const NFGENMSG_LEN: usize = 4;
const NDMSG_LEN: usize = 12;
/// Where `struct ndmsg` has the state, and the states without an address: incomplete, failed, NOARP.
const NDM_STATE: usize = 8;
const NO_ADDRESS: u8 = 0x01 | 0x20 | 0x40;
const NDA_DST: usize = 1;
const NDA_LLADDR: usize = 2;

const CTA_TUPLE_ORIG: usize = 1;
const CTA_TUPLE_REPLY: usize = 2;
const CTA_COUNTERS_ORIG: usize = 9;
const CTA_COUNTERS_REPLY: usize = 10;
const CTA_TUPLE_IP: usize = 1;
const CTA_TUPLE_PROTO: usize = 2;
/// Source and destination of IPv4, then of IPv6.
const CTA_IP: [[usize; 2]; 2] = [[1, 2], [3, 4]];
const CTA_PROTO_NUM: usize = 1;
const CTA_PROTO_DST_PORT: usize = 3;
const CTA_COUNTERS_PACKETS: usize = 1;
const CTA_COUNTERS_BYTES: usize = 2;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const DOING: &str = "list conntrack entries";
const ASKING: &str = "list neighbours";

/// Networks that are local, as the router's configuration would name them: family, address, length.
const LOCAL: [(u8, Address, u32); 2] = [
    (AF_INET, [192, 168, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 24),
    (AF_INET6, [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 64),
];
/// Protocols and ports with a name; other flows are added up together.
const NAMED: [(u8, u16); 16] = [
    (1, 0),
    (6, 20),
    (6, 21),
    (6, 22),
    (6, 25),
    (6, 53),
    (6, 80),
    (6, 110),
    (6, 143),
    (6, 443),
    (6, 993),
    (17, 53),
    (17, 123),
    (17, 443),
    (17, 500),
    (58, 0),
];

/// The bytes of either family, the rest zero.
type Address = [u8; 16];
type Mac = [u8; 6];

/// What nlbwmon's records are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    family: u8,
    protocol: u8,
    port: u16,
    mac: Mac,
    client: Address,
}

/// What a client has been sent and has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    flows: u64,
    out: [u64; 2],
    into: [u64; 2],
}

/// The peer.
#[derive(Debug)]
pub struct Accountant {
    flows: Socket,
    around: Socket,
    protocols: BTreeSet<(u8, u16)>,
    neighbours: BTreeMap<(u8, Address), Mac>,
    records: BTreeMap<Key, Sums>,
}

impl Accountant {
    /// Opens the sockets and reads the neighbours once.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open() -> Result<Accountant> {
        let mut accountant = Accountant {
            flows: Socket::open(NETLINK_NETFILTER, &[], "open the conntrack socket")
                .context("socket")?,
            around: Socket::open(NETLINK_ROUTE, &[], "open the route socket").context("socket")?,
            protocols: NAMED.into(),
            neighbours: BTreeMap::new(),
            records: BTreeMap::new(),
        };
        let all = all_neighbours(&mut accountant.around, 0, None)?;
        accountant.neighbours = all;
        Ok(accountant)
    }

    /// Lists and accounts all flows, and returns how many they were. With `asks` the kernel is asked for
    /// its neighbours at each of them.
    ///
    /// # Errors
    /// The kernel refuses, or its answer cannot be read.
    pub fn account(&mut self, asks: bool) -> Result<u32> {
        let sequence = self.flows.next_sequence();
        let question = request(GET_AND_ZERO, DUMP, sequence, |w| w.raw(&[0; NFGENMSG_LEN]));
        self.flows.send(&question, DOING).context(DOING)?;
        let mut flows = 0;
        loop {
            let Some(datagram) = self.flows.receive(DOING).context(DOING)? else {
                std::thread::yield_now();
                continue;
            };
            for message in Messages::new(datagram) {
                let message = message.context(DOING)?;
                match message.kind {
                    NLMSG_DONE => return Ok(flows),
                    NLMSG_ERROR => return Err(Error::new(format!("{DOING}: refused"))),
                    _ => (),
                }
                let Some((mut key, sums)) = flow(message.payload, &self.protocols) else {
                    continue;
                };
                flows += 1;
                let client = (key.family, key.client);
                if asks {
                    let found = all_neighbours(&mut self.around, key.family, Some(&key.client))?;
                    self.neighbours.extend(found);
                }
                key.mac = self.neighbours.get(&client).copied().unwrap_or_default();
                self.records.entry(key).or_default().add(sums);
            }
        }
    }

    /// Number of records.
    pub fn records(&self) -> usize {
        self.records.len()
    }
}

impl Sums {
    fn add(&mut self, more: Sums) {
        self.flows += more.flows;
        for (sum, more) in [(&mut self.out, more.out), (&mut self.into, more.into)] {
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
    }
}

/// The kernel's neighbours of a family, or of both (0), that have an address; only the `wanted` one of
/// them when there is one, which the kernel cannot be asked for alone in a list.
fn all_neighbours(
    socket: &mut Socket,
    family: u8,
    wanted: Option<&Address>,
) -> Result<BTreeMap<(u8, Address), Mac>> {
    let mut all = BTreeMap::new();
    let sequence = socket.next_sequence();
    let question = request(RTM_GETNEIGH, DUMP, sequence, |w| {
        let mut body = [0; NDMSG_LEN];
        body[0] = family;
        w.raw(&body);
    });
    socket.send(&question, ASKING).context(ASKING)?;
    loop {
        let Some(datagram) = socket.receive(ASKING).context(ASKING)? else {
            std::thread::yield_now();
            continue;
        };
        for message in Messages::new(datagram) {
            let message = message.context(ASKING)?;
            match message.kind {
                NLMSG_DONE => return Ok(all),
                NLMSG_ERROR => return Err(Error::new(format!("{ASKING}: refused"))),
                RTM_NEWNEIGH => (),
                _ => continue,
            }
            let Some((address, mac)) = neighbour(message.payload) else { continue };
            if wanted.is_none_or(|wanted| *wanted == address.1) {
                all.insert(address, mac);
            }
        }
    }
}

fn neighbour(payload: &[u8]) -> Option<((u8, Address), Mac)> {
    let (head, rest) = payload.split_at_checked(NDMSG_LEN)?;
    if head.get(NDM_STATE)? & NO_ADDRESS != 0 {
        return None;
    }
    let table: [Option<&[u8]>; 3] = sorted(rest);
    let mac = (*table.get(NDA_LLADDR)?)?.try_into().ok()?;
    Some(((*head.first()?, padded((*table.get(NDA_DST)?)?)?), mac))
}

/// A flow's record, its MAC address unknown yet; `None` when neither or both of its ends are local.
fn flow(payload: &[u8], protocols: &BTreeSet<(u8, u16)>) -> Option<(Key, Sums)> {
    let table: [Option<&[u8]>; 32] = sorted(payload.get(NFGENMSG_LEN..)?);
    let attribute = |kind: usize| table.get(kind).copied().flatten();
    let orig: [Option<&[u8]>; 4] = sorted(attribute(CTA_TUPLE_ORIG)?);
    let reply: [Option<&[u8]>; 4] = sorted(attribute(CTA_TUPLE_REPLY)?);
    let (family, orig_ends) = ends((*orig.get(CTA_TUPLE_IP)?)?)?;
    let (protocol, port) = named((*orig.get(CTA_TUPLE_PROTO)?)?, protocols)?;
    let (_, reply_ends) = ends((*reply.get(CTA_TUPLE_IP)?)?)?;
    let sent = attribute(CTA_COUNTERS_ORIG).map_or([0; 2], counters);
    let answered = attribute(CTA_COUNTERS_REPLY).map_or([0; 2], counters);
    let leaves = |[from, to]: [Address; 2]| is_local(family, &from) && !is_local(family, &to);
    let (client, out, into) = if leaves(orig_ends) {
        (orig_ends[0], sent, answered)
    } else if leaves(reply_ends) {
        (reply_ends[0], answered, sent)
    } else {
        return None;
    };
    let key = Key { family, protocol, port, mac: Mac::default(), client };
    Some((key, Sums { flows: 1, out, into }))
}

/// Attributes by their types, those of types that have no place left out.
fn sorted<const N: usize>(bytes: &[u8]) -> [Option<&[u8]>; N] {
    let mut table = [None; N];
    let mut rest = bytes;
    while let Some((&[a, b, c, d], behind)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let kind = usize::from(u16::from_ne_bytes([c, d]) & 0x3fff);
        let Some(value) = length.checked_sub(4).and_then(|length| behind.get(..length)) else {
            break;
        };
        if let Some(place) = table.get_mut(kind) {
            *place = Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    table
}

/// Family, source and destination.
fn ends(ip: &[u8]) -> Option<(u8, [Address; 2])> {
    let table: [Option<&[u8]>; 5] = sorted(ip);
    for (family, [source, destination]) in [AF_INET, AF_INET6].into_iter().zip(CTA_IP) {
        let both =
            (table.get(source).copied().flatten(), table.get(destination).copied().flatten());
        if let (Some(source), Some(destination)) = both {
            return Some((family, [padded(source)?, padded(destination)?]));
        }
    }
    None
}

fn padded(bytes: &[u8]) -> Option<Address> {
    let mut address = Address::default();
    address.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(address)
}

/// Protocol and port, both 0 when they have no name.
fn named(proto: &[u8], protocols: &BTreeSet<(u8, u16)>) -> Option<(u8, u16)> {
    let table: [Option<&[u8]>; 10] = sorted(proto);
    let number = *(*table.get(CTA_PROTO_NUM)?)?.first()?;
    let port = table.get(CTA_PROTO_DST_PORT).copied().flatten().and_then(|p| p.try_into().ok());
    let both = (number, port.map_or(0, u16::from_be_bytes));
    Some(if protocols.contains(&both) { both } else { (0, 0) })
}

/// Packets and bytes.
fn counters(bytes: &[u8]) -> [u64; 2] {
    let table: [Option<&[u8]>; 5] = sorted(bytes);
    [CTA_COUNTERS_PACKETS, CTA_COUNTERS_BYTES].map(|kind| {
        let value = table.get(kind).copied().flatten().and_then(|value| value.try_into().ok());
        value.map_or(0, u64::from_be_bytes)
    })
}

fn is_local(family: u8, address: &Address) -> bool {
    LOCAL.iter().any(|(of, network, length)| {
        let differs = u128::from_be_bytes(*network) ^ u128::from_be_bytes(*address);
        *of == family && differs.checked_shr(128 - length).is_none_or(|bits| bits == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::entries;
    use crate::bench::networks::CLIENTS;
    use flowtabled::netlink::attribute::Writer;

    fn with_counters(number: u32, counted: [u64; 4]) -> Vec<u8> {
        let made = entries::entry(number).unwrap().request(1, 0);
        let mut writer = Writer::new();
        writer.raw(&made[16..]);
        for (kind, [packets, bytes]) in
            [(9, [counted[0], counted[1]]), (10, [counted[2], counted[3]])]
        {
            writer.nest(kind, |nest| {
                nest.u64_be(1, packets);
                nest.u64_be(2, bytes);
            });
        }
        writer.into_bytes()
    }

    #[test]
    fn flows_of_both_families_are_their_clients() {
        let protocols = NAMED.into();
        let (key, sums) = flow(&with_counters(1, [3, 300, 4, 400]), &protocols).unwrap();
        assert_eq!((key.family, key.protocol, key.port), (AF_INET, 6, 80));
        assert_eq!(key.client[..5], [192, 168, 1, 3, 0]);
        assert_eq!(sums, Sums { flows: 1, out: [3, 300], into: [4, 400] });
        let (key, _) = flow(&with_counters(4, [0; 4]), &protocols).unwrap();
        assert_eq!((key.family, key.client[0], key.client[15]), (AF_INET6, 0xfd, 6));
        let (key, _) = flow(&with_counters(3, [0; 4]), &BTreeSet::new()).unwrap();
        assert_eq!((key.protocol, key.port), (0, 0), "no name");
    }

    #[test]
    fn every_entry_has_a_client() {
        let protocols = NAMED.into();
        let keys =
            (0..2000).map(|number| flow(&with_counters(number, [0; 4]), &protocols).unwrap());
        let keys: BTreeSet<Key> = keys.map(|(key, _)| key).collect();
        // Each client with TCP and UDP, by IPv4 and by IPv6.
        assert_eq!(keys.len(), 4 * CLIENTS as usize);
    }

    #[test]
    fn sums_grow() {
        let mut sums = Sums { flows: 1, out: [1, 2], into: [3, 4] };
        sums.add(sums);
        assert_eq!(sums, Sums { flows: 2, out: [2, 4], into: [6, 8] });
    }

    #[test]
    fn neighbours_without_an_address_are_none() {
        let message = |state| {
            let mut writer = Writer::new();
            writer.raw(&[AF_INET, 0, 0, 0, 2, 0, 0, 0, state, 0, 0, 0]);
            writer.bytes(1, &[192, 168, 1, 2]);
            writer.bytes(2, &[2, 0, 0, 0, 0, 1]);
            writer.into_bytes()
        };
        let (address, mac) = neighbour(&message(0x02)).unwrap();
        assert_eq!(
            (address.0, &address.1[..4], mac),
            (AF_INET, &[192, 168, 1, 2][..], [2, 0, 0, 0, 0, 1])
        );
        assert_eq!(neighbour(&message(0x20)), None);
    }

    #[test]
    fn broken_attributes_end_the_walk() {
        assert_eq!(
            sorted::<3>(&[8, 0, 1, 0, 1, 2, 3, 4, 9, 0, 2, 0]),
            [None, Some(&[1, 2, 3, 4][..]), None]
        );
        assert_eq!(sorted::<2>(&[0, 0, 1, 0]), [None, None]);
    }
}
