// SPDX-License-Identifier: GPL-2.0-or-later
//! Takes out of a program what only a debugger reads. On MIPS that is `.pdr`, 60 to 150 kB with a
//! record of each procedure, which no linker option leaves out.

use crate::command::run;
use crate::error::{Context, Result};
use crate::host::cross;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Sections that are never loaded.
const SECTIONS: [&str; 2] = [".pdr", ".comment"];

/// The program at `path` without them.
pub fn stripped(path: &Path) -> Result<Vec<u8>> {
    let sysroot = cross::sysroot()?;
    let host = cross::host()?;
    let tool = sysroot.join("lib/rustlib").join(host).join("bin/rust-objcopy");
    let out = path.with_extension("stripped");
    let mut command = Command::new(&tool);
    // It is linked with the compiler's own LLVM.
    command.env("LD_LIBRARY_PATH", sysroot.join("lib")).arg("--strip-all");
    command.args(SECTIONS.map(|section| format!("--remove-section={section}")));
    run(command.arg(path).arg(&out))?;
    fs::read(&out).context(format!("reading {}", out.display()))
}
