// SPDX-License-Identifier: GPL-2.0-or-later
//! Building for routers without OpenWrt's SDK: a static program with musl, made by this machine's
//! own cargo once the target's standard library has been built.
//!
//! A fault of the parts that come from elsewhere is told apart from one of the build, since tests
//! on a machine that cannot have the parts are skipped, and a build that fails is an error.

mod cache;
mod ingredients;
mod sysroot;
mod target;

use super::artifacts::cargo;
use super::{apt, paths};
use crate::command::run;
use crate::error::{Context, Result};
use cache::Cache;
use ingredients::Ingredients;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
pub use target::{named, one, Target, TARGETS};

/// Tells the linker what to leave out of programs that do not unwind.
const NO_UNWINDING: &str = "tests/lab/src/host/cross/no_unwinding.ld";

/// A target's standard library, there or ready to be built.
pub struct Prepared {
    target: &'static Target,
    cache: Cache,
    name: String,
    /// None when there is nothing left to build.
    from: Option<Ingredients>,
}

/// What builds for one target.
#[derive(Debug)]
pub struct Toolchain {
    /// What it builds for.
    pub target: &'static Target,
    sysroot: PathBuf,
}

/// Fetches what the standard library of a target is built from, unless it has been built already.
/// An error says what cannot be had.
pub fn prepare(target: &'static Target) -> Result<Prepared> {
    let version = about_rustc("release")?;
    let sysroot = sysroot()?;
    let folder = cache::folder(&version, ingredients::ZIG)?;
    // A changed recipe is another library; that of the branch next door stays where it is.
    let mut hash = DefaultHasher::new();
    sysroot::recipe(target).hash(&mut hash);
    let name = format!("{}-{:08x}", target.triple, hash.finish() as u32);
    let built = folder.join(&name).is_dir();
    let cache = Cache::open(folder)?;
    let from = match built {
        true => None,
        false => Some(ingredients::fetch(&cache, &version, &sysroot)?),
    };
    Ok(Prepared { target, cache, name, from })
}

/// The toolchain of a target, built if it is missing.
pub fn toolchain(target: &'static Target) -> Result<Toolchain> {
    prepare(target)?.toolchain()
}

/// The toolchain's own folder.
pub fn sysroot() -> Result<PathBuf> {
    Ok(PathBuf::from(run(rustc().args(["--print", "sysroot"]))?.trim()))
}

/// Rust's name of this machine.
pub fn host() -> Result<String> {
    about_rustc("host")
}

fn about_rustc(what: &str) -> Result<String> {
    let about = run(rustc().arg("-vV"))?;
    let mut values = about.lines().filter_map(|line| line.strip_prefix(what)?.strip_prefix(": "));
    Ok(values.next().context(format!("rustc tells no {what}"))?.to_string())
}

fn rustc() -> Command {
    // The one that cargo would take, in the folder that may choose it.
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(paths::repository());
    command
}

impl Prepared {
    /// Builds what is missing.
    pub fn toolchain(self) -> Result<Toolchain> {
        let Prepared { target, cache, name, from } = self;
        let sysroot = cache.part(&name, |dir| match &from {
            Some(from) => sysroot::make(dir, target, from),
            None => Err(crate::error::Error::new(format!("{name} was there a moment ago"))),
        })?;
        let toolchain = Toolchain { target, sysroot };
        toolchain.forget_older()?;
        Ok(toolchain)
    }
}

impl Toolchain {
    /// cargo, which then builds for the target into `target/TRIPLE`; with a runner that lets
    /// `cargo test` and `cargo run` start what was built.
    pub fn cargo(&self) -> Command {
        self.cargo_with(&[])
    }

    /// The same for what is packed, which neither unwinds nor compares functions: without all that
    /// the former needs and with equal functions folded it is smaller.
    pub fn cargo_for_package(&self) -> Command {
        let script = paths::repository().join(NO_UNWINDING);
        self.cargo_with(&[
            "-Cforce-unwind-tables=no".into(),
            "-Clink-arg=--icf=all".into(),
            "-Clink-arg=--no-eh-frame-hdr".into(),
            format!("-Clink-arg=--script={}", script.display()),
        ])
    }

    fn cargo_with(&self, more: &[String]) -> Command {
        let mut flags = self.flags();
        flags.extend_from_slice(more);
        let mut command = cargo();
        command.env("CARGO_BUILD_TARGET", self.target.triple);
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        let variable = |what: &str| {
            let triple = self.target.triple.to_uppercase().replace('-', "_");
            format!("CARGO_TARGET_{triple}_{what}")
        };
        command.env(variable("LINKER"), "rust-lld");
        if let Some(emulator) = self.target.emulator {
            command.env(variable("RUNNER"), emulator.join(" "));
        }
        command
    }

    /// cargo's output folder for a profile.
    pub fn output(&self, profile: &str) -> PathBuf {
        paths::target().join(self.target.triple).join(profile)
    }

    /// Sees to it that what [`Toolchain::cargo`] builds can be started here.
    pub fn ensure_emulator(&self) -> Result<()> {
        match self.target.emulator {
            Some([program, ..]) => apt::ensure_tools(&[(program, "qemu-user-static")]),
            None => Ok(()),
        }
    }

    fn flags(&self) -> Vec<String> {
        let c_parts = sysroot::libraries(&self.sysroot, self.target).join("self-contained");
        let mut flags = vec![
            format!("--sysroot={}", self.sysroot.display()),
            "-Ctarget-feature=+crt-static".into(),
            // Position independence would be 40 kB of relocations on MIPS.
            "-Crelocation-model=static".into(),
            "-Clink-self-contained=no".into(),
            format!("-Clink-arg={}", c_parts.join("crt1.o").display()),
            format!("-Lnative={}", c_parts.display()),
            "-Clink-arg=-lcompiler_rt".into(),
        ];
        flags.extend(registries().iter().map(|dir| format!("--remap-path-prefix={dir}=crates")));
        flags
    }

    /// cargo does not notice that a library was built anew, and then finds crates missing.
    fn forget_older(&self) -> Result<()> {
        let stamp = fs::read_to_string(self.sysroot.join(sysroot::STAMP));
        let stamp = stamp.context(format!("reading the stamp of {}", self.sysroot.display()))?;
        let output = paths::target().join(self.target.triple);
        let own = output.join("sysroot");
        if fs::read_to_string(&own).is_ok_and(|text| text == stamp) {
            return Ok(());
        }
        let doing = format!("emptying {}", output.display());
        if output.exists() {
            fs::remove_dir_all(&output).context(&doing)?;
        }
        fs::create_dir_all(&output).context(&doing)?;
        fs::write(own, stamp).context(doing)
    }
}

/// cargo's folders of crates' sources: they stand in messages of panics.
fn registries() -> Vec<String> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let home = variable("CARGO_HOME").or_else(|| Some(variable("HOME")?.join(".cargo")));
    let sources = home.unwrap_or_default().join("registry/src");
    let folders = |dir: &Path| Some(dir.read_dir().ok()?.flatten().map(|entry| entry.path()));
    let mut found: Vec<String> =
        folders(&sources).into_iter().flatten().map(|dir| dir.display().to_string()).collect();
    found.sort();
    found
}
