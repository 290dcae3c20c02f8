// SPDX-License-Identifier: GPL-2.0-or-later
//! The four commands of a UCI file: `package`, `config`, `option` and `list`.
//!
//! Turns words into statements and judges what can be judged one statement at a time: names,
//! types and the number of words. What a statement does to the package is `package`'s business.

use std::fmt;

use super::lexer::{Lexer, Unterminated};

/// One command with its words resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Line the command begins on, from 1.
    pub line: u32,
    /// The command.
    pub command: Command,
}

/// What a statement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `package NAME`: no effect, a file holds the one package that it is named after.
    Package,
    /// `config TYPE [NAME]`.
    Config {
        /// Section type.
        kind: String,
        /// Section name; `None` for an anonymous section.
        name: Option<String>,
    },
    /// `option NAME VALUE`; an empty value changes nothing.
    Option {
        /// Option name.
        name: String,
        /// Value, any bytes but NUL.
        value: Vec<u8>,
    },
    /// `list NAME VALUE`.
    List {
        /// Option name.
        name: String,
        /// Value, any bytes but NUL; may be empty.
        value: Vec<u8>,
    },
}

/// What is wrong with a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The first word is no command.
    UnknownCommand(String),
    /// `;` with nothing after it on its line.
    NothingAfterSemicolon,
    /// The command needs a word more.
    Missing(&'static str),
    /// A name with bytes other than letters, digits and `_` (and `-` for a package).
    BadName(String),
    /// A section type with blanks, control or non-ASCII bytes.
    BadType(String),
    /// More words than the command takes.
    TooMany,
    /// A quote that is never closed.
    Unterminated(char),
    /// `option` or `list` before any `config`.
    NoSection,
    /// A named section opened again with another type.
    TypeChanged {
        /// Section name.
        name: String,
        /// Type it was first opened with.
        was: String,
    },
    /// More than so many sections.
    TooManySections(usize),
    /// More than so many options in a section.
    TooManyOptions(usize),
    /// A NUL byte, which no text file holds: usually a file lost in a power failure.
    Nul,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::UnknownCommand(word) => write!(
                f,
                "unknown command '{}', expected package, config, option or list",
                word.escape_debug()
            ),
            Fault::NothingAfterSemicolon => f.write_str("no command after ';'"),
            Fault::Missing(what) => write!(f, "missing {what}"),
            Fault::BadName(name) => {
                write!(f, "bad name '{}': only letters, digits and '_'", name.escape_debug())
            }
            Fault::BadType(kind) => {
                write!(f, "bad section type '{}': only printable ASCII", kind.escape_debug())
            }
            Fault::TooMany => f.write_str("too many words, a value with blanks needs quotes"),
            Fault::Unterminated(quote) => write!(f, "the quote {quote} is never closed"),
            Fault::NoSection => f.write_str("option or list before the first config"),
            Fault::TypeChanged { name, was } => {
                write!(f, "section '{name}' was opened before with type '{was}'")
            }
            Fault::TooManySections(most) => write!(f, "more than {most} sections"),
            Fault::TooManyOptions(most) => write!(f, "more than {most} options in a section"),
            Fault::Nul => f.write_str("NUL byte, the file is damaged"),
        }
    }
}

/// A fault and the line it is on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Line of the statement, or of the quote that is not closed.
    pub line: u32,
    /// What is wrong there.
    pub fault: Fault,
}

impl From<Unterminated> for Located {
    fn from(open: Unterminated) -> Self {
        Located { line: open.line, fault: Fault::Unterminated(open.quote) }
    }
}

/// A section or option name: letters, digits and `_`.
pub(super) fn is_name(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// A section type: anything printable in ASCII but the space.
pub(super) fn is_type(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_graphic)
}

/// Words as text for a message or for a name already found to be ASCII.
pub(super) fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

/// Iterates over the statements of a file; stops after the first fault.
#[derive(Debug, Clone)]
pub struct Statements<'a> {
    lexer: Lexer<'a>,
    /// A statement of the present line was read, so what follows came after a `;`.
    midline: bool,
    done: bool,
}

impl<'a> Statements<'a> {
    /// The statements of `input`, which must be free of NUL bytes.
    pub fn new(input: &'a [u8]) -> Self {
        Statements { lexer: Lexer::new(input), midline: false, done: false }
    }

    fn advance(&mut self) -> Option<Result<Statement, Located>> {
        loop {
            if self.midline {
                self.lexer.skip_gap();
            } else {
                if !self.lexer.next_line() {
                    return None;
                }
                self.lexer.skip_blanks();
            }
            let line = self.lexer.line();
            let (word, more) = self.lexer.command();
            if word.is_empty() || word.starts_with(b"#") {
                self.midline = false;
                continue;
            }
            self.midline = true;
            return Some(self.statement(line, word, more));
        }
    }

