// SPDX-License-Identifier: GPL-2.0-or-later
//! The arguments that say which flows a call is about, shared by all methods about flows.
//!
//! All are optional; one that makes no sense fails the call with "invalid argument".
//!
//! | argument | type | meaning |
//! |---|---|---|
//! | `state` | string | only `classic`, `software` or `hardware` |
//! | `address` | string | only with this address or prefix at either end |
//! | `port` | int32 | only with this port at either end |
//! | `protocol` | string | only of this name or number |
//! | `device` | string | only those that come in or go out by it, at any level |
//! | `host` | string | only those of the client with this MAC address, IP address or hostname |
//! | `partition` | string | only those that the flowtable in this table has |

use ubus::BlobType;

use super::policy::{Argument, Arguments};
use super::status_code::StatusCode;
use crate::core::flows::select::Filter;
use crate::core::flows::selection::Selection;
use crate::core::flows::FlowState;
use crate::netlink::conntrack::tuple::protocol_named;

/// The argument that names a state.
pub const STATE: &str = "state";
/// The argument that is an address or a prefix.
pub const ADDRESS: &str = "address";
/// The argument that is a port.
pub const PORT: &str = "port";
/// The argument that is a protocol's name or number.
pub const PROTOCOL: &str = "protocol";

/// The argument that names a device.
pub const DEVICE: &str = "device";
/// The argument that names a client.
pub const HOST: &str = "host";
/// The argument that names a table.
pub const PARTITION: &str = "partition";

/// The arguments of a filter.
pub const ARGUMENTS: [Argument; 7] = [
    Argument { name: STATE, ty: BlobType::String },
    Argument { name: ADDRESS, ty: BlobType::String },
    Argument { name: PORT, ty: BlobType::Int32 },
    Argument { name: PROTOCOL, ty: BlobType::String },
    Argument { name: DEVICE, ty: BlobType::String },
    Argument { name: HOST, ty: BlobType::String },
    Argument { name: PARTITION, ty: BlobType::String },
];

/// The arguments of a filter, and those of a method behind them; `N` is how many that makes.
#[allow(clippy::indexing_slicing)] // computed by the compiler, which refuses a wrong N
pub(super) const fn and<const N: usize>(more: &[Argument]) -> [Argument; N] {
    assert!(N == ARGUMENTS.len() + more.len());
    let mut all = [ARGUMENTS[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < ARGUMENTS.len() { ARGUMENTS[at] } else { more[at - ARGUMENTS.len()] };
        at += 1;
    }
    all
}

/// The filter that the arguments make.
///
/// # Errors
/// An argument makes no sense. None is ignored: that would be about other flows.
pub fn read(arguments: &Arguments<'_>) -> Result<Selection, StatusCode> {
    let string = |name| arguments.string(name);
    // An empty name is a mistake, not everything.
    let name = |argument| {
        valid(string(argument), |text: &str| (!text.is_empty()).then(|| text.to_owned()))
    };
    let filter = Filter {
        state: valid(string(STATE), FlowState::named)?,
        prefix: valid(string(ADDRESS), |text| text.parse().ok())?,
        port: valid(arguments.number(PORT), |port| port.try_into().ok())?,
        protocol: valid(string(PROTOCOL), protocol)?,
        ..Filter::default()
    };
    let (device, host, partition) = (name(DEVICE)?, name(HOST)?, name(PARTITION)?);
    Ok(Selection { filter, device, host, partition })
}

/// An argument that is absent, or that `read` makes something of.
pub(super) fn valid<T, U>(
    argument: Option<T>,
    read: impl Fn(T) -> Option<U>,
) -> Result<Option<U>, StatusCode> {
    argument.map(|value| read(value).ok_or(StatusCode::InvalidArgument)).transpose()
}

/// Number of a protocol that is given by name or number.
pub(super) fn protocol(text: &str) -> Option<u8> {
    let decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    protocol_named(text).or_else(|| text.parse().ok().filter(|_| decimal))
}
