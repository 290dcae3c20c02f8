// SPDX-License-Identifier: GPL-2.0-or-later
//! Where and when figures were measured: without that they say little.

use super::paths;
use crate::command::run;
use crate::error::Result;
use serde_json::{json, Value as Json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

/// Kernel, processor, compiler, the sources' revision and the time; null what the machine does not tell.
pub(super) fn about() -> Json {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let version = first_line(Command::new("rustc").arg("--version"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
    json!({
        "kernel": kernel.map(|kernel| kernel.trim().to_owned()),
        "cpu": processor(&cpuinfo),
        "processors": thread::available_parallelism().ok().map(usize::from),
        "rustc": version.as_deref().and_then(|line| line.strip_prefix("rustc ")),
        "revision": revision(&paths::repository()).ok(),
        "time": first_line(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"])),
    })
}

/// In a few words, for the heading of a table.
pub(super) fn line(about: &Json) -> String {
    let keys = ["time", "revision", "kernel", "cpu", "processors", "rustc"];
    let words = keys.iter().map(|key| match about.get(key) {
        Some(Json::String(word)) => format!("{key} {word}"),
        Some(Json::Number(number)) => format!("{key} {number}"),
        _ => format!("{key} unknown"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// x86 has a model's name, other processors tell a machine's or none.
fn processor(cpuinfo: &str) -> Option<&str> {
    ["model name", "Hardware", "machine", "cpu model"].iter().find_map(|key| {
        let named = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        named.filter(|(name, _)| name.trim() == *key).map(|(_, value)| value.trim()).next()
    })
}

fn first_line(command: &mut Command) -> Option<String> {
    run(command).ok()?.lines().next().map(str::to_owned)
}

/// The commit that is checked out, with a mark when files differ from it.
pub(super) fn revision(repository: &Path) -> Result<String> {
    let commit = run(git(repository).args(["rev-parse", "--short=12", "HEAD"]))?;
    let changed = run(git(repository).args(["status", "--porcelain", "--untracked-files=no"]))?;
    let mark = if changed.is_empty() { "" } else { "-dirty" };
    Ok(format!("{}{mark}", commit.trim()))
}

/// git for this folder and no other, also below a hook of git's.
pub(super) fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    command.arg("-C").arg(folder);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_have_names() {
        let x86 = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC\nmodel name\t: other\n";
        assert_eq!(processor(x86), Some("AMD EPYC"));
        assert_eq!(
            processor("system type : MT7621\ncpu model : MIPS 1004Kc\n"),
            Some("MIPS 1004Kc")
        );
        assert_eq!(processor(""), None);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let line = line(&json!({ "kernel": "6.1", "processors": 2, "cpu": null }));
        assert_eq!(
            line,
            "time unknown, revision unknown, kernel 6.1, cpu unknown, processors 2, rustc unknown"
        );
    }
}
