// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the guest's programs come from: this machine's own, or for another architecture the same
//! packages of Debian 12 for that, unpacked and not installed.

use super::architecture::{Architecture, Foreign};
use super::{apt, paths, progress};
use crate::command::run;
use crate::error::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs that looking into programs needs; binutils reads those of every architecture.
pub const TOOLS: [apt::Tool; 1] = [("readelf", "binutils")];

/// Programs that the guest gets, with the packages that have them.
pub const PROGRAMS: [apt::Tool; 19] = [
    ("busybox", "busybox-static"),
    // Debian's busybox shell takes its own applets before programs, and its `ip` knows too little.
    ("dash", "dash"),
    ("bash", "bash"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("bridge", "iproute2"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ethtool", "ethtool"),
    ("iperf3", "iperf3"),
    ("tcpdump", "tcpdump"),
    ("pppd", "ppp"),
    ("pppoe-server", "pppoe"),
    ("pppoe", "pppoe"),
    ("wg", "wireguard-tools"),
    ("socat", "socat"),
    ("hostapd", "hostapd"),
    ("iw", "iw"),
    ("setpriv", "util-linux"),
];

/// The suite of foreign programs: the last one that has all architectures of the lab.
const SUITE: &str = "bookworm";

/// Folders of programs. Those below `bin` first: some of the others are links to them that only
/// hold where the packages are installed.
const PROGRAM_DIRS: [&str; 4] = ["usr/bin", "bin", "usr/sbin", "sbin"];

/// A root file system that programs and their libraries are taken from.
pub struct Userland {
    root: PathBuf,
    architecture: &'static Architecture,
}

impl Userland {
    /// That of an architecture, fetched where it is missing.
    pub fn of(architecture: &'static Architecture) -> Result<Userland> {
        let root = match &architecture.foreign {
            None => PathBuf::from("/"),
            Some(foreign) => fetch(architecture, foreign)?,
        };
        Ok(Userland { root, architecture })
    }

    /// Where a program is.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let found = match self.architecture.foreign {
            None => apt::find_program(name),
            Some(_) => PROGRAM_DIRS.iter().map(|dir| self.root.join(dir).join(name)).find(|path| {
                // A link to an absolute path would lead to this machine's own.
                path.is_file() && !fs::read_link(path).is_ok_and(|to| to.is_absolute())
            }),
        };
        found.context(format!("no program {name} for {}", self.architecture.debian))
    }

    /// The folder of pppd's plugins, which has pppd's version as name, with a plugin.
    pub fn pppd_plugin(&self, name: &str) -> Result<PathBuf> {
        let dir = self.root.join("usr/lib/pppd");
        let versions = dir.read_dir().context("the plugins of pppd")?;
        let mut plugins = versions.flatten().map(|version| version.path().join(name));
        plugins.find(|path| path.is_file()).context(format!("pppd has no plugin {name}"))
    }

    /// Where a file of this root lies in the guest's, without a leading slash.
    pub fn place(&self, file: &Path) -> String {
        let inner = file.strip_prefix(&self.root).unwrap_or(file);
        inner.to_string_lossy().trim_start_matches('/').to_string()
    }

    /// The loader and the libraries that a program is linked with, and what those are linked with;
    /// nothing for a static one.
    pub fn libraries(&self, program: &Path) -> Result<BTreeSet<PathBuf>> {
        let mut found = BTreeSet::new();
        let mut next = vec![program.to_path_buf()];
        while let Some(file) = next.pop() {
            let listing = run(Command::new("readelf").arg("-ldW").arg(&file))?;
            for name in needed(&listing) {
                let path = self
                    .library(name)
                    .context(format!("{} needs {name}, which is not there", file.display()))?;
                if found.insert(path.clone()) {
                    next.push(path);
                }
            }
        }
        Ok(found)
    }

    /// A library by its name, or the loader by its path.
    fn library(&self, name: &str) -> Option<PathBuf> {
        if let Some(inner) = name.strip_prefix('/') {
            return Some(self.root.join(inner)).filter(|path| path.is_file());
        }
        let dirs = ["lib", "usr/lib"].map(|dir| self.root.join(dir));
        let own = dirs.clone().map(|dir| dir.join(self.architecture.libraries));
        own.into_iter().chain(dirs).map(|dir| dir.join(name)).find(|path| path.is_file())
    }
}

/// The loader's path and the libraries' names in what readelf prints.
fn needed(listing: &str) -> Vec<&str> {
    let marks = ["Shared library: [", "program interpreter: "];
    let mut names = Vec::new();
    for line in listing.lines() {
        let behind = marks.iter().find_map(|mark| line.split_once(mark)).map(|(_, rest)| rest);
        names.extend(behind.and_then(|rest| rest.strip_suffix(']')));
    }
    names
}

/// The packages of all programs and what they depend on, unpacked into the cache.
fn fetch(architecture: &'static Architecture, foreign: &Foreign) -> Result<PathBuf> {
    let dir = paths::cache("userland")?.join(architecture.debian);
    let mut packages: Vec<&str> = PROGRAMS.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    let wish = packages.join(" ");
    let (root, complete) = (dir.join("root"), dir.join("complete"));
    if fs::read_to_string(&complete).is_ok_and(|had| had == wish) {
        return Ok(root);
    }
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&root).context(format!("making {}", root.display()))?;
    let view = apt::View::open(SUITE, architecture)?;
    let files = view.download_all(&packages, &dir.join("download"))?;
    progress::step(&format!("unpacking {} packages for {}", files.len(), foreign.target), || {
        files.iter().try_for_each(|file| {
            run(Command::new("dpkg-deb").arg("-x").arg(file).arg(&root)).map(drop)
        })
    })?;
    fs::remove_dir_all(dir.join("download")).context("clearing up")?;
    // Written last: without it the folder does not count.
    fs::write(complete, wish).context("keeping the packages")?;
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::architecture::AMD64;

    #[test]
    fn loader_and_libraries_as_readelf_names_them() {
        let listing = "      [Requesting program interpreter: /lib/ld.so.1]\n   01     .interp \n \
            0x00000001 (NEEDED)                     Shared library: [libmnl.so.0]\n \
            0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]\n \
            0x0000000e (SONAME)             Library soname: [libx.so.1]\n";
        assert_eq!(needed(listing), ["/lib/ld.so.1", "libmnl.so.0", "libc.so.6"]);
    }

    #[test]
    fn libraries_of_this_machine_are_found_with_their_own() {
        let userland = Userland::of(&AMD64).unwrap();
        let shell = userland.program("sh").unwrap();
        let names: Vec<String> =
            userland.libraries(&shell).unwrap().iter().map(|path| userland.place(path)).collect();
        assert!(names.iter().any(|name| name.ends_with("/libc.so.6")), "{names:?}");
        assert!(names.iter().any(|name| name.contains("ld-linux")), "{names:?}");
        assert!(userland.library("libnothing.so.9").is_none());
    }
}
