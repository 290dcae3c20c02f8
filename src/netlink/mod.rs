// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes on netlink sockets and back: nf_tables, conntrack, devices and routes, IPsec policies.
//!
//! Built on the framing and the attribute iterator of `netlink-packet-core`. Every codec has the
//! same order: constants in the kernel's spelling, value type, parse, emit, printing, tests.
//! Unknown attributes and values are skipped, never an error.

pub mod attribute;
pub mod conntrack;
mod error;
pub mod ext_ack;
pub mod message;
pub mod nftables;
pub mod prefix;
pub mod route;
pub mod socket;
pub mod xfrm;

pub use error::{errno_text, Error, Refusal};
