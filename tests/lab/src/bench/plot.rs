// SPDX-License-Identifier: GPL-2.0-or-later
//! Figures as pictures: lines over a linear or logarithmic axis, and groups of bars, as SVG that
//! any browser shows, on light and dark pages alike. No more than the documents need.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Room around the drawing: left, right, above, below.
const MARGIN: [f64; 4] = [68.0, 24.0, 76.0, 56.0];
/// Colours that people who see colours differently can tell apart (Okabe and Ito, 2008), each with
/// a mark of its own.
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555"];
const INK: &str = "#222222";
const GRID: &str = "#dddddd";

/// How numbers are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm; all are above 0.
    Log,
}

/// An axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it shows, with the unit.
    pub label: String,
    /// How.
    pub scale: Scale,
    /// Where it is marked; when empty at round numbers.
    pub ticks: Vec<f64>,
    /// From where to where; `None` for what there is, from 0 on a linear axis.
    pub range: Option<(f64, f64)>,
}

/// A line.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// Points from left to right.
    pub points: Vec<(f64, f64)>,
}

/// What is drawn.
#[derive(Debug, Clone)]
pub enum Content {
    /// Lines, with a mark at each point unless there are many.
    Lines(Axis, Vec<Line>),
    /// Names of the groups, and for each series its name and a number a group.
    Bars(Vec<String>, Vec<(String, Vec<f64>)>),
}

/// A picture.
#[derive(Debug, Clone)]
pub struct Plot {
    /// One line above it.
    pub title: String,
    /// The upright axis.
    pub y: Axis,
    /// The rest.
    pub content: Content,
}

impl Axis {
    /// An even axis from 0.
    pub fn linear(label: &str) -> Axis {
        Axis { label: label.into(), scale: Scale::Linear, ticks: Vec::new(), range: None }
    }

    /// A logarithmic one.
    pub fn log(label: &str) -> Axis {
        Axis { scale: Scale::Log, ..Axis::linear(label) }
    }

    /// With marks at these numbers.
    pub fn ticks(mut self, ticks: &[f64]) -> Axis {
        self.ticks = ticks.to_vec();
        self
    }

    /// From one number to another.
    pub fn range(mut self, least: f64, most: f64) -> Axis {
        self.range = Some((least, most));
        self
    }

    fn spread(&self, values: impl Iterator<Item = f64> + Clone) -> Spread {
        let most = values.clone().fold(f64::MIN, f64::max);
        let least = match self.scale {
            Scale::Linear => values.fold(0.0, f64::min),
            Scale::Log => values.fold(f64::MAX, f64::min),
        };
        let (mut least, mut most) = self.range.unwrap_or((least, most));
        if most <= least {
            most = least + 1.0;
        }
        let mut ticks = self.ticks.clone();
        if ticks.is_empty() {
            ticks = match self.scale {
                Scale::Linear => even(least, most),
                Scale::Log => decades(least, most),
            };
            if self.range.is_none() {
                least = ticks.first().copied().unwrap_or(least).min(least);
                most = ticks.last().copied().unwrap_or(most).max(most);
            }
        }
        Spread { scale: self.scale, least, most, ticks }
    }
}

/// An axis with its ends known.
struct Spread {
    scale: Scale,
    least: f64,
    most: f64,
    ticks: Vec<f64>,
}

impl Spread {
    /// Where a number is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.least) / (self.most - self.least),
            Scale::Log => (value / self.least).ln() / (self.most / self.least).ln(),
        }
    }
}

/// Four to eight round numbers from below the least to above the most.
fn even(least: f64, most: f64) -> Vec<f64> {
    let raw = (most - least) / 5.0;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= raw * 0.999);
    let step = step.unwrap_or(10.0) * power;
    let (first, last) = ((least / step).floor() as i64, (most / step - 1e-9).ceil() as i64);
    (first..=last).map(|number| number as f64 * step).collect()
}

/// Powers of ten around the least and the most.
fn decades(least: f64, most: f64) -> Vec<f64> {
    let (first, last) = (least.log10().floor() as i32, (most.log10() - 1e-9).ceil() as i32);
    (first..=last).map(|power| 10f64.powi(power)).collect()
}

