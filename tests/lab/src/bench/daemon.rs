// SPDX-License-Identifier: GPL-2.0-or-later
//! The daemon under measurement as a process of its own, with a real broker and a client beside it.

use super::figure::milliseconds;
use super::networks;
use crate::error::{Context, Error, Result};
use flowtabled::cli::client::Client;
use flowtabled::ubus::json;
use serde_json::Value as Json;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use ubus::BlobMsgTable;

/// Longest that anything here may take before it counts as never.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// The programs, built.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The daemon.
    pub flowtabled: PathBuf,
    /// The bus broker.
    pub ubusd: PathBuf,
    /// How the daemon is linked.
    pub build: String,
}

/// Where the time of a call may go, as [`Daemon::spent`] counts it; kept from a processor is who
/// was ready to run while other programs did.
pub const SPENT: [&str; 4] =
    ["the daemon on a processor", "kept from one", "broker kept", "client kept"];

/// Resident memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// The process's alone, its program's text included.
    pub private: u64,
    /// Of that what is no part of a file, as the text is.
    pub anonymous: u64,
    /// The most that was ever resident, shared or not.
    pub peak: u64,
}

/// A process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Daemon, broker and client; ended and removed when dropped.
pub struct Daemon {
    client: Client,
    daemon: Process,
    broker: Process,
    dir: PathBuf,
}

impl Daemon {
    /// Starts them; returns when the daemon is on the bus.
    ///
    /// # Errors
    /// One does not start, or the daemon does not come to the bus.
    pub fn start(programs: &Programs) -> Result<Daemon> {
        let dir = std::env::temp_dir().join(format!("flowtabled-bench-{}", std::process::id()));
        fs::create_dir_all(&dir).context(dir.display())?;
        for (name, text) in networks::CONFIG {
            fs::write(dir.join(name), text).context(name)?;
        }
        let socket = dir.join("ubus.sock");
        let mut broker = Command::new(&programs.ubusd);
        let broker = spawn(broker.arg("--socket").arg(&socket), &dir.join("ubusd.log"))?;
        let mut daemon = Command::new(&programs.flowtabled);
        daemon.args(["--foreground", "--config-dir"]).arg(&dir);
        daemon.arg("--save-dir").arg(dir.join("save")).arg("--ubus-socket").arg(&socket);
        let log = dir.join("flowtabled.log");
        let daemon = spawn(&mut daemon, &log)?;
        let client = connect(&socket, &log)?;
        Ok(Daemon { client, daemon, broker, dir })
    }

    /// Calls a method with arguments that are texts, and returns how long the answer took.
    ///
    /// # Errors
    /// The daemon refused or did not answer.
    pub fn call(
        &mut self,
        method: &str,
        arguments: &[(&str, &str)],
    ) -> Result<(Vec<u8>, Duration)> {
        let arguments = BlobMsgTable::build(|table| {
            arguments.iter().for_each(|(name, text)| table.put_str(Some(name), text));
        });
        self.ask(method, &arguments)
    }

    /// The same with arguments of any type.
    ///
    /// # Errors
    /// As [`Daemon::call`].
    pub fn ask(&mut self, method: &str, arguments: &BlobMsgTable) -> Result<(Vec<u8>, Duration)> {
        let begun = Instant::now();
        self.client.extend(begun + PATIENCE);
        let reply = self.client.call(method, arguments).context(method)?;
        Ok((reply, begun.elapsed()))
    }

    /// A number of `polling` in the reply of `status`.
    ///
    /// # Errors
    /// As [`Daemon::call`], or the reply has no such key.
    pub fn polling(&mut self, key: &str) -> Result<u64> {
        let (reply, _) = self.call("status", &[])?;
        let text = json::render(&reply).context("status")?;
        let reply: Json = serde_json::from_str(&text).context("status")?;
        let number = reply.pointer(&format!("/polling/{key}")).and_then(Json::as_u64);
        number.context(format!("no {key} in {text}"))
    }

    /// The daemon's memory.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn memory(&self) -> Result<Memory> {
        let rollup = self.proc("smaps_rollup")?;
        let private = kilobytes(&rollup, "Private_Clean:")? + kilobytes(&rollup, "Private_Dirty:")?;
        let anonymous = kilobytes(&rollup, "Anonymous:")?;
        let peak = kilobytes(&self.proc("status")?, "VmHWM:")?;
        Ok(Memory { private: private * 1024, anonymous: anonymous * 1024, peak: peak * 1024 })
    }

    /// How long the daemon has kept a processor busy, and how long it was ready to run while other
    /// programs did.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn cpu_times(&self) -> Result<[Duration; 2]> {
        schedstat(&self.daemon.0.id().to_string())
    }

    /// Milliseconds since each process began, in the order of [`SPENT`], as far as the kernel has
    /// booked them: of who is on a processor that is up to the last tick.
    ///
    /// # Errors
    /// As [`Daemon::cpu_times`].
    pub fn spent(&self) -> Result<[f64; SPENT.len()]> {
        let [computing, kept] = self.cpu_times()?;
        let [_, broker] = schedstat(&self.broker.0.id().to_string())?;
        let [_, client] = schedstat("thread-self")?;
        Ok([computing, kept, broker, client].map(milliseconds))
    }

    fn proc(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.daemon.0.id());
        fs::read_to_string(&path).context(path)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Of a process in /proc: how long it was on a processor, and ready for one.
fn schedstat(process: &str) -> Result<[Duration; 2]> {
    let path = format!("/proc/{process}/schedstat");
    let text = fs::read_to_string(&path).context(path)?;
    let mut times = text.split_whitespace().map(|word| word.parse().map(Duration::from_nanos));
    match (times.next(), times.next()) {
        (Some(Ok(busy)), Some(Ok(waiting))) => Ok([busy, waiting]),
        _ => Err(Error::new(format!("schedstat: {text}"))),
    }
}

fn spawn(command: &mut Command, log: &Path) -> Result<Process> {
    let name = command.get_program().to_string_lossy().into_owned();
    let log = File::create(log).context(log.display())?;
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
    child.map(Process).context(name)
}

fn connect(socket: &Path, log: &Path) -> Result<Client> {
    let begun = Instant::now();
    loop {
        match Client::connect(&[socket.to_path_buf()], Instant::now() + PATIENCE) {
            Ok(client) => return Ok(client),
            Err(_) if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
            Err(error) => {
                let told = fs::read_to_string(log).unwrap_or_default();
                return Err(Error::new(format!("the daemon is not on the bus: {error}; {told}")));
            }
        }
    }
}

/// The number behind a label of a file in /proc.
fn kilobytes(text: &str, label: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.context(format!("no {label} in /proc"))
}
