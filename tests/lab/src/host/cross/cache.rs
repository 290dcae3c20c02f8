// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the cross-built standard libraries are kept: outside the clone, as they take minutes to
//! make and are the same for every clone. Deleting the folder is always allowed.
//!
//! Whatever is in the cache is whole: it was made in a folder of another name and then renamed.

use crate::error::{Context, Result};
use crate::host::progress;
use rustix::fs::{flock, FlockOperation};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Folders that an interrupted build may have left begin with this.
const UNFINISHED: &str = "unfinished-";

/// The cache of one compiler, to which nobody else writes while this value lives.
pub struct Cache {
    root: PathBuf,
    _lock: File,
}

/// The cache's folder for a compiler and a zig of these versions.
pub fn folder(rustc: &str, zig: &str) -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let base = base.context("neither XDG_CACHE_HOME nor HOME names a folder for the cache")?;
    Ok(base.join("flowtabled/cross").join(format!("rustc-{rustc}-zig-{zig}")))
}

impl Cache {
    /// Opens the cache, waits for another one that builds, and removes what an interrupted build
    /// left behind.
    pub fn open(root: PathBuf) -> Result<Cache> {
        let doing = || format!("opening the cache {}", root.display());
        fs::create_dir_all(&root).context(doing())?;
        let lock = File::create(root.join("lock")).context(doing())?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            progress::step("waiting for another build of the cross toolchain", || {
                flock(&lock, FlockOperation::LockExclusive).context(doing())
            })?;
        }
        for entry in root.read_dir().context(doing())?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_dir_all(entry.path()).context(doing())?;
            }
        }
        Ok(Cache { root, _lock: lock })
    }

    /// The folder of this name, made by `make` in a folder given to it if it is missing.
    pub fn part(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = self.root.join(name);
        if path.is_dir() {
            return Ok(path);
        }
        let doing = format!("making {}", path.display());
        let unfinished = self.root.join(format!("{UNFINISHED}{name}"));
        fs::create_dir_all(&unfinished).context(&doing)?;
        make(&unfinished)?;
        fs::rename(&unfinished, &path).context(&doing)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn what_is_there_is_whole() {
        let root = std::env::temp_dir().join(format!("flowtabled-cache-{}", std::process::id()));
        let fails = |dir: &Path| {
            fs::write(dir.join("half"), "").unwrap();
            Err(Error::new("interrupted"))
        };
        let cache = Cache::open(root.clone()).unwrap();
        assert!(cache.part("std", fails).is_err());
        assert!(!root.join("std").exists());
        drop(cache);
        let cache = Cache::open(root.clone()).unwrap();
        let makes = |dir: &Path| fs::write(dir.join("whole"), "").context("writing");
        let part = cache.part("std", makes).unwrap();
        let names: Vec<_> = part.read_dir().unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["whole"]);
        // It is not made a second time.
        assert_eq!(cache.part("std", fails).unwrap(), part);
        fs::remove_dir_all(root).unwrap();
    }
}
