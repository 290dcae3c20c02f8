// SPDX-License-Identifier: GPL-2.0-or-later
//! Moves the kernel's allocator on between bursts.
//!
//! In some of its states, which are chance, each packet of a burst costs some 290 instructions more; a
//! last free object of a slab that goes to and fro would explain it. It stays so until something
//! else is allocated. Datagrams that nobody reads take a few objects more before each burst, so that
//! the same does not happen to the next one.

use crate::error::{Context, Result};
use std::net::{Ipv4Addr, UdpSocket};

/// Lengths of datagrams, each of which has its data in objects of another size.
const LENGTHS: [usize; 3] = [1, 600, 1500];

/// What is kept allocated: datagrams of UDP, for those of Unix sockets, which are accounted to a control
/// group, changed nothing for the packets' data.
#[derive(Debug, Default)]
pub struct Stir(Vec<UdpSocket>);

impl Stir {
    /// Takes an object of each size, to be kept until all are dropped.
    ///
    /// # Errors
    /// The kernel has none left.
    pub fn once(&mut self) -> Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("a socket")?;
        let own = socket.local_addr().context("its address")?;
        for length in LENGTHS {
            socket.send_to(&vec![0; length], own).context(format!("{length} bytes to {own}"))?;
        }
        self.0.push(socket);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_kept() {
        let mut stir = Stir::default();
        stir.once().unwrap();
        stir.once().unwrap();
        let mut buffer = [0; 2000];
        for socket in &stir.0 {
            socket.set_nonblocking(true).unwrap();
            let lengths = std::iter::from_fn(|| socket.recv(&mut buffer).ok());
            assert_eq!(lengths.collect::<Vec<_>>(), LENGTHS);
        }
    }
}
