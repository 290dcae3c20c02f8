// SPDX-License-Identifier: GPL-2.0-or-later
//! A UCI package: sections of options, in file order, each with the line it came from.
//!
//! Built from statements here and changed afterwards by `delta`. Names may occur twice (a rename
//! can do that); as in libuci the first one is then the one that is found.

use super::statement::{Command, Fault, Located, Statements};

/// Most sections of a package. Each named one is looked for among those before it, which with the
/// hundred thousand that fit a file would take minutes on a router. Firewalls with generated rules
/// have some thousands.
pub const SECTIONS_MAX: usize = 4096;

/// Most options of a section, for the same reason; those with the most have some sixty.
pub const OPTIONS_MAX: usize = 256;

/// Which of a package's two files a section or option came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The committed file in the configuration directory.
    Config,
    /// The uncommitted changes in the save directory.
    Delta,
}

/// Where something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub origin: Origin,
    /// The line, from 1.
    pub line: u32,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The value, any bytes but NUL.
    pub value: Vec<u8>,
    /// Where it was written.
    pub place: Place,
}

/// What an option holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `option`: one value, never empty, any bytes but NUL.
    Text(Vec<u8>),
    /// `list`: the entries in order; none at all when changes removed each of them.
    List(Vec<Item>),
}

/// An option of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opt {
    /// Its name: ASCII letters, digits and `_`.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Where it got its present value; for a list, where it became one.
    pub place: Place,
}

/// A section of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its type (`zone` in `config zone`): printable ASCII.
    pub kind: String,
    /// Its name; generated (`cfg01abcd`) for an anonymous one.
    pub name: String,
    /// Was it written without a name?
    pub anonymous: bool,
    /// Its options in order.
    pub options: Vec<Opt>,
    /// Where it was opened first.
    pub place: Place,
}

impl Section {
    /// The first option of this name.
    pub fn option(&self, name: &str) -> Option<&Opt> {
        self.options.iter().find(|o| o.name == name)
    }

    /// Sets an option to one value, keeping its position among the options. An option that
    /// already has this value keeps its place too.
    pub(super) fn set(&mut self, name: &str, value: Vec<u8>, place: Place) -> Result<(), Fault> {
        let value = Value::Text(value);
        match self.options.iter_mut().find(|o| o.name == name) {
            Some(option) if option.value == value => {}
            Some(option) => {
                option.value = value;
                option.place = place;
            }
            None => return self.push(name, value, place),
        }
        Ok(())
    }

    fn push(&mut self, name: &str, value: Value, place: Place) -> Result<(), Fault> {
        if self.options.len() >= OPTIONS_MAX {
            return Err(Fault::TooManyOptions(OPTIONS_MAX));
        }
        self.options.push(Opt { name: name.to_string(), value, place });
        Ok(())
    }

    /// Appends to a list; a single value becomes the first entry of a new list.
    pub(super) fn append(&mut self, name: &str, value: Vec<u8>, place: Place) -> Result<(), Fault> {
        let item = Item { value, place };
        let Some(option) = self.options.iter_mut().find(|o| o.name == name) else {
            return self.push(name, Value::List(vec![item]), place);
        };
        match &mut option.value {
            Value::List(items) => items.push(item),
            Value::Text(first) => {
                let first = Item { value: std::mem::take(first), place: option.place };
                option.value = Value::List(vec![first, item]);
                option.place = place;
            }
        }
        Ok(())
    }
}

/// All sections of one configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The name of its file.
    pub name: String,
    /// Its sections in order.
    pub sections: Vec<Section>,
    /// Sections made so far: the counter inside generated names.
    made: u32,
}

impl Package {
    /// A package with no sections.
    pub fn new(name: &str) -> Self {
        Package { name: name.to_string(), sections: Vec::new(), made: 0 }
    }

