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

pub mod arguments;
pub mod client;
pub mod devices;
pub mod explain;
pub mod flows;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod hardware;
pub mod help;
pub mod history;
pub mod hosts;
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

use crate::core::flows::select::PAGE_MAX;
use crate::core::orders::BYPASS_MAX;
use crate::ubus::flows::LIMIT;
use crate::ubus::{json, status, Method, StatusCode, SOCKETS};
use arguments::{MethodCall, Value};
use client::{Client, ClientError};
use devices::DeviceTable;
use flows::FlowTable;
use hosts::HostTable;
use options::{Action, Options, TopOptions};
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
            complain(&format!("{error}\n{}", help::USAGE));
            Exit::Usage
        }
    };
    ExitCode::from(exit as u8)
}

fn perform(options: &Options) -> Exit {
    match &options.action {
        Action::Help => show(help::HELP),
        Action::Version => show(&format!("flowtable {}\n", crate::VERSION)),
        Action::Top(wanted) => watch(options, wanted),
        Action::Call(call) => match ask(options, call) {
            Ok(exit) => exit,
            Err(error) => {
                let exit = exit_of(&error);
                complain(&format!("{}: {error}", call.policy.name));
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
fn ask(options: &Options, call: &MethodCall) -> Result<Exit, ClientError> {
    let mut client = Client::connect(&sockets(options), Instant::now() + TIMEOUT)?;
    let method = call.policy.method;
    match method {
        Method::Flows => {
            return ask_pages(&mut client, call, options.json, &mut FlowTable::default())
        }
        Method::Hosts => {
            return ask_pages(&mut client, call, options.json, &mut HostTable::default())
        }
        Method::Devices => {
            // All of them, as many replies as that takes.
            let call = MethodCall { all: true, ..call.clone() };
            return ask_pages(&mut client, &call, options.json, &mut DeviceTable::default());
        }
        _ => (),
    }
    let name = call.policy.name;
    let mut reply =
        client.call(name, &call.table(None)).map_err(|error| told(error, method, &mut client))?;
    if method == Method::Explain && explain::is_worth_asking_again(&reply) {
        // The kernel watches the flow from the first question on.
        std::thread::sleep(explain::WATCH);
        client.extend(Instant::now() + TIMEOUT);
        reply = client.call(name, &call.table(None))?;
    }
    if method == Method::Hardware {
        for _ in 0..hardware::TRIES {
            if !hardware::is_worth_asking_again(&reply) {
                break;
            }
            // The daemon does not wait for the kernel's listing, which it has begun to read.
            std::thread::sleep(hardware::PAUSE);
            client.extend(Instant::now() + TIMEOUT);
            reply = client.call(name, &call.table(None))?;
        }
    }
    if options.json {
        return Ok(show(&rendered(&reply)?));
    }
    Ok(show(&match method {
        Method::Status => text::status(&reply),
        Method::Explain => explain::explain(&reply),
        Method::History => history::history(&reply),
        Method::Hardware => hardware::hardware(&reply),
        Method::Flush => text::flush(&reply),
        Method::Evict => text::evict(&reply),
        Method::Release => text::release(&reply),
        Method::Devices | Method::Flows | Method::Hosts | Method::Reload => String::new(),
    }))
}

/// An error with what can be said about it besides its code.
fn told(error: ClientError, method: Method, client: &mut Client) -> ClientError {
    let ClientError::Status(code, words) = error else { return error };
    let words = match (method, code) {
        (Method::Evict, StatusCode::NotSupported) => Some(format!(
            "more than {BYPASS_MAX} flows cannot be kept on the classic path; \
             narrow the filter, or use --for 0"
        )),
        (Method::Explain, StatusCode::NotFound) => Some("conntrack has no such flow".to_owned()),
        (Method::Reload | Method::Flush | Method::Evict | Method::Release, _) => last_error(client),
        _ => words,
    };
    ClientError::Status(code, words)
}

/// A list that is printed a page at a time.
trait Paged {
    /// The lines of a reply.
    fn page(&mut self, reply: &[u8]) -> String;
    /// The last line.
    fn footer(&self) -> String;
    /// Where the page behind this reply begins, unless that leads nowhere; `last` is where this one
    /// began.
    fn next(&self, reply: &[u8], last: Option<&str>) -> Option<String> {
        flows::next_behind(reply, last)
    }
}

/// Asks for a list and prints each page as it comes: all of it at once may be more than a small
/// router can hold.
fn ask_pages(
    client: &mut Client,
    call: &MethodCall,
    json: bool,
    table: &mut dyn Paged,
) -> Result<Exit, ClientError> {
    let mut call = call.clone();
    if call.all && call.takes(LIMIT) {
        call.arguments.push((LIMIT, Value::Number(PAGE_MAX as i32)));
    }
    let mut cursor: Option<String> = None;
    loop {
        let args = call.table(cursor.as_deref());
        let reply = client.call(call.policy.name, &args)?;
        let text = if json { rendered(&reply)? } else { table.page(&reply) };
        match write(&text) {
            Ok(()) => {}
            Err(error) => return Ok(unwritten(&error)),
        }
        cursor = table.next(&reply, cursor.as_deref()).filter(|_| call.all);
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
    let status = client.call(status::POLICY.name, &BlobMsgTable::empty()).ok()?;
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
