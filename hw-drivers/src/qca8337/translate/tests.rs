// SPDX-License-Identifier: GPL-2.0-or-later
//! Each part of a flow that the chip cannot express, and the entries of those that it can.

use super::*;
use crate::flow::{Pppoe, Tuple};
use crate::qca8337::Model;

const AC: Mac = Mac([2, 0, 0, 0, 2, 2]);

fn around(model: Model) -> Surroundings {
    let public = vec![Ipv4Addr::new(198, 51, 100, 1), Ipv4Addr::new(198, 51, 100, 2)];
    Surroundings::new(model, &Network { private: (Ipv4Addr::new(192, 168, 1, 0), 24), public })
        .unwrap()
}

fn tuple(source: &str, destination: &str) -> Tuple {
    Tuple { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

fn side(port: u8, vlan: u16, neighbour: Mac) -> Side {
    Side::ethernet(port, vlan, neighbour, Mac([2, 0, 0, 0, 0, port]))
}

/// Out through the second public address.
fn out() -> Flow {
    Flow {
        protocol: Protocol::Tcp,
        original: tuple("192.168.1.100:40000", "203.0.113.10:443"),
        reply: tuple("203.0.113.10:443", "198.51.100.2:50000"),
        opener: side(1, 1, Mac([2, 0, 0, 0, 1, 1])),
        answerer: side(5, 2, AC),
    }
}

/// In to a port that is forwarded.
fn inward() -> Flow {
    let Flow { protocol, original, reply, opener, answerer } = out();
    Flow { protocol, original: reply, reply: original, opener: answerer, answerer: opener }
}

fn refusal(change: impl FnOnce(&mut Flow)) -> Option<Part> {
    let mut flow = out();
    change(&mut flow);
    plan(&flow, &around(Model::Qca8337), &Options::default()).err()
}

/// A translated source and a translated destination between the same ends are the same entry.
#[test]
fn both_directions_are_one_entry() {
    let options = Options::default();
    let [out, inward] =
        [out(), inward()].map(|flow| plan(&flow, &around(Model::Qca8337), &options).unwrap());
    let napt = Napt {
        remote: Ipv4Addr::new(203, 0, 113, 10),
        remote_port: 443,
        private: Ipv4Addr::new(192, 168, 1, 100),
        private_port: 40000,
        public: 1,
        public_port: 50000,
        protocol: TCP,
        action: FORWARD,
        counter: None,
        age: options.first_age,
    };
    assert_eq!((out.napt, inward.napt), (napt, napt));
    assert_eq!((out.inward, out.outward), (inward.inward, inward.outward));
    assert_eq!((out.inward.port, out.outward.port), (1, 5));
    assert_eq!((out.from_lan, inward.from_lan), (true, false));
}

#[test]
fn translation_is_of_one_side() {
    let none = refusal(|flow| flow.reply = flow.original.inverse());
    assert_eq!(none, Some(Part::Translation(Translation::None)));
    let both = refusal(|flow| flow.original.destination = "203.0.113.11:443".parse().unwrap());
    assert_eq!(both, Some(Part::Translation(Translation::Both)));
    let six = refusal(|flow| flow.reply.destination = "[2001:db8::1]:1".parse().unwrap());
    assert_eq!(six, Some(Part::Family));
}

#[test]
fn addresses_are_where_the_chip_expects_them() {
    let private = Ipv4Addr::new(192, 168, 2, 1);
    let outside = refusal(|flow| flow.original.source.set_ip(private.into()));
    assert_eq!(outside, Some(Part::Address(private)));
    let public = Ipv4Addr::new(198, 51, 100, 3);
    let unknown = refusal(|flow| flow.reply.destination.set_ip(public.into()));
    assert_eq!(unknown, Some(Part::PublicAddress(public)));
    for remote in ["192.168.1.7", "198.51.100.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"] {
        let remote: Ipv4Addr = remote.parse().unwrap();
        let refused = refusal(|flow| {
            flow.original.destination.set_ip(remote.into());
            flow.reply.source.set_ip(remote.into());
        });
        assert_eq!(refused, Some(Part::Address(remote)));
    }
}

/// AR8327 takes all of the /20 around the LAN for private.
#[test]
fn ar8327_takes_its_block_for_private() {
    let mut flow = out();
    let remote = Ipv4Addr::new(192, 168, 15, 9);
    flow.original.destination.set_ip(remote.into());
    flow.reply.source.set_ip(remote.into());
    let options = Options::default();
    assert!(plan(&flow, &around(Model::Qca8337), &options).is_ok());
    let refused = plan(&flow, &around(Model::Ar8327), &options).err();
    assert_eq!(refused, Some(Part::Address(remote)));
}

#[test]
fn sides_are_told_apart() {
    assert_eq!(refusal(|flow| flow.opener.port = 7), Some(Part::Port(7)));
    assert_eq!(refusal(|flow| flow.opener.port = 5), Some(Part::Port(5)));
    assert_eq!(refusal(|flow| flow.opener.vlan = 2), Some(Part::Vlan(2)));
    for vlan in [0, 4095] {
        assert_eq!(refusal(|flow| flow.answerer.vlan = vlan), Some(Part::Vlan(vlan)));
    }
    for mac in [Mac([0; 6]), Mac([1, 0, 0x5e, 0, 0, 1])] {
        assert_eq!(refusal(|flow| flow.answerer.neighbour = mac), Some(Part::Neighbour));
        assert_eq!(refusal(|flow| flow.opener.router = mac), Some(Part::Neighbour));
    }
}

/// The chip does not cut packets: what may come in has to fit where it leaves.
#[test]
fn packets_have_to_fit() {
    assert_eq!(refusal(|flow| flow.answerer.mtu = 1492), Some(Part::Mtu(1492)));
    assert_eq!(refusal(|flow| flow.opener.mtu = 1400), Some(Part::Mtu(1400)));
    let both = |mtu| refusal(|flow| (flow.opener.mtu, flow.answerer.mtu) = (mtu, mtu));
    assert_eq!([both(9001), both(67)], [Some(Part::Mtu(9001)), Some(Part::Mtu(67))]);
    assert_eq!([both(9000), both(68)], [None, None]);
}

#[test]
fn sessions_are_towards_the_internet() {
    let session = |session, peer| {
        refusal(|flow| {
            flow.answerer.mtu = 1492;
            flow.answerer.pppoe = Some(Pppoe { session, peer });
        })
    };
    assert_eq!(session(7, AC), None);
    for id in [0, 0xffff] {
        assert_eq!(session(id, AC), Some(Part::Pppoe));
    }
    assert_eq!(session(7, Mac([2, 9, 9, 9, 9, 9])), Some(Part::Pppoe));
    let inside = refusal(|flow| flow.opener.pppoe = Some(Pppoe { session: 7, peer: AC }));
    assert_eq!(inside, Some(Part::Pppoe));
    let small = refusal(|flow| {
        flow.answerer.mtu = 1480;
        flow.answerer.pppoe = Some(Pppoe { session: 7, peer: AC });
    });
    assert_eq!(small, Some(Part::Mtu(1480)));
}

#[test]
fn networks_are_checked() {
    let network = |private, public| {
        Surroundings::new(Model::Ar8327, &Network { private, public }).map(|found| found.public)
    };
    let (lan, near) = (Ipv4Addr::new(10, 0, 0, 0), Ipv4Addr::new(10, 0, 15, 1));
    assert_eq!(network((lan, 0), vec![]), Err(Error::NotExpressible(Part::Address(lan))));
    let refused = Err(Error::NotExpressible(Part::PublicAddress(near)));
    assert_eq!(network((lan, 24), vec![near]), refused);
    let many = |count: u8| (1..=count).map(|last| Ipv4Addr::new(198, 51, 100, last)).collect();
    assert_eq!(network((lan, 24), many(17)), Err(Error::Full(Resource::PublicAddresses)));
    assert_eq!(network((lan, 24), many(16)).map(|found| found.len()), Ok(16));
    // Told twice, it is one.
    let one = Ipv4Addr::new(198, 51, 100, 1);
    assert_eq!(network((lan, 24), vec![one, one]), Ok(vec![one]));
}
