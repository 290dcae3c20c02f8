// SPDX-License-Identifier: GPL-2.0-or-later
//! The simulator against the check values and the test vector of the public sources.

use super::*;
use hw_drivers::bus::Address;

fn at(register: u8) -> Address {
    Address::new(0x1f, register).unwrap()
}

fn write(switch: &mut Mt7530, page: u16, low: u8, value: u32) {
    let mut transaction = Transaction::new();
    transaction.write(at(0x1f), page).unwrap();
    transaction.write(at(low), (value & 0xffff) as u16).unwrap();
    transaction.write(at(0x10), (value >> 16) as u16).unwrap();
    switch.run(&transaction).unwrap();
}

fn read(switch: &mut Mt7530, page: u16, low: u8) -> u32 {
    let mut transaction = Transaction::new();
    transaction.write(at(0x1f), page).unwrap();
    let low = transaction.read(at(low)).unwrap();
    let high = transaction.read(at(0x10)).unwrap();
    let outcome = switch.run(&transaction).unwrap();
    u32::from(outcome.get(high).unwrap()) << 16 | u32::from(outcome.get(low).unwrap())
}

/// VAWD1, VAWD2, VTCR; then until it is not busy.
fn command(switch: &mut Mt7530, first: u32, second: u32, vtcr: u32) -> u32 {
    write(switch, 2, 5, first);
    write(switch, 2, 6, second);
    write(switch, 2, 4, vtcr);
    loop {
        let status = read(switch, 2, 4);
        if status >> 31 == 0 {
            return status;
        }
    }
}

/// An IPv4 UDP frame, by hand.
fn udp(destination: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 28];
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 168, 1, 7]);
    frame.extend(destination);
    frame.extend([0x30, 0x39, 0, 53, 0, 8, 0, 0]);
    frame
}

#[test]
fn identifies_itself_through_pages() {
    let mut switch = Mt7530::new(Options::default());
    assert_eq!(read(&mut switch, 0x1ff, 0xf), 0x7530_0001);
    assert_ne!(read(&mut switch, 0x1e0, 0), 0);
}

/// Destination 192.168.1.2 on ports 0 to 4, rule 0, dropped.
#[test]
fn vendors_example_drops_what_it_names() {
    let mut switch = Mt7530::new(Options::default());
    command(&mut switch, 0xffff_c0a8, 0x000a_1f10, 0x8000_5000);
    command(&mut switch, 0xffff_0102, 0x000a_1f12, 0x8000_5001);
    command(&mut switch, 0x0000_0003, 0, 0x8000_9000);
    command(&mut switch, 0x0000_0007, 0, 0x8000_b000);
    let named = udp([192, 168, 1, 2]);
    assert_eq!(switch.observe(1, &named).loss, None, "the port has no ACL yet");
    let pcr = read(&mut switch, 0x2104 >> 6, 1);
    write(&mut switch, 0x2104 >> 6, 1, pcr | 1 << 10);
    let observed = switch.observe(1, &named);
    assert_eq!((observed.loss, observed.rule), (Some(Loss::Rule), Some(0)));
    assert_eq!(switch.observe(1, &udp([192, 168, 1, 3])).loss, None);
    assert_eq!(switch.observe(5, &named).loss, None, "port 5 is not in the pattern");
}

#[test]
fn a_command_is_busy_for_a_while() {
    let mut switch = Mt7530::new(Options { busy_reads: 2, ..Options::default() });
    write(&mut switch, 2, 4, 0x8000_4000);
    let busy: Vec<_> = (0..3).map(|_| read(&mut switch, 2, 4) >> 31).collect();
    assert_eq!((busy, switch.overrun()), (vec![1, 1, 0], 0));
    write(&mut switch, 2, 4, 0x8000_4000);
    write(&mut switch, 2, 4, 0x8000_4000);
    assert_eq!(switch.overrun(), 1);
}

#[test]
fn an_index_beyond_the_table_is_invalid() {
    let mut switch = Mt7530::new(Options::default());
    assert_eq!(command(&mut switch, 1, 0, 0x8000_9000 | 32) >> 16 & 1, 1);
    assert_eq!(command(&mut switch, 1, 0, 0x8000_9000 | 31) >> 16 & 1, 0);
    switch.options_mut().vlans = 16;
    assert_eq!(command(&mut switch, 1, 0, 0x8000_1000 | 16) >> 16 & 1, 1);
}

