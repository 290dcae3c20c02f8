// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel changes a VLAN while a rule comes: its accesses fall between our transactions.

use super::rig::*;
use hw_drivers::mt7530::{Damage, Error, Match, Mt7530, Vlan};
use hw_drivers::table::{self, Progress};
use hw_simulators::mt7530 as sim;
use hw_simulators::mt7530::{Change, Grain, Loss, Options, Table, Words};

const VLAN: u16 = 5;

/// Ports 0, 1 and 6; tagged on 6.
const BEFORE: [u32; 2] = [1 << 30 | 1 << 28 | 0x43 << 16 | 1, 2 << 12];

/// The kernel adds port 3, untagged.
const CHANGE: Change = Change { vlan: VLAN, add: 1 << 3, egress: 2 << 12 };
const AFTER: [u32; 2] = [BEFORE[0] | 1 << 19, BEFORE[1]];

fn rule() -> hw_drivers::mt7530::Rule {
    drop_of(Match { source: v4("10.1.2.3"), protocol: Some(17), ..Match::on(0x7f) })
}

fn vlan(switch: &Switch) -> [u32; 2] {
    switch.with(|switch| switch.entry(Table::Vlan, VLAN))
}

fn watching(options: Options) -> (Mt7530<Switch>, Switch) {
    let (mut driver, switch) = ready(options);
    switch.with(|switch| switch.set_entry(Table::Vlan, VLAN, BEFORE));
    assert!(driver.watch_vlan(VLAN));
    (driver, switch)
}

