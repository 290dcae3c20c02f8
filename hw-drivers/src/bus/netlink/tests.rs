// SPDX-License-Identifier: GPL-2.0-or-later
//! The backend on the machine, compared with the execution of transfers one by one.

use super::machine::{Decoded, Devices, Machine, Mishap, BUS};
use super::*;
use crate::bus::execute::execute;
use crate::bus::{Address, Failure, Slot, Step};
use proptest::prelude::*;

const BOTH: [Endian; 2] = [Endian::Little, Endian::Big];
const PAGE: Address = Address::truncated(0x18, 0);
const AT: Address = Address::truncated(0x11, 0x0c);
const BUSY: Address = Address::truncated(0x11, 0x0d);

fn open(machine: Machine) -> Result<Client<Machine>, OpenError> {
    let endian = machine.endian;
    Client::open(machine, endian, BUS, None)
}

/// A bus ready for transactions: two requests have been made.
fn client(endian: Endian) -> Client<Machine> {
    open(Machine::new(endian)).unwrap()
}

/// The page is read, another set, a command written and polled, a result read; the page returns.
fn sample() -> Transaction {
    let mut transaction = Transaction::new();
    let page = transaction.poll(PAGE, 0xfc00, 0, 1).unwrap();
    transaction.restore(page).unwrap();
    transaction.write(PAGE, 7).unwrap();
    transaction.modify(AT, 0x00f0, 0x0001).unwrap();
    transaction.poll(BUSY, 0x8000, 0, 5).unwrap();
    transaction.read(AT).unwrap();
    transaction.restore_value(BUSY, 0x0042).unwrap();
    transaction
}

