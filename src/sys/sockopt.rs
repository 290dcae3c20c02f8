// SPDX-License-Identifier: GPL-2.0-or-later
//! Socket buffer sizes beyond the system's default limit, and who is at the other end.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sets the receive buffer to `bytes`. With CAP_NET_ADMIN the limit `net.core.rmem_max` does not
/// apply; without it the kernel gives as much as that limit allows.
///
/// # Errors
/// Whatever setsockopt(2) reports for the second, unprivileged try.
pub fn receive_buffer(fd: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set(fd, libc::SO_RCVBUFFORCE, bytes).or_else(|_| set(fd, libc::SO_RCVBUF, bytes))
}

/// Sets the send buffer to `bytes`, like [`receive_buffer`].
///
/// # Errors
/// Whatever setsockopt(2) reports for the second, unprivileged try.
pub fn send_buffer(fd: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set(fd, libc::SO_SNDBUFFORCE, bytes).or_else(|_| set(fd, libc::SO_SNDBUF, bytes))
}

fn set(fd: BorrowedFd<'_>, option: libc::c_int, bytes: u32) -> io::Result<()> {
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the option takes an int, the pointer and the length describe one on this stack
    // frame, and the borrow keeps the descriptor open for the length of the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A process at the other end of a local socket, as it was when it began to listen or connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its number; 0 when it is in another PID namespace.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
}

/// Who is at the other end of a connected local socket.
///
/// # Errors
/// Whatever getsockopt(2) reports.
pub fn peer(fd: BorrowedFd<'_>) -> io::Result<Peer> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the option gives an ucred, the pointer and the length describe one on this stack frame,
    // of which any bytes are valid, and the borrow keeps the descriptor open for the length of the call.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(Peer { pid: peer.pid, uid: peer.uid })
    } else {
        Err(io::Error::last_os_error())
    }
}
