// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting for a few descriptors: for requests that are answered at once by the kernel, and for the
//! live view of the command.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Waits until `fd` is readable; `Ok(false)` when `timeout` passed first.
///
/// # Errors
/// Whatever poll(2) reports, except an interruption by a signal, which counts as not readable.
pub fn readable(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<bool> {
    any_readable([Some(fd)], timeout).map(|[readable]| readable)
}

/// Waits until one of the descriptors is readable or at its end, and tells which are; none when
/// `timeout` passed first.
///
/// # Errors
/// Whatever poll(2) reports, except an interruption by a signal, which counts as none readable.
pub fn any_readable<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    timeout: Duration,
) -> io::Result<[bool; N]> {
    // The kernel passes over a negative descriptor.
    let raw = fds.map(|fd| fd.map_or(-1, |fd| fd.as_raw_fd()));
    let mut entries = raw.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    // Rounded up: to wake early would be to spin until the time has come.
    let timeout_ms = timeout.saturating_add(Duration::from_nanos(999_999)).as_millis();
    let timeout_ms = libc::c_int::try_from(timeout_ms).unwrap_or(libc::c_int::MAX);
    // SAFETY: poll reads and writes exactly N pollfds, which live on this stack frame, and the
    // borrows keep the descriptors open for the length of the call.
    let ready =
        unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout_ms) };
    match ready {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok([false; N]),
            error => Err(error),
        },
        _ => Ok(entries.map(|entry| entry.revents != 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::{any_readable, readable};
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
    #[test]
    fn tells_which_are_readable() {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        let (closed, ended) = UnixStream::pair().unwrap();
        let all = || [Some(writer.as_fd()), None, Some(reader.as_fd()), Some(ended.as_fd())];
        assert_eq!(any_readable(all(), Duration::ZERO).unwrap(), [false; 4]);
        drop(closed);
        let wanted = [false, false, false, true];
        assert_eq!(any_readable(all(), Duration::from_secs(5)).unwrap(), wanted);
        writer.write_all(b"x").unwrap();
        let all = [Some(writer.as_fd()), None, Some(reader.as_fd()), Some(ended.as_fd())];
        let wanted = [false, false, true, true];
        assert_eq!(any_readable(all, Duration::from_secs(5)).unwrap(), wanted);
    }
}
