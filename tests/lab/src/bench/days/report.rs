// SPDX-License-Identifier: GPL-2.0-or-later
//! The figures and pictures of the benchmark.

use super::cost::{self, Cost};
use super::replay::replay;
use super::shares::{varied, Place, Table, CAPACITIES, PLACES, VARIED};
use crate::bench::figure::{Bound, Figure};
use crate::bench::plot::{Axis, Content, Line, Plot};
use crate::error::{Context, Result};
use flowtabled::core::flows::table::FLOWS_MAX;
use std::fs;
use std::path::Path;

/// In the order of [`Table::outcomes`].
const NAMES: [&str; 4] = ["flowtabled", "oracle", "random", "LRU"];
/// Clients whose evening has from one to two hundred thousand connections.
const CROWDS: [u32; 5] = [20, 250, 1250, 5000, 9000];
/// Share of the oracle's bytes that the daemon's selection should bring.
const OF_ORACLE: f64 = 0.8;
/// MiB of heap when as many flows are kept as the daemon keeps.
const HEAP_MAX: f64 = 8.0;
const MIB: f64 = 1024.0 * 1024.0;

/// What [`measure`] can do, each in a program of its own.
pub const PARTS: [&str; 6] = ["home", "flats", "campus", "town", "rules", "costs"];

/// Measures a part; pictures go into `dir`, and `heap` tells how many bytes the program has.
///
/// # Errors
/// There is no such part, or a picture could not be written.
pub fn measure(part: &str, dir: &Path, heap: impl Fn() -> usize) -> Result<Vec<Figure>> {
    match part {
        "rules" => Ok(rules()),
        "costs" => costs(dir, heap),
        name => {
            let place = PLACES.iter().find(|place| place.name == name).context(name)?;
            let tables = Table::all(place);
            draw(dir, place, &tables)?;
            Ok(of_place(place, &tables))
        }
    }
}

fn rules() -> Vec<Figure> {
    let all = VARIED.iter().flat_map(|(place, capacity)| {
        varied(place, *capacity).into_iter().map(move |varied| (place, capacity, varied))
    });
    let each = all.map(|(place, capacity, varied)| {
        let outcome = replay(varied.setting);
        let name = format!("{}, {capacity} entries, {} {}", place.name, varied.rule, varied.value);
        Figure::new(name, percent(outcome.hardware()), "%")
            .peer("saved", percent(outcome.saved()))
            .peer("bus, s", outcome.bus_ms as f64 / 1000.0)
            .peer("entries made", outcome.inserted as f64)
    });
    each.collect()
}

fn of_place(place: &Place, tables: &[Table]) -> Vec<Figure> {
    let mut figures = Vec::new();
    let name = place.name;
    if let Some(Table { ours, .. }) = tables.first() {
        let [classic, ..] = ours.accounted.map(|bytes| bytes as f64 / ours.drawn.max(1) as f64);
        let classic_accounted = percent(classic);
        figures.push(Figure::new(format!("{name}: connections"), ours.flows as f64, ""));
        figures.push(
            Figure::new(format!("{name}: most at once"), ours.flows_max as f64, "")
                .peer("GB in all", ours.drawn as f64 / 1e9),
        );
        figures.push(
            Figure::new(format!("{name}: bytes on the classic path"), percent(ours.classic()), "%")
                .peer("as accounted", classic_accounted),
        );
    }
    for table in tables {
        let entries = format!("{name}, {} entries", table.capacity);
        type Number = fn(&super::replay::Outcome) -> f64;
        let numbers: [(&str, &str, Number); 3] = [
            ("bytes in hardware", "%", |outcome| percent(outcome.hardware())),
            ("processor time saved, the bus paid", "%", |outcome| percent(outcome.saved())),
            ("entries made", "", |outcome| outcome.inserted as f64),
        ];
        for (what, unit, number) in numbers {
            let [ours, others @ ..] = table.outcomes().map(number);
            let mut figure = Figure::new(format!("{entries}: {what}"), ours, unit);
            for (name, other) in NAMES.iter().skip(1).zip(others) {
                figure = figure.peer(*name, other);
            }
            figures.push(figure);
        }
        let [ours, oracle, ..] = table.shares();
        let figure = Figure::new(format!("{entries}: of the oracle's bytes"), ours / oracle, "");
        figures.push(figure.bound(Bound::AtLeast(OF_ORACLE)));
    }
    figures
}

