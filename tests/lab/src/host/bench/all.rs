// SPDX-License-Identifier: GPL-2.0-or-later
//! All benchmarks, one after the other, as one table and one file. One that could not be measured, in
//! whole or in part, keeps no other from running.

use super::{complete, measure, missed, publish, run, write, Measured, NAMES};
use crate::bench::figure::{list, table, Figure};
use crate::error::Result;
use serde_json::{Map, Value as Json};

/// Figures by benchmark.
type Groups = Vec<(&'static str, Vec<Figure>)>;

/// Runs all benchmarks; `kernel` is for those that boot one.
///
/// # Errors
/// Something could not be measured; what could be is printed and written all the same.
pub fn run_all(kernel: &str) -> Result<()> {
    let about = run::about();
    let (groups, mut failed) = each(&NAMES, |name| {
        let mut measured = measure(name, kernel);
        let published = publish(name, &measured.figures);
        measured.failed.extend(published.err().map(|e| e.to_string()));
        eprintln!("   {name}: {}", missed(&measured.figures));
        measured
    });
    let written = write("all.json", &document(&groups, &about));
    print!("{}\n\n{}", run::line(&about), grouped(&groups));
    let figures: Vec<Figure> = groups.into_iter().flat_map(|(_, figures)| figures).collect();
    match written {
        Ok(file) => println!("{}; {}", missed(&figures), file.display()),
        Err(e) => failed.push(e.to_string()),
    }
    complete(&failed)
}

/// Measures one after the other; with the figures comes what failed, with the benchmark's name.
fn each(
    names: &[&'static str],
    mut measure: impl FnMut(&str) -> Measured,
) -> (Groups, Vec<String>) {
    let (mut groups, mut all_failed) = (Groups::new(), Vec::new());
    for name in names {
        let Measured { figures, failed } = measure(name);
        all_failed.extend(failed.into_iter().map(|what| format!("{name}: {what}")));
        groups.push((name, figures));
    }
    (groups, all_failed)
}

/// The file: what is known of the run, and a list of figures by each benchmark's name.
fn document(groups: &Groups, about: &Json) -> String {
    let named = groups.iter().map(|(name, figures)| ((*name).to_owned(), list(figures)));
    let run = ("run".to_owned(), about.clone());
    let all: Map<String, Json> = std::iter::once(run).chain(named).collect();
    format!("{:#}\n", Json::from(all))
}

/// The figures below the names of their benchmarks.
fn grouped(groups: &Groups) -> String {
    let group = |(name, figures): &(&str, Vec<Figure>)| match figures.as_slice() {
        [] => format!("{name}\n  nothing measured\n\n"),
        figures => {
            let lines =
                table(figures).lines().map(|line| format!("  {line}\n")).collect::<String>();
            format!("{name}\n{lines}\n")
        }
    };
    groups.iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(name: &str) -> Measured {
        match name {
            "whole" => Ok(vec![Figure::new("a", 1.0, "ms")]).into(),
            "half" => (vec![Figure::new("b", 2.0, "ms")], vec!["part two".to_owned()]).into(),
            _ => Err(crate::error::Error::new("no kernel")).into(),
        }
    }

    #[test]
    fn a_failure_keeps_no_other_from_running() {
        let (groups, failed) = each(&["none", "half", "whole"], found);
        assert_eq!(failed, ["none: no kernel", "half: part two"]);
        let error = complete(&failed).unwrap_err().to_string();
        assert_eq!(error, "not measured: none: no kernel; half: part two");
        let all: Json =
            serde_json::from_str(&document(&groups, &json!({ "kernel": "6" }))).unwrap();
        assert_eq!(all["run"]["kernel"], "6");
        assert_eq!(all["none"], json!([]));
        assert_eq!(all["half"][0]["figure"], "b");
        assert_eq!(all["whole"][0]["value"], 1.0);
        let text = grouped(&groups);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["none", "  nothing measured"]);
        assert!(lines[3] == "half" && lines[4].starts_with("  b "), "{text}");
    }

    #[test]
    fn with_everything_measured_there_is_no_failure() {
        let (_, failed) = each(&["whole"], found);
        assert!(complete(&failed).is_ok());
    }
}
