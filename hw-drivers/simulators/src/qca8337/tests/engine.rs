// SPDX-License-Identifier: GPL-2.0-or-later
//! Commands of the table engine.

use super::*;

/// 192.168.1.100:40000 to 203.0.113.10:443 by TCP, public address 0, port kept: the sheet's.
const VECTOR: [u32; 7] = [0xcb00_710a, 0x9c40_01bb, 0x1640_9c40, 0x003c_0a80, 0xe, 0, 0];

fn key(number: u32) -> [u32; 7] {
    let [w0, w1, w2, w3, ..] = VECTOR;
    [w0 + number, w1, w2, w3, 0xe, 0, 0]
}

#[test]
fn the_sheets_vector_goes_in_and_comes_out() {
    let mut rig = Rig::new(Options::default());
    let (index, _) = rig.command(&VECTOR, 0, NAPT, ADD).unwrap();
    let expected = NaptEntry {
        index: usize::try_from(index).unwrap(),
        remote: (Ipv4Addr::new(203, 0, 113, 10), 443),
        private: (Ipv4Addr::new(192, 168, 1, 100), 40000),
        public: 0,
        translated: 40000,
        protocol: 0,
        action: Action::Forward,
        counter: None,
        age: 0xe,
    };
    assert_eq!(rig.chip.napt_entries(), [expected]);
    assert_eq!(rig.command(&VECTOR, 0, NAPT, SEARCH), Some((index, VECTOR)));
    assert_eq!(rig.read(0x0e44), 1);
    // Word by word with the entry's age changed: still the same key.
    let mut aged = VECTOR;
    aged[4] = 1;
    assert_eq!(rig.command(&aged, 0, NAPT, DEL).map(|given| given.0), Some(index));
    assert_eq!(rig.command(&VECTOR, 0, NAPT, SEARCH), None);
    assert_eq!(rig.command(&VECTOR, 0, NAPT, DEL), None);
    assert_eq!((rig.read(0x0e44), rig.chip.napt_used()), (0, 0));
}

#[test]
fn busy_lasts_for_as_many_reads_as_it_is_told() {
    for busy_reads in [0, 1, 5] {
        let mut rig = Rig::new(Options { busy_reads, ..Options::default() });
        for (at, word) in (0x0e80..).step_by(4).zip(VECTOR) {
            rig.write(at, word);
        }
        rig.write(0x0e58, 1 << 31 | ADD);
        for _ in 0..busy_reads {
            assert_eq!(rig.chip.napt_used(), 0);
            assert_eq!(rig.read(0x0e58) >> 31, 1);
        }
        assert_eq!(rig.chip.napt_used(), 1);
        assert_eq!(rig.read(0x0e58) >> 31, 0);
    }
}

#[test]
fn time_ends_a_command_unless_the_engine_is_stuck() {
    for (busy_reads, used) in [(1000, 1), (u32::MAX, 0)] {
        let mut rig = Rig::new(Options { busy_reads, ..Options::default() });
        assert_eq!(rig.command(&VECTOR, 0, NAPT, ADD), None);
        rig.chip.pass(Duration::from_millis(1));
        assert_eq!(rig.chip.napt_used(), used);
    }
}

#[test]
fn a_command_while_busy_is_ignored() {
    let mut rig = Rig::new(Options::default());
    rig.write(0x0e58, 1 << 31 | ADD);
    rig.write(0x0e58, 1 << 31 | FLUSH);
    assert_eq!(rig.chip.ignored_commands(), 1);
}

#[test]
fn the_first_read_of_a_status_may_be_that_of_the_command_before() {
    for (status_needs_second_read, first) in [(true, 1), (false, 0)] {
        let options = Options { status_needs_second_read, ..Options::default() };
        for busy_reads in [0, 3] {
            let mut rig = Rig::new(Options { busy_reads, ..options.clone() });
            assert!(rig.command(&VECTOR, 0, NAPT, ADD).is_some());
            // A search that finds nothing, after a command that succeeded.
            rig.write(0x0e80, 1);
            rig.write(0x0e58, 1 << 31 | SEARCH);
            while rig.chip.read(Address::truncated(0x11, 0x0d)) & 0x8000 != 0 {}
            assert_eq!(rig.read(0x0e58) >> 7 & 1, first);
            assert_eq!(rig.read(0x0e58) >> 7 & 1, 0);
        }
    }
}

