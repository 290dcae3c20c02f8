// SPDX-License-Identifier: GPL-2.0-or-later
//! The program that measures inside a network namespace; started by `cargo xtask bench`, built as
//! the daemon is. Prints each figure as a line.

use lab::bench::daemon::Programs;
use lab::bench::flows;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [part, flowtabled, ubusd, build] = args.as_slice() else {
        eprintln!("lab-bench: not for use by hand");
        return ExitCode::FAILURE;
    };
    let (flowtabled, ubusd, build) = (flowtabled.into(), ubusd.into(), build.clone());
    match flows::measure(part, &Programs { flowtabled, ubusd, build }) {
        Ok(figures) => {
            figures.iter().for_each(|figure| println!("{}", figure.to_line()));
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("lab-bench: {part}: {e}");
            ExitCode::FAILURE
        }
    }
}
