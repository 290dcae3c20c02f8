// SPDX-License-Identifier: GPL-2.0-or-later
//! The chip through its bus, by the procedures that the vendor's SDK and daemon follow.

mod engine;
mod forwarding;
mod routing;
mod translation;

use super::*;
use crate::frame::{Frame, Packet};
use hw_drivers::flow::Protocol;
use proptest::prelude::*;
use std::net::{Ipv4Addr, SocketAddr};

pub(super) const NAPT: u32 = 0;
pub(super) const NAT: u32 = 2;
pub(super) const HOSTS: u32 = 3;
pub(super) const FLUSH: u32 = 1;
pub(super) const ADD: u32 = 2;
pub(super) const DEL: u32 = 3;
pub(super) const NEXT: u32 = 4;
pub(super) const SEARCH: u32 = 5;

const PAGE: Address = Address::truncated(0x18, 0);

/// What a command gave: its index, and the words of one that returns an entry.
pub(super) type Given = Option<(u32, [u32; 7])>;

/// The chip, with the SDK's way to use it.
pub(super) struct Rig {
    pub(super) chip: Qca8337,
}

fn halves(register: u32) -> (u16, Address, Address) {
    let (device, mii) = (0x10 | register >> 6 & 7, register >> 1 & 0x1e);
    let page = u16::try_from(register >> 9).unwrap();
    (page, Address::truncated(device, mii), Address::truncated(device, mii + 1))
}

impl Rig {
    pub(super) fn new(options: Options) -> Rig {
        Rig { chip: Qca8337::new(options) }
    }

    pub(super) fn read(&mut self, register: u32) -> u32 {
        let (page, low, high) = halves(register);
        let mut transaction = Transaction::new();
        transaction.write(PAGE, page).unwrap();
        let low = transaction.read(low).unwrap();
        let high = transaction.read(high).unwrap();
        let outcome = self.chip.run(&transaction).unwrap();
        let half = |slot| u32::from(outcome.get(slot).unwrap());
        half(high) << 16 | half(low)
    }

    pub(super) fn write(&mut self, register: u32, value: u32) {
        let (page, low, high) = halves(register);
        let mut transaction = Transaction::new();
        transaction.write(PAGE, page).unwrap();
        transaction.write(low, u16::try_from(value & 0xffff).unwrap()).unwrap();
        transaction.write(high, u16::try_from(value >> 16).unwrap()).unwrap();
        self.chip.run(&transaction).unwrap();
    }

    fn data_words(&self) -> (u32, usize) {
        match self.chip.options().model {
            Model::Qca8337 => (0x0e80, 7),
            Model::Ar8327 => (0x0e48, 4),
        }
    }

    /// Steps 1 to 8 of the command procedure, with 64 reads for each wait.
    pub(super) fn command(
        &mut self,
        words: &[u32],
        index_and_filter: u32,
        table: u32,
        function: u32,
    ) -> Given {
        let (first, count) = self.data_words();
        for (number, at) in (0..count).zip((first..).step_by(4)) {
            self.write(at, words.get(number).copied().unwrap_or(0));
        }
        self.write(0x0e58, index_and_filter);
        let word = self.idle()?;
        self.write(0x0e58, word & !0x37 | 1 << 31 | table << 4 | function);
        self.idle()?;
        let word = self.read(0x0e58);
        let mut given = [0; 7];
        for (number, at) in (0..count).zip((first..).step_by(4)) {
            given[number] = self.read(at);
        }
        (word >> 7 & 1 == 1).then_some((word >> 8 & 0x3ff, given))
    }

    fn idle(&mut self) -> Option<u32> {
        (0..64).map(|_| self.read(0x0e58)).find(|word| word >> 31 == 0)
    }

    /// The indices of NEXT from the first to the last.
    pub(super) fn scan(&mut self, words: &[u32], filter: u32, table: u32, last: u32) -> Vec<u32> {
        let (mut found, mut at) = (Vec::new(), last);
        while let Some((index, _)) = self.command(words, filter | at << 8, table, NEXT) {
            if found.last().is_some_and(|before| *before >= index) {
                break;
            }
            found.push(index);
            at = index;
        }
        found
    }

    /// Sets the engine up: private 192.168.1.0/24 behind interface 2 in VLAN 1, the public address
    /// 198.51.100.7 of number 3 behind interface 5 in VLANs 2 to 9, its gateway at port 5.
    pub(super) fn bring_up(options: Options) -> Rig {
        let mut rig = Rig::new(options);
        rig.write(0x0c00, 3);
        match rig.chip.options().model {
            Model::Qca8337 => {
                rig.write(0x0474, 0xffff_ff00);
                rig.write(0x0470, 0xc0a8_0100);
            }
            Model::Ar8327 => {
                rig.write(0x0418, 0xc0a80);
                rig.write(0x0e5c, 0xc0a80);
            }
        }
        rig.interface(2, LAN_ROUTER, 1, 1);
        rig.interface(5, WAN_ROUTER, 2, 9);
        rig.public(3, PUBLIC);
        rig.write(0x0e38, 0x015f_01cb);
        rig.write(0x0e00, 1);
        let enabled = rig.read(0x0030);
        rig.write(0x0030, enabled | 6);
        rig
    }

