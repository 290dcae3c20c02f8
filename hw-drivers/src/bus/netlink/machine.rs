// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's side for tests: controller, module and a bus with devices behind it. It is written
//! from what mdio-netlink 1.3.2 does and not from the client: it takes instructions apart by
//! counting bits, as a C compiler lays out fields, and fetches 32 bits of the 16-bit time-out.

use super::program::Endian;
use super::socket::Channel;
use crate::bus::execute::Transfer;
use crate::bus::{Address, Fault};
use std::collections::{BTreeMap, VecDeque};
use std::io;

pub const FAMILY: u16 = 0x21;
pub const BUS: &str = "mdio-bus";

/// Devices on a bus. Registers 16 to 31 give another value at each read, until written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Devices {
    pub registers: BTreeMap<Address, u16>,
    pub reads: BTreeMap<Address, u32>,
    /// Transfers by number that end with this errno and have no effect.
    pub failing: BTreeMap<usize, i32>,
    /// Every transfer, in order; that of a write with its value.
    pub log: Vec<(Address, Option<u16>)>,
}

impl Devices {
    pub fn read(&mut self, at: Address) -> Result<u16, i32> {
        self.transfer(at, None)?;
        let reads = self.reads.entry(at).or_default();
        *reads += 1;
        let value = self.registers.get(&at).copied().unwrap_or(0x1234);
        Ok(if at.register() >= 16 { value.rotate_left(*reads) } else { value })
    }

    pub fn write(&mut self, at: Address, value: u16) -> Result<(), i32> {
        self.transfer(at, Some(value))?;
        self.registers.insert(at, value);
        self.reads.remove(&at);
        Ok(())
    }

    fn transfer(&mut self, at: Address, value: Option<u16>) -> Result<(), i32> {
        let number = self.log.len();
        self.log.push((at, value));
        self.failing.get(&number).map_or(Ok(()), |errno| Err(*errno))
    }

    /// The same bus for `execute`.
    pub fn direct(&mut self, transfer: Transfer) -> Result<u16, Fault> {
        match transfer {
            Transfer::Read(at) | Transfer::Poll { at, .. } => self.read(at),
            Transfer::Write(at, value) => self.write(at, value).map(|()| value),
        }
        .map_err(Fault::from_errno)
    }
}

/// What goes wrong with the answer to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// The socket's buffer was full: the kernel drops the answer and says ENOBUFS.
    Overrun,
    /// The program ran, but its answer could not be sent.
    AnswerRefused(i32),
    /// Nothing comes.
    Silence,
    /// This many bytes of the answer are cut off.
    Cut(usize),
    /// The byte at this place of the answer is another.
    Changed(usize),
}

#[derive(Debug)]
pub struct Machine {
    pub endian: Endian,
    pub devices: Devices,
    pub loaded: bool,
    pub permitted: bool,
    /// Microseconds of a transfer, of any other instruction, and of a tick of the clock.
    pub transfer_us: u64,
    pub instruction_us: u64,
    pub tick_us: u64,
    pub now_us: u64,
    /// Words that fit into a message.
    pub message_words: usize,
    /// Requests by number, and what goes wrong with each.
    pub mishaps: BTreeMap<usize, Mishap>,
    pub requests: Vec<Vec<u8>>,
    /// Time granted to each program, in milliseconds.
    pub granted_ms: Vec<u32>,
    /// Instructions of each program.
    pub lengths: Vec<usize>,
    answers: VecDeque<io::Result<Vec<u8>>>,
    current: Vec<u8>,
}

impl Machine {
    pub fn new(endian: Endian) -> Machine {
        Machine {
            endian,
            devices: Devices::default(),
            loaded: true,
            permitted: true,
            transfer_us: 26,
            instruction_us: 0,
            tick_us: 10_000,
            now_us: 5_000,
            message_words: 900,
            mishaps: BTreeMap::new(),
            requests: Vec::new(),
            granted_ms: Vec::new(),
            lengths: Vec::new(),
            answers: VecDeque::new(),
            current: Vec::new(),
        }
    }

    fn u16(&self, bytes: &[u8], at: usize) -> u16 {
        self.endian.read_u16(bytes[at..at + 2].try_into().unwrap())
    }

    fn u32(&self, bytes: &[u8], at: usize) -> u32 {
        self.endian.read_u32(bytes[at..at + 4].try_into().unwrap())
    }

