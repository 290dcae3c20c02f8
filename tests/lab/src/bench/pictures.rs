// SPDX-License-Identifier: GPL-2.0-or-later
//! What of a benchmark's figures is drawn, and how. A picture needs all that it shows: with a part
//! not measured there is none.

use super::figure::{Bound, Figure};
use super::listing::SIZES;
use super::plot::{Axis, Content, Line, Plot};

/// The pictures of a benchmark that has found these figures, by the names of their files.
pub fn of(benchmark: &str, figures: &[Figure]) -> Vec<(String, Plot)> {
    let drawn: Vec<(&str, Option<Plot>)> = match benchmark {
        "flows" => vec![("memory", memory(figures)), ("accounting", accounting(figures))],
        "targets" => vec![("sizes", sizes(figures))],
        _ => Vec::new(),
    };
    let named =
        |(name, plot): (&str, Option<Plot>)| Some((format!("{benchmark}-{name}.svg"), plot?));
    drawn.into_iter().filter_map(named).collect()
}

/// Private memory by number of flows, with its bound.
fn memory(figures: &[Figure]) -> Option<Plot> {
    let found: Vec<(f64, &Figure)> = figures.iter().filter_map(|f| Some((flows(f)?, f))).collect();
    if found.len() <= SIZES.len() {
        return None;
    }
    let line = |name: &str, of: fn(&Figure) -> Option<f64>| {
        let points = found.iter().map(|(flows, figure)| Some((*flows, of(figure)?)));
        Some(Line { name: name.into(), points: points.collect::<Option<_>>()? })
    };
    let lines = vec![
        line("flowtabled", |figure| Some(figure.value))?,
        line("without text and constants", |figure| peer(figure, "without text and constants"))?,
        line("bound", |figure| match figure.bound {
            Some(Bound::AtMost(most)) => Some(most),
            _ => None,
        })?,
    ];
    let ticks: Vec<f64> = found.iter().map(|(flows, _)| *flows).filter(|f| *f != 1024.0).collect();
    let x = Axis::linear("flows").ticks(&ticks);
    Some(Plot {
        title: "Private resident memory by number of flows".into(),
        y: Axis::linear("MiB"),
        content: Content::Lines(x, lines),
    })
}

/// The number in `memory at N flows, private`.
fn flows(figure: &Figure) -> Option<f64> {
    let (number, rest) = figure.figure.strip_prefix("memory at ")?.split_once(' ')?;
    rest.starts_with("flows, private").then(|| number.parse().ok())?
}

/// Contestants of a list, by their names among the peers, and as they are shown.
const CONTESTANTS: [(&str, &str); 3] = [
    ("receive only", "received and dropped"),
    ("as nlbwmon, neighbours known", "as nlbwmon, neighbours known"),
    ("conntrack -L", "conntrack -L"),
];

/// Time for a flow of a list, by contestant and size.
fn accounting(figures: &[Figure]) -> Option<Plot> {
    let lists: Option<Vec<(u32, &Figure)>> = SIZES
        .into_iter()
        .map(|size| {
            let name = format!("list and account {size} flows");
            Some((size, figures.iter().find(|figure| figure.figure == name)?))
        })
        .collect();
    let lists = lists?;
    let micros = |size: u32, milliseconds: f64| milliseconds * 1000.0 / f64::from(size);
    let ours = lists.iter().map(|(size, figure)| micros(*size, figure.value)).collect();
    let mut series = vec![("flowtabled".to_owned(), ours)];
    for (name, shown) in CONTESTANTS {
        let times = lists.iter().map(|(size, f)| Some(micros(*size, peer(f, name)?)));
        series.push((shown.to_owned(), times.collect::<Option<_>>()?));
    }
    Some(Plot {
        title: "Time for a flow of a list".into(),
        y: Axis::linear("µs"),
        content: Content::Bars(SIZES.map(|size| format!("{size} flows")).to_vec(), series),
    })
}

