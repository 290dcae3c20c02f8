// SPDX-License-Identifier: GPL-2.0-or-later
//! Uncommitted changes, laid over a package.
//!
//! `uci set` and LuCI write changes to a file in the save directory until they are committed, and
//! every reader of UCI sees them. A line is one word, `[+-@^|~]package.section[.option][=value]`.
//! A line that cannot be read, or that changes what is not there, is passed over as libuci does;
//! the former are reported so that they can be shown.

use super::lexer::Lexer;
use super::package::{Origin, Package, Place, Value};
use super::statement::{is_name, is_type, text, Fault};

/// The kinds of change, by the first byte of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// `+`: add an anonymous section under a name generated before; on an option, as `Set`.
    Add,
    /// `-`: remove a section, an option, or one entry of a list by its index.
    Remove,
    /// `@`: rename a section or option.
    Rename,
    /// `^`: move a section to an index.
    Reorder,
    /// `|`: append to a list.
    Append,
    /// `~`: remove all equal entries of a list.
    Drop,
    /// No prefix: set an option, or the type of a section.
    Set,
}

/// One readable line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change<'a> {
    verb: Verb,
    section: &'a str,
    option: Option<&'a str>,
    /// Empty when absent: only `Remove` may lack it, and for that the two mean the same.
    value: &'a [u8],
}

/// Lines that could not be read, belong to another package or make it larger than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unread {
    /// The first of them, from 1.
    pub first: Option<u32>,
    /// How many there are.
    pub count: usize,
}

impl Unread {
    fn add(&mut self, line: u32) {
        self.first = self.first.or(Some(line));
        self.count = self.count.saturating_add(1);
    }
}

/// Most lines of changes that are applied. Each looks for its section, and some move all behind it.
pub const LINES_MAX: usize = 16_384;

/// Applies the changes in `text` to the package, in order.
pub fn apply(package: &mut Package, text: &[u8]) -> Unread {
    let mut unread = Unread::default();
    let mut lexer = Lexer::new(text);
    while lexer.next_line() {
        let line = lexer.line();
        let place = Place { origin: Origin::Delta, line };
        // One word to a line; the lexer takes one blank after it, in practice the newline.
        let word = match lexer.word() {
            Ok(word) if lexer.at_end() => word,
            _ => {
                unread.add(line);
                continue;
            }
        };
        match parse(&word, &package.name).map(|change| perform(package, &change, place)) {
            Some(Ok(())) => (),
            Some(Err(_)) | None => unread.add(line),
        }
    }
    unread
}

/// Takes a line's word apart; `None` if it is no change of this package.
fn parse<'a>(word: &'a [u8], package: &str) -> Option<Change<'a>> {
    let (first, rest) = word.split_first()?;
    let (verb, rest) = match first {
        b'+' => (Verb::Add, rest),
        b'-' => (Verb::Remove, rest),
        b'@' => (Verb::Rename, rest),
        b'^' => (Verb::Reorder, rest),
        b'|' => (Verb::Append, rest),
        b'~' => (Verb::Drop, rest),
        _ => (Verb::Set, word),
    };
    let (path, value) = match rest.iter().position(|b| *b == b'=') {
        Some(at) => (rest.get(..at)?, rest.get(at + 1..)),
        None => (rest, None),
    };
    let mut names = std::str::from_utf8(path).ok()?.split('.');
    let (owner, section, option) = (names.next()?, names.next()?, names.next());
    let value_ok = match (verb, value) {
        (_, Some(value)) if !value.iter().all(|b| is_text(*b)) => false,
        (Verb::Remove, _) => true,
        (_, None) => false,
        (Verb::Rename, Some(value)) => is_name(value),
        (Verb::Reorder, _) => option.is_none(),
        (Verb::Append | Verb::Drop, _) => option.is_some(),
        (Verb::Add | Verb::Set, _) => true,
    };
    let names_ok = owner == package
        && is_name(section.as_bytes())
        && option.is_none_or(|o| is_name(o.as_bytes()))
        && names.next().is_none();
    (names_ok && value_ok).then_some(Change {
        verb,
        section,
        option,
        value: value.unwrap_or_default(),
    })
}

/// What libuci lets a changed value hold: no control bytes but tab and the two of a line's end.
fn is_text(byte: u8) -> bool {
    byte >= 32 || matches!(byte, b'\t' | b'\n' | b'\r')
}

