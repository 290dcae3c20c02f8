// SPDX-License-Identifier: GPL-2.0-or-later
//! Scripts of the page without comments and spaces, as LuCI's own build packs them: its recipe runs
//! Crockford's jsmin, whose rules Debian's `python3-rjsmin` follows.

use crate::command::run_with_input;
use crate::error::{Context, Error, Result};
use crate::host::apt;
use std::process::Command;

const PACKAGE: &str = "python3-rjsmin";
/// Debian's own, which has the package, whatever else is on the path.
const PYTHON: &str = "/usr/bin/python3";
const PROGRAM: &str = "import sys, rjsmin; sys.stdout.write(rjsmin.jsmin(sys.stdin.read()))";

/// Installs what this needs.
pub fn ensure_tool() -> Result<()> {
    apt::ensure_missing(&[PACKAGE])
}

/// The script, smaller.
pub fn script(name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(bytes).context(format!("reading {name}"))?;
    let small = run_with_input(Command::new(PYTHON).args(["-c", PROGRAM]), text)?;
    if small.is_empty() || small.len() > text.len() {
        return Err(Error::new(format!("{name}: {PACKAGE} made {} bytes of it", small.len())));
    }
    Ok(small.into_bytes())
}