#[test]
fn commands_are_ignored_while_the_table_is_flushed() {
    let mut rig = Rig::new(Options::default());
    assert!(rig.command(&VECTOR, 0, NAPT, ADD).is_some());
    assert!(rig.command(&[], 0, NAPT, FLUSH).is_some());
    assert_eq!(rig.chip.napt_used(), 0);
    // The status still is that of the flush.
    assert!(rig.command(&VECTOR, 0, NAPT, ADD).is_some());
    assert_eq!((rig.chip.napt_used(), rig.chip.ignored_commands()), (0, 1));
    rig.chip.pass(Duration::from_millis(9));
    rig.command(&VECTOR, 0, NAPT, ADD);
    assert_eq!((rig.chip.napt_used(), rig.chip.ignored_commands()), (0, 2));
    rig.chip.pass(Duration::from_millis(1));
    assert!(rig.command(&VECTOR, 0, NAPT, ADD).is_some());
    assert_eq!(rig.chip.napt_used(), 1);
    let mut quick = Rig::new(Options { flush_time: Duration::ZERO, ..Options::default() });
    assert!(quick.command(&[], 0, NAPT, FLUSH).is_some());
    assert!(quick.command(&VECTOR, 0, NAPT, ADD).is_some());
    assert_eq!(quick.chip.napt_used(), 1);
}

#[test]
fn a_chip_without_engine_does_nothing() {
    let mut rig = Rig::new(Options { engine: false, ..Options::of(Model::Ar8327) });
    for (table, function) in [(NAPT, FLUSH), (NAT, FLUSH), (HOSTS, FLUSH), (NAPT, ADD)] {
        assert_eq!(rig.command(&VECTOR, 0, table, function), None);
    }
}

/// With few places for a key the table is full early, and keys elsewhere still find room.
#[test]
fn a_set_may_be_full_before_the_table_is() {
    for (napt_ways, low, high) in [(1, 1, 400), (4, 5, 1000), (1024, 1024, 1024)] {
        let mut rig = Rig::new(Options { napt_ways, busy_reads: 0, ..Options::default() });
        let mut kept = 0;
        let first = (0..1025).find(|number| {
            let added = rig.command(&key(*number), 0, NAPT, ADD).is_some();
            kept += usize::from(added);
            !added
        });
        let first = first.unwrap();
        assert!((low..=high).contains(&first), "{napt_ways} ways: {first}");
        assert_eq!(rig.chip.napt_used(), kept);
        let more = (2000..2100).filter(|n| rig.command(&key(*n), 0, NAPT, ADD).is_some()).count();
        assert_eq!(more > 0, napt_ways < 1024);
    }
}

#[test]
fn add_of_a_key_in_the_table() {
    let mut changed = VECTOR;
    changed[2] ^= 1;
    let control = |overrides: u32| 3 | overrides << 4;
    let options = Options::default();
    let second = Options { napt_duplicate: Duplicate::Second, ..Options::default() };
    for (options, overrides, added, words, used) in [
        (options.clone(), 0, false, VECTOR, 1),
        (options, 1, true, changed, 1),
        (second, 0, true, VECTOR, 2),
    ] {
        let mut rig = Rig::new(options);
        rig.write(0x0e38, control(overrides));
        let (index, _) = rig.command(&VECTOR, 0, NAPT, ADD).unwrap();
        let again = rig.command(&changed, 0, NAPT, ADD);
        assert_eq!(again.is_some(), added);
        assert_eq!(rig.chip.napt_used(), used);
        if used == 1 {
            assert_eq!(rig.command(&VECTOR, 0, NAPT, SEARCH), Some((index, words)));
        }
    }
}

#[test]
fn override_may_take_the_place_of_an_aged_entry() {
    for (override_takes_aged, control, taken) in
        [(true, 0x13, true), (false, 0x13, false), (true, 3, false)]
    {
        let options = Options { override_takes_aged, napt_ways: 1, ..Options::default() };
        let mut rig = Rig::new(Options { busy_reads: 0, ..options });
        rig.write(0x0e38, control);
        let collides = (0..).find(|n| rig.command(&key(*n), 0, NAPT, ADD).is_none()).unwrap();
        let used = rig.chip.napt_used();
        for entry in rig.chip.napt_entries() {
            assert!(rig.chip.set_napt_age(entry.index, 1));
        }
        assert_eq!(rig.command(&key(collides), 0, NAPT, ADD).is_some(), taken);
        assert_eq!(rig.chip.napt_used(), used);
    }
}