/// Does what the change says, or nothing if it does not apply.
///
/// # Errors
/// The package or a section is full.
fn perform(package: &mut Package, change: &Change<'_>, place: Place) -> Result<(), Fault> {
    let index = package.find(change.section);
    match (change.verb, change.option, index) {
        (Verb::Add | Verb::Set, None, _) => return set_section(package, index, change, place),
        (Verb::Remove, None, Some(index)) => {
            package.sections.remove(index);
        }
        (Verb::Rename, None, Some(index)) => {
            if let Some(section) = package.sections.get_mut(index) {
                section.name = text(change.value);
                section.anonymous = false;
            }
        }
        (Verb::Reorder, None, Some(index)) => {
            let section = package.sections.remove(index);
            let wanted = leading_number(change.value).unwrap_or(0);
            let wanted = usize::try_from(wanted).unwrap_or(0).min(package.sections.len());
            package.sections.insert(wanted, section);
        }
        (_, Some(name), Some(index)) => return change_option(package, index, name, change, place),
        (_, None, _) | (_, _, None) => {}
    }
    Ok(())
}

/// Makes a section, or gives it another type; an empty type removes it.
fn set_section(
    package: &mut Package,
    index: Option<usize>,
    change: &Change<'_>,
    place: Place,
) -> Result<(), Fault> {
    if change.value.is_empty() {
        if let Some(index) = index {
            package.sections.remove(index);
        }
        return Ok(());
    }
    if !is_type(change.value) {
        return Ok(());
    }
    let kind = text(change.value);
    if index.is_none() {
        package.add(&kind, Some(change.section), place)?;
    }
    let index = index.unwrap_or(package.sections.len().saturating_sub(1));
    if let Some(section) = package.sections.get_mut(index) {
        section.kind = kind;
        section.anonymous |= change.verb == Verb::Add;
    }
    Ok(())
}

fn change_option(
    package: &mut Package,
    section: usize,
    name: &str,
    change: &Change<'_>,
    place: Place,
) -> Result<(), Fault> {
    let Some(section) = package.sections.get_mut(section) else { return Ok(()) };
    let index = section.options.iter().position(|o| o.name == name);
    match change.verb {
        Verb::Add | Verb::Set if !change.value.is_empty() => {
            section.set(name, change.value.to_vec(), place)?;
        }
        Verb::Append => section.append(name, change.value.to_vec(), place)?,
        _ => {}
    }
    let Some(index) = index else { return Ok(()) };
    let Some(option) = section.options.get_mut(index) else { return Ok(()) };
    match (change.verb, &mut option.value) {
        (Verb::Add | Verb::Set, _) if change.value.is_empty() => {
            section.options.remove(index);
        }
        (Verb::Remove, Value::List(items)) if !change.value.is_empty() => {
            let at = leading_number(change.value).and_then(|n| usize::try_from(n).ok());
            if let Some(at) = at.filter(|at| *at < items.len()) {
                items.remove(at);
            }
        }
        (Verb::Remove, _) => {
            section.options.remove(index);
        }
        (Verb::Rename, _) => option.name = text(change.value),
        (Verb::Drop, Value::List(items)) => items.retain(|item| item.value != change.value),
        _ => {}
    }
    Ok(())
}

/// The decimal number at the beginning of a value, after blanks and a sign, as C reads it.
fn leading_number(value: &[u8]) -> Option<i32> {
    let value = value.trim_ascii_start();
    let (sign, digits) = match value.split_first() {
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        _ => (1, value),
    };
    let length = digits.iter().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    let digits = digits.get(..length).filter(|d| !d.is_empty())?;
    let number = digits
        .iter()
        .fold(0i32, |n, b| n.saturating_mul(10).saturating_add(i32::from(b.saturating_sub(b'0'))));
    Some(sign * number)
}

#[cfg(test)]
mod tests {
    use super::super::package::{OPTIONS_MAX, SECTIONS_MAX};
    use super::*;
    use proptest::prelude::*;

    const BASE: &str = "config a 'x'\noption k 1\nlist l p\nlist l q\nlist l p\nconfig b\n";

    /// The package after the changes, one line per section, and the unread lines.
    fn changed(delta: &str) -> (Vec<String>, Unread) {
        let mut package = Package::parse("net", BASE.as_bytes()).unwrap();
        let unread = apply(&mut package, delta.as_bytes());
        let shown = package.sections.iter().map(|section| {
            let mut line = format!("{}:{}", section.kind, section.name);
            for option in &section.options {
                let value = match &option.value {
                    Value::Text(value) => text(value),
                    Value::List(items) => {
                        let items: Vec<_> = items.iter().map(|i| text(&i.value)).collect();
                        format!("[{}]", items.join(","))
                    }
                };
                line += &format!(" {}={}", option.name, value);
            }
            line
        });
        (shown.collect(), unread)
    }

