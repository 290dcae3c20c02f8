// SPDX-License-Identifier: GPL-2.0-or-later
//! A bus by its name, through the kernel module mdio-netlink (github.com/wkz/mdio-tools, OpenWrt
//! package kmod-mdio-netlink): the preferred backend.
//!
//! A transaction becomes one program, which the module runs under the bus lock from its first to
//! its last instruction. When a poll is exhausted the same program makes the restores. When the bus
//! itself fails, the program ends at once; the restores then follow in a second program, and between
//! the two the kernel's driver may use the bus.
//!
//! Nothing here waits: the kernel executes a request within the call that hands it over, for 100 ms
//! at most unless told otherwise, waiting for the lock included.

mod compile;
mod message;
mod program;
mod socket;

/// What the fuzz targets in `tests/fuzz` read; no other build has it.
#[cfg(fuzzing)]
pub mod fuzz {
    pub use super::message::{parse, Reply};
    pub use super::program::Endian;
}

#[cfg(test)]
mod machine;

use super::{Bus, Error, Fault, Outcome, Transaction};
use compile::{compile, compile_writes, decode, restored, Ended, Nonsense};
use message::{Malformed, Reply, MAX_BUS_NAME};
use program::{Endian, Instruction};
use socket::{Channel, Socket, MAX_DATAGRAMS};
use std::fmt;
use std::io;

/// Longest time that the module grants a program, in milliseconds.
pub const MAX_TIMEOUT_MS: u16 = 10_000;

/// A word to see whether programs arrive as they were meant.
const ECHO: u16 = 0x1ee7;

/// Why a bus cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// The name is empty, above 60 bytes or holds a NUL.
    Name,
    /// The time-out is above [`MAX_TIMEOUT_MS`].
    Timeout(u16),
    /// No socket, or it broke: an errno.
    Socket(i32),
    /// The kernel does not know the family, or this is not its first network namespace.
    NoModule,
    /// It takes CAP_NET_ADMIN in the first user namespace.
    NotPermitted,
    /// There is no bus of this name.
    NoBus,
    /// The kernel refused for another reason: an errno.
    Refused(i32),
    /// The module does not understand programs as this backend does.
    Foreign,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = |errno| io::Error::from_raw_os_error(errno);
        match self {
            OpenError::Name => write!(f, "no name of an mdio bus"),
            OpenError::Timeout(ms) => {
                write!(f, "time-out of {ms} ms is above {MAX_TIMEOUT_MS} ms")
            }
            OpenError::Socket(errno) => write!(f, "generic netlink socket: {}", reason(*errno)),
            OpenError::NoModule => write!(
                f,
                "the kernel module mdio-netlink is not loaded (package kmod-mdio-netlink)"
            ),
            OpenError::NotPermitted => write!(f, "mdio-netlink takes CAP_NET_ADMIN"),
            OpenError::NoBus => write!(f, "no mdio bus of this name in /sys/class/mdio_bus"),
            OpenError::Refused(errno) => write!(f, "mdio-netlink refused: {}", reason(*errno)),
            OpenError::Foreign => write!(f, "mdio-netlink answers in another format"),
        }
    }
}

impl std::error::Error for OpenError {}

/// An MDIO bus of the kernel.
#[derive(Debug)]
pub struct NetlinkBus(Client<Socket>);

impl NetlinkBus {
    /// Opens the bus `name`, as listed in `/sys/class/mdio_bus`. It has to be the bus that the
    /// switch itself is on: a bus that a switch driver offers for its ports' PHYs locks the one
    /// below it for single transfers only.
    ///
    /// A program without any transfer shows whether the module, the permission and the bus are
    /// there and whether both sides mean the same by a program. `timeout_ms` is what a program may
    /// take, the module's 100 ms if `None`; on a big-endian kernel it is always that.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(name: &str, timeout_ms: Option<u16>) -> Result<NetlinkBus, OpenError> {
        let socket = Socket::open().map_err(|error| OpenError::Socket(errno(&error)))?;
        Client::open(socket, Endian::HOST, name, timeout_ms).map(NetlinkBus)
    }
}

impl Bus for NetlinkBus {
    /// True: the module holds the bus lock for a whole program. See the module's text for what
    /// happens when the bus itself fails.
    fn atomic(&self) -> bool {
        true
    }

    fn refuses(&self, _: &Transaction) -> bool {
        false
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        self.0.run(transaction)
    }
}

/// The backend over any channel.
#[derive(Debug)]
struct Client<C> {
    channel: C,
    endian: Endian,
    bus: String,
    timeout_ms: Option<u16>,
    family: u16,
    sequence: u32,
}

impl<C: Channel> Client<C> {
    fn open(
        channel: C,
        endian: Endian,
        name: &str,
        timeout_ms: Option<u16>,
    ) -> Result<Client<C>, OpenError> {
        if name.is_empty() || name.len() > MAX_BUS_NAME || name.contains('\0') {
            return Err(OpenError::Name);
        }
        if let Some(ms) = timeout_ms.filter(|ms| *ms > MAX_TIMEOUT_MS) {
            return Err(OpenError::Timeout(ms));
        }
        let bus = name.to_owned();
        let mut client = Client { channel, endian, bus, timeout_ms, family: 0, sequence: 0 };
        client.family = client.find_family()?;
        let echo = client.program(&[Instruction::Emit(ECHO.into())]);
        match echo.map(|reply| (reply.words, reply.error)) {
            Ok((words, None)) if words == [ECHO] => Ok(client),
            Ok(_) => Err(OpenError::Foreign),
            Err(error) => Err(error.into()),
        }
    }

