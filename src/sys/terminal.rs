// SPDX-License-Identifier: GPL-2.0-or-later
//! The terminal of a live view: its size, its signals, and input key by key until it is dropped.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::signal::SignalFd;

/// Columns and rows of the terminal behind `fd`; `None` when it is no terminal or knows no size, as
/// serial lines do not.
pub fn size(fd: BorrowedFd<'_>) -> Option<(u16, u16)> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the request fills a winsize, and the pointer is to one on this stack frame.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr()) };
    if result != 0 {
        return None;
    }
    // SAFETY: winsize is plain numbers, all of which were zero before the kernel filled them.
    let size = unsafe { size.assume_init() };
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Input that comes key by key, unechoed, with Ctrl-C as a key like any other. The terminal gets
/// its own settings back when this is dropped.
#[derive(Debug)]
pub struct KeyInput {
    terminal: OwnedFd,
    before: libc::termios,
}

impl KeyInput {
    /// Changes the settings of the terminal.
    ///
    /// # Errors
    /// Whatever dup(2), tcgetattr(3) or tcsetattr(3) reports, which is so for what is no terminal.
    pub fn new(terminal: BorrowedFd<'_>) -> io::Result<KeyInput> {
        let terminal = terminal.try_clone_to_owned()?;
        let mut before = MaybeUninit::<libc::termios>::zeroed();
        // SAFETY: tcgetattr fills a termios, and the pointer is to one on this stack frame.
        if unsafe { libc::tcgetattr(terminal.as_raw_fd(), before.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: termios is plain numbers, zero before tcgetattr filled them.
        let before = unsafe { before.assume_init() };
        let mut keys = before;
        keys.c_lflag &= !(libc::ICANON | libc::ECHO | libc::ISIG | libc::IEXTEN);
        // Ctrl-S and Ctrl-Q would stop the view, and Enter is told by its own code.
        keys.c_iflag &= !(libc::IXON | libc::ICRNL | libc::INLCR | libc::IGNCR);
        // A read returns with what there is, one byte at least.
        for (index, value) in [(libc::VMIN, 1), (libc::VTIME, 0)] {
            if let Some(entry) = keys.c_cc.get_mut(index) {
                *entry = value;
            }
        }
        let input = KeyInput { terminal, before };
        input.set(&keys)?;
        Ok(input)
    }

    fn set(&self, settings: &libc::termios) -> io::Result<()> {
        // SAFETY: tcsetattr only reads the termios behind the reference.
        match unsafe { libc::tcsetattr(self.terminal.as_raw_fd(), libc::TCSADRAIN, settings) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for KeyInput {
    fn drop(&mut self) {
        // A terminal that is gone needs no settings.
        let _ = self.set(&self.before);
    }
}

/// What a signal tells a program with a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGWINCH: the size has changed.
    Resized,
    /// SIGTERM, SIGINT, SIGQUIT, SIGHUP: put the terminal in order and leave.
    End,
}

/// The signals of a program with a terminal, readable when one is pending.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals of [`Signal`]. Must be called before any thread is made, and only once.
    ///
    /// # Errors
    /// Whatever sigprocmask(2) or signalfd(2) reports.
    pub fn new() -> io::Result<Signals> {
        let signals = [libc::SIGWINCH, libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];
        SignalFd::of(&signals).map(Signals)
    }

    /// The next pending signal, or `None` when there is none.
    ///
    /// # Errors
    /// Whatever read(2) reports, except that it would block.
    pub fn pending(&mut self) -> io::Result<Option<Signal>> {
        let signal = self.0.next()?;
        Ok(signal.map(|number| match number {
            libc::SIGWINCH => Signal::Resized,
            _ => Signal::End,
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_socket_is_no_terminal() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        assert_eq!(size(socket.as_fd()), None);
        let error = KeyInput::new(socket.as_fd()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }
}
