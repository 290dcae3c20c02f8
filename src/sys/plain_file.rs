// SPDX-License-Identifier: GPL-2.0-or-later
//! Opening plain files where others may put something else in their place.
//!
//! Anybody may make a FIFO in `/tmp`: opened to be read it blocks until somebody writes, and with it
//! the whole loop. Some devices do something when they are opened.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a plain file to be read, also by a symbolic link.
///
/// # Errors
/// Those of the system, and [`io::ErrorKind::InvalidInput`] for what is no plain file.
pub fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(not_plain());
    }
    open_whatever_it_is_now(path)
}

/// It may have become another one since it was looked at, so what was opened is looked at too.
fn open_whatever_it_is_now(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(not_plain());
    }
    Ok(file)
}

fn not_plain() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a plain file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// With both ways in: what had been there at the first look may have been a plain file.
    #[test]
    fn only_plain_files_are_opened_and_a_fifo_does_not_block() {
        let folder = std::env::temp_dir().join(format!("plain-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (fifo, file, link) = (folder.join("fifo"), folder.join("file"), folder.join("link"));
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for open in [open, open_whatever_it_is_now] {
            for path in [&fifo, &folder, Path::new("/dev/null")] {
                let error = open(path).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{}", path.display());
            }
            assert_eq!(open(&folder.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
            let mut text = String::new();
            open(&link).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "text");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
