// SPDX-License-Identifier: GPL-2.0-or-later
//! The program of the benchmark `days`, apart from the others because it counts what it allocates;
//! started by `cargo xtask bench`, built as the daemon is. Prints each figure as a line, and draws into
//! the folder that it is given.

use lab::bench::days::cost::{count, Counted};
use lab::bench::days::report;
use stats_alloc::{StatsAlloc, INSTRUMENTED_SYSTEM};
use std::alloc::System;
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn heap() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let figures = match args.as_slice() {
        [part, dir] => report::measure(part, Path::new(dir), heap),
        ["count", what, clients, lists] => {
            let counted = match *what {
                "ours" => Counted::Ours,
                "peer" => Counted::Peer,
                _ => Counted::Nothing,
            };
            let (clients, lists) = (clients.parse().unwrap_or(1), lists.parse().unwrap_or(1));
            println!("{}", count(counted, clients, lists));
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("lab-days: not for use by hand");
            return ExitCode::FAILURE;
        }
    };
    match figures {
        Ok(figures) => {
            figures.iter().for_each(|figure| println!("{}", figure.to_line()));
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("lab-days: {e}");
            ExitCode::FAILURE
        }
    }
}
