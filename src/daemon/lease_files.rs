// SPDX-License-Identifier: GPL-2.0-or-later
//! Names of clients from the files of the DHCP servers, read again when one has changed and
//! somebody wants to see names.

use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use log::debug;

use crate::core::flows::names::Names;
use crate::leases::{Leases, FILE_MAX};
use crate::netlink::route::Mac;
use crate::sys::plain_file;

/// Between two readings. Anybody who may write to a file, or only touch it, can make it look new before
/// each answer.
const PAUSE: Duration = Duration::from_secs(2);

/// The names, and which state of the files they are from.
#[derive(Debug, Default)]
pub struct LeaseFiles {
    read: Vec<(String, Option<(SystemTime, u64)>)>,
    read_at: Option<Instant>,
    leases: Leases,
}

impl LeaseFiles {
    /// Reads the files, unless nothing about them has changed since the last time, or they were read
    /// just before. One that is not there has no names.
    pub fn refresh(&mut self, paths: &[String], now: Instant) {
        let same = self.read.iter().map(|(path, _)| path).eq(paths);
        if same && self.read_at.is_some_and(|read_at| now < read_at + PAUSE) {
            return;
        }
        let state = |path: &String| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        let present: Vec<_> = paths.iter().map(|path| (path.clone(), state(path))).collect();
        if present == self.read {
            return;
        }
        self.leases = Leases::default();
        for (path, _) in present.iter().filter(|(_, state)| state.is_some()) {
            match read(path) {
                Ok(bytes) => self.leases.read(&bytes),
                Err(error) => debug!("cannot read {path}: {error}"),
            }
        }
        if self.leases.skipped > 0 {
            debug!("{} lines with names are of no known form", self.leases.skipped);
        }
        self.read = present;
        self.read_at = Some(now);
    }

    /// Names that were not kept because there are too many.
    pub fn left_out(&self) -> u64 {
        self.leases.left_out
    }
}

impl Names for LeaseFiles {
    fn name(&self, mac: Option<Mac>, addresses: &[IpAddr]) -> Option<String> {
        self.leases.name(mac, addresses).map(str::to_owned)
    }
}

/// As much of a file as is looked at. Anybody may make files in `/tmp`.
fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    plain_file::open(Path::new(path))?.take(FILE_MAX as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(files: &LeaseFiles) -> Option<String> {
        files.name(None, &["192.168.1.2".parse().unwrap()])
    }

    /// Opened like a file, a FIFO that nobody writes to would block for ever.
    #[test]
    fn only_plain_files_are_read() {
        let folder = std::env::temp_dir().join(format!("flowtabled-fifo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let made = std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap();
        assert!(made.success());
        std::fs::write(path("leases"), "1 02:00:00:00:00:07 192.168.1.2 laptop *\n").unwrap();
        std::os::unix::fs::symlink(path("leases"), path("link")).unwrap();
        for name in [path("fifo"), folder.to_str().unwrap().to_owned(), "/dev/null".to_owned()] {
            assert_eq!(read(&name).unwrap_err().to_string(), "not a plain file", "{name}");
        }
        let mut files = LeaseFiles::default();
        files.refresh(&[path("fifo"), path("link")], Instant::now());
        assert_eq!(name(&files).as_deref(), Some("laptop"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn files_are_read_again_when_they_change() {
        let folder = std::env::temp_dir().join(format!("flowtabled-leases-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("leases").to_str().unwrap().to_owned();
        let write = |name: &str| {
            let line = format!("1 02:00:00:00:00:07 192.168.1.2 {name} *\n");
            std::fs::write(&path, line).unwrap();
        };
        let paths = [path.clone(), "/nowhere/at/all".to_owned()];
        let (mut files, start) = (LeaseFiles::default(), Instant::now());
        files.refresh(&paths, start);
        assert_eq!(name(&files), None);
        write("laptop");
        files.refresh(&paths, start + PAUSE);
        assert_eq!(name(&files).as_deref(), Some("laptop"));
        write("notebook");
        files.refresh(&paths, start + PAUSE * 3 / 2);
        assert_eq!(name(&files).as_deref(), Some("laptop"), "not as often as they change");
        files.refresh(&paths, start + PAUSE * 2);
        assert_eq!(name(&files).as_deref(), Some("notebook"));
        files.refresh(&paths[1..], start + PAUSE * 2);
        assert_eq!(name(&files), None, "other files are read at once");
        files.refresh(&paths, start + PAUSE * 2);
        std::fs::remove_dir_all(&folder).unwrap();
        files.refresh(&paths, start + PAUSE * 3);
        assert_eq!(name(&files), None);
    }
}
