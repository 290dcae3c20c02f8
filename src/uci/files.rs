// SPDX-License-Identifier: GPL-2.0-or-later
//! Where a package's text is, and reading it.
//!
//! No lock is taken: a commit replaces the file by a rename, and a half-written line of changes
//! is passed over and seen whole at the next reload.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::delta;
use super::error::Error;
use super::package::{Origin, Package, Place};
use crate::sys::plain_file;

/// Longest file that is read. The largest seen on routers (firewalls with generated rules) are
/// some hundred kilobytes; anything above this is no configuration and would cost the memory of a
/// small router.
pub const MAX_FILE_BYTES: u64 = 2 * 1024 * 1024;

/// Where OpenWrt keeps the configuration.
pub const CONFIG_DIR: &str = "/etc/config";
/// Where OpenWrt keeps uncommitted changes.
pub const SAVE_DIR: &str = "/tmp/.uci";
/// Files here replace the ones of the same name in [`CONFIG_DIR`] (libuci since January 2025).
pub const OVERRIDE_DIR: &str = "/var/run/uci";

/// The directories that a package is read from.
#[derive(Debug, Clone, Copy)]
pub struct Dirs<'a> {
    /// Committed files.
    pub config: &'a Path,
    /// Files that replace those of `config`; `None` to use none.
    pub replace: Option<&'a Path>,
    /// Uncommitted changes; `None` to leave them out.
    pub save: Option<&'a Path>,
}

/// A package together with the files it came from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its sections, uncommitted changes included.
    pub package: Package,
    /// The committed file.
    pub config_path: PathBuf,
    /// The file of uncommitted changes; it need not exist.
    pub delta_path: PathBuf,
    /// One line for each file of changes that could not be read, whole or in part.
    pub warnings: Vec<String>,
}

impl Source {
    /// Reads a package; `None` if it has no file. Changes that cannot be read are passed over,
    /// as libuci does, with a warning.
    pub fn read(dirs: &Dirs<'_>, name: &str) -> Result<Option<Self>, Error> {
        let replaced = dirs.replace.map(|dir| dir.join(name)).filter(|path| path.exists());
        let config_path = replaced.unwrap_or_else(|| dirs.config.join(name));
        let Some(text) = read_file(&config_path)? else { return Ok(None) };
        let mut package = Package::parse(name, &text)
            .map_err(|located| Error::Syntax { path: config_path.clone(), located })?;
        let mut warnings = Vec::new();
        let delta_path = dirs.save.map(|dir| dir.join(name)).unwrap_or_default();
        if dirs.save.is_some() {
            match read_file(&delta_path) {
                Ok(Some(text)) if lines(&text) > delta::LINES_MAX => warnings.push(format!(
                    "{}: more than {} lines, uncommitted changes passed over",
                    delta_path.display(),
                    delta::LINES_MAX
                )),
                Ok(Some(text)) => {
                    let unread = delta::apply(&mut package, &text);
                    if let Some(line) = unread.first {
                        warnings.push(format!(
                            "{}:{line}: not a change of this file, {} such lines passed over",
                            delta_path.display(),
                            unread.count
                        ));
                    }
                }
                Ok(None) => {}
                Err(error) => warnings.push(format!("{error}, uncommitted changes passed over")),
            }
        }
        Ok(Some(Source { package, config_path, delta_path, warnings }))
    }

    /// As [`Source::read`], with a missing file an error.
    pub fn require(dirs: &Dirs<'_>, name: &str) -> Result<Self, Error> {
        Source::read(dirs, name)?.ok_or_else(|| Error::Missing { path: dirs.config.join(name) })
    }

    /// The committed file, for messages.
    pub fn shown(&self) -> String {
        self.config_path.display().to_string()
    }

    /// The file of a place.
    pub fn path(&self, place: Place) -> &Path {
        match place.origin {
            Origin::Config => &self.config_path,
            Origin::Delta => &self.delta_path,
        }
    }
}

fn lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

