// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes for the tests of the IPsec policies' codec, printed as in `capture`.

use flowtabled::netlink::socket::Socket;
use flowtabled::netlink::xfrm::NETLINK_XFRM;

use super::capture::{list, perform};
use crate::error::{Context, Result};

const XFRM_MSG_GETPOLICY: u16 = 0x15;
const XFRM_USERPOLICY_ID_LEN: usize = 64;

const POLICIES: [&str; 5] = [
    "ip xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out priority 200 \
     tmpl src 203.0.113.1 dst 203.0.113.2 proto esp reqid 1 mode tunnel",
    "ip xfrm policy add src 10.2.0.0/16 dst 10.1.0.0/16 dir fwd priority 200 \
     tmpl src 203.0.113.2 dst 203.0.113.1 proto esp reqid 1 mode tunnel level use",
    "ip xfrm policy add src fd00:1::/64 dst fd00:2::1/128 proto 6 sport 1000 dport 443 dir in \
     if_id 7 mark 5 mask 15 tmpl src fd00:3::1 dst fd00:3::2 proto esp reqid 2 mode tunnel",
    "ip xfrm policy add src 10.1.0.5/32 dst 10.2.0.0/16 dir out priority 100",
    "ip xfrm policy add src 10.1.0.6/32 dst 10.2.0.0/16 dev lo dir out action block priority 50",
];

/// Prints the captures; to be run in an empty network namespace.
pub fn capture() -> Result<()> {
    POLICIES.iter().try_for_each(|line| perform(line))?;
    let mut socket = Socket::open(NETLINK_XFRM, &[], "open").context("IPsec")?;
    list(&mut socket, "policy", XFRM_MSG_GETPOLICY, |writer| {
        writer.raw(&[0; XFRM_USERPOLICY_ID_LEN]);
    })
}
