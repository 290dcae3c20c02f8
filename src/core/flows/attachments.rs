// SPDX-License-Identifier: GPL-2.0-or-later
//! What was carried over each chain of devices, from the one that routing sees down to the port.
//!
//! A flow counts on every device of its chain: a client of a bridge on the bridge and on its port.
//! Chains are known by name, so that a session or a cable that comes back goes on counting.

use super::account::ByState;
use super::FlowState;
use crate::netlink::conntrack::entry::Counters;

/// Chains kept: more than a router has pairs of network and port. Further ones are not told apart.
const CHAINS_MAX: usize = 512;

/// One chain and what it has carried.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Names of the devices, the lowest last.
    pub devices: Vec<String>,
    /// What came in by it.
    pub received: ByState,
    /// What went out by it.
    pub sent: ByState,
}

/// Chains by number; a number is good for as long as the daemon runs.
#[derive(Debug, Default)]
pub struct Attachments {
    list: Vec<Attachment>,
    /// Flows whose chain was not kept because the table was full.
    pub left_out: u64,
}

impl Attachments {
    /// The number of a chain.
    pub(super) fn number(&mut self, devices: Vec<String>) -> Option<u16> {
        let known = self.list.iter().position(|attachment| attachment.devices == devices);
        if known.is_none() && (devices.is_empty() || self.list.len() >= CHAINS_MAX) {
            self.left_out += u64::from(!devices.is_empty());
            return None;
        }
        let number = known.unwrap_or_else(|| {
            let (received, sent) = (ByState::default(), ByState::default());
            self.list.push(Attachment { devices, received, sent });
            self.list.len() - 1
        });
        u16::try_from(number).ok()
    }

    pub(super) fn add(
        &mut self,
        number: u16,
        state: FlowState,
        received: Counters,
        sent: Counters,
    ) {
        let Some(attachment) = self.list.get_mut(usize::from(number)) else { return };
        for (sums, carried) in [(&mut attachment.received, received), (&mut attachment.sent, sent)]
        {
            if let Some(sum) = sums.get_mut(state as usize) {
                *sum = sum.plus(carried);
            }
        }
    }

    /// The chain of this number.
    pub fn get(&self, number: u16) -> Option<&Attachment> {
        self.list.get(usize::from(number))
    }

    /// All chains with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Attachment)> {
        (0u16..).zip(&self.list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_chain_has_one_number() {
        let mut table = Attachments::default();
        let first = table.number(names(&["br-lan", "lan1"])).unwrap();
        let second = table.number(names(&["br-lan", "lan2"])).unwrap();
        assert_ne!(first, second);
        assert_eq!(table.number(names(&["br-lan", "lan1"])), Some(first));
        assert_eq!(table.number(Vec::new()), None);
        let carried = |bytes| Counters { packets: 1, bytes };
        table.add(first, FlowState::Software, carried(5), carried(7));
        table.add(first, FlowState::Software, carried(5), carried(7));
        let attachment = table.get(first).unwrap();
        assert_eq!(attachment.received.map(|counters| counters.bytes), [0, 10, 0]);
        assert_eq!(attachment.sent.map(|counters| counters.bytes), [0, 14, 0]);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = Attachments::default();
        for number in 0..CHAINS_MAX + 3 {
            table.number(vec![format!("d{number}")]);
        }
        assert_eq!((table.iter().count(), table.left_out), (CHAINS_MAX, 3));
    }
}
