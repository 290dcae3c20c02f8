// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting for one descriptor, for the requests that are answered at once by the kernel.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Waits until `fd` is readable; `Ok(false)` when `timeout` passed first.
///
/// # Errors
/// Whatever poll(2) reports, except an interruption by a signal, which counts as not readable.
pub fn readable(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout_ms = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: poll reads and writes exactly one pollfd, which lives on this stack frame, and the
    // borrow keeps the descriptor open for the length of the call.
    let ready = unsafe { libc::poll(&mut entry, 1, timeout_ms) };
    match ready {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
        0 => Ok(false),
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::readable;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    #[test]
    fn tells_readable_from_quiet() {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        assert!(!readable(reader.as_fd(), Duration::ZERO).unwrap());
        writer.write_all(b"x").unwrap();
        assert!(readable(reader.as_fd(), Duration::from_secs(5)).unwrap());
    }
}
