// SPDX-License-Identifier: GPL-2.0-or-later
//! Makes the standard library of one target, so that from then on the toolchain's own cargo, rustc
//! and linker build for it with no further tool.
//!
//! Rust ships no standard library for MIPS, and for the others one that is made for speed. This
//! one is made for size; it holds `test` and unwinding too, so that `cargo test` works with it.

use super::ingredients::Ingredients;
use super::target::Target;
use crate::command::{run, tail, text_of};
use crate::error::{Context, Error, Result};
use crate::host::artifacts::cargo;
use crate::host::progress;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a static program is linked with besides Rust's libraries. Zig keeps `memcpy` and its like
/// in the last one.
pub const C_PARTS: [&str; 4] = ["crt1.o", "libc.a", "libunwind.a", "libcompiler_rt.a"];

/// In a folder of the cache: when it was made.
pub const STAMP: &str = "made";

/// A crate with nothing in it, whose build is that of the library. `panic_abort` must not be built
/// for unwinding, and the unstable feature is the only way to give one crate another flag.
const MANIFEST: &str = "\
cargo-features = [\"profile-rustflags\"]
[package]
name = \"empty\"
version = \"0.0.0\"
edition = \"2021\"
[workspace]
[profile.release]
opt-level = \"z\"
[profile.release.package.panic_abort]
rustflags = [\"-Cpanic=abort\"]
";

/// The library's crates. `optimize_for_size` takes the place of the default features, and with
/// them of the code that names functions in a backtrace: 260 kB on MIPS.
const BUILD: [&str; 5] = [
    "build",
    "--quiet",
    "--release",
    "-Zbuild-std=std,panic_abort,panic_unwind,proc_macro,test",
    "-Zbuild-std-features=panic-unwind,optimize_for_size",
];

/// Link-time optimisation needs the bitcode, and MIPS targets are not static of themselves.
const FLAGS: [&str; 2] = ["-Cembed-bitcode=yes", "-Ctarget-feature=+crt-static"];

/// Everything that decides on the result besides the versions of the compiler and zig.
pub fn recipe(target: &Target) -> String {
    let (name, processor) = target.zig;
    format!("{MANIFEST}{BUILD:?}{FLAGS:?}{name}{processor}{C_PARTS:?}")
}

/// The folder of a target's libraries in a sysroot.
pub fn libraries(sysroot: &Path, target: &Target) -> PathBuf {
    sysroot.join("lib/rustlib").join(target.triple).join("lib")
}

/// Makes the target's part of a sysroot in `dir`.
pub fn make(dir: &Path, target: &Target, from: &Ingredients) -> Result<()> {
    let work = dir.join("work");
    let libraries = libraries(dir, target);
    let c_parts = libraries.join("self-contained");
    for folder in [&work, &c_parts] {
        fs::create_dir_all(folder).context(format!("making {}", folder.display()))?;
    }
    let title = format!("building the C library for {} with zig", target.name);
    progress::step(&title, || c_library(target, from, &work, &c_parts))?;
    let title = format!("building Rust's library for {}", target.name);
    progress::step(&title, || rust_library(target, from, &work, &libraries))?;
    fs::remove_dir_all(&work).context("removing the work folder")?;
    let made = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    fs::write(dir.join(STAMP), made.as_nanos().to_string()).context("writing the stamp")
}

/// Has zig link an empty program, and keeps what it made for that: the link line names the files.
fn c_library(target: &Target, from: &Ingredients, work: &Path, into: &Path) -> Result<()> {
    fs::write(work.join("empty.c"), "int main(void) { return 0; }\n").context("writing")?;
    let (name, processor) = target.zig;
    let mut zig = Command::new(&from.zig);
    zig.current_dir(work).env("ZIG_GLOBAL_CACHE_DIR", "zig").env("ZIG_LOCAL_CACHE_DIR", "zig");
    zig.args(["cc", "-target", name, &format!("-mcpu={processor}"), "-Os", "-s", "-static"]);
    zig.args(["empty.c", "-o", "empty", "-lunwind", "--verbose"]);
    let output = zig.stdin(Stdio::null()).output().context("zig")?;
    let text = text_of(&output);
    if !output.status.success() {
        return Err(Error::new(format!("zig: {}: {}", output.status, tail(&text, 15))));
    }
    for part in C_PARTS {
        let file = linked(&text, part).context(format!("zig did not link with {part}"))?;
        fs::copy(work.join(&file), into.join(part)).context(format!("copying {file}"))?;
    }
    Ok(())
}

/// The file of a name on the last link line of zig's report.
fn linked(text: &str, name: &str) -> Option<String> {
    let line = text.lines().rev().find(|line| line.starts_with("ld.lld "))?;
    let ending = format!("/{name}");
    line.split(' ').find(|word| word.ends_with(&ending)).map(str::to_string)
}

fn rust_library(target: &Target, from: &Ingredients, work: &Path, into: &Path) -> Result<()> {
    let empty = work.join("empty");
    // The program of that name is not needed any more.
    let _ = fs::remove_file(&empty);
    fs::create_dir_all(empty.join("src")).context("making an empty crate")?;
    fs::write(empty.join("src/lib.rs"), "").context("making an empty crate")?;
    fs::write(empty.join("Cargo.toml"), MANIFEST).context("making an empty crate")?;
    let mut flags: Vec<String> = FLAGS.map(String::from).to_vec();
    // Names of files stand in messages of panics: the same on each machine, and short.
    flags.push(format!("--remap-path-prefix={}=std", from.library.display()));
    let mut command = cargo();
    command.current_dir(&empty).args(BUILD).args(["--target", target.triple]);
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", "target");
    // Where cargo looks for the library when not in the toolchain, which is not ours to change.
    command.env("__CARGO_TESTS_ONLY_SRC_ROOT", &from.library);
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    run(&mut command)?;
    let made = empty.join("target").join(target.triple).join("release/deps");
    let mut copied = Vec::new();
    for entry in made.read_dir().context("reading what cargo made")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libempty-") {
            fs::copy(entry.path(), into.join(&name)).context(format!("copying {name}"))?;
            copied.push(name);
        }
    }
    for crate_name in ["libstd-", "libtest-", "libpanic_abort-", "libpanic_unwind-"] {
        if !copied.iter().any(|name| name.starts_with(crate_name)) {
            return Err(Error::new(format!("cargo made no {crate_name}*.rlib")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_link_line_counts() {
        let text = "ld.lld -o a zig/o/1/crt1.o\nclang x/crt1.o\nld.lld -o b zig/o/2/crt1.o c\nend";
        assert_eq!(linked(text, "crt1.o").unwrap(), "zig/o/2/crt1.o");
        assert_eq!(linked(text, "libc.a"), None);
    }
}
