// SPDX-License-Identifier: GPL-2.0-or-later
//! Our codecs against the rust-netlink crates, which were written by others from the same
//! headers: what we emit they read as the same objects, what they emit we read.
//!
//! The daemon does not use those crates itself because of their size (docs/dependencies.md).

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use flowtabled::core::device_names::DeviceNames;

use flowtabled::core::devices::{Coverage, Device};
use flowtabled::core::links::Links;
use flowtabled::core::plan::{self, Class};
use flowtabled::core::policy::{Action, Mark, Places, Policy, Rule as PolicyRule};
use flowtabled::core::settings::{Mode, Settings};
use flowtabled::netlink::message::{Message, Messages};
use flowtabled::netlink::nftables::{Batch, Chain, Command, Flowtable, Rule, Set, Table};
use flowtabled::netlink::route::{
    self, Address, AddressEvent, Event, FdbEntry, LinkEvent, Mac, Neighbour, NeighbourEvent, Route,
    RouteKind,
};
use netlink_packet_core::{Emitable, NetlinkBuffer, NetlinkMessage, NetlinkPayload, Parseable};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ExpressionAttribute, Expressions, Hook, ListAttribute, Meta, MetaKey,
    NfTablesMessage, RuleAttribute, SetAttribute, TableAttribute,
};
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

/// Both classes with every kind of object: a mixed set-up.
fn classes() -> Vec<Class> {
    let device = |name: &str, hardware| Device {
        name: name.into(),
        ifindex: Some(1),
        kind: String::new(),
        zones: vec!["lan".into()],
        upper: Vec::new(),
        coverage: Coverage::Covered { hardware },
    };
    let settings = Settings { requested: Mode::Hardware, ..Settings::default() };
    let devices = [device("lan0", true), device("wan0", false)];
    let capable = ["lan0".to_owned()].into_iter().collect();
    plan::wanted(&settings, &devices, &Places::default(), &capable, &DeviceNames::new())
}

/// A table with rules of the configuration, by all options that become expressions.
fn with_rules() -> Vec<Class> {
    let wait = Action::Offload { min_packets: 100, min_bytes: 5000, table: None };
    let all = PolicyRule {
        src_ip: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        dest_port: vec![(80, 90)],
        dscp: vec![46],
        mark: Some(Mark { value: 1, mask: 3 }),
        ..PolicyRule::all("all", wait)
    };
    let zone = PolicyRule {
        protocols: (6, 6),
        src: Some("lan".into()),
        ..PolicyRule::all("zone", Action::Bypass)
    };
    let policy = Policy::new(vec![all, zone]).unwrap();
    let settings = Settings { requested: Mode::Software, policy, ..Settings::default() };
    let places = Places::resolve(&settings, &Links::default());
    let device = Device {
        name: "lan0".into(),
        ifindex: Some(1),
        kind: String::new(),
        zones: vec!["lan".into()],
        upper: Vec::new(),
        coverage: Coverage::Covered { hardware: false },
    };
    plan::wanted(&settings, &[device], &places, &DeviceNames::new(), &DeviceNames::new())
}

fn batch() -> Vec<u8> {
    batch_of(classes())
}

fn batch_of(classes: Vec<Class>) -> Vec<u8> {
    let mut commands = Vec::new();
    for class in classes {
        commands.push(Command::AddTable(class.flowtable.table.clone()));
        commands.push(Command::AddFlowtable(class.flowtable));
        commands.extend(class.sets.into_iter().map(Command::AddSet));
        commands.extend(class.chains.into_iter().map(Command::AddChain));
        commands.extend(class.rules.into_iter().map(Command::AddRule));
    }
    // Without a generation: their message for the start of a batch has no room for it.
    Batch::new(commands).finish(1, None, true).bytes().to_vec()
}

/// The same datagram as messages of the other crate.
fn theirs(datagram: &[u8]) -> Vec<NetlinkMessage<NetfilterMessage>> {
    let mut rest = datagram;
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let buffer = NetlinkBuffer::new_checked(&rest).expect("well formed");
        let length = buffer.length() as usize;
        messages.push(NetlinkMessage::parse(&buffer).expect("they can read it"));
        rest = &rest[length.next_multiple_of(4)..];
    }
    messages
}

fn tables_of(message: &NetlinkMessage<NetfilterMessage>) -> Option<&NfTablesMessage> {
    match &message.payload {
        NetlinkPayload::InnerMessage(NetfilterMessage {
            inner: NetfilterMessageInner::NfTables(inner),
            ..
        }) => Some(inner),
        _ => None,
    }
}

