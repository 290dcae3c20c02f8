// SPDX-License-Identifier: GPL-2.0-or-later
//! The command `flowtable`: asks the daemon over the bus and shows the answer.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | the daemon answered with an error, or the output could not be written |
//! | 2 | usage |
//! | 3 | no bus: ubusd cannot be reached |
//! | 4 | the daemon is not on the bus |
//! | 5 | time-out |

pub mod client;
pub mod options;
pub mod text;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ubus::{blobmsg, BlobMsgTable};

use crate::ubus::{devices, json, SOCKETS};
use client::{Client, ClientError};
use options::{Action, Command, Options};

/// How long the daemon may take. It answers at once, except that `status` waits for a dump of
/// the conntrack table, some seconds on the slowest routers.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How a run ends; the table above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NoBus = 3,
    NoDaemon = 4,
    Timeout = 5,
}

/// Runs the command. `args` are those after the program's name.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let exit = match Options::parse(args) {
        Ok(options) => perform(&options),
        Err(error) => {
            complain(&format!("{error}\n{}", options::USAGE));
            Exit::Usage
        }
    };
    ExitCode::from(exit as u8)
}

fn perform(options: &Options) -> Exit {
    match &options.action {
        Action::Help => show(options::HELP),
        Action::Version => show(&format!("flowtable {}\n", crate::VERSION)),
        Action::Call(command) => match ask(options, command) {
            Ok(text) => show(&text),
            Err(error) => {
                let exit = exit_of(&error);
                complain(&format!("{}: {error}", command.name()));
                exit
            }
        },
    }
}

/// Makes the call; returns what is to be printed.
fn ask(options: &Options, command: &Command) -> Result<String, ClientError> {
    let deadline = Instant::now() + TIMEOUT;
    let sockets: Vec<PathBuf> = match &options.socket {
        Some(path) => vec![path.clone()],
        None => SOCKETS.iter().map(PathBuf::from).collect(),
    };
    let mut client = Client::connect(&sockets, deadline)?;
    let args = match command {
        Command::Devices(Some(name)) => {
            BlobMsgTable::build(|b| b.put_str(Some(devices::NAME), name))
        }
        _ => BlobMsgTable::empty(),
    };
    let reply = client.call(command.name(), &args).map_err(|error| match (command, error) {
        (Command::Reload, ClientError::Status(code, _)) => {
            ClientError::Status(code, last_error(&mut client))
        }
        (_, error) => error,
    })?;
    if options.json {
        return match json::render(&reply) {
            Ok(text) => Ok(text + "\n"),
            Err(error) => Err(ClientError::Reply(error)),
        };
    }
    Ok(match command {
        Command::Status => text::status(&reply),
        Command::Devices(_) => text::devices(&reply),
        Command::Reload => String::new(),
    })
}

/// The daemon's own words about its last error, when it can still be asked for them.
fn last_error(client: &mut Client) -> Option<String> {
    let status = client.call(Command::Status.name(), &BlobMsgTable::empty()).ok()?;
    blobmsg::lookup(&status, "last_error").and_then(|a| a.as_str()).map(text::printable)
}

fn exit_of(error: &ClientError) -> Exit {
    match error {
        ClientError::Status(..) | ClientError::Reply(_) => Exit::Failed,
        ClientError::NoBus(..) | ClientError::Lost(_) => Exit::NoBus,
        ClientError::NoDaemon => Exit::NoDaemon,
        ClientError::Timeout => Exit::Timeout,
    }
}

/// Prints to standard output. A reader that has seen enough (`| head -1`) is no error.
fn show(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Exit::Done,
        Err(e) => {
            complain(&format!("writing the output: {e}"));
            Exit::Failed
        }
    }
}

fn complain(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "flowtable: {text}");
}
