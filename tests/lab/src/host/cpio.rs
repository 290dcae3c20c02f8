// SPDX-License-Identifier: GPL-2.0-or-later
//! Writing cpio archives in the `newc` format, which the kernel unpacks as its first root.
//!
//! No compression: unpacking would cost emulated time at every boot, the disk space is a cache's.
//! Archives may follow each other in one file, so the base is packed once and the rest appended.
//! Format: `Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel.

use crate::error::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

const TRAILER: &str = "TRAILER!!!";
const S_IFDIR: u32 = 0o040_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// An archive that is being written.
pub struct Archive<W: Write> {
    out: W,
    /// Bytes written, for the alignment to four.
    at: usize,
    inode: u32,
    dirs: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// Begins an archive at an offset divisible by four.
    pub fn new(out: W) -> Self {
        Archive { out, at: 0, inode: 0, dirs: BTreeSet::new() }
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), data: &[u8]) -> Result<()> {
        self.inode += 1;
        let size = u32::try_from(data.len()).context(format!("{name} is too large"))?;
        let name_size = name.len() + 1;
        let header = format!(
            "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}{:08x}{:08x}{:08x}{:08x}\
             {name_size:08x}{:08x}",
            self.inode, 0, 0, 1, 0, 0, 0, device.0, device.1, 0
        );
        self.put(header.as_bytes())?;
        self.put(name.as_bytes())?;
        self.put(&[0])?;
        self.align()?;
        self.put(data)?;
        self.align()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len();
        self.out.write_all(bytes).context("writing the archive")
    }

    fn align(&mut self) -> Result<()> {
        let padding = self.at.next_multiple_of(4) - self.at;
        self.put([0; 4].get(..padding).unwrap_or_default())
    }

    /// Adds the folders above a path that are not there yet.
    fn parents(&mut self, path: &str) -> Result<()> {
        let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
        for dir in ends.into_iter().filter_map(|end| path.get(..end)) {
            if !dir.is_empty() && self.dirs.insert(dir.to_string()) {
                self.entry(dir, S_IFDIR | 0o755, (0, 0), &[])?;
            }
        }
        Ok(())
    }

    /// Adds a file; paths have no leading slash. Its folders are added as needed.
    pub fn file(&mut self, path: &str, mode: u32, data: &[u8]) -> Result<()> {
        self.parents(path)?;
        self.entry(path, S_IFREG | mode, (0, 0), data)
    }

    /// Adds a copy of a file of this machine, executable or not as that is.
    pub fn copy(&mut self, path: &str, from: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let doing = format!("packing {}", from.display());
        let data = fs::read(from).context(&doing)?;
        let mode = fs::metadata(from).context(&doing)?.permissions().mode();
        self.file(path, if mode & 0o111 == 0 { 0o644 } else { 0o755 }, &data)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, to: &str) -> Result<()> {
        self.parents(path)?;
        self.entry(path, S_IFLNK | 0o777, (0, 0), to.as_bytes())
    }

    /// Adds a character device.
    pub fn device(&mut self, path: &str, major: u32, minor: u32) -> Result<()> {
        self.parents(path)?;
        self.entry(path, S_IFCHR | 0o600, (major, minor), &[])
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Result<W> {
        self.entry(TRAILER, 0, (0, 0), &[])?;
        self.out.flush().context("writing the archive")?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_folders_come_first() {
        let mut archive = Archive::new(Vec::new());
        archive.file("bin/x", 0o755, b"hello").unwrap();
        archive.file("bin/y", 0o644, b"").unwrap();
        archive.link("sbin", "bin").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let starts: Vec<usize> =
            (0..bytes.len()).filter(|&i| bytes[i..].starts_with(b"070701")).collect();
        assert!(starts.iter().all(|start| start % 4 == 0), "{starts:?}");
        let names: Vec<&str> = starts
            .iter()
            .map(|&at| {
                let name = &bytes[at + 110..];
                let end = name.iter().position(|&b| b == 0).unwrap();
                std::str::from_utf8(&name[..end]).unwrap()
            })
            .collect();
        assert_eq!(names, ["bin", "bin/x", "bin/y", "sbin", TRAILER]);
        let size = std::str::from_utf8(&bytes[starts[1] + 54..starts[1] + 62]).unwrap();
        assert_eq!(size, "00000005");
    }
}
