// SPDX-License-Identifier: GPL-2.0-or-later
//! Words and lines of UCI text.
//!
//! UCI is read a physical line at a time; a quoted word or a backslash at the end of a line pulls
//! in the next one. The lexer keeps a window on the present line and knows nothing of commands:
//! `statement` and `delta` give the words their meaning. The odd rules are libuci's, and each is
//! held to libuci by `tests/c-differential`.

use std::fmt;

/// Why a word cannot be read; the line is where the word's quote opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unterminated {
    /// Line of the opening quote, from 1.
    pub line: u32,
    /// The quote that is never closed.
    pub quote: char,
}

impl fmt::Display for Unterminated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the quote {} is never closed", self.quote)
    }
}

/// The blanks of C's `isspace`: what ends an unquoted word.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// A cursor over UCI text, one physical line at a time.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    input: &'a [u8],
    /// Next byte to read.
    pos: usize,
    /// End of the window: past the newline, or where a comment began.
    end: usize,
    /// Where the next physical line begins.
    next: usize,
    /// Physical lines seen so far, so the number of the present one.
    line: u32,
}

impl<'a> Lexer<'a> {
    /// A lexer before the first line of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Lexer { input, pos: 0, end: 0, next: 0, line: 0 }
    }

    /// Number of the physical line under the cursor, from 1; 0 before the first.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Drops what is left of the present line and moves to the next; false at the end of input.
    pub fn next_line(&mut self) -> bool {
        let rest = self.input.get(self.next..).unwrap_or_default();
        self.pos = self.next;
        if rest.is_empty() {
            self.end = self.pos;
            return false;
        }
        let length = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
        self.end = self.pos.saturating_add(length);
        self.next = self.end;
        self.line = self.line.saturating_add(1);
        true
    }

    /// Is nothing left of the present line?
    pub fn at_end(&self) -> bool {
        self.peek().is_none()
    }

    /// Skips every kind of blank, the newline included.
    pub fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.bump();
        }
    }

    /// Skips spaces and tabs.
    pub fn skip_gap(&mut self) {
        while self.peek().is_some_and(|b| b == b' ' || b == b'\t') {
            self.bump();
        }
    }

    /// The bytes up to the next space or tab, which is skipped too. The second value tells whether
    /// there was one: a command name must be followed by a space or tab.
    pub fn command(&mut self) -> (&'a [u8], bool) {
        let rest = self.input.get(self.pos..self.end).unwrap_or_default();
        let length = rest.iter().position(|b| *b == b' ' || *b == b'\t');
        let word = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
        self.pos = self.pos.saturating_add(word.len());
        if length.is_some() {
            self.bump();
        }
        (word, length.is_some())
    }

    /// Reads one word with its quotes and escapes resolved; empty when the line has no further
    /// word, when it is a lone `;`, or when the word itself is empty (`''`).
    ///
    /// `#` begins a comment anywhere outside quotes, in the middle of a word too. `;` ends a word:
    /// it separates commands if the word had a quote or a backslash, and otherwise hides the rest
    /// of the line (libuci writes the word's terminator over it).
    pub fn word(&mut self) -> Result<Vec<u8>, Unterminated> {
        self.skip_blanks();
        let mut word = Vec::new();
        if self.peek() == Some(b';') {
            self.bump();
            return Ok(word);
        }
        let mut plain = true;
        loop {
            match self.peek() {
                None => return Ok(word),
                Some(b'#') => {
                    self.end = self.pos;
                    return Ok(word);
                }
                Some(b';') => {
                    if plain {
                        self.end = self.pos;
                    }
                    return Ok(word);
                }
                Some(quote @ (b'\'' | b'"')) => {
                    plain = false;
                    self.quoted(quote, &mut word)?;
                }
                Some(b'\\') => {
                    plain = false;
                    word.extend(self.escaped());
                }
                Some(byte) => {
                    word.push(byte);
                    self.bump();
                }
            }
            if self.peek().is_some_and(is_blank) {
                self.bump();
                return Ok(word);
            }
        }
    }

    /// Reads from an opening quote past its closing one, over as many lines as it takes.
    /// A backslash escapes within double quotes only.
    fn quoted(&mut self, quote: u8, word: &mut Vec<u8>) -> Result<(), Unterminated> {
        let opened = self.line;
        self.bump();
        loop {
            match self.peek() {
                Some(byte) if byte == quote => {
                    self.bump();
                    return Ok(());
                }
                Some(b'\\') if quote == b'"' => word.extend(self.escaped()),
                Some(byte) => {
                    word.push(byte);
                    self.bump();
                }
                None if self.next_line() => {}
                None => return Err(Unterminated { line: opened, quote: char::from(quote) }),
            }
        }
    }

    /// Reads a backslash and what it escapes: the byte itself, or nothing when the line ends here
    /// and continues on the next.
    fn escaped(&mut self) -> Option<u8> {
        self.bump();
        match self.input.get(self.pos..self.end).unwrap_or_default() {
            [] | [b'\n'] | [b'\r', b'\n'] => {
                self.next_line();
                None
            }
            [byte, ..] => {
                self.bump();
                Some(*byte)
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        if self.pos < self.end {
            self.input.get(self.pos).copied()
        } else {
            None
        }
    }

    fn bump(&mut self) {
        self.pos = self.pos.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All words of the first logical line, until an empty one.
    fn words(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(text.as_bytes());
        lexer.next_line();
        let mut found = Vec::new();
        while let Ok(word) = lexer.word() {
            if word.is_empty() {
                break;
            }
            found.push(String::from_utf8(word).unwrap());
        }
        found
    }

    #[test]
    fn quotes_join_and_escapes_are_literal() {
        assert_eq!(words("a'b c'\"d e\"f g\n"), ["ab cd ef", "g"]);
        assert_eq!(words(r#"'a\b' "a\"b" a\ b \n"#), [r"a\b", "a\"b", "a b", "n"]);
    }

    #[test]
    fn comments_begin_inside_a_word() {
        assert_eq!(words("a#b c\n"), ["a"]);
        assert_eq!(words("'a#b' c#\n"), ["a#b", "c"]);
    }

    #[test]
    fn semicolon_after_a_plain_word_hides_the_line() {
        assert_eq!(words("a; b\n"), ["a"]);
        let mut lexer = Lexer::new(b"'a'; b\n");
        assert!(lexer.next_line());
        assert_eq!(lexer.word().unwrap(), b"a");
        assert_eq!(lexer.word().unwrap(), b"");
        assert_eq!(lexer.word().unwrap(), b"b");
    }

    #[test]
    fn lines_continue_and_are_counted() {
        let mut lexer = Lexer::new(b"a\\\nb 'c\nd' e\nf");
        assert!(lexer.next_line());
        assert_eq!(lexer.word().unwrap(), b"ab");
        assert_eq!(lexer.line(), 2);
        assert_eq!(lexer.word().unwrap(), b"c\nd");
        assert_eq!(lexer.line(), 3);
        assert_eq!(lexer.word().unwrap(), b"e");
        assert!(lexer.at_end());
        assert!(lexer.next_line());
        assert_eq!(lexer.word().unwrap(), b"f");
        assert!(!lexer.next_line());
    }

    #[test]
    fn carriage_return_before_the_newline_continues_too() {
        assert_eq!(words("a\\\r\nb\n"), ["ab"]);
        assert_eq!(words("a\\\rb\n"), ["a\rb"]);
    }

    #[test]
    fn an_open_quote_names_the_line_it_opened_on() {
        let mut lexer = Lexer::new(b"x\n 'y\nz\n");
        assert!(lexer.next_line());
        assert!(lexer.next_line());
        assert_eq!(lexer.word(), Err(Unterminated { line: 2, quote: '\'' }));
    }

    proptest! {
        #[test]
        fn any_bytes_end(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut lexer = Lexer::new(&input);
            while lexer.next_line() {
                while !lexer.at_end() {
                    if lexer.word().is_err() {
                        break;
                    }
                }
            }
        }

        #[test]
        fn single_quotes_keep_every_byte(value in "[^']{0,40}") {
            let text = format!("'{value}'");
            let mut lexer = Lexer::new(text.as_bytes());
            prop_assert!(lexer.next_line());
            prop_assert_eq!(lexer.word().unwrap(), value.as_bytes());
        }
    }
}
