// SPDX-License-Identifier: GPL-2.0-or-later
//! Holds the daemon's UCI reader to libuci.
//!
//! [`compare`] writes a configuration and its uncommitted changes to files, lets both readers
//! load them and compares the whole trees. The libuci in `libuci-sys` 1.0.5 is of 2021; where
//! later versions, which routers run, differ from it, the reader follows the later ones and
//! [`agree`] allows for exactly that difference.

pub mod sys;
pub mod tree;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use flowtabled::uci::files::{Dirs, Source};
use flowtabled::uci::lexer::Lexer;
use flowtabled::uci::statement::{Command, Statements};

use tree::Tree;

/// The package's name: one that nobody has uncommitted changes of, since libuci also looks into
/// `/tmp/.uci` whatever save directory it is given.
pub const PACKAGE: &str = "uci_differential";

/// A configuration directory and a save directory, removed with the value.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Makes the two directories under the system's temporary one.
    ///
    /// # Panics
    /// If they cannot be made.
    #[allow(clippy::expect_used)]
    pub fn new(label: &str) -> Self {
        let name = format!("uci-differential-{}-{label}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for dir in ["config", "save"] {
            fs::create_dir_all(root.join(dir)).expect("temporary directory");
        }
        Workspace { root }
    }

    /// Where the configuration is.
    pub fn config_dir(&self) -> PathBuf {
        self.root.join("config")
    }

    /// Where the uncommitted changes are.
    pub fn save_dir(&self) -> PathBuf {
        self.root.join("save")
    }

    /// Writes both files; without changes there is no file of changes.
    ///
    /// # Panics
    /// If they cannot be written.
    #[allow(clippy::expect_used)]
    pub fn write(&self, config: &[u8], delta: Option<&[u8]>) {
        fs::write(self.config_dir().join(PACKAGE), config).expect("write configuration");
        let path = self.save_dir().join(PACKAGE);
        match delta {
            Some(delta) => fs::write(path, delta).expect("write changes"),
            None => {
                let _ = fs::remove_file(path);
            }
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// How both readers took an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Both read it, with the same tree.
    Accepted,
    /// Both rejected it.
    Rejected,
}

/// How often each verdict was given, so that a test can see that it tested something.
#[derive(Debug, Default)]
pub struct Tally {
    accepted: Cell<u32>,
    rejected: Cell<u32>,
}

impl Tally {
    /// Counts a verdict.
    pub fn count(&self, verdict: Verdict) {
        let cell = match verdict {
            Verdict::Accepted => &self.accepted,
            Verdict::Rejected => &self.rejected,
        };
        cell.set(cell.get().saturating_add(1));
    }

    /// Accepted and rejected inputs.
    pub fn get(&self) -> (u32, u32) {
        (self.accepted.get(), self.rejected.get())
    }
}

/// Lets both readers load an input; `Err` says how they differ.
pub fn compare(
    workspace: &Workspace,
    config: &[u8],
    delta: Option<&[u8]>,
) -> Result<Verdict, String> {
    workspace.write(config, delta);
    let (config_dir, save_dir) = (workspace.config_dir(), workspace.save_dir());
    let theirs = sys::load(&config_dir, &save_dir, PACKAGE);
    let ours = load_ours(&config_dir, &save_dir);
    agree(config, ours, theirs)
}

/// Loads with the daemon's reader.
pub fn load_ours(config_dir: &Path, save_dir: &Path) -> Result<Source, String> {
    let dirs = Dirs { config: config_dir, replace: None, save: Some(save_dir) };
    Source::require(&dirs, PACKAGE).map_err(|error| error.to_string())
}

/// Compares two results for the same `config`.
pub fn agree(
    config: &[u8],
    ours: Result<Source, String>,
    theirs: Result<Tree, String>,
) -> Result<Verdict, String> {
    match (ours, theirs) {
        (Ok(source), Ok(theirs)) => {
            let (exact, loose) = tree::expected(&source.package);
            if exact == theirs || loose.is_some_and(|loose| loose == theirs.clone().sorted()) {
                Ok(Verdict::Accepted)
            } else {
                Err(format!("trees differ\nours   {exact:#?}\nlibuci {theirs:#?}"))
            }
        }
        (Err(_), Err(_)) => Ok(Verdict::Rejected),
        (Ok(_), Err(theirs)) if loses_a_section(config) && theirs.contains("first section") => {
            Ok(Verdict::Rejected)
        }
        (Ok(source), Err(theirs)) => {
            Err(format!("only libuci rejects: {theirs}\nours {:#?}", source.package))
        }
        (Err(ours), Ok(theirs)) => Err(format!("only ours rejects: {ours}\nlibuci {theirs:#?}")),
    }
}

/// libuci before August 2023 loses hold of a named section that is opened a third time, and then
/// finds its options to be outside any section.
fn loses_a_section(config: &[u8]) -> bool {
    let mut names: Vec<_> = Statements::new(config)
        .filter_map(|statement| match statement.ok()?.command {
            Command::Config { name, .. } => name,
            _ => None,
        })
        .collect();
    names.sort();
    names.windows(3).any(|three| matches!(three, [a, b, c] if a == b && b == c))
}

/// Is what libuci does with these changes defined? Two lines make it read freed or uninitialised
/// memory: `+a.b=''` (before August 2023), and removing a list entry with a blank index.
pub fn is_defined(delta: &[u8]) -> bool {
    let mut lexer = Lexer::new(delta);
    while lexer.next_line() {
        let Ok(word) = lexer.word() else { continue };
        let value = word.iter().position(|b| *b == b'=').and_then(|at| word.get(at + 1..));
        let defined = match (word.first(), value) {
            (Some(b'+'), Some(value)) => !value.is_empty(),
            (Some(b'-'), Some(value)) => value.is_empty() || !value.trim_ascii().is_empty(),
            _ => true,
        };
        if !defined {
            return false;
        }
    }
    true
}