    /// Reads the text of a configuration file. The first fault rejects the file whole, as in
    /// libuci; NUL bytes are a fault here and undefined there.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self, Located> {
        if let Some(at) = text.iter().position(|b| *b == 0) {
            let before = text.get(..at).unwrap_or_default();
            let newlines = before.iter().filter(|b| **b == b'\n').count();
            let line = u32::try_from(newlines).unwrap_or(u32::MAX).saturating_add(1);
            return Err(Located { line, fault: Fault::Nul });
        }
        let mut package = Package::new(name);
        let mut open = None;
        for statement in Statements::new(text) {
            let statement = statement?;
            let place = Place { origin: Origin::Config, line: statement.line };
            let section = open.and_then(|at| package.sections.get_mut(at));
            let done = match (statement.command, section) {
                (Command::Package, _) => Ok(()),
                (Command::Config { kind, name }, _) => {
                    package.open(&kind, name.as_deref(), place).map(|index| open = Some(index))
                }
                (_, None) => Err(Fault::NoSection),
                (Command::Option { value, .. }, _) if value.is_empty() => Ok(()),
                (Command::Option { name, value }, Some(section)) => {
                    section.set(&name, value, place)
                }
                (Command::List { name, value }, Some(section)) => {
                    section.append(&name, value, place)
                }
            };
            done.map_err(|fault| Located { line: place.line, fault })?;
        }
        Ok(package)
    }

    /// The sections of one type, in order.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections.iter().filter(move |s| s.kind == kind)
    }

    /// The first section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| s.name == name)
    }

    /// Index of the first section of this name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.sections.iter().position(|s| s.name == name)
    }

    /// Opens the section of a `config` line, an existing one if it is named; gives its index.
    fn open(&mut self, kind: &str, name: Option<&str>, place: Place) -> Result<usize, Fault> {
        if let Some((name, index)) = name.and_then(|n| self.find(n).map(|index| (n, index))) {
            return match self.sections.get(index) {
                Some(section) if section.kind != kind => {
                    Err(Fault::TypeChanged { name: name.to_string(), was: section.kind.clone() })
                }
                _ => Ok(index),
            };
        }
        self.add(kind, name, place)?;
        Ok(self.sections.len().saturating_sub(1))
    }

    /// Appends a section; one without a name gets a generated one.
    pub(super) fn add(
        &mut self,
        kind: &str,
        name: Option<&str>,
        place: Place,
    ) -> Result<(), Fault> {
        if self.sections.len() >= SECTIONS_MAX {
            return Err(Fault::TooManySections(SECTIONS_MAX));
        }
        self.made = self.made.wrapping_add(1);
        let section = Section {
            kind: kind.to_string(),
            name: name.map_or_else(|| generated_name(self.made, kind), str::to_string),
            anonymous: name.is_none(),
            options: Vec::new(),
            place,
        };
        self.sections.push(section);
        Ok(())
    }
}

