// SPDX-License-Identifier: GPL-2.0-or-later
//! The way that messages go: a generic netlink socket.

use netlink_sys::{protocols::NETLINK_GENERIC, Socket as KernelSocket, SocketAddr};
use std::io;

/// A datagram of an answer. The module begins a new message after about a page; a page is 4 KiB on
/// the routers, and the message behind it in the same datagram has 16 bytes.
const DATAGRAM_LEN: usize = 8 * 1024;

/// Datagrams that are taken for one answer, before it counts as lost. A program of ours emits less
/// than fits into one; the acknowledgement is another.
pub const MAX_DATAGRAMS: usize = 16;

/// Where requests go and answers come from.
pub trait Channel {
    /// Hands a request to the kernel, which executes it before this returns.
    ///
    /// # Errors
    /// Whatever the system reports; the kernel has not got it then.
    fn send(&mut self, request: &[u8]) -> io::Result<()>;

    /// The next datagram of the kernel; `None` when none is waiting.
    ///
    /// # Errors
    /// Whatever the system reports: ENOBUFS if one was lost.
    fn receive(&mut self) -> io::Result<Option<&[u8]>>;
}

/// A non-blocking socket. Generic netlink answers within the send call, so what is not there
/// afterwards will not come.
#[derive(Debug)]
pub struct Socket {
    socket: KernelSocket,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket; it takes no privilege.
    ///
    /// # Errors
    /// Whatever the system reports: EPROTONOSUPPORT for a kernel without netlink.
    pub fn open() -> io::Result<Socket> {
        let mut socket = KernelSocket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        Ok(Socket { socket, buffer: Vec::new() })
    }
}

impl Channel for Socket {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.socket.send_to(request, &SocketAddr::new(0, 0), 0).map(|_| ())
    }

    fn receive(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            self.buffer.clear();
            self.buffer.reserve_exact(DATAGRAM_LEN);
            match self.socket.recv_from(&mut self.buffer, 0) {
                // Not from the kernel, but from a process.
                Ok((_, sender)) if sender.port_number() != 0 => {}
                Ok(_) => return Ok(Some(&self.buffer)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}
