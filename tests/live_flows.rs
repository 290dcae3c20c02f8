// SPDX-License-Identifier: GPL-2.0-or-later
//! The table of flows fed by the running kernel's conntrack, in a network namespace of its own.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fixture;

use std::net::IpAddr;
use std::time::Instant;

use fixture::eventually;
use fixture::namespace::in_namespace;
use flowtabled::daemon::flow_poll::{FlowPoll, Progress};
use flowtabled::netlink::conntrack::tuple::IPPROTO_UDP;
use flowtabled::netlink::conntrack::{Conntrack, NewEntry, Tuple};

fn list(flows: &mut FlowPoll) {
    flows.start(Instant::now()).unwrap();
    eventually("the list is complete", || match flows.on_lists(Instant::now()) {
        Progress::Done(result) => {
            result.unwrap();
            true
        }
        Progress::Waiting | Progress::More => false,
    });
}

/// The end of a connection is known before a later one with the same addresses is: otherwise what
/// the first one carried would be counted when it is missed and again when its end is read.
#[test]
fn ends_come_before_the_lists_that_follow_them() {
    in_namespace("ends_come_before_the_lists_that_follow_them", || {
        let host = |last| IpAddr::from([192, 168, 1, last]);
        let tuple = Tuple::new(IPPROTO_UDP, (host(2), 5000), (host(3), 53)).unwrap();
        let mut conntrack = Conntrack::open().unwrap();
        let mut flows = FlowPoll::open(Instant::now()).unwrap();
        flows.look(Instant::now());
        list(&mut flows);
        conntrack.create(&NewEntry::new(tuple, 600)).unwrap();
        list(&mut flows);
        assert_eq!(flows.table().len(), 1);

        let first = conntrack.get(&tuple, 0).unwrap().unwrap().id;
        conntrack.delete(&tuple, 0, first).unwrap();
        conntrack.create(&NewEntry::new(tuple, 600)).unwrap();
        list(&mut flows);
        while flows.on_ends(Instant::now()).unwrap() {}
        // Conntrack gives the same id when it uses the same memory again.
        let shown: Vec<u32> = flows.table().flows(0).map(|flow| flow.id).collect();
        assert_eq!(shown, [conntrack.get(&tuple, 0).unwrap().unwrap().id], "the live one");
        assert_eq!(flows.table().account().ended_unseen, 0);
    });
}
