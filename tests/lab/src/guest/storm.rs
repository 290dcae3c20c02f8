// SPDX-License-Identifier: GPL-2.0-or-later
//! A program is killed at random instants, again and again.

use super::service::Service;
use crate::command::run;
use crate::console::Report;
use crate::error::{Context, Error, Result};
use crate::scenario::Action;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// So often the reader is told how far it is, which also shows that the guest is alive.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// Kills the service so many times, each time at an instant within `span` after its start, and
/// starts it again when `command` has run. In the end it runs.
///
/// # Errors
/// It ended by itself, or does not start.
pub fn rage(service: &mut Service, times: u32, span: Duration, command: &str) -> Result<()> {
    let mut instants = Instants(u64::from(times) | 1);
    let mut told = Instant::now();
    for time in 0..times {
        thread::sleep(instants.within(span));
        let state = service.state();
        if state != "running" {
            return Err(Error::new(format!("after {time} kills it was not running but: {state}")));
        }
        service.act(Action::Kill)?;
        if !command.is_empty() {
            run(Command::new("sh").args(["-ec", command])).context(format!("kill {time}"))?;
        }
        service.act(Action::Start)?;
        if told.elapsed() > TOLD_EVERY {
            told = Instant::now();
            Report::Held(format!("{} of {times} kills", time + 1)).send();
        }
    }
    Ok(())
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
