// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask bench [NAME] --against REV`: the same measurement of the present tree's daemon and of
//! another revision's, in turns, so that what the machine does beside concerns both alike. What
//! measures is the present tree's, as far as the other's library is not part of it.

use super::flows::Built;
use super::tree::Tree;
use super::{check, complete, paths, progress, revision, run, size, write, Measured, NAMES};
use crate::bench::comparison::{self, Turn};
use crate::bench::flows::PARTS;
use crate::bench::mdio;
use crate::error::{Error, Result};

/// Turns of each; the first of a turn is the second of the next, so that neither gains by its place.
const TURNS: usize = 4;

/// Figures of the present tree and of the other, turn by turn.
type Both = [Vec<Turn>; 2];

/// How a benchmark's figures of another revision are had.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// By the clock or by what the kernel tells: in turns.
    InTurns,
    /// By reading what was built: once.
    Built,
    /// By counting what the program that counts has in it: the other revision's own, once.
    Counted,
    /// Not at all, for this reason.
    Not(&'static str),
}

fn way(benchmark: &str) -> Way {
    match benchmark {
        "flows" => Way::InTurns,
        "size" => Way::Built,
        "mdio" => Way::Counted,
        "targets" => Way::Not("packages for five processors take too long to build twice"),
        "days" => Way::Not("a replay draws and judges by the rules that it is built with"),
        _ => Way::Not("its machines are packed from the present tree"),
    }
}

/// Compares one benchmark, or all that can be, with another revision.
///
/// # Errors
/// There is no such benchmark or revision, the benchmark cannot be compared, or something could not be
/// measured.
pub fn compare(name: Option<&str>, wanted: &str) -> Result<()> {
    let names = match name {
        Some(name) => {
            check(name)?;
            if let Way::Not(reason) = way(name) {
                return Err(Error::new(format!("{name} cannot be compared: {reason}")));
            }
            vec![name]
        }
        None => NAMES.to_vec(),
    };
    let dir = paths::target().join("against");
    let root = dir.join("tree");
    let commit = revision::check_out(&paths::repository(), wanted, &root)?;
    let other = Tree::new(root, dir.join("build"));
    let about = run::about();
    println!("{}, against {wanted} ({commit})", run::line(&about));
    let mut failed = Vec::new();
    for name in names {
        let found = match way(name) {
            Way::InTurns => in_turns(&other),
            Way::Built => built(&other),
            Way::Counted => counted(name, &other),
            Way::Not(reason) => {
                println!("\n{name}\n  left out: {reason}");
                continue;
            }
        };
        let ([present, others], missing) = match found {
            Ok(found) => found,
            Err(e) => {
                failed.push(format!("{name}: {e}"));
                continue;
            }
        };
        failed.extend(missing.into_iter().map(|what| format!("{name}: {what}")));
        let rows = comparison::rows(&present, &others);
        let text = comparison::document(&rows, present.len(), &commit, &about);
        let file = write(&format!("{name}-against.json"), &text)?;
        println!("\n{name}\n{}{}", comparison::table(&rows, &commit), file.display());
    }
    complete(&failed)
}

/// The parts of `flows`; with the figures comes which turns of which parts failed.
fn in_turns(other: &Tree) -> Result<(Both, Vec<String>)> {
    let present = Built::present()?;
    let other = progress::step("building the other revision", || present.other(other))?;
    let mut failed = Vec::new();
    let measured = turns(TURNS, |turn, side| {
        let built = if side == 0 { &present } else { &other };
        let whose = if side == 0 { "present" } else { "other" };
        let mut figures = Turn::new();
        for part in PARTS {
            let title = format!("turn {} of {TURNS}, {whose}: flows, {part}", turn + 1);
            match progress::step(&title, || built.part(part, &present)) {
                Ok(found) => figures.extend(found),
                Err(e) => failed.push(format!("{title}: {e}")),
            }
        }
        figures
    });
    Ok((measured, failed))
}

/// Calls `measure` with the number of the turn and 0 for the present tree or 1 for the other.
fn turns(number: usize, mut measure: impl FnMut(usize, usize) -> Turn) -> Both {
    let mut both = Both::default();
    for turn in 0..number {
        let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        for side in order {
            let figures = measure(turn, side);
            if let Some(turns) = both.get_mut(side) {
                turns.push(figures);
            }
        }
    }
    both
}

fn built(other: &Tree) -> Result<(Both, Vec<String>)> {
    let present = size::measure()?;
    let daemon = progress::step("building the other revision", || other.daemon())?;
    Ok(([vec![present], vec![size::of(&daemon)?]], Vec::new()))
}

fn counted(name: &str, other: &Tree) -> Result<(Both, Vec<String>)> {
    let present = Measured::from(progress::step("counting transfers", mdio::measure));
    let text = progress::step("building the other revision, and counting", || other.counted(name))?;
    Ok(([vec![present.figures], vec![comparison::read(&text)?]], present.failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_side_is_always_first() {
        let mut order = Vec::new();
        let [present, other] = turns(4, |turn, side| {
            order.push((turn, side));
            Turn::new()
        });
        assert_eq!((present.len(), other.len()), (4, 4));
        let sides: Vec<usize> = order.iter().map(|(_, side)| *side).collect();
        assert_eq!(sides, [0, 1, 1, 0, 0, 1, 1, 0]);
    }

    #[test]
    fn a_benchmark_that_cannot_be_compared_says_why() {
        for name in NAMES {
            if let Way::Not(reason) = way(name) {
                let error = compare(Some(name), "HEAD").unwrap_err().to_string();
                assert!(error.contains(name) && error.contains(reason), "{error}");
            }
        }
        assert_eq!(way("flows"), Way::InTurns);
        let error = compare(Some("nothing"), "HEAD").unwrap_err().to_string();
        assert!(error.contains("--list"), "{error}");
    }
}
