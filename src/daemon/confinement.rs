// SPDX-License-Identifier: GPL-2.0-or-later
//! Once the daemon runs it gives up what it does not need: capabilities, files, system calls. What a
//! kernel cannot hold back it goes on with, and says so. docs/security.md tells what remains.

use std::io;
use std::path::{Path, PathBuf};

use log::{info, warn};

use crate::sys::capabilities::{self, CAP_DAC_READ_SEARCH, CAP_NET_ADMIN};
use crate::sys::{landlock, seccomp};
use crate::uci::files::OVERRIDE_DIR;

/// Those of `files/etc/capabilities/flowtabled.json`: the kernel's networks; the configuration,
/// uncommitted changes, leases and debugfs, each of which may be somebody else's alone.
pub const KEPT: [u32; 2] = [CAP_DAC_READ_SEARCH, CAP_NET_ADMIN];

/// The kernel's own files. They are folders that file systems begin with: others in there are made
/// anew whenever the kernel has forgotten them, and a rule would not reach the new one.
const KERNEL: [&str; 2] = ["/proc", "/sys"];

/// What the daemon has given up.
#[derive(Debug)]
pub struct Confinement {
    config_dir: PathBuf,
    save_dir: PathBuf,
    wanted: bool,
    /// What can be read; `None` while everything can.
    readable: Option<Vec<PathBuf>>,
    /// Files of names that cannot be read, as the log was told last.
    told: Vec<String>,
}

impl Confinement {
    /// Nothing is given up yet, and nothing ever will be unless that is wanted.
    pub fn new(config_dir: &Path, save_dir: &Path, wanted: bool) -> Confinement {
        let (config_dir, save_dir) = (config_dir.to_owned(), save_dir.to_owned());
        Confinement { config_dir, save_dir, wanted, readable: None, told: Vec::new() }
    }

    /// Gives up what is not needed; there is no way back. Must be called before any thread is made,
    /// for threads take over what the one has that makes them.
    pub fn begin(&mut self, lease_files: &[String]) {
        if !self.wanted {
            return info!("not confined, as asked for");
        }
        if let Err(error) = capabilities::forbid_new_privileges() {
            return warn!("not confined: {error}");
        }
        let readable = readable(&self.config_dir, &self.save_dir, lease_files);
        let files = landlock::restrict(readable.iter().map(PathBuf::as_path));
        self.readable = files.is_ok().then_some(readable);
        let parts = [
            ("capabilities", capabilities::keep_only(&KEPT)),
            ("files", files.map(drop)),
            // Last: it allows none of the above.
            ("system calls", seccomp::install()),
        ];
        tell(&parts);
    }

    /// The files of names have become these: tells the log of those that are out of reach.
    pub fn check(&mut self, lease_files: &[String]) {
        let Some(readable) = &self.readable else { return };
        let beyond =
            |file: &&String| !readable.iter().any(|path| Path::new(file).starts_with(path));
        let beyond: Vec<String> = lease_files.iter().filter(beyond).cloned().collect();
        if beyond != self.told {
            for file in &beyond {
                warn!("{file} cannot be read before the daemon is started again");
            }
            self.told = beyond;
        }
    }
}

fn tell(parts: &[(&str, io::Result<()>)]) {
    let done = parts.iter().filter(|(_, result)| result.is_ok());
    let done: Vec<&str> = done.map(|(name, _)| *name).collect();
    info!("confined: {}", if done.is_empty() { "nothing".to_owned() } else { done.join(", ") });
    for (name, result) in parts {
        let Err(error) = result else { continue };
        match error.raw_os_error() {
            Some(libc::ENOSYS | libc::EOPNOTSUPP) => info!("this kernel cannot confine {name}"),
            _ => warn!("cannot confine {name}: {error}"),
        }
    }
}

/// What the daemon reads while it runs. Where files are replaced, or are not there yet, it is the
/// folder that holds them.
fn readable(config_dir: &Path, save_dir: &Path, lease_files: &[String]) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = KERNEL.iter().map(PathBuf::from).collect();
    all.push(config_dir.to_owned());
    let leases = lease_files.iter().map(Path::new);
    for path in [save_dir, Path::new(OVERRIDE_DIR)].into_iter().chain(leases) {
        all.push(holder(path));
        // Where a symbolic link leads is a place of its own.
        if let Ok(target) = path.canonicalize() {
            all.push(holder(&target));
        }
    }
    all.sort();
    all.dedup();
    all
}

/// The folder of a file; the file itself where much else is beside it.
fn holder(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| {
        let shared = ["/", "/etc", ""].map(Path::new);
        !shared.contains(folder)
    });
    folder.unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jail_of_the_package_gives_the_same_capabilities() {
        let json = include_str!("../../files/etc/capabilities/flowtabled.json");
        let names = |number: &u32| match *number {
            CAP_DAC_READ_SEARCH => "CAP_DAC_READ_SEARCH",
            CAP_NET_ADMIN => "CAP_NET_ADMIN",
            other => panic!("capability {other} has no name here"),
        };
        for set in json.split('[').skip(1) {
            let list = set.split(']').next().unwrap();
            let listed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
            assert_eq!(listed, KEPT.iter().map(names).collect::<Vec<_>>(), "{json}");
        }
        assert_eq!(json.matches('[').count(), 5, "{json}");
    }

    #[test]
    fn files_stand_for_their_folders_but_in_etc() {
        let leases = ["/tmp/dhcp.leases", "/etc/leases", "/mnt/usb/leases", "/leases"];
        let leases = leases.map(str::to_owned);
        let all = readable(Path::new("/etc/config"), Path::new("/tmp/.uci"), &leases);
        let text: Vec<&str> = all.iter().filter_map(|path| path.to_str()).collect();
        for path in [
            "/proc",
            "/sys",
            "/etc/config",
            "/tmp",
            "/var/run",
            "/etc/leases",
            "/mnt/usb",
            "/leases",
        ] {
            assert!(text.contains(&path), "{path}: {text:?}");
        }
        assert!(!text.contains(&"/") && !text.contains(&"/etc"), "{text:?}");
    }

    #[test]
    fn the_target_of_a_link_can_be_read() {
        let dir = std::env::temp_dir().join(format!("flowtabled-link-{}", std::process::id()));
        let [here, there] = ["here", "there"].map(|name| dir.join(name));
        for folder in [&here, &there] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(there.join("leases"), "").unwrap();
        std::os::unix::fs::symlink(there.join("leases"), here.join("leases")).unwrap();
        let leases = [here.join("leases").to_str().unwrap().to_owned()];
        let all = readable(Path::new("/etc/config"), Path::new("/tmp/.uci"), &leases);
        let there = there.canonicalize().unwrap();
        assert!(all.contains(&here) && all.contains(&there), "{all:?}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