    fn message(&self, kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut message = self.endian.u32(16 + body.len() as u32).to_vec();
        message.extend(self.endian.u16(kind));
        message.extend(self.endian.u16(flags));
        message.extend(self.endian.u32(sequence));
        message.extend(self.endian.u32(4711));
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    fn attribute(&self, kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut attribute = self.endian.u16(4 + payload.len() as u16).to_vec();
        attribute.extend(self.endian.u16(kind));
        attribute.extend(payload);
        attribute.resize(attribute.len().next_multiple_of(4), 0);
        attribute
    }

    /// NLMSG_ERROR with the head of the request that it answers.
    fn acknowledgement(&self, request: &[u8], errno: i32) -> Vec<u8> {
        let mut body = self.endian.u32((-errno) as u32).to_vec();
        body.extend(&request[..16]);
        self.message(2, 0x100, self.u32(request, 8), &body)
    }

    /// Offsets of the payloads of the attributes, by type, with their lengths.
    fn attributes(&self, request: &[u8]) -> BTreeMap<u16, (usize, usize)> {
        let (mut at, mut found) = (20, BTreeMap::new());
        while at < request.len() {
            let len = usize::from(self.u16(request, at));
            assert!(len >= 4 && at + len <= request.len(), "attribute at {at}");
            let twice = found.insert(self.u16(request, at + 2), (at + 4, len - 4));
            assert_eq!(twice, None);
            at += len.next_multiple_of(4);
        }
        found
    }

    /// Answers, acknowledgement excluded; an errno refuses the request.
    fn answer(&mut self, request: &[u8]) -> Result<Vec<Vec<u8>>, i32> {
        assert_eq!(self.u32(request, 0) as usize, request.len());
        assert_eq!(self.u16(request, 6), 5, "NLM_F_REQUEST and NLM_F_ACK");
        let attributes = self.attributes(request);
        match self.u16(request, 4) {
            0x10 => self.controller(request, &attributes),
            kind if kind == FAMILY && self.loaded => self.transfer(request, &attributes),
            _ => Err(libc::ENOENT),
        }
    }

    fn controller(
        &self,
        request: &[u8],
        attributes: &BTreeMap<u16, (usize, usize)>,
    ) -> Result<Vec<Vec<u8>>, i32> {
        assert_eq!(request[16], 3, "CTRL_CMD_GETFAMILY");
        let (at, len) = attributes[&2];
        if !self.loaded || &request[at..at + len] != b"mdio\0" {
            return Err(libc::ENOENT);
        }
        let mut body = vec![1, 2, 0, 0];
        body.extend(self.attribute(2, b"mdio\0"));
        body.extend(self.attribute(1, &self.endian.u16(FAMILY)));
        body.extend(self.attribute(3, &self.endian.u32(1)));
        Ok(vec![self.message(0x10, 0, self.u32(request, 8), &body)])
    }

    fn transfer(
        &mut self,
        request: &[u8],
        attributes: &BTreeMap<u16, (usize, usize)>,
    ) -> Result<Vec<Vec<u8>>, i32> {
        if request[16] != 1 {
            return Err(libc::EOPNOTSUPP);
        }
        if !self.permitted {
            return Err(libc::EPERM);
        }
        if attributes.keys().any(|kind| !matches!(kind, 1..=3)) {
            return Err(libc::EINVAL);
        }
        let (Some((name, name_len)), Some((program, program_len))) =
            (attributes.get(&1), attributes.get(&3))
        else {
            return Err(libc::EINVAL);
        };
        let mut timeout_ms = 100;
        if let Some((at, len)) = attributes.get(&2) {
            if *len != 2 {
                return Err(libc::EINVAL);
            }
            if self.u16(request, *at) > 10_000 {
                return Err(libc::ERANGE);
            }
            timeout_ms = self.u32(request, *at);
        }
        if *program_len > 4096 {
            return Err(libc::ERANGE);
        }
        if program_len % 8 != 0 {
            return Err(libc::EINVAL);
        }
        let program: Vec<_> = request[*program..program + program_len]
            .chunks(8)
            .map(|bytes| Decoded::new(self.endian, bytes.try_into().unwrap()))
            .collect();
        if !program.iter().all(Decoded::valid) {
            return Err(libc::EINVAL);
        }
        if request[*name..name + name_len] != *format!("{BUS}\0").as_bytes() {
            return Err(libc::ENODEV);
        }
        self.granted_ms.push(timeout_ms);
        self.lengths.push(program.len());
        let (words, error) = self.run(&program, timeout_ms);
        Ok(self.transferred(self.u32(request, 8), &words, error))
    }

    /// DATA over as many messages as it takes, ERROR in the last, DONE behind it.
    fn transferred(&self, sequence: u32, words: &[u32], error: Option<i32>) -> Vec<Vec<u8>> {
        let mut parts: Vec<&[u32]> = words.chunks(self.message_words).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let mut messages = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let bytes: Vec<u8> = part.iter().flat_map(|word| self.endian.u32(*word)).collect();
            let mut body = vec![1, 1, 0, 0];
            body.extend(self.attribute(4 | 0x8000, &bytes));
            let last = index + 1 == parts.len();
            if let (true, Some(errno)) = (last, error) {
                body.extend(self.attribute(5, &self.endian.u32((-errno) as u32)));
            }
            let mut message = self.message(FAMILY, 6, sequence, &body);
            if last {
                message.extend(self.message(3, 6, sequence, &[]));
            }
            messages.push(message);
        }
        messages
    }

