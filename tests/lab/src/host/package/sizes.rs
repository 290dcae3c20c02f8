// SPDX-License-Identifier: GPL-2.0-or-later
//! What the packages take, against the bounds that they are held to.

use super::ipk;
use crate::bench::figure::{Bound, Figure};
use crate::error::{Context, Result};
use serde_json::{json, Value};
use std::fs;
use std::path::Path;

/// Flash that the compressed daemon may take on the smallest routers, bytes.
const DAEMON_BOUND: (&str, u64) = ("mipsel_24kc", 220_000);
/// The same for the LuCI application, anywhere.
const LUCI_BOUND: u64 = 25_000;

/// The sizes of one target, in bytes.
#[derive(Debug)]
pub struct Sizes {
    target: &'static str,
    binary: u64,
    compressed: u64,
    /// Name of the package and of its kind, and its size.
    packages: Vec<(String, &'static str, u64)>,
}

impl Sizes {
    /// Of a target's program.
    pub fn new(target: &'static str, binary: &[u8]) -> Result<Sizes> {
        let compressed = ipk::gzip(binary)?.len() as u64;
        Ok(Sizes { target, binary: binary.len() as u64, compressed, packages: Vec::new() })
    }

    /// Adds a package.
    pub fn package(&mut self, name: &str, kind: &'static str, size: u64) {
        self.packages.push((name.to_string(), kind, size));
    }

    fn bound(&self, name: &str) -> Option<u64> {
        let (target, bound) = DAEMON_BOUND;
        match name {
            "flowtabled" => (target == self.target).then_some(bound),
            _ => Some(LUCI_BOUND),
        }
    }

    /// As findings of a benchmark.
    pub fn figures(&self) -> Vec<Figure> {
        let bytes = |what: &str, size: u64| {
            Figure::new(format!("{}, {what}", self.target), size as f64, "bytes")
        };
        let program = bytes("program", self.binary).peer("gzip -9", self.compressed as f64);
        let packages = self.packages.iter().map(|(name, kind, size)| {
            let figure = bytes(&format!("{name} (.{kind})"), *size);
            match self.bound(name) {
                Some(bound) => figure.bound(Bound::AtMost(bound as f64)),
                None => figure,
            }
        });
        std::iter::once(program).chain(packages).collect()
    }

    fn json(&self) -> Value {
        let packages = self.packages.iter().map(|(name, kind, size)| {
            json!({ "name": name, "kind": kind, "bytes": size, "bound": self.bound(name) })
        });
        json!({
            "target": self.target,
            "binary": self.binary,
            "binary_gzip": self.compressed,
            "packages": packages.collect::<Vec<_>>(),
        })
    }
}

/// The table for people.
pub fn table<'a>(all: impl Iterator<Item = &'a Sizes>) -> String {
    let mut text = format!("{:<25} {:<38} {:>9}  {}\n", "TARGET", "WHAT", "BYTES", "BOUND");
    for sizes in all {
        let mut row = |what: &str, bytes: u64, bound: String| {
            text.push_str(
                format!("{:<25} {what:<38} {bytes:>9}  {bound}", sizes.target).trim_end(),
            );
            text.push('\n');
        };
        row("binary", sizes.binary, String::new());
        row("binary, gzip -9", sizes.compressed, String::new());
        for (name, kind, bytes) in &sizes.packages {
            let bound = sizes.bound(name).map_or_else(String::new, |bound| {
                let word = if *bytes <= bound { "kept" } else { "MISSED" };
                format!("{bound} {word}")
            });
            row(&format!("{name}.{kind}"), *bytes, bound);
        }
    }
    text
}

/// Writes them for programs.
pub fn write<'a>(all: impl Iterator<Item = &'a Sizes>, file: &Path) -> Result<()> {
    let value: Vec<Value> = all.map(Sizes::json).collect();
    let text = format!("{:#}\n", Value::from(value));
    fs::write(file, text).context(format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_kept_or_missed() {
        let mut sizes = Sizes::new("mipsel_24kc", &[0; 1000]).unwrap();
        sizes.package("flowtabled", "ipk", 220_000);
        sizes.package("luci-app-flowtable", "ipk", 25_001);
        let text = table([&sizes].into_iter());
        assert!(text.contains("220000 kept") && text.contains("25000 MISSED"), "{text}");
        let mut elsewhere = Sizes::new("x86_64", &[0; 1000]).unwrap();
        elsewhere.package("flowtabled", "ipk", 300_000);
        assert!(!table([&elsewhere].into_iter()).contains("MISSED"));
    }
}
