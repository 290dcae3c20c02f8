// SPDX-License-Identifier: GPL-2.0-or-later
//! Packets of offloaded flows that take the classic path all the same, and what that says.
//!
//! Conntrack's offload bits only say that a flow object exists. Some packets of every flow leak:
//! those that were on their way when it was offloaded. When a good part of what a class carries
//! does, the flows are offloaded in name only.

use std::time::{Duration, Instant};

use log::Level;

use super::control::{Control, Effect};

/// A number for flows in software only, and for flows in hardware.
pub(super) type ByPath = [u64; 2];

/// Rates are of at least this much time.
const RATE_SPAN: Duration = Duration::from_secs(1);
/// Fewer packets than these are what flows leak when they are offloaded.
const NOTABLE_PACKETS: u64 = 100;
/// A class leaks when more than one packet of so many does.
const NOTABLE_PART: u64 = 10;
/// Calm for so long is the end of leaking.
const CALM: Duration = Duration::from_secs(10);

/// What was counted, and what it was judged to be.
#[derive(Debug, Default)]
pub(super) struct Leaks {
    /// The last reading.
    reading: Option<ByPath>,
    totals: ByPath,
    /// Totals at an earlier reading, from which the next rates are made.
    rated: Option<(Instant, ByPath)>,
    rates: [Option<u64>; 2],
    /// Where the interval under judgement began: leaked and carried.
    since: [Option<Mark>; 2],
    found: [Option<Finding>; 2],
}

/// Totals of a class at an instant.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    leaked: u64,
    carried: u64,
}

/// Packets of an interval in which a class leaked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finding {
    pub leaked: u64,
    pub carried: u64,
}

impl Leaks {
    /// A reading of the kernel's counts; `None` while there are none.
    pub fn read(&mut self, reading: Option<ByPath>, now: Instant) {
        if let Some(counts) = reading {
            let last = self.reading.unwrap_or_default();
            for ((total, count), last) in self.totals.iter_mut().zip(counts).zip(last) {
                // A count that went down has begun anew: somebody else made or reset it.
                *total = total.saturating_add(count.checked_sub(last).unwrap_or(count));
            }
            self.reading = reading;
        }
        match self.rated {
            Some((then, before)) => {
                let span = now.saturating_duration_since(then);
                if span >= RATE_SPAN {
                    self.rates = rates(before, self.totals, span);
                    self.rated = Some((now, self.totals));
                }
            }
            None => self.rated = reading.map(|_| (now, self.totals)),
        }
    }

    /// Totals since the first count was found, which never go backwards; `None` before that.
    pub fn totals(&self) -> Option<ByPath> {
        self.reading.map(|_| self.totals)
    }

    /// Packets a second between the last readings.
    pub fn rates(&self) -> [Option<u64>; 2] {
        self.rates
    }

    /// What was found about flows in software, and in hardware.
    pub fn findings(&self) -> [Option<Finding>; 2] {
        self.found
    }

    /// Judges what leaked against what flows of each path have carried in all; `None` when nobody
    /// knows that.
    pub fn judge(&mut self, carried: Option<ByPath>, now: Instant) {
        let Some(carried) = carried.filter(|_| self.reading.is_some()) else {
            self.since = [None; 2];
            self.found = [None; 2];
            return;
        };
        let totals = self.totals.into_iter().zip(carried);
        for ((since, found), (leaked, carried)) in
            self.since.iter_mut().zip(&mut self.found).zip(totals)
        {
            let here = Mark { at: now, leaked, carried };
            let mark = since.get_or_insert(here);
            let leaked = leaked.saturating_sub(mark.leaked);
            let carried = carried.saturating_sub(mark.carried);
            let judged = if leaked >= NOTABLE_PACKETS {
                let notable = leaked.saturating_mul(NOTABLE_PART) > carried;
                *found = notable.then_some(Finding { leaked, carried });
                true
            } else {
                let calm = now.saturating_duration_since(mark.at) >= CALM;
                if calm {
                    *found = None;
                }
                calm
            };
            if judged {
                *since = Some(here);
            }
        }
    }