impl Plot {
    /// The picture.
    pub fn svg(&self) -> String {
        let mut drawing = Drawing::new(&self.title);
        match &self.content {
            Content::Lines(x, lines) => self.lines(&mut drawing, x, lines),
            Content::Bars(groups, series) => self.bars(&mut drawing, groups, series),
        }
        drawing.text.push_str("</svg>\n");
        drawing.text
    }

    fn lines(&self, drawing: &mut Drawing, x: &Axis, lines: &[Line]) {
        let points = || lines.iter().flat_map(|line| &line.points);
        let across = x.spread(points().map(|(x, _)| *x));
        let up = self.y.spread(points().map(|(_, y)| *y));
        drawing.upright(&up, &self.y.label);
        for tick in &across.ticks {
            let at = drawing.x(across.place(*tick));
            drawing.below(at, &number(*tick));
        }
        drawing.name_below(&x.label);
        drawing.legend(lines.iter().map(|line| line.name.as_str()));
        for (line, index) in lines.iter().zip(0..) {
            let places = line
                .points
                .iter()
                .map(|(x, y)| (drawing.x(across.place(*x)), drawing.y(up.place(*y))));
            drawing.line(&places.collect::<Vec<_>>(), index);
        }
    }

    fn bars(&self, drawing: &mut Drawing, groups: &[String], series: &[(String, Vec<f64>)]) {
        let values = series.iter().flat_map(|(_, values)| values.iter().copied());
        let up = self.y.spread(values);
        drawing.upright(&up, &self.y.label);
        drawing.legend(series.iter().map(|(name, _)| name.as_str()));
        let group = 1.0 / groups.len().max(1) as f64;
        let bar = group * 0.8 / series.len().max(1) as f64;
        for (place, name) in groups.iter().enumerate() {
            let left = group * place as f64;
            let middle = drawing.x(left + group / 2.0);
            drawing.below(middle, name);
            for (index, (_, values)) in series.iter().enumerate() {
                let Some(value) = values.get(place) else { continue };
                let from = left + group * 0.1 + bar * index as f64;
                let (from, to) = (drawing.x(from), drawing.x(from + bar * 0.92));
                drawing.bar(from, to, drawing.y(up.place(*value)), index);
            }
        }
    }
}

/// The text so far.
struct Drawing {
    text: String,
}