/// A file's bytes; `None` if it does not exist.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_path_buf(), source };
    let file = match plain_file::open(path) {
        Ok(file) => file,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound => Ok(None),
                io::ErrorKind::InvalidInput => Err(Error::NotRegular { path: path.to_path_buf() }),
                _ => Err(unreadable(error)),
            }
        }
    };
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES.saturating_add(1)).read_to_end(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(Error::TooLarge { path: path.to_path_buf(), limit: MAX_FILE_BYTES });
    }
    Ok(Some(text))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory of its own that goes away with the value.
    pub struct TempDir(PathBuf);

    impl TempDir {
        pub fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("uci-{}-{count}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            TempDir(path)
        }

        pub fn path(&self) -> &Path {
            &self.0
        }

        pub fn write(&self, name: &str, text: &str) -> &Self {
            fs::write(self.0.join(name), text).unwrap();
            self
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn read(config: &TempDir, save: &TempDir) -> Result<Option<Source>, Error> {
        let dirs = Dirs { config: config.path(), replace: None, save: Some(save.path()) };
        Source::read(&dirs, "x")
    }

    #[test]
    fn a_missing_file_is_none_or_an_error_that_names_it() {
        let (config, save) = (TempDir::new(), TempDir::new());
        assert!(read(&config, &save).unwrap().is_none());
        let dirs = Dirs { config: config.path(), replace: None, save: None };
        let error = Source::require(&dirs, "x").unwrap_err();
        assert_eq!(error.path(), config.path().join("x"));
        assert!(matches!(error, Error::Missing { .. }));
    }

    #[test]
    fn changes_are_laid_over_the_file() {
        let (config, save) = (TempDir::new(), TempDir::new());
        config.write("x", "config a b\noption c 1\n");
        save.write("x", "x.b.c='2'\njunk\n");
        let source = read(&config, &save).unwrap().unwrap();
        let place = source.package.sections[0].option("c").unwrap().place;
        assert_eq!(source.path(place), save.path().join("x"));
        assert_eq!(source.warnings.len(), 1);
        assert!(source.warnings[0].contains("x:2: "), "{:?}", source.warnings);
    }

    #[test]
    fn a_flood_of_changes_is_passed_over_whole() {
        let (config, save) = (TempDir::new(), TempDir::new());
        config.write("x", "config a b\n");
        let changes = |count| "x.b.c='2'\n".repeat(count);
        save.write("x", &changes(delta::LINES_MAX));
        let source = read(&config, &save).unwrap().unwrap();
        assert_eq!((source.package.sections[0].options.len(), source.warnings.len()), (1, 0));
        save.write("x", &changes(delta::LINES_MAX + 1));
        let source = read(&config, &save).unwrap().unwrap();
        assert!(source.package.sections[0].options.is_empty());
        assert!(source.warnings[0]
            .ends_with("x: more than 16384 lines, uncommitted changes passed over"));
    }

    #[test]
    fn an_override_replaces_the_file() {
        let (config, replace) = (TempDir::new(), TempDir::new());
        config.write("x", "config a\n");
        let dirs = Dirs { config: config.path(), replace: Some(replace.path()), save: None };
        assert_eq!(Source::require(&dirs, "x").unwrap().config_path, config.path().join("x"));
        replace.write("x", "config b\n");
        let source = Source::require(&dirs, "x").unwrap();
        assert_eq!(source.package.sections[0].kind, "b");
        assert_eq!(source.config_path, replace.path().join("x"));
    }

    #[test]
    fn directories_and_giants_are_refused() {
        let (config, save) = (TempDir::new(), TempDir::new());
        fs::create_dir(config.path().join("x")).unwrap();
        assert!(matches!(read(&config, &save), Err(Error::NotRegular { .. })));
        fs::remove_dir(config.path().join("x")).unwrap();
        let giant = "#".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1);
        config.write("x", &giant);
        assert!(matches!(read(&config, &save), Err(Error::TooLarge { .. })));
        config.write("x", "");
        save.write("x", &giant);
        assert_eq!(read(&config, &save).unwrap().unwrap().warnings.len(), 1);
    }

    #[test]
    fn a_syntax_error_names_file_and_line() {
        let (config, save) = (TempDir::new(), TempDir::new());
        config.write("x", "config a\n\toptoin b c\n");
        let shown = read(&config, &save).unwrap_err().to_string();
        let path = config.path().join("x");
        assert!(shown.starts_with(&format!("{}:2: unknown command 'optoin'", path.display())));
    }
}
