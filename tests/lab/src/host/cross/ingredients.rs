// SPDX-License-Identifier: GPL-2.0-or-later
//! What a standard library is made of: its source in the very version of the compiler, from
//! rustup's component `rust-src` or else from Debian; and zig, which brings the C library musl and
//! LLVM's libunwind as source for every processor, from PyPI.

use super::cache::Cache;
use crate::command::run;
use crate::error::{Context, Error, Result};
use crate::host::architecture::AMD64;
use crate::host::{apt, paths, progress};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of zig. Newer ones keep a part of the C library in a library of their own, which
/// a link without zig lacks.
pub const ZIG: &str = "0.14.1";

/// Debian suites that may have the source, in the order in which they are asked.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

/// A file of the source that every version has.
const MARK: &str = "std/Cargo.toml";

/// The parts, on this machine.
pub struct Ingredients {
    /// `library/` of Rust's source.
    pub library: PathBuf,
    /// The program.
    pub zig: PathBuf,
}

/// Fetches what is missing. An error says what cannot be had, and where it was looked for.
pub fn fetch(cache: &Cache, rustc: &str, sysroot: &Path) -> Result<Ingredients> {
    let component = sysroot.join("lib/rustlib/src/rust/library");
    let library = if component.join(MARK).is_file() {
        component
    } else {
        cache.part("rust-src", |dir| rust_source(rustc, dir))?.join("library")
    };
    let zig = cache.part("zig", zig)?.join("ziglang/zig");
    Ok(Ingredients { library, zig })
}

/// Unpacks Debian's `library/` of this version into a folder.
fn rust_source(rustc: &str, dir: &Path) -> Result<()> {
    let mut told = Vec::new();
    for suite in SUITES {
        match apt::View::open(suite, &AMD64).and_then(|view| Ok((view.versions("rust-src")?, view)))
        {
            Ok((versions, view)) => match versions.iter().find(|v| is_version(v, rustc)) {
                Some(version) => return unpack(&view, version, rustc, dir),
                None => told.push(format!("{suite} has {}", listed(&versions))),
            },
            Err(e) => told.push(format!("{suite}: {e}")),
        }
    }
    Err(Error::new(format!(
        "the source of Rust's library {rustc} cannot be had: {}; \
         `rustup component add rust-src` would be the other way",
        told.join("; ")
    )))
}

/// Is this Debian version one of that upstream version?
fn is_version(debian: &str, rustc: &str) -> bool {
    let upstream = debian.split(['+', '-', '~']).next();
    upstream == Some(rustc)
}

fn listed(versions: &[String]) -> String {
    if versions.is_empty() {
        return "none".into();
    }
    versions.join(", ")
}

fn unpack(view: &apt::View, version: &str, rustc: &str, dir: &Path) -> Result<()> {
    let downloads = paths::cache("rust-src")?;
    let package = view.download(&format!("rust-src={version}"), &downloads)?;
    // Only a sixth of the package is the library.
    let member = format!("./usr/src/rustc-{rustc}/library");
    let script = "dpkg --fsys-tarfile \"$1\" | tar -x -C \"$2\" --strip-components=4 \"$3\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(&package).arg(dir).arg(&member);
    progress::step("unpacking Rust's library", || run(&mut shell).map(drop))?;
    let _ = std::fs::remove_dir_all(downloads);
    if dir.join("library").join(MARK).is_file() {
        return Ok(());
    }
    Err(Error::new(format!("{} has no {member}", package.display())))
}

/// Unpacks the wheel into a folder. It is a plain program and needs no environment.
fn zig(dir: &Path) -> Result<()> {
    if run(Command::new("python3").args(["-m", "pip", "--version"])).is_err() {
        apt::ensure_packages(&["python3-pip"])?;
    }
    let wheel = format!("ziglang=={ZIG}");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]);
    pip.args(["--only-binary", ":all:", "--target"]).arg(dir).arg(&wheel);
    progress::step(&format!("fetching zig {ZIG} from PyPI (340 MB unpacked)"), || {
        run(&mut pip).map(drop).context(format!("{wheel} cannot be had from PyPI"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_version_will_do() {
        assert!(is_version("1.95.0+dfsg1-2~bpo13+1", "1.95.0"));
        assert!(is_version("1.95.0-1", "1.95.0"));
        assert!(!is_version("1.95.01+dfsg1-1", "1.95.0"));
        assert!(!is_version("1.96.1+dfsg1-2", "1.95.0"));
    }
}