    pub(super) fn interface(&mut self, index: u32, mac: Mac, low: u32, high: u32) {
        let Mac([a, b, c, d, e, f]) = mac;
        let w0 = u32::from_be_bytes([c, d, e, f]);
        let w1 = (high & 0xf) << 28 | low << 16 | u32::from(a) << 8 | u32::from(b);
        for base in [0x2000, 0x5a900] {
            self.write(base + 16 * index, w0);
            self.write(base + 16 * index + 4, w1);
        }
        self.write(0x5a908 + 16 * index, 3 << 8 | high >> 4);
    }

    pub(super) fn public(&mut self, index: u32, address: Ipv4Addr) {
        let offload = match self.chip.options().model {
            Model::Qca8337 => 0x2f000,
            Model::Ar8327 => 0x2a000,
        };
        self.write(0x2100 + 16 * index, address.into());
        self.write(offload + 4 * index, address.into());
        self.write(offload + 0x40, 1 << index);
        self.write(0x5aa00 + 16 * index, address.into());
        self.write(0x5aa04 + 16 * index, 1);
    }

    /// Adds a host and returns its index. `more` is for bits of word 6.
    pub(super) fn host(&mut self, address: Ipv4Addr, mac: Mac, port: u32, more: u32) -> u32 {
        let interface = if port == 5 { 5 } else { 2 };
        let words = host_words(address.into(), mac, port, interface, more);
        let words = match self.chip.options().model {
            Model::Qca8337 => words.to_vec(),
            Model::Ar8327 => vec![words[0], words[4], words[5], words[6]],
        };
        self.command(&words, 0, HOSTS, ADD).unwrap().0
    }

    /// The rule of the default route, at this index.
    pub(super) fn default_route(&mut self, rule: u32, gateway: u32) {
        self.write(0x5a004 + 0x10 * rule, gateway << 17 | 1 << 16);
        for (n, value) in [(0, 0xc0a8_0100), (1, 0), (2, 0), (3, 0), (4, 0x80 | 0x1e)] {
            self.write(0x58000 + 0x20 * rule + 4 * n, value);
        }
        for (n, mask) in [(0, 0xffff_ff00), (1, 0), (2, 0), (3, 3 << 16), (4, 3 << 6 | 2)] {
            self.write(0x59000 + 0x20 * rule + 4 * n, mask);
        }
    }

    /// An engine that translates: the LAN's host, the gateway with its rule, and one connection.
    pub(super) fn translating(options: Options) -> Rig {
        let mut rig = Rig::bring_up(options);
        rig.host(HOST, HOST_MAC, 1, 0);
        let gateway = rig.host(GATEWAY, GATEWAY_MAC, 5, 0);
        rig.default_route(7, gateway);
        let words = rig.connection(40000, 443);
        assert!(rig.command(&words, 0, NAPT, ADD).is_some());
        rig
    }

    /// Words of a connection by TCP from the host to the server, its port there being 5000.
    pub(super) fn connection(&self, private_port: u16, remote_port: u16) -> [u32; 7] {
        let (host, ports) =
            (u32::from(HOST), u32::from(private_port) << 16 | u32::from(remote_port));
        let w2 = (host & 0xfff) << 20 | 3 << 16 | 5000;
        match self.chip.options().model {
            Model::Qca8337 => [SERVER.into(), ports, w2, 3 << 20 | host >> 12, 0xe, 0, 0],
            Model::Ar8327 => [SERVER.into(), ports, w2, 0xe003, 0, 0, 0],
        }
    }
}

/// Words of a host entry of QCA8337: static, forwarding.
pub(super) fn host_words(address: u32, mac: Mac, port: u32, interface: u32, more: u32) -> [u32; 7] {
    let Mac([a, b, c, d, e, f]) = mac;
    let w5 = port << 28 | interface << 16 | u32::from(a) << 8 | u32::from(b);
    [address, 0, 0, 0, u32::from_be_bytes([c, d, e, f]), w5, 7 << 12 | more | 3]
}

pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);
pub(super) const HOST_MAC: Mac = Mac([2, 0, 0, 0, 1, 0x64]);
pub(super) const LAN_ROUTER: Mac = Mac([2, 0xaa, 0, 0, 0, 1]);
pub(super) const WAN_ROUTER: Mac = Mac([2, 0xbb, 0, 0, 0, 2]);
pub(super) const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(super) const GATEWAY_MAC: Mac = Mac([2, 0xcc, 0, 0, 0, 3]);
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

