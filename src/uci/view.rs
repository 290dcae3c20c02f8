// SPDX-License-Identifier: GPL-2.0-or-later
//! Reading the options of a section as typed values.
//!
//! What a boolean or a list is, is what firewall4 takes for one. A value that is used and cannot
//! be accepted is an error with its file and line; an option that nobody asks for is never judged.

use super::error::Error;
use super::files::Source;
use super::package::{Opt, Place, Section, Value};
use super::statement::text;
use crate::netlink::nftables::set::IFNAME_MAX;

/// What firewall4 accepts as a boolean.
pub const BOOLEAN: &str = "1, on, true, yes, 0, off, false or no";

/// What is accepted as a whole number that may be negative.
pub const INTEGER: &str = "a whole number from -2147483648 to 2147483647";

/// One value of an option and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The value; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Where it was written.
    pub place: Place,
}

/// A section and the files it came from.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    source: &'a Source,
    /// The section itself.
    pub section: &'a Section,
}

impl<'a> View<'a> {
    /// The sections of one type, in order.
    pub fn of_kind(source: &'a Source, kind: &'a str) -> impl Iterator<Item = View<'a>> {
        source.package.of_kind(kind).map(move |section| View { source, section })
    }

    /// Every section, in order.
    pub fn all(source: &'a Source) -> impl Iterator<Item = View<'a>> {
        source.package.sections.iter().map(move |section| View { source, section })
    }

    /// The single value of an option, `None` if it is not set; a list is an error.
    pub fn single(&self, name: &str, accepted: &'static str) -> Result<Option<Word>, Error> {
        let Some(option) = self.section.option(name) else { return Ok(None) };
        match &option.value {
            Value::Text(value) => Ok(Some(Word { text: text(value), place: option.place })),
            Value::List(items) => {
                let all: Vec<_> = items.iter().map(|item| text(&item.value)).collect();
                let word = Word { text: all.join(" "), place: option.place };
                Err(self.refuse(name, &word, accepted))
            }
        }
    }

    /// A whole number, `None` if it is not set.
    pub fn integer(&self, name: &str) -> Result<Option<i32>, Error> {
        let Some(word) = self.single(name, INTEGER)? else { return Ok(None) };
        word.text.parse().map(Some).map_err(|_| self.refuse(name, &word, INTEGER))
    }

    /// A boolean, `default` if it is not set.
    pub fn boolean(&self, name: &str, default: bool) -> Result<bool, Error> {
        let Some(word) = self.single(name, BOOLEAN)? else { return Ok(default) };
        match word.text.as_str() {
            "1" | "on" | "true" | "yes" => Ok(true),
            "0" | "off" | "false" | "no" => Ok(false),
            _ => Err(self.refuse(name, &word, BOOLEAN)),
        }
    }

    /// The entries of a list as they are, or the blank-separated words of a single value.
    pub fn words(&self, name: &str) -> Vec<Word> {
        match self.section.option(name) {
            None => Vec::new(),
            Some(Opt { value: Value::Text(value), place, .. }) => text(value)
                .split_ascii_whitespace()
                .map(|word| Word { text: word.to_string(), place: *place })
                .collect(),
            Some(Opt { value: Value::List(items), .. }) => items
                .iter()
                .map(|item| Word { text: text(&item.value), place: item.place })
                .collect(),
        }
    }

    /// The error for a value that is not accepted.
    pub fn refuse(&self, option: &str, word: &Word, accepted: &'static str) -> Error {
        Error::Value {
            path: self.source.path(word.place).to_path_buf(),
            line: word.place.line,
            option: option.to_string(),
            value: word.text.clone(),
            accepted,
        }
    }

    /// The error for an option that is not there.
    pub fn missing(&self, option: &'static str) -> Error {
        Error::MissingOption {
            path: self.source.path(self.section.place).to_path_buf(),
            line: self.section.place.line,
            option,
            section: self.section.kind.clone(),
        }
    }

    /// The warning about a name that no device can have; `None` for any other.
    pub fn no_device(&self, name: &str, place: Place) -> Option<String> {
        (name.len() > IFNAME_MAX).then(|| {
            let shown = name.escape_debug();
            let why = format!("no device has a name of more than {IFNAME_MAX} bytes");
            self.warn(place, &format!("device '{shown}' is left out, {why}"))
        })
    }

    /// A warning about something at a place.
    pub fn warn(&self, place: Place, what: &str) -> String {
        format!("{}:{}: {what}", self.source.path(place).display(), place.line)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::uci::package::Package;
    use std::path::PathBuf;

    /// A source from text alone, under the name `/c/<name>`.
    pub fn source(name: &str, text: &str) -> Source {
        Source {
            package: Package::parse(name, text.as_bytes()).unwrap(),
            config_path: PathBuf::from("/c").join(name),
            delta_path: PathBuf::from("/s").join(name),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn booleans_are_firewall4s() {
        let source = source("x", "config a\noption t on\noption f no\noption b YES\nlist l 1\n");
        let view = View::all(&source).next().unwrap();
        assert!(view.boolean("t", false).unwrap());
        assert!(!view.boolean("f", true).unwrap());
        assert!(view.boolean("unset", true).unwrap());
        let shown = view.boolean("b", true).unwrap_err().to_string();
        assert_eq!(shown, format!("/c/x:4: bad value 'YES' of option 'b', expected {BOOLEAN}"));
        assert!(view.boolean("l", true).is_err());
    }

    #[test]
    fn words_come_from_lists_and_single_values() {
        let source = source("x", "config a\noption s ' a\tb  c '\nlist l 'a b'\nlist l c\n");
        let view = View::all(&source).next().unwrap();
        let texts = |name| view.words(name).into_iter().map(|w| w.text).collect::<Vec<_>>();
        assert_eq!(texts("s"), ["a", "b", "c"]);
        assert_eq!(texts("l"), ["a b", "c"]);
        assert_eq!(view.words("l")[1].place.line, 4);
        assert!(view.words("unset").is_empty());
    }
}