#[test]
fn an_age_of_zero_is_no_entry_or_a_fresh_one() {
    let mut words = VECTOR;
    words[4] = 0;
    for (zero_age, ages) in [(ZeroAge::Invalid, vec![]), (ZeroAge::Fresh, vec![0xe])] {
        let mut rig = Rig::new(Options { zero_age, ..Options::default() });
        assert!(rig.command(&words, 0, NAPT, ADD).is_some());
        let found: Vec<_> = rig.chip.napt_entries().iter().map(|entry| entry.age).collect();
        assert_eq!(found, ages);
    }
}

#[test]
fn the_key_may_include_the_translation() {
    let mut moved = VECTOR;
    moved[2] += 1;
    for (napt_key, found) in [(NaptKey::FiveTuple, true), (NaptKey::WithTranslation, false)] {
        let mut rig = Rig::new(Options { napt_key, ..Options::default() });
        assert!(rig.command(&VECTOR, 0, NAPT, ADD).is_some());
        assert_eq!(rig.command(&moved, 0, NAPT, SEARCH).is_some(), found);
        assert_eq!(rig.command(&moved, 0, NAPT, DEL).is_some(), found);
    }
}

/// Filters of NEXT and FLUSH: by age, by private address, by public address.
#[test]
fn filters_choose_entries() {
    let other_host = 3 << 20; // Bit 22 of word 2 is bit 2 of the private address.
    let entries: [[u32; 7]; 4] = [
        key(0),
        [key(1)[0], VECTOR[1], VECTOR[2] ^ other_host, VECTOR[3], 0xe, 0, 0],
        [key(2)[0], VECTOR[1], VECTOR[2] | 5 << 16, VECTOR[3], 0xe, 0, 0],
        [key(3)[0], VECTOR[1], VECTOR[2], VECTOR[3], 1, 0, 0],
    ];
    let filled = || {
        let mut rig = Rig::new(Options { flush_time: Duration::ZERO, ..Options::default() });
        let indices = entries.map(|entry| rig.command(&entry, 0, NAPT, ADD).unwrap().0);
        (rig, indices)
    };
    for (filter, words, chosen) in [
        (0, VECTOR, vec![0, 1, 2, 3]),
        (1 << 18, [0, 0, 0, 0, 1, 0, 0], vec![3]),
        (1 << 19, entries[1], vec![1]),
        (1 << 20, entries[2], vec![2]),
        (1 << 19 | 1 << 18, VECTOR, vec![0, 2]),
    ] {
        let (mut rig, indices) = filled();
        let mut expected: Vec<_> = chosen.iter().map(|n: &usize| indices[*n]).collect();
        expected.sort_unstable();
        assert_eq!(rig.scan(&words, filter, NAPT, 1023), expected, "{filter:#x}");
        assert!(rig.command(&words, filter, NAPT, FLUSH).is_some());
        assert_eq!(rig.chip.napt_used(), 4 - chosen.len());
        assert!(rig.scan(&words, filter, NAPT, 1023).is_empty());
    }
}

#[test]
fn next_returns_words_and_ends_or_wraps() {
    for (next, again) in [(Next::EndsAtLast, false), (Next::Wraps, true)] {
        let mut rig = Rig::new(Options { next, ..Options::default() });
        let (index, _) = rig.command(&VECTOR, 0, NAPT, ADD).unwrap();
        assert_eq!(rig.command(&[], 1023 << 8, NAPT, NEXT), Some((index, VECTOR)));
        // Entry i by the index before it.
        let before = index.wrapping_sub(1) & 1023;
        assert_eq!(rig.command(&[], before << 8, NAPT, NEXT), Some((index, VECTOR)));
        assert_eq!(rig.command(&[], index << 8, NAPT, NEXT).is_some(), again);
    }
}

#[test]
fn nat_entries_are_where_software_puts_them() {
    let words = [0xc633_6407, 0x6403_1f40, 0x30c0_a801, 0xe, 0, 0, 0];
    let mut rig = Rig::new(Options::default());
    assert_eq!(rig.command(&words, 31 << 8, NAT, ADD), Some((31, words)));
    assert_eq!(rig.command(&words, 32 << 8, NAT, ADD), None);
    let entry =
        NatEntry { index: 31, public: PUBLIC, private: HOST, ports: Some((8000, 3)), protocol: 2 };
    assert_eq!(rig.chip.nat_entries(), [entry]);
    assert_eq!(rig.command(&[], 31 << 8, NAT, SEARCH), Some((31, words)));
    assert_eq!(rig.command(&[], 30 << 8, NAT, SEARCH), None);
    assert_eq!(rig.command(&[], 30 << 8, NAT, DEL), None);
    assert!(rig.command(&[], 31 << 8, NAT, DEL).is_some());
    assert_eq!(rig.chip.nat_entries(), []);
    let invalid = [words[0], words[1], words[2], 6, 0, 0, 0];
    assert!(rig.command(&invalid, 0, NAT, ADD).is_some());
    assert_eq!(rig.command(&[], 0, NAT, SEARCH), None);
    assert!(rig.command(&words, 1 << 8, NAT, ADD).is_some());
    assert!(rig.command(&[], 0, NAT, FLUSH).is_some());
    assert_eq!(rig.chip.nat_entries(), []);
}