fn frame(link: (Mac, Mac), protocol: Protocol, from: SocketAddr, to: SocketAddr) -> Frame {
    let packet = Packet::new(protocol, from, to);
    Frame { destination: link.0, source: link.1, tags: Vec::new(), pppoe: None, packet }
}

/// A segment of the connection, as the host sends it.
pub(super) fn outbound() -> Frame {
    let (from, to) = ((HOST, 40000).into(), (SERVER, 443).into());
    frame((LAN_ROUTER, HOST_MAC), Protocol::Tcp, from, to)
}

/// And as it leaves for the gateway.
pub(super) fn outbound_translated() -> Frame {
    let (from, to) = ((PUBLIC, 5000).into(), (SERVER, 443).into());
    let mut frame = frame((GATEWAY_MAC, WAN_ROUTER), Protocol::Tcp, from, to);
    frame.packet.ttl = 63;
    frame
}

/// A segment of the connection, as it comes from the gateway.
pub(super) fn inbound() -> Frame {
    let (from, to) = ((SERVER, 443).into(), (PUBLIC, 5000).into());
    frame((WAN_ROUTER, GATEWAY_MAC), Protocol::Tcp, from, to)
}

/// And as it leaves for the host.
pub(super) fn inbound_translated() -> Frame {
    let (from, to) = ((SERVER, 443).into(), (HOST, 40000).into());
    let mut frame = frame((HOST_MAC, LAN_ROUTER), Protocol::Tcp, from, to);
    frame.packet.ttl = 63;
    frame
}

impl Rig {
    /// The frame comes out once, by this port, with right checksums.
    pub(super) fn one(&mut self, port: u8, frame: &Frame) -> (u8, Frame) {
        let outs = self.chip.receive(port, &frame.emit());
        assert_eq!(outs.len(), 1, "{outs:?}");
        (outs[0].port, Frame::parse(&outs[0].bytes).unwrap())
    }

    /// Whether the processor gets the frame, as it is, and nobody else.
    pub(super) fn bypasses(&mut self, port: u8, frame: &Frame) -> bool {
        let bytes = frame.emit();
        self.chip.receive(port, &bytes) == [Out { port: 0, bytes }]
    }
}

fn models() -> [Options; 2] {
    [Options::of(Model::Qca8337), Options::of(Model::Ar8327)]
}

#[test]
fn identification_of_both_and_their_phys() {
    for (options, mask, phy) in models()
        .into_iter()
        .zip([0x1302, 0x1204])
        .zip([0xd036, 0xd034])
        .map(|((o, m), p)| (o, m, p))
    {
        let mut rig = Rig::new(options);
        assert_eq!(rig.read(0), mask);
        assert_eq!(rig.chip.read(Address::truncated(0, 2)), 0x004d);
        assert_eq!(rig.chip.read(Address::truncated(4, 3)), phy);
        // Behind the switch's own MDIO master they are not on the bus.
        rig.write(0x3c, 1 << 30);
        assert_eq!(rig.chip.read(Address::truncated(0, 2)), 0xffff);
        rig.chip.write(Address::truncated(0, 4), 5);
        rig.write(0x3c, 0);
        let control = |rig: &mut Rig| rig.chip.read(Address::truncated(0, 4));
        assert_eq!(control(&mut rig), 0);
        rig.chip.write(Address::truncated(0, 4), 5);
        assert_eq!(control(&mut rig), 5);
    }
}

#[test]
fn a_value_is_applied_with_its_high_half() {
    let mut rig = Rig::new(Options::default());
    rig.write(0x0e80, 0x1111_2222);
    let (page, low, high) = halves(0x0e80);
    assert_eq!(rig.chip.page(), page);
    rig.chip.write(low, 0x4444);
    assert_eq!(rig.chip.register(0x0e80), 0x1111_2222);
    rig.chip.write(high, 0x3333);
    assert_eq!(rig.chip.register(0x0e80), 0x3333_4444);
}

#[test]
fn the_page_can_be_read_or_not() {
    for (page_readable, expected) in [(true, 7), (false, 0xffff)] {
        let mut rig = Rig::new(Options { page_readable, ..Options::default() });
        rig.read(0x0e58);
        assert_eq!((rig.chip.read(PAGE), rig.chip.page()), (expected, 7));
    }
}

/// A page that needs a transfer to settle sends a driver that does not wait to the page before.
#[test]
fn an_unsettled_page_is_not_in_force() {
    let latch = Latch::OfRegister;
    let mut rig = Rig::new(Options { page_settles: 1, latch, ..Options::default() });
    rig.write(0x0e80, 0xaaaa_bbbb);
    assert_eq!(rig.chip.register(0x0e80), 0xaaaa_0000);
    assert_eq!(rig.chip.kernel_read(0x0000), 0x1302);
}

