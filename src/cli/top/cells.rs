// SPDX-License-Identifier: GPL-2.0-or-later
//! Text that fits its place on the screen.

/// `text` as printable ASCII.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

/// ASCII text of at most `columns` characters; two dots at its end tell that there was more.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.len() <= columns {
        return text.to_owned();
    }
    let dots = columns.min(2);
    let head = text.get(..columns - dots).unwrap_or_default();
    format!("{head}{:.<dots$}", "")
}
