// SPDX-License-Identifier: GPL-2.0-or-later
//! What is measured of forwarding, and what is made of it: the instructions that a packet costs on
//! networks of several kinds, with rules of the user ahead of the established connections' and with
//! many flows, for the router as it is by default and for two that have a flowtable.
//!
//! Nothing here measures: the guest does, and the host draws and judges.

use super::figure::{Bound, Figure};
use super::plot::{Axis, Content, Line, Plot};
use std::collections::BTreeMap;
use std::fmt;

/// What the unit of all costs is.
pub const UNIT: &str = "instr";
/// Rules of the user that no packet matches: as many as accounting and a ban list come to.
const RULES: [u32; 3] = [0, 40, 400];
/// Flows at once, whose packets take turns.
const FLOWS: [u32; 3] = [1, 1000, 16_000];
/// Bounds on Debian's 6.1 at the simplest point: of both costs with the generator in them, of the router's own
/// share, and of ours against a flowtable written by hand.
const TIMES: f64 = 2.4;
const TIMES_OWN: f64 = 5.0;
const TIMES_MINIMAL: f64 = 1.03;

/// The kind of networks on both sides of the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// IPv4, translated.
    V4,
    /// IPv4, translated, with the LAN behind a bridge, as OpenWrt has it.
    Bridge,
    /// IPv6, which is not translated.
    V6,
    /// IPv4, translated, with a VLAN on each side.
    Vlan,
    /// IPv4, translated, through a PPPoE session.
    Pppoe,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::V4, Kind::Bridge, Kind::V6, Kind::Vlan, Kind::Pppoe];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Kind::V4 => "v4",
            Kind::Bridge => "bridge",
            Kind::V6 => "v6",
            Kind::Vlan => "vlan",
            Kind::Pppoe => "pppoe",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// For people.
    fn title(self) -> &'static str {
        match self {
            Kind::V4 => "IPv4, NAT",
            Kind::Bridge => "bridge, NAT",
            Kind::V6 => "IPv6",
            Kind::Vlan => "VLAN, NAT",
            Kind::Pppoe => "PPPoE, NAT",
        }
    }

    /// What is measured on it, with flows that become more.
    pub fn points(self) -> Vec<Point> {
        let points = FLOWS
            .iter()
            .flat_map(|&flows| RULES.iter().map(move |&rules| Point { kind: self, rules, flows }));
        points.collect()
    }
}

/// What forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    /// firewall4's default ruleset without offloading.
    Classic,
    /// The same, with a flowtable and one rule that somebody wrote by hand.
    Minimal,
    /// The same, with the daemon.
    Ours,
}

impl Contestant {
    /// All of them.
    pub const ALL: [Contestant; 3] = [Contestant::Classic, Contestant::Minimal, Contestant::Ours];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Contestant::Classic => "classic",
            Contestant::Minimal => "minimal",
            Contestant::Ours => "ours",
        }
    }

    /// The contestant of that name.
    pub fn named(name: &str) -> Option<Contestant> {
        Contestant::ALL.into_iter().find(|contestant| contestant.name() == name)
    }
}

/// Under which circumstances packets are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The networks.
    pub kind: Kind,
    /// Rules ahead of the one for established connections.
    pub rules: u32,
    /// Flows at once.
    pub flows: u32,
}

/// The simplest one, which bounds are about.
const SIMPLEST: Point = Point { kind: Kind::V4, rules: 0, flows: 1 };

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flows = if self.flows == 1 { "flow" } else { "flows" };
        write!(f, "{}, {} rules, {} {flows}", self.kind.title(), self.rules, self.flows)
    }
}

/// What the guest has measured: instructions for a packet, by the name of the measurement.
#[derive(Debug, Default)]
pub struct Measured(BTreeMap<String, f64>);

impl Measured {
    /// What the guest calls the cost of a contestant.
    pub fn of(contestant: Contestant, point: Point) -> String {
        format!("{} {} {} {}", contestant.name(), point.kind.name(), point.rules, point.flows)
    }

    /// What the guest calls the cost of making a packet that goes no further than the router's ingress.
    pub fn of_generator(kind: Kind, flows: u32) -> String {
        format!("generator {} {flows}", kind.name())
    }

    /// What the guest calls the cost on the classic path of a flow that nobody has answered, at the
    /// simplest point of the networks.
    pub fn of_unanswered(kind: Kind) -> String {
        format!("unanswered {}", kind.name())
    }

    /// Adds what came from the guest.
    pub fn add(&mut self, found: Figure) {
        self.0.insert(found.figure, found.value);
    }

