// SPDX-License-Identifier: GPL-2.0-or-later
//! What can be wrong with the configuration, each said in one line that names the file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::statement::Located;

/// Why the configuration could not be read.
#[derive(Debug)]
pub enum Error {
    /// A file that must exist does not.
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file that is a directory, device or the like.
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// Opening or reading failed.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// More than [`super::files::MAX_FILE_BYTES`].
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// Not UCI.
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line and fault.
        located: Located,
    },
    /// An option that is used has a value that is not accepted.
    Value {
        /// The file, which is the one of uncommitted changes if the value came from there.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
        /// Option name.
        option: String,
        /// The value as it was read; list entries one by one.
        value: String,
        /// What is accepted, as a phrase.
        accepted: &'static str,
    },
    /// An option that a section cannot do without is missing.
    MissingOption {
        /// The file.
        path: PathBuf,
        /// Line of the section, from 1.
        line: u32,
        /// Option name.
        option: &'static str,
        /// Section type.
        section: String,
    },
}

impl Error {
    /// The file that has to be put right.
    pub fn path(&self) -> &Path {
        match self {
            Error::Missing { path }
            | Error::NotRegular { path }
            | Error::Unreadable { path, .. }
            | Error::TooLarge { path, .. }
            | Error::Syntax { path, .. }
            | Error::Value { path, .. }
            | Error::MissingOption { path, .. } => path,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path().display())?;
        match self {
            Error::Missing { .. } => f.write_str(": no such file"),
            Error::NotRegular { .. } => f.write_str(": not a regular file"),
            Error::Unreadable { source, .. } => write!(f, ": {source}"),
            Error::TooLarge { limit, .. } => write!(f, ": larger than {limit} bytes"),
            Error::Syntax { located, .. } => write!(f, ":{}: {}", located.line, located.fault),
            Error::Value { line, option, value, accepted, .. } => write!(
                f,
                ":{line}: bad value '{}' of option '{option}', expected {accepted}",
                value.escape_debug()
            ),
            Error::MissingOption { line, option, section, .. } => {
                write!(f, ":{line}: missing option '{option}' in config {section}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uci::statement::Fault;

    #[test]
    fn every_message_is_one_line_that_begins_with_the_file() {
        let path = PathBuf::from("/etc/config/firewall");
        let errors = [
            Error::Missing { path: path.clone() },
            Error::NotRegular { path: path.clone() },
            Error::Unreadable { path: path.clone(), source: io::Error::other("broken") },
            Error::TooLarge { path: path.clone(), limit: 7 },
            Error::Syntax {
                path: path.clone(),
                located: Located { line: 3, fault: Fault::BadName("a\nb".into()) },
            },
            Error::Value {
                path: path.clone(),
                line: 9,
                option: "enabled".into(),
                value: "per\nhaps".into(),
                accepted: "0 or 1",
            },
            Error::MissingOption { path, line: 4, option: "name", section: "device".into() },
        ];
        for error in errors {
            let shown = error.to_string();
            assert!(shown.starts_with("/etc/config/firewall:"), "{shown}");
            assert!(!shown.contains('\n'), "{shown}");
        }
    }
}
