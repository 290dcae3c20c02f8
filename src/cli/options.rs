// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line of `flowtable`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::arguments::{is_option, MethodCall};
use crate::ubus::flows::LIMIT;
use crate::ubus::methods;
use crate::ubus::policy::Method;

/// How to show the live view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopOptions {
    /// Time between two questions to the daemon.
    pub interval: Duration,
    /// One frame, and no more.
    pub once: bool,
}

impl Default for TopOptions {
    fn default() -> TopOptions {
        TopOptions { interval: Duration::from_secs(2), once: false }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Call the daemon.
    Call(MethodCall),
    /// Show the live view, which calls several methods.
    Top(TopOptions),
}

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What to do.
    pub action: Action,
    /// Print the reply as JSON.
    pub json: bool,
    /// Socket of the broker, when one is named.
    pub socket: Option<PathBuf>,
}

/// What is wrong with a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageError {
    /// There is no command.
    NoCommand,
    /// There is no such command.
    UnknownCommand(String),
    /// There is no such option.
    UnknownOption(String),
    /// An option lacks its value.
    NoValue(String),
    /// An option does not take this value.
    BadValue(String, String),
    /// An option belongs to another command than this.
    Misplaced(String, String),
    /// Two options exclude each other.
    LimitOfAll,
    /// The live view is for people.
    JsonOfTop,
    /// An argument makes no sense.
    BadWord(String),
    /// An argument is missing.
    Incomplete(&'static str),
    /// An argument too many.
    Superfluous(String),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::NoCommand => f.write_str("no command"),
            UsageError::UnknownCommand(word) => write!(f, "unknown command '{word}'"),
            UsageError::UnknownOption(word) => write!(f, "unknown option '{word}'"),
            UsageError::NoValue(option) => write!(f, "{option} needs a value"),
            UsageError::BadValue(option, value) => write!(f, "{option} does not take '{value}'"),
            UsageError::Misplaced(option, command) => {
                write!(f, "{option} is no option of {command}")
            }
            UsageError::LimitOfAll => f.write_str("--limit and --all exclude each other"),
            UsageError::JsonOfTop => f.write_str("top has no --json; status and flows have"),
            UsageError::BadWord(word) => write!(f, "'{word}' makes no sense there"),
            UsageError::Incomplete(command) => write!(f, "{command} needs an argument"),
            UsageError::Superfluous(word) => write!(f, "unexpected argument '{word}'"),
        }
    }
}

const SOCKET: &str = "--ubus-socket";
const JSON: &str = "--json";
const ALL: &str = "--all";
const ONCE: &str = "--once";
const INTERVAL: &str = "--interval";
const TOP: &str = "top";

/// A command line taken apart.
#[derive(Default)]
struct Parts {
    words: Vec<String>,
    /// Options that belong to a command, with their values.
    options: Vec<(String, Option<String>)>,
    json: bool,
    socket: Option<PathBuf>,
}

impl Options {
    /// Parses the arguments after the program's name. Options may stand anywhere; `--help` and
    /// `--version` win over everything that follows them.
    pub fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Options, UsageError> {
        let mut parts = Parts::default();
        while let Some(arg) = args.next() {
            let word = arg.to_string_lossy();
            let (option, attached) = match word.split_once('=') {
                Some((option, value)) => (option, Some(OsString::from(value))),
                None => (word.as_ref(), None),
            };
            let mut value = || {
                let no_value = || UsageError::NoValue(option.to_owned());
                attached.clone().or_else(|| args.next()).ok_or_else(no_value)
            };
            match word.as_ref() {
                "-h" | "--help" => return Ok(only(Action::Help)),
                "-V" | "--version" => return Ok(only(Action::Version)),
                JSON => parts.json = true,
                ALL | ONCE => parts.options.push((word.into_owned(), None)),
                word if !word.starts_with('-') => parts.words.push(word.to_owned()),
                _ if option == SOCKET => parts.socket = Some(PathBuf::from(value()?)),
                _ if option == INTERVAL || is_option(option) => {
                    let value = value()?.to_string_lossy().into_owned();
                    parts.options.push((option.to_owned(), Some(value)));
                }
                word => return Err(UsageError::UnknownOption(word.to_owned())),
            }
        }
        let (json, socket) = (parts.json, parts.socket.clone());
        Ok(Options { action: parts.action()?, json, socket })
    }
}

impl Parts {
    fn action(self) -> Result<Action, UsageError> {
        let mut words = self.words.into_iter();
        let command = words.next().ok_or(UsageError::NoCommand)?;
        if command == TOP {
            if self.json {
                return Err(UsageError::JsonOfTop);
            }
            let superfluous = words.next().map(UsageError::Superfluous);
            return superfluous.map_or_else(|| top(self.options).map(Action::Top), Err);
        }
        let unknown = |_| UsageError::UnknownCommand(command.clone());
        let policy = methods::find(&command).map_err(unknown)?;
        let mut call = MethodCall::new(policy);
        for (position, word) in words.enumerate() {
            match call.add_word(position, &word) {
                Some(true) => (),
                Some(false) => return Err(UsageError::BadWord(word)),
                None => return Err(UsageError::Superfluous(word)),
            }
        }
        for (option, value) in self.options {
            let known = match &value {
                Some(value) => call.add_option(&option, value),
                None => (option == ALL && is_paged(policy.method)).then(|| {
                    call.all = true;
                    true
                }),
            };
            match known {
                Some(true) => (),
                Some(false) => return Err(UsageError::BadValue(option, value.unwrap_or_default())),
                None => return Err(UsageError::Misplaced(option, command)),
            }
        }
        if call.all && call.has(LIMIT) {
            return Err(UsageError::LimitOfAll);
        }
        if !call.is_complete() {
            return Err(UsageError::Incomplete(policy.name));
        }
        Ok(Action::Call(call))
    }
}

/// True when replies of the method say where the next page begins.
fn is_paged(method: Method) -> bool {
    matches!(method, Method::Flows | Method::Hosts)
}

fn top(options: Vec<(String, Option<String>)>) -> Result<TopOptions, UsageError> {
    let mut top = TopOptions::default();
    for (option, value) in options {
        match (option.as_str(), value) {
            (ONCE, _) => top.once = true,
            (INTERVAL, Some(value)) => {
                let bad = || UsageError::BadValue(INTERVAL.to_owned(), value.clone());
                top.interval = interval(&value).ok_or_else(bad)?;
            }
            _ => return Err(UsageError::Misplaced(option, TOP.to_owned())),
        }
    }
    Ok(top)
}

/// The interval of this many seconds. A second is what a small router can do beside its work.
fn interval(seconds: &str) -> Option<Duration> {
    let seconds = seconds.parse().ok().filter(|seconds| (1..=60).contains(seconds))?;
    Some(Duration::from_secs(seconds))
}

fn only(action: Action) -> Options {
    Options { action, json: false, socket: None }
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
