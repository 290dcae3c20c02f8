// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `evict`: hands single flows back to the classic path, addresses kept, and keeps them
//! there for a time.
//!
//! It takes the arguments of `flow_filter`, and the int32 `duration_s`, 0 to 86400 seconds, 600
//! unless given; with 0 the flows are only handed back. The reply has the int32 `matched`, how many
//! flows the filter is about, `evicted`, how many of them were offloaded, and `bypassed`, how many
//! stay on the classic path because of this call. Other flows of the same class lose their offload
//! too, and have it again with their next packet; so they do when a flow is not offloaded yet but
//! may be by the time of the transaction.
//!
//! More flows than can be kept at once (`BYPASS_MAX` of `core::orders`) are refused as a whole with
//! "not supported". A transaction that the kernel refuses fails the call with "unknown error";
//! `last_error` of `status` has the words.

use std::time::Duration;

use ubus::{BlobMsgTable, BlobType};

use super::flow_filter;
use super::policy::{Argument, Arguments, Method, Policy};
use super::reply::Reply;
use super::status_code::StatusCode;
use crate::core::flows::selection::Selection;
use crate::core::orders::OrderError;

/// The argument that says how long.
pub const DURATION: &str = "duration_s";
/// The key that says how many flows the filter is about.
pub const MATCHED: &str = "matched";
/// The key that says how many of them were offloaded.
pub const EVICTED: &str = "evicted";
/// The key that says how many stay on the classic path.
pub const BYPASSED: &str = "bypassed";

/// Long enough to look into something, short enough to be forgotten.
const DURATION_DEFAULT_S: u32 = 600;
/// A day. What shall stay for ever belongs into the configuration.
const DURATION_MAX_S: u32 = 86_400;

const ARGUMENTS: [Argument; 8] =
    flow_filter::and(&[Argument { name: DURATION, ty: BlobType::Int32 }]);

/// The method takes a filter and a duration.
pub const POLICY: Policy = Policy { method: Method::Evict, name: "evict", arguments: &ARGUMENTS };

/// Which flows, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eviction {
    /// Which flows.
    pub selection: Selection,
    /// How long they stay on the classic path.
    pub duration: Duration,
}

impl Eviction {
    /// The eviction that the arguments make.
    ///
    /// # Errors
    /// An argument makes no sense.
    pub fn of(arguments: &Arguments<'_>) -> Result<Eviction, StatusCode> {
        let seconds = flow_filter::valid(arguments.number(DURATION), |number| {
            u32::try_from(number).ok().filter(|seconds| *seconds <= DURATION_MAX_S)
        })?;
        let duration = Duration::from_secs(seconds.unwrap_or(DURATION_DEFAULT_S).into());
        Ok(Eviction { selection: flow_filter::read(arguments)?, duration })
    }
}

/// What has become of the flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evicted {
    /// How many the filter is about.
    pub matched: usize,
    /// How many of them were offloaded.
    pub evicted: usize,
    /// How many stay on the classic path.
    pub bypassed: usize,
}

/// The reply, or why nothing was done.
pub fn encode(result: Result<Evicted, OrderError>) -> Result<BlobMsgTable, StatusCode> {
    let Evicted { matched, evicted, bypassed } = result.map_err(status_code)?;
    let mut reply = Reply::new();
    for (key, number) in [(MATCHED, matched), (EVICTED, evicted), (BYPASSED, bypassed)] {
        reply.count(key, u32::try_from(number).unwrap_or(u32::MAX));
    }
    Ok(reply.finish(None))
}

/// How a call fails whose order was not carried out.
pub(super) fn status_code(error: OrderError) -> StatusCode {
    match error {
        OrderError::TooMany => StatusCode::NotSupported,
        OrderError::Failed => StatusCode::UnknownError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::flows::select::Filter;
    use ubus::BlobBuilder;

    fn eviction(build: impl FnOnce(&mut BlobBuilder)) -> Result<Eviction, StatusCode> {
        let table = BlobMsgTable::build(build);
        Eviction::of(&Arguments::check(&POLICY, table.contents())?)
    }

    #[test]
    fn ten_minutes_unless_told_and_a_day_at_most() {
        let seconds = |build: fn(&mut BlobBuilder)| eviction(build).map(|e| e.duration.as_secs());
        assert_eq!(seconds(|_| ()), Ok(600));
        assert_eq!(seconds(|b| b.put_i32(Some(DURATION), 0)), Ok(0));
        assert_eq!(seconds(|b| b.put_i32(Some(DURATION), 86_400)), Ok(86_400));
        for wrong in [-1, 86_401] {
            let result = eviction(|b| b.put_i32(Some(DURATION), wrong));
            assert_eq!(result, Err(StatusCode::InvalidArgument));
        }
    }

    #[test]
    fn the_filter_is_that_of_flows() {
        let filtered = eviction(|b| {
            b.put_i32(Some(flow_filter::PORT), 443);
            b.put_str(Some(flow_filter::PROTOCOL), "udp");
        });
        let filter = Filter { port: Some(443), protocol: Some(17), ..Filter::default() };
        let selection = Selection { filter, ..Selection::default() };
        assert_eq!(filtered, Ok(Eviction { selection, duration: Duration::from_secs(600) }));
        let refused = eviction(|b| b.put_str(Some(flow_filter::STATE), "fast"));
        assert_eq!(refused, Err(StatusCode::InvalidArgument));
    }

    #[test]
    fn numbers_or_a_failure() {
        let reply = encode(Ok(Evicted { matched: 3, evicted: 1, bypassed: 2 })).unwrap();
        let number = |key| reply.lookup(key).unwrap().as_i32();
        assert_eq!([MATCHED, EVICTED, BYPASSED].map(number), [Some(3), Some(1), Some(2)]);
        assert_eq!(encode(Err(OrderError::TooMany)), Err(StatusCode::NotSupported));
        assert_eq!(encode(Err(OrderError::Failed)), Err(StatusCode::UnknownError));
    }
}
