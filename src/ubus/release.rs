// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `release`: lets flows that `evict` keeps on the classic path leave it again.
//!
//! It takes the arguments of `flow_filter`; without any it is about all that are kept, those
//! included whose connection has ended. The reply has the int32 `released`, how many were kept. A
//! transaction that the kernel refuses fails the call with "unknown error"; `last_error` of
//! `status` has the words.

use ubus::BlobMsgTable;

use super::evict::status_code;
use super::flow_filter;
use super::policy::{Method, Policy};
use super::reply::Reply;
use super::status_code::StatusCode;
use crate::core::orders::OrderError;

/// The method takes a filter.
pub const POLICY: Policy =
    Policy { method: Method::Release, name: "release", arguments: &flow_filter::ARGUMENTS };

/// The key that says how many.
pub const RELEASED: &str = "released";

/// The reply: the number of flows, or why nothing was done.
pub fn encode(released: Result<usize, OrderError>) -> Result<BlobMsgTable, StatusCode> {
    let released = released.map_err(status_code)?;
    let mut reply = Reply::new();
    reply.count(RELEASED, u32::try_from(released).unwrap_or(u32::MAX));
    Ok(reply.finish(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_failure() {
        assert_eq!(encode(Ok(7)).unwrap().lookup(RELEASED).unwrap().as_i32(), Some(7));
        assert_eq!(encode(Err(OrderError::Failed)), Err(StatusCode::UnknownError));
    }
}