#[test]
fn every_byte_survives_their_reading_and_writing() {
    let mut classes = classes();
    classes.extend(with_rules());
    // Their sets keep the name of an expression without its data, and do not mark one nest as such.
    let kept = |set: &Set| !set.counting && set.fields.is_empty();
    classes.iter_mut().for_each(|class| class.sets.retain(kept));
    let datagram = batch_of(classes);
    let mut again = Vec::new();
    for message in theirs(&datagram) {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        again.extend(bytes);
    }
    assert_eq!(again, datagram);
}

#[test]
fn they_see_the_objects_that_we_meant() {
    let messages = theirs(&batch());
    let inner: Vec<&NfTablesMessage> = messages.iter().filter_map(tables_of).collect();
    let count = |test: fn(&&&NfTablesMessage) -> bool| inner.iter().filter(test).count();
    assert_eq!(count(|message| matches!(message, NfTablesMessage::NewTable(_))), 2);
    assert_eq!(count(|message| matches!(message, NfTablesMessage::NewFlowTable(_))), 2);
    assert_eq!(count(|message| matches!(message, NfTablesMessage::NewSet(_))), 13);
    assert_eq!(count(|message| matches!(message, NfTablesMessage::NewSetElement(_))), 4);
    assert_eq!(count(|message| matches!(message, NfTablesMessage::NewRule(_))), 17);

    let chain = inner.iter().find_map(|message| match message {
        NfTablesMessage::NewChain(chain) => Some(chain),
        _ => None,
    });
    let attributes = &chain.expect("a chain").attributes;
    assert!(attributes.contains(&ChainAttribute::Name("forward".into())));
    assert!(attributes.contains(&ChainAttribute::Type("filter".into())));
    let hooks = attributes.iter().find_map(|attribute| match attribute {
        ChainAttribute::Hook(hooks) => Some(hooks),
        _ => None,
    });
    assert!(hooks.expect("a hook").contains(&Hook::Priority(9)));

    let metas: Vec<MetaKey> = inner.iter().flat_map(|message| meta_keys(message)).collect();
    assert!(metas.contains(&MetaKey::L4Proto) && metas.contains(&MetaKey::Iifname), "{metas:?}");
}

fn meta_keys(message: &NfTablesMessage) -> Vec<MetaKey> {
    let NfTablesMessage::NewRule(rule) = message else { return Vec::new() };
    let lists = rule.attributes.iter().filter_map(|attribute| match attribute {
        RuleAttribute::Expressions(list) => Some(list),
        _ => None,
    });
    let elements = lists.flatten().filter_map(|element| match element {
        ListAttribute::Element(attributes) => Some(attributes),
        _ => None,
    });
    let data = elements.flatten().filter_map(|attribute| match attribute {
        ExpressionAttribute::Data(Expressions::Meta(attributes)) => Some(attributes),
        _ => None,
    });
    let keys = data.flatten().filter_map(|attribute| match attribute {
        Meta::Key(key) => Some(*key),
        _ => None,
    });
    keys.collect()
}

/// What was emitted, read back by ourselves: the kernel sends objects in the same form.
#[test]
fn we_read_what_we_emit() {
    let datagram = batch();
    let messages: Vec<Message> = Messages::new(&datagram).map(Result::unwrap).collect();
    let number = |message: &&Message<'_>| message.kind & 0xff;
    let of = |wanted: u16| messages.iter().filter(move |m| number(m) == wanted && m.kind > 255);
    let classes = classes();
    let tables: Vec<Table> = of(0).map(|m| Table::parse(m).unwrap()).collect();
    let flowtables: Vec<Flowtable> = of(22).map(|m| Flowtable::parse(m).unwrap()).collect();
    let chains: Vec<Chain> = of(3).map(|m| Chain::parse(m).unwrap()).collect();
    let rules: Vec<Rule> = of(6).map(|m| Rule::parse(m).unwrap()).collect();
    let mut sets: Vec<Set> = Vec::new();
    for message in messages.iter().filter(|m| m.kind > 255) {
        match number(&message) {
            9 => sets.push(Set::parse(message).unwrap()),
            12 => sets.last_mut().unwrap().parse_elements(message).unwrap(),
            _ => (),
        }
    }
    assert_eq!(tables, classes.iter().map(|c| c.flowtable.table.clone()).collect::<Vec<_>>());
    assert_eq!(flowtables, classes.iter().map(|c| c.flowtable.clone()).collect::<Vec<_>>());
    assert_eq!(chains, classes.iter().flat_map(|c| c.chains.clone()).collect::<Vec<_>>());
    assert_eq!(rules, classes.iter().flat_map(|c| c.rules.clone()).collect::<Vec<_>>());
    assert_eq!(sets, classes.iter().flat_map(|c| c.sets.clone()).collect::<Vec<_>>());
}