/// Inserts the rule; the VLANs that were reported.
fn insert_all(driver: &mut Mt7530<Switch>) -> Vec<Damage> {
    let mut damages = Vec::new();
    driver.insert_rule(&rule()).unwrap();
    loop {
        match driver.advance() {
            Ok(Progress::Done) if !driver.is_changing() => return damages,
            Ok(_) => {}
            Err(Error::Vlan(damage)) => damages.push(damage),
            // A command of the kernel's may still run.
            Err(Error::Chip(table::Error::Stuck(_))) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Transactions of an insertion with one VLAN watched.
fn transactions() -> u32 {
    let (mut driver, switch) = watching(Options::default());
    let before = switch.with(|switch| switch.transactions());
    assert_eq!(insert_all(&mut driver), []);
    switch.with(|switch| switch.transactions()) - before
}

/// For each of our transactions, and each way to split the kernel's steps around it.
fn each_split(options: &Options, mut check: impl FnMut(&mut Mt7530<Switch>, &Switch, &[Damage])) {
    let (driver, switch) = watching(*options);
    let stage = Stage::new(driver, switch);
    for number in 0..transactions() {
        for split in 0..=sim::Mt7530::CHANGE_STEPS {
            let (mut driver, switch) = stage.enter();
            switch.with(|switch| {
                let at = switch.transactions() + number;
                let late = sim::Mt7530::CHANGE_STEPS - split;
                let moments = [vec![at; split], vec![at + 1; late]].concat();
                switch.change_vlan(CHANGE, Grain::Transaction, &moments);
            });
            let damages = insert_all(&mut driver);
            switch.with(|switch| switch.finish_change());
            let sample = Sample::new(1, udp("10.1.2.3:7", "10.8.0.1:7"));
            assert_eq!(sample.observe(&switch).loss, Some(Loss::Rule), "{number} {split}");
            assert_eq!(switch.with(|switch| switch.overrun()), 0);
            check(&mut driver, &switch, &damages);
        }
    }
}

/// If a read of the data words gives what was written to them, the kernel never notices us.
#[test]
fn the_kernels_words_come_back() {
    for base in [Options::default(), Options { busy_reads: 4, ..Options::default() }] {
        each_split(&base, |_, switch, damages| {
            assert_eq!(vlan(switch), AFTER);
            for damage in damages {
                assert!(!damage.ours, "the change is the kernel's own: {damage:?}");
                assert_eq!((damage.vlan, damage.after.words), (VLAN, AFTER));
            }
        });
    }
}

/// If not, the VLAN can be hit; then it is told and can be put back.
#[test]
fn a_vlan_that_was_hit_is_told_and_restored() {
    let options = Options { words: Words::Separate, ..Options::default() };
    let (mut hit, mut lost) = (0, 0);
    each_split(&options, |driver, switch, damages| {
        match vlan(switch) {
            AFTER => return,
            // What the kernel meant to write is lost, which no look at the table can tell.
            BEFORE => {
                lost += 1;
                return;
            }
            _ => hit += 1,
        }
        let damage = damages.last().expect("it was told");
        let before = Vlan { words: BEFORE };
        assert_eq!((damage.vlan, damage.before), (VLAN, before));
        assert_eq!(driver.damages(), [*damage]);
        let error = table::Error::from(Error::Vlan(*damage));
        assert!(matches!(error, table::Error::Mismatch { .. }), "{error}");
        driver.restore_vlan(damage).unwrap();
        assert_eq!((vlan(switch), driver.damages()), (BEFORE, &[][..]));
    });
    assert!(hit > 5 && lost > 0, "{hit} hit, {lost} lost");
}

/// Words of ours in the entry are a proof; without them the kernel may have meant it.
#[test]
fn words_of_ours_are_recognised() {
    let (mut driver, switch) = watching(Options::default());
    let words = |words| Vlan { words };
    let meddle = |entry: [u32; 2]| {
        let changed = switch.clone();
        move |driver: &mut Mt7530<Switch>| {
            driver.insert_rule(&rule()).unwrap();
            driver.advance().unwrap();
            changed.with(|switch| switch.set_entry(Table::Vlan, VLAN, entry));
            loop {
                match driver.advance() {
                    Err(Error::Vlan(damage)) => return damage,
                    Err(error) => panic!("{error}"),
                    Ok(_) => assert!(driver.is_changing(), "not told"),
                }
            }
        }
    };
    let ours = switch.with(|switch| switch.entry(Table::Pattern, 0));
    assert_eq!(ours, [0, 0]);
    let foreign = meddle([BEFORE[0] | 1 << 20, BEFORE[1]])(&mut driver);
    assert!(!foreign.ours && foreign.before == words(BEFORE));
    let pattern = switch.with(|switch| switch.entry(Table::Pattern, 0));
    let id = driver.rules().next().unwrap().0;
    while driver.is_changing() {
        driver.advance().unwrap();
    }
    switch.with(|switch| switch.set_entry(Table::Vlan, VLAN, BEFORE));
    remove(&mut driver, id);
    assert!(meddle([BEFORE[0], pattern[1]])(&mut driver).ours);
    driver.accept_vlan(VLAN);
    assert_eq!(driver.damages(), []);
}

#[test]
fn vlans_in_use_are_found_and_read() {
    let (mut driver, switch) = watching(Options::default());
    for vlan in [0, 7, 4095] {
        switch.with(|switch| switch.set_entry(Table::Vlan, vlan, [vlan.into(), 0]));
    }
    switch.with(|switch| switch.set_entry(Table::Vlan, 100, BEFORE));
    while driver.find_vlans().unwrap() != Progress::Done {}
    let entry = driver.vlan(100).unwrap();
    assert!(entry.is_valid() && entry.is_independent());
    assert_eq!((entry.members(), entry.fid()), (0x43, 0));
    assert_eq!((entry.is_tagged(6), entry.is_tagged(1)), (Some(true), Some(false)));
    assert!(!driver.vlan(0).unwrap().is_valid());
    // 5, 7, 100 and 4095 are each read twice for a change.
    let before = switch.with(|switch| switch.transactions());
    assert_eq!(insert_all(&mut driver), []);
    let more = switch.with(|switch| switch.transactions()) - before;
    assert_eq!(more, transactions() + 3 * 2);
    let added = (200..300).filter(|vlan| driver.watch_vlan(*vlan)).count();
    assert_eq!(added, hw_drivers::mt7530::MAX_WATCHED - 4);
}
