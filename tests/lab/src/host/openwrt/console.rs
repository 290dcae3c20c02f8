// SPDX-License-Identifier: GPL-2.0-or-later
//! A login on a serial console, used by a program: commands with their output and exit code, and files
//! that go over it with nothing on the other side but a shell.

use crate::error::{Context, Error, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// What init of OpenWrt's busybox says before it starts a shell.
const INVITATION: &str = "Please press Enter to activate this console";
/// Stand before what a command prints and before its exit code. What is typed has them in pieces, so
/// that the echo is not taken for them.
const BEGIN: &str = "@@begin";
const END: &str = "@@end";
/// A terminal takes lines of up to 4095 bytes.
const LINE_BYTES: usize = 4000;
/// For a line to be taken, and for a shell to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The console of a machine that runs.
pub struct Console {
    child: Child,
    input: ChildStdin,
    bytes: Receiver<Vec<u8>>,
    seen: String,
    /// Everything that appeared on it.
    pub log: PathBuf,
}

impl Console {
    /// Starts the machine, whose console has to be the command's input and output.
    pub fn start(mut command: Command, log: PathBuf) -> Result<Console> {
        let mut copy = File::create(&log).context(format!("making {}", log.display()))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting QEMU")?;
        let input = child.stdin.take().context("QEMU has no input")?;
        let mut output = child.stdout.take().context("QEMU has no output")?;
        let (sender, bytes) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = output.read(&mut buffer) {
                let part = buffer.get(..len).unwrap_or_default();
                // A full disk must not keep the answers from being read.
                let _ = copy.write_all(part);
                if sender.send(part.to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Console { child, input, bytes, seen: String::new(), log })
    }

    /// Waits until the system is up and asks for a shell.
    pub fn log_in(&mut self, patience: Duration) -> Result<()> {
        self.wait_for(INVITATION, patience)?;
        self.type_in("\n")?;
        // Whatever greets, what is asked for now is answered behind it.
        self.run("true", PATIENCE).map(drop)
    }

    /// Runs a command and returns its output; an error if it fails.
    pub fn run(&mut self, command: &str, patience: Duration) -> Result<String> {
        match self.attempt(command, patience)? {
            (0, output) => Ok(output),
            (code, output) => Err(Error::new(format!("{command}: exit {code}: {output}"))),
        }
    }

    /// Runs a command of one line, not longer than 400 bytes, and returns its exit code and output.
    pub fn attempt(&mut self, command: &str, patience: Duration) -> Result<(i32, String)> {
        let print = "printf '@@%s %s\\n'";
        self.type_in(&format!("{print} begin; {{ {command}; }}; {print} end $?\n"))?;
        self.wait_for(BEGIN, PATIENCE).context(command)?;
        let output = self.wait_for(END, patience).context(command)?;
        let code = self.wait_for("\n", PATIENCE)?;
        let code = code.trim().parse().context(format!("{command}: its exit code"))?;
        Ok((code, output.replace('\r', "").trim().to_string()))
    }

    /// Writes a file there. The shell reads it by lines, of which each is answered before the next
    /// goes, since a terminal has room for one. They are not echoed, which would take as long again.
    pub fn send(&mut self, content: &[u8], to: &str) -> Result<()> {
        let loop_ =
            "while read -rs l && [ \"$l\" != . ]; do printf \"$l\"; printf '@%s\\n' @got >&2; done";
        self.type_in(&format!("{loop_} >{to}\n"))?;
        for line in lines(content) {
            self.type_in(&format!("{line}\n"))?;
            self.wait_for("@@got", PATIENCE).context(format!("sending {to}"))?;
        }
        self.type_in(".\n")?;
        let size = self.run(&format!("wc -c <{to}"), PATIENCE)?;
        if size.trim() != content.len().to_string() {
            return Err(Error::new(format!("{to} arrived with {} bytes", size.trim())));
        }
        Ok(())
    }

    /// Gives an order to the lab's own program on that console and returns its answer, a line.
    pub fn ask(&mut self, order: &str, patience: Duration) -> Result<String> {
        self.type_in(&format!("{order}\n"))?;
        self.answer(patience)
    }

    /// Waits for a line of the lab's own program and returns what stands behind its mark.
    pub fn answer(&mut self, patience: Duration) -> Result<String> {
        self.wait_for("@@", patience)?;
        self.wait_for("\n", PATIENCE)
    }

    fn type_in(&mut self, text: &str) -> Result<()> {
        self.input.write_all(text.as_bytes()).context("typing on the console")?;
        self.input.flush().context("typing on the console")
    }

    /// Waits for a text and returns what stood before it.
    fn wait_for(&mut self, text: &str, patience: Duration) -> Result<String> {
        let until = Instant::now() + patience;
        loop {
            if let Some((before, after)) = self.seen.split_once(text) {
                let (before, after) = (before.to_string(), after.to_string());
                self.seen = after;
                return Ok(before);
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::new(format!("it ended, {}", self.place())));
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Error::new(format!("no {text:?} came, {}", self.place())));
                }
            }
        }
    }

    fn place(&self) -> String {
        format!("see {}", Path::new(&self.log).display())
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes as arguments of printf, in lines of a length that a terminal takes.
fn lines(content: &[u8]) -> Vec<String> {
    let mut lines = vec![String::new()];
    for (at, byte) in content.iter().enumerate() {
        // A digit behind a number would be taken for a part of it.
        let digit_follows = content.get(at + 1).is_some_and(|next| (b'0'..=b'7').contains(next));
        let piece = match byte {
            // Neither what printf or this file's marks are made of, nor what ends the file.
            b'%' | b'\\' | b'@' | b'-' | b'.' => format!("\\{byte:03o}"),
            b'!'..=b'~' => char::from(*byte).to_string(),
            byte if digit_follows => format!("\\{byte:03o}"),
            byte => format!("\\{byte:o}"),
        };
        match lines.last_mut() {
            Some(line) if line.len() + piece.len() <= LINE_BYTES => line.push_str(&piece),
            _ => lines.push(piece),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gets_the_same_bytes() {
        // Each byte before each other.
        let content: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_be_bytes).collect();
        let lines = lines(&content);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= LINE_BYTES));
        let script = "while read -r l; do printf \"$l\"; done";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let text = lines.join("\n") + "\n";
        let feeder = thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
        assert_eq!(child.wait_with_output().unwrap().stdout, content);
        feeder.join().unwrap();
    }

    #[test]
    fn a_command_over_a_console() {
        // What a shell on a terminal does, without one: it invites, and echoes what is typed.
        let script = format!(
            "echo '{INVITATION}.'; read x; while read -r l; do echo \"# $l\"; eval \"$l\"; done"
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]);
        let log = std::env::temp_dir().join(format!("lab-console-{}", std::process::id()));
        let mut console = Console::start(shell, log.clone()).unwrap();
        console.log_in(PATIENCE).unwrap();
        assert_eq!(console.run("echo one; echo two", PATIENCE).unwrap(), "one\ntwo");
        assert_eq!(console.attempt("(exit 3)", PATIENCE).unwrap(), (3, String::new()));
        assert!(console.run("false", PATIENCE).is_err());
        std::fs::remove_file(log).unwrap();
    }
}