/// What a lock for single transfers lets happen, and one for transactions does not.
#[test]
fn others_get_between_transfers_if_the_lock_lets_them() {
    for (lock, expected) in [(Lock::Transfer, 0), (Lock::Transaction, 0x8000_0112)] {
        let mut rig = Rig::new(Options { lock, ..Options::default() });
        assert_eq!(rig.chip.atomic(), lock == Lock::Transaction);
        rig.chip.plan(2, Foreign::Transfer(Transfer::Write(PAGE, 3)));
        rig.write(0x0e84, 0x8000_0112);
        assert_eq!(rig.chip.register(0x0e84), expected);
        assert_eq!(rig.chip.page(), 3);
        let misled = rig.chip.register(0x0684);
        assert_eq!(misled == 0x8000_0112, lock == Lock::Transfer);
        assert_eq!(rig.chip.transfers(), 3);
    }
}

/// Linux' qca8k skips the writing of the page, so one left behind misleads it; OpenWrt's ar8216
/// does not.
#[test]
fn a_page_left_behind_misleads_who_remembers_it() {
    for (kernel, misled) in [(KernelDriver::Qca8k, true), (KernelDriver::Ar8216, false)] {
        let mut rig = Rig::new(Options { kernel, ..Options::default() });
        assert_eq!(rig.chip.kernel_read(0x0000), 0x1302);
        assert_eq!(rig.chip.kernel_page(), Some(0));
        rig.write(0x0e80, 77);
        assert_eq!(rig.chip.kernel_read(0x0000) != 0x1302, misled);
        let mut transaction = Transaction::new();
        transaction.write(PAGE, 0).unwrap();
        rig.chip.run(&transaction).unwrap();
        assert_eq!(rig.chip.kernel_read(0x0000), 0x1302);
        // In the middle of others' transactions as well.
        let next = rig.chip.transfers() + 1;
        rig.chip.plan(next, Foreign::Write(0x0078, 1518));
        rig.chip.plan(next, Foreign::Read(0x0078));
        rig.read(0x0000);
        assert_eq!(rig.chip.kernel_values(), [(0x0078, 1518)]);
    }
}

#[test]
fn resets_lose_everything_but_what_the_kernel_sets_up() {
    let soft: fn(&mut Rig) = |rig| rig.write(0, 1 << 31);
    let line: fn(&mut Rig) = |rig| rig.chip.reset();
    for reset in [soft, line] {
        let mut rig = Rig::translating(Options::default());
        rig.host(HOST, HOST_MAC, 1, 1 << 6);
        rig.one(5, &inbound());
        assert_eq!(rig.chip.register(0x2b000), 1);
        rig.write(0x0e80, 1);
        reset(&mut rig);
        assert_eq!([rig.chip.register(0x2b000), rig.read(0x0e80)], [0, 0]);
        rig.chip.reset();
        assert_eq!(rig.chip.page(), 0);
        assert_eq!((rig.chip.napt_used(), rig.chip.host_entries().len()), (0, 0));
        assert_eq!((rig.read(0x0030), rig.read(0x0e38), rig.read(0x5a924)), (1, 0, 0));
        assert_eq!(rig.read(0x0000), 0x1302);
        assert_eq!(rig.read(0x0420 + 8 * 5), 0x0002_0002);
        assert!(rig.bypasses(1, &outbound()));
    }
}

#[test]
fn a_kernel_driver_bound_again_switches_off_and_keeps_the_tables() {
    let mut rig = Rig::translating(Options::default());
    // It has forgotten the page as well, which is another one by now.
    assert_eq!(rig.chip.kernel_read(0x0000), 0x1302);
    rig.read(0x0e80);
    rig.chip.kernel_binds();
    assert_eq!(rig.chip.kernel_read(0x0000), 0x1302);
    assert_eq!(rig.read(0x0030), 1);
    assert_eq!(rig.chip.napt_used(), 1);
    assert!(rig.bypasses(1, &outbound()));
    rig.write(0x0030, 7);
    assert_eq!(rig.one(1, &outbound()), (5, outbound_translated()));
}

proptest! {
    /// What is written to a register without duties of its own is read, whatever else is written.
    #[test]
    fn registers_keep_what_is_written(
        writes in prop::collection::vec((0x0800u32..0x0880, any::<u32>()), 1..20)
    ) {
        let mut rig = Rig::new(Options::default());
        let mut expected = BTreeMap::new();
        for (word, value) in writes {
            rig.write(word * 4, value);
            expected.insert(word * 4, value);
        }
        for (register, value) in expected {
            prop_assert_eq!(rig.read(register), value);
        }
    }
}
