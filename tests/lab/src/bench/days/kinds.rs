// SPDX-License-Identifier: GPL-2.0-or-later
//! How large, long and lively connections of each kind are. docs/simulation.md says where the
//! numbers come from.

use super::random::Random;
use super::traffic::{Kind, Traffic, BYTES_MAX};
use flowtabled::netlink::conntrack::tuple::{IPPROTO_TCP, IPPROTO_UDP};

/// Bytes a second that no connection exceeds: a client's 100 Mbit/s.
const LINE: f64 = 12_500_000.0;
/// An acknowledgement of 52 bytes for two packets of 1400.
const ACKNOWLEDGED: f64 = 52.0 / 2800.0;
const HOUR_MS: f64 = 3_600_000.0;
const MINUTE_MS: f64 = 60_000.0;

/// A connection of this kind that begins at an instant.
pub fn draw(kind: Kind, begins_ms: u64, random: &mut Random) -> Traffic {
    let drawn = match kind {
        Kind::Lookup => Drawn::once(75.0, random.between(90.0, 400.0)),
        Kind::Web => web(random),
        Kind::Video => video(random),
        Kind::Call => {
            let rate = random.lognormal(150e3, 0.5).min(LINE / 10.0);
            let talks = random.lognormal(15.0 * MINUTE_MS, 1.0).min(4.0 * HOUR_MS);
            Drawn::steady(IPPROTO_UDP, [rate, rate], talks)
        }
        // RFC 3551: G.711 in packets of 20 ms.
        Kind::Voice => {
            let talks = random.lognormal(3.0 * MINUTE_MS, 1.0).min(2.0 * HOUR_MS);
            Drawn::steady(IPPROTO_UDP, [10e3, 10e3], talks)
        }
        Kind::Game => {
            let talks = random.lognormal(20.0 * MINUTE_MS, 0.7).min(5.0 * HOUR_MS);
            Drawn::steady(IPPROTO_UDP, [5.5e3, random.lognormal(8e3, 0.5)], talks)
        }
        Kind::Bulk => {
            let size = random.pareto(5e6, 1.1, 3e10);
            let rate = random.lognormal(3e6, 0.8).min(LINE);
            let sizes = [size * ACKNOWLEDGED, size];
            let upload = random.chance(0.1);
            let sizes = if upload { [sizes[1], sizes[0]] } else { sizes };
            Drawn { sizes, talks_ms: 1000.0 * size / rate, ..Drawn::quiet(IPPROTO_TCP) }
        }
        Kind::Peer => {
            let protocol = if random.chance(0.7) { IPPROTO_UDP } else { IPPROTO_TCP };
            let talks = random.lognormal(MINUTE_MS, 1.5).min(2.0 * HOUR_MS);
            let rate = random.lognormal(3e3, 1.8).min(LINE / 5.0);
            let up = random.share();
            Drawn::steady(protocol, [rate * up, rate * (1.0 - up)], talks)
        }
        Kind::Push => {
            let talks = random.lognormal(40.0 * MINUTE_MS, 1.2).min(12.0 * HOUR_MS);
            let period = random.between(25.0, 300.0) * 1000.0;
            let times = (talks / period).ceil();
            let sizes = [120.0 * times, 120.0 * times];
            let talks_ms = times * period;
            Drawn { sizes, talks_ms, rhythm: Some([period, 50.0]), ..Drawn::quiet(IPPROTO_TCP) }
        }
    };
    drawn.traffic(kind, begins_ms, random)
}

/// A connection of a page: body and tail of its objects' sizes as in SURGE, several objects on one
/// connection.
fn web(random: &mut Random) -> Drawn {
    let objects = random.pareto(1.0, 2.43, 50.0).floor() as u32;
    let mut object = || match random.chance(0.07) {
        true => random.pareto(133e3, 1.1, 2e8),
        false => random.lognormal(11_580.0, 1.318),
    };
    let size: f64 = (0..objects).map(|_| object()).sum();
    let protocol = if random.chance(0.4) { IPPROTO_UDP } else { IPPROTO_TCP };
    let rate = random.lognormal(1e6, 0.8).min(LINE);
    let sizes = [900.0 * f64::from(objects) + size * ACKNOWLEDGED, size];
    let lingers = random.lognormal(30_000.0, 1.0).min(300_000.0);
    let talks_ms = 50.0 + 1000.0 * size / rate;
    Drawn { sizes, talks_ms, lingers_ms: lingers, ..Drawn::quiet(protocol) }
}

/// A segment at a time, much faster than it is watched.
fn video(random: &mut Random) -> Drawn {
    let talks_ms = random.lognormal(12.0 * MINUTE_MS, 1.0).min(4.0 * HOUR_MS);
    let rate = random.lognormal(600e3, 0.5).min(LINE / 4.0);
    let period = random.between(4000.0, 10_000.0);
    let busy = period * random.between(0.15, 0.5);
    let size = rate * talks_ms / 1000.0;
    let protocol = if random.chance(0.5) { IPPROTO_UDP } else { IPPROTO_TCP };
    let sizes = [size * ACKNOWLEDGED, size];
    Drawn { sizes, talks_ms, rhythm: Some([period, busy]), ..Drawn::quiet(protocol) }
}

/// A connection whose sizes and times have yet to be rounded.
struct Drawn {
    protocol: u8,
    sizes: [f64; 2],
    talks_ms: f64,
    lingers_ms: f64,
    /// Period and the part of it that is busy, in milliseconds; steady without.
    rhythm: Option<[f64; 2]>,
}

impl Drawn {
    fn quiet(protocol: u8) -> Drawn {
        Drawn { protocol, sizes: [0.0; 2], talks_ms: 1.0, lingers_ms: 0.0, rhythm: None }
    }

    fn once(sent: f64, received: f64) -> Drawn {
        Drawn { sizes: [sent, received], talks_ms: 30.0, ..Drawn::quiet(IPPROTO_UDP) }
    }

    /// These bytes a second for so long.
    fn steady(protocol: u8, rates: [f64; 2], talks_ms: f64) -> Drawn {
        let sizes = rates.map(|rate| rate * talks_ms / 1000.0);
        Drawn { sizes, talks_ms, ..Drawn::quiet(protocol) }
    }

    fn traffic(self, kind: Kind, begins_ms: u64, random: &mut Random) -> Traffic {
        // The way to the server and back, once at least.
        let talks_ms = self.talks_ms.max(random.between(10.0, 60.0)) as u64;
        let [period_ms, busy_ms] = match self.rhythm {
            Some(rhythm) => rhythm.map(|time| (time as u64).max(1)),
            None => [talks_ms; 2],
        };
        let bytes = self.sizes.map(|size| (size as u64).clamp(40, BYTES_MAX));
        let (protocol, lingers_ms) = (self.protocol, self.lingers_ms as u64);
        Traffic { kind, protocol, begins_ms, talks_ms, lingers_ms, period_ms, busy_ms, bytes }
    }
}
