// SPDX-License-Identifier: GPL-2.0-or-later
//! Ages of entries: what time does to them and what traffic does.

use super::engine::Tables;
use super::host::{self, set_host_age, Host};
use super::napt::{self, bits, set_napt_age, Napt};
use super::options::{AgedOut, Options};
use super::registers::{self as reg, Registers};
use std::time::Duration;

/// Unit of ROUTER_CTRL.ARP_AGE_TIME.
const ARP_AGE_UNIT: Duration = Duration::from_secs(6);

/// Brings the ages from one moment to another.
pub(super) fn pass(
    tables: &mut Tables,
    registers: &Registers,
    options: &Options,
    from: Duration,
    to: Duration,
) {
    for _ in 0..ticks(options.napt_age_period, from, to) {
        age_napt(tables, options);
    }
    let router = registers.get(reg::ROUTER_CTRL);
    let stays = router & reg::ARP_AGE_MODE != 0;
    for _ in 0..ticks(ARP_AGE_UNIT * bits(router, 8, 8), from, to) {
        age_hosts(tables, options, stays);
    }
}

/// How often a timer of the chip runs out between two moments. More often than any age can fall
/// makes no difference.
fn ticks(period: Duration, from: Duration, to: Duration) -> u128 {
    if period.is_zero() {
        return 0;
    }
    (to.as_nanos() / period.as_nanos() - from.as_nanos() / period.as_nanos()).min(16)
}

fn age_napt(tables: &mut Tables, options: &Options) {
    let lowest = match options.aged_out {
        AgedOut::Stays => 1,
        AgedOut::Vanishes => 0,
    };
    tables.napt.retain(|words| {
        let age = Napt::of(options.model, words).age;
        if age == napt::STATIC {
            return true;
        }
        let next = age.saturating_sub(options.napt_age_step).max(lowest);
        set_napt_age(options.model, words, next);
        next != 0
    });
}

fn age_hosts(tables: &mut Tables, options: &Options, stays: bool) {
    tables.hosts.retain(|words| {
        let age = Host::of(options.model, words).age;
        if age != 0 && age != host::STATIC {
            let lowest = u8::from(stays);
            set_host_age(options.model, words, age.saturating_sub(1).max(lowest));
        }
        true
    });
}

/// A packet has met a NAPT entry.
pub(super) fn hit_napt(tables: &mut Tables, options: &Options, index: usize) {
    if let Some(words) = tables.napt.get_mut(index) {
        if Napt::of(options.model, words).age != napt::STATIC {
            set_napt_age(options.model, words, napt::FRESH);
        }
    }
}

/// A packet has gone to a host.
pub(super) fn hit_host(tables: &mut Tables, options: &Options, index: usize) {
    if let Some(words) = tables.hosts.get_mut(index) {
        if Host::of(options.model, words).age != host::STATIC {
            set_host_age(options.model, words, host::FRESH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A NAPT entry with this age, and a host entry with that one.
    fn tables(options: &Options, napt: u8, host: u8) -> Tables {
        let mut tables = Tables::new(options);
        let (mut first, mut second) = ([0; 7], [0; 7]);
        set_napt_age(options.model, &mut first, napt);
        set_host_age(options.model, &mut second, host);
        assert!(tables.napt.put(3, Some(first)) && tables.hosts.put(4, Some(second)));
        tables
    }

    fn napt_age(tables: &Tables, options: &Options) -> Option<u8> {
        tables.napt.get(3).map(|words| Napt::of(options.model, words).age)
    }

    fn host_age(tables: &Tables, options: &Options) -> Option<u8> {
        tables.hosts.get(4).map(|words| Host::of(options.model, words).age)
    }

    #[test]
    fn an_idle_entry_is_aged_out_after_four_periods() {
        for model in [super::super::Model::Qca8337, super::super::Model::Ar8327] {
            let options = Options::of(model);
            let (mut tables, registers) = (tables(&options, 0xe, 7), Registers::default());
            let mut at = Duration::from_secs(27);
            for expected in [0xa, 6, 2, 1, 1] {
                let next = at + Duration::from_secs(28);
                pass(&mut tables, &registers, &options, at, next);
                assert_eq!(napt_age(&tables, &options), Some(expected));
                at = next;
            }
            hit_napt(&mut tables, &options, 3);
            assert_eq!(napt_age(&tables, &options), Some(0xe));
        }
    }

    #[test]
    fn an_entry_may_vanish_and_a_static_one_never_ages() {
        let options = Options { aged_out: AgedOut::Vanishes, ..Options::default() };
        let (end, registers) = (Duration::from_secs(28 * 4), Registers::default());
        for (age, expected) in [(0xe, None), (0xf, Some(0xf))] {
            let mut tables = tables(&options, age, 7);
            pass(&mut tables, &registers, &options, Duration::ZERO, end);
            assert_eq!(napt_age(&tables, &options), expected);
        }
        let mut tables = tables(&options, 0xf, 7);
        hit_napt(&mut tables, &options, 3);
        hit_host(&mut tables, &options, 4);
        assert_eq!(napt_age(&tables, &options), Some(0xf));
        assert_eq!(host_age(&tables, &options), Some(7));
    }

    #[test]
    fn hosts_age_if_the_router_says_so() {
        let options = Options::default();
        let hour = Duration::from_secs(3600);
        for (router, time, expected) in [
            (0, hour, 6),
            (2 << 8 | 2, Duration::from_secs(24), 4),
            (2 << 8 | 2, hour, 1),
            (2 << 8, hour, 0),
        ] {
            let (mut tables, mut registers) = (tables(&options, 0xf, 6), Registers::default());
            registers.set(reg::ROUTER_CTRL, router);
            pass(&mut tables, &registers, &options, Duration::ZERO, time);
            assert_eq!(host_age(&tables, &options), Some(expected), "{router:#x}");
            hit_host(&mut tables, &options, 4);
            assert_eq!(host_age(&tables, &options), Some(6));
        }
        let (mut tables, mut registers) = (tables(&options, 0xf, 7), Registers::default());
        registers.set(reg::ROUTER_CTRL, 2 << 8);
        pass(&mut tables, &registers, &options, Duration::ZERO, hour);
        assert_eq!(host_age(&tables, &options), Some(7));
    }
}