/// The name of an anonymous section: its number in the package and 16 bits of the DJB hash
/// (h·33 + byte, from 5381) of its type. Uncommitted changes refer to sections by it.
fn generated_name(number: u32, kind: &str) -> String {
    let hash =
        kind.bytes().fold(5381u32, |h, b| h.wrapping_mul(33).wrapping_add(u32::from(b))) & 0xffff;
    format!("cfg{number:02x}{hash:04x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Package {
        Package::parse("test", text.as_bytes()).unwrap()
    }

    fn fault(text: &[u8]) -> (u32, Fault) {
        let located = Package::parse("test", text).unwrap_err();
        (located.line, located.fault)
    }

    fn values(option: &Opt) -> Vec<&[u8]> {
        match &option.value {
            Value::Text(value) => vec![value],
            Value::List(items) => items.iter().map(|i| i.value.as_slice()).collect(),
        }
    }

    #[test]
    fn sections_keep_names_types_and_lines() {
        let package = parse("\nconfig zone\n\toption name lan\n\nconfig interface 'wan'\n");
        let [zone, wan] = package.sections.as_slice() else { panic!("{package:?}") };
        assert_eq!((zone.kind.as_str(), zone.anonymous, zone.place.line), ("zone", true, 2));
        assert_eq!((wan.name.as_str(), wan.anonymous, wan.place.line), ("wan", false, 5));
        assert_eq!(zone.option("name").unwrap().place.line, 3);
    }

    /// Names that OpenWrt's own documentation shows for its default firewall file.
    #[test]
    fn anonymous_names_are_libucis() {
        let package = parse("config defaults\nconfig zone\nconfig zone\nconfig forwarding\n");
        let names: Vec<_> = package.sections.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["cfg01e63d", "cfg02dc81", "cfg03dc81", "cfg04ad58"]);
    }

    #[test]
    fn a_named_section_opens_again_with_its_type_only() {
        let package = parse("config a 'x'\noption k 1\nconfig b\nconfig a 'x'\noption k 2\n");
        assert_eq!(package.sections.len(), 2);
        assert_eq!(values(package.section("x").unwrap().option("k").unwrap()), [b"2"]);
        let changed = Fault::TypeChanged { name: "x".into(), was: "a".into() };
        assert_eq!(fault(b"config a x\nconfig b x\n"), (2, changed));
    }

    #[test]
    fn options_and_lists_replace_one_another() {
        let package = parse("config a\noption k 1\nlist k 2\nlist k ''\nlist l 3\noption l 4\n");
        let options = &package.sections[0].options;
        assert_eq!(values(&options[0]), [b"1".as_slice(), b"2", b""]);
        assert_eq!(values(&options[1]), [b"4"]);
        assert_eq!(options[1].place.line, 6);
    }

    #[test]
    fn an_empty_option_changes_nothing() {
        let package = parse("config a\noption k 1\noption k ''\noption l\n");
        assert_eq!(package.sections[0].options.len(), 1);
    }

    #[test]
    fn an_option_needs_a_section() {
        assert_eq!(fault(b"\noption a b\n"), (2, Fault::NoSection));
        assert_eq!(fault(b"config a\n\0\0\0"), (2, Fault::Nul));
    }

    #[test]
    fn a_flood_of_sections_or_options_is_refused_with_its_line() {
        let sections = |count: usize| (0..count).map(|at| format!("config a s{at}\n")).collect();
        let options = |count: usize| (0..count).map(|at| format!("option o{at} 1\n")).collect();
        let text: String = sections(SECTIONS_MAX);
        assert_eq!(parse(&text).sections.len(), SECTIONS_MAX);
        let again = text.clone() + "config a s7\noption k 1\n";
        assert_eq!(parse(&again).sections.len(), SECTIONS_MAX, "one that is there already");
        let line = u32::try_from(SECTIONS_MAX).unwrap() + 1;
        assert_eq!(
            fault((text + "config a\n").as_bytes()),
            (line, Fault::TooManySections(SECTIONS_MAX))
        );

        let many: String = options(OPTIONS_MAX);
        let text = format!("config a\n{many}option o7 2\nlist o8 2\n");
        assert_eq!(parse(&text).sections[0].options.len(), OPTIONS_MAX);
        let line = u32::try_from(OPTIONS_MAX).unwrap() + 4;
        for more in ["option more 1", "list more 1"] {
            let text = format!("{text}{more}\n");
            assert_eq!(fault(text.as_bytes()), (line, Fault::TooManyOptions(OPTIONS_MAX)));
        }
    }

    /// Text that reads back as the package, every value in single quotes.
    fn emit(package: &Package) -> String {
        let quoted = |value: &[u8]| String::from_utf8_lossy(value).replace('\'', r"'\''");
        let mut text = String::new();
        for section in &package.sections {
            text += &format!("config {}", section.kind);
            if !section.anonymous {
                text += &format!(" '{}'", section.name);
            }
            text += "\n";
            for option in &section.options {
                let command =
                    if matches!(option.value, Value::List(_)) { "list" } else { "option" };
                for value in values(option) {
                    text += &format!("\t{command} {} '{}'\n", option.name, quoted(value));
                }
            }
        }
        text
    }

    fn line_free(mut package: Package) -> Package {
        let place = Place { origin: Origin::Config, line: 0 };
        for section in &mut package.sections {
            section.place = place;
            for option in &mut section.options {
                option.place = place;
                if let Value::List(items) = &mut option.value {
                    items.iter_mut().for_each(|item| item.place = place);
                }
            }
        }
        package
    }

    prop_compose! {
        fn any_package()(
            sections in proptest::collection::vec(
                (
                    "[a-z][a-z0-9_-]{0,6}",
                    proptest::option::of("[a-z0-9_]{1,4}"),
                    proptest::collection::vec(("[a-z_]{1,2}", any::<bool>(), "[^\\x00]{0,12}"), 0..6),
                ),
                0..6,
            ),
        ) -> Package {
            let place = Place { origin: Origin::Config, line: 0 };
            let mut package = Package::new("test");
            for (kind, name, options) in sections {
                if let Ok(index) = package.open(&kind, name.as_deref(), place) {
                    for (name, list, value) in options {
                        let section = &mut package.sections[index];
                        if list {
                            section.append(&name, value.into_bytes(), place).unwrap();
                        } else if !value.is_empty() {
                            section.set(&name, value.into_bytes(), place).unwrap();
                        }
                    }
                }
            }
            package
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(input in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Package::parse("test", &input);
        }

        #[test]
        fn an_emitted_package_reads_back(package in any_package()) {
            let text = emit(&package);
            let again = Package::parse("test", text.as_bytes()).expect(&text);
            prop_assert_eq!(line_free(again), package);
        }
    }
}
