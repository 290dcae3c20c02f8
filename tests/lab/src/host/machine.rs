// SPDX-License-Identifier: GPL-2.0-or-later
//! The virtual machine: QEMU under software emulation, its serial console as lines.

use super::kernel::Kernel;
use super::{apt, paths};
use crate::error::{Context, Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Programs that booting needs, beside QEMU.
pub const TOOLS: [apt::Tool; 1] = [("setpriv", "util-linux")];

/// QEMU with the lab's machine; `mode` is what `guest/init` starts. It ends when we do, whatever
/// ends us.
pub fn qemu(kernel: &Kernel, initramfs: &Path, mode: &str) -> Command {
    emulator(kernel, initramfs, mode, kernel.architecture.machine)
}

fn emulator(kernel: &Kernel, initramfs: &Path, mode: &str, machine: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    let architecture = kernel.architecture;
    command.args(["--pdeathsig", "TERM", architecture.qemu.0]).args(machine);
    command.args(["-smp", "1", "-nographic", "-no-reboot"]);
    command.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(initramfs);
    let words = architecture.kernel_words;
    let line = format!("{words} quiet loglevel=1 panic=-1 lab.mode={mode}");
    command.args(["-append", &line]);
    command
}

/// Forwards a port of this machine's loopback to the guest's web server. Nothing else passes: what the
/// guest sends anywhere is dropped.
fn forward(command: &mut Command, port: u16) {
    let inner = crate::guest::page::PORT;
    let rule = format!("user,id=web,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:{inner}");
    // Without the card's boot ROM, which is in a package of its own.
    command.args(["-netdev", &rule, "-device", "virtio-net-pci,netdev=web,romfile="]);
}

/// A port of loopback that nobody listens on: `first`, or the next one that is free.
pub fn free_port(first: u16) -> Result<u16> {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..=u16::MAX).find(free).context("no port of loopback is free")
}

/// A running machine whose console is read and logged.
pub struct Machine {
    child: Child,
    lines: Receiver<String>,
    /// Everything that appeared on the console.
    pub log: PathBuf,
}

impl Machine {
    /// Switches the machine on.
    pub fn boot(kernel: &Kernel, initramfs: &Path, mode: &str, label: &str) -> Result<Machine> {
        Machine::start(kernel, label, qemu(kernel, initramfs, mode))
    }

    /// As [`Machine::boot`], but its clock counts a nanosecond for each instruction, and time in which
    /// its processor has nothing to do passes at once.
    pub fn boot_counted(
        kernel: &Kernel,
        initramfs: &Path,
        mode: &str,
        label: &str,
    ) -> Result<Machine> {
        // Instructions are counted by one thread only.
        let single =
            |word: &&'static str| word.strip_suffix("thread=multi").map_or(*word, |_| "tcg");
        let words: Vec<&str> = kernel.architecture.machine.iter().map(single).collect();
        let mut command = emulator(kernel, initramfs, mode, &words);
        command.args(["-icount", "shift=0,sleep=off"]);
        Machine::start(kernel, label, command)
    }

    /// As [`Machine::boot`], with the guest's web server at a port of this machine's loopback.
    pub fn boot_web(
        kernel: &Kernel,
        initramfs: &Path,
        mode: &str,
        label: &str,
        port: u16,
    ) -> Result<Machine> {
        let mut command = qemu(kernel, initramfs, mode);
        forward(&mut command, port);
        Machine::start(kernel, label, command)
    }

    fn start(kernel: &Kernel, label: &str, mut command: Command) -> Result<Machine> {
        let log = paths::cache("logs")?.join(format!("{}-{label}.log", kernel.name));
        let mut copy = File::create(&log).context(format!("making {}", log.display()))?;
        let mut child = command
            .args(["-serial", "stdio", "-monitor", "none"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting QEMU")?;
        let mut console = BufReader::new(child.stdout.take().context("QEMU has no output")?);
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            while console.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                // A full disk must not keep the results from being read.
                let _ = copy.write_all(&line);
                line.clear();
                if sender.send(text).is_err() {
                    return;
                }
            }
        });
        Ok(Machine { child, lines, log })
    }

    /// The next line of the console; `None` when the machine is off.
    pub fn line(&mut self, timeout: Duration) -> Result<Option<String>> {
        match self.lines.recv_timeout(timeout) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                let log = self.log.display();
                Err(Error::new(format!("the guest said nothing for {timeout:?}, see {log}")))
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
