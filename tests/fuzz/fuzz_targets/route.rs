// SPDX-License-Identifier: GPL-2.0-or-later
//! rtnetlink, IPsec policies, and acknowledgements with the kernel's own words; what is read is
//! also printed and compared as the daemon does.
use flowtabled::netlink::ext_ack::{culprit, Ack};
use flowtabled::netlink::message::Message;
use flowtabled::netlink::prefix::Prefix;
use flowtabled::netlink::route::qdisc::parse_redirect;
use flowtabled::netlink::route::{
    self, AddressEvent, Event, LinkEvent, Mac, NeighbourEvent, Route,
};
use flowtabled::netlink::xfrm::Policy;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `RTM_NEWQDISC` and `RTM_NEWTFILTER`: changes of the type alone reach the other readers.
const KINDS: [u16; 2] = [36, 44];

fn mac(mac: Mac) {
    assert_eq!(mac.to_string().parse(), Ok(mac));
}

fn prefix(prefix: Prefix) {
    let whole = if prefix.is_v4() { 32 } else { 128 };
    assert!(prefix.length() <= whole, "{prefix:?}");
    let (first, last) = prefix.bounds();
    assert!(first <= last && first.len() == last.len(), "{prefix:?}");
}

fn policy(policy: &Policy) {
    prefix(policy.source);
    prefix(policy.destination);
    let (v4, v6) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
    for address in [v4, v6, policy.source.address(), policy.destination.address()] {
        let _ = policy.matches((address, 1), (address, u16::MAX), 6);
    }
}

fn event(event: Event) {
    match event {
        Event::Link(LinkEvent::New(link)) => assert!(!link.name.contains('\0')),
        Event::Address(AddressEvent::New(address)) => {
            let _ = address.address.to_string();
        }
        Event::Neighbour(NeighbourEvent::New(neighbour)) => mac(neighbour.mac),
        Event::Neighbour(NeighbourEvent::FdbNew(entry)) => mac(entry.mac),
        _ => (),
    }
}

fn ack(message: &Message<'_>, request: &[u8]) {
    let Some(ack) = Ack::parse(message) else { return };
    assert!(ack.errno > i32::MIN);
    if let Some(name) = ack.offset.and_then(|offset| culprit(request, offset)) {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    }
}

/// Reads a message; `request` is what it may be a refusal of.
pub fn read(message: &Message<'_>, request: &[u8]) {
    ack(message, request);
    if let Ok(Some(found)) = route::parse(message) {
        event(found);
    }
    for kind in KINDS {
        let _ = route::parse(&Message { kind, ..*message });
    }
    let _ = (Route::parse(message), parse_redirect(message));
    let _ = parse_redirect(&Message { kind: KINDS[1], ..*message });
    if let Ok(Some(found)) = Policy::parse(message) {
        policy(&found);
    }
}
