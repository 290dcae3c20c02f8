// SPDX-License-Identifier: GPL-2.0-or-later
//! The same figures of two states of the program, measured in turns: value against value, and the
//! middle of the ratios of each turn, whose parts the same noise has met.

use super::figure::{median, quantile, rounded, Figure};
use crate::error::{Context, Result};
use serde_json::{json, Value as Json};

/// One figure of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was measured.
    pub figure: String,
    /// Its unit.
    pub unit: String,
    /// The present tree's median; `None` when only the other has the figure.
    pub value: Option<f64>,
    /// The other revision's median; `None` when only the present tree has the figure.
    pub other: Option<f64>,
    /// The present value divided by the other, least, median and most of the turns; `None` when one
    /// is missing or the other is 0.
    pub ratio: Option<[f64; 3]>,
}

/// Figures of a turn.
pub type Turn = Vec<Figure>;

/// Compares turn by turn, in the order of the present tree's figures, behind them what only the other
/// has.
pub fn rows(present: &[Turn], other: &[Turn]) -> Vec<Row> {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for figure in present.iter().chain(other).flatten() {
        if !names.iter().any(|(name, _)| *name == figure.figure) {
            names.push((&figure.figure, &figure.unit));
        }
    }
    let row = |(name, unit): (&str, &str)| {
        let [ours, theirs] = [present, other]
            .map(|turns| turns.iter().map(|turn| value(turn, name)).collect::<Vec<Option<f64>>>());
        let both = ours.iter().zip(&theirs).filter_map(|(ours, theirs)| {
            let (ours, theirs) = ((*ours)?, (*theirs)?);
            (theirs != 0.0).then_some(ours / theirs)
        });
        let ratios: Vec<f64> = both.collect();
        let spread = [0.0, 0.5, 1.0].map(|share| quantile(&ratios, share));
        Row {
            figure: name.into(),
            unit: unit.into(),
            value: middle(&ours),
            other: middle(&theirs),
            ratio: (!ratios.is_empty()).then_some(spread),
        }
    };
    names.into_iter().map(row).collect()
}

fn value(turn: &Turn, name: &str) -> Option<f64> {
    turn.iter().find(|figure| figure.figure == name).map(|figure| figure.value)
}

fn middle(values: &[Option<f64>]) -> Option<f64> {
    let there: Vec<f64> = values.iter().copied().flatten().collect();
    (!there.is_empty()).then(|| median(&there))
}

/// For people: a line each, under a heading that names the other revision.
pub fn table(rows: &[Row], revision: &str) -> String {
    let heading = [("FIGURE", "VALUE", revision), ("RATIO", "LEAST", "MOST")];
    let [(figure, value, other), (ratio, least, most)] = heading;
    let mut text =
        format!("{figure:<58} {value:>12} {other:>12} {:<6} {ratio:>7} {least:>7} {most:>7}\n", "");
    for row in rows {
        let number = |value: Option<f64>| value.map_or("-".into(), |v| rounded(v).to_string());
        let [least, ratio, most] = match row.ratio {
            Some(ratios) => ratios.map(|ratio| format!("{ratio:.3}")),
            None => ["-", "-", "-"].map(String::from),
        };
        let (value, other) = (number(row.value), number(row.other));
        text.push_str(&format!(
            "{:<58} {value:>12} {other:>12} {:<6} {ratio:>7} {least:>7} {most:>7}\n",
            row.figure, row.unit
        ));
    }
    text
}

/// For programs; `run` tells where and when, `against` which revision the other is.
pub fn document(rows: &[Row], turns: usize, against: &str, run: &Json) -> String {
    let figures: Vec<Json> = rows.iter().map(Row::json).collect();
    let all = json!({ "run": run, "against": against, "turns": turns, "figures": figures });
    format!("{all:#}\n")
}

impl Row {
    fn json(&self) -> Json {
        let [least, ratio, most] = match self.ratio {
            Some(ratios) => ratios.map(|ratio| json!(rounded(ratio))),
            None => [Json::Null, Json::Null, Json::Null],
        };
        json!({
            "figure": self.figure,
            "unit": self.unit,
            "value": self.value.map(rounded),
            "against": self.other.map(rounded),
            "ratio": ratio,
            "least": least,
            "most": most,
        })
    }
}

/// Figures, without bounds and peers, of a file that another revision's benchmark has written.
///
/// # Errors
/// It is no list of figures.
pub fn read(document: &str) -> Result<Turn> {
    let list: Json = serde_json::from_str(document).context("a benchmark's file")?;
    let figure = |entry: &Json| {
        let (name, unit) = (entry.get("figure")?.as_str()?, entry.get("unit")?.as_str()?);
        Some(Figure::new(name, entry.get("value")?.as_f64()?, unit))
    };
    let figures: Option<Turn> = list.as_array().and_then(|list| list.iter().map(figure).collect());
    figures.context("a benchmark's file is no list of figures")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figure::{self, Bound};

    fn turn(figures: &[(&str, f64)]) -> Turn {
        figures.iter().map(|(name, value)| Figure::new(*name, *value, "ms")).collect()
    }

    #[test]
    fn the_ratio_is_that_of_the_turns() {
        // The machine was three times slower in the second turn, for both.
        let present = [turn(&[("a", 2.0)]), turn(&[("a", 6.0)]), turn(&[("a", 2.2)])];
        let other = [turn(&[("a", 1.0)]), turn(&[("a", 3.0)]), turn(&[("a", 1.0)])];
        let rows = rows(&present, &other);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].value, rows[0].other), (Some(2.2), Some(1.0)));
        assert_eq!(rows[0].ratio, Some([2.0, 2.0, 2.2]));
    }

    #[test]
    fn what_one_does_not_have_is_unknown() {
        let rows =
            rows(&[turn(&[("new", 1.0), ("zero", 1.0)])], &[turn(&[("old", 4.0), ("zero", 0.0)])]);
        let [new, zero, old] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((new.value, new.other, new.ratio), (Some(1.0), None, None));
        assert_eq!((zero.other, zero.ratio), (Some(0.0), None));
        assert_eq!((old.figure.as_str(), old.value, old.other), ("old", None, Some(4.0)));
        let table = table(&rows, "abc123");
        assert!(table.starts_with("FIGURE") && table.contains("abc123"), "{table}");
        assert_eq!(table.lines().count(), 4);
        let json: Json = serde_json::from_str(&document(&rows, 1, "abc123", &json!({}))).unwrap();
        assert_eq!(json["against"], "abc123");
        assert_eq!(json["figures"][0]["value"], 1.0);
        assert_eq!(json["figures"][0]["against"], Json::Null);
        assert_eq!(json["figures"][2]["ratio"], Json::Null);
    }

    #[test]
    fn files_of_benchmarks_are_read() {
        let written = Figure::new("a", 1.5, "MiB").bound(Bound::AtMost(1.0)).peer("b", 2.0);
        let read = read(&figure::document(&[written])).unwrap();
        assert_eq!(read, [Figure::new("a", 1.5, "MiB")]);
        assert!(super::read("{}").is_err() && super::read("[{}]").is_err());
        assert!(super::read("nothing").is_err());
    }
}
