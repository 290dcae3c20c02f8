// SPDX-License-Identifier: GPL-2.0-or-later
//! The files that a scenario starts from and changes.

use super::{CONFIG_DIR, LAB_DIR, SAVE_DIR, SCRATCH_DIR, UBUS_SOCKET};
use crate::error::{Context, Error, Result};
use crate::scenario::{parse, Scenario};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Reads a scenario (`NAME.scenario`), or a part of one (`NAME.steps`) if there is no such.
pub fn load(name: &str) -> Result<Scenario> {
    let dir = PathBuf::from(LAB_DIR).join("scenarios");
    load_from(&dir, name)
}

/// Steps that are no file; they may use parts.
pub fn steps(text: &str) -> Result<Scenario> {
    let dir = PathBuf::from(LAB_DIR).join("scenarios");
    parse("steps", &format!("about steps\n{text}\n"), &|name| part(&dir, name))
}

fn part(dir: &Path, name: &str) -> Result<String> {
    let path = dir.join("parts").join(format!("{name}.steps"));
    fs::read_to_string(&path).context(format!("reading {}", path.display()))
}

/// Like [`load`], from another folder.
pub fn load_from(dir: &Path, name: &str) -> Result<Scenario> {
    let part = |name: &str| part(dir, name);
    let path = dir.join(format!("{name}.scenario"));
    match fs::read_to_string(&path) {
        Ok(text) => parse(name, &text, &part),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            parse(name, &format!("about part {name}\nuse {name}\n"), &part)
        }
        Err(e) => Err(Error::new(format!("reading {}: {e}", path.display()))),
    }
}

/// Puts the file system back to what a scenario may expect: the overlay's own configuration and
/// nothing of the scenario before.
pub fn reset() -> Result<()> {
    let run = Path::new(UBUS_SOCKET).parent().context("the bus socket has no folder")?;
    for dir in [Path::new(CONFIG_DIR), Path::new(SAVE_DIR), Path::new(SCRATCH_DIR), run] {
        if let Err(e) = fs::remove_dir_all(dir) {
            if e.kind() != ErrorKind::NotFound {
                return Err(Error::new(format!("emptying {}: {e}", dir.display())));
            }
        }
        fs::create_dir_all(dir).context(format!("making {}", dir.display()))?;
    }
    let overlay = Path::new(LAB_DIR).join("files/etc/config");
    if let Ok(entries) = fs::read_dir(&overlay) {
        for entry in entries.flatten() {
            let to = Path::new(CONFIG_DIR).join(entry.file_name());
            fs::copy(entry.path(), &to).context(format!("copying {}", to.display()))?;
        }
    }
    Ok(())
}

/// Writes a UCI file.
pub fn write_config(file: &str, text: &str) -> Result<()> {
    let path = Path::new(CONFIG_DIR).join(file);
    fs::write(&path, text).context(format!("writing {}", path.display()))
}

/// Replaces `old`, which must stand exactly once in the UCI file.
pub fn edit_config(file: &str, old: &str, new: &str) -> Result<()> {
    let path = Path::new(CONFIG_DIR).join(file);
    let text = fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
    write_config(file, &replace_once(&text, old, new).context(path.display())?)
}

fn replace_once(text: &str, old: &str, new: &str) -> Result<String> {
    match text.matches(old).count() {
        1 => Ok(text.replacen(old, new, 1)),
        n => Err(Error::new(format!("{old:?} stands there {n} times, not once"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_must_be_unambiguous() {
        assert_eq!(replace_once("a b c", "b", "x").unwrap(), "a x c");
        assert!(replace_once("a b b", "b", "x").is_err());
        assert!(replace_once("a", "b", "x").is_err());
    }

    #[test]
    fn every_scenario_of_the_repository_can_be_read() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut seen = 0;
        for entry in fs::read_dir(&dir).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if let Some(name) = name.strip_suffix(".scenario") {
                load_from(&dir, name).unwrap();
                seen += 1;
            }
        }
        assert!(seen > 0);
    }
}
