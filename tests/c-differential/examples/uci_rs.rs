// SPDX-License-Identifier: GPL-2.0-or-later
//! Measures the crate `uci_rs` on the corpus, with libuci as the reference:
//! `cargo run -p c-differential --example uci_rs`. `docs/uci.md` shows the result.
//!
//! Only what the crate can show is compared: types of sections, and the names and values of
//! their options in any order. Changes are left out, it has none. Each file is read by a child
//! process, since some inputs make the crate panic or loop for ever.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use c_differential::uci::tree::{Bytes, Content};
use c_differential::uci::{sys, Workspace, PACKAGE};
use uci_rs::{parse_raw_to_uci, UciCommand};

/// How long one file may take: libuci needs less than a millisecond for the longest.
const LIMIT: Duration = Duration::from_secs(2);

/// What both can show of a package: a line for each section, options sorted.
type Shape = Vec<String>;

fn shape(kind: &str, mut options: Vec<(String, Vec<String>)>) -> String {
    options.sort();
    format!("{kind} {options:?}")
}

fn of_libuci(workspace: &Workspace) -> Option<Shape> {
    let dir = workspace.config_dir();
    let tree = sys::load(&dir, &dir.join("none"), PACKAGE).ok()?;
    let text = |bytes: &Bytes| String::from_utf8_lossy(&bytes.0).into_owned();
    let sections = tree.sections.iter().map(|section| {
        let options = section.options.iter().map(|(name, content)| match content {
            Content::Text(value) => (text(name), vec![text(value)]),
            Content::List(values) => (text(name), values.iter().map(text).collect()),
        });
        shape(&text(&section.kind), options.collect())
    });
    Some(sections.collect())
}

fn of_uci_rs(path: &Path) -> Option<Shape> {
    let text = String::from_utf8(fs::read(path).ok()?).ok()?;
    let uci = parse_raw_to_uci(PACKAGE, text).ok()?;
    let sections = uci.get_all_sections().into_iter().map(|(kind, name)| {
        let options = uci.get_all_options(&name).unwrap_or_default();
        shape(&kind, options.into_iter().map(|(name, values)| (name, values.clone())).collect())
    });
    Some(sections.collect())
}

/// Reads a file in a child process; the error says how that ended.
fn in_child(path: &Path) -> Result<Option<Shape>, &'static str> {
    let output = env::temp_dir().join(format!("uci_rs-{}", std::process::id()));
    let mut child = Command::new(env::current_exe().unwrap())
        .arg(path)
        .stdout(fs::File::create(&output).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if started.elapsed() > LIMIT => {
                let _ = child.kill();
                let _ = child.wait();
                let _ = fs::remove_file(output);
                return Err("loops for ever");
            }
            None => sleep(Duration::from_millis(2)),
        }
    };
    let text = fs::read_to_string(&output).unwrap();
    let _ = fs::remove_file(output);
    match status.code() {
        Some(0) => Ok(Some(text.lines().map(str::to_string).collect())),
        Some(3) => Ok(None),
        _ => Err("panics"),
    }
}

fn main() {
    if let Some(path) = env::args_os().nth(1) {
        match of_uci_rs(Path::new(&path)) {
            Some(shape) => shape.iter().for_each(|line| println!("{line}")),
            None => std::process::exit(3),
        }
        return;
    }
    let workspace = Workspace::new("uci_rs");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut outcomes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for dir in ["accepted", "rejected"] {
        for entry in fs::read_dir(corpus.join(dir)).unwrap() {
            let path = entry.unwrap().path();
            let delta = path.with_extension("delta").exists();
            if delta || path.extension().is_none_or(|extension| extension != "uci") {
                continue;
            }
            workspace.write(&fs::read(&path).unwrap(), None);
            let outcome = match (in_child(&path), of_libuci(&workspace)) {
                (Err(how), _) => how,
                (Ok(None), Some(_)) => "rejects what libuci accepts",
                (Ok(Some(_)), None) => "accepts what libuci rejects",
                (Ok(Some(ours)), Some(theirs)) if ours != theirs => "reads something else",
                (Ok(_), _) => "agrees",
            };
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            outcomes.entry(outcome).or_default().push(name);
        }
    }
    for (outcome, names) in &mut outcomes {
        names.sort();
        println!("{outcome}: {}\n    {}", names.len(), names.join(" "));
    }
}
