// SPDX-License-Identifier: GPL-2.0-or-later
//! The arguments of a call, from the options and words of a command line.

use ubus::{BlobMsgTable, BlobType};

use super::explain::endpoint;
use crate::ubus::flows::CURSOR;
use crate::ubus::policy::{Argument, Arguments, Method, Policy};
use crate::ubus::{devices, evict, explain, flow_filter, methods, Request};

/// The option that says how long an eviction lasts.
pub const FOR: &str = "--for";

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An int32.
    Number(i32),
}

/// A call to the daemon. The values have been held against the daemon's own rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodCall {
    /// The method.
    pub policy: Policy,
    /// Its arguments.
    pub arguments: Vec<(&'static str, Value)>,
    /// Page by page to the end.
    pub all: bool,
}

impl MethodCall {
    /// A call without arguments.
    pub fn new(policy: Policy) -> MethodCall {
        MethodCall { policy, arguments: Vec::new(), all: false }
    }

    /// The arguments as they are sent, and where the page begins, unless it is the first.
    pub fn table(&self, cursor: Option<&str>) -> BlobMsgTable {
        BlobMsgTable::build(|b| {
            for (name, value) in &self.arguments {
                match value {
                    Value::Text(text) => b.put_str(Some(name), text),
                    Value::Number(number) => b.put_i32(Some(name), *number),
                }
            }
            if let Some(cursor) = cursor {
                b.put_str(Some(CURSOR), cursor);
            }
        })
    }

    /// Adds what an option says; `None` when the method has no such option, `false` when the
    /// daemon would refuse the value. Of several the last counts.
    pub fn add_option(&mut self, option: &str, text: &str) -> Option<bool> {
        let argument = argument(&self.policy, option)?;
        let value = match (option, argument.ty) {
            (FOR, _) => seconds(text).map(Value::Number),
            (_, BlobType::Int32) => text.parse().ok().map(Value::Number),
            _ => Some(Value::Text(text.to_owned())),
        };
        Some(value.is_some_and(|value| self.set(argument.name, value)))
    }

    /// Adds a word that is no option; `None` when it is one too many, `false` when it makes no
    /// sense.
    pub fn add_word(&mut self, position: usize, word: &str) -> Option<bool> {
        match (self.policy.method, position) {
            (Method::Devices, 0) => Some(self.set(devices::NAME, Value::Text(word.to_owned()))),
            (Method::Explain, 0) => Some(self.set_end(word, explain::SOURCE, explain::SOURCE_PORT)),
            (Method::Explain, 1) => {
                Some(self.set_end(word, explain::DESTINATION, explain::DESTINATION_PORT))
            }
            (Method::Explain, 2) => {
                Some(self.set(flow_filter::PROTOCOL, Value::Text(word.to_owned())))
            }
            _ => None,
        }
    }

    /// True when an argument of this name is there.
    pub fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|(name, _)| *name == argument)
    }

    /// True when the method has an argument of this name.
    pub fn takes(&self, argument: &str) -> bool {
        self.policy.arguments.iter().any(|known| known.name == argument)
    }

    /// True when the daemon takes the call as it is.
    pub fn is_complete(&self) -> bool {
        let table = self.table(None);
        let arguments = Arguments::check(&self.policy, table.contents());
        arguments.and_then(|arguments| Request::of(self.policy.method, &arguments)).is_ok()
    }

    fn set_end(&mut self, word: &str, address: &'static str, port: &'static str) -> bool {
        let Some((end, number)) = endpoint(word) else { return false };
        let mut good = self.set(address, Value::Text(end.to_string()));
        if let Some(number) = number {
            good &= self.set(port, Value::Number(number.into()));
        }
        good
    }

    fn set(&mut self, name: &'static str, value: Value) -> bool {
        self.arguments.retain(|(known, _)| *known != name);
        self.arguments.push((name, value));
        self.is_complete()
    }
}

/// True when some method has this option.
pub fn is_option(option: &str) -> bool {
    methods::METHODS.iter().any(|policy| argument(policy, option).is_some())
}

/// The argument that an option passes on. Where pages begin is nobody's business, and some are
/// given as words.
fn argument(policy: &Policy, option: &str) -> Option<&'static Argument> {
    let name = match option {
        FOR => evict::DURATION,
        option => option
            .strip_prefix("--")
            .filter(|name| ![CURSOR, evict::DURATION].contains(name))
            .filter(|_| !matches!(policy.method, Method::Devices | Method::Explain))?,
    };
    policy.arguments.iter().find(|argument| argument.name == name)
}

/// Seconds of a number with a unit, or without.
fn seconds(text: &str) -> Option<i32> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let unit = units
        .into_iter()
        .find_map(|(unit, seconds)| text.strip_suffix(unit).map(|number| (number, seconds)));
    let (number, unit) = unit.unwrap_or((text, 1));
    let decimal = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<i32>().ok().filter(|_| decimal)?.checked_mul(unit)
}
