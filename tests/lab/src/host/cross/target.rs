// SPDX-License-Identifier: GPL-2.0-or-later
//! The architectures that packages are made for, by the names that OpenWrt gives them.

use crate::error::{Context, Result};

/// One architecture.
#[derive(Debug)]
pub struct Target {
    /// OpenWrt's name, which is also the package's `Architecture`.
    pub name: &'static str,
    /// Rust's name.
    pub triple: &'static str,
    /// Name and processor by which zig makes its C library. MIPS is soft float, as OpenWrt's is:
    /// the 24Kc has no floating-point unit.
    pub(super) zig: (&'static str, &'static str),
    /// Emulator of one program, with the options that leave it no more than such a router's
    /// processor has. None where this machine runs the program itself.
    pub emulator: Option<[&'static str; 3]>,
}

/// All of them.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "mipsel_24kc",
        triple: "mipsel-unknown-linux-musl",
        zig: ("mipsel-linux-musleabi", "mips32r2+soft_float"),
        emulator: Some(["qemu-mipsel-static", "-cpu", "24Kc"]),
    },
    Target {
        name: "mips_24kc",
        triple: "mips-unknown-linux-musl",
        zig: ("mips-linux-musleabi", "mips32r2+soft_float"),
        emulator: Some(["qemu-mips-static", "-cpu", "24Kc"]),
    },
    Target {
        name: "aarch64_cortex-a53",
        triple: "aarch64-unknown-linux-musl",
        zig: ("aarch64-linux-musl", "generic"),
        emulator: Some(["qemu-aarch64-static", "-cpu", "cortex-a53"]),
    },
    Target {
        name: "arm_cortex-a7_neon-vfpv4",
        triple: "armv7-unknown-linux-musleabihf",
        zig: ("arm-linux-musleabihf", "generic+v7a+vfp3d16-neon"),
        emulator: Some(["qemu-arm-static", "-cpu", "cortex-a7"]),
    },
    Target {
        name: "x86_64",
        triple: "x86_64-unknown-linux-musl",
        zig: ("x86_64-linux-musl", "x86_64"),
        emulator: None,
    },
];

/// The targets of a name: one, or each for `all`.
pub fn named(name: &str) -> Result<Vec<&'static Target>> {
    if name == "all" {
        return Ok(TARGETS.iter().collect());
    }
    Ok(vec![one(name)?])
}

/// The target of a name.
pub fn one(name: &str) -> Result<&'static Target> {
    let found = TARGETS.iter().find(|target| target.name == name);
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    found.context(format!("no target {name:?}; there are: {}, all", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_by_name() {
        assert_eq!(named("mips_24kc").unwrap().first().unwrap().triple, "mips-unknown-linux-musl");
        assert_eq!(named("all").unwrap().len(), TARGETS.len());
        let error = named("mips").unwrap_err().to_string();
        assert!(error.contains("mips_24kc") && error.contains("x86_64"), "{error}");
    }
}