#[test]
fn hosts_go_by_address() {
    let words = host_words(HOST.into(), HOST_MAC, 2, 0x13, 1 << 6 | 15 << 2);
    for deleted_hosts_found in [true, false] {
        let mut rig = Rig::new(Options { deleted_hosts_found, ..Options::default() });
        let (index, _) = rig.command(&words, 0, HOSTS, ADD).unwrap();
        let expected = HostEntry {
            index: usize::try_from(index).unwrap(),
            address: HOST.into(),
            mac: HOST_MAC,
            port: 2,
            interface: 3,
            vlan_offset: 2,
            pppoe: None,
            counter: Some(15),
            action: Action::Forward,
            age: 7,
        };
        assert_eq!(rig.chip.host_entries(), [expected]);
        let key = [HOST.into(), 0, 0, 0, 0, 0, 0];
        assert_eq!(rig.command(&key, 0, HOSTS, SEARCH), Some((index, words)));
        let v6 = [HOST.into(), 0, 0, 0, 0, 0, 1 << 15];
        assert_eq!(rig.command(&v6, 0, HOSTS, SEARCH), None);
        // Added again, it is where it was.
        let moved = host_words(HOST.into(), HOST_MAC, 3, 0x13, 0);
        assert_eq!(rig.command(&moved, 0, HOSTS, ADD).map(|given| given.0), Some(index));
        assert_eq!(rig.command(&key, 0, HOSTS, DEL).map(|given| given.0), Some(index));
        assert_eq!(rig.command(&key, 0, HOSTS, DEL), None);
        assert_eq!(rig.chip.host_entries(), []);
        assert_eq!(rig.scan(&[], 0, HOSTS, 127), []);
        let found = rig.command(&key, 0, HOSTS, SEARCH);
        assert_eq!(found.map(|(_, words)| words[6] >> 12 & 7), deleted_hosts_found.then_some(0));
        assert_eq!(rig.command(&words, 0, HOSTS, ADD).map(|given| given.0), Some(index));
    }
}

#[test]
fn add_of_a_host_in_the_table() {
    let (first, second) = (host_words(1, HOST_MAC, 2, 2, 0), host_words(1, HOST_MAC, 3, 2, 0));
    for (host_duplicate, added, ports) in [
        (Duplicate::Replaced, true, vec![3]),
        (Duplicate::Refused, false, vec![2]),
        (Duplicate::Second, true, vec![2, 3]),
    ] {
        let mut rig = Rig::new(Options { host_duplicate, ..Options::default() });
        assert!(rig.command(&first, 0, HOSTS, ADD).is_some());
        assert_eq!(rig.command(&second, 0, HOSTS, ADD).is_some(), added);
        let mut found: Vec<_> = rig.chip.host_entries().iter().map(|host| host.port).collect();
        found.sort_unstable();
        assert_eq!(found, ports);
    }
}

#[test]
fn hosts_are_128_and_filtered_by_their_own_bits() {
    let mut rig = Rig::new(Options { busy_reads: 0, ..Options::default() });
    let words = |n: u32| host_words(n, HOST_MAC, n & 3, n & 7, if n < 4 { 0 } else { 1 << 14 });
    let added = (0..129).filter(|n| rig.command(&words(*n), 0, HOSTS, ADD).is_some()).count();
    assert_eq!(added, 128);
    let all = rig.scan(&[], 0, HOSTS, 127);
    assert_eq!(all, (0..128).collect::<Vec<_>>());
    assert_eq!(rig.scan(&words(3), 1 << 22, HOSTS, 127).len(), 32);
    assert_eq!(rig.scan(&words(3), 1 << 21, HOSTS, 127).len(), 16);
    assert!(rig.command(&words(3), 1 << 21, HOSTS, FLUSH).is_some());
    assert_eq!(rig.chip.host_entries().len(), 112);
    assert_eq!(rig.scan(&words(3), 1 << 18, HOSTS, 127).len(), 112);
    assert!(rig.command(&[], 0, HOSTS, FLUSH).is_some());
    assert_eq!(rig.chip.host_entries(), []);
}

