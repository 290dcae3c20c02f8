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
pub mod flows;
pub mod history;
pub mod options;
pub mod quantity;
pub mod text;
pub mod top;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ubus::{blobmsg, BlobMsgTable};

use crate::core::flows::select::{Cursor, PAGE_MAX};
use crate::ubus::flows::LIMIT;
use crate::ubus::{devices, json, SOCKETS};
use client::{Client, ClientError};
use flows::FlowTable;
use options::{Action, Command, FlowOptions, Options, TopOptions, Value};
use top::TopError;

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
        Action::Call(Command::Top(wanted)) => watch(options, wanted),
        Action::Call(command) => match ask(options, command) {
            Ok(exit) => exit,
            Err(error) => {
                let exit = exit_of(&error);
                complain(&format!("{}: {error}", command.name()));
                exit
            }
        },
    }
}

fn sockets(options: &Options) -> Vec<PathBuf> {
    match &options.socket {
        Some(path) => vec![path.clone()],
        None => SOCKETS.iter().map(PathBuf::from).collect(),
    }
}

/// Shows the live view until it is left.
fn watch(options: &Options, wanted: &TopOptions) -> Exit {
    match top::run(sockets(options), wanted) {
        Ok(()) => Exit::Done,
        Err(TopError::Output(error)) => unwritten(&error),
        Err(error) => {
            complain(&format!("top: {error}"));
            match error {
                TopError::Asking(error) => exit_of(&error),
                TopError::Terminal(_) | TopError::Output(_) => Exit::Failed,
            }
        }
    }
}

/// Makes the call and prints the answer.
fn ask(options: &Options, command: &Command) -> Result<Exit, ClientError> {
    let deadline = Instant::now() + TIMEOUT;
    let mut client = Client::connect(&sockets(options), deadline)?;
    let args = match command {
        Command::Flows(wanted) => return ask_flows(&mut client, wanted, options.json),
        Command::Devices(Some(name)) => {
            BlobMsgTable::build(|b| b.put_str(Some(devices::NAME), name))
        }
        _ => BlobMsgTable::empty(),
    };
    let reply = client.call(command.name(), &args).map_err(|error| match (command, error) {
        (Command::Reload | Command::Flush, ClientError::Status(code, _)) => {
            ClientError::Status(code, last_error(&mut client))
        }
        (_, error) => error,
    })?;
    if options.json {
        return Ok(show(&rendered(&reply)?));
    }
    Ok(show(&match command {
        Command::Status => text::status(&reply),
        Command::Devices(_) => text::devices(&reply),
        Command::History => history::history(&reply),
        Command::Flush => text::flush(&reply),
        Command::Flows(_) | Command::Reload | Command::Top(_) => String::new(),
    }))
}

/// Asks for flows and prints each page as it comes: all of them at once may be more than a small
/// router can hold.
fn ask_flows(client: &mut Client, wanted: &FlowOptions, json: bool) -> Result<Exit, ClientError> {
    let mut wanted = wanted.clone();
    if wanted.all {
        wanted.arguments.push((LIMIT, Value::Number(PAGE_MAX as i32)));
    }
    let mut table = FlowTable::default();
    let mut cursor = None;
    loop {
        let args = wanted.table(cursor.map(|cursor: Cursor| cursor.to_string()).as_deref());
        let reply = client.call("flows", &args)?;
        let text = if json { rendered(&reply)? } else { table.page(&reply) };
        match write(&text) {
            Ok(()) => {}
            Err(error) => return Ok(unwritten(&error)),
        }
        // Cursors go down; one that does not would lead round in a circle.
        let next = flows::next(&reply).filter(|next| cursor.is_none_or(|last| *next < last));
        cursor = next.filter(|_| wanted.all);
        if cursor.is_none() {
            break;
        }
        client.extend(Instant::now() + TIMEOUT);
    }
    Ok(if json { Exit::Done } else { show(&table.footer()) })
}

fn rendered(reply: &[u8]) -> Result<String, ClientError> {
    json::render(reply).map(|text| text + "\n").map_err(ClientError::Reply)
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

/// Prints to standard output.
fn show(text: &str) -> Exit {
    write(text).map_or_else(|error| unwritten(&error), |()| Exit::Done)
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// How to end when nothing more can be printed. A reader that has seen enough (`| head -1`) is no
/// error.
fn unwritten(error: &io::Error) -> Exit {
    if error.kind() == ErrorKind::BrokenPipe {
        return Exit::Done;
    }
    complain(&format!("writing the output: {error}"));
    Exit::Failed
}

fn complain(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "flowtable: {text}");
}
