// SPDX-License-Identifier: GPL-2.0-or-later
//! A set of names of devices.
//!
//! Sorted vectors in place of trees, here and where the core uses `LiteMap`: the sets are small or
//! seldom change, and each type of tree costs some kilobytes of code on the router.

use std::ops::Deref;

/// Names without repetition, sorted; what reads a slice reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceNames(Vec<String>);

impl DeviceNames {
    /// An empty set.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|known| known.as_str().cmp(name))
    }

    /// Whether this name is one of them.
    pub fn contains(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Adds a name.
    pub fn insert(&mut self, name: String) {
        if let Err(place) = self.place(&name) {
            self.0.insert(place, name);
        }
    }
}

impl Deref for DeviceNames {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl FromIterator<String> for DeviceNames {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }
}

impl Extend<String> for DeviceNames {
    fn extend<I: IntoIterator<Item = String>>(&mut self, names: I) {
        names.into_iter().for_each(|name| self.insert(name));
    }
}

impl IntoIterator for DeviceNames {
    type Item = String;
    type IntoIter = std::vec::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_there_once() {
        let mut names: DeviceNames =
            ["wan", "lan2", "wan", "lan1"].map(String::from).into_iter().collect();
        names.extend(["eth0", "lan1"].map(String::from));
        assert_eq!(*names, ["eth0", "lan1", "lan2", "wan"].map(String::from));
        assert!(names.contains("lan2"));
        assert!(!names.contains("lan3"));
    }
}