#[test]
fn learning_disturbs_hosts_and_nothing_else() {
    let count = |learning, bits: u32, table| {
        let mut rig = Rig::new(Options { learning, ..Options::default() });
        rig.write(0x0e0c, bits);
        let words = host_words(1, HOST_MAC, 1, 1, 0);
        let told = (0..64).filter(|_| rig.command(&words, 0, table, ADD).is_some()).count();
        (told, rig.chip.host_entries().len())
    };
    assert_eq!(count(Learning::Harmless, 0x7f, HOSTS), (64, 1));
    assert_eq!(count(Learning::DisturbsStatus, 0x7f_0000, HOSTS), (64, 1));
    for learning in [Learning::DisturbsStatus, Learning::DisturbsCommand] {
        for bits in [1, 0x4000] {
            let (told, entries) = count(learning, bits, HOSTS);
            assert!((10..55).contains(&told), "{told}");
            assert_eq!(entries, 1);
        }
        assert_eq!(count(learning, 0x7f, NAT).0, 64);
    }
    // What is disturbed is either the telling or the doing.
    for (learning, done) in [(Learning::DisturbsStatus, 1), (Learning::DisturbsCommand, 0)] {
        let refused = (1..20).find_map(|seed| {
            let mut rig = Rig::new(Options { learning, seed, ..Options::default() });
            rig.write(0x0e0c, 1);
            let given = rig.command(&host_words(1, HOST_MAC, 1, 1, 0), 0, HOSTS, ADD);
            given.is_none().then(|| rig.chip.host_entries().len())
        });
        assert_eq!(refused, Some(done));
    }
}

proptest! {
    /// Whatever is added and deleted, the table holds what a set of keys would, except for the
    /// additions that it refused.
    #[test]
    fn the_table_is_a_set_of_keys(
        steps in prop::collection::vec((any::<bool>(), 0u32..24), 1..60),
        ways in 0u32..4,
    ) {
        let napt_ways = 1 << ways;
        let mut rig = Rig::new(Options { napt_ways, busy_reads: 0, ..Options::default() });
        let mut expected = BTreeMap::new();
        for (adds, number) in steps {
            let known = expected.contains_key(&number);
            let given = rig.command(&key(number), 0, NAPT, if adds { ADD } else { DEL });
            match (adds, given) {
                (true, Some((index, _))) => {
                    prop_assert!(!known);
                    expected.insert(number, index);
                }
                (true, None) => {}
                (false, given) => {
                    let index = expected.remove(&number);
                    prop_assert_eq!(given.map(|(index, _)| index), index);
                }
            }
        }
        let mut indices: Vec<_> = expected.values().copied().collect();
        indices.sort_unstable();
        prop_assert_eq!(rig.scan(&[], 0, NAPT, 1023), indices);
        for (number, index) in expected {
            let found = rig.command(&key(number), 0, NAPT, SEARCH);
            prop_assert_eq!(found, Some((index, key(number))));
        }
    }
}

#[test]
fn tests_may_tamper() {
    for options in models() {
        let mut rig = Rig::translating(options);
        let index = rig.chip.napt_entries()[0].index;
        assert!(!rig.chip.flip_napt(index, 7, 1) && !rig.chip.flip_napt(index ^ 1, 0, 1));
        assert!(rig.chip.flip_napt(index, 0, 1) && rig.chip.set_napt_age(index, 3));
        let entry = rig.chip.napt_entries()[0];
        assert_eq!((entry.remote.0, entry.age), (Ipv4Addr::new(203, 0, 113, 11), 3));
        assert!(rig.chip.lose_napt(index) && !rig.chip.lose_napt(index));
        assert!(!rig.chip.set_napt_age(index, 3));
        assert_eq!(rig.chip.napt_used(), 0);
        let hosts = rig.chip.host_entries();
        assert!(rig.chip.lose_host(hosts[0].index));
        assert_eq!(rig.chip.host_entries(), hosts[1..]);
    }
}

#[test]
fn an_engine_may_stick_and_go_on() {
    let mut rig = Rig::new(Options { status_needs_second_read: false, ..Options::default() });
    rig.chip.set_busy_reads(u32::MAX);
    assert_eq!(rig.command(&VECTOR, 0, NAPT, ADD), None);
    rig.chip.set_busy_reads(0);
    assert_eq!(rig.read(0x0e58) >> 31, 1);
    assert_eq!(rig.read(0x0e58) >> 31, 0);
    assert_eq!(rig.chip.napt_used(), 1);
}