#[test]
fn a_rate_lets_through_what_it_says() {
    let mut switch = Mt7530::new(Options::default());
    command(&mut switch, 0xffff_c0a8, 0x000a_7f10, 0x8000_5000);
    command(&mut switch, 1, 0, 0x8000_9000);
    command(&mut switch, 1 << 15 | 1, 0, 0x8000_d000);
    switch.poke(0x2104, 1 << 10 | 0xff << 16);
    let frame = udp([192, 168, 1, 2]);
    let bits = frame.len() * 8;
    let (mut passed, seconds) = (0, 10);
    for _ in 0..seconds * 1000 {
        switch.pass(Duration::from_millis(1));
        passed += usize::from(switch.observe(1, &frame).loss.is_none()) * bits;
    }
    let wanted = seconds * 64_000;
    assert!(passed >= wanted && passed <= wanted + 2 * 1522 * 8, "{passed} bits of {wanted}");
}

#[test]
fn learns_floods_and_forgets() {
    let mut switch = Mt7530::new(Options::default());
    let ports = |out: Vec<Out>| out.iter().map(|out| out.port).collect::<Vec<_>>();
    assert_eq!(ports(switch.receive(1, &udp([1, 1, 1, 1]))), [0, 2, 3, 4, 5, 6]);
    let mut back = udp([1, 1, 1, 1]);
    back[..12].rotate_left(6);
    assert_eq!(ports(switch.receive(3, &back)), [1]);
    switch.pass(Duration::from_secs(301));
    assert_eq!(ports(switch.receive(3, &back)), [0, 1, 2, 4, 5, 6]);
}

#[test]
fn a_vlan_keeps_frames_and_tags_them() {
    let mut switch = Mt7530::new(Options::default());
    for port in 0..u32::from(PORTS) {
        switch.poke(0x2004 + 0x100 * port, 0x00ff_0003);
        switch.poke(0x2014 + 0x100 * port, 7);
    }
    // Ports 1, 2 and 6; tagged on 6.
    switch.set_entry(Table::Vlan, 7, [1 << 30 | 1 << 28 | 0x46 << 16 | 1, 2 << 12]);
    let frame = udp([1, 1, 1, 1]);
    let out = switch.receive(1, &frame);
    assert_eq!(out.iter().map(|out| out.port).collect::<Vec<_>>(), [2, 6]);
    assert_eq!(out[0].bytes, frame);
    assert_eq!(out[1].bytes[12..16], [0x81, 0, 0, 7]);
    assert_eq!(switch.observe(3, &frame).loss, Some(Loss::Vlan));
}

#[test]
fn a_reset_clears_everything() {
    let mut switch = Mt7530::new(Options::default());
    command(&mut switch, 0xffff, 0, 0x8000_9000);
    write(&mut switch, 0x2104 >> 6, 1, 1 << 10);
    write(&mut switch, 0x7000 >> 6, 0, 3);
    assert_eq!(switch.entry(Table::Mask, 0), [0, 0]);
    assert_eq!(read(&mut switch, 0x2104 >> 6, 1) >> 10 & 1, 0);
}

/// Our words between those of the kernel: the entry it writes is ours.
#[test]
fn the_kernel_can_be_hit() {
    let mut switch = Mt7530::new(Options::default());
    let change = Change { vlan: 5, add: 0x41, egress: 0 };
    switch.change_vlan(change, Grain::Transaction, &[0, 0, 0, 0, 0]);
    command(&mut switch, 0xffff_c0a8, 0x000a_1f10, 0x8000_5000);
    switch.finish_change();
    assert_eq!(switch.entry(Table::Vlan, 5), [0xffff_c0a8, 0x000a_1f10]);
    switch.change_vlan(change, Grain::Transaction, &[]);
    switch.finish_change();
    assert_eq!(switch.entry(Table::Vlan, 5)[0] & 0x00ff_0001, 0x00ff_0001);
}

/// On a bus without a lock the kernel moves the page between our transfers, and what we write is
/// lost to another register.
#[test]
fn the_kernel_can_get_between_transfers() {
    let mut switch = Mt7530::new(Options::default());
    let before = switch.peek(0x2004);
    switch.change_vlan(Change { vlan: 5, add: 1, egress: 0 }, Grain::Transfer, &[1]);
    assert!(!switch.atomic());
    write(&mut switch, 0x2004 >> 6, 1, 0x1234_5678);
    assert_eq!(switch.peek(0x2004), before);
    switch.finish_change();
    assert_eq!(switch.entry(Table::Vlan, 5), [1 << 30 | 1 << 28 | 1 << 16 | 1, 0]);
    assert!(switch.atomic());
    write(&mut switch, 0x2004 >> 6, 1, 0x1234_5678);
    assert_eq!(switch.peek(0x2004), 0x1234_5678);
}
