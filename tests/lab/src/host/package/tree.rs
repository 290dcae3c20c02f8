// SPDX-License-Identifier: GPL-2.0-or-later
//! The files of a package, by their paths on the router.

use crate::command::run;
use crate::error::{Context, Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A folder, which everybody may enter.
    Folder,
    /// A file.
    File {
        /// Its bytes.
        content: Vec<u8>,
        /// Its permissions.
        mode: u32,
    },
    /// A symbolic link.
    Link(String),
}

impl Node {
    /// The permissions.
    pub fn mode(&self) -> u32 {
        match self {
            Node::Folder => 0o755,
            Node::File { mode, .. } => *mode,
            Node::Link(_) => 0o777,
        }
    }
}

/// Files and links by path, without the slash in front.
#[derive(Debug, Default)]
pub struct Tree(BTreeMap<String, Node>);

/// Configuration may hold secrets, and OpenWrt installs it for root alone.
const CONFIGURATION: &str = "etc/config/";

impl Tree {
    /// Adds a file. Its permissions follow from what it is: programs are for everybody to run,
    /// configuration is root's. `executable` has to agree: a script that procd cannot start, or a
    /// page that can be executed, is a mistake in the repository.
    pub fn file(&mut self, path: &str, content: Vec<u8>, executable: bool) -> Result<()> {
        let program = content.starts_with(b"#!") || content.starts_with(b"\x7fELF");
        match (program, executable) {
            (true, false) => {
                return Err(Error::new(format!("{path} is a program without mode 755")))
            }
            (false, true) => return Err(Error::new(format!("{path} is no program, but mode 755"))),
            _ => {}
        }
        let mode = match program {
            true => 0o755,
            false if path.starts_with(CONFIGURATION) => 0o600,
            false => 0o644,
        };
        self.add(path, Node::File { content, mode })
    }

    /// Adds a link.
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.add(path, Node::Link(target.to_string()))
    }

    fn add(&mut self, path: &str, node: Node) -> Result<()> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !path.split('/').all(plain) {
            return Err(Error::new(format!("{path:?} is no path in a package")));
        }
        if self.0.insert(path.to_string(), node).is_some() {
            return Err(Error::new(format!("{path} is there twice")));
        }
        Ok(())
    }

    /// Adds what git knows of a folder of the repository, below `at`; says what it leaves out.
    /// The names and modes are git's, so that a forgotten editor's copy gets into no package.
    pub fn add_folder(&mut self, repository: &Path, folder: &str, at: &str) -> Result<()> {
        let git = |args: &[&str]| {
            run(Command::new("git").current_dir(repository).args(args).args(["-z", "--", folder]))
        };
        for name in git(&["ls-files", "--others", "--exclude-standard"])?.split_terminator('\0') {
            eprintln!("   left out, as git does not know it: {name}");
        }
        for entry in git(&["ls-files", "--stage"])?.split_terminator('\0') {
            let (about, name) = entry.split_once('\t').context("a line of git ls-files")?;
            let below = name.strip_prefix(folder).context("a path of git ls-files")?;
            let path = format!("{at}{below}").trim_start_matches('/').to_string();
            let file = repository.join(name);
            match about.split(' ').next() {
                Some("100644") => self.file(&path, read(&file)?, false)?,
                Some("100755") => self.file(&path, read(&file)?, true)?,
                Some("120000") => {
                    let target = fs::read_link(&file).context(file.display())?;
                    self.link(&path, &target.to_string_lossy())?;
                }
                mode => return Err(Error::new(format!("{name}: git's mode {mode:?}"))),
            }
        }
        Ok(())
    }

    /// Gives each file of this suffix other bytes.
    pub fn rewrite(
        &mut self,
        suffix: &str,
        anew: impl Fn(&str, &[u8]) -> Result<Vec<u8>>,
    ) -> Result<()> {
        for (path, node) in self.0.iter_mut().filter(|(path, _)| path.ends_with(suffix)) {
            if let Node::File { content, .. } = node {
                *content = anew(path, content)?;
            }
        }
        Ok(())
    }

    /// All of it in a folder.
    pub fn inside(self, folder: &str) -> Tree {
        Tree(self.0.into_iter().map(|(path, node)| (format!("{folder}/{path}"), node)).collect())
    }

    /// The node at a path.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.0.get(path)
    }

    /// Paths of the files and links.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Everything with the folders, each before what is in it, always in the same order.
    pub fn entries(&self) -> Vec<(&str, &Node)> {
        let mut entries = Vec::new();
        let mut seen = BTreeSet::new();
        for (path, node) in &self.0 {
            for (at, _) in path.match_indices('/') {
                let Some(folder) = path.get(..at) else { continue };
                if seen.insert(folder) {
                    entries.push((folder, &Node::Folder));
                }
            }
            entries.push((path, node));
        }
        entries
    }

    /// Writes it all into a new folder, with this time of change.
    pub fn write(&self, root: &Path, time_s: u64) -> Result<()> {
        fs::create_dir_all(root).context(format!("making {}", root.display()))?;
        let entries = self.entries();
        for (path, node) in &entries {
            let file = root.join(path);
            put(&file, node).context(format!("writing {}", file.display()))?;
        }
        // What is written into a folder changes its time: the inner ones first, the root last.
        let mut all: Vec<PathBuf> = entries.iter().rev().map(|(path, _)| root.join(path)).collect();
        all.push(root.to_path_buf());
        for file in all {
            touch(&file, time_s).context(format!("the time of {}", file.display()))?;
        }
        Ok(())
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).context(format!("reading {}", file.display()))
}

