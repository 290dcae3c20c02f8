// SPDX-License-Identifier: GPL-2.0-or-later
//! Kernels to boot: Debian's own, resolved when they are first needed and then kept.
//!
//! A version is never written down, because old ones leave the archive; the meta package of a
//! suite names the present one.

use super::architecture::{Architecture, AMD64, ARM64, ARMHF, MIPSEL};
use super::{apt, modules, paths, progress};
use crate::command::run;
use crate::error::{Context, Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a kernel comes from.
#[derive(Debug)]
pub struct Source {
    /// What `--kernel` calls it.
    pub name: &'static str,
    suite: &'static str,
    package: &'static str,
    newer: bool,
    /// What it runs on.
    pub architecture: &'static Architecture,
}

/// All kernels of the lab; the first is the base. Not the cloud flavours, which are smaller, but
/// lack PPPoE and Wi-Fi.
pub static SOURCES: [Source; 6] = [
    Source {
        name: "6.1",
        suite: "bookworm",
        package: "linux-image-amd64",
        newer: false,
        architecture: &AMD64,
    },
    Source {
        name: "6.12",
        suite: "bookworm-backports",
        package: "linux-image-amd64",
        newer: false,
        architecture: &AMD64,
    },
    // The first with the strict path of 6.19: a flow needs the lowest device of both directions.
    Source {
        name: "newest",
        suite: "testing",
        package: "linux-image-amd64",
        newer: true,
        architecture: &AMD64,
    },
    // 32-bit MIPS is no part of Debian 13.
    Source {
        name: "malta",
        suite: "bookworm",
        package: "linux-image-4kc-malta",
        newer: false,
        architecture: &MIPSEL,
    },
    Source {
        name: "arm64",
        suite: "bookworm",
        package: "linux-image-arm64",
        newer: false,
        architecture: &ARM64,
    },
    Source {
        name: "armhf",
        suite: "bookworm",
        package: "linux-image-armmp",
        newer: false,
        architecture: &ARMHF,
    },
];

/// Programs that fetching and unpacking needs.
pub const TOOLS: [apt::Tool; 3] = [("depmod", "kmod"), ("xz", "xz-utils"), ("tar", "tar")];

/// Large parts of the package that no router of the lab can use.
const LEFT_OUT: [&str; 6] = ["gpu", "media", "sound", "infiniband", "scsi", "usb"];

/// A kernel that is ready to boot.
#[derive(Debug)]
pub struct Kernel {
    /// What `--kernel` calls it.
    pub name: &'static str,
    /// The suite that it and its headers are from.
    pub suite: &'static str,
    /// Its suite has a newer compiler and C library than Debian 12.
    pub newer: bool,
    /// What it runs on.
    pub architecture: &'static Architecture,
    /// Its release.
    pub release: String,
    /// The image.
    pub image: PathBuf,
    /// Folder with its modules and their `modules.order`.
    pub modules: PathBuf,
}

/// Finds a source by the name given to `--kernel`.
pub fn source(name: &str) -> Result<&'static Source> {
    let names = || SOURCES.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
    SOURCES
        .iter()
        .find(|source| source.name == name)
        .context(format!("no kernel {name:?}, there are: {}", names()))
}

impl Source {
    /// The kernel, from the cache or from its suite. One that was kept with other modules than are
    /// wanted now does not count.
    pub fn kernel(&'static self) -> Result<Kernel> {
        let dir = paths::cache("kernels")?.join(self.name);
        let kept = |file: &str| fs::read_to_string(dir.join(file));
        if let (Ok(release), Ok(recipe)) = (kept("release"), kept("recipe")) {
            if recipe == self.recipe() {
                return Ok(self.at(&dir, release.trim()));
            }
        }
        let view = apt::View::open(self.suite, self.architecture)?;
        let package = view.dependency(self.package, "linux-image-")?;
        let release = package.strip_prefix("linux-image-").unwrap_or(&package).to_string();
        let work = paths::cache("kernels")?.join(format!("{}.new", self.name));
        let _ = fs::remove_dir_all(&work);
        let mut files = Vec::new();
        for part in parts(&view, &package) {
            files.push(view.download(&part, &work.join("download").join(&part))?);
        }
        progress::step(&format!("unpacking {package}"), || {
            unpack(self.architecture, &files, (&work, &release))
        })?;
        let _ = fs::remove_dir_all(&dir);
        fs::rename(&work, &dir).context("keeping the kernel")?;
        fs::write(dir.join("recipe"), self.recipe()).context("keeping the kernel")?;
        // Written last: without it the folder does not count.
        fs::write(dir.join("release"), &release).context("keeping the kernel")?;
        Ok(self.at(&dir, &release))
    }

    /// What a kept kernel was made of, apart from the version.
    fn recipe(&self) -> String {
        format!("{} {}\n{}", self.suite, self.package, modules::wish(self.architecture))
    }

    fn at(&self, dir: &Path, release: &str) -> Kernel {
        Kernel {
            name: self.name,
            suite: self.suite,
            newer: self.newer,
            architecture: self.architecture,
            release: release.to_string(),
            image: dir.join("vmlinuz"),
            modules: dir.join("modules"),
        }
    }
}

/// The packages that hold image and modules: one of old, two since Debian 14.
fn parts(view: &apt::View, package: &str) -> Vec<String> {
    let split = ["linux-binary-", "linux-modules-"];
    let found: Vec<String> =
        split.iter().filter_map(|prefix| view.dependency(package, prefix).ok()).collect();
    if found.is_empty() {
        return vec![package.to_string()];
    }
    found
}

fn unpack(
    architecture: &Architecture,
    files: &[PathBuf],
    (work, release): (&Path, &str),
) -> Result<()> {
    let root = work.join("root");
    fs::create_dir_all(&root).context("unpacking")?;
    let excludes: String =
        LEFT_OUT.iter().map(|part| format!(" --exclude='*/kernel/*{part}/*'")).collect();
    let script = format!("dpkg-deb --fsys-tarfile \"$1\" | tar -x -C \"$2\"{excludes}");
    for file in files {
        run(Command::new("sh").args(["-ec", &script, "sh"]).arg(file).arg(&root))?;
    }
    let images = [format!("boot/vmlinuz-{release}"), format!("usr/lib/modules/{release}/vmlinuz")];
    let image = images.iter().map(|name| root.join(name)).find(|path| path.is_file());
    let image = image.context(format!("the package holds no image of {release}"))?;
    fs::copy(image, work.join("vmlinuz")).context("the kernel image")?;
    if !root.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", root.join("lib")).context("unpacking")?;
    }
    if !root.join("lib/modules").join(release).is_dir() {
        return Err(Error::new(format!("the package holds no modules of {release}")));
    }
    modules::select(architecture, (&root, release), &work.join("modules"))?;
    for rest in [&root, &work.join("download")] {
        fs::remove_dir_all(rest).context("clearing up")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kernel_is_answered_with_the_known_ones() {
        assert_eq!(source("6.12").unwrap().suite, "bookworm-backports");
        let error = source("2.4").unwrap_err().to_string();
        assert!(error.contains("6.1, 6.12, newest, malta, arm64, armhf"), "{error}");
    }
}
