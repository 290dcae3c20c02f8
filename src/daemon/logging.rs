// SPDX-License-Identifier: GPL-2.0-or-later
//! Where log lines go: standard error in the foreground, syslog otherwise; at a limited rate.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record};
use syslog::{Facility, LogFormat, Logger as SyslogLogger, LoggerBackend, Severity};

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
        false => syslog::unix(Plain).map_or(Sink::Stderr, Sink::Syslog),
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
    Syslog(SyslogLogger<LoggerBackend, Plain>),
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
            Sink::Syslog(logger) => {
                if send(logger, level, line).is_err() {
                    // The log daemon has restarted: its socket is a new one.
                    if let Ok(fresh) = syslog::unix(Plain) {
                        *logger = fresh;
                        let _ = send(logger, level, line);
                    }
                }
            }
        }
    }
}

fn send(
    logger: &mut SyslogLogger<LoggerBackend, Plain>,
    level: Level,
    line: &str,
) -> Result<(), syslog::Error> {
    match level {
        Level::Error => logger.err(line),
        Level::Warn => logger.warning(line),
        Level::Info => logger.info(line),
        Level::Debug | Level::Trace => logger.debug(line),
    }
}

/// RFC 3164 without a time stamp, which the log daemon adds itself. The crate's own format asks
/// for the wall clock, and on 32-bit musl targets that panics from 2038 on; routers without a
/// battery do start in odd years.
#[derive(Clone)]
struct Plain;

impl<T: std::fmt::Display> LogFormat<T> for Plain {
    fn format<W: Write>(
        &self,
        writer: &mut W,
        severity: Severity,
        message: T,
    ) -> Result<(), syslog::Error> {
        let priority = Facility::LOG_DAEMON as u8 | severity as u8;
        let pid = std::process::id();
        writer
            .write_fmt(format_args!("<{priority}>flowtabled[{pid}]: {message}"))
            .map_err(syslog::Error::Write)
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

    #[test]
    fn lines_carry_priority_and_name() {
        let mut bytes = Vec::new();
        Plain.format(&mut bytes, Severity::LOG_ERR, "text").unwrap();
        let line = String::from_utf8(bytes).unwrap();
        assert!(line.starts_with("<27>flowtabled["), "{line}");
        assert!(line.ends_with("]: text"), "{line}");
    }
}
