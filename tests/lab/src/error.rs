// SPDX-License-Identifier: GPL-2.0-or-later
//! The one error of this developer's tool: a message for a person.
//!
//! Nothing here reacts to the kind of a failure, it is only ever shown; so there is no enum, but
//! each level adds what it was doing.

use std::fmt;

/// What went wrong, the outermost activity first.
#[derive(Debug)]
pub struct Error(String);

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Error(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Says what was being done when something failed or was missing.
pub trait Context<T> {
    /// Puts `doing` in front of the cause.
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|cause| Error(format!("{doing}: {cause}")))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Error(doing.to_string()))
    }
}