/// Bytes by target: the program, compressed, and its package.
fn sizes(figures: &[Figure]) -> Option<Plot> {
    let kilobytes = |bytes: f64| bytes / 1000.0;
    let mut names = Vec::new();
    let mut series: [(&str, Vec<f64>); 3] =
        [("program", Vec::new()), ("gzip -9", Vec::new()), ("package", Vec::new())];
    for program in figures {
        let Some(target) = program.figure.strip_suffix(", program") else { continue };
        let package = format!("{target}, flowtabled (.ipk)");
        let package = figures.iter().find(|figure| figure.figure == package)?;
        let found = [program.value, peer(program, "gzip -9")?, package.value];
        series.iter_mut().zip(found).for_each(|((_, all), bytes)| all.push(kilobytes(bytes)));
        names.push(short(target).to_owned());
    }
    if names.is_empty() {
        return None;
    }
    let series = series.map(|(name, values)| (name.to_owned(), values)).to_vec();
    Some(Plot {
        title: "The daemon by target (bound: a package of 220 kB on mipsel)".into(),
        y: Axis::linear("kB"),
        content: Content::Bars(names, series),
    })
}

/// The architecture without the processor.
fn short(target: &str) -> &str {
    let end = ["_24kc", "_cortex"].iter().filter_map(|from| target.find(from)).min();
    end.and_then(|end| target.get(..end)).unwrap_or(target)
}

fn peer(figure: &Figure, name: &str) -> Option<f64> {
    figure.peers.iter().find(|(peer, _)| peer == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory_at(flows: u32) -> Figure {
        Figure::new(format!("memory at {flows} flows, private (glibc)"), 1.0, "MiB")
            .bound(Bound::AtMost(2.0))
            .peer("without text and constants", 0.5)
    }

    fn list_of(flows: u32) -> Figure {
        let figure = Figure::new(format!("list and account {flows} flows"), f64::from(flows), "ms");
        CONTESTANTS.iter().fold(figure, |figure, (name, _)| figure.peer(*name, 1.0))
    }

    fn names(drawn: &[(String, Plot)]) -> Vec<&str> {
        drawn.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn flows_are_drawn_as_far_as_they_were_measured() {
        let mut figures: Vec<Figure> = [0].into_iter().chain(SIZES).map(memory_at).collect();
        assert_eq!(names(&of("flows", &figures)), ["flows-memory.svg"]);
        figures.remove(0);
        assert!(of("flows", &figures).is_empty());
        figures.extend(SIZES.map(list_of));
        let drawn = of("flows", &figures);
        assert_eq!(names(&drawn), ["flows-accounting.svg"]);
        let Content::Bars(groups, series) = &drawn[0].1.content else { panic!("{drawn:?}") };
        assert_eq!((groups.len(), series.len()), (3, 4));
        assert_eq!(series[0].1, [1000.0; 3], "microseconds for a flow");
        assert!(of("mdio", &figures).is_empty());
    }

    #[test]
    fn sizes_stand_beside_those_of_their_target() {
        let figures = [
            Figure::new("mipsel_24kc, program", 1e6, "bytes").peer("gzip -9", 5e5),
            Figure::new("mipsel_24kc, flowtabled (.ipk)", 6e5, "bytes"),
            Figure::new("arm_cortex-a7_neon-vfpv4, program", 8e5, "bytes").peer("gzip -9", 4e5),
            Figure::new("arm_cortex-a7_neon-vfpv4, flowtabled (.ipk)", 5e5, "bytes"),
        ];
        let drawn = of("targets", &figures);
        let Content::Bars(groups, series) = &drawn[0].1.content else { panic!("{drawn:?}") };
        assert_eq!(*groups, ["mipsel", "arm"]);
        assert_eq!(series[2], ("package".to_owned(), vec![600.0, 500.0]));
        assert!(of("targets", &figures[..1]).is_empty(), "no package");
    }
}
