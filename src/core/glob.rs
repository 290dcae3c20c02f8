// SPDX-License-Identifier: GPL-2.0-or-later
//! Shell-style patterns over device names.

/// True when `name` as a whole matches `pattern`: `*` any run, `?` any one character, `[a-z]` and
/// `[!a-z]` one character of (not of) a set; an unclosed `[` stands for itself.
///
/// Takes at most `pattern` times `name` steps, so that no pattern can stall the daemon.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut rest = pattern.as_slice();
    let mut name = name.chars();
    // Where to go on when a literal fails behind a star: the pattern after it, the name from there.
    let mut retry: Option<(&[char], std::str::Chars<'_>)> = None;
    loop {
        if let ['*', tail @ ..] = rest {
            rest = tail;
            retry = Some((tail, name.clone()));
            continue;
        }
        let mut ahead = name.clone();
        let step = match ahead.next() {
            None if rest.is_empty() => return true,
            None => return false,
            Some(character) => one(rest, character),
        };
        match (step, &mut retry) {
            (Some(tail), _) => {
                rest = tail;
                name = ahead;
            }
            (None, Some((tail, from))) => {
                from.next();
                rest = tail;
                name = from.clone();
            }
            (None, None) => return false,
        }
    }
}

/// The pattern behind its first element, when that matches `character`.
fn one(pattern: &[char], character: char) -> Option<&[char]> {
    match pattern {
        [] => None,
        ['?', tail @ ..] => Some(tail),
        ['[', tail @ ..] if tail.contains(&']') => {
            let (negated, tail) = match tail {
                ['!', tail @ ..] => (true, tail),
                tail => (false, tail),
            };
            let (inside, tail) = set(tail, character)?;
            (inside != negated).then_some(tail)
        }
        [literal, tail @ ..] => (*literal == character).then_some(tail),
    }
}

/// Whether `character` is in the set that ends at `]`, and the pattern behind it.
fn set(mut pattern: &[char], character: char) -> Option<(bool, &[char])> {
    let mut inside = false;
    loop {
        pattern = match pattern {
            [] => return None,
            [']', tail @ ..] => return Some((inside, tail)),
            [low, '-', high, tail @ ..] if *high != ']' => {
                inside |= (*low..=*high).contains(&character);
                tail
            }
            [single, tail @ ..] => {
                inside |= *single == character;
                tail
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("lan*", "lan0", true),
            ("lan*", "wan", false),
            ("lan?", "lan10", false),
            ("*.7", "wan0.7", true),
            ("*lan*0", "br-lan0x0", true),
            ("eth[0-3]", "eth2", true),
            ("eth[0-3]", "eth4", false),
            ("eth[!0-3]", "eth4", true),
            ("eth[ab-]", "eth-", true),
            ("[", "[", true),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_and_its_prefix(name in "[a-z0-9.@_-]{1,15}", cut in 0usize..15) {
            prop_assert!(matches(&name, &name));
            let prefix: String = name.chars().take(cut).collect();
            let pattern = format!("{}*", prefix);
            prop_assert!(matches(&pattern, &name));
        }

        #[test]
        fn any_pattern_ends(pattern in "[\\*\\?\\[\\]!a-c-]{0,24}", name in "[a-c]{0,15}") {
            let _ = matches(&pattern, &name);
        }
    }
}