fn failure(result: Result<Outcome, Error>) -> Failure {
    match result {
        Err(Error::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

/// Runs the transaction both ways on equal devices.
fn compare(endian: Endian, devices: &Devices, transaction: &Transaction) -> Result<Outcome, Error> {
    let mut direct = devices.clone();
    let expected = execute(transaction, |transfer| direct.direct(transfer));
    let mut client = client(endian);
    client.channel.devices = devices.clone();
    let result = client.run(transaction);
    assert_eq!(result, expected, "{transaction:?}");
    assert_eq!(client.channel.devices, direct, "{transaction:?}");
    result
}

#[test]
fn sample_in_one_program() {
    for endian in BOTH {
        let mut client = client(endian);
        client.channel.devices.registers.insert(PAGE, 0x123);
        client.channel.devices.registers.insert(AT, 0x5678);
        client.channel.devices.registers.insert(BUSY, 0x0001);
        let outcome = client.run(&sample()).unwrap();
        let values: Vec<_> = outcome.done().iter().map(|done| done.value).collect();
        assert_eq!(values, [0x123, 7, 0x5678, 0x0001, 0x5609]);
        assert_eq!(client.channel.devices.registers[&PAGE], 0x123);
        assert_eq!(client.channel.devices.registers[&BUSY], 0x0042);
        assert_eq!(client.channel.lengths.len(), 2, "the echo and the transaction");
    }
}

#[test]
fn exhausted_poll_restores_in_the_same_program() {
    for endian in BOTH {
        let mut client = client(endian);
        client.channel.devices.registers.insert(PAGE, 0x123);
        client.channel.devices.registers.insert(BUSY, 0x8001);
        let failure = failure(client.run(&sample()));
        assert_eq!((failure.step, failure.address), (Step::Operation(3), BUSY));
        assert_eq!(failure.fault, Fault::Exhausted { tries: 5, last: 0x8001 });
        assert_eq!(failure.unrestored, None);
        assert_eq!(client.channel.devices.registers[&PAGE], 0x123);
        assert_eq!(client.channel.lengths.len(), 2, "the echo and the transaction");
    }
}

/// What was not read cannot be put back: the first poll fails, the second is never made.
#[test]
fn exhausted_poll_restores_only_what_was_read() {
    let mut transaction = Transaction::new();
    let first = transaction.read(AT).unwrap();
    let hopeless = transaction.poll(BUSY, 1, 1, 2).unwrap();
    let never = transaction.read(PAGE).unwrap();
    for slot in [never, first, hopeless] {
        transaction.restore(slot).unwrap();
    }
    let devices = Devices::default();
    for endian in BOTH {
        let failure = failure(compare(endian, &devices, &transaction));
        assert_eq!(failure.step, Step::Operation(1));
    }
}

/// Whichever transfer fails, the page comes back in a second program, as far as it is known, and
/// a restore that fails is named.
#[test]
fn bus_error_restores_in_a_second_program() {
    for number in 0..9 {
        let mut devices = Devices::default();
        devices.registers.insert(PAGE, 0x123);
        devices.registers.insert(BUSY, 0x0001);
        devices.failing.insert(number, libc::EIO);
        for endian in BOTH {
            let result = compare(endian, &devices, &sample());
            assert_eq!(result.is_err(), number < 8, "{number}");
        }
    }
}

#[test]
fn a_restore_that_fails_in_the_second_program_is_unrestored() {
    let mut devices = Devices::default();
    devices.failing.insert(1, libc::EIO);
    devices.failing.insert(2, libc::ENXIO);
    devices.failing.insert(3, libc::ENODEV);
    for endian in BOTH {
        let failure = failure(compare(endian, &devices, &{
            let mut transaction = Transaction::new();
            let page = transaction.read(PAGE).unwrap();
            transaction.restore(page).unwrap();
            transaction.restore_value(AT, 1).unwrap();
            transaction.restore_value(BUSY, 2).unwrap();
            transaction.write(AT, 7).unwrap();
            transaction
        }));
        assert_eq!((failure.step, failure.fault), (Step::Operation(1), Fault::Os(libc::EIO)));
        assert_eq!(failure.unrestored, Some(Fault::Os(libc::ENXIO)));
    }
}

/// 200 reads of 1 ms are more than the 100 ms that the module grants: the program ends in the
/// poll, and the second one has its own time.
#[test]
fn programs_time_out() {
    let mut transaction = Transaction::new();
    let page = transaction.read(PAGE).unwrap();
    transaction.restore(page).unwrap();
    transaction.write(PAGE, 7).unwrap();
    transaction.poll(BUSY, 1, 1, 200).unwrap();
    for endian in BOTH {
        let mut client = client(endian);
        client.channel.transfer_us = 1000;
        let failure = failure(client.run(&transaction));
        assert_eq!((failure.step, failure.fault), (Step::Operation(2), Fault::TimedOut));
        assert_eq!(failure.unrestored, None);
        assert_eq!(client.channel.devices.registers[&PAGE], 0x1234);
        assert_eq!(client.channel.granted_ms, [100; 3]);
        // A tick of the clock may be lost at the beginning, and one is always added.
        let reads = client.channel.devices.log.len() - 3;
        assert!((90..=120).contains(&reads), "{reads}");
    }
}

/// The program's time runs out just before the restore: it is made with new time, and the error
/// says where it ran out.
#[test]
fn a_restore_without_time_is_tried_again() {
    let mut transaction = Transaction::new();
    let page = transaction.read(PAGE).unwrap();
    transaction.restore(page).unwrap();
    transaction.write(PAGE, 7).unwrap();
    let mut client = client(Endian::HOST);
    (client.channel.transfer_us, client.channel.instruction_us) = (24_000, 12_000);
    let failure = failure(client.run(&transaction));
    assert_eq!((failure.step, failure.fault), (Step::Restore(0), Fault::TimedOut));
    assert_eq!((failure.unrestored, client.channel.devices.registers[&PAGE]), (None, 0x1234));
    assert_eq!(client.channel.devices.log.len(), 3, "the first program did not get to it");
    // The bus itself times out, always.
    let mut client = open(Machine::new(Endian::HOST)).unwrap();
    client.channel.devices.failing.extend((2..9).map(|number| (number, libc::ETIMEDOUT)));
    let failure = self::failure(client.run(&transaction));
    assert_eq!(failure.unrestored, Some(Fault::TimedOut));
    assert_eq!(client.channel.devices.log.len(), 4, "one more try, no more");
}

/// The module takes the 16 bits for 32. With zeros behind them that is right on little endian.
#[test]
fn time_out_is_granted_as_asked() {
    for (endian, granted) in [(Endian::Little, 250), (Endian::Big, 100)] {
        let client = Client::open(Machine::new(endian), endian, BUS, Some(250)).unwrap();
        assert_eq!(client.channel.granted_ms, [granted]);
    }
}

#[test]
fn opening_tells_what_is_missing() {
    let machine = || Machine::new(Endian::HOST);
    let mut unloaded = machine();
    unloaded.loaded = false;
    assert_eq!(open(unloaded).unwrap_err(), OpenError::NoModule);
    let mut forbidden = machine();
    forbidden.permitted = false;
    assert_eq!(open(forbidden).unwrap_err(), OpenError::NotPermitted);
    let name = |name: &str| Client::open(machine(), Endian::HOST, name, None).map(|_| ());
    assert_eq!(name("mdio-bus2"), Err(OpenError::NoBus));
    assert_eq!(name(&"x".repeat(60)), Err(OpenError::NoBus));
    for bad in ["", "a\0b", &"x".repeat(61)] {
        assert_eq!(name(bad), Err(OpenError::Name), "{bad:?}");
    }
    let long = Client::open(machine(), Endian::HOST, BUS, Some(10_001)).map(|_| ());
    assert_eq!(long, Err(OpenError::Timeout(10_001)));
}

/// A module that takes the words of a program for others would give another echo (its bytes begin
/// behind three headers, at 24), or an answer that is none.
#[test]
fn a_module_with_another_format_is_found_out() {
    for mishap in [Mishap::Changed(24), Mishap::Changed(25), Mishap::Cut(20)] {
        let mut machine = Machine::new(Endian::HOST);
        machine.mishaps.insert(1, mishap);
        assert_eq!(open(machine).unwrap_err(), OpenError::Foreign, "{mishap:?}");
    }
}

#[test]
fn lost_answers_are_unknown() {
    for (mishap, error) in [
        (Mishap::Overrun, Error::Unknown(libc::ENOBUFS)),
        (Mishap::Silence, Error::Unknown(libc::ENODATA)),
        (Mishap::Cut(21), Error::Unknown(libc::EBADMSG)),
        (Mishap::AnswerRefused(libc::EAGAIN), Error::Unknown(libc::EAGAIN)),
        (Mishap::AnswerRefused(libc::EINVAL), Error::NotRun(libc::EINVAL)),
    ] {
        let mut client = client(Endian::HOST);
        client.channel.mishaps.insert(2, mishap);
        assert_eq!(client.run(&sample()), Err(error), "{mishap:?}");
        // Nothing of it is taken for the next answer.
        client.channel.devices.registers.insert(BUSY, 0);
        client.channel.devices.registers.insert(PAGE, 0);
        client.run(&sample()).unwrap();
    }
}

#[test]
fn a_lost_restore_is_unrestored() {
    let mut client = client(Endian::HOST);
    client.channel.devices.failing.insert(1, libc::EIO);
    client.channel.devices.registers.insert(PAGE, 0x123);
    client.channel.mishaps.insert(3, Mishap::Overrun);
    let failure = failure(client.run(&sample()));
    assert_eq!((failure.step, failure.fault), (Step::Operation(1), Fault::Os(libc::EIO)));
    assert_eq!(failure.unrestored, Some(Fault::Os(libc::ENOBUFS)));
}

#[test]
fn an_unloaded_module_is_not_run() {
    let mut client = client(Endian::HOST);
    client.channel.loaded = false;
    assert_eq!(client.run(&sample()), Err(Error::NotRun(libc::ENOENT)));
}

#[test]
fn answers_over_several_messages() {
    let mut client = client(Endian::HOST);
    client.channel.message_words = 2;
    client.channel.devices.registers.insert(PAGE, 0x123);
    client.channel.devices.registers.insert(BUSY, 0x0001);
    assert_eq!(client.run(&sample()).unwrap().done().len(), 5);
    assert_eq!(client.channel.devices.registers[&PAGE], 0x123);
}

/// The machine checks arguments as the module does, so a program that it takes is a valid one.
#[test]
fn the_machine_refuses_what_the_module_refuses() {
    let send = |instruction: [u8; 8]| {
        let mut client = client(Endian::Little);
        let program = [Instruction::Emit(0.into())];
        let mut request =
            message::program_request(Endian::Little, client.family, 9, BUS, None, &program);
        let at = request.len() - 8;
        request[at..].copy_from_slice(&instruction);
        client.exchange(&request, Some(client.family), 9).unwrap().acknowledged
    };
    let emit = |op: u64, a: u64, b: u64, c: u64| (op | a << 26 | b << 44 | c << 62).to_le_bytes();
    assert_eq!(send(emit(8, 2, 0, 0)), Some(0));
    for (instruction, why) in [
        (emit(0, 0, 0, 0), "no operation"),
        (emit(9, 2, 0, 0), "no operation of this number"),
        (emit(8, 3, 0, 0), "reserved mode"),
        (emit(8, 0, 0, 0), "emit of nothing"),
        (emit(8, 2, 2, 0), "emit of two"),
        (emit(1, 2, 2, 2), "read into a number"),
        (emit(6, 2, 2, 1), "jump by a register"),
    ] {
        assert_eq!(send(instruction), Some(libc::EINVAL), "{why}");
    }
}

#[test]
fn both_layouts_are_read_back() {
    for endian in BOTH {
        let instruction = Instruction::JumpNotEqual(program::Register(5).into(), 0xabcd.into(), -3);
        let decoded = Decoded::new(endian, instruction.bytes(endian));
        assert_eq!((decoded.op, decoded.arguments), (7, [(1, 5), (2, 0xabcd), (2, 0xfffd)]));
    }
}

/// The kernel of this machine: whoever asks, a family that is not there is named so, with the
/// package that brings it. Where the module is loaded, the bus is missing or the permission.
#[test]
fn this_kernel_answers() {
    let error = NetlinkBus::open("no-such-bus", None).unwrap_err();
    if error == OpenError::Socket(libc::EPROTONOSUPPORT) {
        // Every kernel has generic netlink; an emulator of single programs does not pass it on.
        println!("skipped: generic netlink does not reach the kernel");
        return;
    }
    let named = matches!(error, OpenError::NoModule | OpenError::NoBus | OpenError::NotPermitted);
    assert!(named, "{error}");
    if error == OpenError::NoModule {
        assert!(error.to_string().contains("kmod-mdio-netlink"));
    }
}

/// An operation of a random transaction, on few registers, half of which change by themselves.
#[derive(Debug, Clone)]
enum Random {
    Read(Address),
    Write(Address, u16),
    Modify(Address, u16, u16),
    Poll(Address, u16, u16, u16),
    Restore(usize),
    RestoreValue(Address, u16),
}

fn random() -> impl Strategy<Value = Random> {
    let at = || (0u32..2, 14u32..18).prop_map(|(phy, register)| Address::truncated(phy, register));
    let mask = || prop_oneof![any::<u16>(), (0u32..16).prop_map(|bit| 1 << bit)];
    prop_oneof![
        3 => at().prop_map(Random::Read),
        3 => (at(), any::<u16>()).prop_map(|(at, value)| Random::Write(at, value)),
        2 => (at(), mask(), mask()).prop_map(|(at, clear, set)| Random::Modify(at, clear, set)),
        3 => (at(), mask(), any::<u16>(), 1u16..20)
            .prop_map(|(at, mask, equals, tries)| Random::Poll(at, mask, equals & mask, tries)),
        2 => any::<prop::sample::Index>().prop_map(|index| Random::Restore(index.index(64))),
        1 => (at(), any::<u16>()).prop_map(|(at, value)| Random::RestoreValue(at, value)),
    ]
}

/// What can be built of it.
fn build(steps: &[Random]) -> Transaction {
    let mut transaction = Transaction::new();
    let mut slots: Vec<Slot> = Vec::new();
    for step in steps {
        let slot = match *step {
            Random::Read(at) => transaction.read(at),
            Random::Write(at, value) => transaction.write(at, value),
            Random::Modify(at, clear, set) => transaction.modify(at, clear, set),
            Random::Poll(at, mask, equals, tries) => transaction.poll(at, mask, equals, tries),
            Random::Restore(index) => {
                if let Some(slot) = slots.get(index % slots.len().max(1)) {
                    let _ = transaction.restore(*slot);
                }
                continue;
            }
            Random::RestoreValue(at, value) => {
                let _ = transaction.restore_value(at, value);
                continue;
            }
        };
        slots.extend(slot);
    }
    transaction
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Any transaction on any devices, with any bus errors, gives what single transfers give, and
    /// makes the same transfers in the same order.
    #[test]
    fn programs_do_what_single_transfers_do(
        steps in prop::collection::vec(random(), 0..60),
        registers in prop::collection::vec(any::<u16>(), 8),
        failing in prop::collection::btree_map(0usize..80, Just(libc::EIO), 0..4),
        big in any::<bool>(),
    ) {
        let mut devices = Devices { failing, ..Devices::default() };
        for (number, value) in (0u32..).zip(registers) {
            devices.registers.insert(Address::truncated(number & 1, 14 + number / 2), value);
        }
        let endian = if big { Endian::Big } else { Endian::Little };
        let _ = compare(endian, &devices, &build(&steps));
    }
}
