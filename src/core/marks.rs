// SPDX-License-Identifier: GPL-2.0-or-later
//! What our sets hold about single connections, and what they have counted.
//!
//! It is the kernel's state, not the plan's: it is read with every survey, put into every table
//! that is made, and never compared with anything. Connections go by conntrack's id, whose bytes
//! on the wire are the keys.

use litemap::LiteMap;
use std::time::{Duration, Instant};

use super::control::Control;
use super::plan::{leak_key, Class, SET_BYPASS, SET_LEAKED, SET_WATCHED};
use crate::netlink::nftables::query::Snapshot;
use crate::netlink::nftables::{Counted, Element, Set};

/// What is left of an element that is not worth a place in a new set.
const NEARLY_OVER: Duration = Duration::from_millis(100);

/// The elements of our sets that no plan decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Connections that stay on the classic path, and until when.
    pub bypassed: LiteMap<u32, Mark>,
    /// Connections whose leaked packets are counted, and until when.
    pub watched: LiteMap<u32, Mark>,
    /// Packets of offloaded flows on the classic path: of those in software only, and of those in
    /// hardware. `None` before they were counted.
    pub leaked: Option<[Counted; 2]>,
}

/// What belongs to a connection in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub until: Instant,
    /// `None` in a set that does not count.
    pub counted: Option<Counted>,
}

/// The key of a connection.
pub(super) fn key(id: u32) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

impl Marks {
    /// What a snapshot read at `now` holds; `None` when there is no table that could hold any.
    pub fn of(snapshot: &Snapshot, now: Instant) -> Option<Marks> {
        if snapshot.tables.is_empty() {
            return None;
        }
        let mut marks = Marks::default();
        for set in &snapshot.sets {
            match set.name.as_str() {
                SET_BYPASS => take(&mut marks.bypassed, set, now),
                SET_WATCHED => take(&mut marks.watched, set, now),
                SET_LEAKED => {
                    let counted = |hardware| {
                        let element = set.elements.get(&leak_key(hardware));
                        element.and_then(|element| element.counted).unwrap_or_default()
                    };
                    marks.leaked = Some([counted(false), counted(true)]);
                }
                _ => (),
            }
        }
        Some(marks)
    }

    /// The class with the marks in its sets, as they are at `now`.
    pub fn fill(&self, class: &Class, now: Instant) -> Class {
        let mut class = class.clone();
        for set in &mut class.sets {
            match set.name.as_str() {
                SET_BYPASS => set.elements = elements(&self.bypassed, now),
                SET_WATCHED => set.elements = elements(&self.watched, now),
                SET_LEAKED => {
                    for (hardware, counted) in [false, true].into_iter().zip(self.leaked()) {
                        if let Some(element) = set.elements.get_mut(&leak_key(hardware)) {
                            element.counted = Some(counted);
                        }
                    }
                }
                _ => (),
            }
        }
        class
    }

    fn leaked(&self) -> [Counted; 2] {
        self.leaked.unwrap_or_default()
    }
}

impl Control {
    /// Keeps what a survey read.
    pub(super) fn take_snapshot(&mut self, snapshot: Snapshot, now: Instant) {
        // Marks outlive tables that somebody else deletes: they go into the next ones.
        let marks = Marks::of(&snapshot, now);
        let leaked = marks.as_ref().and_then(|marks| marks.leaked);
        self.leaks.read(leaked.map(|paths| paths.map(|counted| counted.packets)), now);
        if let Some(marks) = marks {
            let leaked = marks.leaked.or(self.marks.leaked);
            self.marks = Marks { leaked, ..marks };
        }
        self.snapshot = Some(snapshot);
    }
}

/// Adds what a set holds; of several marks of a connection the longest counts. An element that never
/// expires is not ours.
fn take(marks: &mut LiteMap<u32, Mark>, set: &Set, now: Instant) {
    for (key, element) in &set.elements {
        let id = key.as_slice().try_into().map(u32::from_be_bytes);
        let until = element.expires.and_then(|expires| now.checked_add(expires));
        let (Ok(id), Some(until)) = (id, until) else { continue };
        if marks.get(&id).is_none_or(|mark| mark.until < until) {
            marks.insert(id, Mark { until, counted: element.counted });
        }
    }
}

fn elements(marks: &LiteMap<u32, Mark>, now: Instant) -> LiteMap<Vec<u8>, Element> {
    let mut elements = LiteMap::new();
    for (id, mark) in marks {
        let left = mark.until.saturating_duration_since(now);
        if left >= NEARLY_OVER {
            elements.insert(key(*id), Element { expires: Some(left), counted: mark.counted });
        }
    }
    elements
}