impl Drawing {
    fn new(title: &str) -> Drawing {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" \
             fill=\"{INK}\" role=\"img\">\n<title>{0}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{0}</text>",
            escaped(title)
        );
        Drawing { text }
    }

    fn x(&self, place: f64) -> f64 {
        let [left, right, ..] = MARGIN;
        left + place * (WIDTH - left - right)
    }

    fn y(&self, place: f64) -> f64 {
        let [.., above, below] = MARGIN;
        HEIGHT - below - place * (HEIGHT - above - below)
    }

    fn upright(&mut self, axis: &Spread, label: &str) {
        let (left, right) = (self.x(0.0), self.x(1.0));
        for tick in &axis.ticks {
            let y = self.y(axis.place(*tick));
            let _ = writeln!(
                self.text,
                "<path d=\"M{left:.1} {y:.1}H{right:.1}\" stroke=\"{GRID}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                y + 4.5,
                number(*tick)
            );
        }
        let middle = self.y(0.5);
        let _ = writeln!(
            self.text,
            "<text transform=\"translate(18 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}\
             </text>",
            escaped(label)
        );
    }

    fn below(&mut self, x: f64, name: &str) {
        let y = self.y(0.0);
        let _ = writeln!(
            self.text,
            "<path d=\"M{x:.1} {y:.1}v5\" stroke=\"{INK}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            y + 20.0,
            escaped(name)
        );
    }

    fn name_below(&mut self, name: &str) {
        let (x, y, name) = (self.x(0.5), HEIGHT - 14.0, escaped(name));
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{name}</text>"
        );
    }

    fn legend<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let mut x = self.x(0.0);
        for (index, name) in names.enumerate() {
            self.mark(x + 6.0, 50.0, index);
            let name_x = x + 18.0;
            let _ =
                writeln!(self.text, "<text x=\"{name_x:.1}\" y=\"54.5\">{}</text>", escaped(name));
            // A little more than letters of this size take.
            x = name_x + 7.4 * name.chars().count() as f64 + 16.0;
        }
    }

    fn line(&mut self, points: &[(f64, f64)], index: usize) {
        let mut path = String::new();
        for (number, (x, y)) in points.iter().enumerate() {
            let letter = if number == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{x:.1} {y:.1}");
        }
        let _ = writeln!(
            self.text,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
            colour(index)
        );
        if points.len() <= 24 {
            points.iter().for_each(|(x, y)| self.mark(*x, *y, index));
        }
    }

    fn bar(&mut self, from: f64, to: f64, top: f64, index: usize) {
        let (width, height) = (to - from, self.y(0.0) - top);
        let _ = writeln!(
            self.text,
            "<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"{}\"/>",
            colour(index)
        );
    }

    fn mark(&mut self, x: f64, y: f64, index: usize) {
        let shape = match index % 4 {
            0 => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\""),
            1 => format!("<path d=\"M{:.1} {:.1}h8v8h-8z\"", x - 4.0, y - 4.0),
            2 => format!("<path d=\"M{x:.1} {:.1}l5 9h-10z\"", y - 5.5),
            _ => format!("<path d=\"M{x:.1} {:.1}l5.5 5.5l-5.5 5.5l-5.5 -5.5z\"", y - 5.5),
        };
        let _ = writeln!(self.text, "{shape} fill=\"{}\"/>", colour(index));
    }
}

fn colour(index: usize) -> &'static str {
    COLOURS.get(index % COLOURS.len()).copied().unwrap_or(INK)
}

/// As short as it can be read: thousands and millions by their letters.
fn number(value: f64) -> String {
    let (unit, letter) = match value.abs() {
        size if size >= 1e6 => (1e6, "M"),
        size if size >= 10_000.0 && size % 1000.0 == 0.0 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let text = format!("{:.3}", value / unit);
    format!("{}{letter}", text.trim_end_matches('0').trim_end_matches('.'))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_at_round_numbers() {
        assert_eq!(even(0.0, 97.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(even(0.0, 1.0), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(decades(30.0, 2000.0), [10.0, 100.0, 1000.0, 10_000.0]);
        let shown = [0.5, 0.6000000000000001, 64.0, 16_384.0, 50_000.0, 2.5e6].map(number);
        assert_eq!(shown, ["0.5", "0.6", "64", "16384", "50k", "2.5M"]);
    }

    #[test]
    fn points_are_where_their_numbers_are() {
        let points = vec![(1.0, 0.0), (10.0, 50.0), (100.0, 100.0)];
        let lines = vec![Line { name: "a<b".into(), points }];
        let y = Axis::linear("share, %");
        let content = Content::Lines(Axis::log("entries"), lines);
        let svg = Plot { title: "R&D".into(), y, content }.svg();
        assert!(svg.contains("M68.0 344.0L382.0 210.0L696.0 76.0"), "{svg}");
        assert!(svg.contains("R&amp;D") && svg.contains("a&lt;b") && !svg.contains("a<b"));
        assert_eq!(svg.matches("<circle").count(), 4, "three points and the legend");
    }

    #[test]
    fn bars_stand_on_the_axis() {
        let series = vec![("one".to_owned(), vec![10.0, 5.0]), ("two".to_owned(), vec![0.0])];
        let groups = vec!["left".to_owned(), "right".to_owned()];
        let plot = Plot {
            title: String::new(),
            y: Axis::linear("s"),
            content: Content::Bars(groups, series),
        };
        let svg = plot.svg();
        // The white ground, three bars, and the square of the second series.
        assert_eq!(svg.matches("<rect").count(), 4);
        assert!(svg.contains("height=\"268.0\"") && svg.contains("height=\"134.0\""), "{svg}");
    }
}
