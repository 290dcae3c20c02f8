// SPDX-License-Identifier: GPL-2.0-or-later
//! Where things are: the repository and the lab's cache below `target/lab`.

use crate::error::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// cargo's output folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| repository().join("target"), |dir| repository().join(dir))
}

/// A folder of the cache, made when it is missing.
pub fn cache(name: &str) -> Result<PathBuf> {
    let dir = target().join("lab").join(name);
    fs::create_dir_all(&dir).context(format!("making {}", dir.display()))?;
    Ok(dir)
}

/// A file or folder of the lab in the repository.
pub fn lab(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