fn draw(dir: &Path, place: &Place, tables: &[Table]) -> Result<()> {
    let axis =
        || Axis::log("entries of the table").ticks(&CAPACITIES.map(|entries| entries as f64));
    type Number = fn(&super::replay::Outcome) -> f64;
    let pictures: [(&str, &str, Number); 2] = [
        ("bytes", "bytes in hardware, %", |outcome| percent(outcome.hardware())),
        ("saved", "processor time saved, %", |outcome| percent(outcome.saved())),
    ];
    for (file, label, number) in pictures {
        let lines = NAMES.iter().enumerate().map(|(index, name)| {
            let value = |table: &Table| table.outcomes().get(index).map_or(0.0, |one| number(one));
            let points = tables.iter().map(|table| (table.capacity as f64, value(table)));
            Line { name: (*name).into(), points: points.collect() }
        });
        let content = Content::Lines(axis(), lines.collect());
        let clients = place.population.clients;
        let title = format!("{}, {clients} clients: {label}", place.name);
        // A table that is changed too often costs more than it saves.
        let least = if file == "saved" { -20.0 } else { 0.0 };
        let y = Axis::linear(label).range(least, 100.0);
        write(dir, &format!("{}-{file}", place.name), &Plot { title, y, content })?;
    }
    Ok(())
}

/// Heap and processor time by the number of flows.
fn costs(dir: &Path, heap: impl Fn() -> usize) -> Result<Vec<Figure>> {
    let mut costs = Vec::new();
    for clients in CROWDS {
        eprintln!("   {clients} clients");
        costs.push(cost::measure(clients, usize::MAX, &heap));
    }
    let mut figures: Vec<Figure> = costs.iter().flat_map(of_cost).collect();
    let crowd = CROWDS.last().copied().unwrap_or_default();
    let bounded = cost::measure(crowd, FLOWS_MAX, &heap);
    let name = format!("heap when {} of {} flows are kept", FLOWS_MAX, bounded.flows);
    let heap = Figure::new(name, bounded.heap as f64 / MIB, "MiB");
    figures.push(heap.bound(Bound::AtMost(HEAP_MAX)).peer("left out", bounded.left_out as f64));
    let line = |name: &str, number: fn(&Cost) -> usize| Line {
        name: name.into(),
        points: costs.iter().map(|cost| (cost.flows as f64, number(cost) as f64 / 1e6)).collect(),
    };
    let lines = vec![line("flowtabled", |cost| cost.heap), line("hash map", |cost| cost.peer_heap)];
    let content = Content::Lines(Axis::log("flows"), lines);
    let y = Axis { label: "heap, MB".into(), ..Axis::log("") };
    write(dir, "heap", &Plot { title: "Heap by number of flows".into(), y, content })?;
    Ok(figures)
}

fn of_cost(cost: &Cost) -> Vec<Figure> {
    let flows = cost.flows;
    let each = |bytes: usize| bytes as f64 / flows.max(1) as f64;
    let time = |what: &str, [ours, peer]: [f64; 2]| {
        let name = format!("{flows} flows: processor time of {what}");
        Figure::new(name, ours, "ns").peer("hash map", peer).peer("times", ours / peer.max(1.0))
    };
    vec![
        Figure::new(format!("{flows} flows: heap for each"), each(cost.heap), "bytes")
            .peer("hash map", each(cost.peer_heap)),
        time("an entry of a list", cost.entry_ns),
        time("an end", cost.end_ns),
        Figure::new(format!("{flows} flows: picking for a switch, a flow"), cost.pick_ns, "ns"),
    ]
}

fn write(dir: &Path, name: &str, plot: &Plot) -> Result<()> {
    fs::create_dir_all(dir).context(dir.display())?;
    let file = dir.join(format!("days-{name}.svg"));
    fs::write(&file, plot.svg()).context(file.display())
}

fn percent(share: f64) -> f64 {
    100.0 * share
}
