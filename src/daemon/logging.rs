// SPDX-License-Identifier: GPL-2.0-or-later
//! Where log lines go: standard error in the foreground, syslog otherwise; at a limited rate.

mod log_daemon;

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record};
use log_daemon::LogDaemon;

/// Lines that may come at once; a start on a router with many devices needs about ten.
const BURST: u32 = 30;
/// One more line is allowed per this much time.
const REFILL: Duration = Duration::from_secs(2);

/// Installs the logger of this process. When syslog cannot be reached, standard error takes its
/// place. With `verbose`, what is only of use to look for faults is logged too, and at any rate.
///
/// # Errors
/// A logger has been installed before.
pub fn install(foreground: bool, verbose: bool) -> Result<(), log::SetLoggerError> {
    let sink = match foreground {
        true => Sink::Stderr,
        false => LogDaemon::connect().map_or(Sink::Stderr, Sink::Syslog),
    };
    let limit = (!verbose).then(|| RateLimit::new(Instant::now()));
    let state = State { sink, limit };
    log::set_boxed_logger(Box::new(Logger { state: Mutex::new(state) }))?;
    log::set_max_level(if verbose { LevelFilter::Debug } else { LevelFilter::Info });
    Ok(())
}

struct Logger {
    state: Mutex<State>,
}

struct State {
    sink: Sink,
    limit: Option<RateLimit>,
}

enum Sink {
    Stderr,
    Syslog(LogDaemon),
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.limit.as_mut().map_or(Some(0), |limit| limit.admit(Instant::now())) {
            None => return,
            Some(0) => (),
            Some(lost) => {
                let line = format!("{lost} log lines were left out to limit their rate");
                state.sink.write(Level::Warn, &line);
            }
        }
        state.sink.write(record.level(), &record.args().to_string());
    }

    fn flush(&self) {}
}

impl Sink {
    fn write(&mut self, level: Level, line: &str) {
        match self {
            // Nobody can be told when standard error is gone.
            Sink::Stderr => drop(writeln!(io::stderr(), "flowtabled: {line}")),
            Sink::Syslog(daemon) => daemon.write(level, line),
        }
    }
}

/// A bucket of lines that refills with time.
#[derive(Debug)]
struct RateLimit {
    left: u32,
    refilled: Instant,
    lost: u64,
}

impl RateLimit {
    fn new(now: Instant) -> RateLimit {
        RateLimit { left: BURST, refilled: now, lost: 0 }
    }

    /// `None` when the line must be left out, else how many were left out before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        while self.left < BURST && now.saturating_duration_since(self.refilled) >= REFILL {
            self.left += 1;
            self.refilled += REFILL;
        }
        if self.left == BURST {
            self.refilled = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(std::mem::take(&mut self.lost))
            }
            None => {
                self.lost += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let start = Instant::now();
        let mut limit = RateLimit::new(start);
        let admitted = (0..1000).filter(|_| limit.admit(start).is_some()).count();
        assert_eq!(admitted, BURST as usize);
        assert_eq!(limit.admit(start + REFILL), Some(1000 - u64::from(BURST)));
        assert_eq!(limit.admit(start + REFILL), None);
        assert_eq!(limit.admit(start + REFILL * 1000), Some(1));
        assert_eq!(limit.left, BURST - 1);
    }
}
