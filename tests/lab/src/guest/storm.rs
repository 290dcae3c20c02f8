// SPDX-License-Identifier: GPL-2.0-or-later
//! A program is killed at random instants, again and again.

use super::generation;
use super::service::Service;
use crate::command::run;
use crate::console::Report;
use crate::error::{Context, Error, Result};
use crate::scenario::Action;
use serde_json::{json, Value as Json};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// So often the reader is told how far it is, which also shows that the guest is alive.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// No start takes longer.
const SPAN_MAX: Duration = Duration::from_secs(10);

/// Where the kills fell.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Kills before which something had been committed since the start.
    committed: u32,
    /// Kills before which nothing had.
    early: u32,
}

impl Outcome {
    /// One more kill; returns the span for the next one. It is longer after one that came too early to
    /// meet anything and shorter after another, whatever the machine's speed: some third come before
    /// the commit.
    fn count(&mut self, early: bool, span: Duration) -> Duration {
        if early {
            self.early += 1;
            (span * 3 / 2).min(SPAN_MAX)
        } else {
            self.committed += 1;
            span * 4 / 5
        }
    }

    /// As JSON.
    pub fn report(&self) -> Json {
        json!({ "committed": self.committed, "early": self.early })
    }
}

/// Kills the service so many times, each time at an instant within `span` after its start, and
/// starts it again when `command` has run. In the end it runs. Where there is a command it gives the
/// service something to commit, and the span follows how long that takes.
///
/// # Errors
/// It ended by itself, or does not start.
pub fn rage(service: &mut Service, times: u32, span: Duration, command: &str) -> Result<Outcome> {
    let mut instants = Instants(u64::from(times) | 1);
    let mut told = Instant::now();
    let mut outcome = Outcome::default();
    let mut span = span;
    let mut before = generation::current()?;
    for time in 0..times {
        thread::sleep(instants.within(span));
        let state = service.state();
        if state != "running" {
            return Err(Error::new(format!("after {time} kills it was not running but: {state}")));
        }
        service.act(Action::Kill)?;
        // The service is gone, so that nothing moves any more.
        let after = generation::current()?;
        let next = outcome.count(after == before, span);
        if !command.is_empty() {
            span = next;
            run(Command::new("sh").args(["-ec", command])).context(format!("kill {time}"))?;
        }
        before = generation::current()?;
        service.act(Action::Start)?;
        if told.elapsed() > TOLD_EVERY {
            told = Instant::now();
            Report::Held(format!("{} of {times} kills", time + 1)).send();
        }
    }
    Ok(outcome)
}

/// Random times, the same in each run; xorshift, after Marsaglia.
struct Instants(u64);

impl Instants {
    fn within(&mut self, span: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let span_us = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.0 % span_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_kills_come_before_the_commit() {
        for commit_ms in [40, 300, 2500] {
            let commit = Duration::from_millis(commit_ms);
            let (mut span, mut instants) = (Duration::from_millis(400), Instants(7));
            let mut outcome = Outcome::default();
            for _ in 0..1000 {
                span = outcome.count(instants.within(span) < commit, span);
            }
            assert_eq!(outcome.early + outcome.committed, 1000);
            assert!((250..450).contains(&outcome.early), "{commit_ms} ms: {outcome:?}");
        }
    }

    #[test]
    fn instants_are_all_over_the_span() {
        let span = Duration::from_millis(100);
        let mut instants = Instants(7);
        let all: Vec<Duration> = (0..1000).map(|_| instants.within(span)).collect();
        for tenth in 0..10 {
            let part = span * tenth / 10..span * (tenth + 1) / 10;
            let inside = all.iter().filter(|instant| part.contains(*instant)).count();
            assert!((50..200).contains(&inside), "{part:?}: {inside}");
        }
    }
}