    /// Executes a program that has been checked.
    pub fn run(&mut self, program: &[Decoded], timeout_ms: u32) -> (Vec<u32>, Option<i32>) {
        let deadline =
            self.now_us / self.tick_us + (u64::from(timeout_ms) * 1000).div_ceil(self.tick_us);
        let (mut registers, mut words, mut at) = ([0u16; 8], Vec::new(), 0i64);
        while let Some(insn) = usize::try_from(at).ok().and_then(|at| program.get(at)) {
            if self.now_us / self.tick_us > deadline {
                return (words, Some(libc::ETIMEDOUT));
            }
            self.now_us += if insn.op <= 2 { self.transfer_us } else { self.instruction_us };
            let [a, b, c] = insn.arguments.map(|(mode, value)| match mode {
                1 => registers[usize::from(value & 7)],
                _ => value,
            });
            let place = || Address::new(a as u8, b as u8).filter(|_| a < 32 && b < 32);
            let mut to = registers[usize::from(insn.arguments[2].1 & 7)];
            let (mut jump, mut result) = (false, Ok(()));
            match insn.op {
                1 => match place().ok_or(libc::ENXIO).and_then(|at| self.devices.read(at)) {
                    Ok(value) => to = value,
                    Err(errno) => result = Err(errno),
                },
                2 => {
                    let place = place().ok_or(libc::ENXIO);
                    result = place.and_then(|at| self.devices.write(at, c));
                }
                3 => to = a & b,
                4 => to = a | b,
                5 => to = a.wrapping_add(b),
                6 => jump = a == b,
                7 => jump = a != b,
                _ => words.push(a.into()),
            }
            if matches!(insn.op, 1 | 3..=5) {
                registers[usize::from(insn.arguments[2].1 & 7)] = to;
            }
            if let Err(errno) = result {
                return (words, Some(errno));
            }
            at += 1 + if jump { i64::from(c as i16) } else { 0 };
        }
        (words, None)
    }
}

impl Channel for Machine {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let mishap = self.mishaps.get(&self.requests.len()).copied();
        self.requests.push(request.to_vec());
        let mut answers = match self.answer(request) {
            Ok(mut answers) => {
                answers.push(self.acknowledgement(request, 0));
                answers
            }
            Err(errno) => vec![self.acknowledgement(request, errno)],
        };
        match mishap {
            None => {}
            Some(Mishap::Silence) => answers.clear(),
            Some(Mishap::AnswerRefused(errno)) => {
                answers = vec![self.acknowledgement(request, errno)];
            }
            Some(Mishap::Cut(bytes)) => {
                let left = answers[0].len() - bytes;
                answers[0].truncate(left);
            }
            Some(Mishap::Changed(at)) => answers[0][at] ^= 1,
            Some(Mishap::Overrun) => {
                answers.clear();
                self.answers.push_back(Err(io::Error::from_raw_os_error(libc::ENOBUFS)));
            }
        }
        self.answers.extend(answers.into_iter().map(Ok));
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Option<&[u8]>> {
        match self.answers.pop_front() {
            Some(answer) => {
                self.current = answer?;
                Ok(Some(&self.current))
            }
            None => Ok(None),
        }
    }
}

/// An instruction as the module sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    pub op: u8,
    /// Mode and value.
    pub arguments: [(u8, u16); 3],
}

impl Decoded {
    pub fn new(endian: Endian, bytes: [u8; 8]) -> Decoded {
        let word = match endian {
            Endian::Little => u64::from_le_bytes(bytes),
            Endian::Big => u64::from_be_bytes(bytes),
        };
        // Fields in the order of their declaration; the first takes the bits at the lower end on
        // little endian, and those at the upper end on big endian.
        let mut used = 0;
        let mut take = |bits: u32| {
            let below = match endian {
                Endian::Little => used,
                Endian::Big => 64 - used - bits,
            };
            used += bits;
            (word >> below & ((1 << bits) - 1)) as u32
        };
        let op = take(8) as u8;
        let reserved = take(2);
        assert_eq!(reserved, 0);
        let mut argument = || {
            let bits = take(18);
            ((bits >> 16) as u8, bits as u16)
        };
        Decoded { op, arguments: [argument(), argument(), argument()] }
    }

    /// The table of modes: none, register, immediate.
    fn valid(&self) -> bool {
        const NONE: u8 = 1;
        const R: u8 = 2;
        const I: u8 = 4;
        let modes = match self.op {
            1 | 3 | 4 | 5 => [R | I, R | I, R],
            2 => [R | I, R | I, R | I],
            6 | 7 => [R | I, R | I, I],
            8 => [R | I, NONE, NONE],
            _ => return false,
        };
        self.arguments.iter().zip(modes).all(|((mode, _), allowed)| 1 << mode & allowed != 0)
    }
}
