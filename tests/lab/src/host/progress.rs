// SPDX-License-Identifier: GPL-2.0-or-later
//! Telling the person in front of the screen what is being done and for how long.
//!
//! Everything goes to standard error, so that standard output holds results only.

use crate::error::Result;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Time between two signs of life, on a terminal and in a log.
const TERMINAL_PERIOD: Duration = Duration::from_secs(1);
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// Does something that may take long: says so, shows that it is still at it, says how long it
/// took.
pub fn step<T>(title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    step_with_size(title, None, work)
}

/// Like [`step`], and shows how much a folder (of `total` bytes in the end) holds so far.
pub fn step_with_size<T>(
    title: &str,
    grows: Option<(&Path, u64)>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let begun = Instant::now();
    let terminal = std::io::stderr().is_terminal();
    eprintln!("-> {title}");
    let (done, wait) = channel::<()>();
    let heading = title.to_string();
    let grows: Option<(PathBuf, u64)> = grows.map(|(path, total)| (path.to_path_buf(), total));
    let ticker = thread::spawn(move || {
        let period = if terminal { TERMINAL_PERIOD } else { LOG_PERIOD };
        while wait.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
            let size = grows.as_ref().map_or_else(String::new, |(path, total)| {
                format!(", {} of {} MB", size_of(path) / 1_000_000, total / 1_000_000)
            });
            let seconds = begun.elapsed().as_secs();
            if terminal {
                eprint!("\r   {heading}: {seconds} s{size} \x1b[K");
                let _ = std::io::stderr().flush();
            } else {
                eprintln!("   {heading}: {seconds} s{size} so far");
            }
        }
        if terminal {
            eprint!("\r\x1b[K");
        }
    });
    let result = work();
    drop(done);
    let _ = ticker.join();
    let seconds = begun.elapsed().as_secs_f32();
    let word = if result.is_ok() { "done" } else { "FAILED" };
    eprintln!("   {title}: {word} in {seconds:.1} s");
    result
}

fn size_of(path: &Path) -> u64 {
    let Ok(entries) = path.read_dir() else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size_of(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}