    fn cost(&self, contestant: Contestant, point: Point) -> Option<f64> {
        self.0.get(&Measured::of(contestant, point)).copied()
    }

    fn generator(&self, point: Point) -> Option<f64> {
        self.0.get(&Measured::of_generator(point.kind, point.flows)).copied()
    }

    /// Costs with and without the generator's share, in the order of [`Contestant::ALL`].
    fn costs(&self, point: Point) -> Option<[[f64; 3]; 2]> {
        let generator = self.generator(point)?;
        let [classic, minimal, ours] =
            Contestant::ALL.map(|contestant| self.cost(contestant, point));
        let all = [classic?, minimal?, ours?];
        Some([all, all.map(|cost| cost - generator)])
    }

    /// What is shown: each point with its peers, then how they compare. Bounds on the gain are those of Debian's
    /// 6.1, and are left out with `other_kernel`.
    pub fn figures(&self, other_kernel: bool) -> Vec<Figure> {
        let points: Vec<Point> = Kind::ALL.into_iter().flat_map(Kind::points).collect();
        let mut figures = Vec::new();
        let mut worst: f64 = 0.0;
        for point in points {
            let Some([all, own]) = self.costs(point) else { continue };
            let ([classic, minimal, ours], [classic_own, _, ours_own]) = (all, own);
            let figure = Figure::new(point.to_string(), ours, UNIT)
                .peer("classic", classic)
                .peer("minimal", minimal)
                .peer("generator", ours - ours_own)
                .peer("classic/ours", classic / ours)
                .peer("of the router", classic_own / ours_own);
            figures.push(figure);
            worst = worst.max(ours / minimal);
        }
        if let Some([all, own]) = self.costs(SIMPLEST) {
            let unanswered = self.0.get(&Measured::of_unanswered(SIMPLEST.kind)).copied();
            let gains = [("generator included", all, TIMES), ("the router's own", own, TIMES_OWN)];
            for (share, [classic, minimal, ours], bound) in gains {
                let name = format!("classic/ours, {SIMPLEST}, {share}");
                let mut figure =
                    Figure::new(name, classic / ours, "times").peer("minimal", classic / minimal);
                if let Some(unanswered) = unanswered {
                    // What is in both costs is in this one too.
                    let unanswered = unanswered - (all[0] - classic);
                    figure = figure.peer("a flow without answers", unanswered / ours);
                }
                let bounded = figure.clone().bound(Bound::AtLeast(bound));
                figures.push(if other_kernel { figure } else { bounded });
            }
            let [_, minimal, ours] = all;
            let figure = Figure::new(format!("ours/minimal, {SIMPLEST}"), ours / minimal, "times");
            let [_, minimal, ours] = own;
            let figure = figure.peer("of the router", ours / minimal);
            figures.push(figure.bound(Bound::AtMost(TIMES_MINIMAL)));
            let figure = Figure::new("ours/minimal, the worst of all points", worst, "times");
            figures.push(figure.bound(Bound::AtMost(TIMES_MINIMAL)));
        }
        figures
    }

    /// The pictures, each with the name of its file.
    pub fn plots(&self) -> Vec<(&'static str, Plot)> {
        vec![("forwarding-kinds.svg", self.by_kind()), ("forwarding-rules.svg", self.by_rules())]
    }

    fn by_kind(&self) -> Plot {
        let point = |kind| Point { kind, ..SIMPLEST };
        let complete = |kind: &Kind| self.costs(point(*kind)).is_some();
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(complete).collect();
        let groups = kinds.iter().map(|kind| kind.title().to_string()).collect();
        let values = |cost: &dyn Fn(Point) -> Option<f64>| -> Vec<f64> {
            kinds.iter().filter_map(|kind| cost(point(*kind))).collect()
        };
        let mut series: Vec<_> = Contestant::ALL
            .into_iter()
            .map(|contestant| {
                let cost = |point| self.cost(contestant, point);
                (contestant.name().to_string(), values(&cost))
            })
            .collect();
        series.push(("generator".into(), values(&|point| self.generator(point))));
        Plot {
            title: "Instructions for a 64-byte packet, one flow".into(),
            y: Axis::linear("instructions"),
            content: Content::Bars(groups, series),
        }
    }

