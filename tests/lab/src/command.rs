// SPDX-License-Identifier: GPL-2.0-or-later
//! Running other programs: their output on success, a message with their own words on failure.

use crate::error::{Context, Error, Result};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Lines of a failed program's output that go into the message.
const TAIL_LINES: usize = 15;

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.iter().skip(all.len().saturating_sub(lines)).copied().collect::<Vec<_>>().join("\n")
}

/// What a program printed, standard output first, without the white space at the end.
pub fn text_of(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text.truncate(text.trim_end().len());
    text
}

fn checked(name: &str, output: Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = tail(&text_of(&output), TAIL_LINES);
    Err(Error::new(format!("{name}: {}: {words}", output.status)))
}

/// Runs a command to its end and returns its standard output.
pub fn run(command: &mut Command) -> Result<String> {
    let name = name_of(command);
    let output = command.stdin(Stdio::null()).output().context(&name)?;
    checked(&name, output)
}

/// Like [`run`], with `input` on standard input.
pub fn run_with_input(command: &mut Command, input: &str) -> Result<String> {
    let name = name_of(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context(&name)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that stops reading early says why on its own; that is the better message.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().context(&name)?;
    checked(&name, output)
}

fn name_of(command: &Command) -> String {
    let mut name = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args().take(4) {
        name.push(' ');
        name.push_str(&arg.to_string_lossy());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_carries_the_programs_words() {
        let error = run(Command::new("sh").args(["-c", "echo gone >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
        assert!(error.to_string().contains('3'), "{error}");
    }

    #[test]
    fn input_reaches_the_program() {
        assert_eq!(run_with_input(&mut Command::new("cat"), "hello").unwrap(), "hello");
    }

    #[test]
    fn tail_keeps_the_end() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
