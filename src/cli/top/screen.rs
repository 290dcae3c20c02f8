// SPDX-License-Identifier: GPL-2.0-or-later
//! The screen of a terminal: taken over when made, given back as it was when dropped.
//!
//! A frame is written over the one before line by line, without clearing first, so that nothing
//! flickers. The sequences are those that every terminal since the VT220 shares, the alternate
//! screen of xterm added; a terminal without one keeps the last frame.

use std::io::{self, Write};

/// Alternate screen, cursor hidden, no wrapping, and everything blank.
const TAKE: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J";
/// The opposite of [`TAKE`].
const GIVE_BACK: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";
const CLEAR: &[u8] = b"\x1b[2J";

/// A screen that is ours.
#[derive(Debug)]
pub struct Screen<W: Write> {
    out: W,
}

impl<W: Write> Screen<W> {
    /// Takes the screen over.
    ///
    /// # Errors
    /// Writing failed.
    pub fn new(out: W) -> io::Result<Screen<W>> {
        let mut screen = Screen { out };
        screen.write(TAKE)?;
        Ok(screen)
    }

    /// Blanks the screen, on which others may have written.
    ///
    /// # Errors
    /// Writing failed.
    pub fn clear(&mut self) -> io::Result<()> {
        self.write(CLEAR)
    }

    /// Shows a frame: as many lines as the screen has, of printable ASCII and no wider than it.
    ///
    /// # Errors
    /// Writing failed.
    pub fn show(&mut self, frame: &[String]) -> io::Result<()> {
        self.write(paint(frame).as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        // Nobody sees what a terminal shows that is gone.
        let _ = self.write(GIVE_BACK);
    }
}

/// Each line is cleared before it is written: behind a line as wide as the screen the cursor still
/// stands on its last character, which clearing afterwards would take away.
fn paint(frame: &[String]) -> String {
    let mut out = String::from("\x1b[H");
    for (index, line) in frame.iter().enumerate() {
        if index > 0 {
            out.push_str("\r\n");
        }
        out.push_str("\x1b[2K");
        out.push_str(line);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_taken_and_given_back() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out).unwrap();
        screen.show(&["one".to_owned(), "two".to_owned()]).unwrap();
        screen.clear().unwrap();
        drop(screen);
        let text = String::from_utf8(out).unwrap();
        let wanted = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J\
            \x1b[H\x1b[2Kone\r\n\x1b[2Ktwo\x1b[2J\x1b[?7h\x1b[?25h\x1b[?1049l";
        assert_eq!(text, wanted);
    }
}
