// SPDX-License-Identifier: GPL-2.0-or-later
//! What stands in for procd where the daemon is installed from its package: the init script is run
//! under the lab's `rc.common`, which writes down what procd would be asked for, and that is started.
//!
//! There is no jail in the lab's guest, so a script that asks for one, or for another user, is an
//! error here: nothing is to be passed over in silence.

use super::LAB_DIR;
use crate::command::run;
use crate::error::{Context, Error, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where packages to install lie.
const PACKAGES: &str = "packages";
/// Where the package's control file is once it is installed.
const INSTALLED: &str = "/usr/lib/opkg/info/flowtabled.control";
/// Where `rc.common` leaves what init scripts ask for, a file for each.
const INSTANCES: &str = "/var/run/procd";

/// Is the daemon here from its package?
pub fn has_package() -> bool {
    Path::new(INSTALLED).exists()
}

/// Installs the packages that came along, by their own scripts; returns what was said.
pub fn install() -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(Path::new(LAB_DIR).join(PACKAGES)) else {
        return Ok(Vec::new());
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let opkg = format!("{LAB_DIR}/openwrt/opkg");
    files.iter().map(|file| run(Command::new(&opkg).arg("install").arg(file))).collect()
}

/// Has the service's init script say what is to be started.
pub fn command(service: &str) -> Result<Command> {
    run(Command::new(format!("/etc/init.d/{service}")).arg("start"))?;
    let path = format!("{INSTANCES}/{service}");
    let text = fs::read_to_string(&path).context(format!("what {service} asks procd for"))?;
    let words = command_of(&text).context(path)?;
    let (program, args) = words.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(args);
    Ok(command)
}

/// The words of the command; an error if anything is asked for that is not done here.
fn command_of(text: &str) -> Result<Vec<String>> {
    let mut command = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("command") => command = words.map(str::to_string).collect(),
            // Both outputs are logged anyway; who dies is to stay dead, as the scenario wants it.
            Some("stdout" | "stderr" | "respawn") | None => {}
            Some(other) => return Err(Error::new(format!("the lab has no {other}: {line}"))),
        }
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::command_of;

    #[test]
    fn what_an_instance_starts() {
        let words = command_of("command /usr/sbin/x -a b\nstderr 1\nrespawn 3600 10 0\n").unwrap();
        assert_eq!(words, ["/usr/sbin/x", "-a", "b"]);
        let error = command_of("command /usr/sbin/x\nuser nobody\n").unwrap_err();
        assert!(error.to_string().contains("user nobody"), "{error}");
    }
}
