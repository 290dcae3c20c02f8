// SPDX-License-Identifier: GPL-2.0-or-later
//! Method `reload`: reads the configuration again and brings the kernel in line with it.
//!
//! It takes no arguments and returns nothing. When the configuration cannot be read the last good
//! one stays in force and the call fails with "unknown error", the one code that says of a call
//! that it was right and yet failed, and that every release of the `ubus` command can name:
//! "invalid argument" would blame the caller, who passed none. The words are in `last_error` of
//! `status` and in the log. Mistakes in single options are warnings; they do not fail the call.

use ubus::BlobMsgTable;

use super::policy::{Method, Policy};
use super::status_code::StatusCode;

/// The method takes no arguments.
pub const POLICY: Policy = Policy { method: Method::Reload, name: "reload", arguments: &[] };

/// The reply: empty when the configuration was read, an error when it was not.
pub fn encode(read: bool) -> Result<BlobMsgTable, StatusCode> {
    if read {
        Ok(BlobMsgTable::empty())
    } else {
        Err(StatusCode::UnknownError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_or_a_failure() {
        assert_eq!(encode(true).unwrap().contents(), b"");
        assert_eq!(encode(false), Err(StatusCode::UnknownError));
    }
}