    fn find_family(&mut self) -> Result<u16, OpenError> {
        let sequence = self.next_sequence();
        let request = message::family_request(self.endian, sequence);
        match self.exchange(&request, None, sequence) {
            Ok(Reply { acknowledged: Some(0), family: Some(family), .. }) => Ok(family),
            Ok(Reply { acknowledged: Some(libc::ENOENT), .. }) => Err(OpenError::NoModule),
            Ok(Reply { acknowledged: Some(errno), .. }) if errno != 0 => {
                Err(OpenError::Refused(errno))
            }
            Ok(_) => Err(OpenError::Foreign),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs a program. The reply may hold the error that ended it.
    fn program(&mut self, program: &[Instruction]) -> Result<Reply, Trouble> {
        let sequence = self.next_sequence();
        let request = message::program_request(
            self.endian,
            self.family,
            sequence,
            &self.bus,
            self.timeout_ms,
            program,
        );
        let reply = self.exchange(&request, Some(self.family), sequence)?;
        match reply.acknowledged {
            Some(0) => Ok(reply),
            Some(errno) if refusal(errno) => Err(Trouble::Refused(errno)),
            // Anything else may come from the sending of the answer, after the program.
            Some(errno) => Err(Trouble::Lost(errno)),
            None => Err(Trouble::Lost(libc::EBADMSG)),
        }
    }

    /// Sends a request and collects its answer up to the acknowledgement.
    fn exchange(
        &mut self,
        request: &[u8],
        family: Option<u16>,
        sequence: u32,
    ) -> Result<Reply, Trouble> {
        self.channel.send(request).map_err(|error| Trouble::Unsent(errno(&error)))?;
        let mut reply = Reply::default();
        for _ in 0..MAX_DATAGRAMS {
            let datagram = match self.channel.receive() {
                Ok(Some(datagram)) => datagram,
                Ok(None) => return Err(Trouble::Lost(libc::ENODATA)),
                Err(error) => return Err(Trouble::Lost(errno(&error))),
            };
            message::parse(self.endian, family, sequence, datagram, &mut reply)
                .map_err(|Malformed| Trouble::Lost(libc::EBADMSG))?;
            if reply.acknowledged.is_some() {
                return Ok(reply);
            }
        }
        Err(Trouble::Lost(libc::EBADMSG))
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        let reply = self.program(&compile(transaction))?;
        let ended = decode(transaction, &reply.words, reply.error.map(Fault::from_errno))
            .map_err(|Nonsense| Error::Unknown(libc::EBADMSG))?;
        let ended = self.restore(transaction, ended);
        match ended.failure {
            Some(failure) => Err(Error::Failed(failure)),
            None => Ok(Outcome { done: ended.done }),
        }
    }

    /// Makes the restores that the first program has not made. Each program that the bus ends is
    /// followed by one with what comes after the failed write, so there are as many as restores at
    /// most.
    fn restore(&mut self, transaction: &Transaction, mut ended: Ended) -> Ended {
        let mut pending = std::mem::take(&mut ended.pending);
        while !pending.is_empty() {
            let writes: Vec<_> = pending
                .iter()
                .filter_map(|index| restored(transaction, *index, &ended.done))
                .collect();
            match self.program(&compile_writes(&writes)) {
                Ok(Reply { error: None, .. }) => break,
                Ok(Reply { error: Some(errno), words, .. }) => {
                    ended.unrestored(Fault::from_errno(errno));
                    pending.drain(..words.len().saturating_add(1).min(pending.len()));
                }
                Err(trouble) => {
                    ended.unrestored(Fault::from_errno(trouble.errno()));
                    break;
                }
            }
        }
        ended
    }

    /// 0 is for messages that nobody has asked for.
    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        self.sequence
    }
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The socket did not take the request.
    Unsent(i32),
    /// The kernel refused it before it began.
    Refused(i32),
    /// The answer is lost, or makes no sense.
    Lost(i32),
}

impl Trouble {
    fn errno(self) -> i32 {
        match self {
            Trouble::Unsent(errno) | Trouble::Refused(errno) | Trouble::Lost(errno) => errno,
        }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Error {
        match trouble {
            Trouble::Unsent(errno) | Trouble::Refused(errno) => Error::NotRun(errno),
            Trouble::Lost(errno) => Error::Unknown(errno),
        }
    }
}

impl From<Trouble> for OpenError {
    fn from(trouble: Trouble) -> OpenError {
        match trouble {
            Trouble::Refused(libc::EPERM) => OpenError::NotPermitted,
            Trouble::Refused(libc::ENODEV) => OpenError::NoBus,
            Trouble::Refused(errno) => OpenError::Refused(errno),
            Trouble::Lost(libc::EBADMSG) => OpenError::Foreign,
            Trouble::Unsent(errno) | Trouble::Lost(errno) => OpenError::Socket(errno),
        }
    }
}

/// Whether this errno can only come before a program's first instruction: no permission, no
/// family (any more), no bus, or an attribute or instruction that is not allowed.
fn refusal(errno: i32) -> bool {
    matches!(
        errno,
        libc::EPERM | libc::ENOENT | libc::ENODEV | libc::EINVAL | libc::ERANGE | libc::EOPNOTSUPP
    )
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(test)]
mod tests;