    fn first(delta: &str) -> String {
        let (sections, unread) = changed(delta);
        assert_eq!(unread, Unread::default());
        sections[0].clone()
    }

    #[test]
    fn options_are_set_and_removed() {
        assert_eq!(first("net.x.k='2'\nnet.x.n='a=b'\n"), "a:x k=2 l=[p,q,p] n=a=b");
        assert_eq!(first("-net.x.k\n"), "a:x l=[p,q,p]");
        assert_eq!(first("net.x.k=''\n"), "a:x l=[p,q,p]");
        assert_eq!(first("net.x.l='r'\n"), "a:x k=1 l=r");
        assert_eq!(first("@net.x.k='m'\n"), "a:x m=1 l=[p,q,p]");
    }

    #[test]
    fn lists_grow_and_shrink() {
        assert_eq!(first("|net.x.l='r'\n|net.x.k='2'\n"), "a:x k=[1,2] l=[p,q,p,r]");
        assert_eq!(first("~net.x.l='p'\n"), "a:x k=1 l=[q]");
        assert_eq!(first("-net.x.l='1'\n"), "a:x k=1 l=[p,p]");
        assert_eq!(first("-net.x.l='9'\n-net.x.l='-1'\n-net.x.l='z'\n"), "a:x k=1 l=[p,q,p]");
    }

    #[test]
    fn sections_are_made_renamed_moved_and_removed() {
        let anonymous = changed("").0[1].clone();
        assert_eq!(changed("+net.cfg03abcd='c'\n").0[2], "c:cfg03abcd");
        assert_eq!(changed("net.y='c'\n").0[2], "c:y");
        assert_eq!(changed("@net.x='y'\n").0[0], "a:y k=1 l=[p,q,p]");
        assert_eq!(changed("^net.x='1'\n").0[0], anonymous);
        assert_eq!(changed("^net.x='7'\n").0[0], anonymous);
        assert_eq!(changed("-net.x\n").0, [anonymous]);
    }

    #[test]
    fn places_point_into_the_delta() {
        let mut package = Package::parse("net", BASE.as_bytes()).unwrap();
        assert_eq!(apply(&mut package, b"\nnet.x.k='2'\n").first, Some(1));
        let place = package.sections[0].option("k").unwrap().place;
        assert_eq!(place, Place { origin: Origin::Delta, line: 2 });
    }

    #[test]
    fn unreadable_lines_are_passed_over() {
        let delta = "net.x.k=2 \nwan.x.k=2\nnet.@a[0].k=2\nnet.x.k\nnet.x.k.k=2\n@net.x='a b'\n\
                     ^net.x.k=1\n|net.x=1\nnet.x.k='\x01'\nnet.x.k=2\r\n'net.x.k=3\n";
        let (sections, unread) = changed(delta);
        assert_eq!(sections, changed("").0);
        assert_eq!(unread, Unread { first: Some(1), count: 11 });
    }

    #[test]
    fn changes_that_make_it_too_large_are_passed_over() {
        let mut package = Package::parse("net", BASE.as_bytes()).unwrap();
        let sections: String = (0..SECTIONS_MAX).map(|at| format!("net.s{at}='c'\n")).collect();
        let options: String = (0..OPTIONS_MAX).map(|at| format!("|net.x.o{at}='1'\n")).collect();
        let unread = apply(&mut package, (sections + &options).as_bytes());
        assert_eq!(package.sections.len(), SECTIONS_MAX);
        assert_eq!(package.sections[0].options.len(), OPTIONS_MAX);
        let first = u32::try_from(SECTIONS_MAX).unwrap() - 1;
        assert_eq!(unread, Unread { first: Some(first), count: 4 }, "two were there of each");
    }

    proptest! {
        #[test]
        fn any_bytes_end(delta in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut package = Package::parse("net", BASE.as_bytes()).unwrap();
            apply(&mut package, &delta);
        }

        #[test]
        fn a_value_set_reads_back(value in "[ -~äß\t\n]{1,20}") {
            let mut package = Package::parse("net", BASE.as_bytes()).unwrap();
            let delta = format!("net.x.new='{}'\n", value.replace('\'', r"'\''"));
            prop_assert_eq!(apply(&mut package, delta.as_bytes()), Unread::default());
            let option = package.section("x").unwrap().option("new").unwrap();
            prop_assert_eq!(&option.value, &Value::Text(value.into_bytes()));
        }
    }
}