    fn statement(&mut self, line: u32, word: &[u8], more: bool) -> Result<Statement, Located> {
        let fault = |fault| Located { line, fault };
        let command = match word {
            b"p" | b"package" if more => {
                let name = self.lexer.word()?;
                if name.is_empty() {
                    return Err(fault(Fault::Missing("package name")));
                }
                if !name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
                    return Err(fault(Fault::BadName(text(&name))));
                }
                Command::Package
            }
            b"c" | b"config" if more => {
                let kind = self.lexer.word()?;
                if kind.is_empty() {
                    return Err(fault(Fault::Missing("section type")));
                }
                if !is_type(&kind) {
                    return Err(fault(Fault::BadType(text(&kind))));
                }
                let name = self.lexer.word()?;
                if !name.is_empty() && !is_name(&name) {
                    return Err(fault(Fault::BadName(text(&name))));
                }
                let name = (!name.is_empty()).then(|| text(&name));
                Command::Config { kind: text(&kind), name }
            }
            b"o" | b"option" | b"l" | b"list" if more => {
                let name = self.lexer.word()?;
                if name.is_empty() {
                    return Err(fault(Fault::Missing("option name")));
                }
                if !is_name(&name) {
                    return Err(fault(Fault::BadName(text(&name))));
                }
                let (name, value) = (text(&name), self.lexer.word()?);
                if word.starts_with(b"o") {
                    Command::Option { name, value }
                } else {
                    Command::List { name, value }
                }
            }
            b"p" | b"package" | b"c" | b"config" | b"o" | b"option" | b"l" | b"list" => {
                return Err(fault(Fault::Missing("words after the command")));
            }
            b"\n" | b"\r\n" => return Err(fault(Fault::NothingAfterSemicolon)),
            _ => return Err(fault(Fault::UnknownCommand(text(word.trim_ascii_end())))),
        };
        // An empty word here is the end of the line or a separator: `;`, and oddly `''` as well.
        if !self.lexer.word()?.is_empty() {
            return Err(fault(Fault::TooMany));
        }
        Ok(Statement { line, command })
    }
}

impl Iterator for Statements<'_> {
    type Item = Result<Statement, Located>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.advance();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<Statement>, Located> {
        Statements::new(text.as_bytes()).collect()
    }

    fn fault(text: &str) -> (u32, Fault) {
        let located = read(text).unwrap_err();
        (located.line, located.fault)
    }

    fn option(line: u32, name: &str, value: &str) -> Statement {
        Statement { line, command: Command::Option { name: name.into(), value: value.into() } }
    }

    #[test]
    fn commands_have_one_letter_forms() {
        let long = read("package x\nconfig a 'b'\noption c d\nlist e f\n").unwrap();
        assert_eq!(read("p x\nc a 'b'\no c d\nl e f\n").unwrap(), long);
        assert_eq!(long.len(), 4);
        assert_eq!(long.last().unwrap().line, 4);
    }

    #[test]
    fn semicolons_separate_quoted_words_only() {
        let two = vec![option(1, "a", "x"), option(1, "b", "y")];
        assert_eq!(read("option a 'x'; option b y").unwrap(), two);
        assert_eq!(read("option a x ; option b y").unwrap(), two);
        assert_eq!(read("option a x; option b y").unwrap(), two[..1]);
        assert_eq!(read("option a x '' option b y").unwrap(), two);
        assert_eq!(fault("option a 'x';\n"), (1, Fault::NothingAfterSemicolon));
        assert_eq!(read("option a 'x';").unwrap().len(), 1);
        assert_eq!(read("option a 'x'; # why\n").unwrap().len(), 1);
    }

    #[test]
    fn a_command_needs_a_space_and_words() {
        assert_eq!(fault("\n\nconfig\n"), (3, Fault::UnknownCommand("config".into())));
        assert_eq!(fault("config"), (1, Fault::Missing("words after the command")));
        assert_eq!(fault("config \n"), (1, Fault::Missing("section type")));
        assert_eq!(fault("option '' x\n"), (1, Fault::Missing("option name")));
        assert_eq!(fault("package\t\n"), (1, Fault::Missing("package name")));
    }

    #[test]
    fn names_and_types_are_validated() {
        assert_eq!(fault("config a b-c\n"), (1, Fault::BadName("b-c".into())));
        assert_eq!(fault("config 'a b'\n"), (1, Fault::BadType("a b".into())));
        assert_eq!(fault("option a.b c\n"), (1, Fault::BadName("a.b".into())));
        assert!(read("package a-b\nconfig a-b.c!\n").is_ok());
    }

    #[test]
    fn extra_words_and_open_quotes_are_faults() {
        assert_eq!(fault("option a b c\n"), (1, Fault::TooMany));
        assert_eq!(fault("config a\n\toption b \"c\n"), (2, Fault::Unterminated('"')));
    }

    #[test]
    fn lines_count_through_values_of_many_lines() {
        let read = read("option a 'x\ny'\noption b z").unwrap();
        assert_eq!(read, [option(1, "a", "x\ny"), option(3, "b", "z")]);
    }

    proptest! {
        #[test]
        fn any_bytes_end(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Statements::new(&input).count();
        }
    }
}
