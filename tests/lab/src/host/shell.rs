// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask lab shell`: a login on the router's serial console.

use super::{initramfs, machine, suite};
use crate::error::{Context, Error, Result};
use std::io::{copy, IsTerminal, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Sender};
use std::thread;

/// The guest's greeting ends like this; what is typed before it gets lost in the boot.
const GREETING_END: &str = "switches the machine off.";
/// Typed when our own input ends.
const FAREWELL: &[u8] = b"\nexit\n";

/// Boots and hands the terminal over until the machine is off. Commands may also be piped in.
pub fn run(kernel: &str, switch_off: bool) -> Result<()> {
    let (kernel, artifacts) = suite::prepare(kernel)?;
    let initramfs = initramfs::pack(&kernel, &artifacts, &[], "shell")?;
    eprintln!("-> booting Linux {} (Ctrl-A X switches it off)", kernel.release);
    let mode = if switch_off { "shell-off" } else { "shell" };
    let mut qemu = machine::qemu(&kernel, &initramfs, mode);
    let status = if std::io::stdin().is_terminal() {
        qemu.args(["-serial", "mon:stdio"]).status().context("starting QEMU")?
    } else {
        piped(&mut qemu)?.wait().context("waiting for QEMU")?
    };
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("QEMU ended with {status}")))
}

/// Feeds our standard input to the guest once it is ready for it.
fn piped(qemu: &mut Command) -> Result<Child> {
    qemu.args(["-serial", "stdio", "-monitor", "none"]);
    qemu.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = qemu.spawn().context("starting QEMU")?;
    let input = child.stdin.take().context("QEMU has no input")?;
    let mut console = child.stdout.take().context("QEMU has no output")?;
    let (ready, is_ready) = channel();
    thread::spawn(move || {
        if is_ready.recv().is_ok() {
            // The guest may be off before all was read; then nobody misses the rest.
            let _ = feed(input);
        }
    });
    show(&mut console, &ready)?;
    Ok(child)
}

fn feed(mut input: ChildStdin) -> std::io::Result<()> {
    copy(&mut std::io::stdin().lock(), &mut input)?;
    input.write_all(FAREWELL)?;
    input.flush()?;
    // Kept open: QEMU would take the end of its input for a hang-up.
    loop {
        thread::park();
    }
}

/// Copies the console to standard output until the machine is off.
fn show(console: &mut impl Read, ready: &Sender<()>) -> Result<()> {
    let mut seen = String::new();
    let mut greeted = false;
    let mut buffer = [0; 1024];
    loop {
        let len = console.read(&mut buffer).context("reading the console")?;
        let bytes = buffer.get(..len).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).context("standard output")?;
        if !greeted {
            seen.push_str(&String::from_utf8_lossy(bytes));
            greeted = seen.contains(GREETING_END);
            if greeted {
                let _ = ready.send(());
            }
        }
    }
}
