// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel said to each device, kept as long as the device stays the same.

use crate::core::device_names::DeviceNames;
use litemap::LiteMap;

use super::control::Control;
use super::devices::Device;
use super::links::Links;
use super::plan;
use super::settings::{Mode, Settings};
use crate::netlink::route::Link;

/// The kernel's answer to a dry run with one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The device is taken.
    Takes,
    /// The device is refused, in these words.
    Refuses(String),
    /// There is no such device any more, in these words.
    Gone(String),
    /// The kernel could not be asked, or failed for a reason that has nothing to do with the
    /// device (memory, permission).
    Unknown(String),
}

/// Answers by device. One counts only while its device looks as it did when it was asked.
#[derive(Debug, Default)]
pub struct Answers {
    by_name: LiteMap<String, (Option<Link>, Option<String>)>,
}

impl Answers {
    /// Keeps an answer: nothing, or the refusal in words.
    pub fn keep(&mut self, name: &str, refusal: Option<String>, links: &Links) {
        self.by_name.insert(name.to_owned(), (links.named(name).cloned(), refusal));
    }

    /// Forgets every answer.
    pub fn clear(&mut self) {
        self.by_name.clear();
    }

    /// Forgets the answers of devices that have changed since.
    pub fn prune(&mut self, links: &Links) {
        self.by_name.retain(|name, (link, _)| links.named(name) == link.as_ref());
    }

    /// The answer for a device: `None` when it has not been asked.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.by_name.get(name).map(|(_, refusal)| refusal.as_deref())
    }

    /// Devices that were refused, with the kernel's words, by name.
    pub fn refusals(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_name.iter().filter_map(|(name, (_, refusal))| {
            refusal.as_deref().map(|words| (name.as_str(), words))
        })
    }
}

impl Control {
    /// Devices that may offload to hardware and have not been asked yet. One that is in a
    /// flowtable of ours with the hardware flag is not asked: some drivers refuse to be bound twice.
    pub(super) fn unprobed(&self, settings: &Settings) -> Vec<String> {
        let asks = settings.enabled && settings.requested >= Mode::Hardware;
        if !asks || self.kernel.flowtable == Some(false) {
            return Vec::new();
        }
        let bound = self.bound_to_hardware();
        let unknown = |device: &&Device| {
            plan::may_offload(device)
                && self.hardware.get(&device.name).is_none()
                && !bound.contains(&device.name)
        };
        self.devices.iter().filter(unknown).map(|device| device.name.clone()).collect()
    }

    pub(super) fn capable(&self) -> DeviceNames {
        let bound = self.bound_to_hardware();
        let names = self.devices.iter().map(|device| device.name.clone());
        names
            .filter(|name| !self.evidence.bars(name))
            .filter(|name| match self.hardware.get(name) {
                Some(refusal) => refusal.is_none(),
                None => bound.contains(name),
            })
            .collect()
    }

    /// Devices in flowtables of ours with the hardware flag, those of partitions too.
    pub(super) fn bound_to_hardware(&self) -> DeviceNames {
        let flowtables = self.flowtables(true).filter(|flowtable| flowtable.hardware);
        flowtables.flat_map(|flowtable| flowtable.devices.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::links::tests::link;

    #[test]
    fn answers_go_with_their_device() {
        let mut links = Links::default();
        links.replace(vec![link(2, "lan0"), link(3, "wan0")]);
        let mut answers = Answers::default();
        answers.keep("lan0", None, &links);
        answers.keep("wan0", Some("no".into()), &links);
        assert_eq!(answers.get("lan0"), Some(None));
        assert_eq!(answers.refusals().collect::<Vec<_>>(), [("wan0", "no")]);
        links.replace(vec![link(2, "lan0"), link(9, "wan0")]);
        answers.prune(&links);
        assert_eq!((answers.get("lan0"), answers.get("wan0")), (Some(None), None));
    }
}
