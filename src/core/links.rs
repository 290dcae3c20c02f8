// SPDX-License-Identifier: GPL-2.0-or-later
//! The network devices of this namespace and how they stand on one another.

use litemap::LiteMap;

use crate::netlink::route::{Link, LinkEvent};

/// More devices than any router has; beyond it new ones are not covered, and counted.
const LINKS_MAX: usize = 4096;

/// All devices by index.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Links {
    by_index: LiteMap<u32, Link>,
    /// Devices left out because the table was full.
    pub left_out: u64,
}

impl Links {
    /// Forgets everything and takes this list; true when anything is different.
    pub fn replace(&mut self, links: Vec<Link>) -> bool {
        let before = std::mem::take(&mut self.by_index);
        for link in links {
            self.insert(link);
        }
        before != self.by_index
    }

    /// Takes one change; true when anything is different. Most link messages are about carrier
    /// or addresses and make no difference here.
    pub fn apply(&mut self, event: LinkEvent) -> bool {
        match event {
            LinkEvent::Gone(index) => self.by_index.remove(&index).is_some(),
            LinkEvent::New(link) if self.by_index.get(&link.index) == Some(&link) => false,
            LinkEvent::New(link) => self.insert(link),
        }
    }

    fn insert(&mut self, link: Link) -> bool {
        if self.by_index.len() >= LINKS_MAX && !self.by_index.contains_key(&link.index) {
            self.left_out += 1;
            return false;
        }
        self.by_index.insert(link.index, link);
        true
    }

    /// The device of this name.
    pub fn named(&self, name: &str) -> Option<&Link> {
        self.by_index.values().find(|link| link.name == name)
    }

    /// The device of this index.
    pub fn indexed(&self, index: u32) -> Option<&Link> {
        self.by_index.get(&index)
    }

    /// The index of the bridge, bond or team that the device of this name is a port of.
    pub fn master_of(&self, name: &str) -> Option<u32> {
        self.named(name)?.master
    }

    /// The devices whose master is `index`, in order of their indexes.
    pub fn ports_of(&self, index: u32) -> impl Iterator<Item = &Link> {
        self.by_index.values().filter(move |link| link.master == Some(index))
    }

    /// All devices.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.by_index.values()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A device as the kernel describes it.
    pub fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.into(),
            kind: String::new(),
            loopback: false,
            master: None,
            lower: None,
            lower_elsewhere: false,
            vlan_id: None,
            wireless: false,
            mac: None,
            mtu: 1500,
            up: true,
        }
    }

    #[test]
    fn only_relevant_changes_count() {
        let mut links = Links::default();
        assert!(links.apply(LinkEvent::New(link(2, "lan0"))));
        assert!(!links.apply(LinkEvent::New(link(2, "lan0"))));
        assert!(links.apply(LinkEvent::New(link(2, "lan1"))));
        assert!(links.apply(LinkEvent::Gone(2)));
        assert!(!links.apply(LinkEvent::Gone(2)));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut links = Links::default();
        links.replace((1..=5000).map(|index| link(index, &format!("d{index}"))).collect());
        assert_eq!(links.iter().count(), LINKS_MAX);
        assert_eq!(links.left_out, 5000 - LINKS_MAX as u64);
    }
}