    fn by_rules(&self) -> Plot {
        let line = |name: &str, cost: &dyn Fn(Point) -> Option<f64>| {
            let points = RULES
                .iter()
                .filter_map(|&rules| Some((f64::from(rules), cost(Point { rules, ..SIMPLEST })?)));
            Line { name: name.into(), points: points.collect() }
        };
        let mut lines: Vec<Line> = Contestant::ALL
            .into_iter()
            .map(|contestant| line(contestant.name(), &|point| self.cost(contestant, point)))
            .collect();
        lines.push(line("generator", &|point| self.generator(point)));
        let x = Axis::linear("rules ahead of the established connections'");
        Plot {
            title: "Instructions for a 64-byte packet, IPv4 with NAT".into(),
            y: Axis::log("instructions"),
            content: Content::Lines(x.ticks(&RULES.map(f64::from)), lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(point: Point, costs: [f64; 3], generator: f64) -> Measured {
        let mut measured = Measured::default();
        for (contestant, cost) in Contestant::ALL.into_iter().zip(costs) {
            measured.add(Figure::new(Measured::of(contestant, point), cost, UNIT));
        }
        let name = Measured::of_generator(point.kind, point.flows);
        measured.add(Figure::new(name, generator, UNIT));
        measured
    }

    fn value(figures: &[Figure], start: &str) -> (f64, Option<bool>) {
        let found = figures.iter().find(|figure| figure.figure.starts_with(start));
        found.map(|figure| (figure.value, figure.holds())).unwrap()
    }

    #[test]
    fn every_value_of_an_axis_meets_every_other() {
        let points: Vec<Point> = Kind::ALL.into_iter().flat_map(Kind::points).collect();
        for kind in Kind::ALL {
            for (rules, flows) in RULES.into_iter().flat_map(|rules| FLOWS.map(|f| (rules, f))) {
                let point = Point { kind, rules, flows };
                assert_eq!(points.iter().filter(|other| **other == point).count(), 1, "{point}");
            }
        }
        assert_eq!(points.len(), 45);
    }

    #[test]
    fn names_lead_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
        for contestant in Contestant::ALL {
            assert_eq!(Contestant::named(contestant.name()), Some(contestant));
        }
        assert_eq!((Kind::named("v5"), Contestant::named("")), (None, None));
    }

    #[test]
    fn the_generators_share_is_taken_off_both_sides() {
        let figures = measured(SIMPLEST, [14_000.0, 5900.0, 6000.0], 4000.0).figures(false);
        assert_eq!(value(&figures, "IPv4, NAT, 0 rules, 1 flow"), (6000.0, None));
        let all = value(&figures, "classic/ours, IPv4, NAT, 0 rules, 1 flow, generator");
        assert_eq!(all, (14.0 / 6.0, Some(false)));
        let own = value(&figures, "classic/ours, IPv4, NAT, 0 rules, 1 flow, the router");
        assert_eq!(own, (5.0, Some(true)));
        assert_eq!(value(&figures, "ours/minimal, IPv4"), (60.0 / 59.0, Some(true)));
    }

    #[test]
    fn a_flow_without_answers_stands_beside_the_gain() {
        let mut measured = measured(SIMPLEST, [14_000.0, 5900.0, 6000.0], 4000.0);
        measured.add(Figure::new(Measured::of_unanswered(Kind::V4), 15_000.0, UNIT));
        let figures = measured.figures(false);
        let peers = figures.iter().filter(|figure| figure.figure.starts_with("classic/ours"));
        let peers: Vec<f64> = peers.filter_map(|figure| Some(figure.peers.last()?.1)).collect();
        assert_eq!(peers, [15.0 / 6.0, 11.0 / 2.0]);
    }

    #[test]
    fn the_worst_point_is_judged_and_other_kernels_gains_are_not() {
        let mut all = measured(SIMPLEST, [10.0, 5.0, 5.0], 1.0);
        let point = Point { kind: Kind::Vlan, rules: 400, flows: 1 };
        all.0.append(&mut measured(point, [10.0, 5.0, 5.5], 1.0).0);
        let figures = all.figures(true);
        assert_eq!(value(&figures, "ours/minimal, the worst"), (1.1, Some(false)));
        assert_eq!(value(&figures, "classic/ours"), (2.0, None));
    }

    #[test]
    fn a_point_that_lacks_a_contestant_is_not_shown() {
        let mut some = measured(SIMPLEST, [3.0, 2.0, 2.0], 1.0);
        some.0.remove(&Measured::of(Contestant::Minimal, SIMPLEST));
        assert!(some.figures(false).is_empty());
    }

    #[test]
    fn pictures_have_what_was_measured() {
        let measured = measured(SIMPLEST, [14_000.0, 5900.0, 6000.0], 4000.0);
        let plots = measured.plots();
        let svg: Vec<String> = plots.iter().map(|(_, plot)| plot.svg()).collect();
        assert!(svg.iter().all(|svg| svg.contains("classic") && svg.contains("generator")));
        assert!(svg.first().is_some_and(|svg| svg.contains("IPv4, NAT")));
    }
}