fn put(file: &Path, node: &Node) -> std::io::Result<()> {
    use std::os::unix::fs::{symlink, PermissionsExt};
    match node {
        Node::Folder => fs::create_dir(file)?,
        Node::File { content, .. } => fs::write(file, content)?,
        Node::Link(target) => return symlink(target, file),
    }
    fs::set_permissions(file, fs::Permissions::from_mode(node.mode()))
}

fn touch(file: &Path, time_s: u64) -> std::io::Result<()> {
    use rustix::fs::{utimensat, AtFlags, Timespec, Timestamps, CWD};
    let time = Timespec { tv_sec: time_s as _, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, file, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_follow_from_what_a_file_is() {
        let mut tree = Tree::default();
        tree.file("etc/init.d/x", b"#!/bin/sh\n".to_vec(), true).unwrap();
        tree.file("etc/config/x", b"config x\n".to_vec(), false).unwrap();
        tree.file("usr/share/x", b"{}".to_vec(), false).unwrap();
        tree.link("usr/bin/x", "../sbin/x").unwrap();
        let told: Vec<_> = tree.entries().iter().map(|(p, n)| (*p, n.mode())).collect();
        let wanted = [
            ("etc", 0o755),
            ("etc/config", 0o755),
            ("etc/config/x", 0o600),
            ("etc/init.d", 0o755),
            ("etc/init.d/x", 0o755),
            ("usr", 0o755),
            ("usr/bin", 0o755),
            ("usr/bin/x", 0o777),
            ("usr/share", 0o755),
            ("usr/share/x", 0o644),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn wrong_modes_and_paths_are_refused() {
        let mut tree = Tree::default();
        assert!(tree.file("etc/init.d/x", b"#!/bin/sh\n".to_vec(), false).is_err());
        assert!(tree.file("www/x.js", b"'use strict'".to_vec(), true).is_err());
        assert!(tree.file("../x", Vec::new(), false).is_err());
        tree.file("x", Vec::new(), false).unwrap();
        assert!(tree.file("x", Vec::new(), false).is_err());
    }

    #[test]
    fn only_what_git_knows_gets_in() {
        let root = std::env::temp_dir().join(format!("flowtabled-tree-{}", std::process::id()));
        let mut source = Tree::default();
        source.file("files/etc/a", b"a".to_vec(), false).unwrap();
        source.file("files/usr/b", b"#!/bin/sh\n".to_vec(), true).unwrap();
        source.link("files/usr/c", "b").unwrap();
        source.write(&root, 7).unwrap();
        let git = |args: &[&str]| {
            run(Command::new("git")
                .current_dir(&root)
                .args(["-c", "init.defaultBranch=x"])
                .args(args))
        };
        git(&["init", "-q"]).unwrap();
        git(&["add", "files"]).unwrap();
        fs::write(root.join("files/usr/b~"), "").unwrap();
        let mut tree = Tree::default();
        tree.add_folder(&root, "files/etc", "etc").unwrap();
        tree.add_folder(&root, "files/usr", "").unwrap();
        let paths: Vec<_> = tree.paths().collect();
        assert_eq!(paths, ["b", "c", "etc/a"]);
        assert_eq!(tree.get("c"), Some(&Node::Link("b".into())));
        git(&["update-index", "--chmod=-x", "files/usr/b"]).unwrap();
        let error = Tree::default().add_folder(&root, "files", "").unwrap_err();
        assert!(error.to_string().contains("without mode 755"), "{error}");
        fs::remove_dir_all(root).unwrap();
    }
}
