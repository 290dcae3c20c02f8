// SPDX-License-Identifier: GPL-2.0-or-later
//! Lines for the log daemon, by a socket that never waits.
//!
//! The kernel keeps ten datagrams or so for a log daemon that does not read them. One that hangs must
//! not hang us: what finds no room is dropped and counted, and the count goes ahead of the first line
//! that finds room again.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixDatagram;

use log::Level;
use syslog::{Facility, LogFormat, Logger, LoggerBackend, Severity};

/// Where log daemons listen; OpenWrt's at the first.
const PATHS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// A way to the log daemon.
pub struct LogDaemon {
    paths: Vec<String>,
    logger: Logger<LoggerBackend, Plain>,
    /// Lines dropped since the last one that was taken.
    lost: u64,
}

impl LogDaemon {
    /// Connects to the log daemon of this machine.
    ///
    /// # Errors
    /// What connecting to the last of its usual places reports.
    pub fn connect() -> io::Result<LogDaemon> {
        LogDaemon::at(PATHS.map(str::to_owned).to_vec())
    }

    fn at(paths: Vec<String>) -> io::Result<LogDaemon> {
        let logger = logger(&paths)?;
        Ok(LogDaemon { paths, logger, lost: 0 })
    }

    /// Hands over one line, or counts it as lost.
    pub fn write(&mut self, level: Level, line: &str) {
        let told = match self.lost {
            0 => true,
            lost => self
                .deliver(Level::Warn, &format!("{lost} messages lost, the log did not take them")),
        };
        if told {
            self.lost = 0;
        }
        if !told || !self.deliver(level, line) {
            self.lost = self.lost.saturating_add(1);
        }
    }

    fn deliver(&mut self, level: Level, line: &str) -> bool {
        match self.send(level, line) {
            Ok(()) => true,
            Err(syslog::Error::Write(error)) if error.kind() == ErrorKind::WouldBlock => false,
            // The log daemon has restarted: its socket is a new one.
            Err(_) => logger(&self.paths).is_ok_and(|fresh| {
                self.logger = fresh;
                self.send(level, line).is_ok()
            }),
        }
    }

    fn send(&mut self, level: Level, line: &str) -> Result<(), syslog::Error> {
        match level {
            Level::Error => self.logger.err(line),
            Level::Warn => self.logger.warning(line),
            Level::Info => self.logger.info(line),
            Level::Debug | Level::Trace => self.logger.debug(line),
        }
    }
}

/// The crate's own sockets wait for room.
fn logger(paths: &[String]) -> io::Result<Logger<LoggerBackend, Plain>> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    let mut result = Err(ErrorKind::NotFound.into());
    for path in paths {
        result = socket.connect(path);
        if result.is_ok() {
            break;
        }
    }
    result.map(|()| Logger::new(LoggerBackend::Unix(socket), Plain))
}

/// RFC 3164 without a time stamp, which the log daemon adds itself. The crate's own format asks
/// for the wall clock, and on 32-bit musl targets that panics from 2038 on; routers without a
/// battery do start in odd years.
#[derive(Clone)]
struct Plain;

impl<T: Display> LogFormat<T> for Plain {
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// More than any kernel keeps for one socket.
    const FLOOD: u64 = 5000;

    /// A log daemon's socket in a folder of its own.
    fn place(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("flowtabled-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        dir.join("log")
    }

    fn listen(path: &Path) -> UnixDatagram {
        let daemon = UnixDatagram::bind(path).unwrap();
        daemon.set_nonblocking(true).unwrap();
        daemon
    }

    fn connect(path: &Path) -> LogDaemon {
        LogDaemon::at(vec!["/nowhere".into(), path.to_str().unwrap().into()]).unwrap()
    }

    fn lines(daemon: &UnixDatagram) -> Vec<String> {
        let mut lines = Vec::new();
        let mut bytes = [0; 200];
        while let Ok(length) = daemon.recv(&mut bytes) {
            let line = String::from_utf8(bytes[..length].to_vec()).unwrap();
            lines.push(line.split_once("]: ").unwrap().1.to_owned());
        }
        lines
    }

    #[test]
    fn a_log_daemon_that_never_reads_holds_nobody_up_and_learns_what_was_lost() {
        let path = place("full");
        let daemon = listen(&path);
        let mut log = connect(&path);
        let (done, ends) = mpsc::channel();
        std::thread::spawn(move || {
            for number in 0..FLOOD {
                log.write(Level::Info, &number.to_string());
            }
            let _ = done.send(log);
        });
        let mut log = ends.recv_timeout(Duration::from_secs(60)).expect("writing waits for room");
        let kept = lines(&daemon);
        let count = kept.len() as u64;
        assert!((1..FLOOD).contains(&count), "{count} lines kept");
        assert_eq!(kept, (0..count).map(|number| number.to_string()).collect::<Vec<_>>());
        log.write(Level::Info, "after");
        log.write(Level::Info, "later");
        let lost = format!("{} messages lost, the log did not take them", FLOOD - count);
        assert_eq!(lines(&daemon), [lost.as_str(), "after", "later"]);
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_log_daemon_that_comes_back_is_found() {
        let path = place("restarted");
        let daemon = listen(&path);
        let mut log = connect(&path);
        log.write(Level::Info, "one");
        assert_eq!(lines(&daemon), ["one"]);
        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        log.write(Level::Info, "two");
        let daemon = listen(&path);
        log.write(Level::Info, "three");
        assert_eq!(lines(&daemon), ["1 messages lost, the log did not take them", "three"]);
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
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
