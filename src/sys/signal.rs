// SPDX-License-Identifier: GPL-2.0-or-later
//! Signals as a readable descriptor, so that they are one more line in the event loop's table.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};

/// What a signal asks of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGTERM or SIGINT: remove our objects and leave.
    Terminate,
}

/// The blocked signals of this process, readable when one is pending.
#[derive(Debug)]
pub struct SignalFd {
    file: File,
}

/// Size of `struct signalfd_siginfo`, a kernel interface constant (signalfd(2)).
const SIGINFO_LEN: usize = 128;

impl SignalFd {
    /// Blocks SIGHUP, SIGTERM and SIGINT for the whole process and opens a descriptor for them.
    /// Must be called before any thread is made, and only once.
    ///
    /// # Errors
    /// Whatever sigprocmask(2) or signalfd(2) reports.
    pub fn new() -> io::Result<SignalFd> {
        SignalFd::of(&[libc::SIGHUP, libc::SIGTERM, libc::SIGINT])
    }

    /// Blocks the signals for the whole process and opens a descriptor for them. Must be called
    /// before any thread is made, and only once.
    ///
    /// # Errors
    /// Whatever sigprocmask(2) or signalfd(2) reports.
    pub(super) fn of(signals: &[libc::c_int]) -> io::Result<SignalFd> {
        // SAFETY: sigset_t is plain data for which all-zero is valid storage; sigemptyset
        // initialises it before any other use, and every pointer is to this stack frame.
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            for signal in signals {
                libc::sigaddset(&mut set, *signal);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signalfd(-1, &set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd has just returned this descriptor, nobody else owns it.
        Ok(SignalFd { file: unsafe { File::from_raw_fd(fd) } })
    }

    /// The next pending signal, or `None` when there is none.
    ///
    /// # Errors
    /// Whatever read(2) reports, except that it would block.
    pub fn pending(&mut self) -> io::Result<Option<Signal>> {
        loop {
            match self.next()? {
                None => return Ok(None),
                Some(libc::SIGHUP) => return Ok(Some(Signal::Reload)),
                Some(libc::SIGTERM | libc::SIGINT) => return Ok(Some(Signal::Terminate)),
                Some(_) => {}
            }
        }
    }

    /// The number of the next pending signal.
    pub(super) fn next(&mut self) -> io::Result<Option<libc::c_int>> {
        let mut info = [0u8; SIGINFO_LEN];
        loop {
            match self.file.read(&mut info) {
                Ok(_) => {
                    // The first field, ssi_signo, is a u32 in host byte order.
                    let [a, b, c, d, ..] = info;
                    return Ok(i32::try_from(u32::from_ne_bytes([a, b, c, d])).ok());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsRawFd for SignalFd {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
