// SPDX-License-Identifier: GPL-2.0-or-later
//! Splitting a line into words: white space separates, double quotes hold together.

use crate::error::{Error, Result};

/// A word and where the text after it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word without its quotes.
    pub text: String,
    /// It stood in quotes, so it is never an operator.
    pub quoted: bool,
    /// Byte offset just behind it.
    pub end: usize,
}

/// Splits a line. Inside quotes `\n` is a line's end and a backslash takes any other character
/// as it is.
pub fn split(line: &str) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    let mut chars = line.char_indices().peekable();
    while let Some(&(_, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let quoted = c == '"';
        if quoted {
            chars.next();
        }
        let mut text = String::new();
        let mut closed = !quoted;
        while let Some(&(_, c)) = chars.peek() {
            if !quoted && c.is_whitespace() {
                break;
            }
            chars.next();
            match c {
                '"' if quoted => {
                    closed = true;
                    break;
                }
                '\\' if quoted => {
                    if let Some((_, escaped)) = chars.next() {
                        text.push(if escaped == 'n' { '\n' } else { escaped });
                    }
                }
                other => text.push(other),
            }
        }
        if !closed {
            return Err(Error::new("a quote is not closed"));
        }
        let end = chars.peek().map_or(line.len(), |&(at, _)| at);
        words.push(Word { text, quoted, end });
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        split(line).unwrap().into_iter().map(|w| w.text).collect()
    }

    #[test]
    fn words_and_quotes() {
        assert_eq!(texts("  a bc   d"), ["a", "bc", "d"]);
        assert_eq!(texts(r#"run "a b" c"#), ["run", "a b", "c"]);
        assert_eq!(texts(r#""say \"x\"""#), [r#"say "x""#]);
        assert_eq!(texts(r#""a\nb""#), ["a\nb"]);
        assert_eq!(texts(""), Vec::<String>::new());
    }

    #[test]
    fn ends_point_behind_the_word() {
        let line = r#"a "b c" d"#;
        let words = split(line).unwrap();
        assert_eq!(&line[words[1].end..], " d");
        assert!(words[1].quoted);
    }

    #[test]
    fn open_quote_is_an_error() {
        assert!(split("a \"b").is_err());
    }
}
