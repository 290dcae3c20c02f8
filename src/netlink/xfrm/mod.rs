// SPDX-License-Identifier: GPL-2.0-or-later
//! NETLINK_XFRM: the IPsec policies, which say whose packets are transformed.
//!
//! Packets that have been decrypted carry a secpath and make no flow an offloaded one. Those of the
//! other direction do (on the way into IPsec the flow transmits by XFRM), so a policy explains why
//! a flow is not offloaded only when both directions come out of IPsec. Source:
//! include/uapi/linux/xfrm.h, net/xfrm/xfrm_user.c, net/netfilter/nft_flow_offload.c.

pub mod policy;

use super::socket::Socket;
use super::Error;

pub use policy::{Direction, Policy, Ports};

/// Netlink family of IPsec.
pub const NETLINK_XFRM: isize = 6;

/// Policies read at all: some 600 kB of them. Which ones decide first is known only at the end.
const READ_MAX: usize = 8192;

/// Lists the policies of this network namespace in the order in which the kernel looks at them, so
/// that the first of a direction that matches decides. Empty where the kernel has no IPsec.
///
/// `most` bounds the list: key daemons install a policy for each tunnel, thousands on a
/// concentrator. The first to be looked at are kept; of more than 8192 the oldest are not read.
///
/// # Errors
/// The socket cannot be made for another reason, a refusal (without CAP_NET_ADMIN), a time-out or
/// a malformed answer.
pub fn policies(most: usize) -> Result<Vec<Policy>, Error> {
    let mut socket = match Socket::open(NETLINK_XFRM, &[], "open the IPsec socket") {
        Err(Error::Io { source, .. }) if is_absent(source.raw_os_error()) => return Ok(Vec::new()),
        other => other?,
    };
    let (get, fill) = (policy::XFRM_MSG_GETPOLICY, policy::write_dump);
    let mut policies = socket.dump("list IPsec policies", get, fill, |list, message| {
        let policy = Policy::parse(message);
        if let Some(policy) = policy.map_err(|error| Error::malformed("policy", &error))? {
            if list.len() < READ_MAX {
                list.push(policy);
            }
        }
        Ok(())
    })?;
    // Among those of equal priority the oldest decides, and the kernel lists the newest first.
    policies.reverse();
    policies.sort_by_key(|policy| policy.priority);
    policies.truncate(most);
    Ok(policies)
}

/// The kernel was built without NETLINK_XFRM, or its module is not loaded.
fn is_absent(errno: Option<i32>) -> bool {
    matches!(errno, Some(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT))
}
