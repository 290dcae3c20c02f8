// SPDX-License-Identifier: GPL-2.0-or-later
//! Which words are patterns of device names.

/// Can this match a device name? Brackets must be closed and not empty; blanks and `/` are in no
/// device's name.
pub fn is_glob(glob: &str) -> bool {
    let mut rest = glob;
    while let Some((_, set)) = rest.split_once('[') {
        // A `]` right after the bracket (or its `!`) is a member of the set.
        let set = set.strip_prefix('!').unwrap_or(set);
        let mut members = set.chars();
        if members.next().is_none() {
            return false;
        }
        match members.as_str().split_once(']') {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    !glob.is_empty() && glob.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_closed_and_without_blanks() {
        for good in ["eth0", "*", "wl?", "[]x]", "[!]a]", "a[b-d]e[f]"] {
            assert!(is_glob(good), "{good}");
        }
        for bad in ["", "[", "[]", "[!]", "a[b", "a b", "a/b", "a[b]["] {
            assert!(!is_glob(bad), "{bad}");
        }
    }
}
