// SPDX-License-Identifier: GPL-2.0-or-later
//! One binary with two names: `flowtabled` is the daemon, `flowtable` its command.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use flowtabled::daemon::options::{self, Action, Options};
use flowtabled::daemon::{check, logging, Daemon, RunError};
use flowtabled::{cli, VERSION};

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let called = words.next().unwrap_or_default();
    if Path::new(&called).file_name().is_some_and(|name| name == "flowtable") {
        return cli::run(words);
    }
    match Options::parse(words.map(|word| word.to_string_lossy().into_owned())) {
        Ok(options) => run(&options),
        Err(error) => {
            complain(&error);
            ExitCode::from(options::EXIT_USAGE)
        }
    }
}

fn run(options: &Options) -> ExitCode {
    match options.action {
        Action::Version => print(&format!("{VERSION}\n")),
        Action::Help => print(options::HELP),
        Action::Check => {
            let (mut out, mut errors) = (io::stdout(), io::stderr());
            match check::check(&options.config_dir, &options.save_dir, &mut out, &mut errors) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::from(options::EXIT_CONFIG),
                Err(_) => ExitCode::from(options::EXIT_FAILED),
            }
        }
        Action::Run => match daemon(options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error);
                ExitCode::from(options::EXIT_FAILED)
            }
        },
    }
}

fn daemon(options: &Options) -> Result<(), RunError> {
    // A second logger cannot be: this is the only place that installs one.
    let _ = logging::install(options.foreground, options.verbose);
    Daemon::open(options)?.run()
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(options::EXIT_FAILED),
    }
}

fn complain(error: &dyn std::fmt::Display) {
    // Nobody can be told when standard error is gone.
    let _ = writeln!(io::stderr(), "flowtabled: {error}");
}
