// SPDX-License-Identifier: GPL-2.0-or-later
//! What our sets hold about single connections, and what they have counted.
//!
//! It is the kernel's state, not the plan's: it is read with every survey, put into every table
//! that is made, and never compared with anything. Connections go by conntrack's id, whose bytes
//! on the wire are the keys.

use std::collections::BTreeMap;
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
    pub bypassed: BTreeMap<u32, Instant>,
    /// Connections whose leaked packets are counted.
    pub watched: BTreeMap<u32, Watched>,
    /// Packets of offloaded flows on the classic path: of those in software only, and of those in
    /// hardware. `None` before they were counted.
    pub leaked: Option<[Counted; 2]>,
}

/// A connection whose leaked packets are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watched {
    pub until: Instant,
    pub counted: Counted,
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
                SET_BYPASS => marks.take_bypassed(set, now),
                SET_WATCHED => marks.take_watched(set, now),
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

    fn take_bypassed(&mut self, set: &Set, now: Instant) {
        for (id, until, _) in of_connections(set, now) {
            let longest = self.bypassed.entry(id).or_insert(until);
            *longest = (*longest).max(until);
        }
    }

    fn take_watched(&mut self, set: &Set, now: Instant) {
        for (id, until, counted) in of_connections(set, now) {
            self.watched.insert(id, Watched { until, counted });
        }
    }

    /// The class with the marks in its sets, as they are at `now`.
    pub fn fill(&self, class: &Class, now: Instant) -> Class {
        let mut class = class.clone();
        for set in &mut class.sets {
            match set.name.as_str() {
                SET_BYPASS => {
                    let ends = self.bypassed.iter().map(|(id, until)| (*id, *until, None));
                    set.elements = elements(ends, now);
                }
                SET_WATCHED => {
                    let watched = self.watched.iter();
                    let ends = watched.map(|(id, w)| (*id, w.until, Some(w.counted)));
                    set.elements = elements(ends, now);
                }
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

/// Id, end and count of each element; one that never expires is not ours.
fn of_connections(set: &Set, now: Instant) -> impl Iterator<Item = (u32, Instant, Counted)> + '_ {
    set.elements.iter().filter_map(move |(key, element)| {
        let id = u32::from_be_bytes(key.as_slice().try_into().ok()?);
        let until = now.checked_add(element.expires?)?;
        Some((id, until, element.counted.unwrap_or_default()))
    })
}

fn elements(
    ends: impl Iterator<Item = (u32, Instant, Option<Counted>)>,
    now: Instant,
) -> BTreeMap<Vec<u8>, Element> {
    ends.filter_map(|(id, until, counted)| {
        let left = until.saturating_duration_since(now);
        (left >= NEARLY_OVER).then(|| (key(id), Element { expires: Some(left), counted }))
    })
    .collect()
}
