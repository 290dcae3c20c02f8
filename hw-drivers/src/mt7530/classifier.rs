// SPDX-License-Identifier: GPL-2.0-or-later
//! Rules of the ACL: which are in the chip, which patterns they have in common, and how one comes
//! and goes.
//!
//! A rule is 16-bit patterns, a mask that names them, and what is done: an action or a rate. It
//! comes in the order patterns, mask, and at last what is done, and goes in the reverse one. So at no
//! moment is anything done to a frame that does not match the whole rule, neither when a transfer
//! fails nor should a mask without patterns match every frame (that it matches none is only
//! deduced). All entries are read back as they are written.

use super::rule::{Action, Inexpressible, Pattern, Rule};
use super::tables::{self, Table};
use super::vlan::{Damage, Watch};
use crate::bus::Bus;
use crate::table::{self, Progress, Resource};
use std::collections::VecDeque;
use std::fmt;

/// Rules that the chip holds: its masks, actions and rate limiters.
pub const MAX_RULES: usize = 32;

/// Patterns that it holds for all rules.
pub const MAX_PATTERNS: usize = 64;

/// A rule, by a number that stays the same for as long as it is in the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u8);

/// Why the classifier did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The chip is not set up, or has been reset since.
    NotReady,
    /// The change before is not finished.
    Busy,
    /// The chip cannot express the rule; no register was touched.
    Inexpressible(Inexpressible),
    /// All [`MAX_RULES`] rules are in use.
    FullRules,
    /// There are too few patterns.
    FullPatterns {
        /// Patterns that the rule needs and has in common with no other.
        needed: usize,
        /// Patterns that are free.
        free: usize,
    },
    /// The rule is there already.
    Exists(RuleId),
    /// A frame could match this rule too, and which of the two the chip applies is not known.
    Overlaps(RuleId),
    /// There is no such rule.
    NoRule(RuleId),
    /// The entry of a VLAN is another one than before the change.
    Vlan(Damage),
    /// The chip or the bus failed.
    Chip(table::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotReady => write!(f, "the classifier is not set up"),
            Error::Busy => write!(f, "the change of a rule before is not finished"),
            Error::Inexpressible(what) => write!(f, "the classifier cannot express {what}"),
            Error::FullRules => write!(f, "all {MAX_RULES} rules are in use"),
            Error::FullPatterns { needed, free } => {
                write!(f, "the rule needs {needed} patterns more and {free} are free")
            }
            Error::Exists(RuleId(id)) => write!(f, "the rule is number {id} already"),
            Error::Overlaps(RuleId(id)) => write!(f, "a frame could match rule {id} too"),
            Error::NoRule(RuleId(id)) => write!(f, "there is no rule {id}"),
            Error::Vlan(damage) => {
                write!(f, "VLAN {} has changed with the change of a rule", damage.vlan)
            }
            Error::Chip(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<table::Error> for Error {
    fn from(error: table::Error) -> Error {
        Error::Chip(error)
    }
}

impl From<Error> for table::Error {
    fn from(error: Error) -> table::Error {
        match error {
            Error::NotReady => table::Error::NotReady,
            Error::FullRules | Error::FullPatterns { .. } => table::Error::Full(Resource::Rules),
            Error::Vlan(Damage { before, after, .. }) => {
                let second = usize::from(before.words[0] == after.words[0]);
                let word = |words: [u32; 2]| words.get(second).copied().unwrap_or_default();
                let at = u32::try_from(second).unwrap_or_default();
                table::Error::Mismatch { at, wanted: word(before.words), found: word(after.words) }
            }
            Error::Chip(error) => error,
            Error::Busy => table::Error::Driver("a classifier's change before is not finished"),
            Error::Inexpressible(_) | Error::Exists(_) | Error::Overlaps(_) | Error::NoRule(_) => {
                table::Error::Driver("a rule that the classifier does not take")
            }
        }
    }
}

/// A rule that has its place.
#[derive(Debug, Clone)]
struct Held {
    rule: Rule,
    /// Its patterns and where they are.
    patterns: Vec<(Pattern, u8)>,
}

impl Held {
    fn mask(&self) -> [u32; 2] {
        self.patterns.iter().fold([0, 0], |[low, high], (_, place)| match place {
            0..=31 => [low | 1 << place, high],
            _ => [low, high | 1 << (place & 31)],
        })
    }
}

/// One table operation of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Reads a watched VLAN, by its place.
    Before(usize),
    Write(Table, u16, [u32; 2]),
    /// Reads it again and compares.
    After(usize),
}

/// A change that is being made.
#[derive(Debug, Clone)]
struct Job {
    id: RuleId,
    /// The rule is to be gone at the end.
    removes: bool,
    steps: VecDeque<Step>,
}

/// The rules.
#[derive(Debug, Clone)]
pub(super) struct Classifier {
    rules: Vec<Option<Held>>,
    /// Patterns with the number of rules that use each.
    patterns: Vec<Option<(Pattern, u8)>>,
    job: Option<Job>,
    /// Where the audit goes on.
    audited: u16,
    pub(super) watch: Watch,
}

impl Classifier {
    pub(super) fn new() -> Classifier {
        Classifier {
            rules: vec![None; MAX_RULES],
            patterns: vec![None; MAX_PATTERNS],
            job: None,
            audited: 0,
            watch: Watch::default(),
        }
    }

    /// Forgets all rules; the chip's tables are empty or about to be.
    pub(super) fn forget(&mut self) {
        self.rules.fill(None);
        self.patterns.fill(None);
        self.job = None;
        self.audited = 0;
    }

    /// Rules whose change is finished.
    pub(super) fn rules(&self) -> impl Iterator<Item = (RuleId, Rule)> + '_ {
        let changing = self.job.as_ref().map(|job| job.id);
        let numbered = (0u8..).map(RuleId).zip(&self.rules);
        numbered
            .filter(move |(id, _)| Some(*id) != changing)
            .filter_map(|(id, held)| held.as_ref().map(|held| (id, held.rule)))
    }

    /// Patterns in use.
    pub(super) fn patterns_used(&self) -> usize {
        self.patterns.iter().flatten().count()
    }

    /// A change is not finished.
    pub(super) fn is_busy(&self) -> bool {
        self.job.is_some()
    }

    /// Finds places for a rule and plans the steps; touches no register.
    pub(super) fn insert(
        &mut self,
        rule: &Rule,
        classified: u8,
        trap: bool,
    ) -> Result<RuleId, Error> {
        if self.job.is_some() {
            return Err(Error::Busy);
        }
        let wanted = rule.patterns(classified, trap).map_err(Error::Inexpressible)?;
        for (id, held) in (0u8..).map(RuleId).zip(&self.rules) {
            let Some(held) = held else { continue };
            if held.rule == *rule {
                return Err(Error::Exists(id));
            }
            let others: Vec<_> = held.patterns.iter().map(|(pattern, _)| *pattern).collect();
            if rule.conflicts(&wanted, &held.rule, &others) {
                return Err(Error::Overlaps(id));
            }
        }
        let (id, index) = (0u8..)
            .zip(&self.rules)
            .find(|(_, held)| held.is_none())
            .map(|(id, _)| (RuleId(id), u16::from(id)))
            .ok_or(Error::FullRules)?;
        let known =
            |pattern: &Pattern| self.patterns.iter().flatten().any(|(there, _)| there == pattern);
        let needed = wanted.iter().filter(|pattern| !known(pattern)).count();
        let free = MAX_PATTERNS.saturating_sub(self.patterns_used());
        if needed > free {
            return Err(Error::FullPatterns { needed, free });
        }
        let mut steps = self.before();
        let mut patterns = Vec::with_capacity(wanted.len());
        for pattern in wanted {
            let (place, fresh) = self.place(pattern).ok_or(Error::FullPatterns { needed, free })?;
            if fresh {
                steps.push_back(Step::Write(Table::Pattern, u16::from(place), pattern.words()));
            }
            patterns.push((pattern, place));
        }
        let held = Held { rule: *rule, patterns };
        steps.push_back(Step::Write(Table::Mask, index, held.mask()));
        steps.push_back(match rule.action {
            Action::Rate(_) => Step::Write(Table::Rate, index, [rule.rate_word(), 0]),
            _ => Step::Write(Table::Action, index, [rule.action_word(), 0]),
        });
        self.after(&mut steps);
        if let Some(slot) = self.rules.get_mut(usize::from(index)) {
            *slot = Some(held);
        }
        self.job = Some(Job { id, removes: false, steps });
        Ok(id)
    }

    /// Plans the removal of a rule; touches no register.
    pub(super) fn remove(&mut self, id: RuleId) -> Result<(), Error> {
        if self.job.is_some() {
            return Err(Error::Busy);
        }
        if self.held(id).is_none() {
            return Err(Error::NoRule(id));
        }
        let steps = self.removal(id, self.before());
        self.job = Some(Job { id, removes: true, steps });
        Ok(())
    }

    /// Turns an insertion that is not finished into a removal; one that is being made goes on.
    pub(super) fn abandon(&mut self) {
        if let Some(job) = self.job.take() {
            let job = match job.removes {
                true => job,
                false => {
                    let steps = self.removal(job.id, VecDeque::new());
                    Job { removes: true, steps, ..job }
                }
            };
            self.job = Some(job);
        }
    }

    /// What is done goes first, then the mask.
    fn removal(&self, RuleId(index): RuleId, mut steps: VecDeque<Step>) -> VecDeque<Step> {
        for table in [Table::Action, Table::Rate, Table::Mask] {
            steps.push_back(Step::Write(table, u16::from(index), [0, 0]));
        }
        self.after(&mut steps);
        steps
    }

    fn before(&self) -> VecDeque<Step> {
        (0..self.watch.len()).map(Step::Before).collect()
    }

    fn after(&self, steps: &mut VecDeque<Step>) {
        steps.extend((0..self.watch.len()).map(Step::After));
    }

    fn held(&self, RuleId(index): RuleId) -> Option<&Held> {
        self.rules.get(usize::from(index))?.as_ref()
    }

    /// The place of a pattern, and whether it is new there.
    fn place(&mut self, pattern: Pattern) -> Option<(u8, bool)> {
        let mut free = None;
        for (index, slot) in (0u8..).zip(&mut self.patterns) {
            match slot {
                Some((there, users)) if *there == pattern => {
                    *users = users.saturating_add(1);
                    return Some((index, false));
                }
                None if free.is_none() => free = Some((index, slot)),
                _ => {}
            }
        }
        let (index, slot) = free?;
        *slot = Some((pattern, 1));
        Some((index, true))
    }

    /// Gives the places of a rule back, once the chip has forgotten it.
    fn release(&mut self, RuleId(index): RuleId) {
        let held = self.rules.get_mut(usize::from(index)).and_then(Option::take);
        for (_, place) in held.into_iter().flat_map(|held| held.patterns) {
            if let Some(slot) = self.patterns.get_mut(usize::from(place)) {
                *slot = slot.and_then(|(pattern, users)| match users {
                    0 | 1 => None,
                    _ => Some((pattern, users - 1)),
                });
            }
        }
    }

    /// Makes one step of the change at hand.
    ///
    /// # Errors
    /// The step failed and is made again with the next call; or [`Error::Vlan`], after which the
    /// change goes on.
    pub(super) fn advance<B: Bus>(&mut self, bus: &mut B) -> Result<Progress, Error> {
        let Some(job) = self.job.as_mut() else { return Ok(Progress::Done) };
        let mut damage = None;
        match job.steps.front().copied() {
            Some(Step::Before(place)) => {
                if place == 0 {
                    self.watch.begin();
                }
                self.watch.read_before(bus, place)?;
            }
            Some(Step::Write(table, index, words)) => {
                self.watch.wrote(words);
                tables::write(bus, table, index, words)?;
            }
            Some(Step::After(place)) => damage = self.watch.compare(bus, place)?,
            None => {}
        }
        job.steps.pop_front();
        let finished = job.steps.is_empty().then_some((job.id, job.removes));
        if let Some((id, removes)) = finished {
            self.job = None;
            if removes {
                self.release(id);
            }
        }
        match damage {
            Some(damage) => Err(Error::Vlan(damage)),
            None if finished.is_some() => Ok(Progress::Done),
            None => Ok(Progress::More),
        }
    }

    /// Compares one entry of the chip with what should be there, and writes it if it is not.
    /// [`Progress::Done`] when all have been looked at.
    ///
    /// # Errors
    /// [`Error::Busy`]; [`table::Error::Mismatch`] for an entry that was wrong and is right now;
    /// the bus.
    pub(super) fn audit<B: Bus>(&mut self, bus: &mut B) -> Result<Progress, Error> {
        if self.job.is_some() {
            return Err(Error::Busy);
        }
        let Some((table, index, words)) = self.expected(self.audited) else {
            self.audited = 0;
            return Ok(Progress::Done);
        };
        // A pattern that no rule uses may hold anything.
        if let Some(words) = words {
            let found = tables::read(bus, table, index)?;
            let pair = (0u32..).zip(words.into_iter().zip(found));
            let wrong = pair.into_iter().find(|(_, (wanted, found))| wanted != found);
            if let Some((at, (wanted, found))) = wrong {
                tables::write(bus, table, index, words)?;
                self.audited = self.audited.saturating_add(1);
                return Err(table::Error::Mismatch { at, wanted, found }.into());
            }
        }
        self.audited = self.audited.saturating_add(1);
        Ok(Progress::More)
    }

    /// The entry of this number among all: what is done first, then masks, then patterns.
    fn expected(&self, number: u16) -> Option<(Table, u16, Option<[u32; 2]>)> {
        let index = number % MAX_RULES as u16;
        let held = self.held(RuleId(index as u8));
        Some(match number / MAX_RULES as u16 {
            0 => {
                let word = held.map_or(0, |held| held.rule.action_word());
                (Table::Action, index, Some([word, 0]))
            }
            1 => {
                let word = held.map_or(0, |held| held.rule.rate_word());
                (Table::Rate, index, Some([word, 0]))
            }
            2 => (Table::Mask, index, Some(held.map_or([0, 0], Held::mask))),
            _ => {
                let place = number.checked_sub(3 * MAX_RULES as u16)?;
                let slot = self.patterns.get(usize::from(place))?;
                (Table::Pattern, place, slot.map(|(pattern, _)| pattern.words()))
            }
        })
    }

    /// Empties the entry of this number; false when there is none more. The patterns are left:
    /// without a mask they do nothing.
    pub(super) fn clear<B: Bus>(bus: &mut B, number: u16) -> Result<bool, table::Error> {
        let index = number % MAX_RULES as u16;
        let table = match number / MAX_RULES as u16 {
            0 => Table::Action,
            1 => Table::Rate,
            2 => Table::Mask,
            _ => return Ok(false),
        };
        tables::write(bus, table, index, [0, 0])?;
        Ok(true)
    }
}