    /// One line about the classes that are offloaded in name only.
    pub fn finding(&self) -> Option<String> {
        let lines: Vec<String> = ["software", "hardware"]
            .into_iter()
            .zip(self.found)
            .filter_map(|(path, found)| {
                let Finding { leaked, carried } = found?;
                // What leaked was carried too, if not counted in the same list.
                Some(format!("{path}: {leaked} of {} packets", carried.max(leaked)))
            })
            .collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }
}

impl Control {
    /// Holds what leaked against what flows carried, and tells the log when that changes.
    pub(super) fn judge_leaks(&mut self, carried: [u64; 2], now: Instant) -> Vec<Effect> {
        let before = self.leaks.finding();
        let known = self.counts() && self.kernel.accounting != Some(false);
        self.leaks.judge(known.then_some(carried), now);
        match (before, self.leaks.finding()) {
            (None, Some(line)) => {
                let line = format!("offloaded flows still take the classic path: {line}");
                vec![Effect::Log(Level::Warn, line)]
            }
            (Some(_), None) => {
                let line = "offloaded flows do not take the classic path any more";
                vec![Effect::Log(Level::Info, line.into())]
            }
            _ => Vec::new(),
        }
    }
}

fn rates(before: ByPath, after: ByPath, span: Duration) -> [Option<u64>; 2] {
    let milliseconds = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
    let [software, hardware] = before;
    let [software_now, hardware_now] = after;
    let rate = |before: u64, after: u64| {
        Some(after.saturating_sub(before).saturating_mul(1000) / milliseconds)
    };
    [rate(software, software_now), rate(hardware, hardware_now)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn totals_never_go_backwards() {
        let now = Instant::now();
        let mut leaks = Leaks::default();
        leaks.read(None, now);
        assert_eq!(leaks.totals(), None);
        leaks.read(Some([5, 1]), now);
        leaks.read(Some([7, 1]), now + SECOND);
        assert_eq!((leaks.totals(), leaks.rates()), (Some([7, 1]), [Some(2), Some(0)]));
        leaks.read(Some([3, 0]), now + SECOND * 3);
        assert_eq!((leaks.totals(), leaks.rates()), (Some([10, 1]), [Some(1), Some(0)]));
        leaks.read(None, now + SECOND * 4);
        assert_eq!((leaks.totals(), leaks.rates()), (Some([10, 1]), [Some(0), Some(0)]));
        leaks.read(Some([4, 0]), now + SECOND * 5);
        assert_eq!(leaks.totals(), Some([11, 1]), "the same table as before");
    }

    #[test]
    fn a_class_leaks_when_more_than_a_tenth_does_and_until_it_is_calm() {
        let now = Instant::now();
        let mut leaks = Leaks::default();
        let mut look = |leaked, carried, second| {
            leaks.read(Some(leaked), now + SECOND * second);
            leaks.judge(Some(carried), now + SECOND * second);
            leaks.finding()
        };
        assert_eq!(look([500, 0], [600, 0], 0), None, "nobody knows when that was");
        assert_eq!(look([599, 0], [700, 0], 2), None, "too few");
        let found = Some("software: 100 of 101 packets".to_owned());
        assert_eq!(look([600, 0], [701, 0], 4), found);
        assert_eq!(look([600, 0], [10_000, 0], 13), found, "not calm for long enough");
        assert_eq!(look([600, 0], [10_000, 0], 14), None);
        assert_eq!(look([700, 300], [11_000, 3000], 16), None, "a tenth and no more");
        let found = Some("software: 200 of 1000 packets, hardware: 301 of 3000 packets".to_owned());
        assert_eq!(look([900, 601], [12_000, 6000], 18), found);
        assert_eq!(look([1000, 701], [20_000, 16_000], 20), None, "a little of a lot");
    }

    #[test]
    fn what_is_not_counted_cannot_be_judged() {
        let now = Instant::now();
        let mut leaks = Leaks::default();
        leaks.read(Some([0, 0]), now);
        leaks.judge(Some([0, 0]), now);
        leaks.read(Some([1000, 0]), now + SECOND);
        leaks.judge(Some([1000, 0]), now + SECOND);
        assert!(leaks.finding().is_some());
        leaks.judge(None, now + SECOND * 2);
        assert_eq!(leaks.finding(), None);
        leaks.read(Some([5000, 0]), now + SECOND * 3);
        leaks.judge(Some([1000, 0]), now + SECOND * 3);
        assert_eq!(leaks.finding(), None, "a first look again");
    }
}
