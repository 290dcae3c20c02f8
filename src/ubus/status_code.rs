// SPDX-License-Identifier: GPL-2.0-or-later
//! The bus's own status codes (`enum ubus_msg_status`), the only errors a caller gets.

/// Why a call failed. Success is not in the list: it is the `Ok` of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum StatusCode {
    /// The broker does not know the message type.
    InvalidCommand = 1,
    /// An argument has the wrong type, or the arguments are not well formed.
    InvalidArgument = 2,
    /// The object has no such method.
    MethodNotFound = 3,
    /// There is no such object, or no such thing as the argument names.
    NotFound = 4,
    /// The call succeeded but there is nothing to return.
    NoData = 5,
    /// An access list forbids it.
    PermissionDenied = 6,
    /// The answer took too long, too many calls are waiting for theirs, or it found no room on its
    /// way.
    Timeout = 7,
    /// The operation is not supported.
    NotSupported = 8,
    /// Anything else; also every code that we do not know.
    UnknownError = 9,
    /// The connection to the bus was lost.
    ConnectionFailed = 10,
    /// The peer is out of memory.
    NoMemory = 11,
    /// The message could not be parsed.
    ParseError = 12,
    /// A system call failed.
    SystemError = 13,
}

impl StatusCode {
    /// Every code, in numeric order.
    pub const ALL: [StatusCode; 13] = [
        StatusCode::InvalidCommand,
        StatusCode::InvalidArgument,
        StatusCode::MethodNotFound,
        StatusCode::NotFound,
        StatusCode::NoData,
        StatusCode::PermissionDenied,
        StatusCode::Timeout,
        StatusCode::NotSupported,
        StatusCode::UnknownError,
        StatusCode::ConnectionFailed,
        StatusCode::NoMemory,
        StatusCode::ParseError,
        StatusCode::SystemError,
    ];

    /// The number on the wire.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The code behind a number other than 0; unknown numbers become [`Self::UnknownError`].
    pub fn from_wire(code: i32) -> StatusCode {
        Self::ALL.into_iter().find(|s| s.code() == code).unwrap_or(StatusCode::UnknownError)
    }

    /// A few words for people, lower case, without a full stop.
    pub fn text(self) -> &'static str {
        match self {
            StatusCode::InvalidCommand => "invalid command",
            StatusCode::InvalidArgument => "invalid argument",
            StatusCode::MethodNotFound => "no such method",
            StatusCode::NotFound => "not found",
            StatusCode::NoData => "no data",
            StatusCode::PermissionDenied => "permission denied",
            StatusCode::Timeout => "timed out",
            StatusCode::NotSupported => "not supported",
            StatusCode::UnknownError => "failed",
            StatusCode::ConnectionFailed => "connection failed",
            StatusCode::NoMemory => "out of memory",
            StatusCode::ParseError => "message could not be parsed",
            StatusCode::SystemError => "system error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StatusCode;

    #[test]
    fn numbers_are_the_bus_numbers() {
        for (index, status) in StatusCode::ALL.into_iter().enumerate() {
            assert_eq!(status.code(), index as i32 + 1);
            assert_eq!(StatusCode::from_wire(status.code()), status);
        }
        assert_eq!(StatusCode::from_wire(99), StatusCode::UnknownError);
        assert_eq!(StatusCode::from_wire(-1), StatusCode::UnknownError);
    }
}
