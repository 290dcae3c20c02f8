// SPDX-License-Identifier: GPL-2.0-or-later
//! A package as plain data, the common form of what both readers find.

use std::fmt;

use flowtabled::uci::package::{Package, Place, Section, Value};

/// Bytes that print as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.escape_ascii())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Bytes(bytes.to_vec())
    }
}

/// An option's value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// One value.
    Text(Bytes),
    /// A list's entries.
    List(Vec<Bytes>),
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its type.
    pub kind: Bytes,
    /// Its name, generated or not.
    pub name: Bytes,
    /// Was it written without a name?
    pub anonymous: bool,
    /// Names and values of its options.
    pub options: Vec<(Bytes, Content)>,
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Its name.
    pub name: Bytes,
    /// Its sections.
    pub sections: Vec<Branch>,
}

impl Tree {
    /// The tree with the options of each section in alphabetical order.
    pub fn sorted(mut self) -> Self {
        for section in &mut self.sections {
            section.options.sort();
        }
        self
    }
}

/// The tree that libuci of 2021 should have found.
///
/// It moved an option to the end of its section with each new value; libuci since March 2023, and
/// the reader, leave it where it is. An option's place is where it got its value, so ordering by
/// place gives the old order. Options of one line cannot be told apart that way: then a second
/// tree is given, to be compared with the sorted one.
pub fn expected(package: &Package) -> (Tree, Option<Tree>) {
    let tree = Tree {
        name: package.name.as_bytes().into(),
        sections: package.sections.iter().map(branch).collect(),
    };
    let shared_line = package.sections.iter().any(|section| {
        let mut places: Vec<Place> = section.options.iter().map(|o| o.place).collect();
        places.sort();
        places.windows(2).any(|two| matches!(two, [a, b] if a == b))
    });
    let loose = shared_line.then(|| tree.clone().sorted());
    (tree, loose)
}

fn branch(section: &Section) -> Branch {
    let mut options: Vec<_> = section.options.iter().collect();
    options.sort_by_key(|option| option.place);
    let options = options.into_iter().map(|option| {
        let content = match &option.value {
            Value::Text(value) => Content::Text(value.as_slice().into()),
            Value::List(items) => {
                Content::List(items.iter().map(|item| item.value.as_slice().into()).collect())
            }
        };
        (option.name.as_bytes().into(), content)
    });
    Branch {
        kind: section.kind.as_bytes().into(),
        name: section.name.as_bytes().into(),
        anonymous: section.anonymous,
        options: options.collect(),
    }
}