#[test]
fn they_name_tables_and_sets_alike() {
    let messages = theirs(&batch());
    let names: Vec<String> = messages
        .iter()
        .filter_map(tables_of)
        .filter_map(|message| match message {
            NfTablesMessage::NewTable(table) => {
                table.attributes.iter().find_map(|attribute| match attribute {
                    TableAttribute::Name(name) => Some(name.clone()),
                    _ => None,
                })
            }
            NfTablesMessage::NewSet(set) => {
                set.attributes.iter().find_map(|attribute| match attribute {
                    SetAttribute::Name(name) => Some(name.clone()),
                    _ => None,
                })
            }
            _ => None,
        })
        .collect();
    let ways = ["asked", "answered", "greeted"];
    let hardware = ["flowtabled_hw", "protocols", "bypass", "hw_devices"];
    let software = ["flowtabled", "protocols", "bypass"];
    let seen = ["leaked", "watched"];
    assert_eq!(names, [hardware.as_slice(), &ways, &software, &ways, &seen].concat());
}

#[test]
fn we_read_their_network_devices() {
    let mut link = LinkMessage::default();
    link.header.index = 7;
    link.header.link_layer_type = LinkLayerType::Ether;
    link.attributes = vec![
        LinkAttribute::IfName("wan0.7".into()),
        LinkAttribute::Mtu(1500),
        LinkAttribute::Link(3),
        LinkAttribute::Controller(9),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vlan)]),
    ];
    let bytes = serialized(RouteNetlinkMessage::NewLink(link));
    let Some(Event::Link(LinkEvent::New(link))) = event(&bytes) else { panic!("not a device") };
    assert_eq!((link.index, link.name.as_str(), link.kind.as_str()), (7, "wan0.7", "vlan"));
    assert_eq!((link.lower, link.master, link.loopback), (Some(3), Some(9), false));
}

fn serialized(message: RouteNetlinkMessage) -> Vec<u8> {
    let mut message = NetlinkMessage::from(message);
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn event(bytes: &[u8]) -> Option<Event> {
    route::parse(&Messages::new(bytes).next().unwrap().unwrap()).unwrap()
}

#[test]
fn we_read_their_addresses() {
    let (own, peer) = ("10.0.0.1".parse().unwrap(), "10.9.9.9".parse().unwrap());
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = 32;
    message.header.index = 7;
    message.attributes = vec![
        AddressAttribute::Address(peer),
        AddressAttribute::Local(own),
        AddressAttribute::Label("ppp0".into()),
    ];
    let address = Address { index: 7, address: own, prefix: 32, peer: Some(peer) };
    let bytes = serialized(RouteNetlinkMessage::NewAddress(message.clone()));
    assert_eq!(event(&bytes), Some(Event::Address(AddressEvent::New(address))));
    let bytes = serialized(RouteNetlinkMessage::DelAddress(message));
    assert_eq!(event(&bytes), Some(Event::Address(AddressEvent::Gone(address))));
}

#[test]
fn we_read_their_neighbours() {
    let mac = Mac::new([2, 0, 0, 0, 0, 9]);
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet6;
    message.header.ifindex = 7;
    message.header.state = NeighbourState::Stale;
    message.attributes = vec![
        NeighbourAttribute::Destination(NeighbourAddress::Inet6("fd00::9".parse().unwrap())),
        NeighbourAttribute::LinkLayerAddress(mac.bytes().to_vec()),
        NeighbourAttribute::Probes(1),
    ];
    let bytes = serialized(RouteNetlinkMessage::NewNeighbour(message));
    let neighbour = Neighbour { index: 7, address: "fd00::9".parse().unwrap(), mac };
    assert_eq!(event(&bytes), Some(Event::Neighbour(NeighbourEvent::New(neighbour))));

    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = 8;
    message.header.state = NeighbourState::Permanent;
    message.attributes = vec![
        NeighbourAttribute::LinkLayerAddress(mac.bytes().to_vec()),
        NeighbourAttribute::Controller(3),
        NeighbourAttribute::Vlan(20),
    ];
    let bytes = serialized(RouteNetlinkMessage::DelNeighbour(message));
    let entry = FdbEntry { port: 8, bridge: Some(3), mac, vlan: Some(20), own: true };
    assert_eq!(event(&bytes), Some(Event::Neighbour(NeighbourEvent::FdbGone(entry))));
}

#[test]
fn we_read_their_routes() {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::Inet("198.51.100.1".parse().unwrap())),
        RouteAttribute::Oif(7),
        RouteAttribute::Via(RouteVia::Inet6("fe80::9".parse().unwrap())),
    ];
    let bytes = serialized(RouteNetlinkMessage::NewRoute(message));
    assert!(matches!(event(&bytes), Some(Event::Routes(_))));
    let route = Route::parse(&Messages::new(&bytes).next().unwrap().unwrap()).unwrap();
    let gateway = Some("fe80::9".parse().unwrap());
    assert_eq!(route, Some(Route { output: Some(7), gateway, kind: RouteKind::Unicast }));
}
