// SPDX-License-Identifier: GPL-2.0-or-later
//! The MDIO bus behind a network interface, by the MII ioctls: the fallback where the
//! mdio-netlink module is missing.
//!
//! The kernel takes the bus lock for one transfer per ioctl, so its own switch driver can come
//! between two transfers of a transaction, find a foreign page and hit a wrong register. A
//! transaction of more than one step, or a modify, is therefore refused unless the bus was opened
//! with [`Racing::Forced`]. A single poll is let through: its reads do not depend on each other.
//!
//! Which devices answer depends on the driver of the interface (Linux 6.12 `phy.c`, `phylink.c`,
//! `net/dsa/user.c`): any device on the bus of the attached PHY, but for an interface with a fixed
//! link only an emulated PHY 0; there other reads give 0xffff and writes vanish without an error.
//! `phy_mii_ioctl` does not report the result of a write at all, and that of a read only since Linux
//! 6.12: before, a read that times out gives 0xff92, the low half of the errno. So something known is
//! to be read first ([`super::reach`]), and by force everything twice ([`super::repeat`]).

use super::execute::{execute, Transfer};
use super::{Bus, Error, Fault, Outcome, Transaction};
use crate::sys;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

/// What to do with a transaction during which the kernel's driver may use the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Racing {
    /// Refuse it.
    #[default]
    Refused,
    /// Run it: the user has said that no driver in the kernel uses this switch.
    Forced,
}

/// Why an interface cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The name is empty, above 15 bytes or holds a NUL.
    Name(String),
    /// socket(2) failed.
    Socket(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Name(name) => write!(f, "{name:?} cannot be an interface name"),
            OpenError::Socket(error) => write!(f, "opening a socket for mii ioctls: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// The bus of one network interface's PHY.
#[derive(Debug)]
pub struct MiiBus {
    socket: OwnedFd,
    name: [u8; sys::IFNAMSIZ],
    racing: Racing,
}

impl MiiBus {
    /// Opens the bus of the interface `name`. Whether it exists, has a PHY and lets us (it takes
    /// CAP_NET_ADMIN) only shows at the first transfer, as [`Fault::Os`].
    ///
    /// # Errors
    /// A name that no interface can have, or no socket.
    pub fn open(name: &str, racing: Racing) -> Result<MiiBus, OpenError> {
        let padded = padded(name).ok_or_else(|| OpenError::Name(name.to_owned()))?;
        let socket = sys::ioctl_socket().map_err(OpenError::Socket)?;
        Ok(MiiBus { socket, name: padded, racing })
    }
}

/// The name, padded with at least one NUL.
fn padded(name: &str) -> Option<[u8; sys::IFNAMSIZ]> {
    let mut padded = [0; sys::IFNAMSIZ];
    let room = padded.get_mut(..name.len())?;
    if name.is_empty() || name.len() >= sys::IFNAMSIZ || name.contains('\0') {
        return None;
    }
    room.copy_from_slice(name.as_bytes());
    Some(padded)
}

impl Bus for MiiBus {
    /// False: each transfer takes the bus lock for itself. Forcing does not change that.
    fn atomic(&self) -> bool {
        false
    }

    fn refuses(&self, transaction: &Transaction) -> bool {
        self.racing == Racing::Refused && transaction.needs_lock()
    }

    fn run(&mut self, transaction: &Transaction) -> Result<Outcome, Error> {
        if self.refuses(transaction) {
            return Err(Error::NotAtomic { steps: transaction.steps() });
        }
        execute(transaction, |transfer| {
            match transfer {
                Transfer::Read(at) | Transfer::Poll { at, .. } => {
                    let (phy, register) = (at.phy().into(), at.register().into());
                    sys::mii_read(&self.socket, &self.name, phy, register)
                }
                Transfer::Write(at, value) => {
                    let (phy, register) = (at.phy().into(), at.register().into());
                    sys::mii_write(&self.socket, &self.name, phy, register, value).map(|()| value)
                }
            }
            .map_err(|error| Fault::from_io(&error))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Address, Failure, Step};
    use super::*;

    const AT: Address = Address::truncated(0x18, 0);

    fn reads(count: usize) -> Transaction {
        let mut transaction = Transaction::new();
        for _ in 0..count {
            transaction.read(AT).unwrap();
        }
        transaction
    }

    #[test]
    fn names_are_checked() {
        for name in ["", "sixteen-bytes-xx", "seventeen-bytes-x", "a\0b"] {
            assert!(
                matches!(MiiBus::open(name, Racing::Refused), Err(OpenError::Name(_))),
                "{name}"
            );
        }
        assert_eq!(padded("fifteen-bytes-x"), Some(*b"fifteen-bytes-x\0"));
    }

    #[test]
    fn refuses_before_any_transfer() {
        let mut bus = MiiBus::open("lo", Racing::Refused).unwrap();
        assert!(!bus.atomic());
        assert_eq!(bus.run(&reads(2)), Err(Error::NotAtomic { steps: 2 }));
        let mut restored = reads(0);
        restored.write(AT, 1).unwrap();
        restored.restore_value(AT, 0).unwrap();
        assert_eq!(bus.run(&restored), Err(Error::NotAtomic { steps: 2 }));
        let mut modify = reads(0);
        modify.modify(AT, 1, 0).unwrap();
        assert_eq!(bus.run(&modify), Err(Error::NotAtomic { steps: 1 }));
    }

    /// The loopback interface has no PHY on any kernel, so the kernel's own refusal comes back:
    /// the ioctl was made, and its error names the operation.
    #[test]
    fn kernel_error_names_the_operation() {
        for (racing, count) in [(Racing::Refused, 1), (Racing::Forced, 2)] {
            let mut bus = MiiBus::open("lo", racing).unwrap();
            let Err(Error::Failed(Failure { step, address, fault, unrestored })) =
                bus.run(&reads(count))
            else {
                panic!("loopback answered");
            };
            assert_eq!((step, address, unrestored), (Step::Operation(0), AT, None));
            if matches!(fault, Fault::Os(libc::ENOSYS)) {
                // No kernel says so; an emulator of single programs does not know the ioctl.
                println!("skipped: the ioctl does not reach the kernel");
                return;
            }
            assert!(matches!(fault, Fault::Os(libc::EPERM | libc::EOPNOTSUPP)), "{fault}");
        }
    }
}
