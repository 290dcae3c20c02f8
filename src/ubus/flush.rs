// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `flush`: returns every offloaded flow to the classic path, addresses kept.
//!
//! It takes no arguments. The reply has the int32 `flows`, how many were offloaded. They come back
//! to the fast path with their next packet, so this makes the kernel look at each of them anew. A
//! transaction that the kernel refuses fails the call with "unknown error"; `last_error` of
//! `status` has the words.

use ubus::BlobMsgTable;

use super::policy::{Method, Policy};
use super::reply::Reply;
use super::status_code::StatusCode;

/// The method takes no arguments.
pub const POLICY: Policy = Policy { method: Method::Flush, name: "flush", arguments: &[] };

/// The key that says how many.
pub const FLOWS: &str = "flows";

/// The reply: the number of flows, or that nothing was done.
pub fn encode(flushed: Option<u32>) -> Result<BlobMsgTable, StatusCode> {
    let flows = flushed.ok_or(StatusCode::UnknownError)?;
    let mut reply = Reply::new();
    reply.count(FLOWS, flows);
    Ok(reply.finish(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_failure() {
        assert_eq!(encode(Some(7)).unwrap().lookup(FLOWS).unwrap().as_i32(), Some(7));
        assert_eq!(encode(None), Err(StatusCode::UnknownError));
    }
}
