// SPDX-License-Identifier: GPL-2.0-or-later
//! What a benchmark finds: a number, the bound that it should keep, and what it is compared with.

use serde_json::{json, Map, Value as Json};
use std::time::Duration;

/// Which side of a bound is good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
}

/// One finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub figure: String,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// What it should keep; `None` when it is only shown.
    pub bound: Option<Bound>,
    /// Numbers of the same unit and the same run, by name.
    pub peers: Vec<(String, f64)>,
}

impl Figure {
    /// A figure without bound and peers.
    pub fn new(figure: impl Into<String>, value: f64, unit: &str) -> Figure {
        Figure { figure: figure.into(), value, unit: unit.into(), bound: None, peers: Vec::new() }
    }

    /// With a bound.
    pub fn bound(mut self, bound: Bound) -> Figure {
        self.bound = Some(bound);
        self
    }

    /// With one more peer.
    pub fn peer(mut self, name: impl Into<String>, value: f64) -> Figure {
        self.peers.push((name.into(), value));
        self
    }

    /// Whether it keeps its bound; `None` without one.
    pub fn holds(&self) -> Option<bool> {
        self.bound.map(|bound| match bound {
            Bound::AtMost(most) => self.value <= most,
            Bound::AtLeast(least) => self.value >= least,
        })
    }

    fn json(&self) -> Json {
        let bound = self.bound.map(|(Bound::AtMost(bound) | Bound::AtLeast(bound))| bound);
        let peers: Map<String, Json> =
            self.peers.iter().map(|(name, value)| (name.clone(), json!(rounded(*value)))).collect();
        json!({
            "figure": self.figure,
            "value": rounded(self.value),
            "unit": self.unit,
            "bound": bound,
            "holds": self.holds(),
            "peers": peers,
        })
    }

    /// One line of JSON, from the program that measures to the one that shows.
    pub fn to_line(&self) -> String {
        let (side, bound) = match self.bound {
            None => (Json::Null, Json::Null),
            Some(Bound::AtMost(most)) => (json!("most"), json!(most)),
            Some(Bound::AtLeast(least)) => (json!("least"), json!(least)),
        };
        json!([self.figure, self.value, self.unit, side, bound, self.peers]).to_string()
    }

    /// Reads such a line.
    pub fn from_line(line: &str) -> Option<Figure> {
        let list: Json = serde_json::from_str(line).ok()?;
        let [figure, value, unit, side, bound, peers] = list.as_array()?.as_slice() else {
            return None;
        };
        let bound = match side.as_str() {
            None => None,
            Some("most") => Some(Bound::AtMost(bound.as_f64()?)),
            Some(_) => Some(Bound::AtLeast(bound.as_f64()?)),
        };
        let peer = |pair: &Json| Some((pair.get(0)?.as_str()?.to_string(), pair.get(1)?.as_f64()?));
        let peers = peers.as_array()?.iter().map(peer).collect::<Option<_>>()?;
        let (figure, unit) = (figure.as_str()?.into(), unit.as_str()?.into());
        Some(Figure { figure, value: value.as_f64()?, unit, bound, peers })
    }

    fn line(&self) -> String {
        let bound = match self.bound {
            None => String::new(),
            Some(Bound::AtMost(most)) => format!("<= {most}"),
            Some(Bound::AtLeast(least)) => format!(">= {least}"),
        };
        let verdict = match self.holds() {
            None => "",
            Some(true) => "holds",
            Some(false) => "MISSED",
        };
        let number = |value: f64| format!("{}", rounded(value));
        let peers: Vec<String> =
            self.peers.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect();
        let (name, value, unit) = (&self.figure, number(self.value), &self.unit);
        let line = format!("{name:<58} {value:>10} {unit:<6} {bound:<8} {verdict:<6}");
        format!("{line} {}", peers.join(", ")).trim_end().to_string()
    }
}

/// All figures as the file of a benchmark has them.
pub fn document(figures: &[Figure]) -> String {
    format!("{:#}\n", list(figures))
}

/// The same, as part of a greater document.
pub fn list(figures: &[Figure]) -> Json {
    figures.iter().map(Figure::json).collect::<Vec<Json>>().into()
}

/// All figures for people, a line each.
pub fn table(figures: &[Figure]) -> String {
    figures.iter().map(|figure| figure.line() + "\n").collect()
}

/// Three digits behind the point: more is noise.
pub fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The value that this share of the values, 0 to 1, does not exceed; 0 when there are none.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((share * last as f64).ceil() as usize).copied().unwrap_or_default()
}

/// The middle value.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// As a number of milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_have_a_good_side() {
        let most = Figure::new("a", 1.3, "times").bound(Bound::AtMost(1.3));
        let least = Figure::new("a", 2.9, "times").bound(Bound::AtLeast(3.0));
        assert_eq!((most.holds(), least.holds()), (Some(true), Some(false)));
        assert_eq!(Figure::new("a", 1.0, "s").holds(), None);
        assert!(table(&[most.clone(), least]).contains("MISSED"));
        let expected = r#"[{"bound":1.3,"figure":"a","holds":true,"peers":{"b":0.333},"unit":"times","value":1.3}]"#;
        let document: Json = serde_json::from_str(&document(&[most.peer("b", 1.0 / 3.0)])).unwrap();
        assert_eq!(document.to_string(), expected);
    }

    #[test]
    fn figures_travel_as_lines() {
        let plain = Figure::new("a", 0.1, "ms");
        let bounded = Figure::new("b", 2.0, "%").bound(Bound::AtLeast(3.5)).peer("c", 1.0);
        for figure in [plain, bounded] {
            assert_eq!(Figure::from_line(&figure.to_line()), Some(figure));
        }
        assert_eq!(Figure::from_line("[1]"), None);
    }

    #[test]
    fn quantiles() {
        let values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!((median(&values), quantile(&values, 0.99)), (3.0, 5.0));
        assert_eq!((quantile(&values, 0.0), quantile(&values, 1.0)), (1.0, 5.0));
        assert_eq!(median(&[]), 0.0);
    }
}
