// SPDX-License-Identifier: GPL-2.0-or-later
//! What can go wrong between this process and the kernel.

use std::fmt;
use std::io;

use netlink_packet_core::DecodeError;

use super::ext_ack::Ack;
use super::message::Message;

/// A netlink fault, with what was being done to which object.
#[derive(Debug)]
pub enum Error {
    /// A socket call failed.
    Io {
        /// What was being done, e.g. `open the nf_tables socket`.
        doing: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
    /// The kernel refused a request.
    Refused(Refusal),
    /// The kernel did not answer in time.
    Timeout {
        /// What was asked.
        doing: &'static str,
    },
    /// The receive buffer overflowed: messages are lost, the state must be read again.
    Overrun,
    /// A dump was interrupted by changes more often than it was repeated.
    Interrupted {
        /// What was being listed.
        doing: &'static str,
    },
    /// A message of the kernel could not be understood.
    Malformed {
        /// What was being read.
        reading: &'static str,
        /// Which part was wrong.
        detail: String,
    },
}

/// A negative acknowledgement, tied to the object that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The request in words, e.g. `add flowtable ft of table inet flowtabled`.
    pub object: String,
    /// Name of the nf_tables table that it belongs to; empty for other requests.
    pub table: String,
    /// The offending value inside it (a device name), where the kernel pointed at one.
    pub culprit: Option<String>,
    /// Positive error number.
    pub errno: i32,
    /// The kernel's own words, where it had any.
    pub text: Option<String>,
}

impl Error {
    /// The error number of a refusal.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Refused(refusal) => Some(refusal.errno),
            Error::Io { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// A negative acknowledgement of a request that is about no object in particular.
    pub(crate) fn refused(doing: &'static str, message: &Message<'_>) -> Error {
        let ack = Ack::parse(message).unwrap_or_default();
        Error::Refused(Refusal {
            object: doing.into(),
            table: String::new(),
            culprit: None,
            errno: ack.errno,
            text: ack.text,
        })
    }

    /// Wraps a decoding fault.
    pub(crate) fn malformed(reading: &'static str, error: &DecodeError) -> Error {
        Error::Malformed { reading, detail: error.to_string() }
    }
}

/// The system's words for an error number, without the number.
pub fn errno_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel refused to {}", self.object)?;
        if let Some(culprit) = &self.culprit {
            write!(f, ", at {culprit}")?;
        }
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => write!(f, ": {}", errno_text(self.errno)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { doing, source } => write!(f, "cannot {doing}: {source}"),
            Error::Refused(refusal) => refusal.fmt(f),
            Error::Timeout { doing } => write!(f, "no answer from the kernel to {doing}"),
            Error::Overrun => write!(f, "netlink receive buffer overran, messages were lost"),
            Error::Interrupted { doing } => {
                write!(f, "{doing} was interrupted by changes too often")
            }
            Error::Malformed { reading, detail } => {
                write!(f, "malformed {reading} from the kernel: {detail}")
            }
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::{Error, Refusal};

    #[test]
    fn refusal_names_object_and_culprit() {
        let refusal = Refusal {
            object: "add flowtable ft".into(),
            table: "flowtabled".into(),
            culprit: Some("lan9".into()),
            errno: libc::ENOENT,
            text: None,
        };
        let line = Error::Refused(refusal).to_string();
        let expected = "the kernel refused to add flowtable ft, at lan9: No such file or directory";
        assert_eq!(line, expected);
    }
}
