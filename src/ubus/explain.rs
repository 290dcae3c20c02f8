// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `explain`: why one flow takes the path that it takes.
//!
//! | argument | type | meaning |
//! |---|---|---|
//! | `source` | string | address of one end |
//! | `source_port` | int32 | its port |
//! | `destination` | string | address of the other end |
//! | `destination_port` | int32 | its port |
//! | `protocol` | string | name or number |
//!
//! Either address must be given; what is left out may be anything. Both directions are compared,
//! before and behind translation. When no flow matches the call fails with "not found", and of
//! several the fastest is meant.
//!
//! The reply has the keys of a flow in [`flows`](super::flows), the int32 `matched`, and the string
//! array `passed`: the steps of the ladder that the flow passes, by the codes of the reasons that
//! they would be. For an offloaded flow the int64 `leaked_packets` are those that crossed the
//! forward hook nevertheless while it was watched, of `carried_packets` in all; it is watched for a
//! minute from the first question on, so a first answer has neither.

use std::net::IpAddr;

use ubus::{BlobMsgTable, BlobType};

use super::flow_filter::{self, valid, PROTOCOL};
use super::policy::{Argument, Arguments, Method, Policy};
use super::reply::Reply;
use super::status_code::StatusCode;
use crate::core::explain::Wanted;
use crate::core::flow_reason::FlowReason;
use crate::core::flows::view::FlowView;

/// The argument that is the address of one end.
pub const SOURCE: &str = "source";
/// The argument that is its port.
pub const SOURCE_PORT: &str = "source_port";
/// The argument that is the address of the other end.
pub const DESTINATION: &str = "destination";
/// The argument that is its port.
pub const DESTINATION_PORT: &str = "destination_port";

/// The method takes what identifies a flow.
pub const POLICY: Policy = Policy {
    method: Method::Explain,
    name: "explain",
    arguments: &[
        Argument { name: SOURCE, ty: BlobType::String },
        Argument { name: SOURCE_PORT, ty: BlobType::Int32 },
        Argument { name: DESTINATION, ty: BlobType::String },
        Argument { name: DESTINATION_PORT, ty: BlobType::Int32 },
        Argument { name: PROTOCOL, ty: BlobType::String },
    ],
};

/// The flow that the arguments are about.
///
/// # Errors
/// An argument makes no sense, or there is no address.
pub fn wanted(arguments: &Arguments<'_>) -> Result<Wanted, StatusCode> {
    let address = |name| valid(arguments.string(name), |text: &str| text.parse::<IpAddr>().ok());
    let port = |name| valid(arguments.number(name), |port| u16::try_from(port).ok());
    let wanted = Wanted {
        source: address(SOURCE)?,
        source_port: port(SOURCE_PORT)?,
        destination: address(DESTINATION)?,
        destination_port: port(DESTINATION_PORT)?,
        protocol: valid(arguments.string(PROTOCOL), flow_filter::protocol)?,
    };
    match (wanted.source, wanted.destination) {
        (None, None) => Err(StatusCode::InvalidArgument),
        _ => Ok(wanted),
    }
}

/// What was seen of an offloaded flow since it has been watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// Packets that crossed the forward hook.
    pub leaked: u64,
    /// Packets in all; `None` when they are not counted.
    pub carried: Option<u64>,
}

/// The reply about a flow, of `matched` that were found.
pub fn encode(
    view: &FlowView,
    matched: usize,
    passed: &[FlowReason],
    evidence: Option<Evidence>,
) -> BlobMsgTable {
    let mut reply = Reply::new();
    super::flows::record(&mut reply, view);
    reply.count("matched", u32::try_from(matched).unwrap_or(u32::MAX));
    let codes: Vec<String> = passed.iter().map(|reason| reason.code().to_owned()).collect();
    reply.strings("passed", &codes);
    if let Some(evidence) = evidence {
        reply.long_count("leaked_packets", evidence.leaked);
        if let Some(carried) = evidence.carried {
            reply.long_count("carried_packets", carried);
        }
    }
    reply.finish(None)
}
